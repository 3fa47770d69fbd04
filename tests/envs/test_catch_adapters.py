"""Catch behind gymnasium's and tf-agents' interfaces."""

from __future__ import annotations

import warnings

import gymnasium
import numpy as np
import pytest
import tensorflow as tf
from gymnasium.utils.env_checker import check_env

from tf_equirl import envs

ID = "tf_equirl/Catch-v0"
FORMS = {"flat": (50,), "board": (10, 5, 1)}


def follow(boards):
    """Moves the paddle towards the ball, on boards [..., 10, 5]; stays where the game has ended."""
    ball = np.argmax(boards[..., :-1, :].max(-2), -1)
    paddle = np.argmax(boards[..., -1, :], -1)
    return np.where(boards[..., :-1, :].any((-1, -2)), 1 + np.sign(ball - paddle), 1)


@pytest.mark.parametrize("form", FORMS)
def test_check_env_finds_nothing(form):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # gymnasium's logger
        check_env(gymnasium.make(ID, observation=form).unwrapped)


@pytest.mark.parametrize("form", FORMS)
def test_episodes(form):
    """20 games with each of two policies, through gymnasium's own wrappers."""
    env = gymnasium.wrappers.RecordEpisodeStatistics(gymnasium.make(ID, observation=form))
    assert env.spec.max_episode_steps is None
    assert env.spec.reward_threshold == 1.0
    assert env.observation_space == gymnasium.spaces.Box(0, 1, FORMS[form], np.float32)
    assert env.action_space == gymnasium.spaces.Discrete(3)
    rng = np.random.default_rng(0)
    returns, columns = {"follow": set(), "random": set()}, set()
    for episode in range(40):
        policy = "follow" if episode % 2 else "random"
        observation, info = env.reset(seed=episode)
        assert info == {}
        columns.add(int(np.argmax(np.reshape(observation, [10, 5])[0])))
        for t in range(1, 10):
            action = follow(observation.reshape(10, 5)) if policy == "follow" else rng.integers(3)
            observation, reward, terminated, truncated, info = env.step(int(action))
            assert env.observation_space.contains(observation)
            assert (terminated, truncated) == (t == 9, False)
            assert reward == 0.0 or terminated
        assert info["episode"]["l"] == 9
        assert info["episode"]["r"] == reward
        returns[policy].add(reward)
    assert returns == {"follow": {1.0}, "random": {-1.0, 1.0}}
    assert columns == set(range(5))


def test_stepping_needs_an_episode():
    env = envs.GymnasiumEnv("Catch", rows=2)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(0)
    env.reset(seed=0)
    assert env.step(0)[2]
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(0)


@pytest.mark.parametrize("make", [gymnasium.make, gymnasium.make_vec])
def test_size_and_ball_column(make):
    env = make(ID, rows=4, columns=7, observation="board")
    for column in range(7):
        board, _ = env.reset(seed=0, options={"ball_column": np.int64(column)})
        board = np.reshape(board, [4, 7])
        assert np.argwhere(board).tolist() == [[0, column], [3, 3]]


@pytest.mark.parametrize(
    "options",
    [{"ball_column": value} for value in (5, -1, 1.0, True, "0", None)] + [{"column": 1}],
)
@pytest.mark.parametrize("make", [gymnasium.make, gymnasium.make_vec])
def test_wrong_reset_options(make, options):
    with pytest.raises(ValueError, match=r"`options.*ball_column.*Received: options="):
        make(ID).reset(options=options)


@pytest.mark.parametrize("action", [3, -1, 0.5, [0, 1], None])
def test_wrong_actions(action):
    env = gymnasium.make(ID, disable_env_checker=True)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"`action` .*Received: action="):
        env.step(action)
    vector = gymnasium.make_vec(ID, num_envs=2)
    vector.reset(seed=0)
    with pytest.raises(ValueError, match=r"`action` .*Received: action="):
        vector.step([1, action])


@pytest.mark.parametrize("make", [gymnasium.make, gymnasium.make_vec])
def test_wrong_constructor_arguments(make):
    with pytest.raises(ValueError, match="`columns` must be .*Received: columns=4"):
        make(ID, columns=4)
    with pytest.raises(ValueError, match="`kwargs` must be arguments of Catch"):
        make(ID, width=5)


@pytest.mark.parametrize("form", FORMS)
def test_vector_environment(form):
    """Ten games of 16 copies; every first observation is a fresh board, every last one kept."""
    env = gymnasium.make_vec(ID, num_envs=16, observation=form)
    observations, _ = env.reset(seed=0)
    columns = set()
    for t in range(1, 91):
        actions = follow(observations.reshape(16, 10, 5))
        observations, rewards, terminated, truncated, infos = env.step(actions)
        assert env.observation_space.contains(observations)
        assert terminated.tolist() == [t % 9 == 0] * 16
        assert not truncated.any()
        if t % 9:
            assert not rewards.any() and infos == {}
            continue
        assert rewards.tolist() == [1.0] * 16
        final = np.stack(infos["final_obs"]).reshape(16, 10, 5)
        np.testing.assert_array_equal(final.sum((1, 2)), 1)  # ball and paddle share a cell
        np.testing.assert_array_equal(final[:, -1].sum(-1), 1)
        first = observations.reshape(16, 10, 5)
        np.testing.assert_array_equal(first[:, 0].sum(-1), 1)
        np.testing.assert_array_equal(first[:, -1, 2], 1)
        columns |= set(np.argmax(first[:, 0], -1).tolist())
    assert columns == set(range(5))


@pytest.mark.parametrize("form", FORMS)
def test_tf_agents_environment(form):
    env = envs.make_tf_agents(envs.Catch(observation=form), batch_size=8, seed=1)
    assert env.time_step_spec().observation.shape == FORMS[form]
    assert (env.action_spec().minimum, env.action_spec().maximum) == (0, 2)
    time_step = env.reset()
    for t in range(1, 31):  # an episode is a FIRST, 8 MIDs and a LAST
        actions = follow(time_step.observation.numpy().reshape(8, 10, 5))
        time_step = env.step(tf.constant(actions, tf.int32))
        last = t % 10 == 9
        assert time_step.is_first().numpy().tolist() == [t % 10 == 0] * 8
        assert time_step.is_last().numpy().tolist() == [last] * 8
        assert time_step.reward.numpy().tolist() == [1.0 if last else 0.0] * 8
        assert time_step.discount.numpy().tolist() == [0.0 if last else 1.0] * 8
    with pytest.raises(ValueError, match=r"`action` .*from 0 to 2.*Received: action="):
        env.step(tf.fill([8], 3))
