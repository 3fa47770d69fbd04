"""Running statistics against those of all the data at once, and how agents use them."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tf_equirl.agents import PPOConfig, train_ppo
from tf_equirl.dyna import DynaConfig, train_dyna
from tf_equirl.training.collect import Rollout
from tf_equirl.training.normalization import (
    Statistics,
    initial_reward_scale,
    scaled_rewards,
    updated,
    updated_reward_scale,
)

pytestmark = pytest.mark.usefixtures("without_xla")

CONFIG = PPOConfig(
    hidden_units=(4,),
    total_timesteps=256,
    rollout_steps=16,
    num_epochs=1,
    num_minibatches=2,
    normalize_observations=True,
    normalize_rewards=True,
)


def test_parts_give_the_statistics_of_the_whole():
    rng = np.random.default_rng(0)
    parts = [rng.normal(3.0, 2.0, size=(2, n, 3)).astype(np.float32) for n in (5, 1, 40)]
    valid = [rng.random(part.shape[:2]) < 0.7 for part in parts]
    found = Statistics(tf.zeros([2, 3]), tf.ones([2, 3]), tf.zeros([2]))
    for part, of_part in zip(parts, valid, strict=True):
        found = updated(found, tf.constant(part), tf.constant(of_part))
    for member in range(2):
        rows = np.concatenate([p[member][v[member]] for p, v in zip(parts, valid, strict=True)])
        assert found.count[member] == len(rows)
        np.testing.assert_allclose(found.mean[member], rows.mean(axis=0), rtol=1e-5)
        np.testing.assert_allclose(found.variance[member], rows.var(axis=0), rtol=1e-4)


def test_rewards_are_divided_by_the_deviation_of_discounted_returns():
    rng = np.random.default_rng(1)
    steps, members, envs = 7, 2, 3
    discount = np.array([0.9, 0.5], np.float32)
    scale = initial_reward_scale(members, envs)
    sums, under_way = [], np.zeros([members, envs])
    for _ in range(3):
        reward = rng.normal(1.0, 5.0, size=(steps, members, envs)).astype(np.float32)
        ended = rng.random(reward.shape) < 0.3
        one = tf.zeros(reward.shape)
        rollout = Rollout(
            one, one, one, tf.constant(reward), one, tf.constant(ended), ended & False, one
        )
        scale = updated_reward_scale(scale, rollout, tf.constant(discount))
        for t in range(steps):
            under_way = discount[:, None] * under_way + reward[t]
            sums.append(under_way.copy())
            under_way = np.where(ended[t], 0, under_way)
    of_returns = np.moveaxis(np.array(sums), 1, 0).reshape(members, -1)
    np.testing.assert_allclose(scale.of_returns.variance, of_returns.var(axis=1), rtol=1e-3)
    np.testing.assert_allclose(scale.under_way, under_way, rtol=1e-4)
    found = scaled_rewards(scale, tf.constant(reward))
    expected = np.clip(reward / of_returns.std(axis=1)[:, None], -10, 10)
    np.testing.assert_allclose(found, expected, rtol=1e-3)


@pytest.mark.thorough
def test_an_agent_has_the_statistics_of_what_it_saw():
    """Also when it plans, whose imagined steps do not count; reported are the true returns."""
    result = train_ppo("CartPole", CONFIG, seeds=[0, 1])
    plain = dataclasses.replace(CONFIG, normalize_observations=False, normalize_rewards=False)
    for role in ("actor", "critic"):
        *_, mean, variance, count = result.weights[role]
        np.testing.assert_allclose(count, 256, rtol=1e-5)
        assert (variance > 0).all() and np.abs(mean).max() < 1
    np.testing.assert_array_equal(result.weights["actor"][-3], result.weights["critic"][-3])
    whole = result.first_returns[np.isfinite(result.first_returns)]
    assert whole.size and (whole == whole.round()).all()  # the environment's own rewards of 1
    assert (
        len(train_ppo("CartPole", plain, seeds=[0]).weights["actor"])
        == len(result.weights["actor"]) - 3
    )
    planning = DynaConfig(agent=CONFIG, planning_ratio=2.0, dyna_iterations=2, max_model_steps=8)
    planned = train_dyna("CartPole", planning, seeds=[0])
    np.testing.assert_allclose(planned.weights["actor"][-1], 256, rtol=1e-5)


def test_without_planning_it_is_the_model_free_agent():
    free = train_ppo("CartPole", CONFIG, seeds=[0])
    dyna = DynaConfig(agent=CONFIG, planning_ratio=0.0, dyna_iterations=2)
    np.testing.assert_array_equal(train_dyna("CartPole", dyna, seeds=[0]).returns, free.returns)
