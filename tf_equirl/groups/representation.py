"""Real representations of finite groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tf_equirl.groups._checks import (
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
from tf_equirl.groups.group import FiniteGroup


class Representation:
    """A real representation rho: G -> GL(d), with rho(g_i) rho(g_j) = rho(g_i g_j), rho(e) = 1.

    Vectors are columns: g acts on x [d] as rho(g) x. `a + b` is the direct sum and `a * b` the
    tensor product (Serre, Linear Representations of Finite Groups, 1977, chapters 1 and 2).
    Matrices that are signed permutations up to rounding are stored as exact 0, 1 and -1.
    Representations are equal when their groups and matrices are; names do not count.

    Args:
        group: The group G of n elements.
        matrices: [n, d, d] real, one matrix per element.
        name: For messages; "representation_of_dim_<d>" when not given.

    Raises:
        ValueError: If the matrices are not real, finite, square and one per element, or are not a
            homomorphism (the pair (i, j) with the largest deviation is named).
    """

    def __init__(self, group: FiniteGroup, matrices: ArrayLike, name: str | None = None) -> None:
        """Verifies that the matrices are a representation."""
        if not isinstance(group, FiniteGroup):
            raise ValueError(f"`group` must be a FiniteGroup. Received: group={group!r}")
        array = square_matrices("matrices", matrices)
        check_rows("matrices", array, group.order)
        check_homomorphism(group.table, group.generators, array)
        monomial = _as_signed_permutations(array)
        if monomial is not None:
            array = signed_permutation_matrices(*monomial)
        self._set(group, array, monomial, name)

    def _set(
        self,
        group: FiniteGroup,
        matrices: NDArray[np.float64],
        monomial: tuple[NDArray[np.int64], NDArray[np.int64]] | None,
        name: str | None,
    ) -> None:
        self._group = group
        self._matrices: NDArray[np.float64] = frozen(matrices)
        self._character: NDArray[np.float64] = frozen(np.trace(matrices, axis1=1, axis2=2))
        self._signed_permutations: NDArray[np.int64] | None = None
        self._signs: NDArray[np.int64] | None = None
        if monomial is not None:
            self._signed_permutations, self._signs = frozen(monomial[0]), frozen(monomial[1])
        self._name = f"representation_of_dim_{self.dim}" if name is None else str(name)

    @classmethod
    def from_signed_permutations(
        cls,
        group: FiniteGroup,
        permutations: ArrayLike,
        signs: ArrayLike | None = None,
        name: str | None = None,
    ) -> Representation:
        """Builds rho(g) e_j = signs[g][j] e_{permutations[g][j]}.

        The homomorphism is checked exactly, on the indices.

        Args:
            group: The group of n elements.
            permutations: [n, d]; `permutations[g][j]` is where g takes coordinate j.
            signs: [n, d] of 1 and -1; all 1 when not given.
            name: Name of the representation.

        Raises:
            ValueError: If the arrays are malformed or not a homomorphism (the pair is named).
        """
        if not isinstance(group, FiniteGroup):
            raise ValueError(f"`group` must be a FiniteGroup. Received: group={group!r}")
        p = permutation_array("permutations", permutations)
        check_rows("permutations", p, group.order)
        s = np.ones_like(p) if signs is None else integer_array("signs", signs, ndim=2)
        if s.shape != p.shape:
            raise ValueError(
                "`signs` must have the shape of `permutations`. "
                f"Received: signs.shape={s.shape}, permutations.shape={p.shape}"
            )
        if np.any(np.abs(s) != 1):
            g, j = np.argwhere(np.abs(s) != 1)[0]
            raise ValueError(f"`signs` must be 1 or -1. Received: signs[{g}, {j}]={s[g, j]}")
        check_signed_homomorphism(group.table, group.generators, p, s)
        representation = cls.__new__(cls)
        representation._set(group, signed_permutation_matrices(p, s), (p, s), name)
        return representation

    @classmethod
    def from_generators(
        cls, group: FiniteGroup, matrices: Mapping[int, ArrayLike], name: str | None = None
    ) -> Representation:
        """Extends matrices given for a generating set to the whole group, as products of them.

        Args:
            group: The group.
            matrices: {element index: [d, d] matrix}; the elements must generate the group.
            name: Name of the representation.

        Raises:
            ValueError: If the elements do not generate the group, or the matrices do not obey its
                relations (the pair that fails is named).
        """
        if not isinstance(group, FiniteGroup):
            raise ValueError(f"`group` must be a FiniteGroup. Received: group={group!r}")
        if not isinstance(matrices, Mapping) or not matrices:
            raise ValueError(
                "`matrices` must be a non-empty dict from element index to matrix. "
                f"Received: matrices={matrices!r}"
            )
        given = {element_index("matrices key", key, group.order): key for key in matrices}
        stack = square_matrices("matrices", [matrices[key] for key in given.values()])
        images = dict(zip(given, stack, strict=True))
        # A matrix given for the identity must be kept, so that the constructor can refuse it.
        found = {0: images.get(0, np.eye(stack.shape[1]))}
        queue = [0]
        for element in queue:  # the list grows while it is walked: breadth-first search
            for generator, image in images.items():
                product = group.multiply(element, generator)
                if product not in found:
                    found[product] = found[element] @ image
                    queue.append(product)
        if len(found) < group.order:
            missing = next(g for g in group.elements if g not in found)
            raise ValueError(
                f"the elements of `matrices` must generate {group.name}, but element {missing} is "
                f"no product of them. Received: matrices for the elements {sorted(images)}"
            )
        return cls(group, np.stack([found[g] for g in group.elements]), name)

    @property
    def group(self) -> FiniteGroup:
        """The group represented."""
        return self._group

    @property
    def dim(self) -> int:
        """Dimension d."""
        return self._matrices.shape[1]

    @property
    def name(self) -> str:
        """The name of the representation."""
        return self._name

    @property
    def matrices(self) -> NDArray[np.float64]:
        """[n, d, d] read-only; rho(g) of every element."""
        return self._matrices

    @property
    def inverse_matrices(self) -> NDArray[np.float64]:
        """[n, d, d] read-only; rho(g)^-1 = rho(g^-1) of every element."""
        return frozen(self._matrices[self._group.inverses])

    @property
    def character(self) -> NDArray[np.float64]:
        """[n] read-only; chi(g) = trace rho(g)."""
        return self._character

    @property
    def signed_permutations(self) -> NDArray[np.int64] | None:
        """[n, d] read-only p with rho(g) e_j = signs[g][j] e_{p[g][j]}, or None."""
        return self._signed_permutations

    @property
    def signs(self) -> NDArray[np.int64] | None:
        """[n, d] read-only of 1 and -1, next to `signed_permutations`, or None."""
        return self._signs

    @property
    def permutations(self) -> NDArray[np.int64] | None:
        """[n, d] read-only p with rho(g) e_j = e_{p[g][j]}, or None if some sign is negative."""
        return None if self._signs is None or self._signs.min() < 0 else self._signed_permutations

    def __add__(self, other: object) -> Representation:
        """Direct sum, block-diagonal: (rho + sigma)(g) = diag(rho(g), sigma(g)).

        Raises:
            ValueError: If the other representation is of another group.
        """
        if not isinstance(other, Representation):
            return NotImplemented
        check_same_group("a direct sum", self, other)
        dim = self.dim + other.dim
        matrices = np.zeros((self._group.order, dim, dim))
        matrices[:, : self.dim, : self.dim] = self._matrices
        matrices[:, self.dim :, self.dim :] = other._matrices
        return Representation(self._group, matrices, f"({self._name} + {other._name})")

    def __mul__(self, other: object) -> Representation:
        """Tensor product: (rho * sigma)(g) = kron(rho(g), sigma(g)); basis e_i f_j at i * d + j.

        Raises:
            ValueError: If the other representation is of another group.
        """
        if not isinstance(other, Representation):
            return NotImplemented
        check_same_group("a tensor product", self, other)
        dim = self.dim * other.dim
        matrices = np.einsum("gik,gjl->gijkl", self._matrices, other._matrices)
        name = f"({self._name} * {other._name})"
        return Representation(self._group, matrices.reshape(-1, dim, dim), name)

    def get_config(self) -> dict[str, Any]:
        """Returns plain JSON types; signed permutations are kept as indices, which is compact."""
        config: dict[str, Any] = {"name": self._name, "group": self._group.get_config()}
        if self._signed_permutations is None or self._signs is None:
            config["matrices"] = self._matrices.tolist()
            return config
        config["permutations"] = self._signed_permutations.tolist()
        if self.permutations is None:
            config["signs"] = self._signs.tolist()
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Representation:
        """Rebuilds, and validates again, a representation from `get_config()`.

        Raises:
            ValueError: If a part is missing or the result is no representation.
        """
        group = FiniteGroup.from_config(config_value("Representation", config, "group"))
        name = config.get("name")
        if "permutations" in config:
            return cls.from_signed_permutations(
                group, config["permutations"], config.get("signs"), name
            )
        return cls(group, config_value("Representation", config, "matrices"), name)

    def __eq__(self, other: object) -> bool:
        """Equal group and equal matrices."""
        if not isinstance(other, Representation):
            return NotImplemented
        same_group = self._group == other._group
        return same_group and np.array_equal(self._matrices, other._matrices)

    def __hash__(self) -> int:
        """Hash by the group and the character."""
        return hash((self._group, self._character.tobytes()))

    def __repr__(self) -> str:
        """Name, group and dimension."""
        return f"Representation(name={self._name!r}, group={self._group.name!r}, dim={self.dim})"


def check_same_group(what: str, a: Representation, b: Representation) -> None:
    """Raises a ValueError that names both groups unless a and b represent the same group."""
    if a.group != b.group:
        raise ValueError(
            f"{what} needs two representations of the same group, not of {a.group.name} and "
            f"{b.group.name}. Received: {a!r} and {b!r}"
        )


def signed_permutation_matrices(
    permutations: NDArray[np.int64], signs: NDArray[np.int64]
) -> NDArray[np.float64]:
    """[n, d, d] matrices with column j equal to signs[g][j] e_{permutations[g][j]}."""
    n, dim = permutations.shape
    matrices = np.zeros((n, dim, dim))
    matrices[np.arange(n)[:, None], permutations, np.arange(dim)] = signs
    return matrices


def _as_signed_permutations(
    matrices: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Returns (permutations, signs) [n, d] if the matrices are those, up to rounding."""
    rounded = np.rint(matrices)
    if np.abs(matrices - rounded).max() > TOLERANCE:
        return None
    absolute = np.abs(rounded)
    if np.any(absolute.sum(axis=1) != 1) or np.any(absolute.sum(axis=2) != 1):
        return None
    return absolute.argmax(axis=1).astype(np.int64), rounded.sum(axis=1).astype(np.int64)
