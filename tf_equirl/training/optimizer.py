"""Adam for a population: every member has its own gradient norm and its own moments."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from tf_equirl.training.members import nothing


class AdamConfig(Protocol):
    """The fields of a config that the optimiser reads."""

    @property
    def learning_rate(self) -> float:
        """Step size."""

    @property
    def anneal_learning_rate(self) -> bool:
        """Whether it decreases linearly to 0 over the run."""

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


class AdamSettings(NamedTuple):
    """What a config says of the optimiser, `[members]` each: members may have other values.

    What is made of several numbers is rounded once, where a compiler would round a constant.
    """

    rate: tf.Tensor
    annealing: tf.Tensor  # share of the rate by which it decreases at each update
    beta_1: tf.Tensor
    rest_1: tf.Tensor  # 1 - beta_1
    beta_2: tf.Tensor
    rest_2: tf.Tensor
    epsilon: tf.Tensor
    norms: list[tf.Tensor]  # the bound on the gradient's norm; empty where there is none

    def learning_rate(self, index: tf.Tensor) -> tf.Tensor:
        """The step size in update `index`, from 0: `[members]`."""
        return self.rate * (1.0 - tf.cast(index, tf.float32) * self.annealing)


class AdamState(NamedTuple):
    """Adam's moments, stacked like the weights: one `[members, ...]` tensor per variable."""

    first: list[tf.Tensor]
    second: list[tf.Tensor]
    settings: AdamSettings


OPTIMIZER_FIELDS: dict[str, Callable[[Any], Hashable]] = {
    "learning_rate": nothing,
    "anneal_learning_rate": nothing,
    "adam_beta_1": nothing,
    "adam_beta_2": nothing,
    "adam_epsilon": nothing,
    "max_gradient_norm": lambda bound: bound is None,
}
"""Fields that may differ from member to member, see `Learner.per_member`."""


def adam_settings(configs: Sequence[AdamConfig], updates: int) -> AdamSettings:
    """What the configs of some members say of the optimiser.

    Args:
        configs: One for each member; those of `OPTIMIZER_FIELDS` apart they do not differ.
        updates: After so many an annealed learning rate is 0.
    """
    beta_1 = np.array([c.adam_beta_1 for c in configs])
    beta_2 = np.array([c.adam_beta_2 for c in configs])
    columns = (
        [c.learning_rate for c in configs],
        # Compilers multiply by the reciprocal of a constant, too.
        [1 / updates if c.anneal_learning_rate else 0.0 for c in configs],
        *(beta_1, 1 - beta_1, beta_2, 1 - beta_2),
        [c.adam_epsilon for c in configs],
    )
    norms = [c.max_gradient_norm for c in configs if c.max_gradient_norm is not None]
    bounds = [tf.constant(norms, tf.float32)] if norms else []
    return AdamSettings._make([*(tf.constant(x, tf.float32) for x in columns), bounds])


def initial_adam_state(weights: list[tf.Tensor], settings: AdamSettings) -> AdamState:
    """Moments of zero for stacked `weights`."""
    first, second = ([tf.zeros_like(w) for w in weights] for _ in range(2))
    return AdamState(first, second, settings)


def member_norm(gradients: list[tf.Tensor]) -> tf.Tensor:
    """Norm of each member's gradient over all variables: `[members]`."""

    def sum_of_squares(g: tf.Tensor) -> tf.Tensor:
        squares = g * g
        if g.shape.rank > 2:
            # XLA makes a slow tree of a sum over several axes. Flat rows: of a product with more
            # axes TensorFlow makes an operation that spoils memory where XLA does not compile it.
            rows = tf.matmul(tf.reshape(squares, [-1, g.shape[-1]]), tf.ones([g.shape[-1], 1]))
            squares = tf.reshape(rows, g.shape[:-1])
        return tf.reduce_sum(squares, axis=list(range(1, squares.shape.rank)))

    return tf.sqrt(tf.add_n([sum_of_squares(g) for g in gradients]))


def adam_step(
    weights: list[tf.Tensor],
    gradients: list[tf.Tensor],
    state: AdamState,
    step: tf.Tensor,
    learning_rate: tf.Tensor,
) -> tuple[list[tf.Tensor], AdamState]:
    """One step of Adam (Kingma and Ba, 2015, algorithm 1) on gradients clipped by member.

    Args:
        weights: Stacked weights, `[members, ...]` each.
        gradients: Of the same shapes.
        state: The moments so far, and the settings.
        step: Float scalar or `[members]`, the number of this step, from 1.
        learning_rate: Step size, a scalar or `[members]`.

    Returns:
        The new weights and moments.
    """

    def aligned(x: tf.Tensor, variable: tf.Tensor) -> tf.Tensor:
        return tf.reshape(x, [-1] + [1] * (variable.shape.rank - 1)) if x.shape.rank else x

    settings = state.settings
    if settings.norms:
        # A gradient of norm 0 stays as it is: the limit over 0 is infinite, the minimum 1.
        scale = tf.minimum(1.0, settings.norms[0] / member_norm(gradients))
        gradients = [g * aligned(scale, g) for g in gradients]
    first, second, updated = [], [], []
    step, learning_rate = tf.convert_to_tensor(step), tf.convert_to_tensor(learning_rate)
    for w, g, m, v in zip(weights, gradients, state.first, state.second, strict=True):
        scalars = (learning_rate, step, *settings[2:7])
        rate, count, beta_1, rest_1, beta_2, rest_2, epsilon = (aligned(x, g) for x in scalars)
        m = beta_1 * m + rest_1 * g
        v = beta_2 * v + rest_2 * g * g
        corrected = m / (1 - beta_1**count)
        root = tf.sqrt(v / (1 - beta_2**count))
        first.append(m)
        second.append(v)
        updated.append(w - rate * corrected / (root + epsilon))
    return updated, AdamState(first, second, settings)
