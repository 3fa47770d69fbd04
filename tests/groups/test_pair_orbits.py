from __future__ import annotations

import numpy as np
import pytest

import tf_equirl.groups.orbits
from tf_equirl.groups import (
    Representation,
    cyclic_group,
    permutation_representation,
    regular_representation,
    signed_pair_orbits,
    signed_permutation_representation,
    symmetric_group,
    trivial_representation,
)


def average(weight, inputs, outputs):
    """The Reynolds projector, 1/n sum_g rho_out(g) W rho_in(g)^-1, term by term."""
    terms = zip(outputs.matrices, inputs.inverse_matrices, strict=True)
    return np.mean([left @ weight @ right for left, right in terms], axis=0)


def pair_by_pair(outputs, inputs):
    """Index and sign by their definition: walks the orbit of every pair not seen before."""
    index, sign = np.zeros((2, outputs.dim, inputs.dim), int)
    seen, count = np.zeros(index.shape, bool), 0
    for i, j in np.ndindex(index.shape):
        if seen[i, j]:
            continue
        images = outputs.signed_permutations[:, i], inputs.signed_permutations[:, j]
        signs = outputs.signs[:, i] * inputs.signs[:, j]
        seen[images] = True
        if np.all(signs[(images[0] == i) & (images[1] == j)] > 0):
            index[images], sign[images] = count, signs
            count += 1
    return index, sign, count


def shuffled(representation, rng):
    """The same up to a signed permutation of the coordinates, so that orbits are interleaved."""
    p, s = representation.signed_permutations, representation.signs
    order, flips = rng.permutation(p.shape[1]), rng.choice([-1, 1], p.shape[1])
    new_p, new_s = np.empty_like(p), np.empty_like(s)
    new_p[:, order], new_s[:, order] = order[p], s * flips[p] * flips
    return signed_permutation_representation(representation.group, new_p, new_s)


def test_orbits_are_those_of_a_walk(signed_inputs, signed_outputs):
    rng = np.random.default_rng(0)
    trivial = trivial_representation(signed_inputs.group, 2)
    outputs = shuffled(signed_outputs + signed_inputs + signed_outputs, rng)
    for inputs in (signed_inputs, shuffled(signed_inputs * signed_outputs + trivial, rng)):
        orbits = signed_pair_orbits(outputs, inputs)
        index, sign, count = pair_by_pair(outputs, inputs)
        np.testing.assert_array_equal(orbits.index, index)
        np.testing.assert_array_equal(orbits.sign, sign)
        assert orbits.count == count and type(orbits.count) is int
        assert orbits.index.dtype == orbits.sign.dtype == np.int64


def test_many_elements_are_taken_in_blocks_of_columns(monkeypatch):
    group = symmetric_group(4)
    points = permutation_representation(group)
    outputs, inputs = points + trivial_representation(group), points * points
    expected = pair_by_pair(outputs, inputs)
    for numbers in (1, 24, 100):
        monkeypatch.setattr(tf_equirl.groups.orbits, "_NUMBERS_AT_ONCE", numbers)
        orbits = signed_pair_orbits(outputs, inputs)
        np.testing.assert_array_equal(orbits.index, expected[0])
        assert np.all(orbits.sign == 1) and orbits.count == expected[2]


def test_orbits_agree_with_the_projector(signed_inputs, signed_outputs):
    inputs, outputs = signed_inputs, signed_outputs
    orbits = signed_pair_orbits(outputs, inputs)
    assert orbits.index.shape == orbits.sign.shape == (outputs.dim, inputs.dim)
    for i, j in np.ndindex(outputs.dim, inputs.dim):
        unit = np.zeros((outputs.dim, inputs.dim))
        unit[i, j] = 1
        same = (orbits.index == orbits.index[i, j]) & (orbits.sign != 0)
        expected = np.zeros_like(unit)
        if orbits.sign[i, j] != 0:
            expected = orbits.sign[i, j] * orbits.sign * same / same.sum()
        np.testing.assert_allclose(average(unit, inputs, outputs), expected, atol=1e-14)


def test_shared_weights_commute(signed_inputs, signed_outputs):
    inputs, outputs = signed_inputs, signed_outputs
    orbits = signed_pair_orbits(outputs, inputs)
    # One spare weight, so that a map without free weights can be written the same way.
    weights = np.random.default_rng(0).normal(size=orbits.count + 1)
    matrix = orbits.sign * weights[orbits.index]
    for left, right in zip(outputs.matrices, inputs.matrices, strict=True):
        np.testing.assert_allclose(left @ matrix, matrix @ right, atol=1e-14)


def test_orbits_are_numbered_in_order_of_appearance(signed_inputs, signed_outputs):
    inputs, outputs = signed_inputs, signed_outputs
    orbits = signed_pair_orbits(outputs, inputs)
    index, sign = orbits.index.ravel(), orbits.sign.ravel()
    used = index[sign != 0]
    numbers, first = np.unique(used, return_index=True)
    assert numbers.tolist() == list(range(orbits.count))
    assert np.all(np.diff(first) > 0)
    assert np.all(sign[sign != 0][first] == 1)
    assert np.all(index[sign == 0] == 0)


def test_s3_on_three_points_is_deep_sets():
    points = permutation_representation(symmetric_group(3))
    orbits = signed_pair_orbits(points, points)
    assert orbits.count == 2
    assert orbits.index.tolist() == [[0, 1, 1], [1, 0, 1], [1, 1, 0]]
    assert np.all(orbits.sign == 1)


def test_c4_regular_is_circulant():
    regular = regular_representation(cyclic_group(4))
    orbits = signed_pair_orbits(regular, regular)
    i, j = np.indices((4, 4))
    np.testing.assert_array_equal(orbits.index, (j - i) % 4)


def test_odd_maps():
    c2 = cyclic_group(2)
    odd = signed_permutation_representation(c2, [[0, 1], [0, 1]], [[1, 1], [-1, -1]])
    swap = permutation_representation(c2, [[0, 1], [1, 0]])
    orbits = signed_pair_orbits(swap, odd)
    assert orbits.index.tolist() == [[0, 1], [0, 1]]
    assert orbits.sign.tolist() == [[1, 1], [-1, -1]]


def test_mixed_zero_and_free_weights():
    c2 = cyclic_group(2)
    mixed = Representation(c2, [np.eye(2), np.diag([1, -1])])
    orbits = signed_pair_orbits(mixed, mixed)
    assert orbits.count == 2
    assert orbits.index.tolist() == [[0, 0], [0, 1]]
    assert orbits.sign.tolist() == [[1, 0], [0, 1]]


def test_other_group_is_refused():
    a, b = regular_representation(cyclic_group(6)), regular_representation(symmetric_group(3))
    with pytest.raises(ValueError, match="C6 and S3"):
        signed_pair_orbits(a, b)


def test_other_matrices_are_refused(cases):
    regular, square = cases["D4"]["regular"], cases["D4"]["turned"]
    with pytest.raises(ValueError, match="`outputs` must be a permutation or signed permutation"):
        signed_pair_orbits(square, regular)
    with pytest.raises(ValueError, match="`inputs` must be a permutation or signed permutation"):
        signed_pair_orbits(regular, square)
