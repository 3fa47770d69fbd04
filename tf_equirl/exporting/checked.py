"""Export with a check: nothing is put in place that does not compute what the model computes."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tf_equirl._quiet import quiet_imports
from tf_equirl.exporting.formats import FORMATS, Format
from tf_equirl.exporting.plain import to_plain

TOLERANCE = 1e-5
"""The largest difference allowed, relative to the largest output: rounding in float32."""

_NUM_STATES = 64


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        path: The file, or the folder of a SavedModel.
        difference: The largest difference between its outputs and the model's on the states of the
            check, relative to the largest output.
    """

    path: Path
    difference: float


def export(
    model: keras.Model, path: str | os.PathLike, format: str = "keras", states: Any = None
) -> Exported:
    """Writes a model such that it runs without tf_equirl.

    The model is made plain (`to_plain`), written beside `path`, loaded again from there by the
    format's own runtime and run on `states`. Only if its outputs are those of `model`, up to
    `TOLERANCE`, it is moved to `path`; otherwise nothing is left behind. An existing file is
    replaced in one step.

    Args:
        model: A functional or `Sequential` model.
        path: Where to. Its ending must be the format's: .keras, .tflite, .onnx; a SavedModel is a
            folder, which must be new or empty.
        format: One of `FORMATS`: "keras" for a model of Keras' own layers, "saved_model" for
            TensorFlow, "tflite", "onnx".
        states: A batch of inputs to check with, in the structure of the model's inputs. If None,
            standard normal numbers from a fixed seed.

    Returns:
        The path and the difference found.

    Raises:
        ImportError: If the format needs packages that are not installed; the message has the
            `pip` command.
        ValueError: If an argument is wrong, the model has no plain form, a converter fails, or the
            outputs differ.
    """
    if format not in FORMATS:
        raise ValueError(
            f"`format` must be one of {', '.join(FORMATS)}. Received: format={format!r}"
        )
    chosen, path = FORMATS[format], Path(path)
    _check_path(path, chosen, format)
    if chosen.missing():
        raise ImportError(
            f"export to {format} needs {', '.join(chosen.missing())}. Install with: "
            f"pip install {' '.join(chosen.packages)}"
        )
    plain = to_plain(model)
    if states is None:
        states = _random_states(model)
    expected = [_array(x) for x in keras.tree.flatten(model(states, training=False))]
    if not all(x.size and np.all(np.isfinite(x)) for x in expected):
        raise ValueError(
            "`model` must have finite outputs on `states`, of which there must be some. "
            f"Received: model={model.name!r}"
        )
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        written = folder / path.name
        received = _write_and_run(chosen, format, plain, written, states)
        difference = _difference(expected, received)
        if not difference <= TOLERANCE:  # also true when it is NaN
            raise ValueError(
                f"the exported model must compute what the model computes, up to {TOLERANCE} of "
                f"its largest output; nothing was written. Received: difference={difference:.3g}"
            )
        written.replace(path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Exported(path, difference)


def _check_path(path: Path, chosen: Format, format: str) -> None:
    ending = f"end in {chosen.suffix}" if chosen.suffix else "have no ending of another format"
    endings = {other.suffix for other in FORMATS.values()} - {""}
    wrong = path.suffix != chosen.suffix if chosen.suffix else path.suffix in endings
    if wrong or not path.name:
        raise ValueError(f"`path` must {ending} for format {format!r}. Received: path={path}")
    if not path.parent.is_dir():
        raise ValueError(f"`path` must be in a folder that exists. Received: path={path}")
    is_folder = path.is_dir()
    if path.exists() and (is_folder if chosen.suffix else not is_folder or any(path.iterdir())):
        kind = "a file or new" if chosen.suffix else "a folder that is new or empty"
        raise ValueError(f"`path` must be {kind}. Received: path={path}, which exists")


def _write_and_run(
    chosen: Format, format: str, plain: keras.Model, written: Path, states: Any
) -> list[np.ndarray]:
    try:
        # Converters and runtimes greet on standard error; they are heard if they fail.
        with quiet_imports():
            chosen.write(plain, written)
            return [_array(x) for x in chosen.run(written, plain, states)]
    except Exception as error:  # converters raise all kinds
        raise ValueError(
            f"the converter to {format} failed on model {plain.name!r}; nothing was written. "
            f"Received: {type(error).__name__}: {error}"
        ) from error


def _random_states(model: keras.Model) -> Any:
    rng = np.random.default_rng(0)

    def draw(spec: Any) -> np.ndarray:
        if not keras.backend.is_float_dtype(spec.dtype):
            raise ValueError(
                "`states` must be given for a model whose inputs are no floating-point numbers. "
                f"Received: states=None, input {spec.name!r} of type {spec.dtype}"
            )
        batch, *axes = spec.shape
        shape = (batch or _NUM_STATES, *(axis or 3 for axis in axes))
        return rng.normal(size=shape).astype(spec.dtype)

    structure = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    return keras.tree.map_structure(draw, structure)


def _difference(expected: list[np.ndarray], received: list[np.ndarray]) -> float:
    """The largest difference of any output, relative to that output's largest number."""
    if [x.shape for x in expected] != [x.shape for x in received]:
        return float("inf")
    pairs = zip(expected, received, strict=True)
    return float(np.max([np.max(np.abs(a - b)) / (np.max(np.abs(a)) or 1.0) for a, b in pairs]))


def _array(tensor: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(tensor), dtype=np.float64)
