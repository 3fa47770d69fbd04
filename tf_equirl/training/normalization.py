"""Running statistics by which observations and rewards are brought to a common scale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import keras
import tensorflow as tf

from tf_equirl.layers import InputNormalization
from tf_equirl.training.collect import Rollout
from tf_equirl.training.loops import repeat_and_stack
from tf_equirl.training.population import Weights

_LARGEST_REWARD = 10.0  # standard deviations, as in OpenAI Baselines and Stable-Baselines3
_NO_DATA = 1e-4
_EPSILON = 1e-8


class Statistics(NamedTuple):
    """Mean, variance and number of what was seen, `[members, ...]`."""

    mean: tf.Tensor
    variance: tf.Tensor
    count: tf.Tensor  # `[members]`


class RewardScale(NamedTuple):
    """By what rewards are divided: the standard deviation of discounted returns.

    Attributes:
        under_way: `[members, envs]` discounted sum of the rewards of the episode so far.
        of_returns: Statistics `[members]` of these sums.
    """

    under_way: tf.Tensor
    of_returns: Statistics


def updated(old: Statistics, rows: tf.Tensor, valid: tf.Tensor | None = None) -> Statistics:
    """The statistics of what was seen before and some new rows (Chan et al., 1979).

    Args:
        old: What was seen before.
        rows: `[members, rows, ...]`.
        valid: `[members, rows]` bool, rows that count; all if None.
    """
    weight = tf.ones(rows.shape[:2]) if valid is None else tf.cast(valid, tf.float32)

    def of_members(x: tf.Tensor) -> tf.Tensor:
        return tf.reshape(x, [*x.shape, *[1] * (old.mean.shape.rank - 1)])

    number = tf.reduce_sum(weight, axis=1)
    weight = tf.reshape(weight, [*weight.shape, *[1] * (rows.shape.rank - 2)])
    divisor = of_members(tf.maximum(number, 1.0))
    mean = tf.reduce_sum(rows * weight, axis=1) / divisor
    squares = tf.reduce_sum(tf.square(rows - mean[:, tf.newaxis]) * weight, axis=1)
    total = old.count + number
    share = of_members(number / total)
    change = mean - old.mean
    variance = old.variance * (1 - share) + squares / divisor * share
    variance += tf.square(change) * share * (1 - share)
    return Statistics(old.mean + change * share, variance, total)


class Scales:
    """The `InputNormalization` layers of some networks, and where their weights are.

    Args:
        networks: Keras models by role.
    """

    def __init__(self, networks: Mapping[str, keras.Model]):
        self._places = [
            (role, [_place(model, v) for v in (layer.mean, layer.variance, layer.count)])
            for role, model in networks.items()
            for layer in model._flatten_layers()
            if isinstance(layer, InputNormalization)
        ]

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._places)

    def updated(
        self, weights: Weights, observation: tf.Tensor, valid: tf.Tensor | None = None
    ) -> Weights:
        """Weights whose statistics contain some more observations.

        Args:
            weights: Of all members.
            observation: `[members, rows, *observation_shape]`.
            valid: See `updated`.
        """
        rows = tf.reshape(observation, [*observation.shape[:2], -1])
        fixed = {role: list(of_role) for role, of_role in weights.fixed.items()}
        for role, places in self._places:
            of_role = fixed[role]
            new = updated(Statistics(*[of_role[place] for place in places]), rows, valid)
            for place, value in zip(places, new, strict=True):
                of_role[place] = value
        return weights._replace(fixed=fixed)


def initial_reward_scale(members: int, envs: int) -> RewardScale:
    """A scale of 1, before anything was seen."""
    zeros, ones = tf.zeros([members]), tf.ones([members])
    return RewardScale(tf.zeros([members, envs]), Statistics(zeros, ones, _NO_DATA * ones))


def scaled_rewards(scale: RewardScale, reward: tf.Tensor) -> tf.Tensor:
    """Rewards `[steps, members, envs]` in standard deviations of returns, at most 10 of them."""
    deviation = tf.sqrt(scale.of_returns.variance + _EPSILON)[:, tf.newaxis]
    return tf.clip_by_value(reward / deviation, -_LARGEST_REWARD, _LARGEST_REWARD)


def updated_reward_scale(scale: RewardScale, rollout: Rollout, discount: tf.Tensor) -> RewardScale:
    """The scale after a rollout.

    Args:
        scale: Before it.
        rollout: `[steps, members, envs, ...]`.
        discount: Gamma, `[members]`.
    """
    ended = rollout.terminated | rollout.truncated

    def step(i: tf.Tensor, under_way: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        total = discount[:, tf.newaxis] * under_way + rollout.reward[i]
        return tf.where(ended[i], 0.0, total), total

    under_way, totals = repeat_and_stack(rollout.reward.shape[0], step, scale.under_way)
    members = scale.under_way.shape[0]
    rows, valid = tf.transpose(totals, [1, 0, 2]), None
    if tf.is_tensor(rollout.valid):
        valid = tf.reshape(tf.transpose(rollout.valid, [1, 0, 2]), [members, -1])
    return RewardScale(under_way, updated(scale.of_returns, tf.reshape(rows, [members, -1]), valid))


def _place(model: keras.Model, variable: keras.Variable) -> int:
    return next(i for i, v in enumerate(model.non_trainable_variables) if v is variable)
