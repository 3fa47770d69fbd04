"""Runs that end before their end, because they reached a level or were told to."""

import dataclasses

import numpy as np
import pytest
from training_cases import Walk, events_of

from tf_equirl.agents import PPOConfig, load_result, train_ppo
from tf_equirl.training import train
from tf_equirl.training.stopping import first_reached, reached

CONFIG = PPOConfig(
    actor="mlp",
    hidden_units=(4,),
    rollout_steps=16,
    num_environments=2,
    total_timesteps=9 * 32,
    learning_rate=1e-2,
)
SEEDS = (3, 9, 4, 6)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return train_ppo("Catch", CONFIG, SEEDS, tmp_path_factory.mktemp("whole") / "run")


def at_updates(result):
    """Mean over seeds of the last finished return after each update."""
    ends = result.returns.reshape(len(result.seeds), -1, CONFIG.rollout_steps)[..., -1]
    return ends.mean(axis=0)


def assert_begins_as(result, whole, updates):
    assert result.finished == (updates == CONFIG.num_updates)
    times = updates * CONFIG.rollout_steps
    np.testing.assert_array_equal(result.returns, whole.returns[:, :times])
    for name, values in result.metrics.items():
        np.testing.assert_array_equal(values, whole.metrics[name][:, :updates])


def level_reached_late(means):
    """A level, and the updates after which the means first reach it: some, and not all."""
    for updates in range(2, len(means)):
        before, here = np.nanmax(means[: updates - 1], initial=-9), means[updates - 1]
        if here > before:
            return (here + before) / 2, updates
    raise AssertionError("no level is reached late")


def test_it_ends_with_the_first_update_that_reaches_the_level(whole, tmp_path):
    level, updates = level_reached_late(at_updates(whole))
    stopped = train_ppo("Catch", CONFIG, SEEDS, tmp_path, stop_at=level)
    assert_begins_as(stopped, whole, updates)
    saved = load_result(tmp_path)
    assert_begins_as(saved, whole, updates)
    assert events_of(tmp_path, "training/entropy")[0] == [32 * (1 + i) for i in range(updates)]
    shorter = dataclasses.replace(CONFIG, total_timesteps=updates * 32)
    there = train_ppo("Catch", shorter, SEEDS)
    for role, arrays in saved.weights.items():
        for a, b in zip(arrays, there.weights[role], strict=True):
            np.testing.assert_array_equal(a, b)
    # At the level there is nothing to do; beyond it the run goes on to its end.
    again = train_ppo("Catch", CONFIG, SEEDS, tmp_path, resume=True, stop_at=level)
    assert_begins_as(again, whole, updates)
    ended = train_ppo("Catch", CONFIG, SEEDS, tmp_path, resume=True, stop_at=1e6)
    assert_begins_as(ended, whole, CONFIG.num_updates)
    assert events_of(tmp_path, "training/entropy")[0] == [32 * (1 + i) for i in range(9)]


def test_where_there_are_evaluations_those_count(whole):
    options = {"evaluate_every": 2, "evaluation_episodes": 6}
    found = train_ppo("Catch", CONFIG, SEEDS, **options)
    means = found.evaluations.returns.mean(axis=0)
    level, number = level_reached_late(means)
    stopped = train_ppo("Catch", CONFIG, SEEDS, stop_at=level, **options)
    assert_begins_as(stopped, whole, 2 * number)
    expected = found.evaluations.returns[:, :number]
    np.testing.assert_array_equal(stopped.evaluations.returns, expected)


@pytest.mark.parametrize("answer", [True, np.True_])
def test_it_ends_when_on_progress_says_so(whole, tmp_path, answer):
    seen = []

    def told(progress):
        seen.append(progress.updates)
        return answer if progress.updates else None

    stopped = train_ppo("Catch", CONFIG, SEEDS, tmp_path, on_progress=told)
    updates = seen[-1]
    assert 0 < updates < CONFIG.num_updates
    assert_begins_as(stopped, whole, updates)
    ended = train_ppo("Catch", CONFIG, SEEDS, tmp_path, resume=True, on_progress=lambda p: 1)
    assert_begins_as(ended, whole, CONFIG.num_updates)


def test_it_may_be_told_before_the_first_update(whole, tmp_path):
    nothing = train_ppo("Catch", CONFIG, SEEDS, tmp_path, on_progress=lambda p: True)
    assert not nothing.finished
    assert nothing.returns.size == 0
    ended = train_ppo("Catch", CONFIG, SEEDS, tmp_path, resume=True)
    assert_begins_as(ended, whole, CONFIG.num_updates)


def test_new_seeds_catch_up_before_the_run_stops(whole, tmp_path):
    level, updates = level_reached_late(at_updates(whole))
    shorter = dataclasses.replace(CONFIG, total_timesteps=(updates - 1) * 32)
    train_ppo("Catch", shorter, SEEDS[:3], tmp_path)
    more = train_ppo("Catch", CONFIG, SEEDS, tmp_path, resume=True, stop_at=level)
    assert_begins_as(more, whole, updates)


def test_of_several_configs_each_has_to_be_there():
    values = np.array([[1.0, 3.0, 9.0, 9.0], [5.0, 5.0, 1.0, 1.0], [4.0, 6.0, 5.0, 5.0]])
    sound = np.ones_like(values, bool)
    assert first_reached(5.0, values, sound, [slice(0, 2), slice(2, 4)]) == 2
    assert first_reached(5.0, values, sound, [slice(0, 4)]) == 0
    assert first_reached(5.5, values, sound, [slice(0, 2), slice(2, 4)]) is None
    assert first_reached(None, values, sound, [slice(0, 4)]) is None


def test_lost_seeds_do_not_count_and_unknown_ones_are_waited_for():
    values, all_of_them = np.array([6.0, np.nan, 4.0]), np.ones(3, bool)
    assert not reached(5.0, values, all_of_them)
    assert reached(5.0, values, np.array([True, False, True]))
    assert not reached(5.1, values, np.array([True, False, True]))
    assert not reached(-1.0, values, ~all_of_them)


@pytest.mark.parametrize("level", [np.inf, np.nan, "much", True])
def test_bad_levels_are_refused_before_any_work(level, tmp_path):
    with pytest.raises(ValueError, match="`stop_at` must be a finite number, or None"):
        train_ppo("Catch", CONFIG, SEEDS, tmp_path / "run", stop_at=level)
    assert not (tmp_path / "run").exists()


def test_what_reports_no_returns_has_nothing_to_compare():
    with pytest.raises(ValueError, match="`stop_at` needs evaluate_every"):
        train(Walk(), SEEDS, stop_at=1.0)
