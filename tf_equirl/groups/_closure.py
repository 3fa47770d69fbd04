"""Closing a set of generators under a product, by breadth-first search from the identity."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tf_equirl._checks import shown
from tf_equirl.groups._checks import TOLERANCE


def close_permutations(
    generators: NDArray[np.int64], max_order: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Closes permutations; returns (elements [n, d], table [n, n])."""
    indices: dict[bytes, int] = {}

    def find_or_add(permutation: NDArray[Any]) -> int:
        return indices.setdefault(permutation.tobytes(), len(indices))

    return _close(
        np.arange(generators.shape[1]), generators, lambda g, h: g[h], find_or_add, max_order
    )


def close_matrices(
    generators: NDArray[np.float64], max_order: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Closes invertible matrices; returns (elements [n, d, d], table [n, n])."""
    dim = generators.shape[1]
    known = np.empty((16, dim * dim))
    count = 0

    def find_or_add(matrix: NDArray[Any]) -> int:
        nonlocal known, count
        # The eigenvalues of an element of a finite group lie on the unit circle.
        if not abs(np.trace(matrix)) <= dim * (1 + TOLERANCE):
            raise ValueError(
                "`generators` must generate a finite group: one of their products has trace "
                f"{np.trace(matrix):.6g}, but in a finite group of {dim}x{dim} matrices no trace "
                f"exceeds {dim} in modulus. Received: generators={shown(generators.tolist())}"
            )
        row = matrix.reshape(-1)
        allowed = TOLERANCE * max(1.0, float(np.abs(row).max()))
        match = np.abs(known[:count] - row).max(axis=1) <= allowed
        if np.any(match):
            return int(np.argmax(match))
        if count == len(known):
            known = np.concatenate([known, np.empty_like(known)])
        known[count] = row
        count += 1
        return count - 1

    return _close(np.eye(dim), generators, np.matmul, find_or_add, max_order)


def extend_matrices(
    table: NDArray[np.int64], images: Mapping[int, NDArray[np.float64]]
) -> dict[int, NDArray[np.float64]]:
    """The matrices of every product of the elements that have one, each found along one word.

    Args:
        table: [n, n] multiplication table.
        images: {element: matrix [d, d]}, not empty.
    """
    dim = len(next(iter(images.values())))
    # A matrix given for the identity must be kept, so that it can be refused.
    found = {0: images.get(0, np.eye(dim))}
    queue = [0]
    for element in queue:  # the list grows while it is walked: breadth-first search
        for generator, image in images.items():
            product = int(table[element, generator])
            if product not in found:
                found[product] = found[element] @ image
                queue.append(product)
    return found


def _close(
    identity: NDArray[Any],
    generators: Sequence[Any] | NDArray[Any],
    product: Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]],
    find_or_add: Callable[[NDArray[Any]], int],
    max_order: int,
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Breadth-first search over words; element 0 is the identity, then come the generators."""
    elements = [identity]
    words = [(0, 0)]  # element k is elements[words[k][0]] times generators[words[k][1]]
    find_or_add(identity)
    times_generator: list[list[int]] = []
    current = 0
    while current < len(elements):
        row = []
        for k, generator in enumerate(generators):
            candidate = product(elements[current], generator)
            index = find_or_add(candidate)
            if index == len(elements):
                if index >= max_order:
                    raise ValueError(
                        f"`generators` do not close within `max_order` elements: the group is "
                        "infinite (generators rounded to few digits also do this) or larger than "
                        f"the limit. Received: max_order={max_order}"
                    )
                elements.append(candidate)
                words.append((current, k))
            row.append(index)
        times_generator.append(row)
        current += 1
    right = np.array(times_generator, dtype=np.int64)
    table = np.empty((len(elements), len(elements)), dtype=np.int64)
    table[:, 0] = np.arange(len(elements))
    for j, (parent, k) in enumerate(words[1:], start=1):
        # g_i g_j = (g_i g_parent) s_k: a gather, so no product is compared twice.
        table[:, j] = right[table[:, parent], k]
    return np.stack(elements), table
