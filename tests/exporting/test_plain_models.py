import json
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from exporting_cases import (
    LOOKS,
    PICTURES,
    SYMMETRIES,
    assert_same_outputs,
    of_pictures,
    outputs_of,
    randomised,
    states_of,
    two_heads,
    two_inputs,
)

from tf_equirl import models
from tf_equirl.exporting import to_plain
from tf_equirl.layers import EquivariantReadout, GroupDense, GroupPooling, LiftingDense

sys.path.insert(0, str(Path(__file__).parents[1] / "layers"))
from layer_cases import CASES, GROUPS

ACTORS = [kind for kind in models.ACTOR_KINDS if kind != "cnn"]  # of vectors
CRITICS = [kind for kind in models.CRITIC_KINDS if kind != "cnn"]

SYMMETRY = SYMMETRIES["S3"]
GROUP = SYMMETRY.group


def all_layers(model):
    for layer in model.layers:
        yield from all_layers(layer) if isinstance(layer, keras.Model) else [layer]


def kinds(model):
    return [type(layer).__name__ for layer in all_layers(model)]


def assert_plain(model, plain):
    """The law, on random states: plain(x) = model(x); and no class that is not Keras'."""
    states = states_of(model)
    assert_same_outputs(outputs_of(plain, states), outputs_of(model, states))
    assert "tf_equirl" not in json.dumps(keras.saving.serialize_keras_object(plain))
    assert all(type(layer).__module__.startswith("keras.") for layer in all_layers(plain))


def model_of(layer, *shape):
    x = keras.Input(shape)
    return keras.Model(x, layer(x))


@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS.keys())
@pytest.mark.parametrize("case", [c for c in CASES if not c.unpack], ids=lambda case: case.name)
def test_every_layer_of_an_actor_has_a_plain_form(case, group):
    model = model_of(case.build(group), *case.input_shape(group))
    plain = to_plain(model)
    assert_plain(model, plain)
    if case.has_weights:
        assert set(kinds(plain)) <= {"InputLayer", "Reshape", "Dense"}
        assert kinds(plain).count("Dense") == 1
        assert plain.layers[-1 if not case.output_rows else -2].name == model.layers[-1].name


@pytest.mark.parametrize("leading", [(2,), (None,), (2, None, 3)])
@pytest.mark.parametrize("case", [c for c in CASES if c.has_weights], ids=lambda case: case.name)
def test_leading_axes_stay(case, leading):
    group = GROUPS["S3"]
    model = model_of(case.build(group), *leading, *case.input_shape(group))
    plain = to_plain(model)
    assert plain.output_shape == model.output_shape
    assert_plain(model, plain)


@pytest.mark.parametrize("kind", ACTORS)
@pytest.mark.parametrize("name", SYMMETRIES)
def test_an_actor_becomes_a_stack_of_dense_layers(name, kind):
    if kind == "odd" and name != "CartPole":
        with pytest.raises(ValueError, match="plus or minus"):
            models.actor(SYMMETRIES[name], kind)
        return
    model = randomised(models.actor(SYMMETRIES[name], kind, (8, 6, 4)))
    plain = to_plain(model)
    assert_plain(model, plain)
    assert kinds(plain) == ["InputLayer", "Dense", "Dense", "Dense", "Dense"]
    assert (plain.name, plain.input.name) == (model.name, "observation")


@pytest.mark.parametrize("kind", CRITICS)
@pytest.mark.parametrize("name", SYMMETRIES)
def test_a_critic_becomes_a_stack_of_dense_layers(name, kind):
    model = randomised(models.critic(SYMMETRIES[name], kind, (8, 6)))
    plain = to_plain(model)
    assert_plain(model, plain)
    assert kinds(plain) == ["InputLayer", "Dense", "Dense", "Dense"]


@pytest.mark.parametrize("kind", ACTORS)
def test_observations_that_are_not_flat_are_flattened_once(kind):
    model = randomised(models.actor(SYMMETRIES["CartPole"], kind, (8,), observation_shape=(2, 2)))
    plain = to_plain(model)
    assert_plain(model, plain)
    assert kinds(plain) == ["InputLayer", "Reshape", "Dense", "Dense"]


# How a plain model goes on from a picture to the first `Dense` layer, without the input. Around a
# torus rows are cut off and put on the other side, then columns.
AROUND = ["Cropping2D", "Cropping2D", "Concatenate"] * 2
LOOKING = {
    "valid": ["Conv2D", "Conv2D", "GlobalMaxPooling2D"],
    "same": [
        *("Rescaling", "ZeroPadding2D", "Conv2D", "ZeroPadding2D", "Conv2D"),
        "GlobalAveragePooling2D",
    ],
    "circular": [*AROUND, "Conv2D", *AROUND, "Conv2D", "Reshape"],
}


@pytest.mark.parametrize("kind", ["cnn", "gcnn", "symmetrizer", "symmetrizer-random"])
@pytest.mark.parametrize("looks", LOOKS)
def test_an_actor_of_pictures_becomes_a_stack_of_ordinary_convolutions(looks, kind):
    model = of_pictures(looks, kind)
    plain = to_plain(model)
    assert_plain(model, plain)
    assert kinds(plain) == ["InputLayer", *LOOKING[looks], "Dense", "Dense"]
    # One convolution of the picture's channels, and one of those of all elements together.
    elements = 1 if kind == "cnn" else 8
    kernels = [layer.kernel.shape for layer in plain.layers if "Conv2D" in type(layer).__name__]
    assert kernels == [(4, 4, 3, 3 * elements), (3, 3, 3 * elements, 4 * elements)]


@pytest.mark.parametrize("kind", ["cnn", "invariant"])
def test_a_critic_of_flat_pictures_begins_with_their_shape(kind):
    options = {"convolutions": LOOKS["valid"], "observation_shape": [PICTURES.state.dim]}
    model = randomised(models.critic(PICTURES, kind, (5, 4), **options))
    plain = to_plain(model)
    assert_plain(model, plain)
    assert kinds(plain) == ["InputLayer", "Reshape", *LOOKING["valid"], *["Dense"] * 3]


@pytest.mark.parametrize("name", SYMMETRIES)
def test_branches(name):
    model = two_heads(SYMMETRIES[name])
    plain = to_plain(model)
    assert_plain(model, plain)
    assert set(plain.output) == {"logits", "value"}
    # The residual block stays flat; only the pooling asks for rows.
    assert kinds(plain).count("Reshape") == 1


@pytest.mark.parametrize("name", SYMMETRIES)
def test_shared_and_nested_layers(name):
    model = two_inputs(SYMMETRIES[name])
    plain = to_plain(model)
    assert_plain(model, plain)
    assert kinds(plain).count("Dense") == 2


def test_sequential_models_and_keras_own_layers_with_their_weights():
    model = keras.Sequential(
        [
            keras.Input((3, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(3, kernel_regularizer="l2"),
            LiftingDense(4, SYMMETRY.state, activation="softmax", kernel_regularizer="l2"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.PReLU(),
            GroupDense(2, GROUP, use_bias=False, trainable=False),
            keras.layers.Reshape((-1, 3)),
        ],
        name="mixed",
    )
    model.layers[3].moving_mean.assign([0.1, 0.2, 0.3, 0.4])
    model.compile("adam", "mse")
    plain = to_plain(randomised(model))
    assert_plain(model, plain)
    assert plain.name == "mixed" and not plain.compiled
    assert not plain.get_layer(model.layers[6].name).trainable
    # Once before a layer that is not pointwise, to compare rows, and back.
    assert kinds(plain) == [
        *("InputLayer", "Reshape", "Dense", "Dense", "Reshape", "Activation"),
        *("BatchNormalization", "Dropout", "PReLU", "Reshape", "Dense", "Reshape"),
    ]


def test_sums_of_tensors_that_are_stored_in_different_shapes():
    x, rows, row = (keras.Input(shape) for shape in ((3,), (6, 4), (1, 4)))
    y = keras.layers.Add()([LiftingDense(4, SYMMETRY.state)(x), rows])
    y = keras.layers.Maximum()([y, row])
    y = keras.layers.Multiply()([y, keras.layers.Reshape((6, 4))(keras.layers.Flatten()(rows))])
    model = randomised(keras.Model([x, rows, row], y))
    plain = to_plain(model)
    assert_plain(model, plain)
    assert kinds(plain).count("Reshape") == 1


def test_an_outer_sum_stays_one():
    x = keras.Input((6,))
    column, row = keras.layers.Reshape((6, 1))(x), keras.layers.Reshape((1, 6))(x)
    model = keras.Model(x, keras.layers.Add()([column, row]))
    assert_plain(model, to_plain(model))


def test_names_of_new_layers_avoid_those_of_the_model():
    x = keras.Input((3,))
    y = LiftingDense(4, SYMMETRY.state, name="lift")(x)
    y = keras.layers.PReLU(name="lift_reshape")(y)
    model = randomised(keras.Model(x, y))
    plain = to_plain(model)
    assert_plain(model, plain)
    assert [layer.name for layer in plain.layers[1:]] == ["lift", "lift_reshape_", "lift_reshape"]


def test_nothing_is_shared_with_the_source():
    model = two_heads(SYMMETRY)
    before = [np.array(w) for w in model.get_weights()]
    plain = to_plain(model)
    for variable in plain.weights:
        variable.assign(variable + 1.0)
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", ["float64", "mixed_float16"])
def test_the_precision_stays(dtype):
    x = keras.Input((GROUP.order, 3), dtype="float64" if dtype == "float64" else "float32")
    y = GroupDense(4, GROUP, dtype=dtype, activation="relu")(x)
    y = GroupDense(2, GROUP, dtype=dtype)(y)
    model = randomised(keras.Model(x, y))
    plain = to_plain(model)
    states = states_of(model)
    received, expected = outputs_of(plain, states)[0], outputs_of(model, states)[0]
    assert plain.output.dtype == model.output.dtype == dtype.removeprefix("mixed_")
    # The expanded kernels hold the very same numbers. Sums may be in another order: some roundings.
    tolerance = 1e-14 if dtype == "float64" else 4e-3
    assert np.abs(received - expected).max() <= tolerance * np.abs(expected).max()


class Doubling(keras.layers.Layer):
    def call(self, inputs):
        return 2.0 * inputs


class Unconfigured(keras.layers.Layer):
    def __init__(self, factor, name):
        super().__init__(name=name)
        self.factor = {factor}

    def call(self, inputs):
        return inputs


class Shifted(GroupDense):
    def call(self, inputs):
        return super().call(inputs) + 1.0


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


class FunctionalSubclass(keras.Model):
    def __init__(self):
        x = keras.Input((3,))
        super().__init__(x, keras.layers.Dense(2)(x))

    def call(self, inputs):
        return super().call(inputs) + 1.0


def own_activation(x):
    return x**2


UNSUPPORTED = {
    "custom": (Doubling(name="mine"), (3,), "Doubling 'mine' has none: Doubling is no part of"),
    "wrapped": (
        keras.layers.TimeDistributed(GroupPooling(), name="mine"),
        (2, 3, 4),
        "TimeDistributed 'mine' has none: GroupPooling is no part of Keras",
    ),
    "lambda": (keras.layers.Lambda(own_activation, name="mine"), (3,), "Lambda 'mine' .* file"),
    "activation": (keras.layers.Dense(2, own_activation, name="mine"), (3,), "'mine'.*own_acti"),
    "nameless": (keras.layers.Dense(2, lambda x: x, name="mine"), (3,), "Dense 'mine'.*its config"),
    "ours nameless": (GroupDense(2, GROUP, activation=lambda x: x, name="mine"), (6, 3), "'mine'"),
    "no config": (Unconfigured(3, name="mine"), (3,), "Unconfigured is no part of Keras"),
    "ours": (
        GroupDense(2, GROUP, activation=own_activation, name="mine"),
        (6, 3),
        "GroupDense 'mine' has none: own_activation",
    ),
    "call": (Shifted(2, GROUP, name="mine"), (6, 3), "Shifted 'mine' .* a `call` of its own"),
    "pooling": (GroupPooling(name="mine"), (2, 6, 3), "GroupPooling 'mine' .* only"),
    "sum": (GroupPooling("sum", name="mine"), (None, 3), "'mine' .* known number of rows"),
    "shape": (GroupDense(2, GROUP, name="mine"), (None, None, 6, 3), "'mine' .* two unknown axes"),
    "nested": (keras.Sequential([keras.Input((3,)), Doubling(name="mine")]), (3,), "'mine'"),
}


@pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`")
@pytest.mark.parametrize("name", UNSUPPORTED)
def test_a_layer_without_a_plain_form_is_named(name):
    layer, shape, message = UNSUPPORTED[name]
    with pytest.raises(ValueError, match=message):
        to_plain(model_of(layer, *shape))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Subclassed(), "must be a functional or Sequential model.*Subclassed"),
        (FunctionalSubclass(), "must be a functional or Sequential model.*FunctionalSubclass"),
        (keras.Sequential([keras.layers.Dense(2)]), "must be built"),
        (keras.layers.Dense(2), "must be a functional or Sequential"),
        ("actor.keras", "must be a functional or Sequential .* Received: model='actor.keras'"),
    ],
)
def test_other_models_are_refused(model, message):
    with pytest.raises(ValueError, match=message):
        to_plain(model)


def test_transition_models():
    """One that ends in a readout is a stack of dense layers; transition images are refused."""
    symmetry = SYMMETRIES["CartPole"]
    model = randomised(models.transition_model(symmetry, "gcnn-readout", (6, 4)))
    plain = to_plain(model)
    assert_plain(model, plain)
    assert kinds(plain).count("Dense") == 3
    for kind in ("gcnn-proximal", "gcnn-averaged"):
        with pytest.raises(ValueError, match="TransitionImages 'images' has none"):
            to_plain(models.transition_model(symmetry, kind, (4,)))


def test_rows_on_the_batch_axis_are_refused():
    x = keras.Input(batch_shape=(GROUP.order, 3))
    for layer in (EquivariantReadout(SYMMETRY.action), GroupPooling()):
        with pytest.raises(ValueError, match=f"'{layer.name}' .* no batch axis"):
            to_plain(keras.Model(x, layer(x)))
