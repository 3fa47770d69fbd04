"""Gradient steps of DrQ-v2: encoder and critic, then policy, for many members at once."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tf_equirl.agents.sac.gradient_steps import followed
from tf_equirl.training.memory import Batch
from tf_equirl.training.optimizer import AdamState
from tf_equirl.training.population import Population, Weights, adam_update

ENCODER, ACTOR, CRITIC = "encoder", "actor", "critic"
LOSSES = ("critic_loss", "actor_loss", "value")
"""What is reported of gradient steps: means over those of an update."""


class Learned(NamedTuple):
    """What gradient steps change, `[members, ...]` each."""

    weights: Weights
    target: dict[str, list[tf.Tensor]]  # trained weights of the target critic, by its role
    adam: dict[str, AdamState]  # of "actor" and "critic", with which the encoder is trained
    totals: list[tf.Tensor]  # of `LOSSES`


class GradientSteps:
    r"""DrQ-v2 (Yarats et al., 2021, arXiv 2107.09645) on batches that are drawn and shifted.

    With features $h = e(s)$ and $h' = e(s')$ of the encoder, the policy's action with noise,
    $a' = \mathrm{clip}(\pi(h') + \mathrm{clip}(\sigma \epsilon, -c, c), -1, 1)$, and the return R
    of a window of n steps, encoder and critic learn towards y (section 3.1)

    $$ y = R + \gamma^n \min_i \bar Q_i(h', a'), \qquad \sum_i (Q_i(h, a) - y)^2, $$

    and the policy minimises $-\min_i Q_i(h, a)$ of its own action with noise in h, which is held:
    no gradient of it reaches the encoder. There h is that of before the step, and the critic that
    of after it. The gradient passes the cut to [-1, 1] as if there was none, as it does in the
    authors' code. The target critic follows by $\bar\theta \leftarrow (1 - \tau) \bar\theta +
    \tau \theta$.

    Args:
        population: The networks, in the roles of `ENCODER`, `ACTOR` and `CRITIC`.
    """

    def __init__(self, population: Population):
        self._population = population

    def step(
        self,
        learned: Learned,
        batch: Batch,
        settings: dict[str, tf.Tensor],
        noise: tf.Tensor,
        count: tf.Tensor,
        rates: dict[str, tf.Tensor],
    ) -> Learned:
        """Gradient step number `count`, from 1: of encoder and critic, then of the actor.

        Args:
            learned: Before it.
            batch: `[members, rows, ...]`, of shifted pictures.
            settings: With "tau", `[members]`.
            noise: `[members, 2, rows, d]`, of actions in next states, and in states.
            count: int32 scalar.
            rates: Step sizes, `[members]`, by the names of `Learned.adam`.
        """
        number, adam = tf.cast(count, tf.float32), dict(learned.adam)
        goal, share = self.goals(learned, batch, noise[:, 0]), shares(batch)
        seeing = learned.weights.of(ENCODER, CRITIC)
        gradients, (critic_loss, value, features) = self.critic_gradients(
            seeing, batch, goal, share
        )
        seeing, adam[CRITIC] = adam_update(seeing, gradients, adam[CRITIC], number, rates[CRITIC])
        of_actor = learned.weights.of(ACTOR)
        gradients, actor_loss = self.actor_gradients(
            of_actor, seeing.of(CRITIC), features, noise[:, 1], share
        )
        of_actor, adam[ACTOR] = adam_update(of_actor, gradients, adam[ACTOR], number, rates[ACTOR])
        weights = learned.weights._replace(trained={**of_actor.trained, **seeing.trained})
        target = followed(learned.target, seeing.of(CRITIC).trained, settings["tau"])
        totals = zip(learned.totals, (critic_loss, actor_loss, value), strict=True)
        return Learned(weights, target, adam, [a + b for a, b in totals])

    def goals(self, learned: Learned, batch: Batch, noise: tf.Tensor) -> tf.Tensor:
        """What the critic learns towards, `[members, rows]`.

        Args:
            learned: Of which encoder, actor and target critic are used.
            batch: `[members, rows, ...]`.
            noise: `[members, rows, d]`.
        """
        of_target = learned.weights.of(CRITIC)._replace(trained=learned.target)

        def value(data):
            observation, noise, of_target = data
            features = self._population.networks[ENCODER](observation)
            return self._least(of_target, features, self._noisy(features, noise))

        data = batch.next_observation, noise, of_target
        values = self._population.map(value, learned.weights.of(ENCODER, ACTOR), data)
        return batch.reward + batch.weight * values

    def critic_gradients(
        self, seeing: Weights, batch: Batch, goal: tf.Tensor, share: tf.Tensor
    ) -> tuple[dict[str, list[tf.Tensor]], tuple[tf.Tensor, tf.Tensor, tf.Tensor]]:
        """Gradient of the critic's loss by encoder and critic.

        Args:
            seeing: Weights of both.
            batch: `[members, rows, ...]`.
            goal: `[members, rows]`, see `goals`.
            share: `[members, rows]`, see `shares`.

        Returns:
            The gradient; the loss, the mean of the first values, and the features of observations,
            `[members, rows, f]`.
        """

        def loss(data):
            observation, action, goal, share = data
            features = self._population.networks[ENCODER](observation)
            values = self._population.networks[CRITIC]([features, action])
            errors = tf.reduce_sum(tf.square(values - goal[:, tf.newaxis]), axis=-1)
            total = tf.reduce_mean(errors * share)
            return total, (total, tf.reduce_mean(values[:, 0] * share), features)

        data = batch.observation, batch.action, goal, share
        return self._population.gradients(loss, seeing, data)

    def actor_gradients(
        self,
        of_actor: Weights,
        of_critic: Weights,
        features: tf.Tensor,
        noise: tf.Tensor,
        share: tf.Tensor,
    ) -> tuple[dict[str, list[tf.Tensor]], tf.Tensor]:
        """Gradient of the policy's loss by the actor, and the loss.

        Args:
            of_actor: The actor's weights.
            of_critic: The critic's.
            features: `[members, rows, f]`, which are held.
            noise: `[members, rows, d]`.
            share: `[members, rows]`, see `shares`.
        """

        def loss(data):
            features, noise, of_critic, share = data
            action = self._noisy(features, noise)
            total = -tf.reduce_mean(self._least(of_critic, features, action) * share)
            return total, total

        data = features, noise, of_critic, share
        return self._population.gradients(loss, of_actor, data)

    def _noisy(self, features: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        """One member's actions with noise, cut to [-1, 1]; its actor's weights are bound."""
        action = self._population.networks[ACTOR](features) + noise
        return action + tf.stop_gradient(tf.clip_by_value(action, -1.0, 1.0) - action)

    def _least(self, of_critic: Weights, features: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
        """The lesser of the two values of a critic with these weights, of one member."""
        with self._population.bound(of_critic):
            return tf.reduce_min(self._population.networks[CRITIC]([features, action]), axis=-1)


def shares(batch: Batch) -> tf.Tensor:
    """How much each row counts, mean 1 in a member."""
    if not tf.is_tensor(batch.valid):
        return tf.ones_like(batch.reward)
    weight = tf.cast(batch.valid, tf.float32)
    return weight / tf.maximum(tf.reduce_mean(weight, axis=1, keepdims=True), 1e-8)
