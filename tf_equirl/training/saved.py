"""Runs that were made before, read from their folders; nothing is trained or written."""

from __future__ import annotations

import dataclasses
import json
import operator
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import keras
import numpy as np

from tf_equirl import envs
from tf_equirl.training.checkpoint import Checkpoint
from tf_equirl.training.config import Config
from tf_equirl.training.evaluations import Evaluations
from tf_equirl.training.learner import Learner
from tf_equirl.training.result import Harm, Outcome
from tf_equirl.training.run_folder import (
    RunFolder,
    describe_environment,
    environment_again,
    read_description,
    same,
)

_HARMS = "harms"
_EVALUATIONS = "evaluations"
_Config = TypeVar("_Config", bound=Config)


class SavedRun(NamedTuple):
    """What a run folder holds.

    Attributes:
        description: The contents of `run.json`.
        env: The environment.
        networks: The Keras models by role, untrained; None where the run has none in a role.
        outcome: What the host loop knew of the run.
    """

    description: dict[str, Any]
    env: envs.BaseEnvironment
    networks: dict[str, keras.Model]
    outcome: Outcome

    @property
    def several(self) -> bool:
        """Whether the run has a list of configs."""
        return "configs" in self.description

    def configs(self, kind: type[_Config]) -> list[_Config]:
        """The configs of the run; one, unless it has several.

        Raises:
            ValueError: If one is not of this kind.
        """
        found = self.description.get("configs", [self.description["config"]])
        return [kind.from_json(config) for config in found]

    def result(self, learner: Learner, configs: Sequence[Config] = ()) -> Any:
        """What the learner of the run makes of it, however far it came; a list for several configs.

        Raises:
            ValueError: If the learner's run could not have come to where this one is.
        """
        try:
            for _ in calls(learner, self.outcome.done):
                pass
        except ValueError as error:
            folder = self.outcome.common()["run_dir"]
            raise ValueError(
                f"the checkpoint must be one of this run. Received: {folder}, {error}"
            ) from error
        outcome = self.outcome._replace(finished=learner.ahead(self.outcome.done) is None)
        if not self.several:
            return learner.result(outcome)
        parts = zip(configs, outcome.parts(len(configs)), strict=True)
        return [learner.with_config(config).result(part) for config, part in parts]


def read_run(
    run_dir: str | os.PathLike, trainer: str, env: envs.BaseEnvironment | None = None
) -> SavedRun:
    """Reads the folder of a run.

    Args:
        run_dir: The folder.
        trainer: Name of the function that made it, such as "train_ppo".
        env: The environment, where `run.json` does not say how to make it, because its class is not
            of a module, or its arguments are no plain values.

    Raises:
        ValueError: If the folder holds no run of this trainer or nothing was saved yet, it is
            damaged, or the environment is another one than the run's.
    """
    description = read_description(run_dir, trainer)
    env = environment_again(description) if env is None else envs.make(env)
    for key, ours in describe_environment(env).items():
        if not same(ours, description[key]):
            raise ValueError(
                f"env must be the environment of the run in {run_dir}, with its {key}. "
                f"Received: env={env.name} with another one"
            )
    return SavedRun(description, env, *read_networks(run_dir, description))


def read_networks(
    run_dir: str | os.PathLike, description: dict[str, Any]
) -> tuple[dict[str, keras.Model], Outcome]:
    """The networks of a run, untrained, and what the host loop knew of it.

    Args:
        run_dir: Its folder.
        description: The contents of its `run.json`.

    Raises:
        ValueError: If nothing was saved yet, or the folder is damaged.
    """
    folder = RunFolder(run_dir, description)
    with folder.saved() as checkpoint:
        if checkpoint is None:
            raise ValueError(
                f"run_dir must hold a run of which something was saved; resume it first. "
                f"Received: run_dir={run_dir}, of which nothing was saved yet"
            )
        seeds = folder.seeds_of(checkpoint) * len(description.get("configs", [0]))
        outcome = read_outcome(checkpoint, seeds, folder)
    networks = {
        role: _network(role, model, folder)
        for role, model in description["models"].items()
        if model is not None
    }
    return networks, outcome


def calls(learner: Learner, done: Mapping[str, int]) -> Iterator[tuple[str, int, int]]:
    """The work that leads a learner's run from its start to `done`: stage, first step, steps.

    Raises:
        ValueError: If no run of it comes there.
    """
    made = dict.fromkeys(learner.stages, 0)
    if set(made) != set(done):
        raise ValueError(f"which has the stages {', '.join(done)}, not {', '.join(made)}")
    while made != done:
        stage, wanted = learner.ahead(made) or (None, 0)
        number = 0 if stage is None else min(wanted, done[stage] - made[stage])
        if stage is None or number < 1:
            told = ", ".join(f"{name} {steps}" for name, steps in done.items())
            raise ValueError(f"which made more than the run has, or in another order: {told}")
        yield stage, made[stage], number
        made[stage] += number


def outcome_arrays(outcome: Outcome) -> dict[str, np.ndarray]:
    """The arrays of a checkpoint that hold what is known of a run."""
    arrays = {_HARMS: np.array(json.dumps(outcome.harms))}
    for stage, done in outcome.done.items():
        arrays[f"done/{stage}"] = np.array(done)
        arrays[f"seconds/{stage}"] = np.array(outcome.seconds[stage])
        for name, rows in outcome.history.get(stage, {}).items():
            arrays[f"reports/{stage}/{name}"] = rows
    for role, weights in outcome.weights.items():
        arrays.update({f"weights/{role}/{i}": w for i, w in enumerate(weights)})
    if outcome.evaluations is not None and len(outcome.evaluations.updates):
        fields = dataclasses.asdict(outcome.evaluations)
        arrays.update({f"{_EVALUATIONS}/{name}": x for name, x in fields.items()})
    return arrays


def read_outcome(
    checkpoint: Checkpoint, seeds: list[int] | tuple[int, ...], folder: RunFolder
) -> Outcome:
    """What `outcome_arrays` wrote.

    Raises:
        ValueError: If arrays contradict one another, or weights of a sound seed are not finite.
    """
    arrays = checkpoint.read_all(lambda name: not name.startswith("state/"))
    try:
        harms = tuple(Harm(*harm) for harm in json.loads(arrays.pop(_HARMS).item()))
        done = {k: operator.index(x.item()) for k, x in _below("done", arrays).items()}
        seconds = {k: float(x.item()) for k, x in _below("seconds", arrays).items()}
    except (KeyError, TypeError, ValueError) as error:
        raise checkpoint.refused(f"what was done, in which time: {error}") from error
    if set(done) != set(seconds):
        raise checkpoint.refused(f"counts of {', '.join(done)}, times of {', '.join(seconds)}")
    history = {stage: _below(f"reports/{stage}", arrays) for stage in done}
    for stage, reports in history.items():
        for name, rows in reports.items():
            if (len(rows), rows.shape[-1]) != (done[stage], len(seeds)):
                raise checkpoint.refused(f"reports/{stage}/{name} {list(rows.shape)}")
    sound = np.array([column not in {h.column for h in harms} for column in range(len(seeds))])
    weights: dict[str, list[np.ndarray]] = {}
    for name in [name for name in arrays if name.startswith("weights/")]:
        array = arrays.pop(name)
        if len(array) != len(seeds) or not np.isfinite(array[sound]).all():
            raise checkpoint.refused(f"{name} {list(array.shape)}, or not finite")
        weights.setdefault(name.split("/", 2)[1], []).append(array)
    evaluations = _evaluations(_below(_EVALUATIONS, arrays), len(seeds))
    if evaluations is None or arrays:
        raise checkpoint.refused(", ".join(arrays) or _EVALUATIONS)
    return Outcome(
        tuple(seeds),
        done,
        history,
        weights,
        seconds,
        0.0,
        folder,
        harms,
        evaluations=evaluations,
    )


def _evaluations(arrays: dict[str, np.ndarray], seeds: int) -> Evaluations | None:
    """Those of a checkpoint; None if its arrays contradict one another."""
    if not arrays:
        return Evaluations.none(seeds)
    count = len(arrays.get("updates", ()))
    shapes = {field.name: (count,) for field in dataclasses.fields(Evaluations)}
    if {k: x.shape for k, x in arrays.items()} != {**shapes, "returns": (seeds, count)}:
        return None
    return Evaluations(**arrays)


def _below(path: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Takes the arrays whose names begin with a path out of a dict of them, without it."""
    names = [name for name in arrays if name.startswith(f"{path}/")]
    return {name[len(path) + 1 :]: arrays.pop(name) for name in names}


def _network(role: str, model: Any, folder: RunFolder) -> keras.Model:
    try:
        return keras.models.model_from_json(json.dumps(model))
    except Exception as error:  # of many types, depending on what is wrong
        raise ValueError(
            f"models in run.json must be models that Keras can make. Received: {folder.path}, "
            f"whose {role} it cannot ({error!s:.200})"
        ) from error
