"""The folder of a run: what it is, how far it came, and its results. All writes are atomic."""

from __future__ import annotations

import contextlib
import copy
import csv
import hashlib
import importlib.metadata
import json
import numbers
import os
import platform
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import keras
import numpy as np

import tf_equirl
from tf_equirl._files import (
    is_empty,
    locked,
    remove_partial,
    write_atomically,
    write_text_atomically,
)
from tf_equirl._portable import architecture, comparable
from tf_equirl.envs import BaseEnvironment, make, names
from tf_equirl.envs.registry import from_recipe, recipe
from tf_equirl.training.checkpoint import FORMAT, Checkpoint, open_checkpoint, write_checkpoint
from tf_equirl.training.config import Config

# What else is written down does not tell one run from another.
_RECORDS = (
    "versions",
    "git_commit",
    "data_provenance",
    "validation_provenance",
    "environment_recipe",
    "start_place",
    "former",
)
_LARGEST_DESCRIPTION = 64 * 2**20  # bytes; models of hundreds of layers take one
_FIELDS = {
    "trainer": str,
    "environment": str,
    "config": dict,
    "seeds": list,
    "environment_config": dict,
    "symmetry": dict,
    "versions": dict,
    "identity": str,
}
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
    env: BaseEnvironment,
    config: Config,
    seeds: tuple[int, ...],
    networks: Mapping[str, keras.Model],
) -> dict[str, Any]:
    """What every `run.json` says: all that is needed to know and to repeat a run.

    Raises:
        ValueError: If the environment's configuration cannot be written down.
    """
    return {
        "format": FORMAT,
        "trainer": trainer,
        "config": config.to_json(),
        "seeds": list(seeds),
        **describe_environment(env),
        "environment_recipe": recipe(env),
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

    The last two are in a folder for each config, `config-0` and so on, where a run has several.

    Args:
        path: The folder; made if missing.
        description: The contents of `run.json`, see `describe`.
        config_type: Class of the config, by which a folder from before one of its fields existed is
            still known; None takes what `run.json` says as it is.
        length: The field of the config that says how long the run is, where a longer one begins as
            a shorter one does; None where there is none.
        fixed_by: What makes this config depend on the length all the same, or None.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        description: Mapping[str, Any],
        config_type: type[Config] | None = None,
        length: str | None = None,
        fixed_by: str | None = None,
    ):
        self.path = Path(path)
        self.length = length
        self.fixed_by = fixed_by
        # Seeds by identity that the run had before it was made longer, or given more seeds.
        self.extends = False
        self.former: dict[str, list[int]] = dict(description.get("former", {}))
        self.config_type = config_type
        self.description = dict(description)
        self.identity = identity(description)
        self.checkpoint = self.path / "checkpoint.npz"
        self.tensorboard = self.path / "tensorboard"

    def below(self, config: int) -> RunFolder:
        """The folder of the results of one config, where a run has several: `config-0`, ..."""
        folder = copy.copy(self)
        folder.path = self.path / f"config-{config}"
        folder.tensorboard = folder.path / "tensorboard"
        return folder

    @contextlib.contextmanager
    def claimed(self, resume: bool) -> Iterator[None]:
        """Keeps the folder for the run, and other processes out of it.

        Raises:
            ValueError: If the folder holds a run and `resume` is False, or holds another run, or
                `run.json` is damaged, or there is nothing to resume, or another process has it.
        """
        self._check(resume)
        self.path.mkdir(parents=True, exist_ok=True)
        with locked(self.path, "run_dir"):
            self._check(resume)  # another process may have come first
            for folder in (self.path, *self.path.glob("config-*")):
                remove_partial(folder)
            self.write_description()
            yield

    def write_description(self) -> None:
        """Writes `run.json` where it is missing, and the folder, which someone may have deleted."""
        file = self.path / "run.json"
        if self.extends or not file.exists():
            self.path.mkdir(parents=True, exist_ok=True)
            former = {"former": self.former} if self.former else {}
            content = {**self.description, **former, "identity": self.identity}
            write_text_atomically(file, json.dumps(content, indent=2))
            self.extends = False

    def _check(self, resume: bool) -> None:
        self.extends = False
        file = self.path / "run.json"
        if not file.exists():
            if resume:
                raise ValueError(
                    f"run_dir must hold a run to resume. Received: run_dir={self.path}"
                )
            if not self.path.exists() or is_empty(self.path):
                return
            if not file.exists():  # another process may have written it by now
                raise ValueError(
                    f"run_dir must be a new or empty folder, or one that holds a run. "
                    f"Received: run_dir={self.path}"
                )
        written = read_description(self.path, self.description["trainer"])
        found = {**written, "config": self._completed(written["config"])}
        if isinstance(written.get("configs"), list):
            found["configs"] = [self._completed(config) for config in written["configs"]]
        self.former = dict(written.get("former", {}))
        if resume and self._extends(found):
            self.extends = True
            self.former[written["identity"]] = written["seeds"]
            return
        if identity(found) != identity(self.description):
            raise ValueError(
                f"run_dir must be new, or hold this same run. Received: run_dir={self.path}, which "
                f"holds another run; it differs in {_differences(found, self.description)}"
            )
        if not resume:
            raise ValueError(
                f"run_dir must be new unless the run is resumed (resume=True). "
                f"Received: run_dir={self.path}, which holds this run already"
            )
        self.identity = written["identity"]  # which its checkpoints have

    def _extends(self, found: dict[str, Any]) -> bool:
        """Whether this run is the one that was found, made longer or given more seeds.

        Raises:
            ValueError: If it is, but shorter, or its config depends on the length.
        """
        here = self.description
        changed = {**found, "seeds": here["seeds"]}
        before = after = 0
        if self.length is not None and isinstance(found["config"], dict):
            before, after = found["config"].get(self.length, 0), here["config"][self.length]
            changed["config"] = {**found["config"], self.length: after}
        if (
            "configs" in here
            or identity(changed) != identity(here)
            or not set(found["seeds"]) <= set(here["seeds"])
        ):
            return False
        if before != after:
            received = f"Received: run_dir={self.path} of {self.length}={before}, {after} here"
            if self.fixed_by is not None:
                raise ValueError(
                    f"a run can be made longer where nothing depends on its length, as "
                    f"{self.fixed_by} does. {received}"
                )
            if before > after:
                raise ValueError(f"{self.length} must be at least that of the run. {received}")
        return before != after or found["seeds"] != here["seeds"]

    def seeds_of(self, checkpoint: Checkpoint) -> list[int]:
        """The seeds that a checkpoint of this run holds."""
        return self.former.get(checkpoint.identity, self.description["seeds"])

    def _completed(self, config: Any) -> Any:
        """A config with the defaults of fields that it does not name."""
        if self.config_type is None or not isinstance(config, dict):
            return config
        try:
            return self.config_type.from_json(config).to_json()
        except (TypeError, ValueError):  # a config of another kind, which is told as a difference
            return config

    def save_checkpoint(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Writes arrays by name to `checkpoint.npz`."""
        self.write_description()
        write_checkpoint(self.checkpoint, self.identity, arrays)

    @contextlib.contextmanager
    def saved(self) -> Iterator[Checkpoint | None]:
        """Opens `checkpoint.npz`; None if no checkpoint was written yet.

        Raises:
            ValueError: If the file is damaged, of another format or of another run.
        """
        if not self.checkpoint.exists():
            yield None
            return
        with open_checkpoint(self.checkpoint, self.identity, self.former) as checkpoint:
            yield checkpoint

    def write_rows(
        self, header: Sequence[str], rows: Iterable[Sequence[Any]], name: str = "results.csv"
    ) -> None:
        """Writes a table to the file `name`."""

        def write_csv(stream: BinaryIO) -> None:
            writer = csv.writer(_Lines(stream), lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)

        self.path.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path / name, write_csv)


def identity(description: Mapping[str, Any]) -> str:
    """A hash of all in a description that tells one run from another."""
    left_out = (*_RECORDS, "identity")
    kept = {k: _comparable(k, v) for k, v in description.items() if k not in left_out}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def describe_environment(env: BaseEnvironment) -> dict[str, Any]:
    """What a description says of an environment.

    Raises:
        ValueError: If its `get_config` holds something that JSON cannot say.
    """
    config = env.get_config()
    if not isinstance(config, Mapping):
        raise ValueError(
            f"env.get_config() must be a dict of plain values. Received: env={env.name}, whose "
            f"is {_short(config)}"
        )
    return {
        "environment": env.name,
        "environment_config": {
            key: _plain(value, f"env.get_config() of {env.name}", key)
            for key, value in config.items()
        },
        "symmetry": env.symmetry.get_config(),
    }


def environment_again(description: Mapping[str, Any]) -> Any:
    """The environment of a run, made as `environment_recipe` says, or else by its name.

    Raises:
        ValueError: If it cannot be made.
    """
    name, how = description["environment"], description.get("environment_recipe")
    env = make(name) if how is None or name in names() else None
    if how is None or (env is not None and _is_described(env, description)):
        return env
    return from_recipe(how)


def _is_described(env: BaseEnvironment, description: Mapping[str, Any]) -> bool:
    return all(same(value, description[key]) for key, value in describe_environment(env).items())


def same(one: Any, other: Any) -> bool:
    """Whether two plain values are the same: NaN is, 1 and True are not."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def read_description(path: str | os.PathLike, trainer: str) -> dict[str, Any]:
    """The contents of a run folder's `run.json`.

    Raises:
        ValueError: If the folder holds no run or another trainer's, or one of another format, or
            the file is damaged or was changed.
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
        ValueError: If the folder holds no run, or one of another format, or the file is damaged or
            was changed.
    """
    file = Path(path) / "run.json"
    if not file.exists():
        raise ValueError(f"run_dir must hold a run (a run.json). Received: run_dir={path}")
    if file.stat().st_size > _LARGEST_DESCRIPTION:
        raise ValueError(
            f"run.json must have at most {_LARGEST_DESCRIPTION:,} bytes. Received: {file} of "
            f"{file.stat().st_size:,}"
        )
    try:
        description = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # of JSON, of UTF-8, and lists in lists in lists
        raise ValueError(f"run.json must be JSON. Received: {file} ({error})") from error
    if not isinstance(description, dict) or not isinstance(description.get("models"), dict):
        raise ValueError(f"run.json must describe a run. Received: {file}, which does not")
    if description.get("format") != FORMAT:
        raise ValueError(
            f"run.json must be of format {FORMAT}. Received: {file} of format "
            f"{_short(description.get('format', 1))}. Runs of other formats are read by the "
            "version of tf_equirl that made them, which `versions` in this file names with its "
            "`git_commit`"
        )
    missing = sorted({*_FIELDS} - set(description))
    if missing:
        raise ValueError(f"run.json must describe a run. Received: {file}, without {missing}")
    for field, kind in _FIELDS.items():
        if not isinstance(description[field], kind):
            raise ValueError(
                f"{field} in run.json must be a {kind.__name__}. Received: {file} with "
                f"{field}={_short(description[field])}"
            )
    try:
        found = identity(description)
    except RecursionError as error:
        raise ValueError(f"run.json must describe a run. Received: {file} ({error})") from error
    if found != description["identity"]:
        raise ValueError(
            f"run.json must be as it was written. Received: {file}, in which something was changed"
        )
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
                if name not in old or not same(old[name], value)
            ]
        elif key in ("models", "symmetry"):
            parts.append(f"the {key}")
        else:
            parts.append(f"{key} ({_short(old)} there, {_short(new)} here)")
    return ", ".join(parts)


def _plain(value: Any, where: str, key: Any) -> Any:
    """A value as JSON gives it back.

    Raises:
        ValueError: Naming what cannot be said in JSON.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist(), where, key)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    if isinstance(value, list | tuple):
        return [_plain(x, where, key) for x in value]
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return {name: _plain(x, where, key) for name, x in value.items()}
    if hasattr(value, "get_config"):
        return _plain(value.get_config(), where, key)
    raise ValueError(
        f"{where} must hold numbers, strings, lists and dicts of them, so that a run folder can "
        f"tell one environment from another: define `get_config`. Received: {key}={_short(value)}"
    )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 60 else f"{text[:57]}..."
