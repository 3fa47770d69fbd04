import numpy as np
import tensorflow as tf

from tf_equirl.agents.ppo.advantages import generalized_advantages


def _rollout(steps=40, batch=3, seed=0):
    rng = np.random.default_rng(seed)
    floats = [rng.normal(size=(steps, batch)).astype("float32") for _ in range(3)]
    terminated = rng.random((steps, batch)) < 0.1
    truncated = (rng.random((steps, batch)) < 0.1) & ~terminated
    return (*floats, terminated, truncated)


def _by_definition(rewards, values, next_values, terminated, truncated, discount, gae_lambda):
    """Equation 16 of the GAE paper as a sum of discounted temporal differences."""
    delta = rewards + discount * next_values * ~terminated - values
    advantages = np.zeros_like(rewards)
    for t in range(len(rewards)):
        weight = np.ones(rewards.shape[1])
        for later in range(t, len(rewards)):
            advantages[t] += weight * delta[later]
            weight = weight * discount * gae_lambda * ~(terminated | truncated)[later]
    return advantages


def test_it_is_the_sum_of_discounted_differences_of_the_episode():
    rollout = _rollout()
    ours = generalized_advantages(*map(tf.constant, rollout), discount=0.9, decay=0.9 * 0.8)
    np.testing.assert_allclose(ours, _by_definition(*rollout, 0.9, 0.8), atol=1e-5)


def test_it_agrees_with_tf_agents_when_that_is_given_the_true_final_value():
    from tf_agents.utils import value_ops

    rewards, values, next_values, terminated, truncated = _rollout(seed=1)
    # Where nothing is cut off, the next value is the value of the next state.
    next_values[:-1] = values[1:]
    ours = generalized_advantages(
        *map(tf.constant, (rewards, values, next_values, terminated, False & truncated)),
        0.99,
        0.99 * 0.95,
    )
    theirs = value_ops.generalized_advantage_estimation(
        values, next_values[-1], 0.99 * (1.0 - terminated).astype("float32"), rewards, 0.95
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_truncation_bootstraps_and_termination_does_not():
    one, no, yes = tf.ones([1, 1]), tf.constant([[False]]), tf.constant([[True]])
    cut_off = generalized_advantages(one, 0 * one, 10 * one, no, yes, 0.9, 0.95)
    ended = generalized_advantages(one, 0 * one, 10 * one, yes, no, 0.9, 0.95)
    both = generalized_advantages(one, 0 * one, 10 * one, yes, yes, 0.9, 0.95)
    np.testing.assert_allclose([cut_off[0, 0], ended[0, 0], both[0, 0]], [10.0, 1.0, 1.0])
