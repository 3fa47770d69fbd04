"""Saved models hold nothing that an older Keras does not know, and compute what they computed."""

import inspect
import json
import zipfile

import keras
import numpy as np
import pytest

from tf_equirl import envs, exporting, models, zoo
from tf_equirl._portable import architecture, nameless, portable_config, same_architecture

# What Keras gained between the oldest version that we support and 3.15, of the classes that our
# builders use. A newer Keras may gain more: `make test-versions` finds that.
GAINED = {
    "InputLayer": {"optional"},
    "Dense": {"quantization_config", "lora_rank", "lora_alpha"},
    "BatchNormalization": {"renorm", "renorm_clipping", "renorm_momentum"},
    "HeNormal": {"input_axes", "output_axes", "seed"},
    "Orthogonal": {"seed"},
    "GlorotUniform": {"input_axes", "output_axes", "seed"},
}


def read_config(file):
    with zipfile.ZipFile(file) as archive:
        return json.loads(archive.read("config.json"))


def objects(config):
    """Every serialised object in a config."""
    if isinstance(config, dict):
        if isinstance(config.get("config"), dict):
            yield config["class_name"], config["config"]
        config = list(config.values())
    if isinstance(config, list):
        for value in config:
            yield from objects(value)


def check_portable(file):
    found = list(objects(read_config(file)))
    for name, config in found:
        assert not GAINED.get(name, set()) & set(config), name
    assert GAINED.keys() & {name for name, _ in found}


def small_network():
    """Layers whose constructors Keras has changed, some of their arguments in use."""
    inputs = keras.Input((6, 6, 2))
    x = keras.layers.Conv2D(3, 3, use_bias=False, kernel_initializer="he_normal")(inputs)
    x = keras.layers.BatchNormalization(momentum=0.5)(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Rescaling(0.5)(x)
    x = keras.layers.LayerNormalization()(x)
    return keras.Model(inputs, keras.layers.Dense(3, "relu", kernel_regularizer="l2")(x))


def of_pictures(filters):
    """Names of its layers have digits in the middle, "lifting_conv2d_1"."""
    looks = models.Convolutions(filters, pooling="max", picture_scale=0.5)
    return models.actor(
        envs.Snake(height=5, width=5).symmetry, "gcnn", (4,), convolutions=looks, name="actor"
    )


SYMMETRY = envs.make("Catch").symmetry
NETWORKS = {
    **{kind: lambda kind=kind: models.actor(SYMMETRY, kind, (4,)) for kind in ("gcnn", "mlp")},
    "symmetrizer": lambda: models.actor(SYMMETRY, "symmetrizer-sampled", (4,)),
    "transition": lambda: models.transition_model(
        SYMMETRY, "gcnn-proximal", (4,), head=envs.make("Catch").transition_head
    ),
    "pictures": lambda: of_pictures((2, 3)),
    "user's": small_network,
}


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_file_is_portable_and_holds_the_same_model(kind, tmp_path):
    model = NETWORKS[kind]()
    rng = np.random.default_rng(0)
    model.set_weights([w + rng.normal(0, 0.1, w.shape).astype("f") for w in model.get_weights()])
    models.save(model, tmp_path / "model.keras")
    check_portable(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    model.save(tmp_path / "keras.keras")
    keras_own = keras.models.load_model(tmp_path / "keras.keras", safe_mode=True)
    assert again.get_config() == keras_own.get_config()
    for old, new in zip(model.get_weights(), again.get_weights(), strict=True):
        assert old.tobytes() == new.tobytes()
    states = [rng.normal(size=(5, *x.shape[1:])).astype("f") for x in model.inputs]
    states = states if len(states) > 1 else states[0]
    np.testing.assert_array_equal(again(states), model(states))


def test_everything_but_the_description_is_keras_own_file(tmp_path):
    model = NETWORKS["mlp"]()
    model.compile(keras.optimizers.Adam(1e-3), "mse")
    model.optimizer.build(model.trainable_variables)
    model.save(tmp_path / "keras.keras")
    models.save(model, tmp_path / "ours.keras")
    with (
        zipfile.ZipFile(tmp_path / "keras.keras") as a,
        zipfile.ZipFile(tmp_path / "ours.keras") as b,
    ):
        assert a.namelist() == b.namelist()
        versions = [json.loads(z.read("metadata.json"))["keras_version"] for z in (a, b)]
        assert versions == [keras.__version__] * 2
    full, short = read_config(tmp_path / "keras.keras"), read_config(tmp_path / "ours.keras")
    assert portable_config(full) == short == portable_config(short) != full
    again = keras.models.load_model(tmp_path / "ours.keras")
    assert again.optimizer.get_config() == model.optimizer.get_config()


def test_keras_own_save_writes_no_new_arguments_of_our_layers(tmp_path):
    """The rest of such a file is Keras'; a network of our layers alone is portable with it."""
    NETWORKS["symmetrizer"]().save(tmp_path / "model.keras")
    config = read_config(tmp_path / "model.keras")
    ours = [c for name, c in objects(config) if name == "SymmetrizerDense"]
    assert ours
    for name, arguments in objects(ours):
        assert not GAINED.get(name, set()) & set(arguments)


def test_arguments_in_use_are_written(tmp_path):
    dense = keras.layers.Dense(3, use_bias=False, activation="tanh", name="mine", dtype="float64")
    dense.trainable = False
    initializer = keras.initializers.HeNormal(seed=3)
    for thing in (dense, initializer, keras.layers.Rescaling(2.0), keras.regularizers.L2(0.01)):
        full = keras.saving.serialize_keras_object(thing)
        short = portable_config(full)
        again = keras.saving.deserialize_keras_object(short)
        assert again.get_config() == thing.get_config()
        off = {k for k, v in full["config"].items() if v is None or v is False}
        assert set(full["config"]) - set(short["config"]) <= off
    assert portable_config(keras.saving.serialize_keras_object(initializer))["config"] == {
        "seed": 3
    }
    dense = portable_config(keras.saving.serialize_keras_object(dense))["config"]
    assert dense["use_bias"] is False and dense["trainable"] is False


@pytest.mark.parametrize("make", [of_pictures, lambda filters: small_network()])
def test_models_of_convolutions_that_are_built_one_after_another_have_one_architecture(make):
    """Whatever numbers Keras gives their layers: runs of them resume and share programs."""
    one, other = (architecture(make((2, 3))) for _ in range(2))
    assert one != other and same_architecture(one, other)
    assert not same_architecture(one, architecture(of_pictures((2, 4))))


def test_what_looks_like_the_name_of_a_layer_is_none():
    """The identity of a run is a hash of this: runs of before are read as long as it stays."""
    assert nameless(["float32", "bfloat16", "int8", "same", "v2", "group_conv2d_4"]) == [
        *("float32", "bfloat16", "int8", "same 0", "v2", "group_conv2d 1"),
    ]


def test_classes_that_are_not_keras_keep_all_arguments():
    config = {"module": "mine", "class_name": "Dense", "config": {"lora_rank": None}}
    assert portable_config(config) == config
    config["module"] = "keras.nothing.here"
    assert portable_config(config) == config
    config["module"] = "keras.layers"
    assert portable_config(config)["config"] == {}


def test_what_is_left_out_is_off_for_keras_as_well():
    """No default of a class that Keras exports is dropped unless it is None or False."""
    exported = [
        kind
        for module in (keras.layers, keras.initializers, keras.regularizers, keras.constraints)
        for kind in vars(module).values()
        if inspect.isclass(kind)
    ]
    assert len(exported) > 100
    for kind in exported:
        for argument in inspect.signature(kind.__init__).parameters.values():
            module = f"keras.{kind.__module__.split('.')[2]}"
            given = {argument.name: argument.default}
            config = {"module": module, "class_name": kind.__name__, "config": given}
            left = portable_config(config)["config"]
            off = argument.default is None or argument.default is False
            assert left == given or off or argument.name == "renorm_momentum"


@pytest.mark.parametrize("path", ["model.h5", "model", "nowhere/model.keras"])
def test_a_path_of_another_kind_is_refused_before_anything_is_written(path, tmp_path):
    with pytest.raises(
        ValueError, match=r"`path` must end in \.keras, in a folder.*Received: path="
    ):
        models.save(NETWORKS["mlp"](), tmp_path / path)
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_the_old_file(tmp_path, monkeypatch):
    models.save(NETWORKS["mlp"](), tmp_path / "model.keras")
    before = (tmp_path / "model.keras").read_bytes()
    model = NETWORKS["gcnn"]()
    monkeypatch.setattr("tf_equirl._portable.portable_config", lambda config: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        models.save(model, tmp_path / "model.keras")
    assert (tmp_path / "model.keras").read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["model.keras"]


def test_plain_exports_are_portable(tmp_path):
    exporting.export(NETWORKS["gcnn"](), tmp_path / "plain.keras")
    check_portable(tmp_path / "plain.keras")


@pytest.mark.parametrize("name", zoo.list())
def test_the_files_of_the_zoo_are_portable(name):
    files = sorted(zoo.path(name).glob("*.keras"))
    assert files
    for file in files:
        check_portable(file)
        config = read_config(file)
        assert portable_config(config) == config
