"""From a vector in a representation to regular features."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from tf_equirl._checks import LARGEST_UNITS, one_of, positive_integer, refuse
from tf_equirl.groups import Representation
from tf_equirl.layers.base import (
    EquivariantLinear,
    acts_by_index,
    gather_kernel,
    inverse_indices,
    object_of,
)
from tf_equirl.layers.dense.fourier import ALGORITHMS, LARGEST_UNROLLED, FourierConvolution


@keras.saving.register_keras_serializable(package="tf_equirl")
class LiftingDense(EquivariantLinear):
    """Lifts a vector to regular features: one copy of a dense layer per group element.

        lift(s)[i] = activation(W^T rho(g_i)^-1 s + b)

    Law, for every g in G: `lift(rho(g) s)[i] = lift(s)[g^-1 i]`.

    The inverse matters: with `rho(g_i) s` instead, the law above fails unless every
    element is its own inverse. It is the first layer of a group-convolutional network (Cohen &
    Welling, "Group Equivariant Convolutional Networks", 2016, eq. 10).

    Input shape: `[..., d]`, with `d` the dimension of the representation.
    Output shape: `[..., n, units]`, with `n` the order of the group.

    Args:
        units: Number of output channels, at most 2^20.
        representation: How the group acts on the input; a `Representation` or its config.
        algorithm: How it is computed; the function is the same up to rounding, and so are weights.
            "dense" multiplies by one matrix `[d, n units]`, "fourier" computes the Fourier
            coefficients that the representation has and goes back from there, and "auto" takes the
            one that `chosen_algorithm` says.
        **kwargs: See `EquivariantLinear`: `activation`, `use_bias`, initializers, ...

    Raises:
        ValueError: If an argument, or the shape of the input, is wrong.
    """

    def __init__(
        self,
        units: int,
        representation: Representation | dict[str, Any],
        algorithm: str = "auto",
        **kwargs: Any,
    ) -> None:
        """Checks and keeps the arguments."""
        super().__init__(**kwargs)
        self.algorithm = one_of("algorithm", algorithm, ALGORITHMS)
        self.units = positive_integer("units", units, LARGEST_UNITS)
        self.representation = object_of(Representation, representation, "representation")
        self._by_index = acts_by_index(self.representation)
        self._kept: list[int] = []  # Fourier coefficients that are not 0
        if self._by_index:
            if algorithm == "fourier":
                refuse(
                    "algorithm", "auto or dense for a representation of so many numbers", algorithm
                )
            self._index, self._sign = inverse_indices(self.representation)
            return
        # Row (d, i) of this constant times the kernel is row d of the block of element i.
        inverses = np.asarray(self.representation.inverse_matrices)
        self._spread = inverses.transpose(2, 0, 1).reshape(-1, self.representation.dim)
        small = 1 < self.representation.group.order <= LARGEST_UNROLLED
        if algorithm == "fourier" or (algorithm == "auto" and small):
            self._fourier = FourierConvolution(self.representation.group)
            coefficients = self._fourier.coefficients(inverses.transpose(0, 2, 1))
            self._kept = np.flatnonzero(coefficients.any(axis=(1, 2))).tolist()
            kept = coefficients[self._kept].transpose(1, 0, 2)
            self._spread_coefficients = kept.reshape(-1, self.representation.dim)

    def output_axes(self) -> tuple[int, ...]:
        """Returns `(n, units)`."""
        return (self.representation.group.order, self.units)

    def kernel_shape(self, channels: int) -> tuple[int, ...]:
        """Returns `(d, units)`."""
        return (channels, self.units)

    def expand(self, kernel: Any) -> Any:
        """Returns the matrix `[d, n * units]` whose block of element i is `rho(g_i)^-T W`."""
        if self._by_index:
            return gather_kernel(kernel[:, None, :], self._index, self._sign)
        blocks = ops.matmul(ops.cast(self._spread, kernel.dtype), kernel)
        return ops.reshape(blocks, (self.representation.dim, -1))

    def chosen_algorithm(self) -> str:
        """Returns "dense" or "fourier": how the layer computes any number of inputs."""
        if self.algorithm != "auto":
            return self.algorithm
        # Irreps that the representation does not contain cost nothing.
        return "fourier" if 0 < len(self._kept) < self.representation.group.order else "dense"

    def prepared_kernel(self, rows: int | None, stay: bool) -> Any:
        """Returns the matrix, or a list of that to the Fourier coefficients that there are."""
        if self.chosen_algorithm() == "dense":
            return self.expanded_kernel()
        kernel = ops.convert_to_tensor(self.kernel)
        blocks = ops.matmul(ops.cast(self._spread_coefficients, kernel.dtype), kernel)
        return [ops.reshape(blocks, (self.representation.dim, -1))]

    def apply(self, inputs: Any, prepared: Any) -> Any:
        """Returns `activation(K x + b)` for what `prepare` made of the weights."""
        matrix, bias = prepared
        if not isinstance(matrix, list):
            return super().apply(inputs, prepared)
        outputs = ops.matmul(inputs, matrix[0])
        shape = (*self.leading_shape(inputs), len(self._kept), self.units)
        parts = ops.unstack(ops.reshape(outputs, shape), axis=-2)
        bias = None if self.bias is None else bias
        return self.apply_to_rows(self._fourier.back(parts, bias, self._kept))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as plain JSON values."""
        config = super().get_config()
        config.update(units=self.units, representation=self.representation.get_config())
        if self.algorithm != "auto":  # files of before and after are the same
            config["algorithm"] = self.algorithm
        return config

    def _channels(self, input_shape: tuple[int | None, ...]) -> int:
        if tuple(input_shape)[-1:] != (self.representation.dim,):
            raise ValueError(
                f"The input of LiftingDense '{self.name}' must have shape "
                f"[..., {self.representation.dim}], the dimension of its representation. "
                f"Received: input_shape={tuple(input_shape)}"
            )
        return self.representation.dim
