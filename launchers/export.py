"""Writes a model of the zoo, or one of yours, such that it runs without tf_equirl.

python -m launchers.export --model=cartpole-ppo-gcnn --output=actor.keras
python -m launchers.export --model=my_actor.keras --format=onnx --output=actor.onnx

What was written is run and compared with the model before it is put in place.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from . import common

_MODEL = flags.DEFINE_string("model", None, "name of a zoo model, or path of a .keras file")
_ZOO_DIR = flags.DEFINE_string("zoo_dir", None, common.ZOO_DIR)
_CRITIC = flags.DEFINE_bool("critic", False, "export the critic of a zoo model, not its actor")
_FORMAT = flags.DEFINE_enum(
    "format",
    "keras",
    ["keras", "saved_model", "tflite", "onnx"],
    "keras: ordinary Keras layers only; saved_model: a TensorFlow SavedModel",
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "where to: a .keras, .tflite or .onnx file, or the folder of a SavedModel"
)


def main() -> None:
    """Loads, exports, says what was written."""
    from tf_equirl import exporting, zoo

    for flag in (_MODEL, _OUTPUT):
        if not flag.value:
            raise ValueError(f"--{flag.name} must be given. Received: {flag.name}={flag.value}")
    name = _MODEL.value
    if _CRITIC.value and name.endswith(".keras"):
        raise ValueError(
            "--critic needs the name of a zoo model; a file is exported as it is. Received: "
            f"model={name}"
        )
    policy = zoo.POLICY.text
    if _CRITIC.value:
        model = zoo.load(name, _ZOO_DIR.value, must_be=policy).critic
    else:
        model = zoo.load_model(name, _ZOO_DIR.value, must_be=policy)
    try:
        exported = exporting.export(model, _OUTPUT.value, _FORMAT.value)
    except ImportError as error:  # an optional converter
        raise ValueError(str(error)) from error
    print(
        f"written: {exported.path} ({_size(exported.path):,} bytes)\n"
        f"largest difference from {model.name} on random states: {exported.difference:.1e} of the "
        "largest output"
    )


def run() -> None:
    """Entry point of the console script."""
    common.launch(main, lambda: "Nothing was written.")


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


if __name__ == "__main__":
    run()
