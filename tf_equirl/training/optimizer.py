"""Adam for a population: every member has its own gradient norm and its own moments."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import tensorflow as tf


class AdamConfig(Protocol):
    """The fields of a config that the optimiser reads."""

    @property
    def adam_beta_1(self) -> float:
        """Decay of the first moment."""

    @property
    def adam_beta_2(self) -> float:
        """Decay of the second moment."""

    @property
    def adam_epsilon(self) -> float:
        """Added to the root of the second moment."""

    @property
    def max_gradient_norm(self) -> float | None:
        """Bound on the norm of one gradient; None for no bound."""


class AdamState(NamedTuple):
    """Adam's moments, stacked like the weights: one `[members, ...]` tensor per variable."""

    first: list[tf.Tensor]
    second: list[tf.Tensor]


def initial_adam_state(weights: list[tf.Tensor]) -> AdamState:
    """Moments of zero for stacked `weights`."""
    return AdamState([tf.zeros_like(w) for w in weights], [tf.zeros_like(w) for w in weights])


def member_norm(gradients: list[tf.Tensor]) -> tf.Tensor:
    """Norm of each member's gradient over all variables: `[members]`."""
    squares = [tf.reduce_sum(g * g, axis=list(range(1, g.shape.rank))) for g in gradients]
    return tf.sqrt(tf.add_n(squares))


def adam_step(
    weights: list[tf.Tensor],
    gradients: list[tf.Tensor],
    state: AdamState,
    step: tf.Tensor,
    learning_rate: tf.Tensor | float,
    config: AdamConfig,
) -> tuple[list[tf.Tensor], AdamState]:
    """One step of Adam (Kingma and Ba, 2015, algorithm 1) on gradients clipped by member.

    Args:
      weights: stacked weights, `[members, ...]` each.
      gradients: of the same shapes.
      state: the moments so far.
      step: float scalar or `[members]`, the number of this step, from 1.
      learning_rate: step size.
      config: `max_gradient_norm`, `adam_beta_1`, `adam_beta_2` and `adam_epsilon`.

    Returns:
      The new weights and moments.
    """
    if config.max_gradient_norm is not None:
        # A gradient of norm 0 stays as it is: the limit over 0 is infinite, the minimum 1.
        scale = tf.minimum(1.0, config.max_gradient_norm / member_norm(gradients))
        gradients = [g * tf.reshape(scale, [-1] + [1] * (g.shape.rank - 1)) for g in gradients]
    beta_1, beta_2 = config.adam_beta_1, config.adam_beta_2
    first, second, updated = [], [], []
    step = tf.convert_to_tensor(step)
    for w, g, m, v in zip(weights, gradients, state.first, state.second, strict=True):
        count = tf.reshape(step, [-1] + [1] * (g.shape.rank - 1)) if step.shape.rank else step
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g * g
        corrected = m / (1 - beta_1**count)
        root = tf.sqrt(v / (1 - beta_2**count))
        first.append(m)
        second.append(v)
        updated.append(w - learning_rate * corrected / (root + config.adam_epsilon))
    return updated, AdamState(first, second)
