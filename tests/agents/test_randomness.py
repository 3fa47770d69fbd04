import numpy as np
import tensorflow as tf

from tf_equirl.agents.randomness import member_uniforms, sample_actions


def test_a_members_numbers_do_not_depend_on_the_others():
    keys = tf.constant([[5, 0], [9, 0], [5, 1]])
    together = member_uniforms(keys, 3, [4, 2])
    for row in range(3):
        np.testing.assert_array_equal(
            member_uniforms(keys[row : row + 1], 3, [4, 2])[0], together[row]
        )
    # Seeds, purposes and updates all give other numbers.
    assert len(np.unique(np.concatenate([together, member_uniforms(keys, 4, [4, 2])]))) == 48


def test_it_holds_in_the_compiled_program_too():
    compiled = tf.function(lambda k: member_uniforms(k, 7, [3]), jit_compile=True)
    together = compiled(tf.constant([[5, 0], [9, 2], [1, 1]]))
    np.testing.assert_array_equal(compiled(tf.constant([[9, 2]]))[0], together[1])
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
