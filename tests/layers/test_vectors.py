"""Layers that keep statistics, or a vector that no input changes."""

import numpy as np
import pytest
from layer_cases import GROUPS, mixed, natural, signed, skew, turned

from tf_equirl.groups import (
    Representation,
    deviation_representation,
    intertwiner_dimension,
    trivial_representation,
)
from tf_equirl.layers import InputNormalization, InvariantVector
from tf_equirl.testing import check_layer_equivariance


def normalization(rho, data):
    layer = InputNormalization(rho)
    layer.build((None, rho.dim))
    layer.mean.assign(data.mean(axis=0))
    layer.variance.assign(data.var(axis=0))
    return layer


def data_of(rho, rows=50):
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, rho.dim)) * rng.uniform(0.5, 2, rho.dim) + rng.normal(
        size=rho.dim
    )


@pytest.mark.parametrize("rho", [signed, turned, natural], ids=lambda rho: rho.__name__)
@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS)
def test_normalization_obeys_the_law_whatever_the_data(group, rho):
    rho = rho(group)
    layer = normalization(rho, data_of(rho))
    inputs = np.random.default_rng(1).normal(size=(20, rho.dim)).astype(np.float32)
    check_layer_equivariance(layer, inputs, rho, rho)


@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS)
def test_statistics_are_those_of_the_data_and_all_their_images(group):
    rho = signed(group)
    data = data_of(rho)
    images = np.concatenate([data @ matrix.T for matrix in rho.matrices])
    mean, variance = (np.array(x) for x in normalization(rho, data).statistics())
    np.testing.assert_allclose(mean, images.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(variance, images.var(axis=0), rtol=1e-6)


@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS)
def test_coordinates_that_are_mixed_have_one_scale(group):
    rho = turned(group)
    _, variance = normalization(rho, data_of(rho)).statistics()
    assert np.ptp(np.array(variance)) < 1e-6


def test_outliers_are_cut_off_at_ten_deviations():
    rho = trivial_representation(GROUPS["C2"], 2)
    layer = normalization(rho, np.array([[0.0, 0.0], [2.0, 2.0]]))
    np.testing.assert_allclose(np.array(layer(np.array([[100.0, -100.0]]))), [[10.0, -10.0]])


def test_normalization_refuses_what_it_cannot_keep():
    with pytest.raises(ValueError, match="must have orthogonal matrices"):
        InputNormalization(skew(GROUPS["S3"]))
    with pytest.raises(ValueError, match=r"must have shape \[\.\.\., 2\]"):
        InputNormalization(trivial_representation(GROUPS["C2"], 2)).build((None, 3))
    with pytest.raises(ValueError, match="of dimension 2,048 at most"):
        InputNormalization(trivial_representation(GROUPS["C2"], 2049))


@pytest.mark.parametrize("rho", [mixed, turned, skew], ids=lambda rho: rho.__name__)
@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS)
def test_an_invariant_vector_has_all_fixed_vectors_and_no_others(group, rho):
    rho = rho(group)
    layer = InvariantVector(rho, value=0.5)
    layer.build((None, 1))
    trivial = trivial_representation(group)
    assert layer.coordinates.shape == (intertwiner_dimension(trivial, rho),)
    layer.coordinates.assign(np.random.default_rng(2).normal(size=layer.coordinates.shape))
    vector = np.array(layer(np.zeros([1, 1])))[0]
    assert np.abs(vector).max() > 0 or not layer.coordinates.shape[0]
    np.testing.assert_allclose(rho.matrices @ vector, np.tile(vector, (group.order, 1)), atol=1e-5)


@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS)
def test_deviations_follow_noise(group):
    """rho(g) diag(s^2) rho(g)^T = diag((rho_s(g) s)^2), the law of noise that is independent."""
    rng = np.random.default_rng(3)
    for rho in (signed(group), natural(group), turned(group)):
        deviations, index = deviation_representation(rho)
        scale = rng.uniform(0.5, 2, deviations.dim)
        for matrix, of_scale in zip(rho.matrices, deviations.matrices, strict=True):
            covariance = matrix @ np.diag(scale[index] ** 2) @ matrix.T
            expected = np.diag((of_scale @ scale)[index] ** 2)
            np.testing.assert_allclose(covariance, expected, atol=1e-9)


def test_deviations_of_blocks_are_told_apart():
    group = GROUPS["S3"]
    both = turned(group) + trivial_representation(group, 2)
    deviations, index = deviation_representation(both)
    assert deviations.dim == 3 and index.tolist() == [0] * group.order + [1, 2]
    with pytest.raises(ValueError, match="must have orthogonal matrices for a Gaussian policy"):
        deviation_representation(skew(group))
    with pytest.raises(ValueError, match="`action` must be"):
        deviation_representation(np.eye(2))
    assert isinstance(deviations, Representation)
