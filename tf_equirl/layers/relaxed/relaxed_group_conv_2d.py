"""The relaxed form of `GroupConv2D`."""

from __future__ import annotations

from typing import Any

import keras

from tf_equirl.groups import FiniteGroup
from tf_equirl.layers.grid.group_conv_2d import GroupConv2D
from tf_equirl.layers.relaxed.certificate import cover
from tf_equirl.layers.relaxed.relaxed import SIDES, Relaxed


@keras.saving.register_keras_serializable(package="tf_equirl")
class RelaxedGroupConv2D(Relaxed, GroupConv2D):
    """Relaxed convolution: `GroupConv2D` whose outputs of every element have weights.

        y[x, g] = activation(sum_l w_l(g) sum_h sum_u psi_l(g^-1 u, g^-1 h) f[x + u, h] + b)

    or, with `side="input"`, with w_l(h) in place of w_l(g).
    See `Relaxed` for w, and for the papers; it is the same at every place. Where it is constant, as
    at the start, the law of `GroupConv2D` holds.

    Input shape: `[..., height, width, n, C]`, with `n` the order of the group.
    Output shape: `[..., height', width', n, filters]`.

    Args:
        filters: See `GroupConv2D`.
        kernel_size: Likewise.
        group: Likewise.
        **kwargs: See `Relaxed`: `banks`, `side`, `rate`, ...; and `GroupConv2D`.

    Raises:
        ValueError: If an argument, or the shape of the input, is wrong.

    Example:
        >>> import numpy as np
        >>> from tf_equirl.groups import dihedral_group
        >>> layer = RelaxedGroupConv2D(4, 3, dihedral_group(4), padding="same", banks=2)
        >>> layer(np.ones([1, 9, 9, 8, 2], "float32")).shape
        TensorShape([1, 9, 9, 8, 4])
    """

    sides = SIDES

    def __init__(
        self, filters: int, kernel_size: Any, group: FiniteGroup | dict[str, Any], **kwargs: Any
    ) -> None:
        """Checks and keeps the arguments."""
        super().__init__(filters, kernel_size, group, **kwargs)

    def _norm_of_the_rest(self) -> float:
        return cover(self.geometry)
