"""Finite groups as multiplication tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tf_equirl._checks import optional_text, positive_integer, shown
from tf_equirl.groups._checks import (
    MAX_ORDER,
    TOLERANCE,
    check_homomorphism,
    check_rows,
    check_signed_homomorphism,
    config_value,
    element_index,
    frozen,
    integer_array,
    permutation_array,
    square_matrices,
)
from tf_equirl.groups._closure import close_matrices, close_permutations


class FiniteGroup:
    """A finite group G whose elements are the indices 0, ..., n-1; 0 is the identity.

    `table[i, j]` is the index of g_i g_j. Construction verifies the axioms: closure, identity,
    inverses and associativity. Two groups are equal when their tables are; names and the attached
    permutations or matrices do not count.

    Args:
        multiplication_table: [n, n] integers.
        name: For messages; "group_of_order_<n>" when not given.
        permutations: Optional [n, d] natural action on d points, one permutation per element:
            `permutations[g][j]` is where point j goes, so (g h)(j) = g(h(j)).
        matrices: Optional [n, d, d] natural matrix action.

    Raises:
        ValueError: If an axiom fails (the elements are named), or the permutations or matrices
            are not a homomorphism.
    """

    def __init__(
        self,
        multiplication_table: ArrayLike,
        name: str | None = None,
        *,
        permutations: ArrayLike | None = None,
        matrices: ArrayLike | None = None,
    ) -> None:
        """Verifies the group axioms."""
        name = optional_text("name", name)
        table = integer_array("multiplication_table", multiplication_table, ndim=2)
        _check_closure(table)
        _check_identity(table)
        self._table: NDArray[np.int64] = frozen(table)
        self._inverses: NDArray[np.int64] = frozen(_find_inverses(table))
        self._generators = _find_generators(table)
        _check_associativity(table, self._generators)
        self._name = f"group_of_order_{len(table)}" if name is None else name
        self._permutations: NDArray[np.int64] | None = None
        self._matrices: NDArray[np.float64] | None = None
        if permutations is not None:
            p = permutation_array("permutations", permutations)
            check_rows("permutations", p, self.order)
            check_signed_homomorphism(table, self._generators, p, np.ones_like(p))
            self._permutations = frozen(p)
        if matrices is not None:
            m = square_matrices("matrices", matrices)
            check_rows("matrices", m, self.order)
            check_homomorphism(table, self._generators, m)
            self._matrices = frozen(m)

    @classmethod
    def from_permutations(
        cls, generators: ArrayLike, name: str | None = None, max_order: int = MAX_ORDER
    ) -> FiniteGroup:
        """Closes permutations under composition.

        The elements are the identity, then the generators in the given order, then their products;
        a complete list that starts with the identity keeps its order.

        Args:
            generators: [k, d]; each row a permutation of range(d), `row[j]` is where j goes.
            name: Name of the group.
            max_order: Number of elements at which the search gives up, at most 10,000.

        Returns:
            A group that carries the `permutations` [n, d] of its elements.

        Raises:
            ValueError: If a row is not a permutation, there are more than `max_order` elements, or
                another argument is wrong.
        """
        name = optional_text("name", name)
        max_order = positive_integer("max_order", max_order, MAX_ORDER)
        rows = permutation_array("generators", generators)
        elements, table = close_permutations(rows, max_order)
        return cls(table, name, permutations=elements)

    @classmethod
    def from_matrices(
        cls, generators: ArrayLike, name: str | None = None, max_order: int = MAX_ORDER
    ) -> FiniteGroup:
        """Closes real matrices under multiplication; order of the elements as for permutations.

        Two products are the same element when they agree to 1e-6, relative to the larger of 1
        and the largest entry.

        Args:
            generators: [k, d, d] real invertible matrices.
            name: Name of the group.
            max_order: Number of elements at which the search gives up, at most 10,000.

        Returns:
            A group that carries the `matrices` [n, d, d] of its elements.

        Raises:
            ValueError: If a generator is singular or of infinite order, the group is infinite or
                has more than `max_order` elements, or another argument is wrong.
        """
        name = optional_text("name", name)
        max_order = positive_integer("max_order", max_order, MAX_ORDER)
        stack = square_matrices("generators", generators)
        for k, determinant in enumerate(np.abs(np.linalg.det(stack))):
            # |det| is multiplicative, so finite order forces |det| = 1.
            if abs(determinant - 1) > stack.shape[1] * TOLERANCE:
                reason = "is singular" if determinant < TOLERANCE else "has infinite order"
                raise ValueError(
                    f"`generators` must be invertible matrices of finite order, with |det| = 1; "
                    f"generator {k} {reason}, or was rounded to too few digits: |det| = "
                    f"{determinant:.9g}. "
                    f"Received: generators[{k}]={shown(stack[k].tolist())}"
                )
        elements, table = close_matrices(stack, max_order)
        return cls(table, name, matrices=elements)

    @property
    def table(self) -> NDArray[np.int64]:
        """[n, n] read-only; `table[i, j]` is the index of g_i g_j."""
        return self._table

    @property
    def order(self) -> int:
        """Number of elements n."""
        return len(self._table)

    @property
    def name(self) -> str:
        """The name of the group."""
        return self._name

    @property
    def elements(self) -> range:
        """The element indices, range(n)."""
        return range(self.order)

    @property
    def inverses(self) -> NDArray[np.int64]:
        """[n] read-only; `inverses[i]` is the index of g_i^-1."""
        return self._inverses

    @property
    def generators(self) -> tuple[int, ...]:
        """Indices of a small generating set (at most log2 n elements; empty when n = 1)."""
        return self._generators

    @property
    def permutations(self) -> NDArray[np.int64] | None:
        """[n, d] read-only natural permutations of the elements, or None."""
        return self._permutations

    @property
    def matrices(self) -> NDArray[np.float64] | None:
        """[n, d, d] read-only natural matrices of the elements, or None."""
        return self._matrices

    def multiply(self, i: int, j: int) -> int:
        """Returns the index of g_i g_j.

        Raises:
            ValueError: If an index is outside 0, ..., n-1.
        """
        i = element_index("i", i, self.order)
        return int(self._table[i, element_index("j", j, self.order)])

    def inverse(self, i: int) -> int:
        """Returns the index of g_i^-1.

        Raises:
            ValueError: If the index is outside 0, ..., n-1.
        """
        return int(self._inverses[element_index("i", i, self.order)])

    def get_config(self) -> dict[str, Any]:
        """Returns plain JSON types: name, table and what else the group carries."""
        config: dict[str, Any] = {"name": self._name, "table": self._table.tolist()}
        if self._permutations is not None:
            config["permutations"] = self._permutations.tolist()
        if self._matrices is not None:
            config["matrices"] = self._matrices.tolist()
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> FiniteGroup:
        """Rebuilds, and validates again, a group from `get_config()`.

        Raises:
            ValueError: If the table is missing or is not that of a group.
        """
        return cls(
            config_value("FiniteGroup", config, "table"),
            config.get("name"),
            permutations=config.get("permutations"),
            matrices=config.get("matrices"),
        )

    def __eq__(self, other: object) -> bool:
        """Groups are equal when their tables are."""
        if not isinstance(other, FiniteGroup):
            return NotImplemented
        return self is other or np.array_equal(self._table, other._table)

    def __hash__(self) -> int:
        """Hash by (part of) the table."""
        return hash((self.order, self._table[:, list(self._generators)].tobytes()))

    def __repr__(self) -> str:
        """Name and order."""
        return f"FiniteGroup(name={self._name!r}, order={self.order})"


def _check_closure(table: NDArray[np.int64]) -> None:
    n = len(table)
    if table.shape != (n, n):
        raise ValueError(
            "`multiplication_table` must be square. "
            f"Received: multiplication_table.shape={table.shape}"
        )
    outside = np.argwhere((table < 0) | (table >= n))
    if len(outside):
        i, j = outside[0]
        raise ValueError(
            f"`multiplication_table` is not closed: the product g_{i} g_{j} must be an element 0 "
            f"to {n - 1}. Received: multiplication_table[{i}, {j}]={table[i, j]}"
        )


def _check_identity(table: NDArray[np.int64]) -> None:
    index = np.arange(len(table))
    failing = np.flatnonzero((table[0] != index) | (table[:, 0] != index))
    if len(failing):
        j = failing[0]
        raise ValueError(
            f"element 0 of `multiplication_table` must be the identity, but with g_{j} it gives "
            f"g_0 g_{j} = g_{table[0, j]} and g_{j} g_0 = g_{table[j, 0]}. Received: "
            f"multiplication_table[0, {j}]={table[0, j]}, "
            f"multiplication_table[{j}, 0]={table[j, 0]}"
        )


def _find_inverses(table: NDArray[np.int64]) -> NDArray[np.int64]:
    two_sided = (table == 0) & (table.T == 0)
    without = np.flatnonzero(~np.any(two_sided, axis=1))
    if len(without):
        i = without[0]
        raise ValueError(
            f"element g_{i} of `multiplication_table` has no inverse: no g_j has "
            f"g_{i} g_j = g_j g_{i} = g_0. "
            f"Received: multiplication_table[{i}]={shown(table[i].tolist())}"
        )
    return np.argmax(two_sided, axis=1).astype(np.int64)


def _find_generators(table: NDArray[np.int64]) -> tuple[int, ...]:
    """Adds the first element that is not yet a product of the generators, until none is left.

    In a group each addition at least doubles the subgroup (Lagrange). It does not need
    associativity: every element reached is a product of generators in some bracketing.
    """
    generators: list[int] = []
    reached = np.zeros(len(table), dtype=bool)
    reached[0] = True
    while not np.all(reached):
        generators.append(int(np.argmin(reached)))
        frontier = np.flatnonzero(reached)
        while len(frontier):
            products = np.unique(table[frontier][:, generators])
            frontier = products[~reached[products]]
            reached[frontier] = True
    return tuple(generators)


def _check_associativity(table: NDArray[np.int64], generators: tuple[int, ...]) -> None:
    """Light's test: (x a) y = x (a y) for all x, y and for a in a generating set.

    The elements a with this property are closed under products, so a generating set is enough
    (Clifford & Preston, The Algebraic Theory of Semigroups I, 1961, section 1.2).
    """
    for a in generators:
        left, right = table[table[:, a]], table[:, table[a]]
        failing = left != right
        if np.any(failing):
            x, y = (int(k) for k in np.argwhere(failing)[0])
            raise ValueError(
                f"`multiplication_table` is not associative: (g_{x} g_{a}) g_{y} = g_{left[x, y]} "
                f"but g_{x} (g_{a} g_{y}) = g_{right[x, y]}. Received: "
                f"multiplication_table[{x}, {a}]={table[x, a]}, "
                f"multiplication_table[{a}, {y}]={table[a, y]}"
            )
