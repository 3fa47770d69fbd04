"""One suite for every layer: a layer is listed once, in `layer_cases`, and runs through it all."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from layer_cases import CASES, GROUPS

from tf_equirl import layers
from tf_equirl.groups import intertwiner_basis, intertwiner_dimension, trivial_representation
from tf_equirl.testing import check_layer_equivariance

WEIGHTED = [case for case in CASES if case.has_weights]
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
each_weighted_case = pytest.mark.parametrize("case", WEIGHTED, ids=lambda case: case.name)
each_group = pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS.keys())
# What does not depend on the group's elements one by one: an abelian group, S3 and Q8.
THREE = {name: GROUPS[name] for name in ("C4", "S3", "Q8")}
three_groups = pytest.mark.parametrize("group", THREE.values(), ids=THREE.keys())
non_abelian = pytest.mark.parametrize(
    "group",
    [pytest.param(GROUPS["S3"], marks=pytest.mark.thorough), GROUPS["Q8"]],
    ids=["S3", "Q8"],
)
# Of what is compiled, vectorised or rounded nothing depends on the group but sizes and indices.
of_s3 = pytest.mark.parametrize("group", [GROUPS["S3"]], ids=["S3"])


def array(tensor) -> np.ndarray:
    return keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float64"))


def assert_close(received, expected, tolerance=1e-5) -> None:
    received, expected = array(received), array(expected)
    assert received.shape == expected.shape
    assert np.linalg.norm(expected) > 0
    assert np.linalg.norm(received - expected) <= tolerance * np.linalg.norm(expected)


def test_every_public_layer_is_listed():
    public = {getattr(layers, name) for name in layers.__all__} - {layers.EquivariantLinear}
    public = {
        kind for kind in public if isinstance(kind, type) and issubclass(kind, keras.layers.Layer)
    }
    assert public == {case.layer for case in CASES}


@each_case
@each_group
def test_is_equivariant_under_every_element(case, group):
    layer = case.build(group)
    function = case.function(group, layer)
    error = check_layer_equivariance(function, case.batch(group, 16), **case.law(group))
    assert error.per_element.shape == (group.order,)


@pytest.mark.parametrize("case", [c for c in WEIGHTED if c.strict], ids=lambda case: case.name)
@each_group
def test_weights_span_every_equivariant_map(case, group):
    """As many weights as there are equivariant maps, and no two of them alike."""
    channels, units = (2, 2) if case.output_rows else (2, 1)
    channels = channels if case.input_rows else 1
    layer = case.build(group, channels=channels, units=units)
    inputs, outputs = case.inputs(group), case.outputs(group)
    maps = intertwiner_dimension(inputs, outputs) * channels * units
    vectors = intertwiner_dimension(trivial_representation(group), outputs) * units
    names = [w.path.split("/")[-1] for w in layer.trainable_weights]
    assert names == ["kernel", "bias"][: 1 + (vectors > 0)]
    assert layer.kernel.shape == layer.kernel_shape(layer.input_spec.axes[-1])
    assert sum(int(np.prod(w.shape)) for w in layer.trainable_weights) == maps + vectors

    matrices = []
    for kernel in np.eye(maps):
        layer.kernel.assign(kernel.reshape(layer.kernel.shape))
        matrices.append(array(layer.expanded_kernel()).ravel())
    assert np.linalg.matrix_rank(np.array(matrices), tol=1e-3) == maps
    if vectors:
        biases = []
        for bias in np.eye(vectors):
            layer.bias.assign(bias.reshape(layer.bias.shape))
            biases.append(array(layer.expanded_bias()).ravel())
        assert np.linalg.matrix_rank(np.array(biases), tol=1e-3) == vectors


@each_case
@three_groups
def test_config_round_trip(case, group):
    layer = case.build(group, name="kept", dtype="mixed_bfloat16")
    config = json.loads(json.dumps(layer.get_config()))
    again = type(layer).from_config(config)
    again.build(case.layer_shape(group, (None, *case.input_shape(group))))
    again.set_weights(layer.get_weights())
    assert json.loads(json.dumps(again.get_config())) == config
    assert again.name == "kept"
    inputs = case.layer_input(group, case.batch(group, 5))
    np.testing.assert_array_equal(array(again(inputs)), array(layer(inputs)))


@each_weighted_case
def test_config_keeps_the_shared_arguments(case):
    layer = case.build(
        GROUPS["S3"],
        use_bias=False,
        kernel_initializer=keras.initializers.HeNormal(seed=7),
        bias_initializer="ones",
        kernel_regularizer=keras.regularizers.L2(0.5),
        bias_regularizer=keras.regularizers.L1(0.25),
        activity_regularizer=keras.regularizers.L2(0.125),
        kernel_constraint=keras.constraints.MaxNorm(3),
        bias_constraint=keras.constraints.NonNeg(),
    )
    again = type(layer).from_config(layer.get_config())
    again.build((None, *case.input_shape(GROUPS["S3"])))
    assert again.bias is None
    np.testing.assert_array_equal(array(again.kernel), array(layer.kernel))  # the seed
    assert isinstance(again.bias_initializer, keras.initializers.Ones)
    assert (again.kernel_regularizer.l2, again.bias_regularizer.l1) == (0.5, 0.25)
    assert again.activity_regularizer.l2 == 0.125
    assert again.kernel.constraint.max_value == 3
    assert isinstance(again.bias_constraint, keras.constraints.NonNeg)
    again(case.batch(GROUPS["S3"], 2))
    assert len(again.losses) == 2  # of the stored kernel and of the output


@each_case
@three_groups
def test_symbolic_call_agrees_with_eager_call(case, group):
    layer = case.build(group)
    inputs = case.layer_input(group, case.batch(group, 5))
    eager = layer(inputs)
    symbol = keras.tree.map_structure(lambda x: keras.Input(x.shape[1:]), inputs)
    output = layer(symbol)
    assert output.shape == (None, *eager.shape[1:])
    assert output.dtype == "float32"
    shape = case.layer_shape(group, (5, *case.input_shape(group)))
    assert layer.compute_output_shape(shape) == tuple(eager.shape)
    assert_close(keras.Model(symbol, output)(inputs), eager)


@each_case
@three_groups
def test_leading_dimensions(case, group):
    function = case.function(group, case.build(group))
    inputs = case.batch(group, 2, 3)
    outputs = array(function(inputs))
    flat = array(function(inputs.reshape(6, *inputs.shape[2:])))
    assert_close(outputs, flat.reshape(2, 3, *flat.shape[1:]))
    assert_close(function(inputs[0, 0]), outputs[0, 0])


@each_weighted_case
@three_groups
def test_one_unit_with_a_leading_dimension_as_long_as_the_rows(case, group):
    """Then axis 1 has the bias' length, and is still not the axis that the bias belongs to."""
    rows = case.outputs(group).dim
    layer = case.build(group, units=1)
    inputs = case.batch(group, 3, rows)
    flat = array(layer(inputs.reshape(-1, *inputs.shape[2:])))
    assert_close(layer(inputs), flat.reshape(3, rows, *flat.shape[1:]))


@functools.cache
def xla_outputs(name):
    """What every layer of a group computes in one XLA program, whose compilation costs seconds."""
    group = GROUPS[name]
    functions = [case.function(group, case.build(group)) for case in CASES]
    inputs = [tf.constant(case.batch(group, 2, 3)) for case in CASES]
    program = tf.function(
        lambda inputs: [f(x) for f, x in zip(functions, inputs, strict=True)], jit_compile=True
    )
    return program(inputs)


@each_case
@of_s3
def test_unknown_leading_dimensions_and_xla(case, group):
    function = case.function(group, case.build(group))
    shape = case.input_shape(group)
    signature = [tf.TensorSpec((None, None, *shape), "float32")]
    unknown = tf.function(function, input_signature=signature)
    for leading in ((2, 3), (4, 1)):
        inputs = case.batch(group, *leading)
        assert_close(unknown(inputs), function(inputs))
    name = next(name for name, known in GROUPS.items() if known is group)
    assert_close(xla_outputs(name)[CASES.index(case)], function(case.batch(group, 2, 3)))


@each_case
@of_s3
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(case, group, dtype):
    full = case.build(group)
    # Inputs of 8 bits: a hard selection may fall on another row when they are rounded themselves.
    inputs = array(keras.ops.cast(case.batch(group, 5), "bfloat16")).astype("float32")
    inputs = case.layer_input(group, inputs)
    for policy in (dtype, f"mixed_{dtype}"):
        half = case.build(group, dtype=policy)
        half.set_weights(full.get_weights())
        outputs = half(inputs)
        assert keras.backend.standardize_dtype(outputs.dtype) == dtype
        specs = keras.tree.map_structure(lambda x: keras.KerasTensor(x.shape), inputs)
        assert half.compute_output_spec(specs).dtype == dtype
        # bfloat16 keeps 8 bits: 2^-8 an operation, and a few operations on the way.
        assert_close(outputs, full(inputs), tolerance=0.02)


@each_case
@of_s3
def test_population_gradients_vectorise_and_compile(case, group, units=4):
    """The trainer's use: gradients inside the mapped function, weights bound statelessly."""
    layer = case.build(group, units=units)
    function = case.function(group, layer)
    members = 3
    random = np.random.default_rng(5)
    stacked = [
        random.normal(size=(members, *v.shape)).astype("float32") for v in layer.trainable_variables
    ]
    inputs = case.batch(group, members, 6)

    def gradients(arguments):
        weights, x = arguments
        with tf.GradientTape() as tape:
            tape.watch([weights, x])
            scope = list(zip(layer.trainable_variables, weights, strict=True))
            with keras.StatelessScope(state_mapping=scope):
                loss = tf.reduce_mean(tf.square(function(x)))
        nothing = tf.UnconnectedGradients.ZERO
        return tape.gradient(loss, [*weights, x], unconnected_gradients=nothing)

    @tf.function(jit_compile=True, autograph=False)
    def population(weights, x):
        return tf.vectorized_map(gradients, (weights, x), fallback_to_while_loop=False)

    received = population([tf.constant(w) for w in stacked], tf.constant(inputs))
    for member in range(members):
        weights = [tf.constant(w[member]) for w in stacked]
        expected = gradients((weights, tf.constant(inputs[member])))
        for got, wanted in zip(received, expected, strict=True):
            if np.any(wanted):
                assert_close(got[member], wanted)
            else:  # of what the output does not depend on
                assert not np.any(got[member])


@pytest.mark.parametrize(
    "case",
    [c for c in WEIGHTED if c.name.endswith("signed") and c.output_rows],
    ids=lambda c: c.name,
)
def test_population_gradients_of_one_unit(case):
    test_population_gradients_vectorise_and_compile(case, GROUPS["S3"], units=1)


@each_weighted_case
@three_groups
def test_one_fit_step_changes_every_weight(case, group):
    symbol = keras.Input(case.input_shape(group))
    layer = case.build(group)
    model = keras.Model(symbol, layer(symbol))
    model.compile("sgd", "mse", run_eagerly=True)
    before = [array(w) for w in layer.trainable_weights]
    inputs = case.batch(group, 8)
    model.fit(inputs, np.ones((8, *model.output_shape[1:])), batch_size=8, verbose=0)
    assert before
    for old, new in zip(before, map(array, layer.trainable_weights), strict=True):
        assert np.all(np.isfinite(new))
        assert not np.array_equal(old, new)


@each_case
@each_group
def test_wrong_input_shape(case, group):
    right = case.input_shape(group)
    wrong = [right[:-1] + (None,)] if case.has_weights else [()]
    if case.has_weights:
        wrong += [(right[0] + 1, *right[1:]), ()]
    for shape in wrong:
        layer = case.make(case.inputs(group), case.outputs(group), 4)
        batch = shape if shape == () else (2, *shape)
        with pytest.raises(ValueError, match=r"must have shape \[\.\.\.,.*Received: input_shape="):
            layer.build(batch)
    if case.has_weights:
        layer = case.build(group)
        with pytest.raises(ValueError, match="incompatible"):
            layer(np.zeros((2, right[0] + 1, *right[1:]), "float32"))


def is_orthogonal(representation) -> bool:
    matrices = representation.matrices
    return np.allclose(matrices @ matrices.transpose(0, 2, 1), np.eye(representation.dim))


# A skew representation changes the variance by itself.
ORTHOGONAL = [
    case
    for case in WEIGHTED
    if all(is_orthogonal(r(GROUPS["S3"])) for r in (case.inputs, case.outputs))
]


@pytest.mark.parametrize("case", ORTHOGONAL, ids=lambda case: case.name)
@non_abelian
@pytest.mark.parametrize(
    "initializer", [keras.initializers.HeNormal, keras.initializers.Orthogonal]
)
def test_output_variance_matches_dense(case, group, initializer):
    """Row by row, so that no row can make up for another.

    With 20 seeds the noise is 3 % for the readout, which has the fewest weights a row.
    """
    channels, units = 64, 32
    inputs = case.batch(group, 256, channels=channels)
    axes = (0, 2) if case.output_rows else 0
    linear = {} if case.activation is None else {"activation": "linear"}
    variances, dense_variances = [], []
    for seed in range(20):
        kernel = {"kernel_initializer": initializer(seed=seed), "use_bias": False}
        layer = case.build(group, channels, units, **kernel, **linear)
        dense = keras.layers.Dense(units, **kernel)
        variances.append(np.mean(array(layer(inputs)) ** 2, axis=axes))
        dense_variances.append(np.mean(array(dense(inputs.reshape(256, -1))) ** 2))
    ratio = np.mean(variances, axis=0) / np.mean(dense_variances)
    # A row that every equivariant map sends to zero has no variance to match.
    basis = intertwiner_basis(case.inputs(group), case.outputs(group))
    reached = np.any(basis != 0, axis=(0, 2))
    assert np.count_nonzero(reached) > 1
    if not case.variance_by_row:
        assert abs(ratio.mean() - 1) < 0.1
        return
    np.testing.assert_allclose(ratio, reached, atol=0.1)


RELOAD = """
import json, sys
import tf_equirl
import keras
import numpy as np
errors = {}
for path in sys.argv[1:]:
    model = keras.models.load_model(path)
    data = np.load(path + ".npz")
    outputs = keras.ops.convert_to_numpy(model(data["inputs"]))
    errors[path] = float(np.abs(outputs - data["outputs"]).max() / np.abs(data["outputs"]).max())
print(json.dumps(errors))
"""


def test_reload_in_a_fresh_process(tmp_path):
    """Only `import tf_equirl` before `load_model`; one process for all, since it starts slowly."""
    paths = []
    for case in CASES:
        for name, group in THREE.items():
            symbol = keras.Input(case.input_shape(group))
            model = keras.Model(symbol, case.function(group, case.build(group))(symbol))
            inputs = case.batch(group, 4)
            paths.append(str(tmp_path / f"{case.name}-{name}.keras"))
            model.save(paths[-1])
            np.savez(paths[-1] + ".npz", inputs=inputs, outputs=array(model(inputs)))
    result = subprocess.run(
        [sys.executable, "-c", RELOAD, *paths],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        check=False,
    )
    assert result.returncode == 0, result.stderr
    errors = json.loads(result.stdout.splitlines()[-1])
    assert list(errors) == paths
    assert max(errors.values()) <= 1e-6
