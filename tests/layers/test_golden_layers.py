"""Files that were saved once and are never written again (`tools/make_golden_layers.py`).

Whoever has saved a model must be able to load it with every later version, with the same outputs.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from tf_equirl import layers

FILES = sorted((Path(__file__).parent / "golden").glob("*.keras"))
TOLERANCE = 1e-5  # of the largest output: float32 rounds to 6e-8, in sums of some ten terms
each_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def load(file: Path) -> keras.Model:
    return keras.models.load_model(file, safe_mode=True)


def layer_of(model: keras.Model) -> keras.layers.Layer:
    return model.get_layer("layer")


def difference(model: keras.Model, file: Path) -> float:
    """The largest difference from the stored outputs, relative to the largest of them."""
    with np.load(file.with_suffix(".npz")) as arrays:
        inputs = [arrays[str(k)] for k in range(len(arrays.files) - 1)]
        expected = arrays["outputs"]
    found = keras.ops.convert_to_numpy(model(inputs if len(inputs) > 1 else inputs[0]))
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def test_every_public_layer_and_distance_has_a_file():
    public = {getattr(layers, name) for name in layers.__all__}
    public -= {layers.EquivariantLinear, layers.EquivarianceCertificate}
    kinds = {x for x in public if isinstance(x, type) and issubclass(x, keras.layers.Layer)}
    loaded = {file: layer_of(load(file)) for file in FILES}
    assert {type(layer) for layer in loaded.values()} == kinds
    pools = [layer for layer in loaded.values() if isinstance(layer, layers.ProximalPooling)]
    found = {pool.distance for pool in pools} & public
    found |= {type(pool.distance) for pool in pools} & public
    assert found == public - kinds
    assert all(
        file.stem.partition("-")[0] == type(layer).__name__ for file, layer in loaded.items()
    )


@each_file
def test_it_computes_what_it_computed(file):
    assert difference(load(file), file) <= TOLERANCE


@each_file
def test_a_change_of_any_weight_is_noticed(file):
    for k in range(len(load(file).weights)):
        model = load(file)
        if model.weights[k].path.endswith("/count"):
            continue  # of the rows of a statistic, which only trainers read
        # As the file's weights are drawn, no number of them is large.
        model.weights[k].assign_add(0.01 * np.ones(model.weights[k].shape, "float32"))
        assert difference(model, file) > 10 * TOLERANCE, model.weights[k].path


@each_file
def test_a_change_of_the_arithmetic_is_noticed(file, monkeypatch):
    kind = type(layer_of(load(file)))
    call = kind.call
    # Rows in another order, or coordinates: the mistake of a group element for its inverse.
    monkeypatch.setattr(kind, "call", lambda self, x: keras.ops.roll(call(self, x), 1, axis=1))
    assert difference(load(file), file) > 10 * TOLERANCE


@each_file
def test_a_change_of_an_argument_s_name_is_noticed(file, tmp_path):
    own = set(layer_of(load(file)).get_config()) - {"name", "trainable", "dtype"}
    for name in sorted(own):
        renamed = tmp_path / f"{name}.keras"
        with zipfile.ZipFile(file) as old, zipfile.ZipFile(renamed, "w") as new:
            for entry in old.namelist():
                content = old.read(entry)
                if entry == "config.json":
                    content = with_renamed(json.loads(content), name)
                new.writestr(entry, content)
        with pytest.raises((TypeError, ValueError), match=f"{name}_renamed"):
            load(renamed)


def with_renamed(config: dict, name: str) -> str:
    (layer,) = [layer for layer in config["config"]["layers"] if layer["name"] == "layer"]
    layer["config"] = {
        f"{key}_renamed" if key == name else key: value for key, value in layer["config"].items()
    }
    return json.dumps(config)
