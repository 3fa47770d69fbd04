"""The loss of a transition model, and its gradient for many members."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tf_equirl.envs import Environment
from tf_equirl.training.population import Population, Weights

ROLE = "transition_model"


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
        env: The environment.
        model: Keras model, called with `[observation, action]`.
    """

    def __init__(self, env: Environment, model: keras.Model):
        self.env = env
        self.model = model
        self.population = Population({ROLE: model})
        self._head = env.transition_head

    def columns(self, rows: Rows) -> Batch:
        """What the model and its loss take, of rows `[rows, ...]`."""
        inputs = model_inputs(self.env, rows.state, rows.action)
        return Batch(*inputs, self.env.encode(rows.next_state), rows.weight)

    def totals(self, batch: Batch) -> list[tf.Tensor]:
        """The head's metrics with the weights that are bound, summed over the rows that count."""
        outputs = predict(self.env, self.model, batch.observation, batch.action)
        metrics = self._head.metrics(outputs, batch.target)
        return [tf.reduce_sum(tf.where(batch.weight > 0, m, 0.0)) for m in metrics]

    def gradients(self, weights: Weights, batch: Batch) -> tuple[Any, tf.Tensor]:
        """Gradient of the head's loss for every member.

        Args:
            weights: Stacked weights.
            batch: `[members, rows, ...]`.

        Returns:
            Gradients of the shapes of the trained weights, and the losses `[members]`.
        """

        def loss(batch):
            total, *_ = self.totals(batch)
            mean = tf.math.divide_no_nan(total, tf.reduce_sum(batch.weight))
            return mean, mean

        return self.population.gradients(loss, weights, batch)

    def predictions(self, weights: Weights, observation: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
        """Outputs `[members, rows, d]` of every member's model for `[members, rows, ...]`."""

        def outputs(data):
            return predict(self.env, self.model, *data)

        return self.population.map(outputs, weights, (observation, action))


def model_inputs(env: Environment, state: Any, action: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The flattened observations `[N, d_state]` and one-hot actions `[N, actions]` of pairs."""
    observation = env.observe(state)
    flat = tf.reshape(observation, [observation.shape[0], env.symmetry.state.dim])
    return flat, tf.one_hot(action, env.num_actions)


def predict(
    env: Environment, model: keras.Model, observation: tf.Tensor, action: tf.Tensor
) -> tf.Tensor:
    """Outputs `[N, d]` of a transition model for what `model_inputs` returns.

    Raises:
        ValueError: If the model does not map these to `[N, d]`.
    """
    rows, dim = observation.shape[0], env.transition_head.representation.dim
    outputs = model([tf.reshape(observation, [rows, *env.observation_shape]), action])
    if outputs.shape != (rows, dim):
        raise ValueError(
            f"`model` must map observations and actions of {env.name} to {(None, dim)}. Received: "
            f"model={model.name!r}, which maps {rows} of them to {tuple(outputs.shape)}"
        )
    return outputs
