"""What uses gymnasium's interface finds ours as it expects it."""

from __future__ import annotations

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from tf_equirl import envs, zoo
from tf_equirl.exporting import export

IDS = sorted(name for name in gymnasium.registry if name.startswith("tf_equirl/"))


def test_every_environment_has_an_id():
    assert sorted(envs.make(name).gymnasium_id for name in envs.names()) == IDS


@pytest.mark.parametrize("name", IDS)
def test_gymnasiums_checker(name):
    """Gymnasium's own CartPole is warned of for its unbounded space, too."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.filterwarnings("ignore", ".*infinity. This is probably too (low|high)")
        check_env(gymnasium.make(name).unwrapped)


@pytest.mark.parametrize("name", IDS)
def test_vector_environments_keep_their_spaces_and_seeds(name):
    """Through a wrapper of gymnasium's, with the same numbers for the same seed."""
    task = envs.make(name.removeprefix("tf_equirl/").partition("-v")[0])
    # No episode of these ends before its time.
    limit = {"max_episode_steps": 50} if isinstance(task, envs.ControlTask) else {}
    rollouts = []
    for _ in range(2):
        vector = gymnasium.make_vec(name, 3, **limit)
        env = gymnasium.wrappers.vector.RecordEpisodeStatistics(vector)
        env.action_space.seed(2)
        observations, _ = env.reset(seed=1)
        rows = [observations.reshape(3, -1)]
        for _ in range(240):  # an episode of GridWorld has up to 100 steps
            assert observations in env.observation_space
            observations, rewards, terminated, truncated, infos = env.step(
                env.action_space.sample()
            )
            assert rewards.shape == terminated.shape == truncated.shape == (3,)
            assert terminated.dtype == truncated.dtype == bool
            rows.append(np.column_stack([observations.reshape(3, -1), rewards, terminated]))
        assert env.episode_count > 3
        rollouts.append(np.hstack(rows))
    np.testing.assert_array_equal(*rollouts)


def test_stable_baselines_learns_catch():
    """6,000 steps: a paddle that moves at random catches about every fifth ball, return -0.6."""
    stable_baselines3 = pytest.importorskip(
        "stable_baselines3", reason="needs pip install stable-baselines3"
    )
    import torch
    from stable_baselines3.common.env_util import make_vec_env

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # more of them wait for each other on networks this small
    agent = stable_baselines3.PPO(
        "MlpPolicy",
        make_vec_env("tf_equirl/Catch-v0", 4, seed=0),
        n_steps=64,
        n_epochs=8,
        learning_rate=2e-3,
        seed=0,
        device="cpu",
    )
    agent.learn(6_000)
    torch.set_num_threads(threads)
    assert np.mean([episode["r"] for episode in agent.ep_info_buffer]) > 0.5


def test_an_onnx_actor_balances(tmp_path):
    """A trained actor of the zoo, in a process that runs it without Keras."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs pip install onnxruntime")
    pytest.importorskip("tf2onnx", reason="needs pip install tf2onnx")
    path = tmp_path / "actor.onnx"
    export(zoo.load("cartpole-ppo-gcnn").actor, path, "onnx")
    session = onnxruntime.InferenceSession(path)
    (argument,) = session.get_inputs()
    for name in ("tf_equirl/CartPole-v1", "CartPole-v1"):
        env = gymnasium.make(name)
        observation, _ = env.reset(seed=0)
        total, ended = 0.0, False
        while not ended:
            (logits,) = session.run(None, {argument.name: observation[None]})
            observation, reward, terminated, truncated, _ = env.step(int(logits[0].argmax()))
            total += reward
            ended = terminated or truncated
        assert total == 500
