"""`train_dqn` and `load_dqn_result`, as a user calls them."""

import csv
import dataclasses
import json
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from dqn_cases import SEEDS, SMALL
from gymnasium_cases import Counter, Slide

from tf_equirl import envs, evaluation, models, training
from tf_equirl.agents import (
    DQNConfig,
    NonFiniteError,
    TrainingResult,
    load_dqn_result,
    load_result,
    train_dqn,
)
from tf_equirl.experiments import area_under_curve, returns_table
from tf_equirl.testing import equivariance_error
from tf_equirl.training import replay


class Stop:
    """Interrupts a run as Ctrl-C does, once it has made some updates."""

    def __init__(self, after):
        self.after = after

    def __call__(self, progress):
        if progress.updates >= self.after:
            raise KeyboardInterrupt


def assert_same(a, b):
    """Whether two results are equal to the last bit."""
    np.testing.assert_array_equal(a.returns, b.returns)
    np.testing.assert_array_equal(a.first_returns, b.first_returns)
    assert set(a.metrics) == set(b.metrics)
    for name, values in a.metrics.items():
        np.testing.assert_array_equal(values, b.metrics[name])
    for x, y in zip(a.weights["q_function"], b.weights["q_function"], strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    return train_dqn("CartPole", SMALL, SEEDS, folder, evaluate_every=6, evaluation_episodes=3)


def test_a_run_folder_has_what_runs_have(finished):
    run = json.loads((finished.run_dir / "run.json").read_text())
    assert DQNConfig.from_json(run["config"]) == SMALL
    assert (run["trainer"], tuple(run["seeds"])) == ("train_dqn", SEEDS)
    with (finished.run_dir / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(SEEDS) * SMALL.num_updates
    assert list(rows[0])[3:] == ["mean_return", "loss", "value", "gradient_norm", "epsilon"]
    row = next(r for r in rows if r["seed"] == "3" and r["update"] == "11")
    assert row["timestep"] == "480" and float(row["epsilon"]) == pytest.approx(0.05)
    assert (finished.run_dir / "evaluations.csv").exists()
    assert list((finished.run_dir / "tensorboard").glob("events.*"))


def test_the_result_is_one_of_training(finished, tmp_path):
    assert isinstance(finished, TrainingResult) and finished.finished
    assert finished.returns.shape == (5, 120) and finished.timesteps[-1] == 480
    model = finished.q_function(3)
    states = np.random.default_rng(0).normal(size=(7, 4)).astype("float32")
    model.save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(reloaded(states), model(states))
    np.testing.assert_array_equal(finished.actor(3)(states), model(states))
    np.testing.assert_array_equal(
        model.trainable_variables[0], finished.weights["q_function"][0][2]
    )
    symmetry = envs.make("CartPole").symmetry
    error = equivariance_error(model, states, symmetry.state, symmetry.action)
    assert error.max < 1e-4
    with pytest.raises(ValueError, match="role must be one of q_function"):
        finished.critic(3)
    assert np.isfinite(area_under_curve(finished)).all()
    assert returns_table({"DQN": finished}, [480]).row_count == 1


def test_evaluations_act_greedily_by_the_values(finished):
    played = evaluation.evaluate(finished.q_function(9), "CartPole", episodes=3)
    assert finished.evaluations.returns.shape == (5, 2)
    assert finished.evaluations.returns[3, -1] == played.mean


def test_a_result_is_read_back(finished):
    assert_same(load_dqn_result(finished.run_dir), finished)
    with pytest.raises(ValueError, match="must hold a run of train_ppo. Received: .*train_dqn"):
        load_result(finished.run_dir)


def test_an_interrupted_run_resumes_to_the_identical_result(finished, tmp_path):
    for i, after in enumerate((1, 5)):
        with pytest.raises(KeyboardInterrupt):
            train_dqn(
                "CartPole", SMALL, SEEDS, tmp_path / "run", resume=i > 0, on_progress=Stop(after)
            )
    assert_same(train_dqn("CartPole", SMALL, SEEDS, tmp_path / "run", resume=True), finished)
    # And is made longer: the memory does not depend on the length.
    longer = dataclasses.replace(SMALL, total_timesteps=40 * 14)
    more = train_dqn("CartPole", longer, SEEDS, tmp_path / "run", resume=True)
    assert_same(train_dqn("CartPole", longer, SEEDS), more)
    np.testing.assert_array_equal(more.returns[:, :120], finished.returns)


def test_a_seed_has_the_same_curve_whatever_the_others_are(finished):
    """In a block of four and in one of eight."""
    few = train_dqn("CartPole", SMALL, seeds=[3, 7, 8])
    np.testing.assert_array_equal(few.returns[0], finished.returns[2])
    for ours, theirs in zip(few.weights["q_function"], finished.weights["q_function"], strict=True):
        np.testing.assert_array_equal(ours[0], theirs[2])
    assert not np.array_equal(finished.returns[0], finished.returns[2])


def test_configs_side_by_side_are_as_alone_also_where_one_is_lost(finished):
    """A seed that is lost is computed again up to there, and what others keep stays theirs."""
    explodes = dataclasses.replace(SMALL, learning_rate=1e30)
    with pytest.warns(RuntimeWarning), pytest.raises(NonFiniteError) as error:
        train_dqn("CartPole", [SMALL, explodes], SEEDS[:4])
    sound, lost = error.value.result
    np.testing.assert_array_equal(sound.returns, finished.returns[:4])
    for ours, theirs in zip(
        sound.weights["q_function"], finished.weights["q_function"], strict=True
    ):
        np.testing.assert_array_equal(ours, theirs[:4])
    assert np.isnan(lost.returns[:, -1]).all() and np.isfinite(lost.weights["q_function"][0]).all()


def test_it_learns():
    """CartPole, of which a random policy has 22; in the program of the other tests."""
    fields = {"total_timesteps": 8000, "learning_rate": 3e-3, "epsilon_steps": 3000}
    result = train_dqn("CartPole", dataclasses.replace(SMALL, **fields), SEEDS)
    assert np.nanmean(result.returns[:, :200]) < 40
    assert result.returns[:, 1000:].mean() > 120


def test_a_schedule_that_does_not_end_is_told():
    slow = dataclasses.replace(SMALL, epsilon_steps=1000)
    told = r"run of 480 timesteps ends before its linear schedule .* is 0.54"
    # Nothing is trained: seeds are looked at behind that.
    with pytest.warns(UserWarning, match=told), pytest.raises(ValueError, match="seeds"):
        train_dqn("CartPole", slow, [])
    constant = dataclasses.replace(slow, epsilon_start=0.1, epsilon_end=0.1)
    with warnings.catch_warnings(), pytest.raises(ValueError, match="seeds"):
        warnings.simplefilter("error")
        train_dqn("CartPole", constant, [])


def test_what_cannot_be_trained_is_refused_before_any_work(monkeypatch, tmp_path):
    monkeypatch.setattr(replay, "free_memory", lambda: 10**6)
    large = dataclasses.replace(SMALL, buffer_size=2**23)
    with pytest.raises(ValueError, match=r"`buffer_size` must be such .* for each of 8 members"):
        train_dqn("CartPole", large, range(5), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    discrete, continuous = (envs.HostEnvironment(kind) for kind in (Counter, Slide))
    wide = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    for env, arguments, message in (
        (discrete, {}, "`env` must consist of functions of tensors.*train_ppo takes any"),
        (continuous, {}, "`env` must have discrete actions.*train_ppo have continuous ones"),
        ("CartPole", {"q_function": wide}, "q_function must give one value for each of the actio"),
        ("CartPole", {"q_function": "gcnn"}, "`q_function` must be a Keras 3 model, or None"),
        ("CartPole", {"config": training.OnPolicyConfig()}, "`config` must be a DQNConfig or a l"),
        ("Nothing", {}, "Nothing"),
    ):
        with pytest.raises(ValueError, match=message):
            train_dqn(env, **arguments)
    odd = models.actor(envs.make("CartPole").symmetry, "odd", (4,))  # any model that fits
    assert DQNConfig().learner(envs.make("CartPole"), odd).networks["q_function"] is odd
    assert tf.nest.flatten(training.Learner.per_member) == []
