"""What relaxed layers share: banks of filters, mixed by weights that may differ by element."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from tf_equirl._checks import integer, number, one_of, refuse
from tf_equirl.layers.base import EquivariantLinear
from tf_equirl.layers.relaxed.certificate import EquivarianceCertificate

SIDES = ("output", "input")


def checked_numbers(
    rate: float, spread_penalty: float, spread_limit: float | None
) -> tuple[float, float, float | None]:
    """Returns the arguments of these names of `Relaxed`, as Python's own numbers.

    Raises:
        ValueError: If one breaks its rule.
    """
    rate = number("rate", rate, "a positive number", lambda x: x > 0)
    rule = "a number of at least 0"
    penalty = number("spread_penalty", spread_penalty, rule, lambda x: x >= 0)
    if spread_limit is not None:
        rule = "a positive number, or None"
        spread_limit = number("spread_limit", spread_limit, rule, lambda x: x > 0)
        if not penalty:
            rule = "positive where there is a `spread_limit`: what the penalty begins with"
            refuse("spread_penalty", rule, spread_penalty)
    return rate, penalty, spread_limit


class Relaxed(EquivariantLinear):
    """Base class of relaxed layers: before the class of a strict layer in a list of bases.

    A strict layer applies an equivariant map Psi. Its relaxed form has L of them, and numbers that
    say how much each counts at each element g of the group:

        y[g] = activation(sum_l w_l(g) (Psi_l x)[g] + b).

    Where every w_l is constant over the group, that is the strict layer; so it begins, with w =
    1 / sqrt(L), for which outputs vary as the strict layer's. With L = 1 all outputs of an element
    are scaled; with as many banks as elements a group convolution, or a readout, is any linear map.

    Wang, Walters & Yu, "Approximately Equivariant Networks for Imperfectly Symmetric Dynamics"
    (2022), equation 6, as in its code; Park et al., "Approximate Equivariance in Reinforcement
    Learning" (2025), section 3.3, which prints the weights on the side of the input.

    The weights that are stored are those of theta, which begin at 0, with

        w_l(g) = (1 + rate * theta_l(g)) / sqrt(L).

    Adam moves every weight by at most about its step size, whatever its gradient: `rate` is how
    many times as far w moves, a learning rate of its own. The bias is not relaxed.

    Args:
        *args: Those of the strict layer.
        banks: L, from 1 to the order of the group.
        side: "output" has w depend on the element that is computed, "input" on the one that is
            read; where a layer has the group's elements on one side only, that is the side. None
            is "output" where there are both.
        rate: See above, positive.
        spread_penalty: What the spread of w costs, at least 0: so many times the mean over banks
            and elements of (w_l(g) - mean of w_l)^2, as a regularizer.
        spread_limit: A spread, the root of that mean, up to which w may go. The penalty's factor,
            which begins as `spread_penalty`, is learned then, by dual ascent: it grows while the
            spread is above the limit, and decreases below. None is no limit.
        **kwargs: Those of the strict layer.

    Raises:
        ValueError: If an argument, or the shape of the input, is wrong.
    """

    sides: ClassVar[tuple[str, ...]] = ("output",)
    """Where the layer has the group's elements."""

    def __init__(
        self,
        *args: Any,
        banks: int = 1,
        side: str | None = None,
        rate: float = 1.0,
        spread_penalty: float = 0.0,
        spread_limit: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Checks and keeps the arguments."""
        super().__init__(*args, **kwargs)
        order = self.group_order
        rule = f"an integer from 1 to {order}, the order of the group"
        self.banks = integer("banks", banks, 1, order, rule)
        self.side = self.sides[0] if side is None else one_of("side", side, self.sides)
        checked = checked_numbers(rate, spread_penalty, spread_limit)
        self.rate, self.spread_penalty, self.spread_limit = checked

    @property
    def group_order(self) -> int:
        """Elements of the group."""
        return self.output_axes()[0]

    def kernel_shape(self, channels: int) -> tuple[int, ...]:
        """Returns `(L, ...)`: the strict layer's shape for every bank."""
        return (self.banks, *super().kernel_shape(channels))

    def initial_kernel(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        """Returns banks that are drawn together, so that a seed gives different ones."""
        banks, *own, units = shape
        drawn = super().initial_kernel((*own, banks * units), dtype)
        return ops.stack(ops.split(drawn, banks, axis=-1))

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates the weights for inputs of shape `input_shape`.

        Raises:
            ValueError: If `input_shape` does not end in the axes that the layer needs.
        """
        super().build(input_shape)
        self.relaxation = self.add_weight(
            name="relaxation",
            shape=(self.banks, self.group_order),
            initializer="zeros",
            regularizer=_Spread(self._penalty) if self.spread_penalty else None,
        )
        self.multiplier = None
        if self.spread_limit is not None:
            self.multiplier = self.add_weight(name="multiplier", shape=(), initializer="zeros")

    def relaxation_weights(self) -> Any:
        """Returns w, `[L, n]`: how much every bank counts at every element."""
        return self._mixing(ops.convert_to_tensor(self.relaxation))

    def _mixing(self, theta: Any) -> Any:
        scale = 1 / math.sqrt(self.banks)
        return ops.add(ops.multiply(theta, self.rate * scale), scale)

    def spread(self) -> Any:
        """Returns the root of the mean over banks and elements of (w_l(g) - mean of w_l)^2."""
        return ops.sqrt(_variance(self.relaxation_weights()))

    def penalty_factor(self) -> Any:
        """Returns what the squared spread is multiplied by: `spread_penalty`, or what it became."""
        if self.multiplier is None:
            return ops.convert_to_tensor(self.spread_penalty)
        theta = ops.convert_to_tensor(self.multiplier)
        first = self.spread_penalty
        first += math.log(-math.expm1(-first))  # whose softplus that is
        return ops.softplus(ops.add(ops.multiply(theta, self.rate), first))

    def _penalty(self, theta: Any) -> Any:
        """The regularizer of the stored weights.

        With a limit the loss is lambda (spread^2 - limit^2), which w is to make small and lambda
        large: the second term has its gradient by lambda, with the sign turned, and no other.
        """
        squared = _variance(self._mixing(theta))
        factor = ops.cast(self.penalty_factor(), squared.dtype)
        if self.spread_limit is None:
            return ops.multiply(factor, squared)
        excess = ops.subtract(squared, self.spread_limit**2)
        descent = ops.multiply(ops.stop_gradient(factor), excess)
        ascent = ops.multiply(factor, ops.stop_gradient(excess))
        return ops.subtract(descent, ascent)

    def expanded_kernel(self) -> Any:
        """Returns the matrix `[inputs, outputs]` of all banks together."""
        kernel, weights = ops.convert_to_tensor(self.kernel), self.relaxation_weights()
        total = None
        for bank in range(self.banks):
            matrix = self.weighed(self.expand(kernel[bank]), weights[bank])
            total = matrix if total is None else ops.add(total, matrix)
        return total

    def weighed(self, matrix: Any, weights: Any) -> Any:
        """Returns a bank's matrix, whose rows or columns of every element are multiplied.

        Args:
            matrix: `[inputs, outputs]`.
            weights: `[n]`.
        """
        shape, order = matrix.shape, self.group_order
        weights = ops.cast(weights, matrix.dtype)
        if self.side == "output":
            blocks = ops.reshape(matrix, (shape[0], order, -1))
            return ops.reshape(ops.multiply(blocks, weights[:, None]), shape)
        channels = self.kernel.shape[-2]
        blocks = ops.reshape(matrix, (-1, order, channels, shape[1]))
        return ops.reshape(ops.multiply(blocks, weights[:, None, None]), shape)

    def equivariance_certificate(self) -> EquivarianceCertificate:
        """Returns a bound on the equivariance error, from the spread of the weights.

        The error at an element is that of its weights: (f(L_a x) - L_a f(x))[g] is the sum over
        banks of (w_l(g) - w_l(a^-1 g)) (Psi_l x)[a^-1 g]. So the slope is the sum of

            (max w_l - min w_l) ||Psi_l||,

        with the spectral norm, or for convolutions a bound on it. Only for a layer that is built.
        """
        weights = ops.convert_to_numpy(self.relaxation_weights()).astype(np.float64)
        kernel = ops.convert_to_tensor(self.kernel)
        matrices = [ops.convert_to_numpy(self.expand(k)) for k in ops.unstack(kernel, axis=0)]
        norms = [np.linalg.norm(matrix.astype(np.float64), 2) for matrix in matrices]
        spreads = weights.max(axis=-1) - weights.min(axis=-1)
        return EquivarianceCertificate(float(spreads @ norms) * self._norm_of_the_rest())

    def _norm_of_the_rest(self) -> float:
        """What a map's norm is at most, in units of its matrix' norm."""
        return 1.0

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as plain JSON values."""
        config = super().get_config()
        config.update(
            banks=self.banks,
            rate=self.rate,
            spread_penalty=self.spread_penalty,
            spread_limit=self.spread_limit,
        )
        if len(self.sides) > 1:
            config["side"] = self.side
        return config


class _Spread(keras.regularizers.Regularizer):
    """A function as a regularizer, which older versions of Keras take no other as.

    It is made anew with its layer, and never written to a file.
    """

    def __init__(self, penalty: Callable[[Any], Any]) -> None:
        self._penalty = penalty

    def __call__(self, x: Any) -> Any:
        return self._penalty(x)


def _variance(weights: Any) -> Any:
    mean = ops.mean(weights, axis=-1, keepdims=True)
    return ops.mean(ops.square(ops.subtract(weights, mean)))


def refuse_fourier(layer: Any) -> None:
    """Refuses an algorithm that several banks do not have.

    Raises:
        ValueError: If `layer.algorithm` is "fourier" and there are several banks.
    """
    if layer.algorithm == "fourier" and layer.banks > 1:
        refuse("algorithm", "auto or dense where there is more than one bank", layer.algorithm)
