import dataclasses
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from exporting_cases import (
    LOOKS,
    SYMMETRIES,
    assert_same_outputs,
    normalized,
    of_pictures,
    outputs_of,
    randomised,
    states_of,
    two_heads,
    two_inputs,
)

from tf_equirl import models
from tf_equirl.exporting import FORMATS, TOLERANCE, checked, export, to_plain

ACTORS = [kind for kind in models.ACTOR_KINDS if kind != "cnn"]  # of vectors

ROOT = Path(__file__).parents[2]
MISSING = {name: found.missing() for name, found in FORMATS.items()}
each_format = pytest.mark.parametrize(
    "format",
    [
        pytest.param(
            name,
            marks=pytest.mark.skipif(
                bool(MISSING[name]), reason=f"{', '.join(MISSING[name])} not installed"
            ),
        )
        for name in FORMATS
    ],
)


def actor(name="D4"):
    return randomised(models.actor(SYMMETRIES[name], "gcnn", (6, 5)))


def target(folder, format):
    return folder / f"actor{FORMATS[format].suffix}"


def run_file(path, format, states):
    """As the user of a file would, without a word of this package."""
    flat = keras.tree.flatten(states)
    if format == "keras":
        return outputs_of(keras.models.load_model(path), states)
    if format == "saved_model":
        loaded = tf.saved_model.load(path)
        return outputs_of(loaded.serve, states)
    if format == "tflite":
        runner = tf.lite.Interpreter(str(path)).get_signature_runner("serving_default")
        found = runner(**dict(zip(runner.get_input_details(), flat, strict=True)))
        return outputs_of(lambda _: [found[name] for name in sorted(found)], None)
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    names = [x.name for x in session.get_inputs()]
    return outputs_of(lambda x: session.run(None, dict(zip(names, x, strict=True))), flat)


@each_format
@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
@pytest.mark.parametrize("make", [two_heads, two_inputs, normalized])
def test_a_file_computes_what_the_model_computes(make, format, tmp_path):
    model = make(SYMMETRIES["S3"])
    path = target(tmp_path, format)
    exported = export(model, path, format)
    assert exported.path == path and 0 <= exported.difference <= TOLERANCE
    states = states_of(model)
    assert_same_outputs(run_file(path, format, states), outputs_of(model, states))
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.thorough
@each_format
@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
@pytest.mark.parametrize("looks", LOOKS)
def test_a_file_of_a_model_of_pictures_computes_what_the_model_computes(looks, format, tmp_path):
    model = of_pictures(looks)
    path = target(tmp_path, format)
    assert export(model, path, format).difference <= TOLERANCE
    states = states_of(model)
    assert_same_outputs(run_file(path, format, states), outputs_of(model, states))


@pytest.mark.parametrize("kind", ACTORS)
def test_every_actor_becomes_a_plain_model(kind, tmp_path):
    model = randomised(models.actor(SYMMETRIES["CartPole"], kind, (6, 5), observation_shape=(2, 2)))
    assert export(model, target(tmp_path, "keras"), "keras").difference <= TOLERANCE


@pytest.mark.thorough
@each_format
@pytest.mark.parametrize("kind", ["odd", "gcnn"])
def test_actors_in_every_format(kind, format, tmp_path):
    """Whatever the kind, what is converted is a stack of `Dense` layers."""
    model = randomised(models.actor(SYMMETRIES["CartPole"], kind, (6, 5), observation_shape=(2, 2)))
    assert export(model, target(tmp_path, format), format).difference <= TOLERANCE


@each_format
@pytest.mark.parametrize("factor", [1.0001, np.nan])
def test_a_wrong_conversion_is_not_written(format, factor, tmp_path, monkeypatch):
    def wrong(model):
        plain = to_plain(model)
        plain.weights[-2].assign(plain.weights[-2] * factor)
        return plain

    monkeypatch.setattr(checked, "to_plain", wrong)
    path = target(tmp_path, format)
    if FORMATS[format].suffix:
        path.write_text("older")
    with pytest.raises(ValueError, match="must compute what the model computes.*difference="):
        export(actor(), path, format)
    if FORMATS[format].suffix:
        assert os.listdir(tmp_path) == [path.name] and path.read_text() == "older"
    else:
        assert os.listdir(tmp_path) == []


def test_one_wrong_head_of_two_is_found(tmp_path, monkeypatch):
    def wrong(model):
        plain = to_plain(model)
        plain.get_layer("equirl_head").kernel.assign_add(np.full((6, 1), 1e-3))
        return plain

    x = keras.Input((6,))
    big = keras.layers.Dense(1, kernel_initializer="ones")(1e6 * x)
    small = keras.layers.Dense(1, kernel_initializer="ones", name="equirl_head")(x)
    model = keras.Model(x, [big, small])
    export(model, tmp_path / "a.keras")
    monkeypatch.setattr(checked, "to_plain", wrong)
    with pytest.raises(ValueError, match="difference="):
        export(model, tmp_path / "b.keras")
    assert os.listdir(tmp_path) == ["a.keras"]


@pytest.mark.parametrize("format", FORMATS)
def test_a_converter_that_fails_leaves_nothing(format, tmp_path, monkeypatch):
    def fail(model, path):
        path.write_text("half a fi")
        raise RuntimeError("no such operation")

    failing = dataclasses.replace(FORMATS[format], write=fail, packages=())
    monkeypatch.setitem(FORMATS, format, failing)
    with pytest.raises(ValueError, match=f"converter to {format} failed.*no such operation"):
        export(actor(), target(tmp_path, format), format)
    assert os.listdir(tmp_path) == []


def test_a_missing_converter_is_named_with_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="needs onnx, tf2onnx.*pip install onnx tf2onnx onnxrun"):
        export(actor(), tmp_path / "actor.onnx", "onnx")


@each_format
def test_a_file_is_replaced_and_an_empty_folder_filled(format, tmp_path):
    path = target(tmp_path, format)
    if FORMATS[format].suffix:
        path.write_text("older")
    else:
        path.mkdir()
    export(actor(), path, format)
    assert not path.is_file() or path.stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"format": "torch"}, "`format` must be one of keras, .* Received: format='torch'"),
        ({"path": "a.h5"}, "`path` must end in .keras for format 'keras'"),
        ({"path": "a.keras", "format": "onnx"}, "must end in .onnx"),
        ({"path": "a.keras", "format": "saved_model"}, "must have no ending of another format"),
        ({"path": "nowhere/a.keras"}, "must be in a folder that exists"),
        ({"path": "taken.keras"}, "must be a file or new"),
        ({"path": "taken", "format": "saved_model"}, "must be a folder that is new or empty"),
        ({"path": "file", "format": "saved_model"}, "must be a folder that is new or empty"),
        ({"states": np.zeros((0, 8), "float32")}, "`states`, of which there must be some"),
        ({"states": np.full((2, 8), np.inf, "float32")}, "must have finite outputs"),
        ({"model": "actor"}, "`model` must be a functional or Sequential"),
    ],
)
def test_bad_arguments_are_named(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("taken.keras").mkdir()
    Path("taken").mkdir()
    Path("taken/notes").write_text("mine")
    Path("file").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=message):
        export(**{"model": actor(), "path": "a.keras", **arguments})
    assert sorted(tmp_path.rglob("*")) == before


def test_inputs_that_are_no_numbers_need_states(tmp_path):
    x = keras.Input((3,), dtype="int32")
    model = keras.Model(x, keras.layers.Flatten()(keras.layers.Embedding(4, 2)(x)))
    with pytest.raises(ValueError, match="`states` must be given .*int32"):
        export(model, tmp_path / "a.keras")
    export(model, tmp_path / "a.keras", states=np.array([[0, 1, 3]], "int32"))


def run_script(script, folder):
    """In a fresh process that knows nothing of this one; its standard error must be empty."""
    (folder / "script.py").write_text(script)
    environment = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("TF_", "_TF_EQUIRL", "KERAS", "PYTHONPATH"))
    }
    result = subprocess.run(
        [sys.executable, "script.py"],
        cwd=folder,
        env={**environment, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    return result


WITHOUT_THE_PACKAGE = """
import sys

sys.modules["tf_equirl"] = None  # `import tf_equirl` now fails
import keras, numpy as np, tensorflow as tf

for name in {names}:
    stored = np.load(f"{{name}}.npz")
    model = keras.models.load_model(f"{{name}}.keras", safe_mode=True)
    assert tf.keras.models.load_model(f"{{name}}.keras").count_params() == model.count_params()
    loaded = tf.saved_model.load(name)
    for outputs in (model(stored["states"]), loaded.serve(stored["states"])):
        np.testing.assert_allclose(outputs, stored["outputs"], rtol=0, atol={atol})
    assert all(type(layer).__module__.startswith("keras.") for layer in model.layers)
"""


def test_files_load_where_this_package_is_not(tmp_path):
    kinds = {
        "CartPole": "odd",
        "S3": "gcnn",
        "D4": "symmetrizer",
        "Q8": "symmetrizer-sampled",
    }
    for name, kind in kinds.items():
        model = randomised(models.actor(SYMMETRIES[name], kind, (6, 5)))
        export(model, tmp_path / f"{name}.keras")
        export(model, tmp_path / name, "saved_model")
        states = states_of(model)
        np.savez(tmp_path / f"{name}.npz", states=states, outputs=model(states))
    # Outputs are of order one.
    run_script(WITHOUT_THE_PACKAGE.format(names=list(kinds), atol=1e-5), tmp_path)


WITHOUT_TF_AGENTS = """
import os, sys

sys.path.insert(0, {root!r})
from tf_equirl import envs, exporting, models

model = models.actor(envs.make("CartPole").symmetry, "gcnn", (6, 5))
for name in {formats}:
    exporting.export(model, "actor" + exporting.FORMATS[name].suffix, name)
assert "tf_agents" not in sys.modules and "tf_equirl.agents" not in sys.modules
assert "TF_USE_LEGACY_KERAS" not in os.environ
"""


@pytest.mark.thorough
def test_it_works_where_tf_keras_is_keras_3(tmp_path):
    formats = [name for name in FORMATS if not MISSING[name]]
    run_script(WITHOUT_TF_AGENTS.format(root=str(ROOT), formats=formats), tmp_path)
    assert all(target(tmp_path, name).exists() for name in formats)
