"""Group convolution between regular features."""

from __future__ import annotations

import functools
from typing import Any

import keras
from keras import ops

from tf_equirl._checks import LARGEST_UNITS, one_of, positive_integer
from tf_equirl.groups import FiniteGroup
from tf_equirl.layers.base import EquivariantLinear, gather_kernel, object_of
from tf_equirl.layers.dense.fourier import ALGORITHMS, LARGEST_UNROLLED, FourierConvolution

LEAST_WIDTH, LEAST_WIDTH_OF_LARGE, LEAST_WIDTH_OF_FEW = 20, 12, 40
"""Channels from which on `"auto"` is `"fourier"`, those for groups of more than `LARGEST_UNROLLED`
elements, and those for few inputs at a time where the matrix is made only once: the square root of
the number of input channels times that of output channels. With few channels a processor is not
kept busy by the smaller products (docs/performance.md)."""
FEW = 32
"""Fewer inputs than that, the leading dimensions multiplied, are few."""


@keras.saving.register_keras_serializable(package="tf_equirl")
class GroupDense(EquivariantLinear):
    """Group convolution: every equivariant linear map between regular features.

        y[i] = activation(sum_j psi(g_i^-1 g_j) h[j] + b)

    Law, for every g in G, with `(L_g h)[i] = h[g^-1 i]`: `layer(L_g h) = L_g layer(h)`.

    Cohen & Welling, "Group Equivariant Convolutional Networks" (2016), eq. 11.

    Input shape: `[..., n, C]`, with `n` the order of the group.
    Output shape: `[..., n, units]`.

    Args:
        units: Number of output channels, at most 2^20.
        group: The group; a `FiniteGroup` or its config.
        algorithm: How it is computed; the function is the same up to rounding, and so are weights.
            "dense" multiplies by one matrix `[n C, n units]`, "fourier" by one matrix for each
            irreducible representation, in the group's Fourier basis, and "auto" takes the one that
            `chosen_algorithm` says.
        **kwargs: See `EquivariantLinear`: `activation`, `use_bias`, initializers, ...

    Raises:
        ValueError: If an argument, or the shape of the input, is wrong.
    """

    def __init__(
        self,
        units: int,
        group: FiniteGroup | dict[str, Any],
        algorithm: str = "auto",
        **kwargs: Any,
    ) -> None:
        """Checks and keeps the arguments."""
        super().__init__(**kwargs)
        self.algorithm = one_of("algorithm", algorithm, ALGORITHMS)
        self.units = positive_integer("units", units, LARGEST_UNITS)
        self.group = object_of(FiniteGroup, group, "group")
        self.rows = self.group.order
        self._index = self.group.table[self.group.inverses]  # [i, j] -> g_i^-1 g_j

    def output_axes(self) -> tuple[int, ...]:
        """Returns `(n, units)`."""
        return (self.group.order, self.units)

    def kernel_shape(self, channels: int) -> tuple[int, ...]:
        """Returns `(n, C, units)`: the map psi(g) for each element g."""
        return (self.group.order, channels, self.units)

    def initial_kernel(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        """Returns psi, drawn as the `[n * C, units]` matrix that feeds one output row."""
        order, channels, units = shape
        return ops.reshape(self.kernel_initializer((order * channels, units), dtype=dtype), shape)

    def expand(self, kernel: Any) -> Any:
        """Returns the matrix `[n * C, n * units]` with block psi(g_i^-1 g_j) from j to i."""
        return gather_kernel(kernel, self._index)

    def chosen_algorithm(self, rows: int | None = None, stay: bool = False) -> str:
        """Returns "dense" or "fourier": how the layer, once built, computes so many inputs.

        Args:
            rows: The number of inputs, their leading dimensions multiplied; `None` where it is not
                known, which is taken for many.
            stay: Whether the weights stay for many calls, see `prepare`.
        """
        if self.algorithm != "auto":
            return self.algorithm
        order = self.group.order
        least = LEAST_WIDTH if order <= LARGEST_UNROLLED else LEAST_WIDTH_OF_LARGE
        if stay and rows is not None and rows < FEW:
            least = LEAST_WIDTH_OF_FEW
        channels, units = self.kernel.shape[-2:]
        return "fourier" if channels * units >= least**2 and order > 1 else "dense"

    def prepared_kernel(self, rows: int | None, stay: bool) -> Any:
        """Returns the matrix, or a list of the blocks in the Fourier basis."""
        if self.chosen_algorithm(rows, stay) == "dense":
            return self.expanded_kernel()
        return self._fourier.prepare(ops.convert_to_tensor(self.kernel))

    def apply(self, inputs: Any, prepared: Any) -> Any:
        """Returns `activation(K x + b)` for what `prepare` made of the weights."""
        blocks, bias = prepared
        if not isinstance(blocks, list):
            return super().apply(inputs, prepared)
        leading = self.leading_shape(inputs)
        bias = None if self.bias is None else bias
        return self.apply_to_rows(self._fourier.convolved(inputs, blocks, bias, leading))

    @functools.cached_property
    def _fourier(self) -> FourierConvolution:
        return FourierConvolution(self.group)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as plain JSON values."""
        config = super().get_config()
        config.update(units=self.units, group=self.group.get_config())
        if self.algorithm != "auto":  # files of before and after are the same
            config["algorithm"] = self.algorithm
        return config
