"""The race: agents are tuned alike, and what is told of them is what their curves say."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest

from tf_equirl.agents import PPOConfig
from tf_equirl.experiments import first_timestep_reaching
from tf_equirl.experiments.savings import (
    first_timesteps,
    saving,
    steps_of_half,
    steps_to_level,
)
from tf_equirl.experiments.tuning.search import environment_steps, gradient_steps
from tf_equirl.reproductions.race import TABLES, Race, race
from tf_equirl.reproductions.race.contest import SEARCH_SEEDS
from tf_equirl.reproductions.race.outputs import run_race, write_race
from tf_equirl.reproductions.race.report import _gradients_at
from tf_equirl.reproductions.thesis.outputs import Work

MLP = race("Catch").experiment.columns[0]
pytestmark = pytest.mark.usefixtures("without_xla")


def curves(slope, seeds=16, unknown=7, length=400, seed=0):
    """A result whose returns rise, with a beginning in which some are not known."""
    noise = np.random.default_rng(seed).normal(size=(seeds, length)).cumsum(axis=1) / 20
    returns = (noise + slope * np.arange(length)).astype(np.float32)
    returns[:3, :unknown] = np.nan
    return SimpleNamespace(
        returns=returns, num_environments=4, timesteps=4 * (1 + np.arange(length))
    )


def test_each_resampling_is_read_as_the_seeds_themselves_are():
    result = curves(1 / 30)
    found = first_timesteps(result, 5.0, resamples=20)
    assert found[0] == first_timestep_reaching(result, 5.0)
    known = ~np.isnan(result.returns).any(axis=0)
    rows = np.random.default_rng(0).integers(0, 16, [20, 16])
    for timestep, row in zip(found[1:], rows, strict=True):
        drawn = np.where(known, result.returns[row], np.nan)
        again = SimpleNamespace(**{**vars(result), "returns": drawn})
        assert timestep == first_timestep_reaching(again, 5.0)


def test_a_saving_is_a_ratio_of_steps_with_an_interval_that_holds_it():
    fast, slow = curves(1 / 15), curves(1 / 30, seed=1)
    found = saving(fast, slow, 5.0)
    expected = first_timestep_reaching(slow, 5.0) / first_timestep_reaching(fast, 5.0)
    assert found.value == expected and found.low < expected < found.high
    assert found.low > 1.2 and found.high < 2.5
    back = saving(slow, fast, 5.0)
    assert back.value == pytest.approx(1 / expected) and back.high < 1
    same = saving(fast, fast, 5.0)
    assert tuple(same) == (1.0, 1.0, 1.0), "the same seeds are drawn for both"


def test_levels_that_are_not_reached_are_never_reached():
    result, other = curves(1 / 30), curves(1 / 300)
    assert tuple(steps_to_level(result, 100.0)) == (np.inf,) * 3
    assert tuple(saving(result, other, 5.0)) == (np.inf,) * 3
    assert tuple(saving(other, result, 5.0)) == (0.0,) * 3
    assert np.isnan(saving(other, other, 100.0)).all()
    harmed = curves(1 / 30)
    harmed.returns[2, 300:] = np.nan
    assert np.isinf(first_timesteps(harmed, 5.0)).all()


def test_half_of_the_seeds_whatever_becomes_of_the_others():
    result = curves(1 / 30)
    result.returns[[0, 5, 9]] = -1000.0
    result.returns[0, :7] = np.nan
    alone = []
    for row in result.returns:
        one = SimpleNamespace(**{**vars(result), "returns": row[None]})
        alone.append(first_timestep_reaching(one, 5.0, window=40) or np.inf)
    found = steps_of_half(result, 5.0, window=40)
    assert found.value == np.sort(alone)[7] and found.low < found.value < found.high < np.inf
    result.returns[:9] = -1000.0
    assert np.isinf(steps_of_half(result, 5.0, window=40).value)


@pytest.mark.parametrize("environment", ["CartPole", "Catch"])
def test_every_agent_is_tuned_alike(environment):
    contest = race(environment)
    names = [column.name for column in contest.experiment.columns]
    searches = [contest.search(column) for column in contest.experiment.columns]
    for name, search in zip(names, searches, strict=True):
        assert search.seeds == SEARCH_SEEDS and not set(SEARCH_SEEDS) & set(range(128))
        assert (search.trials, search.method) == (24, "halving")
        own = {"model_learning_rate"} if name in ("dyna-mlp", "dyna-model", "dyna-both") else set()
        assert set(search.space) == {*searches[0].space, *own}
        assert {k: search.space[k] for k in searches[0].space} == dict(searches[0].space)
        assert search.space["learning_rate"].high == 3e-2
    steps = {environment_steps(column.config) for column in contest.experiment.columns}
    assert len(steps) == 1, "all have as many real steps"
    for what, ours, theirs in contest.savings:
        assert {ours, theirs} <= set(names), what
    for pair in contest.experiment.comparisons:
        assert set(pair) <= set(names)
    assert f"race-{environment.lower()}" in TABLES


def test_many_epochs_are_as_many_updates_as_planning_makes():
    for environment in ("CartPole", "Catch"):
        by_name = {c.name: c.config for c in race(environment).experiment.columns}
        planned = gradient_steps(by_name["dyna-perfect"])
        assert gradient_steps(by_name["mlp-epochs"]) == planned
        assert gradient_steps(by_name["both-epochs"]) == planned
        assert planned == 9 * gradient_steps(by_name["mlp"])


def test_gradient_steps_at_the_end_are_those_of_the_run():
    for column in race("Catch").experiment.columns:
        total = environment_steps(column.config)
        made = _gradients_at(column, np.array([0.0, total / 2, total]))
        assert made[0] == 0 and made[2] == gradient_steps(column.config)
        assert 0.3 < made[1] / made[2] < 0.7


@pytest.mark.thorough
def test_a_small_race_is_run_written_and_not_run_again(tmp_path):
    agent = PPOConfig(
        actor="mlp",
        hidden_units=(8,),
        rollout_steps=16,
        num_minibatches=2,
        num_epochs=1,
        total_timesteps=64 * 16,
    )
    contest = race("CartPole")
    kept = {"mlp": agent, "gcnn": dataclasses.replace(agent, actor="gcnn")}
    columns = tuple(
        dataclasses.replace(c, config=kept[c.name])
        for c in contest.experiment.columns
        if c.name in kept
    )
    experiment = dataclasses.replace(
        contest.experiment, columns=columns, timesteps=(500, 1000), levels=(10.0, 400.0)
    )
    small = Race(experiment, trials=8, search_seeds=(1000, 1001), savings=contest.savings)
    calls = []

    def call(trainer, *arguments, **options):
        calls.append(trainer)
        return trainer(*arguments, **options)

    work = Work(tmp_path, num_seeds=4, call=call)
    finish = run_race(small, work)
    assert len(calls) == 2 * (2 + 1)  # two lengths of the search, and the report
    table, page, told = write_race(small, finish, tmp_path / "race")
    assert table.row_count == 2
    best = {name: tuned.best_config for name, tuned in finish.tuned.items()}
    assert best["mlp"].learning_rate != agent.learning_rate
    assert [column.config for column in finish.results] == list(best.values())
    for result, config in zip(finish.results.values(), best.values(), strict=True):
        assert result.config == config and result.seeds == (0, 1, 2, 3)
    assert "Every agent had 8 trials" in page and "of 256 and 1,024 steps" in page
    row = next(line for line in page.splitlines() if line.startswith("| symmetry in the actor "))
    assert row.count("|") == 5 and "–" in row  # nobody reaches 400
    assert "> 1,024" in page and "race_frontier.csv" in told
    for suffix in (".md", ".csv", "_frontier.csv", ".png"):
        assert (tmp_path / f"race{suffix}").stat().st_size > 500
    settings = json.loads((tmp_path / "race_settings.json").read_text())
    assert "--settings" in told and list(settings) == ["mlp", "gcnn"]
    calls.clear()
    again = run_race(small, Work(tmp_path, num_seeds=4, call=call))
    assert [t.best for t in again.tuned.values()] == [t.best for t in finish.tuned.values()]
    assert len(calls) == 2  # finished runs, which are read

    given = run_race(small, Work(tmp_path / "given", num_seeds=4, settings=settings))
    assert not given.tuned and not list((tmp_path / "given").rglob("search.json"))
    for result, same in zip(given.results.values(), finish.results.values(), strict=True):
        assert result.config == same.config
        np.testing.assert_array_equal(result.returns, same.returns)
    _, page, _ = write_race(small, given, tmp_path / "again")
    assert "| MLP PPO" in page and "settings that were given" in page and " steps (succ" not in page
    assert json.loads((tmp_path / "again_settings.json").read_text()) == settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ppo": {}}, "settings must be of agents of the race, mlp, gcnn"),
        ({"mlp": {"learning_rate": 1e-3}}, "settings of mlp must name anneal_learning_rate, clip"),
        ({"mlp": [1e-3]}, "settings of mlp must name"),
        ({"mlp": "nan"}, "learning_rate"),
    ],
)
def test_settings_that_are_none_are_refused_before_anything_runs(settings, message, tmp_path):
    contest = race("Catch")
    if settings == {"mlp": "nan"}:
        values = {name: space.at(0.5) for name, space in contest.search(MLP).space.items()}
        settings = {"mlp": {**values, "learning_rate": float("nan")}}
    with pytest.raises(ValueError, match=message):
        run_race(contest, Work(tmp_path / "none", settings=settings))
    assert not (tmp_path / "none").exists()
