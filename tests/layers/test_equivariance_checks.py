"""The checks themselves: they must be able to fail, and must measure what they say."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest
from layer_cases import GROUPS, sign

from tf_equirl.groups import regular_representation, trivial_representation
from tf_equirl.testing import EquivarianceError, check_layer_equivariance, equivariance_error


@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS.keys())
def test_a_dense_layer_over_the_rows_fails(group):
    """A dense layer that mixes rows without sharing weights."""
    dense = keras.layers.EinsumDense(
        "bnc,ncmu->bmu", output_shape=(group.order, 4), name="unconstrained"
    )
    inputs = np.random.default_rng(0).normal(size=(8, group.order, 3)).astype("float32")
    regular = regular_representation(group)
    with pytest.raises(AssertionError) as failure:
        check_layer_equivariance(dense, inputs, regular, regular, input_axis=-2, output_axis=-2)
    error = equivariance_error(dense, inputs, regular, regular, input_axis=-2, output_axis=-2)
    worst = int(np.argmax(error.per_element))
    assert error.per_element[0] < 1e-6  # the identity never breaks the law
    assert np.all(error.per_element[1:] > 0.1)
    assert "EinsumDense 'unconstrained'" in str(failure.value)
    assert f"element {worst} of {group!r}" in str(failure.value)
    assert f"error {error.max:.3g}" in str(failure.value)


def test_the_error_is_relative_to_the_output():
    """f(x) = x + 1 under x -> -x: ||-(x + 1) - (-x + 1)|| / ||x + 1|| = 2 / |x + 1|."""
    flip = sign(GROUPS["C2"])
    error = equivariance_error(lambda x: x + 1, np.array([[3.0]]), flip, flip)
    np.testing.assert_allclose(error.per_element, [0.0, 0.5])
    assert (error.max, error.mean) == (0.5, 0.25)
    scaled = equivariance_error(lambda x: 10 * (x + 1), np.array([[3.0]]), flip, flip)
    np.testing.assert_allclose(scaled.per_element, error.per_element)


def test_the_error_is_absolute_where_the_output_is_zero():
    flip, still = sign(GROUPS["C2"]), trivial_representation(GROUPS["C2"])
    error = equivariance_error(lambda x: np.minimum(x, 0), np.array([[3.0]]), flip, still)
    np.testing.assert_allclose(error.per_element, [0.0, 3.0])


def test_the_tolerance_is_a_bound():
    flip = sign(GROUPS["C2"])
    arguments = (lambda x: x + 1, np.array([[3.0]]), flip, flip)
    assert isinstance(check_layer_equivariance(*arguments, tolerance=0.5), EquivarianceError)
    with pytest.raises(AssertionError):
        check_layer_equivariance(*arguments, tolerance=0.49)


def test_not_a_number_fails():
    flip = sign(GROUPS["C2"])
    with pytest.raises(AssertionError, match="error nan"):
        check_layer_equivariance(lambda x: x * np.nan, np.ones((2, 1)), flip, flip)


def test_wrong_axes_and_groups_are_refused():
    regular = regular_representation(GROUPS["S3"])
    features = np.ones((2, 6, 3))
    with pytest.raises(ValueError, match=r"Axis -1 of `inputs` .*dimension 6.*Received: shape="):
        equivariance_error(lambda x: x, features, regular, regular)
    with pytest.raises(ValueError, match=r"Axis -1 of `function\(inputs\)`"):
        equivariance_error(lambda x: x, features, regular, regular, input_axis=-2)
    with pytest.raises(ValueError, match="Axis 3 of `inputs`"):
        equivariance_error(lambda x: x, features, regular, regular, input_axis=3)
    with pytest.raises(ValueError, match="of the same group. Received: input_representation="):
        equivariance_error(lambda x: x, features, regular, sign(GROUPS["C2"]))


def test_the_result_is_frozen():
    error = EquivarianceError(np.zeros(2))
    with pytest.raises(dataclasses.FrozenInstanceError):
        error.per_element = np.ones(2)
