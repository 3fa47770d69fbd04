"""Group convolution between regular features."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from tf_equirl._checks import LARGEST_UNITS, positive_integer
from tf_equirl.groups import FiniteGroup
from tf_equirl.layers.base import EquivariantLinear, gather_kernel, object_of


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
        **kwargs: See `EquivariantLinear`: `activation`, `use_bias`, initializers, ...

    Raises:
        ValueError: If an argument, or the shape of the input, is wrong.
    """

    def __init__(self, units: int, group: FiniteGroup | dict[str, Any], **kwargs: Any) -> None:
        """Checks and keeps the arguments."""
        super().__init__(**kwargs)
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

    def expanded_kernel(self) -> Any:
        """Returns the matrix `[n * C, n * units]` with block psi(g_i^-1 g_j) from j to i."""
        return gather_kernel(ops.convert_to_tensor(self.kernel), self._index)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as plain JSON values."""
        config = super().get_config()
        config.update(units=self.units, group=self.group.get_config())
        return config
