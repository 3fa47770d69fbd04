"""Group convolution of regular features on a grid."""

from __future__ import annotations

from typing import Any

import keras

from tf_equirl.groups import FiniteGroup, regular_representation
from tf_equirl.layers.base import object_of
from tf_equirl.layers.grid.geometry import Geometry
from tf_equirl.layers.grid.on_grid import OnGrid


@keras.saving.register_keras_serializable(package="tf_equirl")
class GroupConv2D(OnGrid):
    """Group convolution on a grid: from regular features at pixels to those at windows.

        y[x, g] = activation(sum_h sum_u psi(g^-1 u, g^-1 h) f[x + u, h] + b)

    Here u runs over the pixels of a window and h over the group. Law, for every g in G, with
    `(L_g f)[x, h] = f[g^-1 x, g^-1 h]`: `layer(L_g f) = L_g layer(f)`.

    Cohen & Welling, "Group Equivariant Convolutional Networks" (2016), eq. 11.

    Input shape: `[..., height, width, n, C]`, with `n` the order of the group.
    Output shape: `[..., height', width', n, filters]`.

    Args:
        filters: Number of output channels, at most 2^20.
        kernel_size: Rows and columns of a window, or one integer for both.
        group: The group; a `FiniteGroup` or its config.
        turns: [n] quarter turns of each element, see `image_representation`, whose default this
            has, too.
        flips: [n] whether an element mirrors before it turns, likewise.
        strides: Rows and columns from a window to the next, or one integer for both.
        padding: See `LiftingConv2D`.
        algorithm: See `LiftingConv2D`.
        **kwargs: See `EquivariantLinear`: `activation`, `use_bias`, initializers, ...

    Raises:
        ValueError: If an argument, or the shape of the input, is wrong, or windows would not lie
            symmetrically in the picture (see `LiftingConv2D`).

    Example:
        >>> import numpy as np
        >>> from tf_equirl.groups import dihedral_group
        >>> layer = GroupConv2D(4, 3, dihedral_group(4), padding="same")
        >>> layer(np.ones([1, 9, 9, 8, 2], "float32")).shape
        TensorShape([1, 9, 9, 8, 4])
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        group: FiniteGroup | dict[str, Any],
        turns: Any = None,
        flips: Any = None,
        strides: Any = 1,
        padding: Any = "valid",
        algorithm: str = "auto",
        **kwargs: Any,
    ) -> None:
        """Checks and keeps the arguments."""
        super().__init__(**kwargs)
        self.group = object_of(FiniteGroup, group, "group")
        self.set_windows(
            filters,
            self.group,
            regular_representation(self.group),
            (turns, flips),
            Geometry(kernel_size, strides, padding),
            algorithm,
        )

    @property
    def input_axes(self) -> int:
        """Height, width, elements and channels."""
        return 4

    def kernel_shape(self, channels: int) -> tuple[int, ...]:
        """Returns `(rows, columns, n, C, filters)`."""
        return (*self.geometry.kernel_size, self.group.order, channels, self.filters)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as plain JSON values."""
        config = super().get_config()
        turns, flips = list(self.picture.turns), [bool(flip) for flip in self.picture.flips]
        config.update(group=self.group.get_config(), turns=turns, flips=flips)
        return config
