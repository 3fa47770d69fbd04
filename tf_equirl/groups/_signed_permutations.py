"""Signed permutations as indices, without their matrices.

A family of n of them on d coordinates is a pair (permutations, signs) of arrays [n, d], which
stands for the matrices M_g e_j = signs[g][j] e_{permutations[g][j]}.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tf_equirl.groups._checks import TOLERANCE

SignedPermutations = tuple[NDArray[np.int64], NDArray[np.int64]]


def matrices_of(permutations: NDArray[np.int64], signs: NDArray[np.int64]) -> NDArray[np.float64]:
    """[n, d, d] matrices with column j equal to signs[g][j] e_{permutations[g][j]}."""
    n, dim = permutations.shape
    matrices = np.zeros((n, dim, dim))
    matrices[np.arange(n)[:, None], permutations, np.arange(dim)] = signs
    return matrices


def as_signed_permutations(matrices: NDArray[np.float64]) -> SignedPermutations | None:
    """Returns (permutations, signs) [n, d] if the matrices are those, up to rounding."""
    rounded = np.rint(matrices)
    if np.abs(matrices - rounded).max() > TOLERANCE:
        return None
    absolute = np.abs(rounded)
    if np.any(absolute.sum(axis=1) != 1) or np.any(absolute.sum(axis=2) != 1):
        return None
    return absolute.argmax(axis=1).astype(np.int64), rounded.sum(axis=1).astype(np.int64)


def character_of(permutations: NDArray[np.int64], signs: NDArray[np.int64]) -> NDArray[np.float64]:
    """[n] traces: the signs of the coordinates that stay where they are, added up."""
    stays = permutations == np.arange(permutations.shape[1])
    return np.sum(signs * stays, axis=1).astype(np.float64)


def gather(
    vectors: NDArray[Any], permutation: NDArray[np.int64], signs: NDArray[np.int64]
) -> NDArray[Any]:
    """M^-1 x of vectors [..., d], for one M given by [d] and [d].

    M is orthogonal, so that (M^-1 x)[j] = sum_i M[i, j] x[i] = signs[j] x[permutation[j]].
    """
    moved = vectors[..., permutation]
    if signs.min() > 0:
        return moved
    return moved * (signs.astype(moved.dtype) if moved.dtype.kind == "f" else signs)


def direct_sum(a: SignedPermutations, b: SignedPermutations) -> SignedPermutations:
    """Those of diag(A_g, B_g)."""
    dim = a[0].shape[1]
    return np.concatenate([a[0], dim + b[0]], axis=1), np.concatenate([a[1], b[1]], axis=1)


def tensor_product(a: SignedPermutations, b: SignedPermutations) -> SignedPermutations:
    """Those of kron(A_g, B_g)."""
    order, dim = b[0].shape
    permutations = a[0][:, :, None] * dim + b[0][:, None, :]
    signs = a[1][:, :, None] * b[1][:, None, :]
    return permutations.reshape(order, -1), signs.reshape(order, -1)
