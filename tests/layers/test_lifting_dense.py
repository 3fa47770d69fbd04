from __future__ import annotations

import numpy as np
import pytest
from layer_cases import GROUPS, skew

from tf_equirl.groups import regular_representation
from tf_equirl.layers import LiftingDense
from tf_equirl.testing import check_layer_equivariance, equivariance_error


def test_is_the_formula_of_its_docstring():
    representation = skew(GROUPS["D4"])
    layer = LiftingDense(3, representation, bias_initializer="random_normal")
    inputs = np.random.default_rng(0).normal(size=(5, representation.dim)).astype("float32")
    outputs = np.array(layer(inputs))
    kernel, bias = layer.get_weights()
    for i, matrix in enumerate(representation.matrices):
        expected = inputs @ np.linalg.inv(matrix).T @ kernel + bias
        np.testing.assert_allclose(outputs[:, i], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name, lawful", [("C2", True), ("S3", False), ("D4", False)])
def test_without_the_inverse_the_law_holds_for_c2_only(name, lawful):
    group = GROUPS[name]
    representation = skew(group)
    kernel = np.random.default_rng(1).normal(size=(representation.dim, 2))

    def without_inverse(s):
        return np.einsum("gij,bj,iu->bgu", representation.matrices, s, kernel)

    inputs = np.random.default_rng(2).normal(size=(4, representation.dim))
    law = (inputs, representation, regular_representation(group))
    if lawful:
        check_layer_equivariance(without_inverse, *law, output_axis=-2)
    else:
        assert equivariance_error(without_inverse, *law, output_axis=-2).max > 0.1
        with pytest.raises(AssertionError, match="without_inverse"):
            check_layer_equivariance(without_inverse, *law, output_axis=-2)


@pytest.mark.parametrize("units", [0, -1, 2.5, True, None])
def test_units_must_be_a_positive_integer(units):
    with pytest.raises(ValueError, match="`units` must be a positive integer. Received: units="):
        LiftingDense(units, skew(GROUPS["C2"]))


def test_representation_must_be_one():
    with pytest.raises(ValueError, match="`representation` must be a Representation.*Received"):
        LiftingDense(2, GROUPS["C2"])
