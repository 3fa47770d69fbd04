"""The relaxed form of `LiftingConv2D`."""

from __future__ import annotations

from typing import Any

import keras

from tf_equirl.groups import Representation
from tf_equirl.layers.grid.lifting_conv_2d import LiftingConv2D
from tf_equirl.layers.relaxed.certificate import cover
from tf_equirl.layers.relaxed.relaxed import Relaxed


@keras.saving.register_keras_serializable(package="tf_equirl")
class RelaxedLiftingConv2D(Relaxed, LiftingConv2D):
    """Relaxed convolution: `LiftingConv2D` whose outputs of every element have weights.

        y[x, g] = activation(sum_l w_l(g) sum_u psi_l(g^-1 u) . rho(g)^-1 f(x + u) + b)

    See `Relaxed` for w, and for the papers; it is the same at every place. Where it is constant, as
    at the start, the law of `LiftingConv2D` holds.

    Input shape: `[..., height, width, channels]`.
    Output shape: `[..., height', width', n, filters]`, with `n` the order of the group.

    Args:
        filters: See `LiftingConv2D`.
        kernel_size: Likewise.
        representation: Likewise.
        **kwargs: See `Relaxed`: `banks`, `rate`, ...; and `LiftingConv2D`.

    Raises:
        ValueError: If an argument, or the shape of the input, is wrong.

    Example:
        >>> import numpy as np
        >>> from tf_equirl.groups import cyclic_group, image_representation
        >>> pictures = image_representation(cyclic_group(4), 9, 9, channels=2)
        >>> layer = RelaxedLiftingConv2D(4, 3, pictures)
        >>> layer(np.ones([1, 9, 9, 2], "float32")).shape
        TensorShape([1, 7, 7, 4, 4])
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        representation: Representation | dict[str, Any],
        **kwargs: Any,
    ) -> None:
        """Checks and keeps the arguments."""
        super().__init__(filters, kernel_size, representation, **kwargs)

    def _norm_of_the_rest(self) -> float:
        return cover(self.geometry)
