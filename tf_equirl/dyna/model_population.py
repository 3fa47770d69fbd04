"""The transition models of many Dyna agents, learned from their replay buffers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tf_equirl.dyna.config import DynaConfig
from tf_equirl.dynamics.config import TransitionModelConfig
from tf_equirl.dynamics.model_loss import ROLE, Batch, ModelLoss, Rows, model_inputs
from tf_equirl.envs import Environment
from tf_equirl.training.augmentation import moved
from tf_equirl.training.loops import repeat
from tf_equirl.training.optimizer import AdamState, adam_settings, initial_adam_state
from tf_equirl.training.population import Population, Weights, adam_update
from tf_equirl.training.randomness import Purpose, member_uniforms
from tf_equirl.training.replay import held_out_rows, take, training_rows

STEPS_PER_CALL = 64
"""Gradient steps of one compiled call at most, so that Ctrl-C is heard within seconds."""


class Kept(NamedTuple):
    """What is kept of a transition; a terminal state is a next state like any other."""

    state: Any
    action: tf.Tensor
    next_state: Any


class ModelPopulation:
    """Transition models as functions of stacked weights, `[members * ensemble, ...]` each.

    The models of an ensemble are members of their own, next to each other.

    Args:
        env: The environment.
        config: Hyperparameters.
        model: The Keras model, called with `[observation, action]`; None where there is none, and
            nothing but `start` may be called.
    """

    def __init__(self, env: Environment, config: DynaConfig, model: keras.Model | None):
        self._env = env
        self._config = config
        self._model: Any = model
        self._size = config.ensemble_size
        self._head: Any = None if model is None else env.transition_head
        self._loss: Any = None if model is None else ModelLoss(env, model)
        self.population = Population({} if model is None else {ROLE: model})
        self._optimizer = config.model or TransitionModelConfig()

    def start(self, seeds: Sequence[int], frozen: bool) -> Weights:
        """The weights before the first fit: fresh ones, or those that a frozen model has."""
        if self._model is None:
            return Weights({}, {})
        if frozen:
            return self.population.own(len(seeds) * self._size)
        # Keys of their own: the seeds themselves draw the networks of the agents.
        keys = [seed + (1 + k) * 2**31 for seed in seeds for k in range(self._size)]
        return self.population.fresh(keys)

    def start_optimizer(self, weights: Weights, configs: Sequence[DynaConfig]) -> AdamState:
        """Adam before the first fit; `configs` has one for each member."""
        each = [config.model or TransitionModelConfig() for config in configs]
        settings = adam_settings([c for c in each for _ in range(self._size)], 1)
        return initial_adam_state(tf.nest.flatten(weights.trained), settings)

    def fit(
        self,
        seeds: tf.Tensor,
        buffer: Kept,
        weights: Weights,
        adam: AdamState,
        first: tf.Tensor,
        number: tf.Tensor,
        filled: tf.Tensor,
    ) -> tuple[Weights, AdamState]:
        """Makes `number` gradient steps, at most `STEPS_PER_CALL`.

        Args:
            seeds: Of the agents, `[members]`.
            buffer: Their transitions.
            weights: Of the models.
            adam: The moments so far.
            first: int32 scalar, gradient steps that the run made before.
            number: int32 scalar.
            filled: int32 scalar, rows that the buffer holds.

        Returns:
            The new weights and moments.
        """
        c, size, order = self._config, self._size, self._env.symmetry.group.order
        keys = tf.repeat(-1 - seeds, size)  # negative, which no seed is
        # Each model of an ensemble has numbers of its own.
        index = first * size + tf.tile(tf.range(size), [seeds.shape[0]])
        shape = [STEPS_PER_CALL, self._optimizer.batch_size, 2]
        uniforms = member_uniforms(keys, Purpose.SHUFFLE, index, shape)
        rows = training_rows(uniforms[..., 0], filled)
        elements = tf.cast(uniforms[..., 1] * order, tf.int32) if c.augment else None

        def step(i, state):
            weights, adam = state
            batch = self.batch(buffer, rows[:, i])
            if elements is not None:
                batch = self.moved(batch, tf.minimum(elements[:, i], order - 1))
            gradients, _ = self._model_by_model(self._loss.gradients, weights, batch)
            count = tf.cast(first + i + 1, tf.float32)
            return adam_update(weights, gradients, adam, count, adam.settings.rate)

        return repeat(number, step, (weights, adam), maximum=STEPS_PER_CALL)

    def measure(self, buffer: Kept, weights: Weights, filled: tf.Tensor) -> tf.Tensor:
        """The head's metrics on held-out rows, `[members, metrics]`, means over the ensemble."""
        members, rows = buffer.action.shape[0], held_out_rows(filled)
        batch = self.batch(buffer, tf.tile(rows[None], [members * self._size, 1]))
        outputs = self._model_by_model(
            self._loss.predictions, weights, batch.observation, batch.action
        )
        metrics = self._head.metrics(outputs, batch.target)
        means = tf.stack([tf.reduce_mean(m, axis=-1) for m in metrics], axis=-1)
        return tf.reduce_mean(tf.reshape(means, [members, self._size, len(metrics)]), axis=1)

    def prepared(self, weights: Weights, copies: int) -> Weights:
        """See `Population.prepared`; `copies` are the states of each agent."""

        def of_some(weights):
            return self.population.prepared(weights, copies)

        return self._model_by_model(of_some, weights)

    def next_states(
        self, weights: Weights, state: Any, action: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """What the mean of each agent's models predicts.

        Args:
            weights: Of the models.
            state: `[members, copies, ...]`.
            action: `[members, copies]` int32.

        Returns:
            The encodings of the next states, `[members, copies, d]`, and how much the models
            disagree, `[members, copies]`.
        """
        members, copies = action.shape
        flat = tf.nest.map_structure(
            lambda x: tf.reshape(x, [members * copies, *x.shape[2:]]), (state, action)
        )
        observation, one_hot = (
            tf.repeat(tf.reshape(x, [members, copies, x.shape[-1]]), self._size, axis=0)
            for x in model_inputs(self._env, *flat)
        )
        outputs = self._model_by_model(self._loss.predictions, weights, observation, one_hot)
        outputs = tf.reshape(outputs, [members, self._size, copies, outputs.shape[-1]])
        following = self._head.prediction(tf.reduce_mean(outputs, axis=1))
        return following, self._head.disagreement(tf.transpose(outputs, [1, 0, 2, 3]))

    def batch(self, buffer: Kept, numbers: tf.Tensor) -> Batch:
        """What the models learn from in these rows `[members * ensemble, k]`."""
        members, count = buffer.action.shape[0], numbers.shape[1]
        rows = take(buffer, tf.reshape(numbers, [members, -1]))
        flat = tf.nest.map_structure(lambda x: tf.reshape(x, [-1, *x.shape[2:]]), rows)
        weight = tf.ones([flat.action.shape[0]])
        columns = self._loss.columns(Rows(flat.state, flat.action, flat.next_state, weight))
        return Batch(*[tf.reshape(x, [-1, count, *x.shape[1:]]) for x in columns])

    def moved(self, batch: Batch, elements: tf.Tensor) -> Batch:
        """The transitions, each moved by a group element `[members, rows]`."""
        symmetry = self._env.symmetry
        return batch._replace(
            observation=moved(batch.observation, symmetry.state, elements),
            action=moved(batch.action, symmetry.action, elements),
            target=moved(batch.target, self._head.representation, elements),
        )

    def _model_by_model(self, function: Any, *arguments: Any) -> Any:
        """Calls it with the first models of all members, then with their second ones, and so on.

        XLA's rounding depends on the number of members at once, see `agents.blocks`: there must be
        as many as in the block, however large an ensemble is.
        """
        size = self._size
        if size == 1:
            return function(*arguments)
        results = [
            function(*tf.nest.map_structure(lambda x, k=k: x[k::size], arguments))
            for k in range(size)
        ]
        return tf.nest.map_structure(
            lambda *x: tf.reshape(tf.stack(x, axis=1), [-1, *x[0].shape[1:]]), *results
        )
