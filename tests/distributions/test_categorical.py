import numpy as np
import pytest
import tensorflow as tf

from tf_equirl.distributions import Categorical
from tf_equirl.groups import cyclic_group, regular_representation

LARGEST = np.nextafter(np.float32(1), np.float32(0))


def test_actions_follow_the_softmax():
    logits = tf.constant([0.3, -1.0, 1.2, 0.0])
    uniforms = tf.random.stateless_uniform([100_000, 1], [1, 2])
    actions = Categorical(4).sample(tf.tile(logits[None], [100_000, 1]), uniforms)
    shares = np.bincount(actions, minlength=4) / 100_000
    # Four standard errors of a share of 0.5.
    np.testing.assert_allclose(shares, tf.nn.softmax(logits), atol=4 * 0.5 / np.sqrt(100_000))


def test_actions_stay_in_range_at_the_edges():
    logits = tf.constant([[0.0, 0.0, -1e9], [0.0, 0.0, 0.0], [-1e9, 0.0, 0.0]])
    sample = Categorical(3).sample
    np.testing.assert_array_equal(sample(logits, tf.fill([3, 1], LARGEST))[1:], [2, 2])
    np.testing.assert_array_equal(sample(logits, tf.zeros([3, 1])), [0, 0, 1])


@pytest.mark.parametrize("jit_compile", [False, True], ids=["eager", "xla"])
def test_no_action_of_probability_zero_is_drawn_where_the_sum_rounds_below_one(jit_compile):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(10_000, 6)).astype("float32")
    logits[:, 3:] = -200.0  # of probability 0 in float32
    largest = tf.fill([len(logits), 1], LARGEST)
    sample = Categorical(6).sample
    sample = tf.function(sample, jit_compile=True) if jit_compile else sample
    sums = tf.cumsum(tf.nn.softmax(logits), axis=-1)[:, -1]
    assert np.sum(sums <= LARGEST) > 100, "there must be rows that round below 1"
    assert np.max(sample(logits, largest)) == 2


def test_its_numbers_are_those_of_the_probabilities():
    rng = np.random.default_rng(0)
    logits, others = rng.normal(size=(2, 5, 3, 4)).astype("float32")
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    q = np.exp(others) / np.exp(others).sum(-1, keepdims=True)
    distribution, actions = Categorical(4), rng.integers(0, 4, (5, 3))
    chosen = np.take_along_axis(p, actions[..., None], -1)[..., 0]
    found = distribution.log_prob(tf.constant(logits), tf.constant(actions))
    np.testing.assert_allclose(found, np.log(chosen), rtol=1e-5)
    entropy = -(p * np.log(p)).sum(-1)
    np.testing.assert_allclose(distribution.entropy(tf.constant(logits)), entropy, rtol=1e-5)
    kl = (p * np.log(p / q)).sum(-1)
    found = distribution.kl(tf.constant(logits), tf.constant(others))
    np.testing.assert_allclose(found, kl, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(distribution.mode(tf.constant(logits)), p.argmax(-1))


def test_it_is_permuted_with_its_logits():
    rep = regular_representation(cyclic_group(3))
    assert Categorical(3).representation(rep) is rep
    logits, action = np.array([0.3, -1.0, 1.2], np.float32), np.int32(1)
    matrix = rep.matrices[1].astype(np.float32)
    moved = tf.constant(int(np.argmax(matrix[:, action])))
    distribution = Categorical(3)
    np.testing.assert_allclose(
        distribution.log_prob(tf.constant(matrix @ logits), moved),
        distribution.log_prob(tf.constant(logits), tf.constant(action)),
        rtol=1e-6,
    )


@pytest.mark.parametrize("number", [0, 1.5, "two"])
def test_a_number_of_actions_that_is_none_is_refused(number):
    with pytest.raises(ValueError, match="num_actions"):
        Categorical(number)
