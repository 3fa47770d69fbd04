import math

import numpy as np
import pytest

from tf_equirl.groups import (
    FiniteGroup,
    cyclic_group,
    dihedral_group,
    direct_product,
    fourier_basis,
    quaternion_group,
    real_irreps,
    symmetric_group,
)


def _alternating_4() -> FiniteGroup:
    return FiniteGroup.from_permutations([[1, 2, 0, 3], [1, 0, 3, 2]])


C2, C3 = cyclic_group(2), cyclic_group(3)
GROUPS = {
    "C1": cyclic_group(1),
    "C2": C2,
    "C3": C3,
    "C4": cyclic_group(4),
    "C7": cyclic_group(7),
    "C16": cyclic_group(16),
    "C2xC2": direct_product(C2, C2),
    "D3": dihedral_group(3),
    "D4": dihedral_group(4),
    "D9": dihedral_group(9),
    "S3": symmetric_group(3),
    "S4": symmetric_group(4),
    "S5": symmetric_group(5),
    "A4": _alternating_4(),
    "Q8": quaternion_group(),
    "Q8xC2": direct_product(quaternion_group(), C2),
    "Q8xC3": direct_product(quaternion_group(), C3),
    "S3xC4": direct_product(symmetric_group(3), cyclic_group(4)),
}
# Dimensions and kinds: Serre, Linear Representations of Finite Groups, 1977, chapter 5 and 13.2.
KNOWN = {
    "C1": "1r",
    "C2": "1r 1r",
    "C3": "1r 2c",
    "C4": "1r 1r 2c",
    "C2xC2": "1r 1r 1r 1r",
    "D3": "1r 1r 2r",
    "D4": "1r 1r 1r 1r 2r",
    "S4": "1r 1r 2r 3r 3r",
    "S5": "1r 1r 4r 4r 5r 5r 6r",
    "A4": "1r 2c 3r",
    "Q8": "1r 1r 1r 1r 4q",
    # Over the complex numbers the quaternions' irrep is of dimension 2; times a third root of one
    # it is of complex kind.
    "Q8xC3": "1r 1r 1r 1r 2c 2c 2c 2c 4c 4q",
}


@pytest.mark.parametrize("name", GROUPS)
def test_the_basis_makes_every_right_shift_block_diagonal(name):
    group = GROUPS[name]
    basis, irreps = fourier_basis(group), real_irreps(group)
    np.testing.assert_allclose(basis @ basis.T, np.eye(group.order), atol=1e-12)
    for u in group.elements:
        shifted = np.eye(group.order)[group.table[:, u]]  # (R_u h)[g] = h[g u]
        blocks = np.zeros_like(basis)
        start = 0
        for irrep in irreps:
            for _ in range(irrep.copies):
                end = start + irrep.representation.dim
                blocks[start:end, start:end] = irrep.representation.matrices[u]
                start = end
        assert start == group.order
        np.testing.assert_allclose(basis @ shifted @ basis.T, blocks, atol=1e-10)


@pytest.mark.parametrize("name", GROUPS)
def test_characters_are_orthogonal_and_irreps_are_all(name):
    group, irreps = GROUPS[name], real_irreps(GROUPS[name])
    characters = np.array([irrep.representation.character for irrep in irreps])
    size = {"real": 1, "complex": 2, "quaternionic": 4}
    norms = [size[irrep.kind] for irrep in irreps]
    products = characters @ characters.T / group.order
    np.testing.assert_allclose(products, np.diag(norms), atol=1e-10)
    assert sum(i.copies * i.representation.dim for i in irreps) == group.order
    for irrep, norm in zip(irreps, norms, strict=True):
        assert irrep.copies * norm == irrep.representation.dim
        matrices = irrep.representation.matrices
        identity = np.broadcast_to(np.eye(matrices.shape[1]), matrices.shape)
        np.testing.assert_allclose(matrices @ matrices.swapaxes(1, 2), identity, atol=1e-10)
    np.testing.assert_allclose(characters[0], 1, atol=1e-12)  # the trivial one is the first


@pytest.mark.parametrize("name", KNOWN)
def test_irreps_are_those_of_the_books(name):
    found = [f"{i.representation.dim}{i.kind[0]}" for i in real_irreps(GROUPS[name])]
    assert sorted(found) == sorted(KNOWN[name].split())


def test_characters_of_rotations():
    order = 7
    found = {
        tuple(i.representation.character.round(6))
        for i in real_irreps(cyclic_group(order))
        if i.representation.dim == 2
    }
    angles = 2 * np.pi * np.arange(order) / order
    assert found == {tuple((2 * np.cos(k * angles)).round(6)) for k in (1, 2, 3)}


def test_elements_may_come_in_any_order():
    group = symmetric_group(3)
    order = np.array([0, 4, 2, 5, 1, 3])
    place = np.argsort(order)
    same = FiniteGroup(place[group.table[np.ix_(order, order)]])
    dims = [i.representation.dim for i in real_irreps(same)]
    assert dims == [1, 1, 2] and math.isclose(np.linalg.det(fourier_basis(same)) ** 2, 1)


def test_a_group_of_hundreds_of_elements():
    group = dihedral_group(120)
    irreps = real_irreps(group)
    assert len(irreps) == 4 + 59
    basis = fourier_basis(group)
    np.testing.assert_allclose(basis @ basis.T, np.eye(240), atol=1e-10)


def test_the_basis_is_not_to_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        fourier_basis(C2)[0, 0] = 1


@pytest.mark.parametrize("function", [fourier_basis, real_irreps])
def test_what_is_no_group_is_refused(function):
    with pytest.raises(ValueError, match="group"):
        function("C2")
