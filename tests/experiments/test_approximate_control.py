"""SAC on control tasks of broken symmetry: what is trained, measured and written."""

from __future__ import annotations

import csv
import dataclasses
import json
from types import SimpleNamespace

import matplotlib.image
import numpy as np
import pytest

from tf_equirl import envs, evaluation
from tf_equirl.agents import NonFiniteError, train_sac
from tf_equirl.agents.sac.networks import make_networks
from tf_equirl.models.widths import trained_parameters
from tf_equirl.reproductions import approximate
from tf_equirl.reproductions.approximate import control as module
from tf_equirl.reproductions.approximate.control import (
    AGENTS,
    TASKS,
    Control,
    ControlCell,
    Measured,
)
from tf_equirl.reproductions.approximate.control_rates import (
    VARIANTS,
    ControlRates,
    rate_rows,
    rates_markdown,
)
from tf_equirl.reproductions.approximate.control_report import control_markdown, control_rows
from tf_equirl.reproductions.approximate.measures import best_rate
from tf_equirl.reproductions.approximate.outputs import run_control, write_control
from tf_equirl.reproductions.thesis.outputs import Work

pytestmark = pytest.mark.usefixtures("without_xla")


def test_tasks_are_in_order_and_broken_as_they_can_be():
    cells = [cell.name for cell in Control().cells()]
    assert cells[:5] == [
        f"cartpoleswingup-{kind}" for kind in ("none", "gain", "gravity", "reflect", "repeat")
    ]
    assert cells[5:9] == [f"reacher-{kind}" for kind in ("none", "gain", "reflect", "repeat")]
    assert len(cells) == 14 and cells[9] == "acrobot-none"
    for task in TASKS:
        table = approximate.TABLES[f"approximate-control-{task.lower()}"].make()
        assert {cell.task for cell in table.cells()} == {task} and table.name == Control.name


@pytest.mark.parametrize("task", TASKS)
def test_agents_have_as_many_parameters_and_settings_that_fit(task):
    control = Control()
    env = control.make(ControlCell(task, "none"))
    counts = {}
    for agent in AGENTS:
        networks = make_networks(env, control.config(agent, task))
        counts[agent] = [trained_parameters(network) for network in networks]
    for agent in AGENTS:
        np.testing.assert_allclose(counts[agent], counts["mlp"], rtol=0.03)
    assert len(TASKS[task].scales) == env.observation_shape[0]
    envs.NoisyObservations(env, TASKS[task].scales)  # as symmetric as the task
    kinds = {control.config(agent, task).q_function for agent in AGENTS}
    assert kinds == {"mlp", "gcnn", "relaxed", "rpp"}
    assert control.config("relaxed", task).relaxation_banks == 1


@pytest.fixture
def small(monkeypatch):
    """Two cells of a short task, and agents that learn for a moment."""
    short = {name: task._replace(max_episode_steps=8) for name, task in TASKS.items()}
    monkeypatch.setattr(module, "TASKS", short)
    base = dataclasses.replace(
        Control().base,
        hidden_units=(6, 6),
        total_timesteps=64,
        num_environments=2,
        rollout_steps=8,
        train_every=4,
        batch_size=8,
        learning_starts=16,
        buffer_size=64,
    )
    return Control(
        tasks=("Reacher",),
        breakings=("none", "gravity", "repeat"),
        base=base,
        rates=(1e-3, 1e-2),
        search_seeds=(1000, 1001),
        search_timesteps=32,
        num_seeds=3,
        episodes=3,
    )


@pytest.mark.slow
def test_cells_are_trained_measured_written_and_not_done_again(small, tmp_path, monkeypatch):
    calls = []

    def call(trainer, *arguments, **options):
        calls.append(trainer)
        return trainer(*arguments, **options)

    work = Work(tmp_path, call=call)
    found = run_control(small, work)
    assert calls == [train_sac] * (4 + 2 * 4)  # searches; gravity is none of a reacher's
    assert [cell.breaking for cell in found.measured] == ["none", "repeat"]
    for cell, agents in found.measured.items():
        for agent, measured in agents.items():
            config = measured.result.config
            assert config.learning_rate == best_rate(found.rates[agent])
            assert measured.result.seeds == (0, 1, 2) and measured.area.shape == (3,)
            assert list(measured.returns) == [0.0, 0.1, 0.3]
            assert all(returns.shape == (3,) for returns in measured.returns.values())
            assert measured.spreads.shape == (3, 3 if agent == "relaxed" else 0)
            layers = {"relaxed": 3, "rpp": 3}.get(agent, 0)
            assert measured.certificates.shape == (3, layers) and cell.task == "Reacher"
    relaxed = found.measured[ControlCell("Reacher", "repeat")]["relaxed"]
    assert (relaxed.spreads > 0).all() and (relaxed.certificates > 0).all()

    page, told = write_control(small, found, tmp_path / "table")
    with (tmp_path / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["agent"] for row in rows] == 2 * list(AGENTS)
    assert {row["end_minus_exact"] for row in rows if row["agent"] == "exact"} == {"0.0"}
    assert "3 seeds, 3 episodes" in page and "table.csv" in told
    assert matplotlib.image.imread(tmp_path / "table.png").shape[1] > 300

    def not_again(*arguments, **options):
        raise AssertionError("policies were played again")

    monkeypatch.setattr(evaluation, "evaluate", not_again)
    again = run_control(small, work)
    assert next(iter(write_control(small, again, tmp_path / "again"))) == page
    more = dataclasses.replace(small, episodes=4)
    with pytest.raises(AssertionError, match="played again"):
        run_control(more, work)


@pytest.mark.slow
def test_rates_and_decays_are_varied_on_seeds_of_their_own(small, tmp_path):
    study = ControlRates(small, ("Reacher",), (1e-3, 1e-2), (1000, 1001))
    found = study.run(tmp_path)
    assert list(found) == [("Reacher", name) for name in VARIANTS]
    for (_, name), by_rate in found.items():
        assert list(by_rate) == [1e-3, 1e-2]
        for rate, result in by_rate.items():
            assert (result.config.learning_rate, result.seeds) == (rate, (1000, 1001))
            for field, value in VARIANTS[name].fields.items():
                assert getattr(result.config, field) == value
    rows = rate_rows(found)
    page = rates_markdown(study, rows)
    assert len(rows) == 2 * len(VARIANTS) and "32 environment steps" in page
    assert all(variant.label in page for variant in VARIANTS.values())


def test_a_rate_at_which_a_seed_is_lost_is_not_the_best(small):
    row = {"task": "Reacher", "agent": "mlp", "seeds": 2, "timesteps": 32}
    rows = [
        {**row, "learning_rate": 1e-3, "area": 2.0, "area_error": 0.5},
        {**row, "learning_rate": 1e-2, "area": np.nan, "area_error": np.nan},
    ]
    page = rates_markdown(ControlRates(small, rates=(1e-3, 1e-2)), rows)
    assert "| Reacher | MLP     | 2.00 ± 0.50 | -      | 0.001  |" in page


def test_noise_is_added_in_the_scales_of_the_task(small, monkeypatch, tmp_path):
    seen = []

    def evaluate(actor, env, episodes):
        seen.append((actor, env.deviation, episodes))
        return SimpleNamespace(mean=2.0)

    monkeypatch.setattr(evaluation, "evaluate", evaluate)
    curves = np.array([[0.0, 1.0], [0.0, np.nan]])
    actors = {seed: SimpleNamespace(layers=[]) for seed in (7, 8)}
    result = SimpleNamespace(seeds=(7, 8), returns=curves, actor=actors.get)
    cell = ControlCell("Reacher", "none")
    found = small.measure(result, cell, tmp_path / "returns.json").returns
    assert list(found) == [0.0, 0.1, 0.3]
    for returns in found.values():
        assert returns[0] == 2.0 and np.isnan(returns[1])  # that one became non-finite
    played, deviations, episodes = zip(*seen, strict=True)
    assert played == 3 * (actors[7],) and set(episodes) == {3}
    scales = np.array(TASKS["Reacher"].scales)
    np.testing.assert_allclose(deviations, np.outer(list(found), scales))


def test_a_search_survives_rates_that_are_too_large(small):
    assert best_rate({1e-3: 1.0, 3e-3: 2.0, 1e-2: np.nan}) == 3e-3
    with pytest.raises(ValueError, match="areas must hold a finite one"):
        best_rate({1e-3: np.nan})

    def fails(*arguments):
        raise NonFiniteError("too large", (1000,), 3, list(arguments))

    assert module.as_far_as_finite(lambda f, *a: f(*a), fails, 1, 2) == [1, 2]


def measured(returns, small, spread=0.0):
    curve = np.array([[np.nan, x] for x in returns])
    networks = dict.fromkeys(("actor", "q_function_1"), SimpleNamespace(trainable_variables=[]))
    result = SimpleNamespace(
        seeds=tuple(range(len(returns))),
        timesteps=np.array([1, 2]),
        returns=curve,
        config=small.base,
        networks=networks,
        run_seconds=1.0,
    )
    values = np.array(returns, float)
    layers = np.full([len(returns), 2 if spread else 0], spread)
    return Measured(result, {0.0: values, 0.1: values / 2, 0.3: values / 4}, layers, layers)


def test_the_best_seed_need_not_be_of_the_best_agent(small):
    steady, lucky = [10, 11, 12, 13], [0, 1, 2, 100]
    agents = {
        "mlp": measured(lucky, small),
        "exact": measured(steady, small),
        "relaxed": measured([9, 9, 9, 9], small, spread=0.25),
        "rpp": measured([1, 2, np.nan, 4], small),
    }
    rows = control_rows({ControlCell("Reacher", "none"): agents})
    by_agent = {row["agent"]: row for row in rows}
    assert by_agent["mlp"]["end"] == 1.5 and by_agent["exact"]["end"] == 11.5  # the middle half
    assert by_agent["mlp"]["best_seed"] == 100
    assert by_agent["mlp"]["noise_0.1"] == 0.75
    assert by_agent["relaxed"]["end_minus_exact"] == -2.5
    assert by_agent["relaxed"]["spread_first"] == 0.25
    assert np.isnan(by_agent["rpp"]["end"]) and np.isnan(by_agent["exact"]["spread_first"])
    page = control_markdown(small, rows, {"mlp": {1e-3: 1.0, 1e-2: np.nan}})
    (best,) = [x for x in page.splitlines() if x.endswith("| MLP        | exact     |")]
    assert "100" in best
    (ends, *_) = [x for x in page.splitlines() if x.startswith("| Reacher | none")]
    assert ends.split("|")[6].strip() == "-"  # a seed of RPP is not known
    assert "| MLP     | 1.0     | -      | 0.001    |" in page


def test_what_is_kept_says_what_it_is_of(small, tmp_path, monkeypatch):
    values = iter(range(100))
    monkeypatch.setattr(
        evaluation,
        "evaluate",
        lambda actor, env, episodes: SimpleNamespace(mean=float(next(values))),
    )
    result = SimpleNamespace(
        seeds=(0, 1), returns=np.ones([2, 1]), actor=lambda seed: SimpleNamespace(layers=[])
    )
    file = tmp_path / "returns.json"
    cell = ControlCell("Reacher", "none")
    first = small.measure(result, cell, file)
    assert first.returns[0.3].tolist() == [4.0, 5.0]
    assert json.loads(file.read_text())["seeds"] == [0, 1]
    assert small.measure(result, cell, file).returns[0.3].tolist() == [4.0, 5.0]
    other = SimpleNamespace(**{**vars(result), "seeds": (0, 2)})
    assert small.measure(other, cell, file).returns[0.3].tolist() == [10.0, 11.0]
