from __future__ import annotations

import keras
import numpy as np
import pytest
from layer_cases import GROUPS

from tf_equirl.groups import regular_representation
from tf_equirl.layers import GroupDense, PermutationEquivariantDense


@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS.keys())
def test_is_the_formula_of_its_docstring(group):
    layer = GroupDense(2, group, bias_initializer="random_normal")
    inputs = np.random.default_rng(0).normal(size=(group.order, 3)).astype("float32")
    outputs = np.array(layer(inputs))
    psi, bias = layer.get_weights()
    for i in group.elements:
        expected = bias.astype("float64")
        for j in group.elements:
            expected = expected + inputs[j] @ psi[group.multiply(group.inverse(i), j)]
        np.testing.assert_allclose(outputs[i], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS.keys())
@pytest.mark.parametrize("initializer", ["HeNormal", "Orthogonal"])
def test_permutation_dense_of_the_regular_representation_is_the_same_layer(group, initializer):
    """The same weights in the same order, initialised alike, and the same outputs."""
    kernel = getattr(keras.initializers, initializer)(seed=3)
    shared = {"kernel_initializer": kernel, "bias_initializer": "random_normal"}
    regular = regular_representation(group)
    convolution = GroupDense(4, group, activation="relu", **shared)
    orbits = PermutationEquivariantDense(4, regular, regular, activation="relu", **shared)
    inputs = np.random.default_rng(0).normal(size=(5, group.order, 3)).astype("float32")
    convolution(inputs), orbits(inputs)
    np.testing.assert_array_equal(convolution.get_weights()[0], orbits.get_weights()[0])
    orbits.bias.assign(convolution.bias.value[None])
    np.testing.assert_array_equal(np.array(convolution(inputs)), np.array(orbits(inputs)))


def test_group_must_be_one():
    with pytest.raises(ValueError, match="`group` must be a FiniteGroup or its config dict"):
        GroupDense(2, [[0, 1], [1, 0]])
