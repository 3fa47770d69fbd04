"""Grid world and Snake behind gymnasium's and tf-agents' interfaces."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
import tensorflow as tf

from tf_equirl import envs

IDS = {"GridWorld": "tf_equirl/GridWorld-v0", "Snake": "tf_equirl/Snake-v0"}
each = pytest.mark.parametrize("name", IDS)


def actions_of(env, observations, rng):
    """Random ones; a snake does not turn into the wall that it is at, to live longer."""
    actions = rng.integers(env.num_actions, size=len(observations))
    if env.name != "Snake":
        return actions
    heads = np.argwhere(observations[..., 0])[:, 1:]
    inwards = np.where(heads > 4, [0, 3], [2, 1])  # by rows, by columns
    sides = np.abs(heads - 4)
    return np.where(sides.max(axis=1) < 4, actions, inwards[range(len(heads)), sides.argmax(1)])


@each
def test_single_environments_step_as_the_functional_core(name):
    """Episodes to their ends, by NumPy and by TensorFlow, from the same float64 numbers."""
    env, core = gymnasium.make(IDS[name]), envs.make(name)
    assert env.spec.max_episode_steps == core.max_episode_steps
    assert env.observation_space == gymnasium.spaces.Box(0, 1, core.observation_shape, np.float32)
    advance = tf.function(core.advance, autograph=False)
    draws, rng = np.random.default_rng(3), np.random.default_rng(4)
    ends = []
    for episode in range(6):
        seed = 3 if episode == 0 else None
        observation, _ = env.reset(seed=seed)
        state = core.initial_state(tf.constant(draws.random(core.num_uniforms)))
        ended = False
        while not ended:
            np.testing.assert_array_equal(observation, core.observe(state))
            (action,) = actions_of(core, observation[None], rng)
            observation, reward, terminated, truncated, _ = env.step(action)
            numbers = tf.constant(draws.random(core.num_uniforms))
            _, state, *expected = advance(state, tf.constant(action), numbers)
            assert [reward, terminated, truncated] == [x.numpy() for x in expected]
            ended = terminated or truncated
        np.testing.assert_array_equal(observation, core.observe(state))
        ends.append((int(state.steps), terminated))
    assert len(set(ends)) > 3
    assert any(terminated for _, terminated in ends)


@each
def test_vector_environments_step_as_the_functional_core(name):
    env, core = gymnasium.make_vec(IDS[name], 4), envs.make(name)
    step = tf.function(core.step_with_uniforms, autograph=False)
    draws, rng = np.random.default_rng(5), np.random.default_rng(6)
    observations, _ = env.reset(seed=5)
    state = core.initial_state(tf.constant(draws.random((4, core.num_uniforms))))
    ended = 0
    for _ in range(150):
        np.testing.assert_array_equal(observations, core.observe(state))
        actions = actions_of(core, observations, rng)
        observations, *results, infos = env.step(actions)
        numbers = tf.constant(draws.random((4, core.num_uniforms)))
        state, final, *expected = step(state, tf.constant(actions, tf.int32), numbers)
        for x, y in zip(results, expected, strict=True):
            np.testing.assert_array_equal(x, y)
        for i in np.flatnonzero(infos.get("_final_obs", [])):
            np.testing.assert_array_equal(infos["final_obs"][i], final[i])
            ended += 1
    assert ended > 4


@each
def test_tf_agents_environment(name):
    core = envs.make(name)
    env = envs.make_tf_agents(name, batch_size=4, seed=1)
    assert env.time_step_spec().observation.shape == core.observation_shape
    assert (env.action_spec().minimum, env.action_spec().maximum) == (0, core.num_actions - 1)
    rng = np.random.default_rng(0)
    time_step, seen = env.reset(), 0
    for _ in range(60):
        actions = actions_of(core, time_step.observation.numpy(), rng)
        time_step = env.step(tf.constant(actions, tf.int32))
        last = time_step.is_last().numpy()
        assert np.all(time_step.discount.numpy()[~last] == 1)
        seen += last.sum()
    assert seen > 0


@each
@pytest.mark.parametrize("mode", ["ansi", "rgb_array"])
def test_films(name, mode):
    env = gymnasium.make(IDS[name], render_mode=f"{mode}_list")
    core = envs.make(name)
    observation, _ = env.reset(seed=1)
    states = [core.state_from_observation(tf.constant(observation))]
    for action in (0, 1, 1):
        observation, *_ = env.step(action)
        states.append(core.state_from_observation(tf.constant(observation)))
    frames = env.render()
    assert len(frames) == 4
    for frame, state in zip(frames, states, strict=True):
        np.testing.assert_array_equal(frame, core.render(state, mode))
