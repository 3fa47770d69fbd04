"""The relaxed form of `LiftingDense`."""

from __future__ import annotations

from typing import Any

import keras

from tf_equirl.groups import Representation
from tf_equirl.layers.dense.lifting_dense import LiftingDense
from tf_equirl.layers.relaxed.relaxed import Relaxed, refuse_fourier


@keras.saving.register_keras_serializable(package="tf_equirl")
class RelaxedLiftingDense(Relaxed, LiftingDense):
    """Relaxed lifting: `LiftingDense` whose outputs of every element have weights.

        y[g] = activation(sum_l w_l(g) W_l^T rho(g)^-1 s + b)

    See `Relaxed` for w, and for the papers. Where it is constant, as at the start, the law of
    `LiftingDense` holds.

    Input shape: `[..., d]`, with `d` the dimension of the representation.
    Output shape: `[..., n, units]`, with `n` the order of the group.

    Args:
        units: See `LiftingDense`.
        representation: Likewise.
        **kwargs: See `Relaxed`: `banks`, `rate`, ...; and `LiftingDense`.

    Raises:
        ValueError: If an argument, or the shape of the input, is wrong.

    Example:
        >>> import numpy as np
        >>> from tf_equirl.groups import cyclic_group, regular_representation
        >>> layer = RelaxedLiftingDense(4, regular_representation(cyclic_group(3)), banks=2)
        >>> layer(np.ones([1, 3], "float32")).shape
        TensorShape([1, 3, 4])
        >>> layer.equivariance_certificate()
        EquivarianceCertificate(slope=0.0, constant=0.0)
    """

    def __init__(
        self, units: int, representation: Representation | dict[str, Any], **kwargs: Any
    ) -> None:
        """Checks and keeps the arguments."""
        super().__init__(units, representation, **kwargs)
        refuse_fourier(self)

    def chosen_algorithm(self) -> str:
        """Returns "dense": all elements have weights of their own."""
        return "dense"
