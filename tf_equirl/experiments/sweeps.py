"""Agents for every combination of some hyperparameters, in one resumable piece of work."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from tf_equirl import envs
from tf_equirl._files import write_text_atomically
from tf_equirl.agents import (
    DQNConfig,
    DrQv2Config,
    NonFiniteError,
    PPOConfig,
    SACConfig,
    TrainingResult,
    train_dqn,
    train_drqv2,
    train_ppo,
    train_sac,
)
from tf_equirl.dyna import DynaConfig, train_dyna
from tf_equirl.dyna.train import transition_model
from tf_equirl.envs.registry import environment_of, recipe, tensor_environment_of
from tf_equirl.experiments.calls import Call, call_trainer
from tf_equirl.experiments.metrics import agent_of, area_under_curve, return_at
from tf_equirl.experiments.statistics import mean_and_error, rounded
from tf_equirl.experiments.tables import timesteps_reached
from tf_equirl.training.config import field_text
from tf_equirl.training.run_folder import describe_environment, environment_again
from tf_equirl.training.starting import start_of_training

_FILE = "sweep.json"
_TRAINERS: dict[Any, Any] = {
    PPOConfig: train_ppo,
    DQNConfig: train_dqn,
    SACConfig: train_sac,
    DrQv2Config: train_drqv2,
    DynaConfig: train_dyna,
}
_CLASSES: dict[str, Any] = {kind.__name__: kind for kind in _TRAINERS}
# What describes and fits a model that learns.
_MODEL_FIELDS = {
    *(n for n in DynaConfig().flat() if n.startswith("model_") and n != "model_rollout_steps"),
    *("max_model_steps", "augment", "ensemble_size"),
}


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Which runs a sweep is made of: the product of all lists of values, a cell for each.

    Attributes:
        config_class: `PPOConfig` for runs of `train_ppo`, `DQNConfig` for those of `train_dqn`,
            `SACConfig` for those of `train_sac`, `DrQv2Config` for those of `train_drqv2`,
            `DynaConfig` for those of `train_dyna`.
        environment: The environment, or its name.
        values: List of values by hyperparameter, as `DynaConfig.flat` calls them, the first one
            outermost. Those that are left out have their defaults.
        seeds: The same for every cell.
        options: Further arguments of the trainer that JSON can say: `start_from` and `start_seed`
            of those that have them, and `frozen_model` of `train_dyna`.
    """

    config_class: (
        type[PPOConfig] | type[DQNConfig] | type[SACConfig] | type[DrQv2Config] | type[DynaConfig]
    )
    environment: envs.Environment | str
    values: Mapping[str, Sequence[Any]]
    seeds: Sequence[int]
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def varied(self) -> list[str]:
        """The fields that have more than one value."""
        return [field for field, values in self.values.items() if len(values) > 1]

    @property
    def cells(self) -> dict[str, Any]:
        """The configs, by the name of their run folder: "planning_ratio=0.5,dyna_iterations=5".

        Raises:
            ValueError: If a field breaks its rule in any of them, or a field of a model that learns
                is varied with a frozen one.
        """
        cells = {}
        unused = [field for field in self.varied if field in _MODEL_FIELDS]
        frozen = self.options.get("frozen_model")
        if frozen and unused:
            raise ValueError(
                f"{unused[0]} must have one value with a frozen model, which it does not change. "
                f"Received: {unused[0]}={list(self.values[unused[0]])}, "
                f"frozen_model={frozen!r}"
            )
        for values in itertools.product(*self.values.values()):
            fields = dict(zip(self.values, values, strict=True))
            name = ",".join(f"{field}={field_text(fields[field])}" for field in self.varied)
            make: Any = getattr(self.config_class, "from_flat", self.config_class)
            cells[name or "run"] = make(**fields)
        return cells

    @classmethod
    def load(cls, folder: str | os.PathLike) -> Sweep:
        """The sweep that was begun in a folder.

        Raises:
            ValueError: If there is none, or its file is damaged.
        """
        file = Path(folder) / _FILE
        if not file.exists():
            raise ValueError(f"run_dir must hold a sweep (a {_FILE}). Received: run_dir={folder}")
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            # Sweeps of earlier versions have neither, and were of Dyna.
            kind = _CLASSES[found.get("class", DynaConfig.__name__)]
            options = found.get("options", {"frozen_model": found.get("frozen_model")})
            values = found["values"]
            unknown = set(values) - set(flat(kind()))
            if unknown or not all(isinstance(x, list) for x in [found["seeds"], *values.values()]):
                raise TypeError(f"values={values}")
            return cls(kind, environment_again(found), values, found["seeds"], dict(options))
        except (
            *(json.JSONDecodeError, UnicodeDecodeError),
            *(TypeError, AttributeError, KeyError),
        ) as error:
            raise ValueError(
                f"{_FILE} must describe a sweep. Received: {file} ({error})"
            ) from error

    def claim(self, folder: str | os.PathLike, resume: bool = False) -> None:
        """Makes the folder that of this sweep.

        A sweep that is resumed may have other values than it began with, but of the same fields:
        cells that it had already are kept.

        Raises:
            ValueError: If the folder is not empty and `resume` is False, or it holds no sweep to
                resume, or one that differs in more than its values, or a cell's models cannot be
                made.
        """
        env = environment_of(self.environment)
        networks: list[Any] = []
        if self.options.get("start_from") is not None:
            start = self.options["start_from"], self.options.get("start_seed")
            _, *networks = start_of_training(*start, None, None)
        for config in self.cells.values():  # or one is refused after hours of others
            agent_of(config).learner(env, *networks)
            if isinstance(config, DynaConfig):
                planned = tensor_environment_of(env)
                transition_model(planned, config, self.options.get("frozen_model"))
        folder = Path(folder)
        if resume:
            found, here = Sweep.load(folder)._identity(), self._identity()
            different = [k for k in {**found, **here} if found.get(k) != here.get(k)]
            if different:
                parts = [f"{k} ({found.get(k)} there, {here.get(k)} here)" for k in different]
                raise ValueError(
                    f"run_dir must be new, or hold this same sweep. Received: run_dir={folder}, "
                    f"which holds another one; it differs in {', '.join(parts)}"
                )
        elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ValueError(
                "run_dir must be a new or empty folder unless a sweep is resumed (resume=True). "
                f"Received: run_dir={folder}"
            )
        folder.mkdir(parents=True, exist_ok=True)
        description = {
            "class": self.config_class.__name__,
            **describe_environment(env),
            "environment_recipe": recipe(env),
            "values": dict(self.values),
            "seeds": list(self.seeds),
            "options": dict(self.options),
        }
        content = json.dumps(description, default=list, indent=2)
        write_text_atomically(folder / _FILE, content)

    def train(
        self, folder: str | os.PathLike, call: Call = call_trainer
    ) -> tuple[dict[str, TrainingResult], dict[str, NonFiniteError]]:
        """Trains whatever is missing of the cells, each in a run folder of its own below `folder`.

        Args:
            folder: The one that was claimed.
            call: Called with the trainer and its arguments; it may show progress.

        Returns:
            Results by cell, and what went wrong in cells whose numbers became infinite or NaN;
            these do not keep the others from being trained.
        """
        env = environment_of(self.environment)
        trainer = _TRAINERS[self.config_class]
        results, failures = {}, {}
        for name, config in self.cells.items():
            run_dir = Path(folder) / name
            resume = (run_dir / "run.json").exists()
            try:
                results[name] = call(
                    trainer, env, config, self.seeds, run_dir, resume=resume, **self.options
                )
            except NonFiniteError as error:
                failures[name] = error
        return results, failures

    def _identity(self) -> dict[str, Any]:
        """What tells one sweep from another, of the types that JSON has."""
        values = {**{k: [v] for k, v in flat(self.config_class()).items()}, **self.values}
        identity = {
            "class": self.config_class.__name__,
            **describe_environment(environment_of(self.environment)),
            "seeds": list(self.seeds),
            **{name: value for name, value in self.options.items() if value is not None},
            "what varies": sorted(self.varied),
            **{k: v[0] for k, v in values.items() if len(v) == 1},
        }
        return json.loads(json.dumps(identity, default=list))


def flat(config: Any) -> dict[str, Any]:
    """The hyperparameters of a config by the names that flags and sweeps have for them."""
    if hasattr(config, "flat"):
        return config.flat()
    return {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}


def sweep_rows(
    results: Mapping[str, TrainingResult], varied: Sequence[str], timesteps: Sequence[int]
) -> list[dict[str, Any]]:
    """A row for each cell: mean returns, and two standard errors of them over seeds.

    Args:
        results: By cell.
        varied: Names of the fields that tell the cells apart.
        timesteps: Where the return is read, see `return_at`.

    Returns:
        Dictionaries with equal keys: the varied fields as texts, `seeds`, `return_at_<timestep>`
        and `return_at_<timestep>_error` for each timestep, and `whole_run` and `whole_run_error`,
        the same of the area under the curve. Of timesteps that a stopped run did not come to, NaN.
    """
    rows = []
    for result in results.values():
        fields = flat(result.config)
        row: dict[str, Any] = {field: field_text(fields[field]) for field in varied}
        row["seeds"] = len(result.seeds)
        reached = timesteps_reached(result, timesteps)
        nothing = np.full(len(result.seeds), np.nan)
        numbers = {
            f"return_at_{t}": return_at(result, t) if t in reached else nothing for t in timesteps
        }
        for name, values in {**numbers, "whole_run": area_under_curve(result)}.items():
            row[name], row[f"{name}_error"] = mean_and_error(values)
        rows.append(row)
    return rows


def sweep_table(
    rows: Sequence[Mapping[str, Any]],
    varied: Sequence[str],
    timesteps: Sequence[int],
    title: str | None = None,
) -> Table:
    """What `sweep_rows` made, for the terminal: a `rich` table with a row for each cell."""
    table = Table(title=title, title_justify="left", min_width=len(title or ""))
    for field in varied:
        words = field.split("_")
        table.add_column(" ".join(words), justify="right", min_width=max(map(len, words)))
    columns = {f"return_at_{t}": f"at {t:,}" for t in timesteps} | {"whole_run": "whole run"}
    for heading in columns.values():
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        numbers = [rounded(row[name], row[f"{name}_error"]) for name in columns]
        table.add_row(*(row[field] for field in varied), *numbers)
    return table
