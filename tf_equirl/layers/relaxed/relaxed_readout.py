"""The relaxed form of `EquivariantReadout`."""

from __future__ import annotations

from typing import Any

import keras

from tf_equirl.groups import Representation
from tf_equirl.layers.dense.equivariant_readout import EquivariantReadout
from tf_equirl.layers.relaxed.certificate import largest_norm
from tf_equirl.layers.relaxed.relaxed import Relaxed


@keras.saving.register_keras_serializable(package="tf_equirl")
class RelaxedReadout(Relaxed, EquivariantReadout):
    """Relaxed readout: `EquivariantReadout` that weighs what it reads at every element.

        y = sum_g sum_l w_l(g) rho(g) W_l^T h[g] + b,   rho(g) b = b

    See `Relaxed` for w, and for the papers; the outputs have no elements, so that the weights are
    on the side of the input. Where w is constant, as at the start, the law of `EquivariantReadout`
    holds. With as many banks as the group has elements it is any linear map.

    Input shape: `[..., n, C]`, with `n` the order of the group.
    Output shape: `[..., d_out]`, the dimension of the representation.

    Args:
        representation: See `EquivariantReadout`.
        **kwargs: See `Relaxed`: `banks`, `rate`, ...; and `EquivariantReadout`.

    Raises:
        ValueError: If an argument, or the shape of the input, is wrong.

    Example:
        >>> import numpy as np
        >>> from tf_equirl.groups import cyclic_group, trivial_representation
        >>> layer = RelaxedReadout(trivial_representation(cyclic_group(4)))
        >>> layer(np.ones([1, 4, 2], "float32")).shape
        TensorShape([1, 1])
    """

    sides = ("input",)

    def __init__(self, representation: Representation | dict[str, Any], **kwargs: Any) -> None:
        """Checks and keeps the arguments."""
        super().__init__(representation, **kwargs)

    @property
    def group_order(self) -> int:
        """Elements of the group."""
        return self.representation.group.order

    def _norm_of_the_rest(self) -> float:
        return largest_norm(self.representation)
