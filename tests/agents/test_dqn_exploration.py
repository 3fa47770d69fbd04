"""How epsilon decreases, and the policy that it makes of values."""

import numpy as np
import pytest
import tensorflow as tf

from tf_equirl.agents import DQNConfig
from tf_equirl.agents.dqn.exploration import epsilon_greedy
from tf_equirl.distributions import Categorical

VALUES = tf.constant([[1.0, 3.0, 2.0], [0.0, -1.0, -1.0], [5.0, 5.0, 4.0]])


def test_epsilon_decreases_as_the_config_says():
    linear = DQNConfig(epsilon_start=0.9, epsilon_end=0.1, epsilon_steps=400)
    found = [linear.epsilon(t) for t in (0, 100, 200, 400, 10**9)]
    np.testing.assert_allclose(found, [0.9, 0.7, 0.5, 0.1, 0.1], rtol=1e-6)
    published = DQNConfig.preset("snake-published")
    for t in (0, 1, 40_000, 200_000):
        assert published.epsilon(t) == pytest.approx(0.01 + 0.99 * np.exp(-t / 40_000), rel=1e-5)


def test_the_policy_is_epsilon_greedy():
    epsilon = tf.constant([0.3, 0.0, 0.6])
    found = np.exp(epsilon_greedy(VALUES, epsilon))
    # Of two equal ones each has half.
    expected = [[0.1, 0.8, 0.1], [1.0, 0.0, 0.0], [0.4, 0.4, 0.2]]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    drawn = Categorical(3).sample(
        tf.repeat(epsilon_greedy(VALUES, epsilon)[:, tf.newaxis], 20_000, axis=1),
        tf.random.stateless_uniform([3, 20_000, 1], [0, 1]),
    )
    shares = [np.bincount(row, minlength=3) / 20_000 for row in drawn]
    np.testing.assert_allclose(shares, expected, atol=0.015)  # four standard deviations
    assert shares[1][0] == 1.0


def test_permuted_values_give_permuted_probabilities():
    epsilon = tf.constant([0.2, 0.2, 0.2])
    found = epsilon_greedy(VALUES, epsilon).numpy()
    for order in ([1, 2, 0], [2, 1, 0], [0, 2, 1]):
        moved = epsilon_greedy(tf.gather(VALUES, order, axis=1), epsilon)
        np.testing.assert_array_equal(moved, found[:, order])


def test_rounding_decides_nothing_between_values_that_are_equal_without_it():
    values = tf.constant([[100.0, 100.00003, 99.0], [1e-3, 1.1e-3, 0.0]])
    found = np.exp(epsilon_greedy(values, tf.zeros([2])))
    np.testing.assert_allclose(found, [[0.5, 0.5, 0.0], [0.0, 1.0, 0.0]], atol=1e-6)
