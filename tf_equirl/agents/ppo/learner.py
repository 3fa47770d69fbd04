"""PPO as a learner: tf-agents' loss for many members in one XLA program."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from tf_equirl.agents.ppo.advantages import generalized_advantages
from tf_equirl.agents.ppo.batches import Batch, augmented, inconsistency, normalized
from tf_equirl.agents.ppo.tf_agents_ppo import MemberAgent, clip_agent
from tf_equirl.envs import BaseEnvironment
from tf_equirl.training.augmentation import (
    drawn_elements,
    moved_observations,
    parameter_representation,
)
from tf_equirl.training.collect import Rollout, by_member
from tf_equirl.training.loops import repeat
from tf_equirl.training.members import nothing, structure
from tf_equirl.training.on_policy import AgentState, OnPolicyLearner
from tf_equirl.training.optimizer import OPTIMIZER_FIELDS, AdamState, member_norm
from tf_equirl.training.population import Weights
from tf_equirl.training.randomness import Purpose, member_uniforms, order_of

if TYPE_CHECKING:
    from tf_equirl.agents.ppo.config import PPOConfig

LOSSES = ("policy_loss", "value_loss", "entropy", "clip_fraction", "gradient_norm")
"""What an update reports: means over its gradient steps; the norm is that before clipping. A
coefficient of consistency adds "consistency_loss"."""
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


class PPOLearner(OnPolicyLearner):
    """PPO (Schulman et al., 2017) for many members, with the loss of tf-agents' `PPOClipAgent`.

    Rollout, advantages, shuffling, epochs, gradient clipping and Adam are part of one program. A
    member's numbers depend on its own seed and on nothing of the other members.

    Args:
        env: The environment.
        config: Hyperparameters.
        actor: Keras model, `[batch, *observation_shape] -> [batch, num_actions]`.
        critic: Keras model, `[batch, *observation_shape] -> [batch, 1]`.

    Attributes:
        agent: The tf-agents agent whose loss is minimised; weights are bound to its networks.

    Raises:
        ValueError: If a model does not fit the environment, or data are to be moved by a symmetry
            that does not fit its actions.
    """

    trainer = "train_ppo"
    config: PPOConfig
    per_member = {
        **OPTIMIZER_FIELDS,
        **dict.fromkeys(("discount", "gae_lambda", "clip_ratio"), nothing),
        "clip_value": bool,  # 0 is another loss, without a bound
        **dict.fromkeys(("value_coefficient", "entropy_coefficient"), nothing),
        "consistency_coefficient": bool,  # likewise
    }

    def __init__(
        self,
        env: BaseEnvironment,
        config: PPOConfig,
        actor: keras.Model,
        critic: keras.Model,
    ):
        super().__init__(env, config, actor, critic)
        if config.augmentation != "none" or config.consistency_coefficient:
            parameter_representation(env)
        self._consistent = bool(config.consistency_coefficient)
        self._images = env.symmetry.group.order if config.augmentation == "orbit" else 1
        self._names = (*LOSSES, *(["consistency_loss"] if self._consistent else []))
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
        rows = np.float32(self._images * (self.config.batch_size // self.config.num_minibatches))
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
        if self._consistent:
            columns["consistency_coefficient"] = [c.consistency_coefficient for c in configs]
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
        if c.augmentation != "none":
            batch = self.augmented(state.weights, batch, state.seeds, index)
        steps = c.gradient_steps
        order = self.shuffled(state.seeds, index)
        elements: Any = ()
        if self._consistent:
            shape = order.shape[1:].as_list()
            uniforms = member_uniforms(state.seeds, Purpose.CONSISTENCY, index, shape)
            elements = drawn_elements(uniforms, self.env.symmetry.group.order)

        def minibatch(i, carry):
            weights, adam, totals = carry
            rows = tf.gather(order, i, axis=1)
            part = tf.nest.map_structure(lambda x: tf.gather(x, rows, batch_dims=1), batch)
            part = normalized(part, c.normalize_advantages)
            own = tf.nest.map_structure(lambda x: tf.gather(x, i, axis=1), elements)
            gradients, losses = self.gradients(weights, part, state.settings, own)
            losses.insert(LOSSES.index("gradient_norm"), member_norm(tf.nest.flatten(gradients)))
            count = tf.cast(made * steps + i + 1, tf.float32)
            weights, adam = self.step(weights, adam, gradients, count, rate)
            return weights, adam, [a + b / steps for a, b in zip(totals, losses, strict=True)]

        zeros = [tf.zeros(state.seeds.shape) for _ in self._names]
        weights, adam, losses = repeat(steps, minibatch, (state.weights, state.adam, zeros))
        return weights, adam, dict(zip(self._names, losses, strict=True))

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

    def augmented(
        self, weights: Weights, batch: Batch, seeds: tf.Tensor, index: tf.Tensor
    ) -> Batch:
        """Images of the transitions, as the acting weights see them; see `augmented`."""
        elements = None
        if self.config.augmentation == "random":
            uniforms = member_uniforms(seeds, Purpose.AUGMENTATION, index, [self.config.batch_size])
            elements = drawn_elements(uniforms, self.env.symmetry.group.order)
        return augmented(self.env, self.population, weights, batch, elements)

    def shuffled(self, seeds: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
        """Row numbers of every gradient step: `[members, epochs * minibatches, rows]`.

        Images of one transition come next to each other.
        """
        c = self.config
        keys = member_uniforms(seeds, Purpose.SHUFFLE, index, [c.num_epochs, c.batch_size])
        order = order_of(keys)
        rows = c.batch_size // c.num_minibatches
        if self._images > 1:
            order = order[..., tf.newaxis] * self._images + tf.range(self._images)
        return tf.reshape(order, [-1, c.num_epochs * c.num_minibatches, rows * self._images])

    def gradients(
        self,
        weights: Weights,
        batch: Batch,
        settings: dict[str, tf.Tensor],
        elements: Any = (),
    ) -> tuple[dict[str, list[tf.Tensor]], list[tf.Tensor]]:
        """Gradient of the loss for every member.

        Args:
            weights: Stacked weights.
            batch: `[members, rows, ...]`, advantages normalised.
            settings: What is the members' own of the loss, see `settings`.
            elements: `[members, rows]`, by which the loss of consistency moves observations; empty
                where there is none.

        Returns:
            Gradients of the shapes of the trained weights; policy loss, value loss, entropy, clip
            fraction and, with `elements`, the loss of consistency, `[members]` each.
        """
        images: Any = ()
        if tf.is_tensor(elements):
            images = moved_observations(self.env, batch.observation, elements), elements

        def loss(data):
            batch, own, images = data
            rows = {**batch._asdict(), "weight": batch.valid if tf.is_tensor(batch.valid) else None}
            del rows["valid"]
            parts = self.agent.loss_info(own, **rows).extra
            total = parts.policy_gradient_loss
            total += own["value_coefficient"] * parts.value_estimation_loss
            total += parts.entropy_regularization_loss
            reported = [parts.policy_gradient_loss, parts.value_estimation_loss]
            reported += [self.agent.mean_entropy, parts.clip_fraction]
            if images:
                heads = self.networks["actor"], self.networks["critic"]
                reported.append(inconsistency(self.env, *heads, batch, *images))
                total += own["consistency_coefficient"] * reported[-1]
            return total, reported

        return self.population.gradients(loss, weights, (batch, settings, images))
