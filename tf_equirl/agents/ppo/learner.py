"""PPO as a learner: tf-agents' loss for many members in one XLA program."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import tensorflow as tf

from tf_equirl.agents.ppo.advantages import generalized_advantages
from tf_equirl.agents.ppo.tf_agents_ppo import clip_agent, loss_info
from tf_equirl.envs import Environment
from tf_equirl.training.collect import Rollout, by_member
from tf_equirl.training.loops import repeat
from tf_equirl.training.on_policy import AgentState, OnPolicyLearner
from tf_equirl.training.optimizer import AdamState, member_norm
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
)


class Batch(NamedTuple):
    """Training data, `[members, transitions, ...]`."""

    observation: tf.Tensor
    action: tf.Tensor
    log_prob: tf.Tensor
    returns: tf.Tensor
    advantage: tf.Tensor
    value: tf.Tensor


class PPOLearner(OnPolicyLearner):
    """PPO (Schulman et al., 2017) for many members, with the loss of tf-agents' `PPOClipAgent`.

    Rollout, advantages, shuffling, epochs, gradient clipping and Adam are part of one program. A
    member's numbers depend on its own seed and on nothing of the other members.

    Args:
      env: the environment.
      config: hyperparameters.
      actor: Keras model, `[batch, *observation_shape] -> [batch, num_actions]`.
      critic: Keras model, `[batch, *observation_shape] -> [batch, 1]`.
      start_from: name of the model of the zoo that the networks are, or None.

    Attributes:
      agent: the tf-agents agent whose loss is minimised; weights are bound to its networks.

    Raises:
      ValueError: if a model does not fit the environment.
    """

    trainer = "train_ppo"
    config: PPOConfig

    def __init__(
        self,
        env: Environment,
        config: PPOConfig,
        actor: keras.Model,
        critic: keras.Model,
        start_from: str | None = None,
    ):
        super().__init__(env, config, actor, critic)
        self.start_from = start_from
        self.fresh = start_from is None
        # Made here, not where it is first needed: variables that are made while a program is traced
        # have TensorFlow trace it again. Of a coefficient of 0 tf-agents would report 0;
        # `gradients` leaves that part out itself.
        of_agent = dataclasses.replace(
            config,
            value_coefficient=config.value_coefficient or 1.0,
            entropy_coefficient=config.entropy_coefficient or 1.0,
        )
        self.agent = clip_agent(env, of_agent, actor, critic)

    def describe(self) -> dict[str, Any]:
        """See `Learner.describe`."""
        return {"start_from": self.start_from}

    @functools.cached_property
    def key(self) -> tuple[Hashable, ...]:
        """See `Learner.key`: runs that differ in length or in the networks' description share."""
        kind, env, _, models = super().key
        fields = self.config.to_json()
        for name in _NOT_OF_THE_PROGRAM:
            del fields[name]
        if not self.config.anneal_learning_rate:
            del fields["total_timesteps"]
        fields = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
        return kind, env, tuple(fields.items()), models

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
        batch = self.batch(state.weights, rollout)
        steps = c.num_epochs * c.num_minibatches
        order = self.shuffled(state.seeds, index)

        def minibatch(i, carry):
            weights, adam, totals = carry
            rows = tf.gather(order, i, axis=1)
            part = Batch(*[tf.gather(x, rows, batch_dims=1) for x in batch])
            advantage = part.advantage - tf.reduce_mean(part.advantage, 1, keepdims=True)
            deviation = tf.math.reduce_std(part.advantage, 1, keepdims=True)
            part = part._replace(advantage=advantage / (deviation + 1e-8))
            gradients, losses = self.gradients(weights, part)
            losses = [*losses, member_norm(tf.nest.flatten(gradients))]
            count = tf.cast(made * steps + i + 1, tf.float32)
            weights, adam = self.step(weights, adam, gradients, count, rate)
            return weights, adam, [a + b / steps for a, b in zip(totals, losses, strict=True)]

        zeros = [tf.zeros(state.seeds.shape) for _ in LOSSES]
        weights, adam, losses = repeat(steps, minibatch, (state.weights, state.adam, zeros))
        return weights, adam, dict(zip(LOSSES, losses, strict=True))

    def batch(self, weights: Weights, rollout: Rollout) -> Batch:
        """Training data of a rollout, `[members, envs * steps, ...]`."""
        value = self.values(weights, rollout.observation)
        advantage = generalized_advantages(
            rollout.reward,
            value,
            self.values(weights, rollout.next_observation),
            rollout.terminated,
            rollout.truncated,
            self.config.discount,
            self.config.gae_lambda,
        )
        columns = Batch(
            rollout.observation,
            rollout.action,
            rollout.log_prob,
            advantage + value,
            advantage,
            value,
        )
        return Batch(*[by_member(x) for x in columns])

    def shuffled(self, seeds: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
        """Row numbers of every gradient step: `[members, epochs * minibatches, rows]`."""
        c = self.config
        keys = member_uniforms(seeds, Purpose.SHUFFLE, index, [c.num_epochs, c.batch_size])
        order = tf.argsort(keys, axis=-1)
        rows = c.batch_size // c.num_minibatches
        return tf.reshape(order, [-1, c.num_epochs * c.num_minibatches, rows])

    def gradients(
        self, weights: Weights, batch: Batch
    ) -> tuple[dict[str, list[tf.Tensor]], list[tf.Tensor]]:
        """Gradient of the loss for every member.

        Args:
          weights: stacked weights.
          batch: `[members, rows, ...]`, advantages normalised.

        Returns:
          Gradients of the shapes of the trained weights; policy loss, value loss, entropy and clip
          fraction, `[members]` each.
        """
        c, agent = self.config, self.agent

        def loss(batch):
            info = loss_info(agent, *batch)
            extra = info.extra
            total = info.loss
            if not c.entropy_coefficient:
                total -= extra.entropy_regularization_loss
            if not c.value_coefficient:
                total -= extra.value_estimation_loss
            entropy = -extra.entropy_regularization_loss / (c.entropy_coefficient or 1.0)
            value_loss = extra.value_estimation_loss / (c.value_coefficient or 1.0)
            return total, [extra.policy_gradient_loss, value_loss, entropy, extra.clip_fraction]

        return self.population.gradients(loss, weights, batch)
