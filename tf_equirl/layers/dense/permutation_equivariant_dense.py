"""Every equivariant linear map between two (signed) permutation representations."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from tf_equirl._checks import LARGEST_UNITS, positive_integer
from tf_equirl.groups import Representation, signed_pair_orbits, trivial_representation
from tf_equirl.layers.base import (
    EquivariantLinear,
    check_activation,
    gather_kernel,
    object_of,
)


@keras.saving.register_keras_serializable(package="tf_equirl")
class PermutationEquivariantDense(EquivariantLinear):
    """Dense layer whose weights are shared along the orbits of G on (output, input) pairs.

        y[i] = activation(sum_j sign[i, j] W[orbit(i, j)] h[j] + b[i])

    Law, for every g in G, the representations acting on the second-to-last axis:
    `layer(rho_in(g) h) = rho_out(g) layer(h)`. Without the activation these are *all* such
    maps: a pair (i, j) whose stabiliser flips the sign can carry no weight (`sign[i, j] = 0`).
    The bias is shared along the orbits of G on outputs, and is zero where a stabiliser flips
    the sign. Between regular representations this is `GroupDense`.

    Ravanbakhsh, Schneider & Poczos, "Equivariance Through Parameter-Sharing" (2017), sec. 4,
    extended here with signs.

    Input shape: `[..., m, C]`, with `m` the dimension of `inputs`.
    Output shape: `[..., k, units]`, with `k` the dimension of `outputs`.

    Args:
        units: Number of output channels, at most 2^20.
        inputs: How the group acts on the input rows; a (signed) permutation `Representation`
            or its config.
        outputs: The same for the output rows.
        **kwargs: See `EquivariantLinear`: `activation`, `use_bias`, initializers, ...

    Raises:
        ValueError: If a representation is not a (signed) permutation, if the two belong to
            different groups or admit no non-zero equivariant map, if the outputs change sign
            and the activation is not odd, or if the shape of the input is wrong.
    """

    def __init__(
        self,
        units: int,
        inputs: Representation | dict[str, Any],
        outputs: Representation | dict[str, Any],
        **kwargs: Any,
    ) -> None:
        """Checks the arguments and computes the orbits."""
        super().__init__(**kwargs)
        self.units = positive_integer("units", units, LARGEST_UNITS)
        self.inputs = _signed_permutation(inputs, "inputs")
        self.outputs = _signed_permutation(outputs, "outputs")
        if self.inputs.group != self.outputs.group:
            raise ValueError(
                "`inputs` and `outputs` must be representations of the same group. "
                f"Received: inputs={self.inputs!r}, outputs={self.outputs!r}"
            )
        check_activation(self.activation, self.outputs)
        self.rows = self.inputs.dim
        self._orbits = signed_pair_orbits(self.outputs, self.inputs)
        if not self._orbits.count:
            raise ValueError(
                "`inputs` and `outputs` admit no equivariant linear map but zero. "
                f"Received: inputs={self.inputs!r}, outputs={self.outputs!r}"
            )
        self._bias_orbits = signed_pair_orbits(
            self.outputs, trivial_representation(self.outputs.group)
        )

    def output_axes(self) -> tuple[int, ...]:
        """Returns `(k, units)`."""
        return (self.outputs.dim, self.units)

    def kernel_shape(self, channels: int) -> tuple[int, ...]:
        """Returns `(count, C, units)`: one map per orbit of pairs."""
        return (self._orbits.count, channels, self.units)

    def initial_kernel(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        """Returns one block per orbit of pairs, drawn as part of its output row.

        For the first row of each orbit of outputs the initializer draws the blocks of every
        input that reaches that row (the true fan-in); each orbit of pairs keeps the block of
        its first pair. Initializers repeat their values from call to call, so each orbit of
        outputs takes columns of its own.
        """
        _, channels, units = shape
        index, sign = self._orbits.index, self._orbits.sign
        # Orbits of pairs are numbered row by row, hence also by orbit of outputs.
        first_rows = np.unique(np.min(np.asarray(self.outputs.signed_permutations), axis=0))
        kept = []
        for number, row in enumerate(first_rows):
            reached = index[row][sign[row] != 0]
            if not reached.size:
                continue
            _, first = np.unique(reached, return_index=True)
            drawn = self.kernel_initializer(
                (reached.size * channels, units * len(first_rows)), dtype=dtype
            )
            blocks = ops.reshape(drawn, (reached.size, channels, len(first_rows), units))
            kept.append(ops.take(blocks[:, :, number], first, axis=0))
        return ops.concatenate(kept, axis=0)

    def expand(self, kernel: Any) -> Any:
        """Returns the matrix `[m * C, k * units]` with block `sign * W[orbit]` from j to i."""
        return gather_kernel(kernel, self._orbits.index, _factors(self._orbits.sign))

    def bias_shape(self) -> tuple[int, ...]:
        """Returns `(orbits of outputs, units)`, without the orbits that allow no bias."""
        return (self._bias_orbits.count, self.units)

    def expanded_bias(self) -> Any:
        """Returns the bias of every output row, `[k, units]`."""
        bias = ops.convert_to_tensor(self.bias)[:, None, :]
        rows = gather_kernel(bias, self._bias_orbits.index, _factors(self._bias_orbits.sign))
        return ops.reshape(rows, self.output_axes())

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as plain JSON values."""
        config = super().get_config()
        config.update(
            units=self.units,
            inputs=self.inputs.get_config(),
            outputs=self.outputs.get_config(),
        )
        return config


def _signed_permutation(value: Any, argument: str) -> Representation:
    representation = object_of(Representation, value, argument)
    if representation.signed_permutations is None:
        raise ValueError(
            f"`{argument}` must be a permutation or signed permutation representation. "
            f"Received: {argument}={representation!r}"
        )
    return representation


def _factors(sign: np.ndarray) -> np.ndarray | None:
    return None if np.all(sign == 1) else sign
