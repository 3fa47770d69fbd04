"""Real representations of finite groups."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tf_equirl._checks import instance, optional_text, shown
from tf_equirl.groups._checks import (
    check_homomorphism,
    check_rows,
    check_signed_homomorphism,
    config_value,
    element_index,
    frozen,
    signed_permutation_arrays,
    square_matrices,
)
from tf_equirl.groups._closure import extend_matrices
from tf_equirl.groups._signed_permutations import (
    SignedPermutations,
    as_signed_permutations,
    character_of,
    direct_sum,
    gather,
    matrices_of,
    tensor_product,
)
from tf_equirl.groups.group import FiniteGroup

LARGEST_KEPT = 1 << 20
"""Numbers in the matrices [n, d, d] of signed permutations that are kept once made, 8 MB."""

FORMS: dict[str, Callable[[FiniteGroup, Any, str | None], Representation]] = {}
"""Reads a config that holds, under this key, arguments in place of permutations or matrices."""


class Representation:
    """A real representation rho: G -> GL(d), with rho(g_i) rho(g_j) = rho(g_i g_j), rho(e) = 1.

    Vectors are columns: g acts on x [d] as rho(g) x. `a + b` is the direct sum and `a * b` the
    tensor product (Serre, Linear Representations of Finite Groups, 1977, chapters 1 and 2).
    Matrices that are signed permutations up to rounding become exact, with entries 0, 1 and -1.
    They are stored as indices, which are all that checks, sums, products, comparisons, configs and
    `act` need; `matrices` makes them on demand. Representations are equal when their
    groups and matrices are; names do not count.

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
        instance("group", group, FiniteGroup)
        optional_text("name", name)
        array = square_matrices("matrices", matrices)
        check_rows("matrices", array, group.order)
        check_homomorphism(group.table, group.generators, array)
        monomial = as_signed_permutations(array)
        self._set(group, array if monomial is None else None, monomial, name)

    def _set(
        self,
        group: FiniteGroup,
        matrices: NDArray[np.float64] | None,
        monomial: SignedPermutations | None,
        name: str | None,
    ) -> None:
        """Keeps signed permutations, or else matrices."""
        self._group = group
        self._monomial = monomial
        self._matrices = matrices
        self._form: tuple[str, dict[str, Any]] | None = None
        if monomial is not None:
            self._dim = frozen(monomial[0]).shape[1]
            frozen(monomial[1])
            self._character = frozen(character_of(*monomial))
        elif matrices is not None:
            self._dim = frozen(matrices).shape[1]
            self._character = frozen(np.trace(matrices, axis1=1, axis2=2))
        self._name = f"representation_of_dim_{self.dim}" if name is None else name

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
        instance("group", group, FiniteGroup)
        optional_text("name", name)
        p, s = signed_permutation_arrays(permutations, signs, group.order)
        check_signed_homomorphism(group.table, group.generators, p, s)
        representation = cls.__new__(cls)
        representation._set(group, None, (p, s), name)
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
        instance("group", group, FiniteGroup)
        optional_text("name", name)
        if not isinstance(matrices, Mapping) or not matrices:
            raise ValueError(
                "`matrices` must be a non-empty dict from element index to matrix. "
                f"Received: matrices={shown(matrices)}"
            )
        given = {element_index("matrices key", key, group.order): key for key in matrices}
        stack = square_matrices("matrices", [matrices[key] for key in given.values()])
        images = dict(zip(given, stack, strict=True))
        found = extend_matrices(group.table, images)
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
        return self._dim

    @property
    def name(self) -> str:
        """The name of the representation."""
        return self._name

    @property
    def matrices(self) -> NDArray[np.float64]:
        """[n, d, d] read-only; rho(g) of every element.

        Those of signed permutations are made when they are asked for, and kept if they have no more
        than 2^20 numbers (8 MB). Larger ones are made anew each time: `act` needs none.
        """
        if self._monomial is None or self._matrices is not None:
            return cast("NDArray[np.float64]", self._matrices)  # one of the two is always there
        matrices = frozen(matrices_of(*self._monomial))
        if matrices.size <= LARGEST_KEPT:
            self._matrices = matrices
        return matrices

    @property
    def inverse_matrices(self) -> NDArray[np.float64]:
        """[n, d, d] read-only; rho(g)^-1 = rho(g^-1) of every element."""
        inverses = self._group.inverses
        if self._monomial is None:
            return frozen(self.matrices[inverses])
        permutations, signs = self._monomial
        return frozen(matrices_of(permutations[inverses], signs[inverses]))

    @property
    def character(self) -> NDArray[np.float64]:
        """[n] read-only; chi(g) = trace rho(g)."""
        return self._character

    @property
    def signed_permutations(self) -> NDArray[np.int64] | None:
        """[n, d] read-only p with rho(g) e_j = signs[g][j] e_{p[g][j]}, or None."""
        return None if self._monomial is None else self._monomial[0]

    @property
    def signs(self) -> NDArray[np.int64] | None:
        """[n, d] read-only of 1 and -1, next to `signed_permutations`, or None."""
        return None if self._monomial is None else self._monomial[1]

    @property
    def permutations(self) -> NDArray[np.int64] | None:
        """[n, d] read-only p with rho(g) e_j = e_{p[g][j]}, or None if some sign is negative."""
        if self._monomial is None or self._monomial[1].min() < 0:
            return None
        return self._monomial[0]

    def act(self, element: int, vectors: ArrayLike) -> NDArray[Any]:
        """Returns rho(g) x for every vector x; by indices alone for signed permutations.

        Args:
            element: The index of g.
            vectors: [..., d] real.

        Returns:
            [..., d]; of the type of `vectors` where g permutes without signs.

        Raises:
            ValueError: If there is no such element or the last axis is not of length d.

        Example:
            >>> from tf_equirl.groups import cyclic_group, regular_representation
            >>> regular_representation(cyclic_group(3)).act(1, [10, 20, 30])
            array([30, 10, 20])
        """
        element = element_index("element", element, self._group.order)
        x = np.asarray(vectors)
        if x.shape[-1:] != (self.dim,):
            raise ValueError(
                f"`vectors` must have shape [..., {self.dim}], the dimension of the "
                f"representation. Received: vectors.shape={x.shape}"
            )
        if self._monomial is None:
            return x @ self.matrices[element].T
        inverse = self._group.inverses[element]
        return gather(x, *(indices[inverse] for indices in self._monomial))

    def __add__(self, other: object) -> Representation:
        """Direct sum, block-diagonal: (rho + sigma)(g) = diag(rho(g), sigma(g)).

        Raises:
            ValueError: If the other representation is of another group.
        """
        if not isinstance(other, Representation):
            return NotImplemented
        check_same_group("a direct sum", self, other)
        name = f"({self._name} + {other._name})"
        if self._monomial is not None and other._monomial is not None:
            indices = direct_sum(self._monomial, other._monomial)
            return Representation.from_signed_permutations(self._group, *indices, name)
        dim = self.dim + other.dim
        matrices = np.zeros((self._group.order, dim, dim))
        matrices[:, : self.dim, : self.dim] = self.matrices
        matrices[:, self.dim :, self.dim :] = other.matrices
        return Representation(self._group, matrices, name)

    def __mul__(self, other: object) -> Representation:
        """Tensor product: (rho * sigma)(g) = kron(rho(g), sigma(g)); basis e_i f_j at i * d + j.

        Raises:
            ValueError: If the other representation is of another group.
        """
        if not isinstance(other, Representation):
            return NotImplemented
        check_same_group("a tensor product", self, other)
        name = f"({self._name} * {other._name})"
        if self._monomial is not None and other._monomial is not None:
            indices = tensor_product(self._monomial, other._monomial)
            return Representation.from_signed_permutations(self._group, *indices, name)
        dim = self.dim * other.dim
        matrices = np.einsum("gik,gjl->gijkl", self.matrices, other.matrices)
        return Representation(self._group, matrices.reshape(-1, dim, dim), name)

    def get_config(self) -> dict[str, Any]:
        """Returns plain JSON types.

        Signed permutations are kept as indices, which is compact, and pictures
        (`image_representation`) as the arguments that they were made of.
        """
        config: dict[str, Any] = {"name": self._name, "group": self._group.get_config()}
        if self._form is not None:
            form, arguments = self._form
            config[form] = copy.deepcopy(arguments)
        elif self._monomial is None:
            config["matrices"] = self.matrices.tolist()
        else:
            permutations, signs = self._monomial
            config["permutations"] = permutations.tolist()
            if self.permutations is None:
                config["signs"] = signs.tolist()
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Representation:
        """Rebuilds, and validates again, a representation from `get_config()`.

        Raises:
            ValueError: If a part is missing or the result is no representation.
        """
        group = FiniteGroup.from_config(config_value("Representation", config, "group"))
        name = config.get("name")
        for form, build in FORMS.items():
            if form in config:
                return build(group, config[form], name)
        if "permutations" in config:
            return cls.from_signed_permutations(
                group, config["permutations"], config.get("signs"), name
            )
        return cls(group, config_value("Representation", config, "matrices"), name)

    def __eq__(self, other: object) -> bool:
        """Equal group and equal matrices."""
        if not isinstance(other, Representation):
            return NotImplemented
        if self is other:
            return True
        if self._group != other._group:
            return False
        if self._monomial is None or other._monomial is None:
            # Signed permutations are recognised, so that one of each kind are not equal.
            both = self._monomial is None and other._monomial is None
            return both and np.array_equal(self.matrices, other.matrices)
        return all(map(np.array_equal, self._monomial, other._monomial))

    def __hash__(self) -> int:
        """Hash by the group and the character."""
        return hash((self._group, self._character.tobytes()))

    def __repr__(self) -> str:
        """Name, group and dimension."""
        return f"Representation(name={self._name!r}, group={self._group.name!r}, dim={self.dim})"


def set_form(
    representation: Representation, form: str, arguments: dict[str, Any], name: str
) -> Representation:
    """Gives a representation a name, and the arguments that its config holds in place of tables.

    Args:
        representation: Of signed permutations or matrices, not used elsewhere.
        form: The key of `FORMS` that builds it again.
        arguments: Plain JSON.
        name: The new name.
    """
    representation._name = name
    representation._form = (form, arguments)
    return representation


def check_two(what: str, **arguments: Any) -> None:
    """Raises a ValueError unless two arguments are representations of the same group."""
    for name, value in arguments.items():
        instance(name, value, Representation)
    check_same_group(what, *arguments.values())


def check_same_group(what: str, a: Representation, b: Representation) -> None:
    """Raises a ValueError that names both groups unless a and b represent the same group."""
    if a.group != b.group:
        raise ValueError(
            f"{what} needs two representations of the same group, not of {a.group.name} and "
            f"{b.group.name}. Received: {a!r} and {b!r}"
        )
