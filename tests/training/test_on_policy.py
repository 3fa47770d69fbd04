"""What agents that learn from rollouts share, seen in one without a critic, without tf-agents."""

import csv
import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from training_cases import Lottery, Reinforce, ReinforceConfig

from tf_equirl import envs, models
from tf_equirl.training.run import train

CONFIG = ReinforceConfig()
STEPS = 30  # in which all of some seed's environments finish an episode
LOTTERY = dataclasses.replace(CONFIG, rollout_steps=STEPS, total_timesteps=4 * STEPS * 8)


def learner(env="Lottery", kind="gcnn", config=None):
    env = Lottery() if env == "Lottery" else envs.make(env)
    config = config or (LOTTERY if env.name == "Lottery" else CONFIG)
    if env.name == "Lottery":
        actor = keras.Sequential([keras.Input((1,)), keras.layers.Dense(3)])
    else:
        shape = env.observation_shape
        actor = models.actor(env.symmetry, kind, (7,), observation_shape=shape)
    return Reinforce(env, config, actor)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return train(learner(), [3, 5], tmp_path_factory.mktemp("runs") / "run")


def test_an_agent_may_have_no_critic(result):
    assert set(result.weights) == set(result.networks) == {"actor"}
    with pytest.raises(ValueError, match="role must be one of actor. Received: role='critic'"):
        result.critic(3)
    assert np.abs(result.weights["actor"][0][0] - result.weights["actor"][0][1]).max() > 1e-3


def test_returns_are_unknown_before_an_episode_has_ended_and_then_means_of_those_that_have(result):
    agent = learner()
    _, rollout = tf.function(agent.collect, jit_compile=True, autograph=False)(
        agent.start([3, 5, 3, 3]), tf.constant(0)
    )
    last = rollout.last_return.numpy()[:, :2]  # steps, seeds, environments
    count = (~np.isnan(last)).sum(-1)
    assert {0, 1, 4} <= set(count.ravel()), "some have ended none, some have ended all"
    expected = np.where(count, np.nansum(last, -1) / np.maximum(count, 1), np.nan)
    np.testing.assert_allclose(result.returns[:, :STEPS].T, expected, rtol=1e-6)
    np.testing.assert_array_equal(result.first_returns[:, :STEPS].T, last[..., 0])
    assert not np.isnan(result.returns[:, STEPS:]).any()


def test_the_table_of_results_holds_means_of_what_is_known(result):
    with (result.run_dir / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * CONFIG.num_updates
    for update in (0, 7):
        (row,) = (r for r in rows if (r["seed"], r["update"]) == ("5", str(update)))
        expected = np.nanmean(result.returns[1, STEPS * update : STEPS * update + STEPS])
        np.testing.assert_allclose(float(row["mean_return"]), expected, rtol=1e-5)


def assert_same_seeds(few, many, rows):
    np.testing.assert_array_equal(few.returns, many.returns[rows])
    for ours, theirs in zip(few.weights["actor"], many.weights["actor"], strict=True):
        np.testing.assert_array_equal(ours, theirs[rows])


@pytest.mark.thorough
def test_a_seed_has_the_same_curve_in_a_block_of_any_size():
    """With widths and batches that fill no vector register."""
    agent = learner("Catch")
    many = train(agent, range(38))  # blocks of 32 and of 6, filled up to 8
    seeds = range(30, 33)  # of both; filled up to 4
    assert_same_seeds(train(agent, seeds), many, list(seeds))
    assert len(np.unique(many.weights["actor"][0], axis=0)) == 38


@pytest.mark.thorough
def test_a_seed_has_the_same_curve_where_bases_are_sampled():
    """They are given to each member: a common one would round otherwise among more members."""
    agent = learner("CartPole", "symmetrizer-sampled")
    assert agent.networks["actor"].non_trainable_variables
    many = train(agent, range(6))
    assert_same_seeds(train(agent, [4, 0, 2]), many, [4, 0, 2])
    bases = many.weights["actor"][len(agent.networks["actor"].trainable_variables) :]
    for basis, own in zip(bases, agent.networks["actor"].non_trainable_variables, strict=True):
        np.testing.assert_array_equal(basis, np.repeat(own.numpy()[None], 6, axis=0))
