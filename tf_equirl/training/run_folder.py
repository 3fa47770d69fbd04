"""The folder of a run: what it is, how far it came, and its results. All writes are atomic."""

from __future__ import annotations

import csv
import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

import keras
import numpy as np

import tf_equirl
from tf_equirl._files import write_atomically, write_text_atomically
from tf_equirl._portable import architecture, comparable
from tf_equirl.envs import Environment
from tf_equirl.training.config import Config

FORMAT = 2
"""Of `run.json` and of checkpoints; another one is refused, not guessed at."""
# What else is written down does not tell one run from another.
_RECORDS = ("versions", "git_commit", "data_provenance", "validation_provenance")
_FORMAT_KEY, _IDENTITY_KEY = "format", "identity"
_PACKAGES = (
    "tensorflow",
    "keras",
    "tf-keras",
    "tf-agents",
    "tensorflow-probability",
    "numpy",
)


def describe(
    trainer: str,
    env: Environment,
    config: Config,
    seeds: tuple[int, ...],
    networks: Mapping[str, keras.Model],
) -> dict[str, Any]:
    """What every `run.json` says: all that is needed to know and to repeat a run."""
    return {
        "format": FORMAT,
        "trainer": trainer,
        "environment": env.name,
        "config": config.to_json(),
        "seeds": list(seeds),
        "environment_config": env.get_config(),
        "symmetry": env.symmetry.get_config(),
        "models": {role: architecture(model) for role, model in networks.items()},
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
      description: the contents of `run.json`, see `describe`.
      config_type: class of the config, by which a folder from before one of its fields existed is
        still known; None takes what `run.json` says as it is.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        description: Mapping[str, Any],
        config_type: type[Config] | None = None,
    ):
        self.path = Path(path)
        self.config_type = config_type
        self.description = dict(description)
        self.identity = identity(description)
        self.checkpoint = self.path / "checkpoint.npz"
        self.tensorboard = self.path / "tensorboard"

    def open(self, resume: bool) -> None:
        """Claims the folder for the run.

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
            write_text_atomically(file, json.dumps(self.description, indent=2))
            return
        written = read_description(self.path, self.description["trainer"])
        found = {**written, "config": self._completed(written["config"])}
        if identity(found) != self.identity:
            raise ValueError(
                f"run_dir must be new, or hold this same run. Received: run_dir={self.path}, which "
                f"holds another run; it differs in {_differences(found, self.description)}"
            )
        if not resume:
            raise ValueError(
                f"run_dir must be new unless the run is resumed (resume=True). "
                f"Received: run_dir={self.path}, which holds this run already"
            )
        self.identity = identity(written)  # which its checkpoints have

    def _completed(self, config: Any) -> Any:
        """A config with the defaults of fields that it does not name."""
        if self.config_type is None or not isinstance(config, dict):
            return config
        try:
            return self.config_type.from_json(config).to_json()
        except (TypeError, ValueError):  # a config of another kind, which is told as a difference
            return config

    def save_checkpoint(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Writes arrays by name to `checkpoint.npz`, with the format and the run's identity."""
        known = {_FORMAT_KEY: np.array(FORMAT), _IDENTITY_KEY: np.array(self.identity)}
        write_atomically(
            self.checkpoint, lambda stream: np.savez(stream, **cast(Any, {**known, **arrays}))
        )

    def load_checkpoint(self) -> dict[str, np.ndarray] | None:
        """Reads `checkpoint.npz`; None if no checkpoint was written yet.

        Raises:
          ValueError: if the file is damaged, of another format or of another run.
        """
        if not self.checkpoint.exists():
            return None
        try:
            with np.load(self.checkpoint, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
        except (zipfile.BadZipFile, OSError, ValueError, EOFError, KeyError) as error:
            raise ValueError(
                f"the checkpoint must be a complete file. Received: {self.checkpoint}, which is "
                f"damaged ({error}). Delete it to train this run again from its start"
            ) from error
        found = str(arrays.pop(_FORMAT_KEY, None)), str(arrays.pop(_IDENTITY_KEY, None))
        if found != (str(FORMAT), self.identity):
            raise ValueError(
                f"the checkpoint must be one of this run, of format {FORMAT}. "
                f"Received: {self.checkpoint}, which is another run's or of another format"
            )
        return arrays

    def refuse_checkpoint(self, what: str) -> ValueError:
        """The error that says in what a checkpoint is not one of this run."""
        return ValueError(
            "the checkpoint must be one of this run. "
            f"Received: {self.checkpoint}, which holds other arrays: {what}"
        )

    def write_rows(
        self, header: Sequence[str], rows: Iterable[Sequence[Any]], name: str = "results.csv"
    ) -> None:
        """Writes a table to the file `name`."""

        def write_csv(stream: BinaryIO) -> None:
            writer = csv.writer(_Lines(stream), lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)

        write_atomically(self.path / name, write_csv)


def identity(description: Mapping[str, Any]) -> str:
    """A hash of all in a description that tells one run from another."""
    kept = {k: _comparable(k, v) for k, v in description.items() if k not in _RECORDS}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def read_description(path: str | os.PathLike, trainer: str) -> dict[str, Any]:
    """The contents of a run folder's `run.json`.

    Raises:
      ValueError: if the folder holds no run or another trainer's, or one of another format, or the
        file is damaged.
    """
    description = read_any_description(path)
    if description["trainer"] != trainer:
        raise ValueError(
            f"run_dir must hold a run of {trainer}. Received: run_dir={path}, which holds one of "
            f"{description['trainer']}"
        )
    return description


def read_any_description(path: str | os.PathLike) -> dict[str, Any]:
    """The contents of the `run.json` of whichever trainer's run.

    Raises:
      ValueError: if the folder holds no run, or one of another format, or the file is damaged.
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
    if description.get("format") != FORMAT:
        raise ValueError(
            f"run.json must be of format {FORMAT}. Received: {file} of format "
            f"{description.get('format', 1)!r}. Runs of other formats are read by the version of "
            "tf_equirl that made them, which `versions` in this file names with its `git_commit`"
        )
    wanted = {"trainer", "environment", "config", "seeds", "environment_config", "symmetry"}
    missing = sorted(wanted - set(description))
    if missing:
        raise ValueError(f"run.json must describe a run. Received: {file}, without {missing}")
    return description


class _Lines:
    """Lets the csv module write text to a binary file."""

    def __init__(self, stream: BinaryIO):
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(text.encode())


def _comparable(key: str, value: Any) -> Any:
    """As JSON gives it back; of models without what Keras numbers anew in every process."""
    if key == "models":
        return {role: None if m is None else comparable(m) for role, m in value.items()}
    return json.loads(json.dumps(value))


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


def _differences(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    parts = []
    for key in wanted:
        old, new = found.get(key), wanted[key]
        if key in _RECORDS or _comparable(key, old or {}) == _comparable(key, new or {}):
            continue
        if key.endswith("config") and isinstance(old, dict):
            parts += [
                f"{name} ({_short(old.get(name))} there, {_short(value)} here)"
                for name, value in json.loads(json.dumps(new)).items()
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
