"""dm_control's ball in a cup through the host engine, where dm_control is installed."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from compiling import uncompiled

from tf_equirl import agents, envs
from tf_equirl.envs.ball_in_cup import BallInCup, broken_ball_in_cup, restore

NAME = "tf_equirl.envs.ball_in_cup:BallInCup"


@pytest.fixture
def installed():
    pytest.importorskip("dm_control", reason="needs the extra 'dmc'")
    pytest.importorskip("shimmy", reason="needs the extra 'dmc'")


def observations(count, seed=0):
    """Cup about its place, ball within the string's reach, both in motion."""
    rng = np.random.default_rng(seed)
    angle, radius = rng.uniform(0, 2 * np.pi, count), rng.uniform(0.05, 0.28, count)
    position = np.stack([0 * angle, 0 * angle, radius * np.sin(angle), radius * np.cos(angle)], 1)
    position[:, 3] += 0.6 - 0.108 - 0.2  # around the string's other end
    return np.hstack([position, rng.normal(size=[count, 4])])


def follow(env, states, actions):
    """Next observations [n, 8] and rewards, each from a state that is set."""
    rows = []
    for state, action in zip(states, actions, strict=True):
        env.reset()
        restore(env.unwrapped, state)
        observation, reward, *_ = env.step(action)
        flat = np.concatenate([observation["position"], observation["velocity"]])
        rows.append((flat, reward))
    return tuple(np.array(part) for part in zip(*rows, strict=True))


def actions_for(states, seed=1):
    return np.random.default_rng(seed).uniform(-1, 1, [len(states), 2])


def test_without_dm_control_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "dm_control", None)
    with pytest.raises(ImportError, match=r"pip install 'tf_equirl\[dmc\]'"):
        broken_ball_in_cup()


@pytest.mark.parametrize(
    ("arguments", "name"), [({"breaking": "wind"}, "breaking"), ({"kappa": -1}, "kappa")]
)
def test_wrong_arguments(arguments, name):
    with pytest.raises(ValueError, match=f"`{name}` must be .* Received: {name}="):
        BallInCup(**arguments)


def test_it_is_made_by_its_class(installed):
    env = envs.make(NAME, breaking="gain", kappa=0.5, policy="squashed_gaussian")
    envs.check_environment(env)
    assert (env.name, env.observation_shape, env.max_episode_steps) == ("BallInCup", (8,), 1000)
    assert env.get_config()["arguments"] == {"breaking": "gain", "kappa": 0.5}
    assert envs.registry.recipe(env)["arguments"]["kappa"] == 0.5
    assert type(env.action_distribution).__name__ == "SquashedGaussian"


def test_the_mirror_is_exact_where_it_is_not_broken(installed):
    report = envs.check_symmetry(BallInCup(), states=observations(100), restore=restore)
    assert report.verdict == "exact", str(report)


@pytest.mark.parametrize("kind", ["gain", "gravity", "reflect", "repeat"])
def test_every_breaking_breaks_it_and_zero_does_not(installed, kind):
    states = observations(60)
    report = envs.check_symmetry(BallInCup(kind), states=states, restore=restore)
    assert report.verdict == "broken"
    actions = actions_for(states)
    plain = follow(broken_ball_in_cup(), states, actions)
    for x, y in zip(follow(broken_ball_in_cup(kind, 0), states, actions), plain, strict=True):
        np.testing.assert_array_equal(x, y)


def test_the_published_breakings(installed):
    states = observations(100, seed=2)
    actions = actions_for(states)
    inside = (states[:, 2] > 0) & (states[:, 3] > 0.3)
    assert 10 < inside.sum() < 90
    plain = broken_ball_in_cup()
    once = follow(plain, states, actions)[0]
    back = follow(plain, states, -actions)[0]
    reflected = follow(broken_ball_in_cup("reflect"), states, actions)[0]
    np.testing.assert_allclose(reflected, np.where(inside[:, None], back, once), atol=1e-12)
    repeated, mean = follow(broken_ball_in_cup("repeat"), states, actions)
    for state, action, moved, reward, broken in zip(
        states, actions, repeated, mean, inside, strict=True
    ):
        plain.reset()
        restore(plain.unwrapped, state)
        rewards = []
        for _ in range(2 if broken else 1):
            observation, one, *_ = plain.step(action)
            rewards.append(one)
        np.testing.assert_allclose(
            moved, np.concatenate([observation["position"], observation["velocity"]]), atol=1e-9
        )
        assert reward == pytest.approx(np.mean(rewards))


def test_gain_goes_beyond_the_range_of_controls(installed):
    states = observations(40, seed=3)
    full = np.ones([40, 2])
    faster = follow(broken_ball_in_cup("gain", 1.0), states, full)[0]
    plain = follow(broken_ball_in_cup(), states, full)[0]
    assert np.all(faster[:, 4] > plain[:, 4])


def test_actions_outside_of_the_box_are_cut_off(installed):
    states = observations(10, seed=4)
    far, full = (follow(broken_ball_in_cup(), states, x * np.ones([10, 2])) for x in (3.0, 1.0))
    for x, y in zip(far, full, strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.thorough
@uncompiled()
def test_ppo_trains_on_the_host(installed):
    config = agents.PPOConfig(
        actor="gcnn", critic="invariant", total_timesteps=256, num_environments=2, rollout_steps=64
    )
    result = agents.train_ppo(BallInCup(max_episode_steps=50), config, seeds=range(2))
    assert np.isfinite(result.returns[:, -1]).all()
