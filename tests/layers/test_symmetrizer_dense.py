from __future__ import annotations

import time
import tracemalloc

import keras
import numpy as np
import pytest
from layer_cases import GROUPS, mixed, natural, sign, signed, skew

from tf_equirl import models
from tf_equirl.groups import (
    Representation,
    cyclic_group,
    intertwiner_basis,
    intertwiner_dimension,
    regular_representation,
    trivial_representation,
)
from tf_equirl.layers import GroupDense, SymmetrizerDense
from tf_equirl.layers.dense import symmetrizer_dense

each_group = pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS.keys())
each_basis = pytest.mark.parametrize("basis", ["exact", "sampled"])


def array(tensor) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(tensor), dtype="float64")


@each_basis
@each_group
@pytest.mark.parametrize("reps", [(natural, mixed), (skew, natural)], ids=["signed", "skew"])
def test_is_the_formula_of_its_docstring(reps, group, basis):
    inputs, outputs = (rep(group) for rep in reps)
    layer = SymmetrizerDense(2, inputs, outputs, basis, bias_initializer="ones")
    features = np.random.default_rng(0).normal(size=(inputs.dim, 3)).astype("float32")
    received = array(layer(features))
    alpha = array(layer.kernel)
    if basis == "exact":
        matrices = intertwiner_basis(inputs, outputs)
        fixed = intertwiner_basis(trivial_representation(group), outputs)[..., 0]
    else:
        matrices, fixed = array(layer.kernel_basis), array(layer.bias_basis)
    expected = np.einsum("kij,jc,kcu->iu", matrices, features, alpha) + fixed.sum(0)[:, None]
    np.testing.assert_allclose(received, expected, atol=1e-5)


@each_basis
@each_group
def test_between_regular_representations_it_is_exactly_group_dense(group, basis):
    """Every function of the one layer is one of the other, and they have as many parameters."""
    regular = regular_representation(group)
    n, channels, units = group.order, 2, 3
    layer = SymmetrizerDense(units, regular, regular, basis, use_bias=False)
    other = GroupDense(units, group, use_bias=False)
    for each in (layer, other):
        each.build((None, n, channels))
        assert array(each.kernel).size == n * channels * units

    def matrices(each):
        rows = []
        for unit in np.eye(n * channels * units):
            each.kernel.assign(unit.reshape(each.kernel.shape))
            rows.append(array(each.expanded_kernel()).ravel())
        return np.array(rows)

    one, two = matrices(layer), matrices(other)
    for spanned in (one, two, np.concatenate([one, two])):
        assert np.linalg.matrix_rank(spanned, tol=1e-3) == n * channels * units
    # At equal effective weights they are the same function.
    rng = np.random.default_rng(0)
    psi = rng.normal(size=n * channels * units)
    other.kernel.assign(psi.reshape(other.kernel.shape))
    alpha = np.linalg.lstsq(one.T, psi @ two, rcond=None)[0]
    layer.kernel.assign(alpha.reshape(layer.kernel.shape))
    features = rng.normal(size=(16, n, channels)).astype("float32")
    np.testing.assert_allclose(array(layer(features)), array(other(features)), atol=1e-4)


@each_group
def test_exact_weights_are_those_of_the_dense_basis(group):
    """By orbits no matrix of the basis is formed, and it still is the basis of the groups."""
    inputs, outputs = mixed(group), natural(group)
    layer = SymmetrizerDense(1, inputs, outputs, use_bias=False)
    layer.build((None, inputs.dim, 1))
    for k, matrix in enumerate(intertwiner_basis(inputs, outputs)):
        unit = np.zeros(layer.kernel.shape)
        unit[k] = 1
        layer.kernel.assign(unit)
        np.testing.assert_allclose(array(layer.expanded_kernel()), matrix.T, atol=1e-7)


def test_a_large_permutation_representation_takes_seconds_and_little_memory():
    """r = 20,000 matrices of 200 x 200 would be 3.2 GB in single precision."""
    group = cyclic_group(2)
    points = np.arange(200)
    both = Representation.from_signed_permutations(group, [points, points[::-1]])
    started = time.monotonic()
    tracemalloc.start()
    layer = SymmetrizerDense(1, both, both)
    layer.build((None, 200, 1))
    features = np.random.default_rng(0).normal(size=(2, 200, 1)).astype("float32")
    outputs = array(layer(features))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert layer.kernel.shape == (20_000, 1, 1)
    assert peak < 50e6
    assert time.monotonic() - started < 20  # about one second without tracing
    np.testing.assert_allclose(array(layer(features[:, ::-1])), outputs[:, ::-1], atol=1e-4)


@each_basis
@each_group
def test_initial_values_are_the_papers(group, basis):
    """Var alpha = 2 / (r units d_out); on average Var W = 2 / (units d_out^2 d_in)."""
    inputs, outputs = natural(group), regular_representation(group)
    channels, units = 64, 128
    with models.seeded(0):
        layer = SymmetrizerDense(units, inputs, outputs, basis)
    layer.build((None, inputs.dim, channels))
    rank = intertwiner_dimension(inputs, outputs)
    alpha = array(layer.kernel)
    # 16,000 normal numbers and more: their variance is off by 1.1 % (one standard deviation).
    expected = 2 / (rank * units * outputs.dim)
    assert abs(np.mean(alpha**2) / expected - 1) < 0.05
    assert np.abs(alpha).max() > 3 * np.sqrt(expected)  # neither uniform nor truncated at two
    variance = np.mean(array(layer.expanded_kernel()) ** 2)
    assert abs(variance * units * outputs.dim**2 * inputs.dim / 2 - 1) < 0.05
    np.testing.assert_array_equal(array(layer.bias), 0)


def test_seeds_of_initial_values_follow_keras():
    group = GROUPS["S3"]
    regular = regular_representation(group)

    def build(seed):
        with models.seeded(seed):
            inputs = keras.Input((6, 2))
            return keras.Model(inputs, SymmetrizerDense(3, regular, regular, "sampled")(inputs))

    model = build(3)
    np.testing.assert_array_equal(model.get_weights()[0], build(3).get_weights()[0])
    assert not np.array_equal(model.get_weights()[0], build(4).get_weights()[0])
    with models.seeded(4):
        copy = keras.models.clone_model(model)
    assert not np.array_equal(model.get_weights()[0], copy.get_weights()[0])
    for a, b in zip(model.non_trainable_variables, copy.non_trainable_variables, strict=True):
        np.testing.assert_array_equal(array(a), array(b))


def test_the_seed_chooses_the_sampled_basis():
    regular = regular_representation(GROUPS["C4"])
    layers = [SymmetrizerDense(1, regular, regular, "sampled", seed=s) for s in (0, 0, 1)]
    for layer in layers:
        layer.build((None, 4, 1))
    one, same, other = (array(layer.kernel_basis) for layer in layers)
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0.01


def test_a_saved_sampled_layer_does_not_depend_on_a_new_basis(tmp_path, monkeypatch):
    """As on another machine, whose SVD picks another basis of the same space."""
    group = GROUPS["D4"]
    inputs = keras.Input((mixed(group).dim, 2))
    layer = SymmetrizerDense(
        3, mixed(group), natural(group), "sampled", bias_initializer="ones", activation="relu"
    )
    model = keras.Model(inputs, layer(inputs))
    features = np.random.default_rng(0).normal(size=(5, *model.input_shape[1:])).astype("float32")
    expected = array(model(features))
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")

    def turned(inputs, outputs, seed):
        basis = intertwiner_basis(inputs, outputs)
        noise = np.random.default_rng(7).normal(size=(len(basis), len(basis)))
        return np.tensordot(np.linalg.qr(noise)[0], basis, axes=1)

    monkeypatch.setattr(symmetrizer_dense, "_sampled_basis", turned)
    copy = keras.models.clone_model(model)
    copy.layers[1].kernel.assign(layer.kernel)
    assert np.abs(array(copy(features)) - expected).max() > 0.1  # the basis does matter
    reloaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(array(reloaded(features)), expected)
    copy.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(array(copy(features)), expected)


def test_only_a_sampled_basis_is_kept_in_variables():
    group = GROUPS["C2"]
    for basis, outputs, names in (
        ("exact", natural(group), []),
        ("sampled", natural(group), ["kernel_basis", "bias_basis"]),
        ("sampled", sign(group), ["kernel_basis"]),  # no fixed vector, hence no bias
    ):
        layer = SymmetrizerDense(1, mixed(group), outputs, basis)
        assert layer.basis_variables == []
        layer.build((None, mixed(group).dim, 1))
        assert [v.name for v in layer.basis_variables] == names
        assert [v.name for v in layer.non_trainable_variables] == names


@pytest.mark.parametrize("activation", ["relu", "tanh", abs])
def test_the_activation_must_commute_with_the_outputs(activation):
    group = GROUPS["D4"]
    with pytest.raises(ValueError, match="`activation` must be None where.*Received: activation="):
        SymmetrizerDense(2, natural(group), skew(group), activation=activation)
    SymmetrizerDense(2, skew(group), natural(group), activation=activation)
    if activation != "tanh":
        with pytest.raises(ValueError, match="`activation` must be odd.*Received: activation="):
            SymmetrizerDense(2, natural(group), signed(group), activation=activation)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"basis": "any"}, "`basis` must be one of exact, sampled, random. Received: basis='any'"),
        ({"seed": -1}, "`seed` must be an integer from 0 to .*. Received: seed=-1"),
        ({"seed": 1.0}, "`seed` must be an integer from 0 to .* Received: seed=1.0"),
        ({"units": 0}, "`units` must be a positive integer. Received: units=0"),
        ({"inputs": "C2"}, "`inputs` must be a Representation or its config dict. Received: "),
        ({"outputs": natural(GROUPS["D4"])}, "of the same group. Received: inputs="),
        ({"outputs": sign(GROUPS["C2"])}, "no equivariant linear map but zero"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    trivial = trivial_representation(GROUPS["C2"])
    arguments = {"units": 1, "inputs": trivial, "outputs": trivial, **arguments}
    with pytest.raises(ValueError, match=message):
        SymmetrizerDense(**arguments)
