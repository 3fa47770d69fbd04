from __future__ import annotations

import numpy as np
import pytest

from tf_equirl.groups import (
    Representation,
    cyclic_group,
    permutation_representation,
    regular_representation,
    signed_pair_orbits,
    signed_permutation_representation,
    symmetric_group,
)


def average(weight, inputs, outputs):
    """The Reynolds projector, 1/n sum_g rho_out(g) W rho_in(g)^-1, term by term."""
    terms = zip(outputs.matrices, inputs.inverse_matrices, strict=True)
    return np.mean([left @ weight @ right for left, right in terms], axis=0)


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
