"""Reading one `.keras` file without running code from it, or taking more memory than its size."""

from __future__ import annotations

import io
import json
import math
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import h5py
import keras

from tf_equirl.zoo.records import MAXIMUM_JSON, printable, read_parts

_T = TypeVar("_T")
_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_ASSETS = "assets/"  # vocabularies of Keras' layers for texts


def read_model(file: Path, content: bytes | None = None) -> keras.Model:
    """The model of a `.keras` file, not compiled.

    A file that is small cannot ask for much: what it unpacks to is at most ten times its size and a
    mebibyte, and a model has at most as many weights as its file has bytes for them.

    Args:
        file: The file.
        content: What is in it, where that is read already.

    Raises:
        ValueError: If there is no such file, it is damaged, holds a Lambda layer, a layer that is
            not registered with Keras, something of Keras that is newer than the installed version,
            or a model that is too large for it.
    """
    if file.suffix != ".keras" or not file.is_file():
        raise ValueError(f"a model must be a .keras file that exists. Received: {file}")
    try:
        parts = read_parts(file.read_bytes() if content is None else content, _is_wanted)
        if len(parts[_CONFIG]) > MAXIMUM_JSON:
            raise ValueError(f"a {_CONFIG} of more than {MAXIMUM_JSON:,} bytes")
        config = json.loads(parts[_CONFIG])
        written_by = _version(str(json.loads(parts[_METADATA])["keras_version"]))
        _check_weights(parts[_WEIGHTS])
        values = list(_walk(config))
    except Exception as error:  # of many types, depending on what is wrong
        raise ValueError(
            f"{file} must be a whole .keras file. Received: {_reason(error)}"
        ) from error
    # Keras' safe mode refuses Lambda layers with code, but not those that name a known function.
    if any(value.get("class_name") in ("Lambda", "__lambda__") for value in values):
        raise ValueError(f"{file} must hold no Lambda layer, as those carry code. Received: one")
    classes = {
        name: keras.saving.get_registered_object(name)
        for value in values
        for key in ("registered_name", "config")  # a function's name is its config
        if isinstance(name := value.get(key), str)
    }
    try:
        weights = _count_weights(config, {name: x for name, x in classes.items() if x is not None})
        if weights > len(parts[_WEIGHTS]):
            raise ValueError(
                f"{weights:,} weights, for which the file has {len(parts[_WEIGHTS]):,} bytes"
            )
        return _load(parts)
    except Exception as error:  # of many types, depending on what is wrong
        unregistered = any(
            isinstance(value.get("module"), str)
            and not value["module"].startswith("keras")
            and classes.get(str(value.get("registered_name"))) is None
            for value in values
        )  # such a class no version of Keras could know
        if written_by > _version(keras.__version__) and not unregistered:
            raise ValueError(
                f"{file} holds something that only a newer Keras knows: Keras "
                f"{'.'.join(map(str, written_by))} wrote it, and it needs that version or a later "
                f"one. Received: Keras {keras.__version__}"
            ) from error
        raise ValueError(
            f"{file} must be a model that Keras can read. Received: {_reason(error)}"
        ) from error


def without_weights(build: Callable[[], _T]) -> _T:
    """What `build` returns, with the Keras variables that it makes only described.

    Their shapes are known, but nothing is allocated. It runs in a thread of its own, as Keras keeps
    lists of such variables, and the numbers in the names of layers, by thread.
    """

    def run() -> _T:
        with keras.StatelessScope(initialize_variables=False):
            return build()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(run).result()


def _is_wanted(name: str) -> bool:
    return name in (_CONFIG, _METADATA, _WEIGHTS) or name.startswith(_ASSETS)


def _check_weights(content: bytes) -> None:
    """Checks that reading the weights takes no more memory than they take in the file.

    Keras writes each array as it is. Compressed or virtual ones, or those of other files, can be of
    any size.
    """
    declared = 0

    def check(name: str, item: h5py.Group | h5py.Dataset) -> None:
        nonlocal declared
        if isinstance(item, h5py.Group):
            if not all(isinstance(item.get(key, getlink=True), h5py.HardLink) for key in item):
                raise ValueError(f"a link to elsewhere in {name!r} of {_WEIGHTS}")
            return
        if item.dtype.hasobject or item.external or item.is_virtual:
            raise ValueError(f"{name!r} in {_WEIGHTS} that is no plain array")
        declared += (item.size or 0) * item.dtype.itemsize
        if declared > len(content):
            raise ValueError(f"{_WEIGHTS} of {len(content):,} bytes with arrays of more")

    with h5py.File(io.BytesIO(content), "r") as file:
        check("/", file)
        file.visititems(check)


def _count_weights(config: Any, classes: dict[str, Any]) -> int:
    """The number of weights that a model would have."""
    if not isinstance(config, dict):
        raise ValueError(f"a configuration that is no object: {config!r:.100}")

    def build() -> Any:
        # As `load_model` does; `classes` also holds those that the calling thread alone knows.
        return keras.saving.deserialize_keras_object(
            {**config, "compile_config": None}, custom_objects=classes, safe_mode=True
        )

    model = without_weights(build)
    if not isinstance(model, keras.Model):
        raise ValueError(f"no model but a {type(model).__name__}")
    return sum(math.prod(variable.shape) for variable in model.variables)


def _load(parts: dict[str, bytes]) -> keras.Model:
    """Has Keras read exactly the parts that were checked."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "model.keras"
        with zipfile.ZipFile(copy, "w") as archive:
            for name, part in parts.items():
                archive.writestr(name, part)
        return keras.models.load_model(copy, compile=False, safe_mode=True)


def _reason(error: Exception) -> str:
    # Keras says the reason last, after the configs of all that it is nested in.
    text = str(error).rpartition("Exception encountered: ")[2]
    return printable(text) or type(error).__name__


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)[:3])


def _walk(config: Any) -> Iterator[dict[str, Any]]:
    """All objects in what was parsed from JSON."""
    waiting = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
