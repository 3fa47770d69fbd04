from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from tf_equirl.groups import (
    Representation,
    cyclic_group,
    dihedral_group,
    intertwiner_basis,
    intertwiner_dimension,
    permutation_representation,
    regular_representation,
    symmetric_group,
    trivial_representation,
)


def reynolds_projector(inputs, outputs):
    """Matrix of W -> 1/n sum_g rho_out(g) W rho_in(g)^-1 on row-major W, by its definition."""
    terms = zip(outputs.matrices, inputs.inverse_matrices, strict=True)
    return np.mean([np.kron(left, right.T) for left, right in terms], axis=0)


def test_dimension_is_the_rank_of_the_projector_and_the_size_of_the_basis(inputs, outputs):
    rank = np.linalg.matrix_rank(reynolds_projector(inputs, outputs), tol=1e-8)
    dimension = intertwiner_dimension(inputs, outputs)
    assert type(dimension) is int
    assert dimension == rank
    assert intertwiner_basis(inputs, outputs).shape == (rank, outputs.dim, inputs.dim)


def test_every_basis_element_commutes_with_every_group_element(inputs, outputs):
    for element in intertwiner_basis(inputs, outputs):
        for left, right in zip(outputs.matrices, inputs.matrices, strict=True):
            np.testing.assert_allclose(left @ element, element @ right, atol=1e-13)


def test_basis_is_orthonormal_and_complete(inputs, outputs):
    basis = intertwiner_basis(inputs, outputs).reshape(-1, outputs.dim * inputs.dim)
    np.testing.assert_allclose(basis @ basis.T, np.eye(len(basis)), atol=1e-13)
    projector = reynolds_projector(inputs, outputs)
    np.testing.assert_allclose(basis.T @ (basis @ projector), projector, atol=1e-13)


@pytest.mark.parametrize(
    ("group", "source", "target", "dimension"),
    [
        ("C2", "cartpole", "trivial", 0),
        ("C2", "cartpole", "permutation", 4),
        ("C4", "sign", "trivial3", 0),
        ("C4", "rotation", "rotation", 2),
        ("S3", "sign", "permutation", 0),
        ("S3", "permutation", "sign", 0),
        ("S3", "triangle", "permutation", 1),
        ("D4", "sign", "trivial", 0),
        ("D4", "square", "trivial", 0),
        ("D4", "turned", "square", 1),
        ("Q8", "quaternions", "quaternions", 4),
        ("Q8", "quaternions", "turned", 4),
        ("Q8", "regular", "regular", 8),
        ("Q8", "quaternions", "trivial", 0),
    ],
)
def test_known_dimensions(cases, group, source, target, dimension):
    a, b = cases[group][source], cases[group][target]
    assert intertwiner_dimension(a, b) == dimension
    assert intertwiner_basis(a, b).shape == (dimension, b.dim, a.dim)


def test_regular_to_anything_has_its_dimension(representation):
    regular = regular_representation(representation.group)
    assert intertwiner_dimension(regular, representation) == representation.dim
    assert intertwiner_dimension(representation, regular) == representation.dim


def test_sums_and_products_of_representations(cases):
    e = cases["S3"]["triangle"]
    sign = cases["S3"]["sign"]
    # The square of the plane is the trivial, the sign and the plane once more.
    assert intertwiner_dimension(e * e, trivial_representation(e.group)) == 1
    assert intertwiner_dimension(e * e, sign) == 1
    assert intertwiner_basis(e, e * e + e + sign).shape == (2, 7, 2)


def test_the_projector_basis_does_not_depend_on_rounding(cases):
    """Weights are stored relative to the basis, so a last-bit difference must not turn it."""
    turned, quaternions = cases["Q8"]["turned"], cases["Q8"]["quaternions"]
    noise = np.random.default_rng(0).normal(size=turned.matrices.shape) * 1e-12
    noise[0] = 0
    nudged = Representation(turned.group, turned.matrices + noise)
    for a, b in [(turned, nudged), (quaternions + turned, quaternions + nudged)]:
        np.testing.assert_allclose(
            intertwiner_basis(a, a), intertwiner_basis(b, b), atol=1e-9, rtol=0
        )


def test_large_permutation_representation_needs_no_dense_projector():
    group = dihedral_group(100)
    corners = permutation_representation(group)
    both = Representation.from_signed_permutations(
        group, np.concatenate([group.permutations, 100 + group.permutations], axis=1)
    )
    assert (both.dim, corners.dim) == (200, 100)
    dimension = intertwiner_dimension(both, both)
    tracemalloc.start()
    basis = intertwiner_basis(both, both)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Corner pairs are classed by their distance 0, ..., 50, and there are 2 x 2 blocks.
    assert len(basis) == dimension == 4 * 51
    # The dense projector has 200^4 entries, 12.8 GB; the basis itself is 65 MB.
    assert peak < 2 * basis.nbytes
    weight = np.tensordot(np.random.default_rng(0).normal(size=dimension), basis, axes=1)
    for matrix in both.matrices:
        np.testing.assert_allclose(matrix @ weight, weight @ matrix, atol=1e-13)


def test_other_group_is_refused():
    a, b = regular_representation(cyclic_group(6)), regular_representation(symmetric_group(3))
    with pytest.raises(ValueError, match="C6 and S3"):
        intertwiner_dimension(a, b)
    with pytest.raises(ValueError, match="C6 and S3"):
        intertwiner_basis(a, b)
