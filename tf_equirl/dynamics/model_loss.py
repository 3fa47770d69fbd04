"""The loss of a transition model, and its gradient for many members."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tf_equirl.envs import Environment
from tf_equirl.training.population import model_inputs, predict


class Rows(NamedTuple):
    """Transitions on the device, `[N, ...]` each."""

    state: Any
    action: tf.Tensor
    next_state: Any
    weight: tf.Tensor  # float32; 0 for a transition that does not count


class Batch(NamedTuple):
    """What the model and its loss take, `[..., rows, d]`."""

    observation: tf.Tensor
    action: tf.Tensor
    target: tf.Tensor
    weight: tf.Tensor  # [..., rows]


class ModelLoss:
    """The loss of the environment's head for a Keras model, as functions of its weights.

    Args:
      env: the environment.
      model: Keras model, called with `[observation, action]`.
    """

    def __init__(self, env: Environment, model: keras.Model):
        """See the class."""
        self.env = env
        self.model = model
        self._head = env.transition_head

    def columns(self, rows: Rows) -> Batch:
        """What the model and its loss take, of rows `[rows, ...]`."""
        inputs = model_inputs(self.env, rows.state, rows.action)
        return Batch(*inputs, self.env.encode(rows.next_state), rows.weight)

    def totals(self, weights: list[tf.Tensor], batch: Batch) -> list[tf.Tensor]:
        """The head's metrics for one member's weights, summed over the rows that count."""
        pairs = zip(self.model.trainable_variables, weights, strict=True)
        with keras.StatelessScope(state_mapping=list(pairs)):
            outputs = predict(self.env, self.model, batch.observation, batch.action)
        metrics = self._head.metrics(outputs, batch.target)
        return [tf.reduce_sum(tf.where(batch.weight > 0, m, 0.0)) for m in metrics]

    def gradients(
        self, weights: list[tf.Tensor], batch: Batch
    ) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Gradient of the head's loss for every member.

        Args:
          weights: stacked weights.
          batch: `[members, rows, ...]`.

        Returns:
          Gradients of the shapes of `weights`, and the losses `[members]`.
        """

        def member(inputs):
            weights, batch = inputs
            # Inside the mapped function: with the tape outside it, XLA takes every input for a
            # compile-time constant and compiles anew at each call.
            with tf.GradientTape() as tape:
                tape.watch(weights)
                total, *_ = self.totals(weights, batch)
                loss = tf.math.divide_no_nan(total, tf.reduce_sum(batch.weight))
            return tape.gradient(loss, weights), loss

        return tf.vectorized_map(member, (list(weights), batch), fallback_to_while_loop=False)
