"""The common families of finite groups."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from tf_equirl._checks import instance, positive_integer
from tf_equirl.groups._checks import MAX_ORDER
from tf_equirl.groups.group import FiniteGroup


def cyclic_group(n: int) -> FiniteGroup:
    """The cyclic group C_n: g_i g_j = g_{(i + j) mod n}.

    Its `permutations` rotate n points: g_i takes point j to (i + j) mod n.

    Args:
        n: Number of elements.

    Raises:
        ValueError: If n is not a positive integer, or too large.
    """
    n = positive_integer("n", n)
    _check_order("n", n, n)
    table = _shifts(n)
    return FiniteGroup(table, f"C{n}", permutations=table)


def dihedral_group(n: int) -> FiniteGroup:
    """The dihedral group D_n of the n rotations and n reflections of a regular n-gon, order 2n.

    With r the rotation and s a reflection, s r s = r^-1, element k < n is r^k and element n + k is
    r^k s. Its `permutations` act on the n corners: r^k takes j to (j + k) mod n, and r^k s takes j
    to (k - j) mod n (different elements may act alike when n < 3).

    Args:
        n: Number of corners.

    Raises:
        ValueError: If n is not a positive integer, or too large.
    """
    n = positive_integer("n", n)
    _check_order("n", n, 2 * n)
    plus, minus = _shifts(n), _shifts(n, -1)
    # (r^a s^e)(r^b s^f) = r^(a + (-1)^e b) s^(e + f)
    table = np.block([[plus, n + plus], [n + minus, minus]])
    return FiniteGroup(table, f"D{n}", permutations=np.concatenate([plus, minus]))


def symmetric_group(n: int) -> FiniteGroup:
    """The symmetric group S_n of all permutations of n points, in lexicographic order.

    `permutations[g][j]` is where g takes point j, and (g h)(j) = g(h(j)).

    Args:
        n: Number of points, 1 to 7 (the table has (n!)^2 entries).

    Raises:
        ValueError: If n is not an integer of that range.
    """
    n = positive_integer("n", n)
    # Beyond 20 points the factorial only makes the message unreadable.
    _check_order("n", n, math.factorial(min(n, 20)))
    permutations = np.array(list(itertools.permutations(range(n))), dtype=np.int64)
    place_values = n ** np.arange(n - 1, -1, -1)
    keys = permutations @ place_values  # ascending, because the order is lexicographic
    table = [np.searchsorted(keys, p[permutations] @ place_values) for p in permutations]
    return FiniteGroup(np.stack(table), f"S{n}", permutations=permutations)


def quaternion_group() -> FiniteGroup:
    """The quaternion group Q8 = {+-1, +-i, +-j, +-k}, with i^2 = j^2 = k^2 = ijk = -1.

    Its `matrices` [8, 4, 4] are left multiplication on the quaternions, in the basis (1, i, j, k).
    Element 0 is 1, element 1 is i, element 2 is j; the others follow as their products.
    """
    i = [[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 0, -1], [0, 0, 1, 0]]
    j = [[0, 0, -1, 0], [0, 0, 0, 1], [1, 0, 0, 0], [0, -1, 0, 0]]
    return FiniteGroup.from_matrices([i, j], "Q8")


def direct_product(a: FiniteGroup, b: FiniteGroup) -> FiniteGroup:
    """The direct product: (a_i, b_j)(a_k, b_l) = (a_i a_k, b_j b_l).

    The pair (a_i, b_j) is element i * b.order + j.

    Args:
        a: First factor.
        b: Second factor.

    Raises:
        ValueError: If a factor is not a FiniteGroup, or the product is too large.
    """
    for name, value in (("a", a), ("b", b)):
        instance(name, value, FiniteGroup)
    order = a.order * b.order
    _check_order("a.order * b.order", order, order)
    table = a.table[:, None, :, None] * b.order + b.table[None, :, None, :]
    return FiniteGroup(table.reshape(order, order), f"{a.name}x{b.name}")


def _shifts(n: int, direction: int = 1) -> np.ndarray[Any, np.dtype[np.int64]]:
    """[n, n] table of (i + direction * j) mod n."""
    k = np.arange(n)
    return (k[:, None] + direction * k) % n


def _check_order(name: str, value: int, order: int) -> None:
    if order > MAX_ORDER:
        raise ValueError(
            f"`{name}` is too large: the group would have {order} or more elements, and the limit "
            f"is {MAX_ORDER}. Received: {name}={value}"
        )
