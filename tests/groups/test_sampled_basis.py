"""The basis of the paper's algorithm, and that three ways to the dimension agree."""

from __future__ import annotations

import numpy as np
import pytest

from tf_equirl.groups import (
    Representation,
    cyclic_group,
    intertwiner_basis,
    intertwiner_dimension,
    regular_representation,
    sampled_intertwiner_basis,
    symmetric_group,
    trivial_representation,
)
from tf_equirl.groups.intertwiners import _reynolds


def flat(basis):
    return basis.reshape(len(basis), basis.shape[1] * basis.shape[2])


def check(inputs, outputs):
    """Rank by characters, of samples and of the exact basis; orthonormal; the same space."""
    dimension = intertwiner_dimension(inputs, outputs)
    shape = (outputs.dim * inputs.dim, outputs.dim, inputs.dim)
    samples = _reynolds(np.random.default_rng(1).normal(size=shape), inputs, outputs)
    assert np.linalg.matrix_rank(flat(samples), tol=1e-8) == dimension
    exact, sampled = intertwiner_basis(inputs, outputs), sampled_intertwiner_basis(inputs, outputs)
    assert exact.shape == sampled.shape == (dimension, outputs.dim, inputs.dim)
    for left, right in zip(outputs.matrices, inputs.matrices, strict=True):
        np.testing.assert_allclose(left @ sampled, sampled @ right, atol=1e-10)
    one, two = flat(exact), flat(sampled)
    np.testing.assert_allclose(two @ two.T, np.eye(dimension), atol=1e-10)
    np.testing.assert_allclose(two @ one.T @ one, two, atol=1e-10)
    if dimension:
        assert np.linalg.matrix_rank(np.concatenate([one, two]), tol=1e-8) == dimension


def test_exact_and_sampled_bases_span_the_same_space_of_the_predicted_dimension(inputs, outputs):
    check(inputs, outputs)


def test_so_they_do_for_sums_and_products(cases):
    for named in cases.values():
        reps = [rep for rep in named.values() if rep.dim < 5]
        first, last = reps[0], reps[-1]
        check(first + last, last)
        check(last, last * reps[1])
        check(last * last, reps[-2] + first)


def test_so_they_do_for_conjugates_that_are_not_orthogonal(cases):
    rng = np.random.default_rng(0)
    for named in cases.values():
        rep = named["regular"]
        change = np.eye(rep.dim) + rng.normal(size=(rep.dim, rep.dim)) / (2 * np.sqrt(rep.dim))
        inverse = np.linalg.inv(change)
        skew = Representation(rep.group, change @ rep.matrices @ inverse)
        check(skew, rep)
        check(skew, skew)


def test_too_few_samples_are_refused(cases):
    regular = cases["D4"]["regular"]  # r = 8 of 64 dimensions
    basis = sampled_intertwiner_basis(regular, regular, num_samples=8, seed=3)
    assert len(basis) == 8
    with pytest.raises(
        ValueError, match="span the 8 dimensions.*7 samples span 7. Received: num_samples=7"
    ):
        sampled_intertwiner_basis(regular, regular, num_samples=7)
    for wrong in (0, 2.5):
        with pytest.raises(ValueError, match="`num_samples` must be a positive integer"):
            sampled_intertwiner_basis(regular, regular, num_samples=wrong)


def test_the_seed_decides(cases):
    regular = cases["S3"]["regular"]
    one, same, other = (sampled_intertwiner_basis(regular, regular, seed=s) for s in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0.01


def test_no_map_but_zero():
    group = cyclic_group(2)
    sign = Representation(group, [[[1]], [[-1]]])
    assert sampled_intertwiner_basis(sign, trivial_representation(group, 3)).shape == (0, 3, 1)


def test_many_samples_are_symmetrised_in_parts(monkeypatch, cases):
    from tf_equirl.groups import intertwiners

    turned = cases["Q8"]["turned"]
    expected = sampled_intertwiner_basis(turned, turned)
    monkeypatch.setattr(intertwiners, "_NUMBERS_AT_ONCE", 50)  # three matrices, of sixteen
    np.testing.assert_allclose(
        flat(sampled_intertwiner_basis(turned, turned)), flat(expected), atol=1e-12
    )


def test_other_group_is_refused():
    a, b = regular_representation(cyclic_group(6)), regular_representation(symmetric_group(3))
    with pytest.raises(ValueError, match="C6 and S3"):
        sampled_intertwiner_basis(a, b)
