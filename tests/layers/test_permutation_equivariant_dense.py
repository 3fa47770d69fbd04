from __future__ import annotations

import keras
import numpy as np
import pytest
from layer_cases import GROUPS, mixed, natural, sign, signed, skew

from tf_equirl.groups import (
    cyclic_group,
    permutation_representation,
    signed_pair_orbits,
    trivial_representation,
)
from tf_equirl.layers import PermutationEquivariantDense


@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS.keys())
def test_is_the_formula_of_its_docstring(group):
    inputs, outputs = natural(group), mixed(group)
    layer = PermutationEquivariantDense(2, inputs, outputs, use_bias=False)
    features = np.random.default_rng(0).normal(size=(inputs.dim, 3)).astype("float32")
    received = np.array(layer(features))
    (kernel,) = layer.get_weights()
    orbits = signed_pair_orbits(outputs, inputs)
    assert np.any(orbits.sign == 0)
    assert np.any(orbits.sign < 0)
    for i in range(outputs.dim):
        expected = np.zeros(2)
        for j in range(inputs.dim):
            expected += orbits.sign[i, j] * (features[j] @ kernel[orbits.index[i, j]])
        np.testing.assert_allclose(received[i], expected, rtol=1e-4, atol=1e-5)


def test_deep_sets():
    """For S3 on three points: one weight on the diagonal and one off it (Zaheer et al., 2017)."""
    points = permutation_representation(GROUPS["S3"])
    layer = PermutationEquivariantDense(1, points, points)
    layer.build((None, 3, 1))
    layer.set_weights([np.array([2.0, 5.0]).reshape(2, 1, 1), np.array([[7.0]])])
    np.testing.assert_array_equal(
        np.array(layer(np.array([[1.0], [10.0], [100.0]], "float32"))).ravel(),
        [2 + 550 + 7, 20 + 505 + 7, 200 + 55 + 7],
    )


def test_bias_is_zero_where_a_stabiliser_flips_the_sign():
    group = cyclic_group(2)
    outputs = sign(group) + trivial_representation(group)
    layer = PermutationEquivariantDense(2, outputs, outputs, bias_initializer="ones")
    np.testing.assert_array_equal(
        np.array(layer(np.zeros((2, 3), "float32"))), [[0.0, 0.0], [1.0, 1.0]]
    )
    alone = PermutationEquivariantDense(2, outputs, sign(group), bias_initializer="ones")
    alone.build((None, 2, 3))
    assert alone.bias is None


def test_initializer_sees_only_the_inputs_that_reach_an_output():
    """One input of the output's own sign, among five: its fan-in is C, not 5 C."""
    group = cyclic_group(2)
    inputs = sign(group) + trivial_representation(group, 4)
    shapes = []

    def initializer(shape, dtype=None):
        shapes.append(tuple(shape))
        return keras.ops.zeros(shape, dtype)

    outputs = sign(group) + trivial_representation(group)
    layer = PermutationEquivariantDense(2, inputs, outputs, kernel_initializer=initializer)
    layer.build((None, 5, 3))
    assert shapes == [(1 * 3, 2 * 2), (4 * 3, 2 * 2)]
    assert layer.kernel.shape == (5, 3, 2)


def test_orbits_of_outputs_start_with_different_weights():
    """Although an initializer repeats its values when it is called again."""
    group = GROUPS["S3"]
    layer = PermutationEquivariantDense(2, natural(group), trivial_representation(group, 2))
    layer.build((None, 4, 3))
    kernel = layer.get_weights()[0]
    assert len(np.unique(kernel)) == kernel.size


@pytest.mark.parametrize("activation", ["relu", "sigmoid", abs])
def test_signed_outputs_need_an_odd_activation(activation):
    group = GROUPS["D4"]
    with pytest.raises(ValueError, match="`activation` must be odd.*Received: activation="):
        PermutationEquivariantDense(2, natural(group), signed(group), activation=activation)
    PermutationEquivariantDense(2, signed(group), natural(group), activation=activation)


@pytest.mark.parametrize("argument", ["inputs", "outputs"])
def test_representations_must_be_signed_permutations(argument):
    group = GROUPS["S3"]
    arguments = {"inputs": natural(group), "outputs": natural(group), argument: skew(group)}
    with pytest.raises(
        ValueError, match=f"`{argument}` must be a permutation.*Received: {argument}"
    ):
        PermutationEquivariantDense(2, **arguments)


def test_representations_must_be_of_one_group():
    with pytest.raises(ValueError, match="of the same group. Received: inputs="):
        PermutationEquivariantDense(2, natural(GROUPS["S3"]), natural(GROUPS["D4"]))


def test_there_must_be_an_equivariant_map():
    group = cyclic_group(2)
    with pytest.raises(ValueError, match="no equivariant linear map but zero"):
        PermutationEquivariantDense(2, sign(group), trivial_representation(group))
