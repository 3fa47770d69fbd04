"""Layers computed in the Fourier basis are what the dense ones are."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from tf_equirl.groups import (
    Representation,
    cyclic_group,
    dihedral_group,
    direct_product,
    image_representation,
    permutation_representation,
    quaternion_group,
    regular_representation,
    symmetric_group,
    trivial_representation,
)
from tf_equirl.layers import EquivariantReadout, GroupDense, LiftingDense
from tf_equirl.layers.base import equivariant_layers, prepared
from tf_equirl.layers.dense.group_dense import (
    FEW,
    LEAST_WIDTH,
    LEAST_WIDTH_OF_FEW,
    LEAST_WIDTH_OF_LARGE,
)
from tf_equirl.testing import equivariance_error

C2, D4, S3, Q8 = cyclic_group(2), dihedral_group(4), symmetric_group(3), quaternion_group()
GROUPS = {
    "C1": cyclic_group(1),
    "C2": C2,
    "C3": cyclic_group(3),
    "C4": cyclic_group(4),
    "C9": cyclic_group(9),
    "D4": D4,
    "S3": S3,
    "Q8": Q8,
    "S4": symmetric_group(4),
    "Q8xC3": direct_product(Q8, cyclic_group(3)),
}
MIRROR = Representation(C2, [np.eye(2), -np.eye(2)])
PLANE = Representation.from_generators(D4, {1: [[0, -1], [1, 0]], 4: [[1, 0], [0, -1]]})
LIFTED = {
    "C2, signs": MIRROR,
    "C2, signs and fixed": MIRROR + trivial_representation(C2),
    "C2, fixed": trivial_representation(C2),
    "D4, plane": PLANE,
    "D4, two planes": PLANE + PLANE,
    "D4, regular": regular_representation(D4),
    "S3, permutations": permutation_representation(S3),
    "Q8, matrices": Representation(Q8, Q8.matrices),
    "C1": trivial_representation(cyclic_group(1), 3),
    "S4, permutations": permutation_representation(symmetric_group(4)),
}


def _pair(make, inputs, **arguments):
    """The same layer, with the same weights, by both algorithms."""
    layers = [
        make(algorithm=name, bias_initializer="random_normal", **arguments)
        for name in ("dense", "fourier")
    ]
    for layer in layers:
        layer(inputs)
    layers[1].set_weights(layers[0].get_weights())
    return layers


def _same_values_and_gradients(dense, fourier, inputs):
    results = []
    for layer in (dense, fourier):
        x = tf.constant(inputs)
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = layer(x)
            loss = tf.reduce_sum(outputs * tf.cos(outputs))
        variables = [v.value for v in layer.trainable_variables]
        results.append([outputs, *tape.gradient(loss, [x, *variables])])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("leading", [(), (6,), (2, 3)], ids=str)
@pytest.mark.parametrize("name", GROUPS)
def test_a_convolution_is_the_same(name, leading):
    group = GROUPS[name]
    inputs = np.random.default_rng(0).normal(size=(*leading, group.order, 3)).astype("float32")

    def make(**arguments):
        return GroupDense(5, group, **arguments)

    dense, fourier = _pair(make, inputs, activation="gelu")
    assert fourier(inputs).shape == (*leading, group.order, 5)
    _same_values_and_gradients(dense, fourier, inputs)


@pytest.mark.parametrize("leading", [(), (6,), (2, 3)], ids=str)
@pytest.mark.parametrize("name", LIFTED)
def test_lifting_is_the_same(name, leading):
    representation = LIFTED[name]
    size = (*leading, representation.dim)
    inputs = np.random.default_rng(0).normal(size=size).astype("float32")

    def make(**arguments):
        return LiftingDense(5, representation, **arguments)

    dense, fourier = _pair(make, inputs, activation="relu")
    assert fourier(inputs).shape == (*leading, representation.group.order, 5)
    _same_values_and_gradients(dense, fourier, inputs)


@pytest.mark.parametrize("name", GROUPS)
def test_a_convolution_in_the_fourier_basis_is_equivariant(name):
    group = GROUPS[name]
    regular = regular_representation(group)
    layer = GroupDense(4, group, algorithm="fourier", bias_initializer="random_normal")
    flat = keras.Sequential(
        [
            keras.Input((group.order,)),
            keras.layers.Reshape((group.order, 1)),
            layer,
            EquivariantReadout(regular),
        ]
    )
    inputs = np.random.default_rng(0).normal(size=(20, group.order)).astype("float32")
    assert equivariance_error(flat, inputs, regular, regular).max < 1e-4


def test_an_activation_that_mixes_rows_sees_them_all():
    inputs = np.random.default_rng(0).normal(size=(4, 8, 3)).astype("float32")

    def centered(x):
        return x - ops.mean(x, axis=-2, keepdims=True)

    def make(**arguments):
        return GroupDense(5, D4, activation=centered, **arguments)

    dense, fourier = _pair(make, inputs)
    np.testing.assert_allclose(fourier(inputs), dense(inputs), atol=1e-5)


def test_auto_goes_by_the_channels_and_the_number_of_inputs():
    wide, medium, narrow = (
        GroupDense(units, D4) for units in (LEAST_WIDTH_OF_FEW, LEAST_WIDTH, LEAST_WIDTH - 1)
    )
    for layer in (wide, medium, narrow):
        layer.build((None, 8, layer.units))
    assert wide.chosen_algorithm(1, stay=True) == wide.chosen_algorithm() == "fourier"
    assert medium.chosen_algorithm(FEW - 1, stay=True) == "dense"
    assert medium.chosen_algorithm(FEW, stay=True) == medium.chosen_algorithm(1) == "fourier"
    assert narrow.chosen_algorithm(10**6) == narrow.chosen_algorithm() == "dense"
    large = GroupDense(LEAST_WIDTH_OF_LARGE, GROUPS["S4"])
    large.build((None, 24, LEAST_WIDTH_OF_LARGE))
    assert large.chosen_algorithm() == "fourier"
    trivial = GroupDense(64, cyclic_group(1))
    trivial.build((None, 1, 64))
    assert trivial.chosen_algorithm() == "dense"  # there is nothing to gain
    assert GroupDense(2, D4, algorithm="fourier").chosen_algorithm() == "fourier"


def test_lifting_chooses_the_basis_in_which_irreps_are_missing():
    assert LiftingDense(8, MIRROR).chosen_algorithm() == "fourier"
    assert LiftingDense(8, PLANE).chosen_algorithm() == "fourier"
    assert LiftingDense(8, regular_representation(D4)).chosen_algorithm() == "dense"


def test_lifting_of_pictures_is_gathered_and_has_no_other_form():
    picture = image_representation(D4, 84, 84, 4)
    assert LiftingDense(2, picture).chosen_algorithm() == "dense"
    with pytest.raises(ValueError, match="algorithm"):
        LiftingDense(2, picture, "fourier")


def test_only_what_differs_from_the_default_is_written_down():
    for make in (
        lambda **arguments: GroupDense(4, C2, **arguments),
        lambda **arguments: LiftingDense(4, MIRROR, **arguments),
    ):
        assert "algorithm" not in make().get_config()  # files of before and after are the same
        for algorithm in ("dense", "fourier"):
            layer = make(algorithm=algorithm)
            assert type(layer).from_config(layer.get_config()).algorithm == algorithm


@pytest.mark.parametrize("algorithm", ["fft", None, 1])
def test_other_algorithms_are_refused(algorithm):
    for make in (lambda a: GroupDense(4, C2, algorithm=a), lambda a: LiftingDense(4, MIRROR, a)):
        with pytest.raises(ValueError, match="algorithm"):
            make(algorithm)


def test_a_saved_model_computes_the_same_by_the_other_algorithm(tmp_path):
    model = keras.Sequential(
        [
            keras.Input((2,)),
            LiftingDense(24, MIRROR, activation="relu"),
            GroupDense(24, C2, activation="relu", algorithm="fourier"),
            EquivariantReadout(permutation_representation(C2)),
        ]
    )
    model.save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras")
    states = np.random.default_rng(0).normal(size=(50, 2)).astype("float32")
    np.testing.assert_array_equal(reloaded(states), model(states))
    for layer in equivariant_layers(reloaded)[:2]:
        layer.algorithm = "dense"
    np.testing.assert_allclose(reloaded(states), model(states), atol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "bfloat16"])
def test_bfloat16_is_the_same_up_to_its_rounding(policy):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(40, 8, 24)).astype("float32")
    exact = GroupDense(24, D4, activation="relu", algorithm="fourier")
    exact(inputs)
    layer = GroupDense(24, D4, activation="relu", algorithm="fourier", dtype=policy)
    layer(inputs)
    layer.set_weights(exact.get_weights())
    outputs = layer(inputs)
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"
    np.testing.assert_allclose(ops.cast(outputs, "float32"), exact(inputs), atol=0.15)


@pytest.mark.parametrize("algorithm", ["dense", "fourier"])
def test_what_was_prepared_is_used_in_place_of_the_weights(algorithm):
    inputs = np.random.default_rng(0).normal(size=(3, 8, 4)).astype("float32")
    layer = GroupDense(4, D4, algorithm=algorithm)
    before = np.array(layer(inputs))
    values = [layer.prepare(3)]
    layer.set_weights([np.zeros_like(w) for w in layer.get_weights()])
    with prepared([layer], values):
        np.testing.assert_array_equal(layer(inputs), before)
        with prepared([], []):  # of other layers
            np.testing.assert_array_equal(layer(inputs), before)
    assert not np.any(layer(inputs))


@pytest.mark.parametrize("rows", [7, 1000])
@pytest.mark.parametrize("outputs", [1, 2, 4, 5])
def test_thin_outputs_are_those_of_the_matrix(outputs, rows):
    readout = EquivariantReadout(
        sum((trivial_representation(C2) for _ in range(outputs - 1)), trivial_representation(C2)),
        bias_initializer="random_normal",
    )
    inputs = np.random.default_rng(0).normal(size=(rows, 2, 5)).astype("float32")
    found = np.array(readout(inputs))
    matrix = np.array(readout.expanded_kernel())
    expected = inputs.reshape(rows, 10) @ matrix + np.array(readout.expanded_bias())
    np.testing.assert_allclose(found, expected, atol=1e-5)
