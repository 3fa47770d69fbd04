"""Runs that were made before, read from their folders; nothing is trained or written."""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple

import keras
import numpy as np

from tf_equirl import envs
from tf_equirl.training.result import Outcome
from tf_equirl.training.run_folder import RunFolder, read_description


class SavedRun(NamedTuple):
    """What a run folder holds.

    Attributes:
      description: the contents of `run.json`.
      env: the environment.
      networks: the Keras models by role, untrained; None where the run has none in a role.
      outcome: what the host loop knew of the run.
    """

    description: dict[str, Any]
    env: envs.Environment
    networks: dict[str, keras.Model]
    outcome: Outcome

    def unfinished(self, done: int, wanted: int, what: str) -> ValueError:
        """The error that says that the run must be resumed first."""
        run_dir = self.outcome.common()["run_dir"]
        return ValueError(
            "run_dir must hold a finished run; resume it first. Received: "
            f"run_dir={run_dir}, with {done} of {wanted} {what} made"
        )


def read_run(
    run_dir: str | os.PathLike, trainer: str, env: envs.Environment | None = None
) -> SavedRun:
    """Reads the folder of a run.

    Args:
      run_dir: the folder.
      trainer: name of the function that made it, such as "train_ppo".
      env: the environment, where its registered name alone does not make it, because it was made
        with arguments of its own.

    Raises:
      ValueError: if the folder holds no run of this trainer or nothing was saved yet, it is
        damaged, or the environment is another one than the run's.
    """
    description = read_description(run_dir, trainer)
    env = envs.make(description["environment"] if env is None else env)
    for key, ours in (
        ("environment", env.name),
        ("environment_config", env.get_config()),
        ("symmetry", env.symmetry.get_config()),
    ):
        if json.loads(json.dumps(ours)) != description[key]:
            raise ValueError(
                f"env must be the environment of the run in {run_dir}, with its {key}. "
                f"Received: env={env.name} with another one"
            )
    networks = {
        role: keras.models.model_from_json(json.dumps(model))
        for role, model in description["models"].items()
        if model is not None
    }
    folder = RunFolder(run_dir, description)
    arrays = folder.load_checkpoint()
    if arrays is None:
        raise ValueError(
            f"run_dir must hold a finished run; resume it first. Received: run_dir={run_dir}, of "
            "which nothing was saved yet"
        )
    return SavedRun(description, env, networks, outcome_of(arrays, description["seeds"], folder))


def outcome_arrays(outcome: Outcome) -> dict[str, np.ndarray]:
    """The arrays of a checkpoint that hold what is known of a run."""
    arrays = {}
    for stage, done in outcome.done.items():
        arrays[f"done/{stage}"] = np.array(done)
        arrays[f"seconds/{stage}"] = np.array(outcome.seconds[stage])
        for name, rows in outcome.history.get(stage, {}).items():
            arrays[f"reports/{stage}/{name}"] = rows
    for role, weights in outcome.weights.items():
        arrays.update({f"weights/{role}/{i}": w for i, w in enumerate(weights)})
    return arrays


def outcome_of(
    arrays: dict[str, np.ndarray], seeds: list[int] | tuple[int, ...], folder: RunFolder
) -> Outcome:
    """What `outcome_arrays` wrote.

    Raises:
      ValueError: if arrays contradict one another.
    """
    done, seconds, history = {}, {}, {}
    weights: dict[str, list[np.ndarray]] = {}
    for name, array in arrays.items():
        kind, _, rest = name.partition("/")
        if kind == "done":
            done[rest] = int(array)
            history[rest] = {
                key.removeprefix(f"reports/{rest}/"): rows
                for key, rows in arrays.items()
                if key.startswith(f"reports/{rest}/")
            }
        elif kind == "seconds":
            seconds[rest] = float(array)
        elif kind == "weights":
            weights.setdefault(rest.rpartition("/")[0], []).append(array)
    for stage, reports in history.items():
        for name, rows in reports.items():
            if (len(rows), rows.shape[-1]) != (done[stage], len(seeds)):
                raise folder.refuse_checkpoint(f"reports/{stage}/{name} {list(rows.shape)}")
    return Outcome(tuple(seeds), done, history, weights, seconds, 0.0, folder)
