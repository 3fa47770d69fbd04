"""Real irreducible representations of a finite group, and the Fourier basis that they give."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tf_equirl._checks import instance
from tf_equirl.groups.group import FiniteGroup
from tf_equirl.groups.representation import Representation

KINDS = {1: "real", 2: "complex", 4: "quaternionic"}
_ATTEMPTS = 20  # random choices, of which nearly every one does
_GAP = 1e-7  # between eigenvalues that differ, relative to the largest
_ACCURACY = 1e-8  # of what is checked in the end


@dataclass(frozen=True)
class Irrep:
    """A real irreducible representation pi of dimension d.

    Attributes:
        representation: pi, with orthogonal matrices.
        copies: How often the regular representation contains it: d for those of real kind, d / 2 of
            complex and d / 4 of quaternionic kind.
        kind: "real", "complex" or "quaternionic", after the matrices that commute with pi (Serre,
            Linear Representations of Finite Groups, 1977, section 13.2).
    """

    representation: Representation
    copies: int
    kind: str


def real_irreps(group: FiniteGroup) -> tuple[Irrep, ...]:
    """All real irreducible representations of a group, up to equivalence.

    Args:
        group: Any finite group; one of order 1,000 takes seconds.

    Returns:
        The irreps by dimension, the trivial one first, equally large ones by their characters.

    Raises:
        ValueError: If `group` is no group.

    Example:
        >>> from tf_equirl.groups import dihedral_group, real_irreps
        >>> [irrep.representation.dim for irrep in real_irreps(dihedral_group(4))]
        [1, 1, 1, 1, 2]
    """
    return _fourier(instance("group", group, FiniteGroup))[1]


def fourier_basis(group: FiniteGroup) -> NDArray[np.float64]:
    """The orthogonal matrix F that turns group functions into Fourier coefficients.

    With right shifts `(R_u h)[g] = h[g u]`,

        F R_u F^T = direct sum over irreps of identity [copies] x pi(u),

    so that every map that commutes with the group's action `(L_g h)[i] = h[g^-1 i]`, a sum of right
    shifts, becomes block-diagonal: a group convolution is a product with blocks `sum_u pi(u)
    psi(u)` (Serre, Linear Representations of Finite Groups, 1977, sections 2.4 and 6.2; Cohen &
    Welling, "Group Equivariant Convolutional Networks", 2016, eq. 11, for the convolution).

    Args:
        group: Any finite group of n elements.

    Returns:
        [n, n]; rows in the order of `real_irreps`, of each irrep one copy after the other.

    Raises:
        ValueError: If `group` is no group.

    Example:
        >>> from tf_equirl.groups import cyclic_group, fourier_basis
        >>> fourier_basis(cyclic_group(2)).round(3).tolist()
        [[0.707, 0.707], [0.707, -0.707]]
    """
    return _fourier(instance("group", group, FiniteGroup))[0]


@functools.lru_cache(maxsize=64)
def _fourier(group: FiniteGroup) -> tuple[NDArray[np.float64], tuple[Irrep, ...]]:
    rng = np.random.default_rng(0)
    found = []
    for space in _isotypic_spaces(group, rng):
        copies = _aligned_copies(group, space, rng)
        dimension = copies.shape[2]
        matrices = _matrices(group, copies[0])
        name = f"irrep_of_dim_{dimension}"
        kind = KINDS[dimension // len(copies)]
        irrep = Irrep(Representation(group, matrices, name), len(copies), kind)
        found.append((irrep, np.moveaxis(copies, 1, 2).reshape(-1, group.order)))
    found.sort(key=lambda pair: _place(pair[0]))
    basis = np.concatenate([rows for _, rows in found])
    irreps = tuple(irrep for irrep, _ in found)
    _check(group, basis, irreps)
    basis.flags.writeable = False
    return basis, irreps


def _place(irrep: Irrep) -> tuple[int, list[float]]:
    """By dimension, then by character: ones come first."""
    character = irrep.representation.character
    return irrep.representation.dim, [-float(x) for x in np.round(character, 6)]


def _left(group: FiniteGroup, coefficients: NDArray[np.float64]) -> NDArray[np.float64]:
    """`[n, n]`: sum_g a_g L_g; it commutes with all right shifts."""
    # (L_g h)[i] = h[g^-1 i], so that entry [i, j] belongs to g = i j^-1.
    return coefficients[group.table[:, group.inverses]]


def _symmetric(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return matrix + matrix.T


def _classes(group: FiniteGroup) -> NDArray[np.int64]:
    """The number of each element's conjugacy class, `[n]`."""
    label = np.full(group.order, -1)
    for element in group.elements:
        if label[element] < 0:
            conjugates = group.table[group.table[:, element], group.inverses]
            label[conjugates] = element
    return label


def _eigenspaces(matrix: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Orthonormal bases `[n, k]` of the eigenspaces of a symmetric matrix."""
    values, vectors = np.linalg.eigh(matrix)
    gaps = np.diff(values) > _GAP * max(1.0, np.abs(values).max())
    return np.split(vectors, np.flatnonzero(gaps) + 1, axis=1)


def _isotypic_spaces(group: FiniteGroup, rng: np.random.Generator) -> list[NDArray[np.float64]]:
    """The parts of the regular representation that belong to one irrep each.

    They are the eigenspaces of a random symmetric class function: as many as there are pairs of a
    class and that of its inverses.
    """
    label = _classes(group)
    pairs = np.minimum(label, label[group.inverses])
    wanted = len(np.unique(pairs))
    for _ in range(_ATTEMPTS):
        spaces = _eigenspaces(_symmetric(_left(group, rng.standard_normal(group.order)[pairs])))
        if len(spaces) == wanted:
            return spaces
    raise RuntimeError(f"no decomposition of the regular representation of {group.name} was found")


def _aligned_copies(
    group: FiniteGroup, space: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """An isotypic space as copies of one irrep in the same basis, `[copies, n, d]`.

    A symmetric sum of left shifts has eigenspaces on which the right shifts act irreducibly, and
    another sum of them maps the one to the other.
    """
    size = space.shape[1]
    for restricted in _restricted(group, space, rng):
        parts = [space @ part for part in _eigenspaces(restricted)]
        dimension, copies = parts[0].shape[1], len(parts)
        equal = all(part.shape[1] == dimension for part in parts)
        if not equal or dimension % copies or dimension // copies not in KINDS:
            continue
        first = _sparse(parts[0])
        if not _irreducible(group, first, dimension // copies):
            continue
        found = [first]
        for part in parts[1:]:
            found.append(_image(group, first, part, rng))
        return np.array(found)
    raise RuntimeError(f"an irrep of {group.name} in a space of {size} dimensions was not found")


def _restricted(
    group: FiniteGroup, space: NDArray[np.float64], rng: np.random.Generator
) -> Iterator[NDArray[np.float64]]:
    """Symmetric sums of left shifts on a space, `[k, k]`, each of which may tell copies apart."""
    # A generator alone is often enough, and gives a basis with more zeros.
    for generator in group.generators:
        yield _symmetric(space.T @ space[group.table[group.inverse(generator)]])
    for _ in range(_ATTEMPTS):
        yield space.T @ _symmetric(_left(group, rng.standard_normal(group.order))) @ space


def _irreducible(group: FiniteGroup, vectors: NDArray[np.float64], norm: int) -> bool:
    """Whether right shifts act irreducibly, and with so many dimensions of what commutes.

    The mean of chi(u)^2 is that number; two copies of a real irrep have 4, as one of quaternionic
    kind has, and differ from it in the mean of chi(u^2) (Frobenius and Schur; Serre, 1977, 13.2).
    """
    character = np.einsum("gud,gd->u", vectors[group.table], vectors)
    squares = character[np.diagonal(group.table)]
    indicator = {1: 1, 2: 0, 4: -2}[norm]
    found = np.array([np.mean(character**2), np.mean(squares)])
    return bool(np.abs(found - [norm, indicator]).max() < 1e-6)


def _sparse(space: NDArray[np.float64]) -> NDArray[np.float64]:
    """The orthonormal basis of a space that Gram and Schmidt make of the unit vectors' images.

    It does not depend on how the space is described, and often has many zeros.
    """
    projector = space @ space.T
    basis = np.zeros((len(space), 0))
    for column in projector.T:
        rest = column - basis @ (basis.T @ column)
        rest -= basis @ (basis.T @ rest)  # second pass, against cancellation
        norm = np.linalg.norm(rest)
        if norm > 1e-3 / len(space):
            basis = np.column_stack([basis, rest / norm])
        if basis.shape[1] == space.shape[1]:
            break
    return np.where(np.abs(basis) < 1e-14, 0.0, basis)


def _image(
    group: FiniteGroup,
    first: NDArray[np.float64],
    part: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """The basis of an equivalent space in which right shifts have the matrices of the first."""
    for _ in range(_ATTEMPTS):
        shifted = _left(group, rng.standard_normal(group.order)) @ first
        image = part @ (part.T @ shifted)
        norm = np.sqrt(np.mean(np.sum(image**2, axis=0)))
        if norm > 1e-3:
            image = image / norm
            return np.where(np.abs(image) < 1e-14, 0.0, image)
    raise RuntimeError(f"copies of an irrep of {group.name} could not be aligned")


def _matrices(group: FiniteGroup, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """pi(u) `[n, d, d]` of right shifts on orthonormal vectors `[n, d]`."""
    return np.einsum("gi,guj->uij", vectors, vectors[group.table], optimize=True)


def _check(group: FiniteGroup, basis: NDArray[np.float64], irreps: tuple[Irrep, ...]) -> None:
    """Checks that the basis is orthogonal and the characters are (`Representation` its law).

    Raises:
        RuntimeError: If they are not: what was computed is wrong.
    """
    characters = np.array([irrep.representation.character for irrep in irreps])
    products = characters @ characters.T / group.order
    norms = [irrep.representation.dim // irrep.copies for irrep in irreps]
    worst = max(
        np.abs(products - np.diag(norms)).max(),
        np.abs(basis @ basis.T - np.eye(group.order)).max(),
    )
    if worst > _ACCURACY:
        raise RuntimeError(
            f"the irreps of {group.name} are not orthogonal: an error of {worst:.1e} remains"
        )
