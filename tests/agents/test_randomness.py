import numpy as np
import pytest
import tensorflow as tf

from tf_equirl.distributions.categorical import sample_actions
from tf_equirl.training.randomness import Purpose, member_uniforms


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
    assert len(np.unique(draws)) > 0.999 * 2 * 3 * 4 * 100  # floats of 23 bits collide rarely
    # Neighbouring streams are not correlated: four standard errors of 100 products.
    rows = np.concatenate(draws) - 0.5
    correlation = rows @ rows.T / 100 * 12
    assert np.abs(correlation - np.diag(np.diag(correlation))).max() < 5 / np.sqrt(100)


def test_it_holds_in_the_compiled_program_too():
    @tf.function(jit_compile=True)
    def compiled(seeds, update):
        return member_uniforms(seeds, Purpose.SHUFFLE, update, [3])

    together = compiled(tf.constant([5, 9, 1]), tf.constant(7))
    alone = compiled(tf.constant([9]), tf.constant(7))
    np.testing.assert_array_equal(alone[0], together[1])
    assert len(np.unique(together)) == 9


def test_actions_follow_the_softmax():
    logits = tf.constant([0.3, -1.0, 1.2, 0.0])
    uniforms = tf.random.stateless_uniform([100_000], [1, 2])
    actions = sample_actions(tf.tile(logits[None], [100_000, 1]), uniforms)
    shares = np.bincount(actions, minlength=4) / 100_000
    # Four standard errors of a share of 0.5.
    np.testing.assert_allclose(shares, tf.nn.softmax(logits), atol=4 * 0.5 / np.sqrt(100_000))


def test_actions_stay_in_range_at_the_edges():
    logits = tf.constant([[0.0, 0.0, -1e9], [0.0, 0.0, 0.0], [-1e9, 0.0, 0.0]])
    largest = np.nextafter(np.float32(1), np.float32(0))
    np.testing.assert_array_equal(sample_actions(logits, tf.fill([3], largest))[1:], [2, 2])
    np.testing.assert_array_equal(sample_actions(logits, tf.zeros([3])), [0, 0, 1])


@pytest.mark.parametrize("jit_compile", [False, True], ids=["eager", "xla"])
def test_no_action_of_probability_zero_is_drawn_where_the_sum_rounds_below_one(jit_compile):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(10_000, 6)).astype("float32")
    logits[:, 3:] = -200.0  # of probability 0 in float32
    largest = tf.fill([len(logits)], np.nextafter(np.float32(1), np.float32(0)))
    sample = tf.function(sample_actions, jit_compile=True) if jit_compile else sample_actions
    sums = tf.cumsum(tf.nn.softmax(logits), axis=-1)[:, -1]
    assert np.sum(sums <= largest[0]) > 100, "there must be rows that round below 1"
    assert np.max(sample(logits, largest)) == 2
