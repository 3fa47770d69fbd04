"""From a picture to regular features at every window."""

from __future__ import annotations

from typing import Any

import keras

from tf_equirl._checks import refuse
from tf_equirl.groups import Representation, picture_of
from tf_equirl.layers.base import object_of
from tf_equirl.layers.grid.geometry import Geometry
from tf_equirl.layers.grid.on_grid import OnGrid


@keras.saving.register_keras_serializable(package="tf_equirl")
class LiftingConv2D(OnGrid):
    """Lifting convolution: looks for a filter, turned by every element, at every window.

        y[x, g] = activation(sum_u psi(g^-1 u) . rho(g)^-1 f(x + u) + b)

    Here u runs over the pixels of a window, and rho is how g acts on the channels of one pixel.
    Law, for every g in G, with `(L_g y)[x, h] = y[g^-1 x, g^-1 h]`: `layer(g f) = L_g layer(f)`.

    Cohen & Welling, "Group Equivariant Convolutional Networks" (2016), eq. 10.

    Input shape: `[..., height, width, channels]`.
    Output shape: `[..., height', width', n, filters]`, with `n` the order of the group.

    Args:
        filters: Number of output channels, at most 2^20.
        kernel_size: Rows and columns of a window, or one integer for both.
        representation: How the group acts on the input: an `image_representation`, or its config.
        strides: Rows and columns from a window to the next, likewise.
        padding: "valid", "same", "circular" (the picture is a torus) or rows and columns of zeros
            on each side; see `Geometry`.
        algorithm: How it is computed; the function is the same up to rounding, and so are weights.
            "slices" cuts the picture and multiplies by matrices, "convolution" is Keras' own, and
            "auto" takes that one except where `tf.vectorized_map` maps over weights.
        **kwargs: See `EquivariantLinear`: `activation`, `use_bias`, initializers, ...

    Raises:
        ValueError: If an argument, or the shape of the input, is wrong, or windows would not lie
            symmetrically in the picture: (height + padding - kernel size) must be a multiple of the
            stride along every axis that an element reverses.

    Example:
        >>> import numpy as np
        >>> from tf_equirl.groups import cyclic_group, image_representation
        >>> layer = LiftingConv2D(4, 3, image_representation(cyclic_group(4), 9, 9, channels=2))
        >>> layer(np.ones([1, 9, 9, 2], "float32")).shape
        TensorShape([1, 7, 7, 4, 4])
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        representation: Representation | dict[str, Any],
        strides: Any = 1,
        padding: Any = "valid",
        algorithm: str = "auto",
        **kwargs: Any,
    ) -> None:
        """Checks and keeps the arguments."""
        super().__init__(**kwargs)
        self.representation = object_of(Representation, representation, "representation")
        picture = picture_of(self.representation)
        if picture is None:
            refuse("representation", "an image_representation", self.representation)
        self.set_windows(
            filters,
            self.representation.group,
            picture.channels,
            (picture.turns, picture.flips),
            Geometry(kernel_size, strides, padding),
            algorithm,
        )
        self._size = picture.shape[:2]
        self.output_size(*self._size)

    @property
    def input_axes(self) -> int:
        """Height, width and channels."""
        return 3

    def kernel_shape(self, channels: int) -> tuple[int, ...]:
        """Returns `(rows, columns, channels, filters)`."""
        return (*self.geometry.kernel_size, channels, self.filters)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as plain JSON values."""
        return {**super().get_config(), "representation": self.representation.get_config()}

    def _channels(self, input_shape: tuple[int | None, ...]) -> int:
        channels = super()._channels(input_shape)
        if tuple(input_shape)[-3:-1] != self._size:
            raise ValueError(
                f"The input of LiftingConv2D '{self.name}' must have the height and width of its "
                f"representation, {self._size}. Received: input_shape={tuple(input_shape)}"
            )
        return channels
