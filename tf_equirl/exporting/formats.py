"""How each format is written and, for the check, run."""

from __future__ import annotations

import importlib.util
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_equirl._portable import save


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes:
        suffix: The end of the file's name; empty for a folder.
        packages: What it needs beside TensorFlow, as modules and as `pip` names them.
        write: Writes a plain model.
        run: Loads what was written, and applies it to states in the structure of the model's
            inputs; the outputs as a flat list. The model itself gives names only.
    """

    suffix: str
    packages: tuple[str, ...]
    write: Callable[[keras.Model, Path], Any]
    run: Callable[[Path, keras.Model, Any], list[Any]]

    def missing(self) -> list[str]:
        """The packages that are not installed."""
        return [name for name in self.packages if importlib.util.find_spec(name) is None]


def _run_keras(path: Path, model: keras.Model, states: Any) -> list[Any]:
    loaded = keras.models.load_model(path, compile=False, safe_mode=True)
    return keras.tree.flatten(loaded(states, training=False))


def _write_saved_model(model: keras.Model, path: Path) -> None:
    model.export(str(path), format="tf_saved_model", verbose=False)


def _run_saved_model(path: Path, model: keras.Model, states: Any) -> list[Any]:
    loaded = tf.saved_model.load(str(path))  # it owns the weights: it must outlive the call
    return keras.tree.flatten(loaded.serve(states))


def _write_tflite(model: keras.Model, path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _write_saved_model(_flat(model), Path(folder))
        path.write_bytes(tf.lite.TFLiteConverter.from_saved_model(folder).convert())


def _run_tflite(path: Path, model: keras.Model, states: Any) -> list[Any]:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        Interpreter = tf.lite.Interpreter
    with warnings.catch_warnings():
        # TensorFlow's own runtime, deprecated in favour of the other, reads the same files.
        warnings.filterwarnings("ignore", message=".*tf.lite.Interpreter is deprecated")
        interpreter = Interpreter(model_path=str(path))
    outputs = interpreter.get_signature_runner("serving_default")(**_by_name(model, states))
    return [outputs[f"output_{k}"] for k in range(len(outputs))]


def _write_onnx(model: keras.Model, path: Path) -> None:
    flat = _flat(model)
    # Keras refuses a model that was never called.
    flat([np.zeros([axis or 1 for axis in x.shape], x.dtype) for x in flat.inputs])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # NumPy's, about tf2onnx
        flat.export(str(path), format="onnx", verbose=False)


def _run_onnx(path: Path, model: keras.Model, states: Any) -> list[Any]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, _by_name(model, states))


def _flat(model: keras.Model) -> keras.Model:
    """The model with lists of inputs and outputs, whatever their structure was."""
    return keras.Model(list(model.inputs), list(model.outputs), name=model.name)


def _by_name(model: keras.Model, states: Any) -> dict[str, np.ndarray]:
    return dict(zip([x.name for x in model.inputs], keras.tree.flatten(states), strict=True))


FORMATS = {
    "keras": Format(".keras", (), save, _run_keras),
    "saved_model": Format("", (), _write_saved_model, _run_saved_model),
    "tflite": Format(".tflite", (), _write_tflite, _run_tflite),
    "onnx": Format(".onnx", ("onnx", "tf2onnx", "onnxruntime"), _write_onnx, _run_onnx),
}
"""The formats by name."""
