"""CartPole equals gymnasium's CartPole-v1, step for step."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
import tensorflow as tf

from tf_equirl.envs import CartPole, CartPoleState


def random_action(rng, observation):
    return int(rng.integers(2))


def balancing_action(rng, observation):
    """Pushes towards where the pole falls; reaches the limit of 500 steps."""
    _, _, angle, angular_velocity = observation
    return int(angle + 0.5 * angular_velocity > 0)


def leaning_action(rng, observation):
    """Balances with a bias, so that the cart runs off the track."""
    _, _, angle, angular_velocity = observation
    return int(angle + 0.5 * angular_velocity > -0.02)


@pytest.mark.parametrize(
    ("policy", "ends"),
    [(random_action, "terminated"), (balancing_action, "truncated"), (leaning_action, "position")],
)
def test_float64_trajectories_equal_gymnasium(policy, ends):
    """1200 steps: observation, reward, terminated and truncated at every one of them.

    The state is never brought back to gymnasium's within an episode, and 500 steps about the
    upright pole amplify a difference by e^40: only steps that are equal to the bit pass.
    """
    rng = np.random.default_rng(1)
    reference = gymnasium.make("CartPole-v1")
    env = CartPole(dtype="float64")
    step = tf.function(env.step_with_uniforms, autograph=False)
    seen = set()

    def start(seed):
        observation, _ = reference.reset(seed=seed)
        physics = tf.constant(reference.unwrapped.state, tf.float64)
        return CartPoleState(physics, tf.constant(0)), observation

    state, observation = start(0)
    for t in range(1, 1201):
        action = policy(rng, observation)
        expected = reference.step(action)
        uniforms = tf.constant(rng.random(4))
        state, after, reward, terminated, truncated = step(state, tf.constant(action), uniforms)
        observation = expected[0]
        np.testing.assert_allclose(after, observation, rtol=1e-6, atol=1e-6)
        assert (float(reward), bool(terminated), bool(truncated)) == expected[1:4]
        if terminated or truncated:
            assert int(state.steps) == 0
            if terminated and abs(observation[0]) > 2.4:
                seen.add("position")
            seen.add("terminated" if terminated else "truncated")
            state, observation = start(t)
    assert ends in seen


def test_terminated_and_truncated_at_the_same_step_are_both_reported():
    physics = [2.39, 3.0, 0.0, 0.0]  # leaves the track at the next step
    reference = gymnasium.make("CartPole-v1", max_episode_steps=1)
    reference.reset(seed=0)
    reference.unwrapped.state = np.array(physics)
    assert reference.step(1)[2:4] == (True, True)
    state = CartPole().state_from_observation(tf.constant(physics))
    *_, terminated, truncated = CartPole(max_episode_steps=1).step(state, 1, [0, 0])
    assert (bool(terminated), bool(truncated)) == (True, True)


def test_float32_steps_equal_gymnasium():
    """5000 random states, well beyond the limits on either side.

    A next state is a sum of at most 5 terms below 12, rounded to 24 bits: 1e-6 of its scale.
    """
    rng = np.random.default_rng(2)
    scale = np.array([4.0, 4.0, 0.35, 4.0])
    states = rng.uniform(-scale, scale, size=(5000, 4)).astype(np.float32)
    actions = rng.integers(2, size=5000)
    reference = gymnasium.make("CartPole-v1").unwrapped
    expected, flags = [], []
    for state, action in zip(states, actions, strict=True):
        reference.reset()
        reference.state = state.astype(np.float64)
        _, reward, terminated, *_ = reference.step(action)
        assert reward == 1.0
        expected.append(reference.state)
        flags.append(terminated)
    env = CartPole()
    start = env.state_from_observation(tf.constant(states))
    following, reward, terminated = env.transition(start, tf.constant(actions), tf.zeros([5000, 4]))
    expected = np.array(expected)
    np.testing.assert_allclose(following.physics, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(reward, np.ones(5000, np.float32))
    edge = np.minimum(
        np.abs(np.abs(expected[:, 0]) - 2.4), np.abs(np.abs(expected[:, 2]) - np.radians(12))
    )
    clear = edge > 1e-6
    assert clear.sum() > 4900
    np.testing.assert_array_equal(terminated.numpy()[clear], np.array(flags)[clear])
    assert 0.2 < np.mean(flags) < 0.9


def test_bounds_are_gymnasiums():
    space = gymnasium.make("CartPole-v1").observation_space
    low, high = CartPole().observation_bounds()
    np.testing.assert_array_equal(low, space.low)
    np.testing.assert_array_equal(high, space.high)


def test_initial_states_are_uniform_in_the_bounds():
    physics = CartPole().reset([3, 4], [10000]).physics.numpy()
    assert np.all(np.abs(physics) <= 0.05)
    # The mean of 10000 numbers of standard deviation 0.029 has a standard error of 0.00029.
    np.testing.assert_allclose(physics.mean(0), 0.0, atol=0.0015)
    np.testing.assert_allclose(physics.std(0), 0.1 / np.sqrt(12), rtol=0.05)
    np.testing.assert_allclose(np.corrcoef(physics.T), np.eye(4), atol=0.05)


@pytest.mark.parametrize(
    "arguments",
    [{"dtype": "float16"}, {"max_episode_steps": 0}, {"max_episode_steps": 1.5}],
)
def test_wrong_arguments(arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"`{name}` must .* Received: {name}="):
        CartPole(**arguments)
