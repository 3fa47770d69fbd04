"""Convolutions of pictures: geometry, weights, algorithms; their law is in `test_conformance`."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_equirl import exporting
from tf_equirl.groups import (
    Representation,
    cyclic_group,
    dihedral_group,
    image_representation,
    intertwiner_dimension,
    permutation_representation,
    picture_of,
    regular_representation,
    trivial_representation,
)
from tf_equirl.layers import (
    GroupConv2D,
    LiftingConv2D,
    SpatialPooling,
    SymmetrizerConv2D,
    SymmetrizerDense,
)
from tf_equirl.layers.base import prepared

C2, C4, D4 = cyclic_group(2), cyclic_group(4), dihedral_group(4)
PLANE = Representation.from_generators(D4, {1: [[0, -1], [1, 0]], 4: [[1, 0], [0, -1]]})
UPSIDE_DOWN = {"turns": [0, 2], "flips": [0, 1]}
TRANSPOSED = {"turns": [0, 1], "flips": [0, 1]}
ROUNDING = 2e-5


def _pictures(representation: Representation, count: int = 3) -> np.ndarray:
    shape = (count, *picture_of(representation).shape)
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def _moved(representation: Representation, element: int, pictures: np.ndarray) -> np.ndarray:
    flat = representation.act(element, pictures.reshape(len(pictures), -1))
    return flat.reshape(pictures.shape).astype("float32")


def _field(layer, group, motions, outputs) -> Representation:
    """How the group moves what a layer gives out."""
    height, width, _, channels = outputs.shape[1:]
    pixel = regular_representation(group) * trivial_representation(group, channels)
    return image_representation(group, height, width, pixel, **motions)


GEOMETRIES = [
    (D4, {}, 9, 9, 3, 1, "valid"),
    (D4, {}, 9, 9, 3, 2, "valid"),
    (D4, {}, 9, 9, 3, 2, "same"),
    (D4, {}, 8, 8, 4, 2, "same"),
    (D4, {}, 9, 9, 5, 1, 2),
    (D4, {}, 9, 9, 3, 3, "circular"),
    (C4, {}, 8, 8, 4, 2, "circular"),
    (C4, {}, 21, 21, 7, 2, "valid"),
    (C2, {}, 9, 6, (4, 2), (3, 2), "valid"),  # rows may lie as they like
    (C2, UPSIDE_DOWN, 8, 7, (4, 3), (2, 3), "valid"),
    (C2, UPSIDE_DOWN, 6, 7, (2, 3), (2, 1), (1, 2)),
    (C2, TRANSPOSED, 6, 6, 4, 1, "same"),  # reverses no axis
]


@pytest.mark.parametrize(
    ("group", "motions", "height", "width", "size", "stride", "padding"), GEOMETRIES
)
@pytest.mark.parametrize("algorithm", ["slices", "convolution"])
def test_geometries_keep_the_group_exact(
    group, motions, height, width, size, stride, padding, algorithm
):
    pixel = PLANE + trivial_representation(D4) if group is D4 else 2
    inputs = image_representation(group, height, width, pixel, **motions)
    pictures = _pictures(inputs)
    noise = keras.initializers.RandomNormal(seed=3)
    layer = LiftingConv2D(
        3, size, inputs, stride, padding, algorithm, bias_initializer=noise, activation="relu"
    )
    outputs = layer(pictures).numpy()
    field = _field(layer, group, motions, outputs)
    for element in group.elements:
        found = layer(_moved(inputs, element, pictures)).numpy()
        np.testing.assert_allclose(found, _moved_field(field, element, outputs), atol=ROUNDING)
    # An ordinary Conv2D of the exported model computes the same.
    symbol = keras.Input(pictures.shape[1:])
    plain = exporting.to_plain(keras.Model(symbol, layer(symbol)))
    assert "Conv2D" in {type(x).__name__ for x in plain.layers}
    np.testing.assert_allclose(plain(pictures).numpy(), outputs, atol=ROUNDING)


def _moved_field(field: Representation, element: int, outputs: np.ndarray) -> np.ndarray:
    return field.act(element, outputs.reshape(len(outputs), -1)).reshape(outputs.shape)


@pytest.mark.parametrize(
    ("size", "arguments", "message"),
    [
        (9, {"kernel_size": 4, "strides": 2}, "height=9, kernel_size=4, strides=2.* 3 or 5"),
        (9, {"kernel_size": 4, "padding": "same"}, "which adds 1 and 2. Kernel sizes that fit: "),
        (84, {"kernel_size": 7, "strides": 2, "padding": 2}, "must be a multiple of strides"),
        (9, {"kernel_size": 10}, "`kernel_size` must be at most the height with its padding, 9"),
        (9, {"kernel_size": 4, "padding": "circular"}, "Circular `padding` needs a size"),
        (9, {"kernel_size": 4, "strides": 2, "padding": "circular"}, "Circular `padding` needs"),
        (9, {"kernel_size": 3, "strides": (1, 2)}, "`strides` must be alike in rows and columns"),
        (9, {"kernel_size": 3, "padding": (1, 0)}, "`padding` must be alike in rows and columns"),
        (9, {"kernel_size": (3, 5)}, "`kernel_size`: .* equal where an element makes a quarter"),
        (9, {"kernel_size": 0}, "`kernel_size` must be an integer from 1 to 256, or two"),
        (9, {"kernel_size": 2.5}, "`kernel_size` must be .* Received: kernel_size=2.5"),
        (9, {"kernel_size": 3, "strides": (1, 1, 1)}, "`strides` must be an integer"),
        (9, {"kernel_size": 3, "padding": "full"}, "`padding` must be one of valid, same, circ"),
        (9, {"kernel_size": 3, "padding": -1}, "`padding` must be an integer from 0"),
        (9, {"kernel_size": 3, "algorithm": "fft"}, "`algorithm` must be one of auto, slices"),
        (9, {"kernel_size": 3, "filters": 0}, "`filters` must be a positive integer"),
        (9, {"kernel_size": 3, "representation": PLANE}, "must be an image_representation"),
    ],
)
def test_what_breaks_the_turn_is_named(size, arguments, message):
    arguments = {"filters": 2, "representation": image_representation(C4, size, size), **arguments}
    with pytest.raises(ValueError, match=message):
        LiftingConv2D(**arguments)


def test_inputs_of_another_shape_are_named():
    lift = LiftingConv2D(2, 3, image_representation(C4, 9, 9, 2))
    for shape in ((None, 2, 9, 9), (None, 9, 9), (None, 9, 9, 3), (None, None, 9, 2), (9, 9, 2, 1)):
        with pytest.raises(ValueError, match="must have shape .* channels come last"):
            lift.build(shape)
    with pytest.raises(ValueError, match=r"height and width of its representation, \(9, 9\)"):
        lift.build((None, 11, 11, 2))
    with pytest.raises(ValueError, match="height=8, kernel_size=3, strides=2"):
        GroupConv2D(2, 3, C4, strides=2).build((None, 8, 8, 4, 3))
    with pytest.raises(ValueError, match=r"must have shape \[..., height, width, n, channels\]"):
        SpatialPooling().build((None, 4, 3))


@pytest.mark.parametrize("make", ["lift", "lift_plane", "group", "symmetrizer"])
def test_a_window_as_large_as_the_picture_has_every_equivariant_map(make):
    """As many weights as intertwiners, and no two alike."""
    group, filters = D4, 2
    pixel = {"lift": trivial_representation(group, 2), "lift_plane": PLANE}
    pixel = pixel.get(make, regular_representation(group))
    window = image_representation(group, 3, 3, pixel)
    layer = {
        "group": lambda: GroupConv2D(filters, 3, group),
        "symmetrizer": lambda: SymmetrizerConv2D(filters, 3, pixel),
    }.get(make, lambda: LiftingConv2D(filters, 3, window))()
    of_rows = [] if make.startswith("lift") else [1]
    layer.build((None, 3, 3, pixel.dim, *of_rows))
    maps = intertwiner_dimension(window, regular_representation(group)) * filters
    assert int(np.prod(layer.kernel.shape)) == maps
    assert layer.bias.shape in ((filters,), (1, filters))
    matrices = []
    for kernel in np.eye(maps):
        layer.kernel.assign(kernel.reshape(layer.kernel.shape))
        matrices.append(keras.ops.convert_to_numpy(layer.expanded_kernel()).ravel())
    assert np.linalg.matrix_rank(np.array(matrices), tol=1e-3) == maps


def test_weights_are_drawn_with_the_fan_in_of_a_window():
    pictures = np.random.default_rng(0).normal(size=(8, 9, 9, 8, 8)).astype("float32")
    found = []
    for seed in range(8):
        initializer = keras.initializers.HeNormal(seed=seed)
        found.append(GroupConv2D(16, 5, D4, kernel_initializer=initializer)(pictures).numpy())
    of_element = np.mean(np.square(found), axis=(0, 1, 2, 3, 5))
    np.testing.assert_allclose(of_element, 2, rtol=0.1)  # as of a Dense layer of that initialiser


@pytest.mark.parametrize("algorithm", ["slices", "convolution"])
def test_gradients_are_those_of_the_other_algorithm(algorithm):
    representation = image_representation(D4, 9, 9, 3)
    pictures = tf.constant(_pictures(representation))
    results = []
    layer = LiftingConv2D(4, 3, representation, 2, "same", algorithm)
    reference = LiftingConv2D(4, 3, representation, 2, "same", "convolution")
    for each in (layer, reference):
        each.build(pictures.shape)
    reference.set_weights(layer.get_weights())
    for each in (layer, reference):
        with tf.GradientTape() as tape:
            tape.watch(pictures)
            loss = tf.reduce_sum(tf.sin(each(pictures)))
        results.append(tape.gradient(loss, [pictures, each.kernel.value, each.bias.value]))
    for found, expected in zip(*results, strict=True):
        scale = float(tf.reduce_max(tf.abs(expected)))
        np.testing.assert_allclose(found, expected, atol=ROUNDING * scale)


def test_the_algorithm_can_be_asked_and_is_slices_where_weights_are_of_members():
    layer = LiftingConv2D(4, 3, image_representation(C4, 9, 9))
    assert layer.chosen_algorithm() == "convolution"
    with prepared([], []):
        assert layer.chosen_algorithm() == "slices"
    assert LiftingConv2D(4, 3, layer.representation, algorithm="slices").get_config()["algorithm"]
    assert "algorithm" not in layer.get_config()


@pytest.mark.parametrize("algorithm", ["slices", "convolution"])
def test_pictures_of_bytes_are_those_of_reals(algorithm):
    pictures = np.random.default_rng(0).integers(256, size=(3, 5, 5, 2)).astype("uint8")
    of_c4 = image_representation(cyclic_group(4), 5, 5, 2)
    layer = LiftingConv2D(2, 3, of_c4, algorithm=algorithm)
    np.testing.assert_array_equal(layer(pictures), layer(pictures.astype("float32")))


def test_a_random_basis_is_orthonormal_of_the_same_number_and_obeys_no_law():
    regular = regular_representation(C4)
    layers = {
        basis: SymmetrizerDense(3, regular, regular, basis, kernel_initializer="he_normal")
        for basis in ("exact", "random")
    }
    features = np.random.default_rng(0).normal(size=(5, 4, 2)).astype("float32")
    turned = features[:, np.argsort(C4.table[1])]
    for basis, layer in layers.items():
        outputs = layer(features).numpy()
        error = np.abs(layer(turned).numpy() - outputs[:, np.argsort(C4.table[1])]).max()
        assert error < ROUNDING if basis == "exact" else error > 0.1
    assert layers["random"].kernel.shape == layers["exact"].kernel.shape
    basis = layers["random"].kernel_basis.numpy().reshape(4, -1)
    np.testing.assert_allclose(basis @ basis.T, np.eye(4), atol=1e-6)
    again = SymmetrizerDense(3, regular, regular, "random", seed=1)
    again.build(features.shape)
    assert np.abs(again.kernel_basis.numpy().reshape(4, -1) - basis).max() > 0.01


def test_what_a_picture_is_made_of():
    moves = permutation_representation(D4)
    picture = picture_of(image_representation(D4, 5, 5, moves))
    assert picture.shape == (5, 5, 4) and picture.channels == moves
    assert picture.turns == (0, 1, 2, 3, 0, 1, 2, 3) and picture.flips == (0,) * 4 + (1,) * 4
    assert picture_of(image_representation(C2, 2, 3, 2)).channels == trivial_representation(C2, 2)
    assert picture_of(moves) is None
    with pytest.raises(ValueError, match="`representation` must be"):
        picture_of("D4")
