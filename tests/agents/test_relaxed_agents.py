"""Agents whose networks begin equivariant and may learn not to be."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tf_equirl import envs, models
from tf_equirl.agents import PPOConfig, load_result, train_ppo
from tf_equirl.evaluation import model_equivariance_error
from tf_equirl.experiments.statistics import paired_difference
from tf_equirl.reproductions.approximate.cells import AGENTS, Cell, Cells
from tf_equirl.reproductions.approximate.cells_report import judge

# XLA compiles their layers in tests/layers/test_conformance.py.
pytestmark = pytest.mark.usefixtures("without_xla")

ENV = envs.make("CartPole", breaking="gain", kappa=2.0)
SHORT = PPOConfig(
    actor="relaxed",
    critic="relaxed",
    hidden_units=(6, 6),
    total_timesteps=1_536,
    learning_rate=1e-2,
    relaxation_rate=3.0,
    spread_penalty=0.1,
    spread_limit=0.05,
    relaxation_banks=2,
)


def weights_named(model, name):
    return [np.array(v) for v in model.trainable_variables if v.path.split("/")[-1] == name]


@pytest.fixture(scope="module")
def relaxed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("relaxed") / "run"
    return train_ppo(ENV, SHORT, range(3), folder), folder


@pytest.mark.thorough
def test_relaxed_networks_learn_to_be_less_than_equivariant(relaxed):
    result, _ = relaxed
    actor, critic = result.actor(1), result.model("critic", 1)
    for model in (actor, critic):
        assert all(np.abs(w).max() > 1e-4 for w in weights_named(model, "relaxation"))
        assert all(abs(w) > 1e-5 for w in weights_named(model, "multiplier"))
        assert model_equivariance_error(model, ENV).max > 1e-4
    config = dataclasses.replace(SHORT, total_timesteps=512)
    fresh = config.networks(ENV)[0]
    assert model_equivariance_error(fresh, ENV).max < 1e-5


@pytest.mark.thorough
def test_a_relaxed_run_is_read_and_resumed_to_the_bit(relaxed, tmp_path):
    result, folder = relaxed
    again = load_result(folder)
    np.testing.assert_array_equal(again.returns, result.returns)
    first = dataclasses.replace(SHORT, total_timesteps=512)
    train_ppo(ENV, first, range(3), tmp_path / "run")
    longer = train_ppo(ENV, SHORT, range(3), tmp_path / "run", resume=True)
    np.testing.assert_array_equal(longer.returns, result.returns)
    for one, other in zip(
        longer.actor(2).get_weights(), result.actor(2).get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_penalties_reach_the_agents():
    """Free parts that cost a lot become small."""
    config = dataclasses.replace(SHORT, actor="rpp", critic="rpp", prior_scale=1.0, free_decay=10.0)
    result = train_ppo(ENV, config, range(3))
    with models.seeded(0):
        fresh = config.networks(ENV)[0]
    before, after = (
        np.linalg.norm(np.concatenate([w.ravel() for w in weights_named(m, "free_kernel")]))
        for m in (fresh, result.actor(0))
    )
    assert after < 0.7 * before


def test_wrong_fields_are_named():
    for field, value in (
        ("relaxation_banks", 0),
        ("relaxation_side", "left"),
        ("relaxation_rate", 0.0),
        ("prior_scale", -1.0),
    ):
        with pytest.raises(ValueError, match=f"`{field}` must be"):
            PPOConfig(**{field: value})
    with pytest.raises(ValueError, match="`relaxation` must be of at most 2 banks"):
        PPOConfig(actor="relaxed", relaxation_banks=3).networks(ENV)


def test_agents_of_a_cell_have_as_many_parameters():
    cells = Cells()
    made = list(cells.cells())
    assert len(made) == 21 and made[0] == Cell("none", 0.0) and len(set(made)) == 21
    for agent in AGENTS:
        actor, critic = cells.config(agent).networks(cells.make(made[0]))
        for model, budget in ((actor, 4610), (critic, 4545)):
            count = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
            assert abs(count / budget - 1) < 0.03
        assert {"learning_rate"} < set(cells.space(agent))
    assert cells.make(Cell("gain", 2.0)).get_config()["kappa"] == 2.0


def test_a_cell_is_judged_by_the_best_and_those_as_good():
    random = np.random.default_rng(0)
    noise = random.normal(size=(len(AGENTS), 32))
    areas = {agent: 100 + row for agent, row in zip(AGENTS, noise, strict=True)}
    areas["rpp"] = areas["exact"] + 0.1 + random.normal(size=32)
    areas["mlp"] = areas["mlp"] - 50
    areas["orbit"] = areas["orbit"] + 50  # which is no network of its own
    areas["exact"] = areas["exact"] + 5
    exact, free = (
        envs.recommend(envs.make("CartPole", breaking="reflect", kappa=kappa), samples=50)
        for kappa in (0.0, 1.0)
    )
    judged = judge(areas, exact)
    assert (judged.best, judged.hit, judged.near) == ("exact", True, True)
    assert judged.as_good == ("exact",)
    assert judge(areas, free)[3:] == (False, False)
    areas["exact"] = areas["rpp"] - 0.01 + 0.1 * random.normal(size=32)
    judged = judge(areas, exact)
    assert judged.near and set(judged.as_good) >= {"exact", "rpp"}
    assert paired_difference(areas["rpp"], areas["exact"]).low <= 0
