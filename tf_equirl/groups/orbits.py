"""Orbits of a group on pairs (output coordinate, input coordinate)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tf_equirl.groups._checks import frozen
from tf_equirl.groups.representation import Representation, check_two

_NUMBERS_AT_ONCE = 1 << 20  # 8 MB of a temporary array


@dataclass(frozen=True, eq=False)
class PairOrbits:
    """The weight sharing of an equivariant matrix: W[i, j] = sign[i, j] w[index[i, j]].

    Attributes:
        index: [k, m] number of the orbit of the pair; 0 where `sign` is 0.
        sign: [k, m] of 1, -1, and 0 where an equivariant matrix must be zero.
        count: Number of orbits that are not forced to zero, the number of free weights.
    """

    index: NDArray[np.int64]
    sign: NDArray[np.int64]
    count: int


def signed_pair_orbits(outputs: Representation, inputs: Representation) -> PairOrbits:
    """Orbits of G on the matrix units E_ij, under E -> rho_out(g) E rho_in(g)^-1.

    For signed permutations that is E_ij -> s_out[g][i] s_in[g][j] E_{p_out[g][i], p_in[g][j]}. An
    orbit in which some g returns E_ij to -E_ij carries no equivariant weight. The others give every
    W with rho_out(g) W = W rho_in(g) (Ravanbakhsh, Schneider & Poczos, Equivariance Through
    Parameter-Sharing, 2017, for the case without signs). They are numbered in order of first
    appearance, row by row, and the first pair of each has sign 1.

    Args:
        outputs: Signed permutation representation of dimension k.
        inputs: Signed permutation representation of dimension m, of the same group.

    Returns:
        The orbits on [k, m].

    Raises:
        ValueError: If the groups differ or an argument is no signed permutation representation.
    """
    check_two("an orbit of pairs", outputs=outputs, inputs=inputs)
    p_out, s_out = _signed_permutation("outputs", outputs)
    p_in, s_in = _signed_permutation("inputs", inputs)
    k, m = outputs.dim, inputs.dim
    # back[i] takes row i to the first row of its orbit, and with it every pair of row i.
    back = p_out.argmin(axis=0)
    first_rows, number = np.unique(p_out[back, np.arange(k)], return_inverse=True)
    # In a first row, the orbits are those of the row's stabiliser on columns. Rows with the same
    # stabiliser, and the same signs under it, share their orbits.
    targets, signs = np.empty((2, len(first_rows), m), dtype=np.int64)
    known: dict[tuple[bytes, bytes], int] = {}
    for row, i in enumerate(first_rows):
        stabiliser = np.flatnonzero(p_out[:, i] == i)
        flips = s_out[stabiliser, i]
        same = known.setdefault((stabiliser.tobytes(), flips.tobytes()), row)
        if same == row:
            targets[row], signs[row] = _column_orbits(p_in, s_in, stabiliser, flips)
        else:
            targets[row], signs[row] = targets[same], signs[same]
    is_first = (targets == np.arange(m)) & (signs != 0)
    numbers = np.cumsum(is_first).reshape(is_first.shape) - 1
    count = int(np.count_nonzero(is_first))
    numbers = np.where(signs != 0, np.take_along_axis(numbers, targets, axis=1), 0)
    rows, columns = number[:, None], p_in[back]
    sign = s_out[back, np.arange(k)][:, None] * s_in[back] * signs[rows, columns]
    return PairOrbits(frozen(numbers[rows, columns]), frozen(sign), count)


def _column_orbits(
    permutations: NDArray[np.int64],
    signs: NDArray[np.int64],
    stabiliser: NDArray[np.int64],
    flips: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Orbits of some elements on columns, under e_j -> flips[g] signs[g][j] e_{permutations[g][j]}.

    Args:
        permutations: [n, m].
        signs: [n, m].
        stabiliser: [h] indices of the elements, a subgroup.
        flips: [h] of 1 and -1.

    Returns:
        For every column the first of its orbit, and the sign with which it gets there; 0 where some
        element returns it with the sign reversed. Both [m].
    """
    m = permutations.shape[1]
    first, sign = np.empty((2, m), dtype=np.int64)
    block = max(1, _NUMBERS_AT_ONCE // len(stabiliser))
    for start in range(0, m, block):
        columns = np.arange(start, min(start + block, m))
        images = permutations[stabiliser[:, None], columns]
        factors = flips[:, None] * signs[stabiliser[:, None], columns]
        # All elements that take a column to the same image agree on the sign, unless one of the
        # stabiliser of the column reverses it.
        best = images.argmin(axis=0), np.arange(len(columns))
        reversed_ = np.any((images == columns) & (factors < 0), axis=0)
        first[columns] = images[best]
        sign[columns] = np.where(reversed_, 0, factors[best])
    return first, sign


def _signed_permutation(
    name: str, representation: Representation
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    permutations, signs = representation.signed_permutations, representation.signs
    if permutations is None or signs is None:
        raise ValueError(
            f"`{name}` must be a permutation or signed permutation representation. "
            f"Received: {name}={representation!r}"
        )
    return permutations, signs
