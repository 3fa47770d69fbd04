"""The gymnasium adapters step the functional core, and equal gymnasium's CartPole-v1."""

from __future__ import annotations

import warnings

import gymnasium
import numpy as np
import pytest
import tensorflow as tf
from gymnasium.utils.env_checker import check_env

from tf_equirl import envs

ID = "tf_equirl/CartPole-v1"


def balance(observation):
    return int(observation[2] + 0.5 * observation[3] > 0)


def test_check_env():
    """The only warnings are gymnasium's of unbounded spaces, which its own CartPole raises too."""
    env = gymnasium.make(ID)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_env(env.unwrapped)
    with warnings.catch_warnings(record=True) as expected:
        warnings.simplefilter("always")
        check_env(gymnasium.make("CartPole-v1", disable_env_checker=True).unwrapped, None, True)
    allowed = {str(w.message) for w in expected if "infinity" in str(w.message)}
    assert {str(w.message) for w in caught} == allowed


def test_trajectories_equal_cartpole_v1():
    """Same seeds, same 1200 steps through `gymnasium.make`, time limit included."""
    ours, reference = gymnasium.make(ID), gymnasium.make("CartPole-v1")
    assert ours.observation_space == reference.observation_space
    assert ours.action_space == reference.action_space
    assert ours.spec.max_episode_steps == reference.spec.max_episode_steps
    assert ours.spec.reward_threshold == reference.spec.reward_threshold
    rng = np.random.default_rng(0)
    ends, episode, finished = set(), 0, True
    for _ in range(1200):
        if finished:
            observation, info = ours.reset(seed=episode)
            expected, _ = reference.reset(seed=episode)
            np.testing.assert_allclose(observation, expected, rtol=1e-6)
            assert observation.dtype == np.float32
            assert info == {}
            episode += 1
        action = balance(observation) if episode % 2 else int(rng.integers(2))
        observation, *results = ours.step(action)
        expected, *expected_results = reference.step(action)
        np.testing.assert_allclose(observation, expected, rtol=1e-6, atol=1e-6)
        assert results == expected_results
        finished = results[1] or results[2]
        ends.add(tuple(results[1:3]))
    assert {(True, False), (False, True)} <= ends


def test_reset_options():
    ours, reference = gymnasium.make(ID), gymnasium.make("CartPole-v1")
    options = {"low": -0.2, "high": 0.1}
    np.testing.assert_allclose(
        ours.reset(seed=3, options=options)[0],
        reference.reset(seed=3, options=options)[0],
        rtol=1e-6,
    )


@pytest.mark.parametrize(
    "options",
    [{"lo": 0.1}, {"low": "a"}, {"low": None}, {"high": float("inf")}, {"low": 0.2}, {3: 1}],
)
@pytest.mark.parametrize("make", [gymnasium.make, gymnasium.make_vec])
def test_wrong_reset_options(make, options):
    with pytest.raises(ValueError, match=r"`options.*Received: options="):
        make(ID).reset(options=options)


@pytest.mark.parametrize("action", [2, -1, 0.5, [0, 1], "left", None])
def test_wrong_actions(action):
    env = gymnasium.make(ID, disable_env_checker=True)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"`action` .*Received: action="):
        env.step(action)


@pytest.mark.parametrize("actions", [[0, 2, 1], [0, 1], 0, [0.0, 1.0, 0.0]])
def test_wrong_vector_actions(actions):
    env = gymnasium.make_vec(ID, num_envs=3)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"`action` .*Received: action="):
        env.step(np.array(actions))


def test_stepping_needs_an_episode():
    env = envs.GymnasiumEnv("CartPole")
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(0)
    env.reset(seed=0)
    while not env.step(0)[2]:
        pass
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(0)
    with pytest.raises(gymnasium.error.ResetNeeded):
        envs.GymnasiumVectorEnv("CartPole").step([0])


@pytest.mark.parametrize("adapter", [envs.GymnasiumEnv, envs.GymnasiumVectorEnv])
def test_an_environment_without_render_modes(adapter):
    class Blind(envs.CartPole):
        render_modes = ()

    env = adapter(Blind())
    assert env.metadata["render_modes"] == []
    with pytest.raises(ValueError, match="modes of CartPole: none. Received: render_mode='rgb_ar"):
        adapter(Blind(), render_mode="rgb_array")
    env.reset(seed=0)
    with pytest.warns(UserWarning, match="without a render mode"):
        assert env.render() is None


def test_python_runs_once():
    """However often an environment is stepped: its functions are traced."""

    class Counted(envs.CartPole):
        calls = 0

        def transition(self, state, action, uniforms):
            Counted.calls += 1
            return super().transition(state, action, uniforms)

    env, vector = envs.GymnasiumEnv(Counted()), envs.GymnasiumVectorEnv(Counted(), 2)
    for seed in range(3):
        env.reset(seed=seed)
        vector.reset(seed=seed, options={"low": -0.01 * seed})
        for action in (0, np.int64(1), np.array(0)):
            env.step(action)
            vector.step(np.array([action, 1]))
    assert Counted.calls == 2


def test_without_a_seed_episodes_equal_cartpole_v1_too():
    """Steps draw no numbers, as the dynamics needs none: the next reset's are gymnasium's."""
    ours, reference = gymnasium.make(ID), gymnasium.make("CartPole-v1")
    for env in (ours, reference):
        env.reset(seed=3)
    for _ in range(5):
        for action in range(2):
            for mine, expected in zip(ours.step(action), reference.step(action), strict=True):
                np.testing.assert_array_equal(mine, expected)
        np.testing.assert_array_equal(ours.reset()[0], reference.reset()[0])


def test_vector_environment_follows_the_functional_core():
    """600 steps of 4 copies, half of them balancing until they are truncated."""
    num_envs = 4
    env = gymnasium.make_vec(ID, num_envs=num_envs, max_episode_steps=100)
    assert env.metadata["autoreset_mode"] is gymnasium.vector.AutoresetMode.SAME_STEP
    core = envs.CartPole(dtype="float64", max_episode_steps=100)
    step = tf.function(core.step_with_uniforms, autograph=False)
    draws, rng = np.random.default_rng(5), np.random.default_rng(6)
    observations, infos = env.reset(seed=5)
    assert infos == {}
    state = core.initial_state(tf.constant(draws.random((num_envs, 4))))
    np.testing.assert_array_equal(observations, core.observe(state))
    ends = {"terminated": 0, "truncated": 0}
    for _ in range(600):
        actions = rng.integers(2, size=num_envs)
        actions[:2] = [balance(observation) for observation in observations[:2]]
        observations, rewards, terminated, truncated, infos = env.step(actions)
        state, true_next, reward, expected_terminated, expected_truncated = step(
            state, tf.constant(actions, tf.int32), tf.constant(draws.random((num_envs, 4)))
        )
        np.testing.assert_array_equal(rewards, reward)
        np.testing.assert_array_equal(terminated, expected_terminated)
        np.testing.assert_array_equal(truncated, expected_truncated)
        np.testing.assert_array_equal(observations, core.observe(state))
        ended = terminated | truncated
        if not ended.any():
            assert infos == {}
            continue
        np.testing.assert_array_equal(infos["_final_obs"], ended)
        np.testing.assert_array_equal(infos["_final_info"], ended)
        for i in range(num_envs):
            if ended[i]:
                np.testing.assert_array_equal(infos["final_obs"][i], true_next[i])
            else:
                assert infos["final_obs"][i] is None
        ends["terminated"] += int(terminated.sum())
        ends["truncated"] += int(truncated.sum())
    assert min(ends.values()) >= 5


def test_vector_infos_have_the_form_of_sync_vector_env():
    """Both are brought to the end of all episodes by one action repeated."""
    ours = gymnasium.make_vec(ID, num_envs=2)
    sync = gymnasium.make_vec(
        "CartPole-v1",
        num_envs=2,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": gymnasium.vector.AutoresetMode.SAME_STEP},
    )
    infos = []
    for env in (ours, sync):
        env.reset(seed=0)
        while True:
            *_, info = env.step(np.array([1, 1]))
            if info:
                break
        infos.append(info)
    mine, expected = infos
    assert mine.keys() == expected.keys()
    assert mine["final_info"] == expected["final_info"]
    for key in ("final_obs", "_final_obs", "_final_info"):
        assert mine[key].dtype == expected[key].dtype
        assert mine[key].shape == expected[key].shape


@pytest.mark.parametrize("num_envs", [0, 1.5])
def test_wrong_number_of_copies(num_envs):
    with pytest.raises(ValueError, match="`num_envs` must be a positive integer"):
        envs.GymnasiumVectorEnv("CartPole", num_envs)


def test_vector_time_limit_can_be_set():
    env = gymnasium.make_vec(ID, num_envs=2, max_episode_steps=3)
    env.reset(seed=0)
    assert [env.step([0, 1])[3].tolist() for _ in range(6)] == [
        [step in (3, 6)] * 2 for step in range(1, 7)
    ]


def test_gymnasiums_own_vectorization_takes_the_single_environment():
    env = gymnasium.make_vec(ID, num_envs=2, vectorization_mode="sync")
    observations, _ = env.reset(seed=7)
    single = gymnasium.make(ID)
    for i in range(2):
        np.testing.assert_array_equal(observations[i], single.reset(seed=7 + i)[0])
