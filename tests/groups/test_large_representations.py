"""Signed permutations that are too large for their matrices, and the layers that take them."""

from __future__ import annotations

import tracemalloc

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_equirl.layers.base
from tf_equirl.groups import (
    Representation,
    cyclic_group,
    dihedral_group,
    image_representation,
    intertwiner_dimension,
    permutation_representation,
    regular_representation,
    signed_pair_orbits,
    signed_permutation_representation,
    trivial_representation,
)
from tf_equirl.layers import (
    EquivariantReadout,
    LiftingDense,
    PermutationEquivariantDense,
    ProximalPooling,
    SymmetrizerDense,
    TransitionImages,
)

C2, D4 = cyclic_group(2), dihedral_group(4)
PICTURE = 84 * 84 * 4
LIMIT = 100e6  # bytes; one matrix of a picture takes 6.4 GB


@pytest.fixture
def memory():
    """Fails a test at whose end NumPy has held more than `LIMIT` bytes at once."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < LIMIT


def minus(dim):
    """x -> -x."""
    rows = np.tile(np.arange(dim), (2, 1))
    return signed_permutation_representation(C2, rows, [[1] * dim, [-1] * dim])


def test_act_multiplies_by_the_matrices(representation):
    rng = np.random.default_rng(0)
    for shape in [(), (3,), (2, 3)]:
        x = rng.normal(size=(*shape, representation.dim))
        for g, matrix in enumerate(representation.matrices):
            # Products with one matrix of at most 8x8, in float64.
            np.testing.assert_allclose(representation.act(g, x), x @ matrix.T, atol=1e-13)


def test_act_keeps_the_type_of_permuted_numbers(cases):
    swap = permutation_representation(C2, [[0, 1], [1, 0]])
    assert swap.act(1, np.array([1, 2], np.uint8)).dtype == np.uint8
    assert swap.act(1, ["a", "b"]).tolist() == ["b", "a"]
    assert minus(2).act(1, np.array([1, 2], np.float16)).dtype == np.float16
    assert minus(2).act(1, np.array([1, 2], np.uint8)).tolist() == [-1, -2]


def test_act_refuses(cases):
    square = cases["D4"]["square"]
    with pytest.raises(ValueError, match=r"`element` must be the index .*0 to 7.*element=8$"):
        square.act(8, [1, 2])
    for vectors, shape in [([1, 2, 3], r"\(3,\)"), (1, r"\(\)"), (np.ones((2, 1)), r"\(2, 1\)")]:
        with pytest.raises(ValueError, match=rf"\[..., 2\].*vectors.shape={shape}$"):
            square.act(1, vectors)


def test_matrices_are_kept_up_to_a_limit():
    small, large = minus(724), minus(725)  # 2 * 724^2 <= 2^20 < 2 * 725^2
    assert small.matrices is small.matrices
    assert large.matrices is not large.matrices
    np.testing.assert_array_equal(large.matrices[1], -np.eye(725))
    np.testing.assert_array_equal(large.inverse_matrices, large.matrices)


def test_sum_and_product_of_indices_are_those_of_matrices(signed_inputs, signed_outputs):
    a, b = signed_inputs, signed_outputs
    blocks = np.zeros((a.group.order, a.dim + b.dim, a.dim + b.dim))
    blocks[:, : a.dim, : a.dim], blocks[:, a.dim :, a.dim :] = a.matrices, b.matrices
    products = [np.kron(left, right) for left, right in zip(a.matrices, b.matrices, strict=True)]
    for found, matrices in ((a + b, blocks), (a * b, products)):
        expected = Representation(a.group, matrices, found.name)
        assert found == expected and found.get_config() == expected.get_config()
        np.testing.assert_array_equal(found.matrices, expected.matrices)
        np.testing.assert_array_equal(found.inverse_matrices, expected.inverse_matrices)
        np.testing.assert_array_equal(found.character, expected.character)


def test_algebra_of_large_representations(memory):
    picture = image_representation(D4, 84, 84, 4)
    regular = regular_representation(D4)
    both = picture + regular
    assert both.dim == PICTURE + 8 and hash(both) == hash(picture + regular)
    assert both == picture + regular and both != regular + picture
    assert (image_representation(D4, 84, 84) * trivial_representation(D4, 4)) == picture
    np.testing.assert_array_equal(both.character, picture.character + regular.character)
    # Every orbit of pixels has one intertwiner to an invariant number.
    orbits = signed_pair_orbits(picture, trivial_representation(D4))
    assert orbits.count == intertwiner_dimension(picture, trivial_representation(D4))
    # The regular representation reads every coordinate freely.
    assert signed_pair_orbits(regular, picture).count == PICTURE
    odd = minus(PICTURE)
    assert (odd + odd).signs.shape == (2, 2 * PICTURE)
    assert odd.character.tolist() == [PICTURE, -PICTURE]
    assert odd * minus(1) == trivial_representation(C2, PICTURE)


# Some stabilisers flip signs, so that some fixed vectors are missing; `minus` fixes none. Those of
# `flipped` have entries of both signs.
REPRESENTATIONS = ("regular", "square", "quaternions", "permutation", "signed", "minus", "flipped")


def small(cases, name):
    if name == "minus":
        return minus(3)
    if name == "flipped":
        regular, flips = cases["D4"]["regular"].signed_permutations, np.array([1, -1] * 4)
        return signed_permutation_representation(D4, regular, flips[regular] * flips)
    if name == "signed":
        return cases["D4"]["sign"] * cases["D4"]["permutation"] + cases["D4"]["trivial3"]
    return cases["Q8" if name == "quaternions" else "D4"][name]


LAYERS = {
    "lifting": (lambda rho: LiftingDense(3, rho, "dense"), lambda rho: (4, rho.dim)),
    "readout": (EquivariantReadout, lambda rho: (4, rho.group.order, 5)),
    "images": (TransitionImages, lambda rho: (4, 2, rho.group.order, rho.dim)),
    "symmetrizer": (
        lambda rho: SymmetrizerDense(3, regular_representation(rho.group), rho),
        lambda rho: (4, rho.group.order, 2),
    ),
}


@pytest.mark.parametrize("name", REPRESENTATIONS)
@pytest.mark.parametrize("kind", LAYERS)
def test_layers_by_index_are_those_by_matrices(cases, monkeypatch, kind, name):
    rho = small(cases, name)
    make, shape = LAYERS[kind]
    rng = np.random.default_rng(0)
    inputs = tf.constant(rng.normal(size=shape(rho)), tf.float32)
    cotangent = None
    results = []
    for limit in (tf_equirl.layers.base.LARGEST_MATRICES, 0):
        monkeypatch.setattr(tf_equirl.layers.base, "LARGEST_MATRICES", limit)
        layer = make(rho)
        layer.build(inputs.shape)
        weights = np.random.default_rng(1)
        layer.set_weights([weights.normal(size=w.shape) for w in layer.weights])
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs)
            if cotangent is None:
                cotangent = tf.constant(rng.normal(size=outputs.shape), tf.float32)
            loss = tf.reduce_sum(outputs * cotangent)
        results.append((outputs, tape.gradient(loss, [inputs, *layer.trainable_weights])))
        assert tf_equirl.layers.base.acts_by_index(rho) == (limit == 0)
    (by_matrices, gradients), (by_index, gradients_by_index) = results
    # Multiplying by a signed permutation adds zeros only, and rounds nothing.
    np.testing.assert_array_equal(by_index, by_matrices)
    for a, b in zip(gradients_by_index, gradients, strict=True):
        # Sums of some 40 terms of order 1, in float32 and another order.
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_small_layers_multiply_by_matrices():
    assert not tf_equirl.layers.base.acts_by_index(minus(724))
    assert tf_equirl.layers.base.acts_by_index(minus(725))


def test_lifting_a_picture(memory):
    rho = image_representation(D4, 84, 84, 4)
    layer = LiftingDense(8, rho, bias_initializer="random_normal")
    layer.build((None, PICTURE))
    pictures = np.random.default_rng(0).normal(size=(2, PICTURE)).astype("float32")
    outputs = np.array(layer(pictures))
    assert outputs.shape == (2, 8, 8)
    for g in D4.elements:
        moved = np.array(layer(rho.act(g, pictures)))
        expected = outputs[:, D4.table[D4.inverse(g)]]
        # Sums of 28,224 terms in float32, in another order.
        np.testing.assert_allclose(moved, expected, rtol=1e-4, atol=1e-4)


def test_other_layers_of_a_picture(memory):
    rho, regular = image_representation(D4, 84, 84, 4), regular_representation(D4)
    rng = np.random.default_rng(0)
    pictures = rng.normal(size=(1, PICTURE, 1)).astype("float32")
    features = rng.normal(size=(1, 8, 2)).astype("float32")
    candidates = rng.normal(size=(1, 8, PICTURE)).astype("float32")

    def on_rows(representation, element, x):
        return representation.act(element, x.swapaxes(1, 2)).swapaxes(1, 2)

    # The tolerances are for sums of up to 28,224 terms in float32, in another order.
    for layer in (PermutationEquivariantDense(2, rho, regular), SymmetrizerDense(2, rho, regular)):
        outputs = np.array(layer(pictures))
        for g in D4.elements:
            moved = np.array(layer(on_rows(rho, g, pictures)))
            np.testing.assert_allclose(moved, on_rows(regular, g, outputs), rtol=1e-4, atol=1e-4)
    for layer in (
        EquivariantReadout(rho, bias_initializer="random_normal"),
        keras.Sequential([SymmetrizerDense(1, regular, rho), keras.layers.Reshape((PICTURE,))]),
    ):
        picture = np.array(layer(features))
        assert picture.shape == (1, PICTURE) and np.std(picture) > 0
        for g in D4.elements:
            moved = np.array(layer(on_rows(regular, g, features)))
            np.testing.assert_allclose(moved, rho.act(g, picture), rtol=1e-4, atol=1e-4)
    turned = np.array(TransitionImages(rho)(candidates))
    for g in D4.elements:
        np.testing.assert_array_equal(turned[:, g], rho.act(g, candidates[:, g]))


def test_pooling_checks_a_distance_by_index():
    rho = image_representation(D4, 20, 20)
    layer = ProximalPooling("l1", representation=rho)
    layer.build([(None, 400), (None, 8, 400)])
    weights = np.linspace(0, 1, 400).astype("float32")
    with pytest.raises(ValueError, match="which element 1 of D4 changes"):
        ProximalPooling(
            lambda a, b: keras.ops.sum(weights * keras.ops.abs(a - b), axis=-1), representation=rho
        ).build([(None, 400), (None, 8, 400)])
