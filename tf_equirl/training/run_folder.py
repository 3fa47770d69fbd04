"""The folder of a run: what it is, how far it came, and its results. All writes are atomic."""

from __future__ import annotations

import csv
import dataclasses
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

import keras
import numpy as np
import tensorflow as tf

import tf_equirl
from tf_equirl._config import Config
from tf_equirl._files import write_atomically, write_text_atomically
from tf_equirl._portable import architecture, portable_config
from tf_equirl.envs import Environment

_PACKAGES = (
    "tensorflow",
    "keras",
    "tf-keras",
    "tf-agents",
    "tensorflow-probability",
    "numpy",
)
# "dense" and "dense_7"; the first of a process has no number.
_AUTOMATIC_NAME = re.compile(r"([a-z][a-z_]*?)(_\d+)?")


@dataclasses.dataclass(frozen=True)
class RunKind:
    """What tells the runs of one trainer from each other, and from those of another trainer.

    Attributes:
      trainer: name of the function that makes such runs.
      models: roles of the models that it trains.
      identity: keys of `run.json` that make two runs the same run; the rest of it only records.
      config: the config of its default values. A run that is older than a field has the default.
      defaults: values of keys that are younger than the first runs.
    """

    trainer: str
    models: frozenset[str]
    identity: tuple[str, ...]
    config: Config
    defaults: dict[str, Any]


def describe(
    env: Environment, config: Config, seeds: tuple[int, ...], models: dict[str, keras.Model]
) -> dict[str, Any]:
    """What every `run.json` says: all that is needed to know and to repeat a run."""
    return {
        "environment": env.name,
        "config": config.to_json(),
        "seeds": list(seeds),
        "environment_config": env.get_config(),
        "symmetry": env.symmetry.get_config(),
        "models": {role: architecture(model) for role, model in models.items()},
        "versions": {
            "python": platform.python_version(),
            "tf_equirl": tf_equirl.__version__,
            **_package_versions(),
        },
        "git_commit": _git_commit(),
    }


class RunFolder:
    """Reads and writes the files of one run.

    * `run.json`: configuration, seeds, models, package versions, git commit;
    * `checkpoint.npz`: everything needed to go on, and everything measured so far;
    * `results.csv`: what was measured, readable;
    * `tensorboard/`: event files.

    Args:
      path: the folder; made if missing.
      kind: which trainer's runs it holds.
    """

    def __init__(self, path: str | os.PathLike, kind: RunKind):
        """See the class."""
        self.path = Path(path)
        self.kind = kind
        self.checkpoint = self.path / "checkpoint.npz"
        self.tensorboard = self.path / "tensorboard"

    def open(self, description: dict[str, Any], resume: bool) -> None:
        """Claims the folder for a run.

        Raises:
          ValueError: if the folder holds a run and `resume` is False, or holds another run, or
            `run.json` is damaged, or there is nothing to resume.
        """
        file = self.path / "run.json"
        if not file.exists():
            if resume:
                raise ValueError(
                    f"run_dir must hold a run to resume. Received: run_dir={self.path}"
                )
            if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
                raise ValueError(
                    f"run_dir must be a new or empty folder, or one that holds a run. "
                    f"Received: run_dir={self.path}"
                )
            self.path.mkdir(parents=True, exist_ok=True)
            write_text_atomically(file, json.dumps(description, indent=2))
            return
        found = read_description(self.path, self.kind)
        different = [
            k
            for k in self.kind.identity
            if _comparable(k, found.get(k)) != _comparable(k, description[k])
        ]
        if different:
            raise ValueError(
                f"run_dir must be new, or hold this same run. Received: run_dir={self.path}, which "
                f"holds another run; it differs in {_differences(found, description, different)}"
            )
        if not resume:
            raise ValueError(
                f"run_dir must be new unless the run is resumed (resume=True). "
                f"Received: run_dir={self.path}, which holds this run already"
            )

    def save_checkpoint(self, arrays: dict[str, np.ndarray]) -> None:
        """Writes `arrays` to `checkpoint.npz`."""
        write_atomically(self.checkpoint, lambda stream: np.savez(stream, **cast(Any, arrays)))

    def load_checkpoint(self) -> dict[str, np.ndarray] | None:
        """Reads `checkpoint.npz`; None if no checkpoint was written yet.

        Raises:
          ValueError: if the file is damaged.
        """
        if not self.checkpoint.exists():
            return None
        try:
            with np.load(self.checkpoint, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        except (zipfile.BadZipFile, OSError, ValueError, EOFError, KeyError) as error:
            raise ValueError(
                f"the checkpoint must be a complete file. Received: {self.checkpoint}, which is "
                f"damaged ({error}). Delete it to train this run again from its start"
            ) from error

    def save_state(
        self, carries: Any, constants: Sequence[keras.Variable], others: dict[str, Any]
    ) -> None:
        """Writes a checkpoint of a run between two calls of its compiled program.

        Args:
          carries: nested tensors and variables that the program goes on from.
          constants: variables that are not trained but belong to the trained weights.
          others: further arrays or numbers by name.
        """
        arrays = {name: np.asarray(value) for name, value in others.items()}
        for i, tensor in enumerate(tf.nest.flatten(carries)):
            arrays[f"carry/{i}"] = tensor.numpy()
        for i, variable in enumerate(constants):
            arrays[f"constant/{i}"] = keras.ops.convert_to_numpy(variable)
        self.save_checkpoint(arrays)

    def load_state(
        self, carries: Any, constants: Sequence[keras.Variable], others: Iterable[str]
    ) -> tuple[Any, dict[str, np.ndarray]] | None:
        """What `save_state` wrote; the constants are assigned. None if there is no checkpoint yet.

        Args:
          carries: nested tensors and variables of the same shapes; the latter are assigned.
          constants: the variables.
          others: names that the checkpoint must hold.

        Returns:
          The carries and the other arrays.

        Raises:
          ValueError: if the file is damaged or holds other arrays.
        """
        arrays = self.load_checkpoint()
        if arrays is None:
            return None
        wanted = {f"carry/{i}": x.shape for i, x in enumerate(tf.nest.flatten(carries))}
        fixed = {f"constant/{i}": tuple(v.shape) for i, v in enumerate(constants)}
        kinds = ("carry/", "constant/")
        found = {name: arrays[name].shape for name in arrays if name.startswith(kinds)}
        if found != {**wanted, **fixed} or not set(others) <= set(arrays):
            raise ValueError(
                "the checkpoint must be one of this run. "
                f"Received: {self.checkpoint}, which holds other arrays"
            )
        for name, variable in zip(fixed, constants, strict=True):
            variable.assign(arrays[name])

        def restored(like, name):
            array = arrays.pop(name)  # one copy at a time
            if not isinstance(like, tf.Variable):
                return tf.constant(array)
            like.assign(array)
            return like

        tensors = [restored(*pair) for pair in zip(tf.nest.flatten(carries), wanted, strict=True)]
        return tf.nest.pack_sequence_as(carries, tensors), arrays

    def write_rows(
        self, header: Sequence[str], rows: Iterable[Sequence[Any]], name: str = "results.csv"
    ) -> None:
        """Writes a table to the file `name`."""

        def write_csv(stream: BinaryIO) -> None:
            writer = csv.writer(_Lines(stream), lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)

        write_atomically(self.path / name, write_csv)


def read_description(path: str | os.PathLike, kind: RunKind) -> dict[str, Any]:
    """The contents of a run folder's `run.json`.

    Raises:
      ValueError: if the folder holds no run or another trainer's, or the file is damaged.
    """
    description = {**kind.defaults, **read_any_description(path)}
    if not set(kind.identity) <= set(description) or kind.models != set(description["models"]):
        raise ValueError(
            f"run_dir must hold a run of {kind.trainer}. Received: run_dir={path}, whose run.json "
            "describes none"
        )
    if isinstance(description["config"], dict):  # fields that are younger than the run
        description["config"] = {**kind.config.to_json(), **description["config"]}
    return description


def read_any_description(path: str | os.PathLike) -> dict[str, Any]:
    """The contents of the `run.json` of whichever trainer's run.

    Raises:
      ValueError: if the folder holds no run, or the file is damaged.
    """
    file = Path(path) / "run.json"
    if not file.exists():
        raise ValueError(f"run_dir must hold a run (a run.json). Received: run_dir={path}")
    try:
        description = json.loads(file.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"run.json must be JSON. Received: {file} ({error})") from error
    if not isinstance(description, dict) or not isinstance(description.get("models"), dict):
        raise ValueError(f"run.json must describe a run. Received: {file}, which does not")
    return description


class _Lines:
    """Lets the csv module write text to a binary file."""

    def __init__(self, stream: BinaryIO):
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(text.encode())


def _comparable(key: str, value: Any) -> Any:
    """`nameless`; each model alone: one that was loaded may share names with one that is made."""
    if key == "models" and isinstance(value, dict):
        return {role: nameless(portable_config(model)) for role, model in value.items()}
    return nameless(value)


def nameless(value: Any, known: dict[str, int] | None = None) -> Any:
    """`value` without what Keras numbers anew in every process: names and ids of objects.

    A numbered name ("dense_7") becomes the order of its first appearance, so that references to it
    still tell one layer from another.
    """
    known = {} if known is None else known
    if isinstance(value, dict):
        left_out = ("shared_object_id",)
        return {k: nameless(v, known) for k, v in value.items() if k not in left_out}
    if isinstance(value, list):
        return [nameless(v, known) for v in value]
    if isinstance(value, str) and (match := _AUTOMATIC_NAME.fullmatch(value)):
        return f"{match[1]} {known.setdefault(value, len(known))}"
    return value


def _package_versions() -> dict[str, str]:
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return versions


def _git_commit() -> str | None:
    """Commit of the checkout that this code runs from; None outside of one."""
    checkout = Path(__file__).parents[2]
    if not (checkout / ".git").exists():
        return None
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None


def _differences(found: dict, wanted: dict, keys: list[str]) -> str:
    parts = []
    for key in keys:
        old, new = found.get(key), wanted[key]
        if key.endswith("config") and isinstance(old, dict):
            parts += [
                f"{name} ({old.get(name)!r} there, {value!r} here)"
                for name, value in new.items()
                if old.get(name) != value
            ]
        elif key in ("models", "symmetry"):
            parts.append(f"the {key}")
        else:
            parts.append(f"{key} ({_short(old)} there, {_short(new)} here)")
    return ", ".join(parts)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 60 else f"{text[:57]}..."
