"""The relaxed form of `GroupDense`."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from tf_equirl.groups import FiniteGroup
from tf_equirl.layers.dense.group_dense import GroupDense
from tf_equirl.layers.relaxed.relaxed import SIDES, Relaxed, refuse_fourier


@keras.saving.register_keras_serializable(package="tf_equirl")
class RelaxedGroupDense(Relaxed, GroupDense):
    """Relaxed group convolution: `GroupDense` whose outputs of every element have weights.

        y[g] = activation(sum_l w_l(g) sum_h psi_l(g^-1 h) x[h] + b)

    or, with `side="input"`, with w_l(h) in place of w_l(g). See `Relaxed` for w, and for the
    papers. Where it is constant, as at the start, the law of `GroupDense` holds. With as many banks
    as the group has elements it is any linear map.

    Input shape: `[..., n, C]`, with `n` the order of the group.
    Output shape: `[..., n, units]`.

    Args:
        units: See `GroupDense`.
        group: Likewise.
        **kwargs: See `Relaxed`: `banks`, `side`, `rate`, ...; and `GroupDense`. One bank can be
            computed in the Fourier basis, `algorithm`; several are one matrix.

    Raises:
        ValueError: If an argument, or the shape of the input, is wrong.

    Example:
        >>> import numpy as np
        >>> from tf_equirl.groups import symmetric_group
        >>> layer = RelaxedGroupDense(4, symmetric_group(3), banks=6)
        >>> layer(np.ones([1, 6, 2], "float32")).shape
        TensorShape([1, 6, 4])
        >>> sum(weight.size for weight in layer.weights[:1])  # those of any matrix [12, 24]
        288
    """

    sides = SIDES

    def __init__(self, units: int, group: FiniteGroup | dict[str, Any], **kwargs: Any) -> None:
        """Checks and keeps the arguments."""
        super().__init__(units, group, **kwargs)
        refuse_fourier(self)

    def chosen_algorithm(self, rows: int | None = None, stay: bool = False) -> str:
        """Returns "dense" or "fourier", see `GroupDense`."""
        return super().chosen_algorithm(rows, stay) if self.banks == 1 else "dense"

    def prepared_kernel(self, rows: int | None, stay: bool) -> Any:
        """Returns the matrix, or a list of the blocks in the Fourier basis and w."""
        if self.chosen_algorithm(rows, stay) == "dense":
            return self.expanded_kernel()
        blocks = self._fourier.prepare(ops.convert_to_tensor(self.kernel)[0])
        return [*blocks, self.relaxation_weights()[0]]

    def apply(self, inputs: Any, prepared: Any) -> Any:
        """Returns the outputs for what `prepare` made of the weights."""
        blocks, bias = prepared
        if not isinstance(blocks, list):
            return super().apply(inputs, prepared)
        *blocks, weights = blocks
        if self.side == "input":
            return super().apply(ops.multiply(inputs, weights[:, None]), (blocks, bias))
        rows = self._fourier.convolved(inputs, blocks, None, self.leading_shape(inputs))
        rows = [ops.multiply(row, weights[g]) for g, row in enumerate(rows)]
        if self.bias is not None:
            rows = [ops.add(row, bias) for row in rows]
        return self.apply_to_rows(rows)
