"""The folder of a run: what it is, how far it came, and its results. All writes are atomic."""

from __future__ import annotations

import csv
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import zipfile
from pathlib import Path
from typing import Any, BinaryIO, cast

import keras
import numpy as np

import tf_equirl
from tf_equirl._files import write_atomically, write_text_atomically
from tf_equirl.agents.config import PPOConfig
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
# What makes two runs the same run; the rest of run.json only records.
_IDENTITY = (
    "environment",
    "environment_config",
    "config",
    "seeds",
    "symmetry",
    "models",
    "start_from",
)


def describe_run(
    env: Environment,
    config: PPOConfig,
    seeds: tuple[int, ...],
    actor: keras.Model,
    critic: keras.Model,
    start_from: str | None,
) -> dict[str, Any]:
    """The contents of `run.json`: all that is needed to know and to repeat a run."""
    return {
        "environment": env.name,
        "config": config.to_json(),
        "seeds": list(seeds),
        "environment_config": env.get_config(),
        "symmetry": env.symmetry.get_config(),
        "models": {"actor": json.loads(actor.to_json()), "critic": json.loads(critic.to_json())},
        "start_from": start_from,
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
    * `results.csv`: one row per seed and update; `returns.npz`: every step's returns;
    * `tensorboard/`: event files.

    Args:
      path: the folder; made if missing.
    """

    def __init__(self, path: str | os.PathLike):
        """See the class."""
        self.path = Path(path)
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
        found = read_description(self.path)
        different = [k for k in _IDENTITY if nameless(found.get(k)) != nameless(description[k])]
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

    def write_results(
        self, seeds: tuple[int, ...], batch_size: int, history: dict[str, np.ndarray]
    ) -> None:
        """Writes `results.csv` and `returns.npz`.

        Args:
          seeds: the seeds.
          batch_size: environment steps of a seed and update.
          history: arrays `[updates, ..., seeds]`; see `TrainingResult`.
        """
        names = [name for name, values in history.items() if values.ndim == 2 and name != "finite"]
        columns = {"mean_return": history["returns"].mean(axis=1), **{n: history[n] for n in names}}

        def write_csv(stream: BinaryIO) -> None:
            lines = _Lines(stream)
            writer = csv.writer(lines, lineterminator="\n")
            writer.writerow(["seed", "update", "timestep", *columns])
            for column, seed in enumerate(seeds):
                for update in range(len(history["returns"])):
                    row = [f"{values[update, column]:.6g}" for values in columns.values()]
                    if "nan" not in row[0]:
                        writer.writerow([seed, update, (update + 1) * batch_size, *row])

        write_atomically(self.path / "results.csv", write_csv)
        write_atomically(
            self.path / "returns.npz",
            lambda stream: np.savez_compressed(
                stream,
                seeds=np.array(seeds),
                returns=history["returns"],
                first_returns=history["first_returns"],
            ),
        )


def read_description(path: str | os.PathLike) -> dict[str, Any]:
    """The contents of a run folder's `run.json`.

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
    if isinstance(description, dict):
        description.setdefault("start_from", None)  # younger than the first runs
    if not isinstance(description, dict) or not set(_IDENTITY) <= set(description):
        raise ValueError(f"run.json must describe a run. Received: {file}, which does not")
    if isinstance(description["config"], dict):  # fields that are younger than the run
        description["config"] = {**PPOConfig().to_json(), **description["config"]}
    return description


class _Lines:
    """Lets the csv module write text to a binary file."""

    def __init__(self, stream: BinaryIO):
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(text.encode())


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
