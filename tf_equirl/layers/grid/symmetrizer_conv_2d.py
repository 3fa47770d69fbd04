"""The convolution of MDP homomorphic networks."""

from __future__ import annotations

from typing import Any

import keras

from tf_equirl._checks import LARGEST_UNITS, positive_integer
from tf_equirl.groups import (
    FiniteGroup,
    Representation,
    image_representation,
    regular_representation,
)
from tf_equirl.layers.base import object_of
from tf_equirl.layers.dense.symmetrizer_dense import SymmetrizerDense
from tf_equirl.layers.grid.geometry import Geometry
from tf_equirl.layers.grid.on_grid import OnGrid


@keras.saving.register_keras_serializable(package="tf_equirl")
class SymmetrizerConv2D(OnGrid, SymmetrizerDense):
    """The convolution of MDP homomorphic networks: filters K = sum_k alpha_k V_k.

    V_1, ..., V_r is an orthonormal basis of the equivariant maps from what a window holds to the
    regular features there. Its functions are those of `LiftingConv2D` and `GroupConv2D`;
    parametrisation and initial weights differ (see `SymmetrizerDense`). Law, for every g in G, with
    `(L_g f)[x] = rho(g) f[g^-1 x]`: `layer(L_g f) = L_g layer(f)`, rho regular on the right.

    van der Pol, Worrall, van Hoof, Oliehoek & Welling, "MDP Homomorphic Networks: Group Symmetries
    in Reinforcement Learning" (2020), section 3.2 and appendix B.

    Input shape: `[..., height, width, m, C]`, with `m` the dimension of `channels`.
    Output shape: `[..., height', width', n, filters]`, with `n` the order of the group.

    Args:
        filters: Number of output channels, at most 2^20.
        kernel_size: Rows and columns of a window, or one integer for both.
        channels: How the group acts on the rows of one pixel; a `Representation` or its config.
            The regular one after another such layer.
        turns: See `GroupConv2D`.
        flips: See `GroupConv2D`.
        strides: Rows and columns from a window to the next, or one integer for both.
        padding: See `LiftingConv2D`.
        algorithm: See `LiftingConv2D`.
        basis: `"exact"`, `"sampled"` or `"random"`, see `SymmetrizerDense`.
        seed: Seed of a basis that is not exact.
        **kwargs: See `SymmetrizerDense`: `activation`, `kernel_initializer`, ...

    Raises:
        ValueError: If an argument, or the shape of the input, is wrong, or windows would not lie
            symmetrically in the picture (see `LiftingConv2D`).

    Example:
        >>> import numpy as np
        >>> from tf_equirl.groups import cyclic_group, trivial_representation
        >>> layer = SymmetrizerConv2D(4, 3, trivial_representation(cyclic_group(4), 2))
        >>> layer(np.ones([1, 9, 9, 2, 1], "float32")).shape
        TensorShape([1, 7, 7, 4, 4])
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        channels: Representation | dict[str, Any],
        turns: Any = None,
        flips: Any = None,
        strides: Any = 1,
        padding: Any = "valid",
        algorithm: str = "auto",
        **kwargs: Any,
    ) -> None:
        """Checks the arguments; computes an exact basis."""
        self.channels = object_of(Representation, channels, "channels")
        positive_integer("filters", filters, LARGEST_UNITS)
        group: FiniteGroup = self.channels.group
        geometry = Geometry(kernel_size, strides, padding)
        window = image_representation(group, *geometry.kernel_size, self.channels, turns, flips)
        super().__init__(filters, window, regular_representation(group), **kwargs)
        self.set_windows(filters, group, self.channels, (turns, flips), geometry, algorithm)

    initial_kernel = SymmetrizerDense.initial_kernel
    expand = SymmetrizerDense.expand

    @property
    def input_axes(self) -> int:
        """Height, width, rows and channels."""
        return 4

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as plain JSON values."""
        config = super().get_config()
        for name in ("units", "inputs", "outputs"):
            del config[name]
        turns, flips = list(self.picture.turns), [bool(flip) for flip in self.picture.flips]
        config.update(channels=self.channels.get_config(), turns=turns, flips=flips)
        return config
