"""`train_sac` and `load_sac_result`, as a user calls them."""

import csv
import dataclasses
import json

import keras
import numpy as np
import pytest
from agent_cases import Stop, assert_same
from gymnasium_cases import Counter, Slide
from sac_cases import SEEDS, SMALL, Puck

from tf_equirl import envs, evaluation
from tf_equirl.agents import (
    NonFiniteError,
    SACConfig,
    TrainingResult,
    load_dqn_result,
    load_sac_result,
    train_sac,
)
from tf_equirl.experiments import returns_table
from tf_equirl.testing import equivariance_error
from tf_equirl.training import replay

ENV = Puck()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    return train_sac(ENV, SMALL, SEEDS, folder, evaluate_every=6, evaluation_episodes=3)


def test_a_run_folder_has_what_runs_have(finished):
    run = json.loads((finished.run_dir / "run.json").read_text())
    assert SACConfig.from_json(run["config"]) == SMALL
    assert (run["trainer"], tuple(run["seeds"])) == ("train_sac", SEEDS)
    with (finished.run_dir / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(SEEDS) * SMALL.num_updates
    metrics = ["critic_loss", "actor_loss", "value", "entropy", "temperature"]
    assert list(rows[0])[3:] == ["mean_return", *metrics]
    row = next(r for r in rows if r["seed"] == "3" and r["update"] == "11")
    assert row["timestep"] == "480" and 0.5 < float(row["temperature"]) < 1
    assert (finished.run_dir / "evaluations.csv").exists()
    assert list((finished.run_dir / "tensorboard").glob("events.*"))


def test_the_result_is_one_of_training(finished, tmp_path):
    assert isinstance(finished, TrainingResult) and finished.finished
    assert finished.returns.shape == (5, 120) and finished.timesteps[-1] == 480
    actor = finished.actor(3)
    states = np.random.default_rng(0).normal(size=(7, 4)).astype("float32")
    actor.save(tmp_path / "actor.keras")
    reloaded = keras.models.load_model(tmp_path / "actor.keras")
    np.testing.assert_array_equal(reloaded(states), actor(states))
    one, other = (finished.q_function(3, number) for number in (1, 2))
    actions = np.random.default_rng(1).uniform(-1, 1, (7, 2)).astype("float32")
    assert np.abs(one([states, actions]) - other([states, actions])).max() > 1e-3
    with pytest.raises(ValueError, match="role must be one of actor, q_function_1, q_function_2"):
        finished.q_function(3, 0)
    assert returns_table({"SAC": finished}, [480]).row_count == 1


def law(actor, critics):
    """The largest deviation of policy and critics from their laws, over all elements."""
    symmetry, random = ENV.symmetry, np.random.default_rng(0)
    states = random.normal(size=(50, 4)).astype("float32")
    actions = random.uniform(-1, 1, (50, 2)).astype("float32")
    outputs = ENV.action_distribution.representation(symmetry.action)
    found = [equivariance_error(actor, states, symmetry.state, outputs).max]
    for critic in critics:
        values = critic([states, actions])
        for g in symmetry.group.elements:
            pair = symmetry.state.act(g, states), symmetry.action.act(g, actions)
            moved = critic([x.astype("float32") for x in pair])
            found.append(np.abs(moved - values).max())
    return max(found)


def test_policy_and_critics_keep_to_the_law_before_and_after_training(finished):
    learner = SMALL.learner(ENV)
    networks = [learner.networks[role] for role in ("actor", "q_function_1", "q_function_2")]
    assert law(networks[0], networks[1:]) < 1e-4
    long = train_sac(ENV, dataclasses.replace(SMALL, total_timesteps=4000), SEEDS)
    for seed in (5, 2):
        critics = [long.q_function(seed, number) for number in (1, 2)]
        assert law(long.actor(seed), critics) < 1e-3  # values are of some ten units
    start, end = (
        r.returns[:, part] for r, part in ((finished, slice(5, 40)), (long, slice(-40, None)))
    )
    assert np.nanmean(end) > np.nanmean(start) + 5  # it learns: from about -12 to -1
    free = dataclasses.replace(SMALL, actor="mlp", q_function="mlp").learner(ENV).networks
    assert law(free["actor"], [free["q_function_1"]]) > 1e-2


def test_evaluations_act_greedily(finished):
    played = evaluation.evaluate(finished.actor(9), ENV, episodes=3)
    assert finished.evaluations.returns.shape == (5, 2)
    np.testing.assert_allclose(finished.evaluations.returns[3, -1], played.mean, rtol=1e-5)


def test_a_result_is_read_back(finished):
    assert_same(load_sac_result(finished.run_dir, ENV), finished)
    with pytest.raises(ValueError, match="must hold a run of train_dqn. Received: .*train_sac"):
        load_dqn_result(finished.run_dir, ENV)


def test_an_interrupted_run_resumes_to_the_identical_result(finished, tmp_path):
    for i, after in enumerate((1, 5)):
        with pytest.raises(KeyboardInterrupt):
            train_sac(ENV, SMALL, SEEDS, tmp_path / "run", resume=i > 0, on_progress=Stop(after))
    assert_same(train_sac(ENV, SMALL, SEEDS, tmp_path / "run", resume=True), finished)
    # And is made longer: the memory does not depend on the length.
    longer = dataclasses.replace(SMALL, total_timesteps=40 * 14)
    more = train_sac(ENV, longer, SEEDS, tmp_path / "run", resume=True)
    assert_same(train_sac(ENV, longer, SEEDS), more)
    np.testing.assert_array_equal(more.returns[:, :120], finished.returns)


@pytest.mark.thorough
def test_a_seed_has_the_same_curve_whatever_the_others_are(finished):
    """In a block of four and in one of eight."""
    few = train_sac(ENV, SMALL, seeds=[3, 7, 8])
    np.testing.assert_array_equal(few.returns[0], finished.returns[2])
    for role, weights in few.weights.items():
        for ours, theirs in zip(weights, finished.weights[role], strict=True):
            np.testing.assert_array_equal(ours[0], theirs[2])
    assert not np.array_equal(finished.returns[0], finished.returns[2])


def test_configs_side_by_side_are_as_alone_also_where_one_is_lost(finished):
    """A seed that is lost is computed again up to there, and what others keep stays theirs."""
    explodes = dataclasses.replace(SMALL, learning_rate=1e30, actor_learning_rate=None)
    with pytest.warns(RuntimeWarning), pytest.raises(NonFiniteError) as error:
        train_sac(ENV, [SMALL, explodes], SEEDS[:4])
    sound, lost = error.value.result
    np.testing.assert_array_equal(sound.returns, finished.returns[:4])
    for role, weights in sound.weights.items():
        for ours, theirs in zip(weights, finished.weights[role], strict=True):
            np.testing.assert_array_equal(ours, theirs[:4])
    assert np.isnan(lost.returns[:, -1]).all() and np.isfinite(lost.weights["actor"][0]).all()


def test_what_cannot_be_trained_is_refused_before_any_work(monkeypatch, tmp_path):
    monkeypatch.setattr(replay, "free_memory", lambda: 10**6)
    large = dataclasses.replace(SMALL, buffer_size=2**23)
    with pytest.raises(ValueError, match=r"`buffer_size` must be such .* for each of 8 members"):
        train_sac(ENV, large, range(5), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    unbounded = envs.HostEnvironment(lambda: Slide(-np.inf, np.inf), name="Endless")
    wide = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    for env, arguments, message in (
        (envs.HostEnvironment(Counter), {}, "`env` must have continuous actions; train_dqn"),
        (envs.HostEnvironment(Slide), {}, 'policy="squashed_gaussian".* is a Gaussian'),
        (unbounded, {}, "a box of finite bounds.*Received: env=Endless, of bounds .-inf, -inf."),
        ("CartPole", {}, "`env` must have continuous actions"),
        (ENV, {"actor": wide}, "actor must give means, then logarithms of standard deviations"),
        (ENV, {"q_function": wide}, "q_function must take a list of observations and actions"),
        (ENV, {"q_function": "gcnn"}, "`q_function` must be a Keras 3 model, or None"),
        (ENV, {"config": 3}, "`config` must be a SACConfig or a l"),
        ("Nothing", {}, "Nothing"),
    ):
        with pytest.raises(ValueError, match=message):
            train_sac(env, **arguments)


@pytest.mark.slow
def test_it_swings_up_a_pendulum():
    """gymnasium's, of which a random policy has about -1,200 and a good one above -250."""
    env = envs.make("Pendulum-v1", policy="squashed_gaussian")
    config = SACConfig(
        hidden_units=(64, 64), learning_rate=1e-3, learning_starts=500, total_timesteps=8_000
    )
    result = train_sac(env, config, range(4))
    assert result.returns[:, -1].mean() > -400
