from __future__ import annotations

import numpy as np
import pytest
from layer_cases import GROUPS, natural, sign, skew

from tf_equirl.groups import intertwiner_dimension, regular_representation
from tf_equirl.layers import EquivariantReadout


@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS.keys())
def test_is_the_formula_of_its_docstring(group):
    representation = skew(group)
    layer = EquivariantReadout(representation, use_bias=False)
    features = np.random.default_rng(0).normal(size=(group.order, 3)).astype("float32")
    received = np.array(layer(features))
    (kernel,) = layer.get_weights()
    expected = sum(
        rho @ (kernel.T @ h) for rho, h in zip(representation.matrices, features, strict=True)
    )
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS.keys())
@pytest.mark.parametrize("make", [natural, sign, skew])
def test_spans_every_equivariant_map(group, make):
    representation, channels = make(group), 2
    layer = EquivariantReadout(representation, use_bias=False)
    layer.build((None, group.order, channels))
    maps = []
    for kernel in np.eye(channels * representation.dim):
        layer.kernel.assign(kernel.reshape(layer.kernel.shape))
        maps.append(np.array(layer.expanded_kernel()).ravel())
    dimension = intertwiner_dimension(regular_representation(group), representation) * channels
    assert np.linalg.matrix_rank(np.array(maps), tol=1e-3) == dimension


@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS.keys())
def test_bias_is_a_fixed_vector(group):
    representation = skew(group)
    layer = EquivariantReadout(representation, bias_initializer="ones")
    bias = np.array(layer(np.zeros((group.order, 2), "float32")))
    assert np.linalg.norm(bias) == pytest.approx(1)  # one coordinate, of a unit vector
    for matrix in representation.matrices:
        np.testing.assert_allclose(matrix @ bias, bias, atol=1e-6)


def test_no_bias_where_no_vector_is_fixed():
    layer = EquivariantReadout(sign(GROUPS["S3"]))
    layer.build((None, 6, 2))
    assert layer.bias is None


def test_takes_no_activation():
    with pytest.raises(ValueError, match="takes no `activation`.*Received: activation='relu'"):
        EquivariantReadout(skew(GROUPS["S3"]), activation="relu")
