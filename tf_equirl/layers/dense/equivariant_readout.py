"""From regular features to any representation."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from tf_equirl._checks import shown
from tf_equirl.groups import Representation, intertwiner_basis, trivial_representation
from tf_equirl.layers.base import (
    EquivariantLinear,
    FixedVectors,
    acts_by_index,
    inverse_indices,
    object_of,
)


@keras.saving.register_keras_serializable(package="tf_equirl")
class EquivariantReadout(EquivariantLinear):
    """Reads any representation out of regular features.

        y = sum_i rho(g_i) W^T h[i] + b,   rho(g) b = b

    Law, for every g in G, with `(L_g h)[i] = h[g^-1 i]`: `readout(L_g h) = rho(g) readout(h)`.

    With W free these are *all* equivariant linear maps to `rho` (Frobenius reciprocity: a map
    from the regular representation is fixed by its value at the identity), and b runs over
    all fixed vectors of `rho`. A permutation representation gives the logits of discrete
    actions, the trivial one an invariant value, a matrix representation the mean of a
    continuous action or a next state. There is no activation: a pointwise function would
    break the law for a general `rho`.

    Input shape: `[..., n, C]`, with `n` the order of the group.
    Output shape: `[..., d_out]`, the dimension of the representation.

    Args:
        representation: How the group acts on the output; a `Representation` or its config.
        **kwargs: See `EquivariantLinear`, `activation` excepted.

    Raises:
        ValueError: If an argument, or the shape of the input, is wrong.
    """

    def __init__(self, representation: Representation | dict[str, Any], **kwargs: Any) -> None:
        """Checks and keeps the arguments."""
        if "activation" in kwargs:
            raise ValueError(
                "EquivariantReadout takes no `activation`: a pointwise function breaks its law. "
                f"Received: activation={shown(kwargs['activation'])}"
            )
        super().__init__(**kwargs)
        self.representation = object_of(Representation, representation, "representation")
        group, dim = self.representation.group, self.representation.dim
        self.rows = group.order
        self._by_index = acts_by_index(self.representation)
        if self._by_index:
            self._index, self._sign = inverse_indices(self.representation)
            self._fixed_vectors = FixedVectors(self.representation)
            self._fixed_count = self._fixed_vectors.count
            return
        # The kernel times this constant is the row of blocks W rho(g_i)^T, i = 0 ... n - 1.
        matrices = np.asarray(self.representation.matrices)
        self._spread = matrices.transpose(2, 0, 1).reshape(dim, -1)
        self._fixed = intertwiner_basis(trivial_representation(group), self.representation)[..., 0]
        self._fixed_count = len(self._fixed)

    def output_axes(self) -> tuple[int, ...]:
        """Returns `(d_out,)`."""
        return (self.representation.dim,)

    def kernel_shape(self, channels: int) -> tuple[int, ...]:
        """Returns `(C, d_out)`."""
        return (channels, self.representation.dim)

    def initial_kernel(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        """Returns the first C of the n * C rows that feed one output."""
        channels, dim = shape
        fan_in = self.representation.group.order * channels
        return self.kernel_initializer((fan_in, dim), dtype=dtype)[:channels]

    def expand(self, kernel: Any) -> Any:
        """Returns the matrix `[n * C, d_out]` whose block of element i is `W rho(g_i)^T`."""
        if self._by_index:
            blocks = ops.take(kernel, self._index, axis=1)
            if self._sign is not None:
                blocks = ops.multiply(blocks, ops.cast(self._sign, kernel.dtype))
        else:
            blocks = ops.matmul(kernel, ops.cast(self._spread, kernel.dtype))
            blocks = ops.reshape(blocks, (-1, self.rows, self.representation.dim))
        return ops.reshape(ops.transpose(blocks, (1, 0, 2)), (-1, self.representation.dim))

    def bias_shape(self) -> tuple[int, ...]:
        """Returns `(r,)`, the dimension of the subspace that `rho` leaves fixed."""
        return (self._fixed_count,)

    def expanded_bias(self) -> Any:
        """Returns the fixed vector `[d_out]` whose coordinates are stored."""
        bias = ops.convert_to_tensor(self.bias)
        if self._by_index:
            return self._fixed_vectors.vectors(bias[:, None])[:, 0]
        return ops.matmul(bias, ops.cast(self._fixed, bias.dtype))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as plain JSON values."""
        config = super().get_config()
        del config["activation"]
        config["representation"] = self.representation.get_config()
        return config
