import numpy as np
import pytest
import tensorflow as tf

from tf_equirl.training.randomness import Purpose, member_uniforms, order_of


def test_a_members_numbers_do_not_depend_on_the_others():
    seeds = tf.constant([5, 9, 2])
    together = member_uniforms(seeds, Purpose.ROLLOUT, 3, [4, 2])
    for row in range(3):
        alone = member_uniforms(seeds[row : row + 1], Purpose.ROLLOUT, 3, [4, 2])
        np.testing.assert_array_equal(alone[0], together[row])


def test_every_seed_update_and_purpose_has_numbers_of_its_own():
    draws = [
        member_uniforms(tf.constant([5, 6]), purpose, update, [100])
        for purpose in Purpose
        for update in range(4)
    ]
    assert len(np.unique(draws)) > 0.999 * 2 * 5 * 4 * 100  # floats of 23 bits collide rarely
    # Neighbouring streams are not correlated: four standard errors of 100 products.
    rows = np.concatenate(draws) - 0.5
    correlation = rows @ rows.T / 100 * 12
    assert np.abs(correlation - np.diag(np.diag(correlation))).max() < 5 / np.sqrt(100)


def test_later_purposes_left_the_streams_of_earlier_ones_as_they_were():
    """All published numbers stand on these keys."""
    for number, purpose in enumerate((Purpose.RESETS, Purpose.ROLLOUT, Purpose.SHUFFLE)):
        found = member_uniforms(tf.constant([5]), purpose, 7, [9])[0]
        key = [5, 3 * 7 + number]
        np.testing.assert_array_equal(found, tf.random.stateless_uniform([9], key))


def test_it_holds_in_the_compiled_program_too():
    @tf.function(jit_compile=True)
    def compiled(seeds, update):
        return member_uniforms(seeds, Purpose.SHUFFLE, update, [3])

    together = compiled(tf.constant([5, 9, 1]), tf.constant(7))
    alone = compiled(tf.constant([9]), tf.constant(7))
    np.testing.assert_array_equal(alone[0], together[1])
    assert len(np.unique(together)) == 9


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("shape", [[3, 512], [2, 2, 40], [1, 3000], [1]], ids=str)
def test_the_order_is_that_of_a_stable_sort(shape, compiled):
    uniforms = tf.random.stateless_uniform(shape, [1, 2])
    uniforms = tf.where(uniforms < 0.3, tf.round(uniforms * 8) / 8, uniforms)  # many ties
    order = tf.function(order_of, jit_compile=compiled)(uniforms)
    assert order.dtype == tf.int32
    np.testing.assert_array_equal(order, np.argsort(uniforms.numpy(), axis=-1, kind="stable"))
