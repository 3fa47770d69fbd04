from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from tf_equirl.groups import (
    Representation,
    cyclic_group,
    dihedral_group,
    permutation_representation,
    quaternion_group,
    regular_representation,
    signed_permutation_representation,
    symmetric_group,
    trivial_representation,
)

# Products of two matrices of at most 6x6 with entries of order 1, in float64.
ATOL = 1e-12


def test_homomorphism_and_inverses(representation):
    group, rho = representation.group, representation.matrices
    for i, j in itertools.product(group.elements, repeat=2):
        np.testing.assert_allclose(rho[i] @ rho[j], rho[group.multiply(i, j)], atol=ATOL)
    for inverse, matrix in zip(representation.inverse_matrices, rho, strict=True):
        np.testing.assert_allclose(inverse @ matrix, np.eye(representation.dim), atol=ATOL)


def test_signed_permutations_describe_the_matrices(representation):
    p, s = representation.signed_permutations, representation.signs
    monomial = bool(np.all(np.isin(representation.matrices, (-1, 0, 1)))) and bool(
        np.all(np.abs(representation.matrices).sum(axis=1) == 1)
    )
    assert (p is not None) == (s is not None) == monomial
    if monomial:
        for g, j in itertools.product(representation.group.elements, range(representation.dim)):
            column = s[g, j] * np.eye(representation.dim)[p[g, j]]
            np.testing.assert_array_equal(representation.matrices[g][:, j], column)
    is_permutation = monomial and representation.matrices.min() >= 0
    assert (representation.permutations is not None) == is_permutation
    if is_permutation:
        np.testing.assert_array_equal(representation.permutations, p)


def test_both_kinds_of_matrix_are_among_the_cases(cases):
    assert cases["D4"]["square"].signs is not None and cases["D4"]["square"].permutations is None
    assert cases["D4"]["turned"].signs is None
    assert cases["S3"]["triangle"].signs is None


def test_rounding_of_signed_permutations_is_removed(cases):
    quarter = cases["D4"]["square"].matrices[1]
    assert quarter.tolist() == [[0, -1], [1, 0]]  # cos(pi/2) is 6e-17 in floating point


def test_config_round_trip_through_json(representation):
    copy = Representation.from_config(json.loads(json.dumps(representation.get_config())))
    assert copy == representation
    assert hash(copy) == hash(representation)
    assert (copy.name, copy.group.name) == (representation.name, representation.group.name)
    np.testing.assert_array_equal(copy.matrices, representation.matrices)


def test_from_config_validates_again(cases):
    config = cases["S3"]["triangle"].get_config()
    config["matrices"][1][0][0] += 0.1
    with pytest.raises(ValueError, match="not a homomorphism"):
        Representation.from_config(config)
    config = cases["S3"]["regular"].get_config()
    config["permutations"][1] = config["permutations"][2]
    with pytest.raises(ValueError, match="not a homomorphism"):
        Representation.from_config(config)
    del config["permutations"]
    with pytest.raises(ValueError, match="'matrices'"):
        Representation.from_config(config)
    with pytest.raises(ValueError, match="'group'"):
        Representation.from_config({})


def test_character_of_sum_and_product_and_classes(cases):
    for named in cases.values():
        for a, b in itertools.product(named.values(), repeat=2):
            np.testing.assert_allclose((a + b).character, a.character + b.character, atol=ATOL)
            np.testing.assert_allclose((a * b).character, a.character * b.character, atol=ATOL)
    for named in cases.values():
        for a in named.values():
            for g, h in itertools.product(a.group.elements, repeat=2):
                conjugate = a.group.multiply(a.group.multiply(h, g), a.group.inverse(h))
                assert a.character[conjugate] == pytest.approx(a.character[g], abs=ATOL)


def test_irreducible_characters_are_orthogonal(cases):
    """<chi_a, chi_b> = delta_ab for irreducibles that stay irreducible over the complex numbers."""
    irreducible = {
        "C2": ["trivial", "sign"],
        "C4": ["trivial", "sign"],
        "S3": ["trivial", "sign", "triangle"],
        "D4": ["trivial", "sign", "square"],
        "Q8": ["trivial"],
    }
    for name, names in irreducible.items():
        characters = np.array([cases[name][key].character for key in names])
        gram = characters @ characters.T / characters.shape[1]
        np.testing.assert_allclose(gram, np.eye(len(names)), atol=ATOL)
    # Irreducible over the reals only: the squared norm is the dimension of the commutant, 2 for
    # the complex numbers and 4 for the quaternions.
    for name, key, norm in [("C4", "rotation", 2), ("Q8", "quaternions", 4)]:
        assert np.mean(cases[name][key].character ** 2) == pytest.approx(norm)


def test_direct_sum_and_tensor_product_act_blockwise(cases):
    a, b = cases["S3"]["triangle"], cases["S3"]["permutation"]
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=2), rng.normal(size=3)
    for g in a.group.elements:
        gx, gy = a.matrices[g] @ x, b.matrices[g] @ y
        np.testing.assert_allclose(
            (a + b).matrices[g] @ np.concatenate([x, y]), np.concatenate([gx, gy]), atol=ATOL
        )
        np.testing.assert_allclose((a * b).matrices[g] @ np.kron(x, y), np.kron(gx, gy), atol=ATOL)
    assert (b + b).permutations is not None and (b * b).permutations is not None


def test_sum_and_product_refuse_other_groups():
    a, b = regular_representation(cyclic_group(6)), regular_representation(symmetric_group(3))
    with pytest.raises(ValueError, match="direct sum.*C6 and S3"):
        a + b
    with pytest.raises(ValueError, match="tensor product.*C6 and S3"):
        a * b
    with pytest.raises(TypeError):
        a + 1
    with pytest.raises(TypeError):
        a * 1


def test_regular_representation_moves_basis_vectors():
    group = dihedral_group(3)
    rho = regular_representation(group)
    basis = np.eye(6)
    x = np.random.default_rng(0).normal(size=6)
    for g, h in itertools.product(group.elements, repeat=2):
        np.testing.assert_array_equal(rho.matrices[g] @ basis[h], basis[group.multiply(g, h)])
        assert (rho.matrices[g] @ x)[h] == x[group.multiply(group.inverse(g), h)]


def test_trivial_representation():
    rho = trivial_representation(symmetric_group(3), 2)
    np.testing.assert_array_equal(rho.matrices, np.tile(np.eye(2), (6, 1, 1)))
    for dim in (0, -1, 1.5, "2"):
        with pytest.raises(ValueError, match="`dim`.*Received: dim"):
            trivial_representation(symmetric_group(3), dim)


def test_permutation_representation_defaults_to_the_natural_one():
    group = symmetric_group(3)
    np.testing.assert_array_equal(
        permutation_representation(group).permutations, group.permutations
    )
    flip = permutation_representation(cyclic_group(2), [[0, 1, 2], [2, 1, 0]])
    np.testing.assert_array_equal(flip.matrices[1] @ [1, 2, 3], [3, 2, 1])
    with pytest.raises(ValueError, match="Q8 carries none.*permutations=None$"):
        permutation_representation(quaternion_group())


def test_signed_permutation_representation():
    group = cyclic_group(4)
    rho = signed_permutation_representation(
        group, [[0, 1], [1, 0], [0, 1], [1, 0]], [[1, 1], [1, -1], [-1, -1], [-1, 1]]
    )
    np.testing.assert_array_equal(rho.matrices[1], [[0, -1], [1, 0]])
    assert rho.permutations is None


@pytest.mark.parametrize(
    ("permutations", "signs", "message"),
    [
        ([[0, 1], [0, 0]], [[1, 1], [1, 1]], r"permutations\[1\]=\[0, 0\]"),
        ([[0, 1]], [[1, 1]], r"one entry per group element, that is 2.*\(1, 2\)$"),
        ([[0, 1], [1, 0]], [[1, 1]], r"shape of `permutations`"),
        ([[0, 1], [1, 0]], [[1, 1], [1, 2]], r"signs\[1, 1\]=2$"),
        ([[0, 1], [1, 0]], [[1, 1], [1, 1.5]], r"integers"),
        ([[0, 1], [1, 0]], [[1, 1], [1, -1]], r"pair \(1, 1\) fails, with largest deviation 2"),
        ([[0, 1, 2], [1, 2, 0]], np.ones((2, 3), int), r"pair \(1, 1\) .*largest deviation 1"),
        ([[1, 0], [1, 0]], [[1, 1], [1, 1]], r"identity.*permutations\[0\]=\[1, 0\]"),
        ([[0, 1], [1, 0]], [[1, -1], [1, 1]], r"identity.*signs\[0\]=\[1, -1\]"),
    ],
)
def test_signed_permutation_representation_refuses(permutations, signs, message):
    with pytest.raises(ValueError, match=message):
        signed_permutation_representation(cyclic_group(2), permutations, signs)


@pytest.mark.parametrize(
    ("matrices", "message"),
    [
        ([np.eye(2), [[1, np.nan], [0, 1]]], r"finite.*matrices\[1, 0, 1\]=nan$"),
        ([np.eye(2), [[1, np.inf], [0, 1]]], r"finite.*matrices\[1, 0, 1\]=inf$"),
        ([np.eye(2), 1j * np.eye(2)], r"real numbers.*complex128$"),
        (np.zeros((2, 2, 3)), r"square.*\(2, 2, 3\)$"),
        (np.zeros((3, 2, 2)), r"one entry per group element, that is 2.*\(3, 2, 2\)$"),
        (np.eye(2), r"3 dimensions, not 2"),
        ([np.eye(2), np.eye(3)], "rectangular"),
        (np.zeros((2, 0, 0)), "empty"),
        ([-np.eye(2), np.eye(2)], r"identity.*deviation is 2\."),
        (np.zeros((2, 2, 2)), r"identity.*deviation is 1\."),  # a homomorphism, not invertible
        ([np.eye(2), 3 * np.eye(2)], r"deviation is 8, at the pair \(1, 1\)"),
        ([np.eye(2), np.diag([1, 1 + 1e-5])], r"deviation is 2e-05, at the pair \(1, 1\)"),
    ],
)
def test_representation_refuses(matrices, message):
    with pytest.raises(ValueError, match=message):
        Representation(cyclic_group(2), matrices)


def test_the_error_names_a_pair_that_fails_in_a_larger_group():
    group = dihedral_group(4)
    square = np.array(permutation_representation(group).matrices)
    square[6] = square[5]
    with pytest.raises(
        ValueError, match=r"largest deviation is 1, at the pair \((\d), (\d)\)"
    ) as e:
        Representation(group, square)
    i, j = (int(k) for k in str(e.value).split("at the pair (")[1].split(")")[0].split(", "))
    assert not np.array_equal(square[i] @ square[j], square[group.multiply(i, j)])


def test_a_relation_of_the_second_generator_alone_is_checked():
    group = dihedral_group(4)  # element k is r^k, element 4 + k is r^k s
    assert group.generators == (1, 4)
    factor = np.repeat([1.0, 2.0], 4)  # obeys every product r g, but not s s = e
    with pytest.raises(ValueError, match=r"deviation is 3, at the pair \(4, 4\)"):
        Representation(group, factor[:, None, None])
    turn = np.repeat([[0, 1, 2], [1, 2, 0]], 4, axis=0)
    with pytest.raises(ValueError, match=r"pair \(4, 4\) fails"):
        permutation_representation(group, turn)


def test_swapping_the_sides_of_a_non_abelian_representation_is_refused(cases):
    rho = cases["S3"]["triangle"]
    with pytest.raises(ValueError, match="not a homomorphism"):
        Representation(rho.group, rho.inverse_matrices)


def test_group_argument_must_be_a_group():
    for build in (
        lambda: Representation("C2", [np.eye(1), np.eye(1)]),
        lambda: trivial_representation(2),
        lambda: regular_representation(None),
        lambda: permutation_representation([[0]]),
        lambda: signed_permutation_representation("C2", [[0]], [[1]]),
        lambda: Representation.from_generators("C2", {1: [[1.0]]}),
    ):
        with pytest.raises(ValueError, match="`group` must be a FiniteGroup. Received: group="):
            build()


def test_from_generators_extends_to_the_group():
    group = symmetric_group(4)
    expected = permutation_representation(group)
    chosen = {g: expected.matrices[g] for g in group.generators}
    assert Representation.from_generators(group, chosen) == expected


@pytest.mark.parametrize(
    ("matrices", "message"),
    [
        ({2: np.eye(1)}, r"must generate C4, but element 1 .*elements \[2\]$"),
        ({1: [[2.0]]}, "not a homomorphism"),
        ({1: [[-1.0]], 0: [[-1.0]]}, "identity"),
        ({1: [[-1.0]], 2: [[-1.0]]}, "not a homomorphism"),
        ({4: [[1.0]]}, "from 0 to 3"),
        ({}, "non-empty dict"),
        ([np.eye(1)], "non-empty dict"),
        ({1: np.eye(2), 2: np.eye(3)}, "rectangular"),
    ],
)
def test_from_generators_refuses(matrices, message):
    with pytest.raises(ValueError, match=message):
        Representation.from_generators(cyclic_group(4), matrices)


def test_from_generators_of_the_trivial_group():
    assert Representation.from_generators(cyclic_group(1), {0: np.eye(3)}).dim == 3


def test_equality():
    c2 = cyclic_group(2)
    assert Representation(c2, [[[1]], [[1]]], "a") == trivial_representation(c2)
    assert trivial_representation(c2, 2) != trivial_representation(c2)
    assert trivial_representation(cyclic_group(3)) != trivial_representation(c2)
    assert trivial_representation(c2) != "trivial"


def test_arrays_are_read_only(cases):
    rho = cases["D4"]["square"]
    arrays = (rho.matrices, rho.inverse_matrices, rho.character, rho.signs, rho.signed_permutations)
    for array in arrays:
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
