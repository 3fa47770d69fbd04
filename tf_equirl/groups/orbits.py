"""Orbits of a group on pairs (output coordinate, input coordinate)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tf_equirl.groups._checks import frozen
from tf_equirl.groups.representation import Representation, check_same_group


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
        ValueError: If the groups differ or a representation is not a signed permutation one.
    """
    check_same_group("an orbit of pairs", outputs, inputs)
    p_out, s_out = _signed_permutation("outputs", outputs)
    p_in, s_in = _signed_permutation("inputs", inputs)
    k, m = outputs.dim, inputs.dim
    index = np.zeros(k * m, dtype=np.int64)
    sign = np.zeros(k * m, dtype=np.int64)
    seen = np.zeros(k * m, dtype=bool)
    count = 0
    for pair in range(k * m):
        if seen[pair]:
            continue
        i, j = divmod(pair, m)
        images = p_out[:, i] * m + p_in[:, j]
        signs = s_out[:, i] * s_in[:, j]
        seen[images] = True
        if np.any(signs[images == pair] < 0):
            continue
        # All g that take the pair to the same image agree on the sign: they differ by an element
        # of the stabiliser, and that flips nothing.
        index[images] = count
        sign[images] = signs
        count += 1
    return PairOrbits(frozen(index.reshape(k, m)), frozen(sign.reshape(k, m)), count)


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
