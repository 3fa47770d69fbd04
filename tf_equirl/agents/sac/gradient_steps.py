"""Gradient steps of SAC: critics, policy and temperature, for many members at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import tensorflow as tf

from tf_equirl.distributions import Distribution
from tf_equirl.envs import BaseEnvironment
from tf_equirl.training.augmentation import moved_actions, moved_observations
from tf_equirl.training.memory import Batch
from tf_equirl.training.optimizer import AdamState, adam_step
from tf_equirl.training.population import Population, Weights, adam_update

if TYPE_CHECKING:
    from tf_equirl.agents.sac.config import SACConfig

ACTOR, CRITICS = "actor", ("q_function_1", "q_function_2")
LOSSES = ("critic_loss", "actor_loss", "value", "entropy")
"""What is reported of gradient steps: means over those of an update."""


class Learned(NamedTuple):
    """What gradient steps change, `[members, ...]` each."""

    weights: Weights
    target: dict[str, list[tf.Tensor]]  # trained weights of the target critics, by their role
    log_temperature: tf.Tensor
    adam: dict[str, AdamState]  # of "actor", "critics" and "temperature"
    totals: list[tf.Tensor]  # of `LOSSES`


class GradientSteps:
    r"""Soft actor-critic (Haarnoja et al., 2018, arXiv 1812.05905) on batches that are drawn.

    With actions $a = \tanh(x)$ in units in which their box is [-1, 1], and $a'$ drawn anew of the
    policy in the next state $s'$, the critics $Q_1$ and $Q_2$ learn towards y (section 4.2)

    $$ y = r + \gamma \, (\min_i \bar Q_i(s', a') - \alpha \log \pi(a' | s')), \qquad
       \tfrac12 \sum_i (Q_i(s, a) - y)^2, $$

    the policy minimises $\alpha \log \pi(a | s) - \min_i Q_i(s, a)$ of actions drawn anew (the same
    section), and the temperature $-\log \alpha \, (\log \pi(a | s) + H)$ with the target entropy H
    (section 5, with the logarithm before the parenthesis as the authors' code has it). The target
    critics follow by $\bar\theta \leftarrow (1 - \tau) \bar\theta + \tau \theta$.

    Args:
        population: The networks, in the roles of `ACTOR` and `CRITICS`.
        distribution: What the actor's outputs mean.
        config: Hyperparameters.
    """

    def __init__(self, population: Population, distribution: Distribution, config: SACConfig):
        self._population = population
        self._distribution = distribution
        self._config = config

    def step(
        self,
        learned: Learned,
        batch: Batch,
        settings: dict[str, tf.Tensor],
        uniforms: tf.Tensor,
        count: tf.Tensor,
        rates: dict[str, tf.Tensor],
    ) -> Learned:
        """Gradient step number `count`, from 1: of the critics, then of the others.

        Args:
            learned: Before it.
            batch: `[members, rows, ...]`, windows of one step.
            settings: With "tau" and "target_entropy", `[members]` each.
            uniforms: `[members, 2, rows, d]` in [0, 1), of which actions are drawn: those in next
                states, and those in states.
            count: int32 scalar.
            rates: Step sizes, `[members]`, by the names of `Learned.adam`.
        """
        number, adam = tf.cast(count, tf.float32), dict(learned.adam)
        temperature = tf.exp(learned.log_temperature)
        of_critics = learned.weights.of(*CRITICS)
        goal = self.goals(learned, batch, temperature, uniforms[:, 0])
        gradients, critic_loss, value = self.critic_gradients(of_critics, batch, goal)
        of_critics, adam["critics"] = adam_update(
            of_critics, gradients, adam["critics"], number, rates["critics"]
        )
        of_actor = learned.weights.of(ACTOR)
        gradients, actor_loss, log_prob = self.actor_gradients(
            of_actor, of_critics, batch, temperature, uniforms[:, 1]
        )
        of_actor, adam["actor"] = adam_update(
            of_actor, gradients, adam["actor"], number, rates["actor"]
        )
        log_temperature = learned.log_temperature
        if self._config.learn_temperature:
            gradient = self.temperature_gradient(log_prob, settings["target_entropy"])
            (log_temperature,), adam["temperature"] = adam_step(
                [log_temperature], [gradient], adam["temperature"], number, rates["temperature"]
            )
        trained = {**of_actor.trained, **of_critics.trained}
        weights = learned.weights._replace(trained=trained)
        totals = zip(learned.totals, (critic_loss, actor_loss, value, -log_prob), strict=True)
        return Learned(
            weights,
            followed(learned.target, of_critics.trained, settings["tau"]),
            log_temperature,
            adam,
            [a + b for a, b in totals],
        )

    def goals(
        self, learned: Learned, batch: Batch, temperature: tf.Tensor, uniforms: tf.Tensor
    ) -> tf.Tensor:
        """What the critics learn towards, `[members, rows]`.

        Args:
            learned: Of which actor and target critics are used.
            batch: `[members, rows, ...]`.
            temperature: Alpha, `[members]`.
            uniforms: `[members, rows, d]` in [0, 1).
        """
        of_target = learned.weights.of(*CRITICS)._replace(trained=learned.target)

        def soft_value(data):
            observation, uniforms, temperature, of_target = data
            action, log_prob = self._drawn(observation, uniforms)
            value = self._least(of_target, observation, action)
            return value - temperature * log_prob

        data = batch.next_observation, uniforms, temperature, of_target
        values = self._population.map(soft_value, learned.weights.of(ACTOR), data)
        return batch.reward + batch.weight * values

    def critic_gradients(
        self, of_critics: Weights, batch: Batch, goal: tf.Tensor
    ) -> tuple[dict[str, list[tf.Tensor]], tf.Tensor, tf.Tensor]:
        """Gradient of the critics' loss, the loss, and the mean of the first critic's values.

        Args:
            of_critics: Weights of both.
            batch: `[members, rows, ...]`.
            goal: `[members, rows]`, see `goals`.
        """

        def loss(data):
            observation, action, goal, share = data
            values = self._values(observation, tf.tanh(action))
            errors = tf.add_n([tf.square(value - goal) for value in values])
            return 0.5 * _mean(errors, share), (_mean(errors, share), _mean(values[0], share))

        data = batch.observation, batch.action, goal, _shares(batch)
        gradients, (total, value) = self._population.gradients(loss, of_critics, data)
        return gradients, 0.5 * total, value

    def actor_gradients(
        self,
        of_actor: Weights,
        of_critics: Weights,
        batch: Batch,
        temperature: tf.Tensor,
        uniforms: tf.Tensor,
    ) -> tuple[dict[str, list[tf.Tensor]], tf.Tensor, tf.Tensor]:
        """Gradient of the policy's loss, the loss, and the mean log-probability of its actions.

        Args:
            of_actor: The actor's weights.
            of_critics: Weights of both critics.
            batch: `[members, rows, ...]`, of which observations are used.
            temperature: Alpha, `[members]`.
            uniforms: `[members, rows, d]` in [0, 1).
        """

        def loss(data):
            observation, uniforms, temperature, of_critics, share = data
            action, log_prob = self._drawn(observation, uniforms)
            value = self._least(of_critics, observation, action)
            total = _mean(temperature * log_prob - value, share)
            return total, (total, _mean(log_prob, share))

        data = batch.observation, uniforms, temperature, of_critics, _shares(batch)
        gradients, (total, log_prob) = self._population.gradients(loss, of_actor, data)
        return gradients, total, log_prob

    def temperature_gradient(self, log_prob: tf.Tensor, target_entropy: tf.Tensor) -> tf.Tensor:
        """Gradient of the temperature's loss by the logarithm of the temperature, `[members]`."""
        return -(log_prob + target_entropy)

    def _drawn(self, observation: tf.Tensor, uniforms: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """One member's actions in [-1, 1], and their log-probabilities; its weights are bound."""
        parameters = self._population.networks[ACTOR](observation)
        action = self._distribution.sample(parameters, uniforms)
        return tf.tanh(action), self._distribution.log_prob(parameters, action)

    def _values(self, observation: tf.Tensor, action: tf.Tensor) -> list[tf.Tensor]:
        """What each critic of one member says, `[rows]`; its weights are bound."""
        networks = self._population.networks
        return [networks[role]([observation, action])[:, 0] for role in CRITICS]

    def _least(self, of_critics: Weights, observation: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
        """The lesser of the values of two critics with these weights, of one member."""
        with self._population.bound(of_critics):
            return tf.minimum(*self._values(observation, action))


def images(env: BaseEnvironment, batch: Batch, elements: tf.Tensor) -> Batch:
    """Transitions moved by group elements, which in a symmetric environment are transitions, too.

    Args:
        env: The environment.
        batch: `[members, rows, ...]`.
        elements: `[members, rows]` int32.
    """
    return batch._replace(
        observation=moved_observations(env, batch.observation, elements),
        action=moved_actions(env, batch.action, elements),
        next_observation=moved_observations(env, batch.next_observation, elements),
    )


def followed(
    target: dict[str, list[tf.Tensor]], trained: dict[str, list[tf.Tensor]], tau: tf.Tensor
) -> dict[str, list[tf.Tensor]]:
    """Target weights a share `tau`, `[members]`, nearer to the trained ones."""

    def nearer(old: tf.Tensor, new: tf.Tensor) -> tf.Tensor:
        return old + tf.reshape(tau, [-1, *[1] * (old.shape.rank - 1)]) * (new - old)

    return tf.nest.map_structure(nearer, target, trained)


def _shares(batch: Batch) -> Any:
    """How much each row counts, mean 1 in a member; () where all count alike."""
    if not tf.is_tensor(batch.valid):
        return ()
    weight = tf.cast(batch.valid, tf.float32)
    return weight / tf.maximum(tf.reduce_mean(weight, axis=1, keepdims=True), 1e-8)


def _mean(x: tf.Tensor, share: Any) -> tf.Tensor:
    return tf.reduce_mean(x * share if tf.is_tensor(share) else x)
