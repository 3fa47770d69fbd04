"""The experiments with planning: what they compare, and what their reports say."""

from __future__ import annotations

import dataclasses

import matplotlib.image
import numpy as np
import pytest

from tf_equirl import dyna, envs, experiments, zoo
from tf_equirl.agents import PPOConfig
from tf_equirl.dyna import DynaConfig
from tf_equirl.dynamics.fit import build_model
from tf_equirl.models.widths import trained_parameters
from tf_equirl.reproductions import thesis

pytestmark = pytest.mark.usefixtures("without_xla")

EXPERIMENTS = {
    "4.5": thesis.supervised_cartpole(),
    "4.6": thesis.supervised_catch(),
    "5.2": thesis.supervised_ratios("CartPole"),
    "5.7": thesis.supervised_ratios("Catch"),
    "online CartPole": thesis.online_cartpole(),
    "online Catch": thesis.online_catch(),
    "4.11": thesis.dyna_sweep("CartPole"),
    "4.12": thesis.dyna_sweep("Catch"),
}
SMALL = {"total_timesteps": 640, "rollout_steps": 16, "hidden_units": (8, 8)}
NETWORKS = ("actor", "critic", "match_parameters", "match_critic_parameters")
PLANNING = {
    "planning_ratio": 0.5,
    "dyna_iterations": 2,
    "model_hidden_units": (8,),
    "max_model_steps": 3,
}


@pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=EXPERIMENTS.keys())
def test_networks_have_equal_sizes_and_every_agent_the_same_updates(experiment):
    env = envs.make(experiment.environment)
    shared, agents, learned = set(), {}, set()
    for column in experiment.columns:
        plans = isinstance(column.config, DynaConfig)
        c = column.config.agent if plans else column.config
        of_networks = {name: getattr(c, name) for name in NETWORKS}
        same = {name: getattr(PPOConfig(), name) for name in NETWORKS}
        shared.add(dataclasses.replace(c, total_timesteps=1_000_000, **same))
        agents[tuple(of_networks.values())] = c
        if plans and column.config.model is not None:
            learned.add(column.config.model)
        if column.frozen_model is not None:
            card = zoo.load(column.frozen_model).card
            assert card["environment"]["name"] == experiment.environment
    assert len(shared) == 1
    sizes = [[trained_parameters(m) for m in c.networks(env)] for c in agents.values()]
    np.testing.assert_allclose(sizes, [sizes[0]] * len(sizes), rtol=0.1)
    assert {model.predict_change for model in learned} <= {None}  # where states are real numbers
    counts = [trained_parameters(build_model(env, model)) for model in learned]
    np.testing.assert_allclose(counts, counts[:1] * len(counts), rtol=0.1)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Model-free and planning agents of one small experiment; those that plan stop earlier."""
    free = PPOConfig(actor="mlp", **SMALL)
    shorter = {**SMALL, "total_timesteps": 384}
    planner = DynaConfig.from_flat(actor="mlp", **shorter, **PLANNING)
    experiment = experiments.Experiment(
        "small",
        "Small",
        "CartPole",
        (128, 384),
        (1.0, 499.0),
        (
            experiments.Column("mlp", "MLP PPO", free),
            experiments.Column("dyna", "Dyna", planner),
        ),
        num_seeds=5,
    )
    folder = tmp_path_factory.mktemp("runs")
    return experiment, experiment.train(folder, seeds_per_chunk=8)


def part(result, rows):
    """The result of some of the seeds."""
    fields = ("returns", "first_returns", "planned_updates", "imagined_returns")
    return dataclasses.replace(
        result,
        seeds=tuple(np.array(result.seeds)[rows]),
        **{name: getattr(result, name)[rows] for name in fields},
        metrics={k: v[rows] for k, v in result.metrics.items()},
        model_metrics={k: v[rows] for k, v in result.model_metrics.items()},
        weights={role: [w[rows] for w in ws] for role, ws in result.weights.items()},
        run_seconds=1.5,
        seconds={"fit": 2.0, "plan": 3.0},
    )


@pytest.mark.thorough
def test_parts_of_a_run_are_joined(runs):
    _, results = runs
    whole = list(results.values())[1]
    joined = experiments.join_seeds([part(whole, slice(0, 2)), part(whole, slice(2, 5))])
    for name in ("seeds", "returns", "planned_updates", "imagined_returns", "planning_timesteps"):
        np.testing.assert_array_equal(getattr(joined, name), getattr(whole, name))
    np.testing.assert_array_equal(
        joined.model_metrics["mean_square"], whole.model_metrics["mean_square"]
    )
    assert {role: len(weights) for role, weights in joined.weights.items()} == {
        role: len(weights) for role, weights in whole.weights.items()
    }
    assert joined.networks == whole.networks
    assert (joined.num_environments, joined.run_dir) == (whole.num_environments, None)
    states, actions = np.ones((1, 4), np.float32), np.eye(2, dtype=np.float32)[:1]
    np.testing.assert_array_equal(
        joined.transition_model(4)([states, actions]), whole.transition_model(4)([states, actions])
    )
    assert joined.seconds == {"fit": 4.0, "plan": 6.0} and joined.run_seconds == 3.0


@pytest.mark.thorough
def test_a_frozen_model_is_handed_on(tmp_path, runs):
    experiment, results = runs
    column = dataclasses.replace(experiment.columns[1], frozen_model="cartpole-transition-mlp")
    asked = []

    def call(trainer, env, config, seeds, run_dir, *, resume):
        asked.append((env.name, config, tuple(seeds), trainer.func, trainer.keywords))
        return part(results[experiment.columns[1]], slice(0, len(seeds)))

    frozen = dataclasses.replace(experiment, columns=(column,))
    frozen.train(tmp_path, num_seeds=3, call=call)
    model = {"frozen_model": "cartpole-transition-mlp"}
    assert asked == [("CartPole", column.config, (0, 1, 2), dyna.train_dyna, model)]


@pytest.mark.thorough
def test_the_least_lead_is_the_smallest_difference(runs):
    _, results = runs
    free, dyna = results.values()
    timestep, difference = thesis.least_lead(dyna, free)
    cut, _ = experiments.common_part([free, dyna])
    assert cut.returns.shape == dyna.returns.shape
    np.testing.assert_array_equal(cut.returns, free.returns[:, : cut.returns.shape[1]])
    at = {
        t: (experiments.return_at(dyna, t) - experiments.return_at(cut, t)).mean()
        for t in range(64, 385, 64)
    }
    assert timestep == min(at, key=at.get)
    assert difference.mean == pytest.approx(at[timestep])
    with pytest.raises(ValueError, match="equal returns"):
        thesis.least_lead(free, free)


@pytest.mark.thorough
def test_the_report_says_what_planning_gained_and_cost(runs):
    experiment, results = runs
    rows = experiments.tidy_rows(experiment, results)
    assert rows[-1]["timestep"] == "first 384 steps"
    report = experiments.to_markdown(experiment, results, rows)
    assert "first 384 steps (area)" in report
    page = thesis.planning_markdown(experiment, results)
    cells = [[c.strip() for c in line.split("|")[1:-1]] for line in page.splitlines()]
    table = {row[0]: row[1:] for row in cells if row}
    _, dyna = results.values()
    assert table["planned steps per seed"] == ["192"]
    error = dyna.model_metrics["mean_square"][:, -1].mean()
    assert float(table["model error, last planning"][0]) == pytest.approx(error, rel=0.05)
    first = [experiments.first_timestep_reaching(r, 1.0) for r in results.values()]
    expected = ["" if steps is None else f"{first[0] / steps:.1f}" for steps in first]
    assert expected[0] == "1.0"
    assert table["1"] == expected and table["499"] == ["", ""]
    assert table["Dyna"][0] == "MLP PPO"


@pytest.mark.thorough
def test_figures(runs, tmp_path):
    free, dyna = runs[1].values()
    for name, draw in (("4.11", thesis.plot_sweep), ("5.2", thesis.plot_ratios)):
        experiment = dataclasses.replace(EXPERIMENTS[name], timesteps=(128, 384))
        results = {c: free if c.name == "mlp" else dyna for c in experiment.columns}
        image = tmp_path / f"{name}.png"
        draw(experiment, results, image)
        pixels = matplotlib.image.imread(image)
        assert pixels.std() > 0.05
        with pytest.raises(KeyError):  # every cell is drawn
            draw(experiment, dict(list(results.items())[:-1]), image)
