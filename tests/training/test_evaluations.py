"""Greedy episodes while training, against those of the trained policies afterwards."""

import csv
import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
from compiling import uncompiled
from gymnasium_cases import Counter
from training_cases import Lottery, Reinforce, ReinforceConfig, Stop, Walk, events_of

from tf_equirl.agents import NonFiniteError, PPOConfig, load_result, train_ppo
from tf_equirl.dyna import DynaConfig, train_dyna
from tf_equirl.envs.host import HostEnvironment
from tf_equirl.evaluation import evaluate
from tf_equirl.experiments import join_seeds
from tf_equirl.training import train
from tf_equirl.training.evaluations import Evaluations, joined
from tf_equirl.training.on_policy import make_networks
from tf_equirl.training.saved import _evaluations

CONFIG = PPOConfig(
    actor="mlp",
    hidden_units=(4,),
    rollout_steps=16,
    num_environments=2,
    total_timesteps=7 * 32,
    learning_rate=1e-2,
    normalize_observations=True,
)
SEEDS = (3, 9, 4)
EVERY = {"evaluate_every": 3, "evaluation_episodes": 4}


@pytest.fixture(scope="module")
def plain():
    return train_ppo("Catch", CONFIG, SEEDS)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluated") / "run"
    return train_ppo("Catch", CONFIG, SEEDS, folder, **EVERY)


def assert_same_training(one, other):
    np.testing.assert_array_equal(one.returns, other.returns)
    for name, values in one.metrics.items():
        np.testing.assert_array_equal(values, other.metrics[name])
    for role, arrays in one.weights.items():
        for a, b in zip(arrays, other.weights[role], strict=True):
            np.testing.assert_array_equal(a, b)


def assert_same_evaluations(one, other):
    for field in dataclasses.fields(Evaluations):
        here, there = (getattr(r.evaluations, field.name) for r in (one, other))
        np.testing.assert_array_equal(here, there)


def means(result, env, episodes):
    """What `evaluate` says of the actors of a result."""
    return [evaluate(result.actor(seed), env, episodes).mean for seed in result.seeds]


def test_training_is_the_same_to_the_last_bit(evaluated, plain):
    assert_same_training(evaluated, plain)
    assert plain.evaluations.returns.shape == (3, 0)


def test_they_are_the_episodes_that_the_policies_play_afterwards(evaluated):
    found = evaluated.evaluations
    assert found.returns.shape == (3, 2)
    np.testing.assert_array_equal(found.updates, [3, 6])
    np.testing.assert_array_equal(found.timesteps, [96, 192])
    np.testing.assert_array_equal(found.episodes, [4, 4])
    for column, timesteps in enumerate(found.timesteps):
        shorter = dataclasses.replace(CONFIG, total_timesteps=int(timesteps))
        there = train_ppo("Catch", shorter, SEEDS)
        np.testing.assert_array_equal(found.returns[:, column], means(there, "Catch", 4))
    assert len(np.unique(found.returns)) > 2, "or all could be mixed up"


def test_the_folder_has_them(evaluated):
    assert_same_evaluations(load_result(evaluated.run_dir), evaluated)
    with open(evaluated.run_dir / "evaluations.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    found = evaluated.evaluations
    assert len(rows) == 6
    for number, row in enumerate(rows):
        seed, column = divmod(number, 2)
        assert [int(row[k]) for k in ("seed", "update", "timestep", "episodes")] == [
            SEEDS[seed],
            *(3 * (column + 1), 96 * (column + 1), 4),
        ]
        assert float(row["mean_return"]) == pytest.approx(found.returns[seed, column], rel=1e-5)
    for tag, of_seeds in (("mean", np.mean), ("worst_seed", np.min)):
        steps, values = events_of(evaluated.run_dir, f"evaluation/{tag}")
        assert steps == [96, 192]
        np.testing.assert_allclose(values, of_seeds(found.returns, axis=0), rtol=1e-6)


@pytest.mark.parametrize("after", [2, 3, 4])
def test_a_resumed_run_has_the_same(evaluated, tmp_path, after):
    """After 3 updates the program is stopped before the evaluation that follows."""
    with pytest.raises(KeyboardInterrupt):
        train_ppo("Catch", CONFIG, SEEDS, tmp_path, on_progress=Stop(after), **EVERY)
    assert load_result(tmp_path).evaluations.returns.shape == (3, int(after > 3))
    again = train_ppo("Catch", CONFIG, SEEDS, tmp_path, resume=True, **EVERY)
    assert_same_training(again, evaluated)
    assert_same_evaluations(again, evaluated)
    assert events_of(tmp_path, "evaluation/mean")[0] == [96, 192]


def test_it_may_be_evaluated_otherwise_when_it_is_resumed(evaluated, tmp_path):
    shorter = dataclasses.replace(CONFIG, total_timesteps=4 * 32)
    train_ppo("Catch", shorter, SEEDS, tmp_path, **EVERY)
    other = {"evaluate_every": 5, "evaluation_episodes": 2}
    again = train_ppo("Catch", CONFIG, SEEDS, tmp_path, resume=True, **other)
    assert_same_training(again, evaluated)
    np.testing.assert_array_equal(again.evaluations.updates, [3, 5])
    np.testing.assert_array_equal(again.evaluations.episodes, [4, 2])
    first = evaluated.evaluations.returns[:, 0]
    np.testing.assert_array_equal(again.evaluations.returns[:, 0], first)


def test_new_seeds_are_evaluated_where_the_others_were(tmp_path):
    first = dataclasses.replace(CONFIG, total_timesteps=5 * 32)
    evaluated = train_ppo("Catch", CONFIG, [3, 9, 4, 6], **EVERY)
    train_ppo("Catch", first, [3, 4, 6], tmp_path, **EVERY)
    more = train_ppo("Catch", CONFIG, [3, 9, 4, 6], tmp_path, resume=True, **EVERY)
    assert_same_training(more, evaluated)
    assert_same_evaluations(more, evaluated)
    steps, values = events_of(tmp_path, "evaluation/mean")
    assert steps == [96, 192]
    np.testing.assert_allclose(values, evaluated.evaluations.returns.mean(axis=0), rtol=1e-6)


def test_runs_of_other_seeds_are_joined(evaluated):
    # A block of four as well.
    other = train_ppo("Catch", CONFIG, [7, 8, 5], evaluate_every=6, evaluation_episodes=4)
    both = join_seeds([evaluated, other])
    np.testing.assert_array_equal(both.evaluations.updates, [6])
    expected = np.append(evaluated.evaluations.returns[:, 1], other.evaluations.returns[:, 0])
    np.testing.assert_array_equal(both.evaluations.returns[:, 0], expected)
    nothing = joined([evaluated.evaluations, Evaluations.none(2)])
    assert nothing.returns.shape == (5, 0)


@pytest.mark.thorough
@uncompiled()
def test_several_configs_have_their_own(tmp_path):
    configs = [CONFIG, dataclasses.replace(CONFIG, learning_rate=1e-4)]
    results = train_ppo("Catch", configs, [3, 9], tmp_path, **EVERY)
    for config, result in zip(configs, results, strict=True):
        # In a block of four, as the others.
        alone = train_ppo("Catch", config, [3, 9, 4], **EVERY).evaluations.returns[:2]
        np.testing.assert_allclose(result.evaluations.returns, alone, rtol=1e-6)
    assert_same_evaluations(load_result(tmp_path)[1], results[1])
    assert (tmp_path / "config-1" / "evaluations.csv").exists()
    assert (results[0].evaluations.returns != results[1].evaluations.returns).any()
    values = events_of(tmp_path / "config-1", "evaluation/mean")[1]
    np.testing.assert_allclose(values, results[1].evaluations.returns.mean(axis=0), rtol=1e-6)


@uncompiled()
def test_more_episodes_than_step_together_and_random_transitions():
    """The numbers of an episode are those of `evaluate`, in its second block too."""
    env, config = Lottery(), ReinforceConfig(total_timesteps=60)
    learner = Reinforce(env, config, make_networks(env, "mlp", "mlp", (4,))[0])
    made = train(learner, [2, 6], evaluate_every=1, evaluation_episodes=300)
    # Rewards are what is drawn; they are added up in float64.
    expected = means(made, env, 300)
    np.testing.assert_allclose(made.evaluations.returns[:, 0], expected, rtol=1e-12)
    fewer = train(learner, [2, 6], evaluate_every=1, evaluation_episodes=256)
    np.testing.assert_allclose(fewer.evaluations.returns[:, 0], means(made, env, 256), rtol=1e-12)


@uncompiled()
def test_environments_of_the_host_are_their_own(tmp_path):
    small = dataclasses.replace(CONFIG, num_environments=2, rollout_steps=8, total_timesteps=64)
    env = HostEnvironment(Counter)
    plain = train_ppo(env, small, [3, 9])
    options = {"evaluate_every": 2, "evaluation_episodes": 34}  # 32 step together
    before = Counter.made
    found = train_ppo(env, small, [3, 9], tmp_path / "whole", **options)
    assert Counter.made - before == 2 * 2 + 2 * 34 * 2, "none for the copies that fill a block up"
    assert_same_training(found, plain)
    np.testing.assert_array_equal(found.evaluations.updates, [2, 4])
    np.testing.assert_allclose(found.evaluations.returns[:, 1], means(found, env, 34), rtol=1e-6)
    # Two are evaluated already; those that follow a resumption begin with new training episodes.
    with pytest.raises(KeyboardInterrupt):
        train_ppo(env, small, [3, 9], tmp_path / "cut", on_progress=Stop(3), **options)
    cut = train_ppo(env, small, [3, 9], tmp_path / "cut", resume=True, **options)
    first = found.evaluations.returns[:, 0]
    np.testing.assert_array_equal(cut.evaluations.returns[:, 0], first)
    np.testing.assert_allclose(cut.evaluations.returns[:, 1], means(cut, env, 34), rtol=1e-6)


class Fragile(Reinforce):
    """Loses seed 6 in the update after the second one."""

    def learn(self, state, rollout, index, rate, made):
        weights, adam, metrics = super().learn(state, rollout, index, rate, made)
        lost = (state.seeds == 6) & (index >= 2)
        return weights, adam, {"loss": tf.where(lost, np.inf, metrics["loss"])}


@uncompiled()
def test_a_lost_seed_has_none_from_then_on():
    env, config = Lottery(), ReinforceConfig(total_timesteps=60 * 4)
    learner = Fragile(env, config, make_networks(env, "mlp", "mlp", (4,))[0])
    with (
        pytest.warns(RuntimeWarning, match="seed 6 became non-finite"),
        pytest.raises(NonFiniteError) as caught,
    ):
        train(learner, [2, 6], evaluate_every=2, evaluation_episodes=3)
    found = caught.value.result.evaluations.returns
    np.testing.assert_array_equal(np.isnan(found), [[False, False], [False, True]])


def test_planning_agents_are_evaluated_too(evaluated):
    config = DynaConfig(agent=CONFIG, planning_ratio=0, dyna_iterations=2)
    found = train_dyna("Catch", config, SEEDS, **EVERY)
    assert_same_evaluations(found, evaluated)


def test_arrays_of_a_checkpoint_that_contradict_one_another_are_found():
    whole = Evaluations.none(2).and_one(np.array([1.0, 2.0]), 3, 96, 4)
    arrays = dataclasses.asdict(whole)
    assert _evaluations(arrays, 2) is not None
    assert _evaluations(arrays, 3) is None
    assert _evaluations({k: x for k, x in arrays.items() if k != "episodes"}, 2) is None
    assert _evaluations({**arrays, "updates": np.array([3, 4])}, 2) is None


def test_a_run_without_evaluations_has_the_files_that_it_had(evaluated, tmp_path):
    folder = tmp_path / "run"
    train_ppo("Catch", CONFIG, SEEDS, folder)
    with np.load(folder / "checkpoint.npz") as arrays:
        assert not [name for name in arrays if name.startswith("evaluations")]
    assert not (folder / "evaluations.csv").exists()
    found, other = (json.loads((f / "run.json").read_text()) for f in (folder, evaluated.run_dir))
    assert found["identity"] == other["identity"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"evaluate_every": 0}, "`evaluate_every` must be a positive integer"),
        ({"evaluate_every": 2.5}, "`evaluate_every` must be a positive integer"),
        ({"evaluation_episodes": True}, "`evaluation_episodes` must be a positive integer"),
    ],
)
def test_bad_arguments_are_refused_before_any_work(options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        train_ppo("Catch", CONFIG, SEEDS, tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_what_has_no_actor_is_not_evaluated():
    with pytest.raises(ValueError, match='needs a learner with a network "actor"'):
        train(Walk(), SEEDS, evaluate_every=2)
