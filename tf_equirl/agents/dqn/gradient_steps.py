"""Gradient steps of DQN: targets, loss, Adam and the target network, for many members at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import tensorflow as tf

from tf_equirl.agents.dqn.targets import element_losses
from tf_equirl.training.memory import Batch
from tf_equirl.training.optimizer import AdamState, member_norm
from tf_equirl.training.population import Population, Weights, adam_update

if TYPE_CHECKING:
    from tf_equirl.agents.dqn.config import DQNConfig

ROLE = "q_function"
LOSSES = ("loss", "value", "gradient_norm")
"""What is reported of gradient steps: means over those of an update."""


class Learned(NamedTuple):
    """What gradient steps change, `[members, ...]` each."""

    weights: Weights
    target: list[tf.Tensor]
    adam: AdamState
    totals: list[tf.Tensor]  # of `LOSSES`


class GradientSteps:
    """Double Q-learning (van Hasselt et al., 2016) on batches that are drawn already.

    Args:
        population: The network, in the role "q_function".
        config: Hyperparameters.
    """

    def __init__(self, population: Population, config: DQNConfig):
        self._population = population
        self._config = config

    def step(
        self,
        learned: Learned,
        batch: Batch,
        settings: dict[str, tf.Tensor],
        count: tf.Tensor,
        rate: tf.Tensor,
    ) -> Learned:
        """Gradient step number `count`, from 1."""
        goal = self.goals(learned.weights, learned.target, batch)
        gradients, losses = self.gradients(learned.weights, batch, goal, settings["huber_delta"])
        losses.append(member_norm(tf.nest.flatten(gradients)))
        weights, adam = adam_update(
            learned.weights, gradients, learned.adam, tf.cast(count, tf.float32), rate
        )
        copies = count % self._config.target_update_period == 0
        target = [
            tf.where(copies, new, old)
            for new, old in zip(weights.trained[ROLE], learned.target, strict=True)
        ]
        totals = [a + b for a, b in zip(learned.totals, losses, strict=True)]
        return Learned(weights, target, adam, totals)

    def goals(self, weights: Weights, target: list[tf.Tensor], batch: Batch) -> tf.Tensor:
        """What values are learned towards, `[members, rows]`.

        Args:
            weights: Of the network.
            target: Trained weights of the target network.
            batch: `[members, rows, ...]`.
        """
        of_target = weights._replace(trained={ROLE: target})
        values = self._population.outputs(ROLE, of_target, batch.next_observation)
        choosing = values
        if self._config.double:
            choosing = self._population.outputs(ROLE, weights, batch.next_observation)
        best = tf.argmax(choosing, axis=-1, output_type=tf.int32)
        return batch.reward + batch.weight * tf.gather(values, best, batch_dims=2)

    def gradients(
        self, weights: Weights, batch: Batch, goal: tf.Tensor, delta: tf.Tensor
    ) -> tuple[dict[str, list[tf.Tensor]], list[tf.Tensor]]:
        """Gradient of the loss for every member.

        Args:
            weights: Of the network.
            batch: `[members, rows, ...]`.
            goal: `[members, rows]`, see `goals`.
            delta: Of the Huber loss, `[members]`.

        Returns:
            Gradients of the shapes of the trained weights; the loss and the mean of the values that
            were learned about, `[members]` each.
        """

        def loss(data):
            observation, action, goal, delta = data
            values = self._population.networks[ROLE](observation)
            value = tf.gather(values, action, batch_dims=1)
            total = tf.reduce_mean(element_losses(goal - value, self._config.loss, delta))
            return total, [total, tf.reduce_mean(value)]

        data = batch.observation, batch.action, goal, delta
        return self._population.gradients(loss, weights, data)
