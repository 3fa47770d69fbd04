"""PPO as a learner: tf-agents' loss for many members in one XLA program."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tf_equirl.agents.ppo.advantages import generalized_advantages
from tf_equirl.agents.ppo.tf_agents_ppo import MemberAgent, clip_agent
from tf_equirl.envs import BaseEnvironment
from tf_equirl.training.collect import Rollout, by_member
from tf_equirl.training.loops import repeat
from tf_equirl.training.members import nothing, structure
from tf_equirl.training.on_policy import AgentState, OnPolicyLearner
from tf_equirl.training.optimizer import OPTIMIZER_FIELDS, AdamState, member_norm
from tf_equirl.training.population import Weights
from tf_equirl.training.randomness import Purpose, member_uniforms

if TYPE_CHECKING:
    from tf_equirl.agents.ppo.config import PPOConfig

LOSSES = ("policy_loss", "value_loss", "entropy", "clip_fraction", "gradient_norm")
"""What an update reports: means over its gradient steps; the norm is that before clipping."""
# What describes the networks, which the program's key has themselves, and what bounds a run.
_NOT_OF_THE_PROGRAM = (
    "actor",
    "critic",
    "hidden_units",
    "match_parameters",
    "match_critic_parameters",
    "actor_initializer",
    "standard_deviation",
    "normalize_observations",
    "activation",
    "total_timesteps",
)


class Batch(NamedTuple):
    """Training data, `[members, transitions, ...]`."""

    observation: tf.Tensor
    action: tf.Tensor
    log_prob: tf.Tensor
    returns: tf.Tensor
    advantage: tf.Tensor
    value: tf.Tensor
    valid: Any = ()  # see `Rollout.valid`


class PPOLearner(OnPolicyLearner):
    """PPO (Schulman et al., 2017) for many members, with the loss of tf-agents' `PPOClipAgent`.

    Rollout, advantages, shuffling, epochs, gradient clipping and Adam are part of one program. A
    member's numbers depend on its own seed and on nothing of the other members.

    Args:
      env: the environment.
      config: hyperparameters.
      actor: Keras model, `[batch, *observation_shape] -> [batch, num_actions]`.
      critic: Keras model, `[batch, *observation_shape] -> [batch, 1]`.

    Attributes:
      agent: the tf-agents agent whose loss is minimised; weights are bound to its networks.

    Raises:
      ValueError: if a model does not fit the environment.
    """

    trainer = "train_ppo"
    config: PPOConfig
    per_member = {
        **OPTIMIZER_FIELDS,
        **dict.fromkeys(("discount", "gae_lambda", "clip_ratio"), nothing),
        "clip_value": bool,  # 0 is another loss, without a bound
        **dict.fromkeys(("value_coefficient", "entropy_coefficient"), nothing),
    }

    def __init__(
        self,
        env: BaseEnvironment,
        config: PPOConfig,
        actor: keras.Model,
        critic: keras.Model,
    ):
        super().__init__(env, config, actor, critic)
        # Made here, not where it is first needed: variables that are made while a program is traced
        # have TensorFlow trace it again. `gradients` weighs the parts of the loss itself.
        of_agent = dataclasses.replace(config, value_coefficient=1.0, entropy_coefficient=1.0)
        self.agent = clip_agent(env, of_agent, actor, critic, MemberAgent)

    def describe(self) -> dict[str, Any]:
        """See `Learner.describe`."""
        return {"start_from": None, **super().describe()}

    @functools.cached_property
    def key(self) -> tuple[Hashable, ...]:
        """See `Learner.key`: runs that differ in length or in the networks' description share."""
        kind, env, _, models = super().key
        fields = structure(self.config, self.per_member)
        for name in _NOT_OF_THE_PROGRAM:
            del fields[name]
        return kind, env, json.dumps(fields), models

    def settings(self, configs: Sequence[Any]) -> dict[str, tf.Tensor]:
        """See `OnPolicyLearner.settings`."""
        rows = np.float32(self.config.batch_size // self.config.num_minibatches)
        columns = {
            "discount": [c.discount for c in configs],
            "decay": [c.discount * c.gae_lambda for c in configs],
            "clip_ratio": [c.clip_ratio for c in configs],
            "least_ratio": [1 - c.clip_ratio for c in configs],
            "most_ratio": [1 + c.clip_ratio for c in configs],
            "clip_value": [c.clip_value for c in configs],
            "value_coefficient": [c.value_coefficient for c in configs],
            # Of one row, rounded as a compiler does a constant that is divided by their number.
            "entropy_bonus": np.array([c.entropy_coefficient for c in configs], np.float32) / rows,
        }
        return {name: tf.constant(values, tf.float32) for name, values in columns.items()}

    def learn(
        self,
        state: AgentState,
        rollout: Rollout,
        index: tf.Tensor,
        rate: tf.Tensor,
        made: tf.Tensor,
    ) -> tuple[Weights, AdamState, dict[str, tf.Tensor]]:
        """All epochs and minibatches of an update; see `OnPolicyLearner.learn`."""
        c = self.config
        rollout = self.scaled(state, rollout)
        batch = self.batch(state.weights, rollout, state.settings)
        steps = c.gradient_steps
        order = self.shuffled(state.seeds, index)

        def minibatch(i, carry):
            weights, adam, totals = carry
            rows = tf.gather(order, i, axis=1)
            part = tf.nest.map_structure(lambda x: tf.gather(x, rows, batch_dims=1), batch)
            part = normalized(part)
            gradients, losses = self.gradients(weights, part, state.settings)
            losses = [*losses, member_norm(tf.nest.flatten(gradients))]
            count = tf.cast(made * steps + i + 1, tf.float32)
            weights, adam = self.step(weights, adam, gradients, count, rate)
            return weights, adam, [a + b / steps for a, b in zip(totals, losses, strict=True)]

        zeros = [tf.zeros(state.seeds.shape) for _ in LOSSES]
        weights, adam, losses = repeat(steps, minibatch, (state.weights, state.adam, zeros))
        return weights, adam, dict(zip(LOSSES, losses, strict=True))

    def batch(self, weights: Weights, rollout: Rollout, settings: dict[str, tf.Tensor]) -> Batch:
        """Training data of a rollout, `[members, envs * steps, ...]`."""
        value = self.values(weights, rollout.observation)
        advantage = generalized_advantages(
            rollout.reward,
            value,
            self.values(weights, rollout.next_observation),
            rollout.terminated,
            rollout.truncated,
            settings["discount"][:, tf.newaxis],
            settings["decay"][:, tf.newaxis],
        )
        columns = Batch(
            rollout.observation,
            rollout.action,
            rollout.log_prob,
            advantage + value,
            advantage,
            value,
            rollout.valid,
        )
        return tf.nest.map_structure(by_member, columns)

    def shuffled(self, seeds: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
        """Row numbers of every gradient step: `[members, epochs * minibatches, rows]`."""
        c = self.config
        keys = member_uniforms(seeds, Purpose.SHUFFLE, index, [c.num_epochs, c.batch_size])
        order = tf.argsort(keys, axis=-1)
        rows = c.batch_size // c.num_minibatches
        return tf.reshape(order, [-1, c.num_epochs * c.num_minibatches, rows])

    def gradients(
        self, weights: Weights, batch: Batch, settings: dict[str, tf.Tensor]
    ) -> tuple[dict[str, list[tf.Tensor]], list[tf.Tensor]]:
        """Gradient of the loss for every member.

        Args:
          weights: stacked weights.
          batch: `[members, rows, ...]`, advantages normalised.
          settings: what is the members' own of the loss, see `settings`.

        Returns:
          Gradients of the shapes of the trained weights; policy loss, value loss, entropy and clip
          fraction, `[members]` each.
        """

        def loss(data):
            batch, own = data
            rows = {**batch._asdict(), "weight": batch.valid if tf.is_tensor(batch.valid) else None}
            del rows["valid"]
            parts = self.agent.loss_info(own, **rows).extra
            total = parts.policy_gradient_loss
            total += own["value_coefficient"] * parts.value_estimation_loss
            total += parts.entropy_regularization_loss
            reported = (parts.policy_gradient_loss, parts.value_estimation_loss)
            return total, [*reported, self.agent.mean_entropy, parts.clip_fraction]

        return self.population.gradients(loss, weights, (batch, settings))


def normalized(batch: Batch) -> Batch:
    """A minibatch with advantages of mean 0 and standard deviation 1 in each member.

    Where some rows are no steps, those count for nothing, and `valid` becomes weights of mean 1.
    """
    advantage = batch.advantage
    if not tf.is_tensor(batch.valid):
        centered = advantage - tf.reduce_mean(advantage, 1, keepdims=True)
        deviation = tf.math.reduce_std(advantage, 1, keepdims=True)
        return batch._replace(advantage=centered / (deviation + 1e-8))
    weight = tf.cast(batch.valid, tf.float32)
    weight /= tf.maximum(tf.reduce_mean(weight, 1, keepdims=True), 1e-8)
    centered = advantage - tf.reduce_mean(advantage * weight, 1, keepdims=True)
    deviation = tf.sqrt(tf.reduce_mean(tf.square(centered) * weight, 1, keepdims=True))
    return batch._replace(advantage=centered / (deviation + 1e-8), valid=weight)
