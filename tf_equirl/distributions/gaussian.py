"""Continuous actions with Gaussian noise."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tf_equirl._checks import instance, refuse, shown
from tf_equirl.distributions.distribution import Distribution
from tf_equirl.groups import Representation, deviation_representation

LEAST_LOG_DEVIATION, MOST_LOG_DEVIATION = -20.0, 2.0
"""Logarithms of standard deviations are kept between these, as in Haarnoja et al. (2018)."""
_MOST = 4096  # coordinates of an action
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(32)


class Gaussian(Distribution):
    r"""Actions in a box, as independent normal numbers that are cut off at its bounds.

    A policy speaks of a box as if it were [-1, 1] in every coordinate: action x is executed as
    `middle + half_width * clip(x, -1, 1)`. Unbounded coordinates are taken as they come. The
    parameters are the means [d], then the logarithms of standard deviations [k]. With
    $x = \mu + \sigma \epsilon$,

    $$ \log p(x) = -\sum_j \tfrac12 \epsilon_j^2 + \log \sigma_j + \tfrac12 \log 2 \pi. $$

    The density is that before cutting off, as is usual with PPO (Schulman et al., 2017).

    Args:
        low: `[d]` lower bounds; minus infinity for none.
        high: `[d]` upper bounds; infinity for none.
        action: How a group acts on the executed actions, which decides how many standard deviations
            there are (`groups.deviation_representation`); one for each coordinate if not given. It
            must map the box to itself.

    Raises:
        ValueError: If the bounds are not numbers, of one length, with `low < high`, each both
            finite or both infinite; or if `action` has another dimension, no orthogonal matrices,
            or does not map the box to itself.

    Example:
        >>> import tensorflow as tf
        >>> from tf_equirl.distributions import Gaussian
        >>> gaussian = Gaussian(low=[-2.0], high=[2.0])
        >>> parameters = tf.constant([0.25, 0.0])  # mean, logarithm of the standard deviation
        >>> gaussian.executed(gaussian.mode(parameters)).numpy()
        array([0.5], dtype=float32)
    """

    action_dtype = tf.float32
    parameters = "means, then logarithms of standard deviations"
    outputs = "means and log-deviations"

    def __init__(
        self,
        low: Sequence[float] | NDArray[Any],
        high: Sequence[float] | NDArray[Any],
        action: Representation | None = None,
    ):
        self.low, self.high = _bounds(low, high)
        dim = len(self.low)
        self._index = np.arange(dim)
        if action is not None:
            instance("action", action, Representation)
            if action.dim != dim:
                refuse("action", f"a representation of dimension {dim}", action)
            check_box(action, self.low, self.high)
            self._index = deviation_representation(action)[1]
        self.action_shape = (dim,)
        self.num_uniforms = dim
        self.num_parameters = dim + int(self._index.max()) + 1
        bounded = np.isfinite(self.low)
        self._bounded = bool(bounded.all())
        with np.errstate(invalid="ignore"):
            middle, half = (self.low + self.high) / 2, (self.high - self.low) / 2
        self._middle = np.where(bounded, middle, 0).astype(np.float32)
        self._half = np.where(bounded, half, 1).astype(np.float32)
        self._limit = np.where(bounded, 1, np.inf).astype(np.float32)

    @property
    def key(self) -> tuple[Any, ...]:
        """See `Distribution.key`."""
        return type(self), tuple(self.low), tuple(self.high), tuple(self._index)

    def split(self, parameters: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Means and logarithms of standard deviations, `[..., d]` each."""
        dim = len(self._index)
        means, logs = parameters[..., :dim], parameters[..., dim:]
        if logs.shape[-1] != dim or not np.array_equal(self._index, np.arange(dim)):
            logs = tf.gather(logs, self._index, axis=-1)
        return means, tf.clip_by_value(logs, LEAST_LOG_DEVIATION, MOST_LOG_DEVIATION)

    def sample(self, parameters: tf.Tensor, uniforms: tf.Tensor) -> tf.Tensor:
        """Actions `[..., d]`, by inverting the distribution function.

        Args:
            parameters: `[..., d + k]`.
            uniforms: `[..., d]` in [0, 1).
        """
        means, logs = self.split(parameters)
        # In the middle between multiples of 2^-23 noise is symmetric, and finite at both ends.
        noise = tf.math.ndtri(tf.minimum(uniforms, 1 - 2.0**-23) + 2.0**-24)
        return means + tf.exp(logs) * noise

    def mode(self, parameters: tf.Tensor) -> tf.Tensor:
        """The means `[..., d]`."""
        return self.split(parameters)[0]

    def log_prob(self, parameters: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
        """See `Distribution.log_prob`."""
        means, logs = self.split(parameters)
        squares = tf.square((action - means) * tf.exp(-logs))
        return -tf.reduce_sum(0.5 * squares + logs + 0.5 * math.log(2 * math.pi), axis=-1)

    def entropy(self, parameters: tf.Tensor) -> tf.Tensor:
        """See `Distribution.entropy`."""
        logs = self.split(parameters)[1]
        return tf.reduce_sum(logs + 0.5 * math.log(2 * math.pi * math.e), axis=-1)

    def kl(self, parameters: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
        """See `Distribution.kl`."""
        (means, logs), (other_means, other_logs) = self.split(parameters), self.split(others)
        squares = tf.exp(2 * (logs - other_logs))
        squares += tf.square((means - other_means) * tf.exp(-other_logs))
        return tf.reduce_sum(other_logs - logs + 0.5 * (squares - 1.0), axis=-1)

    def representation(self, action: Representation) -> Representation:
        """`action` on the means, what goes with it on the standard deviations."""
        return action + deviation_representation(action)[0]

    def executed(self, action: tf.Tensor) -> tf.Tensor:
        """See `Distribution.executed`: cut off at the bounds of the box."""
        inside = tf.clip_by_value(action, -self._limit, self._limit)
        return self._middle + self._half * inside


class SquashedGaussian(Gaussian):
    r"""Actions in a box, as normal numbers that a hyperbolic tangent squashes into it.

    An action is held before it is squashed, x; what is executed is
    `middle + half_width * tanh(x)`. The density is that of $y = \tanh(x)$ (Haarnoja et al., 2018,
    appendix C):

    $$ \log p(y) = \log \mathcal N(x; \mu, \sigma) - \sum_j \log (1 - \tanh^2 x_j). $$

    The hyperbolic tangent is odd, so that it commutes with every signed permutation. The entropy
    has no closed form; it is integrated numerically (Gauss and Hermite, 32 nodes).

    Args:
        low: `[d]` lower bounds, finite.
        high: `[d]` upper bounds, finite.
        action: See `Gaussian`.

    Raises:
        ValueError: As `Gaussian` does, and if a bound is infinite.
    """

    def __init__(
        self,
        low: Sequence[float] | NDArray[Any],
        high: Sequence[float] | NDArray[Any],
        action: Representation | None = None,
    ):
        super().__init__(low, high, action)
        if not self._bounded:
            rule = 'finite for a squashed Gaussian, as `high`; policy="gaussian" takes others'
            refuse("low", rule, low)

    def log_prob(self, parameters: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
        """See `Distribution.log_prob`."""
        return super().log_prob(parameters, action) - tf.reduce_sum(_log_slope(action), axis=-1)

    def entropy(self, parameters: tf.Tensor) -> tf.Tensor:
        """See `Distribution.entropy`."""
        means, logs = self.split(parameters)
        nodes = tf.constant(_NODES, tf.float32)
        weights = tf.constant(_WEIGHTS / _WEIGHTS.sum(), tf.float32)
        points = means[..., tf.newaxis] + tf.exp(logs)[..., tf.newaxis] * nodes
        slopes = tf.reduce_sum(_log_slope(points) * weights, axis=[-2, -1])
        return super().entropy(parameters) + slopes

    def executed(self, action: tf.Tensor) -> tf.Tensor:
        """See `Distribution.executed`: squashed into the box."""
        return self._middle + self._half * tf.tanh(action)


def check_box(action: Representation, low: NDArray[Any], high: NDArray[Any]) -> None:
    """Checks that a group maps a box to itself.

    Args:
        action: How it acts, dimension d.
        low: `[d]`.
        high: `[d]`.

    Raises:
        ValueError: If an element maps the bounds elsewhere; the message says which, and where to.
    """
    if np.isinf(low).all():
        return
    permutations, signs = action.signed_permutations, action.signs
    if permutations is None or signs is None:
        raise ValueError(
            "`action` must map the box of actions to itself, which of all matrices those of signed "
            "permutations do: cutting off at the bounds does not commute with others. Received: "
            f"action={action!r}, low={low.tolist()}, high={high.tolist()}"
        )
    for element, (to, sign) in enumerate(zip(permutations, signs, strict=True)):
        moved_low, moved_high = np.empty_like(low), np.empty_like(high)
        moved_low[to] = np.where(sign > 0, low, -high)
        moved_high[to] = np.where(sign > 0, high, -low)
        if not (np.allclose(moved_low, low) and np.allclose(moved_high, high)):
            raise ValueError(
                "`action` must map the box of actions to itself. Received: element "
                f"{element} of {action!r} takes it from {low.tolist()} .. {high.tolist()} to "
                f"{moved_low.tolist()} .. {moved_high.tolist()}"
            )


def _bounds(low: Any, high: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    arrays = []
    for name, value in (("low", low), ("high", high)):
        array = np.empty([0])
        plain = isinstance(value, (list, tuple)) or isinstance(value, np.ndarray) and value.ndim
        if plain and len(value) <= _MOST:
            with contextlib.suppress(TypeError, ValueError, OverflowError):
                array = np.asarray(value, np.float64)
        if array.ndim != 1 or not array.size or np.isnan(array).any():
            refuse(name, f"a list of 1 to {_MOST:,} numbers, one for each coordinate", value)
        arrays.append(array)
    lower, upper = arrays
    beside = f"low={shown(lower.tolist())}"
    if lower.shape != upper.shape or not (lower < upper).all():
        refuse("high", f"as many numbers as {beside}, each above it", high)
    if (np.isfinite(lower) != np.isfinite(upper)).any():
        refuse("high", f"finite where {beside} is, and infinite where it is not", high)
    return lower, upper


def _log_slope(x: tf.Tensor) -> tf.Tensor:
    """log(1 - tanh(x)^2), exact for large x, too."""
    return 2.0 * (math.log(2.0) - x - tf.nn.softplus(-2.0 * x))
