"""Dyna agents for every combination of some hyperparameters, in one resumable piece of work."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from tf_equirl import envs
from tf_equirl._files import write_text_atomically
from tf_equirl.agents import NonFiniteError
from tf_equirl.dyna import DynaConfig, DynaResult, train_dyna
from tf_equirl.dyna.train import transition_model
from tf_equirl.experiments.calls import Call, call_trainer
from tf_equirl.experiments.metrics import area_under_curve, return_at
from tf_equirl.experiments.statistics import mean_and_error, rounded
from tf_equirl.training.config import field_text

_FILE = "sweep.json"
_FIELDS = list(DynaConfig().flat())
# What describes and fits a model that learns.
_MODEL_FIELDS = {
    *(name for name in _FIELDS if name.startswith("model_") and name != "model_rollout_steps"),
    *("max_model_steps", "augment", "ensemble_size"),
}


@dataclasses.dataclass(frozen=True)
class DynaSweep:
    """Which runs a sweep is made of: the product of all lists of values, a cell for each.

    Attributes:
      environment: registered name.
      values: list of values by hyperparameter, as `DynaConfig.flat` calls them, the first one
        outermost. Those that are left out have their defaults.
      seeds: the same for every cell.
      frozen_model: as in `train_dyna`, the name of a zoo model.
    """

    environment: str
    values: Mapping[str, Sequence[Any]]
    seeds: Sequence[int]
    frozen_model: str | None = None

    @property
    def varied(self) -> list[str]:
        """The fields that have more than one value."""
        return [field for field, values in self.values.items() if len(values) > 1]

    @property
    def cells(self) -> dict[str, DynaConfig]:
        """The configs, by the name of their run folder: "planning_ratio=0.5,dyna_iterations=5".

        Raises:
          ValueError: if a field breaks its rule in any of them, or a field of a model that learns
            is varied with a frozen one.
        """
        cells = {}
        unused = [field for field in self.varied if field in _MODEL_FIELDS]
        if self.frozen_model and unused:
            raise ValueError(
                f"{unused[0]} must have one value with a frozen model, which it does not change. "
                f"Received: {unused[0]}={list(self.values[unused[0]])}, "
                f"frozen_model={self.frozen_model!r}"
            )
        for values in itertools.product(*self.values.values()):
            fields = dict(zip(self.values, values, strict=True))
            name = ",".join(f"{field}={field_text(fields[field])}" for field in self.varied)
            cells[name or "run"] = DynaConfig.from_flat(**fields)
        return cells

    @classmethod
    def load(cls, folder: str | os.PathLike) -> DynaSweep:
        """The sweep that was begun in a folder.

        Raises:
          ValueError: if there is none, or its file is damaged.
        """
        file = Path(folder) / _FILE
        if not file.exists():
            raise ValueError(f"run_dir must hold a sweep (a {_FILE}). Received: run_dir={folder}")
        try:
            found = cls(**json.loads(file.read_text(encoding="utf-8")))
            unknown = set(found.values) - set(_FIELDS)
            if unknown or not all(isinstance(values, list) for values in found.values.values()):
                raise TypeError(f"values={found.values}")
            return found
        except (json.JSONDecodeError, UnicodeDecodeError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{_FILE} must describe a sweep. Received: {file} ({error})"
            ) from error

    def claim(self, folder: str | os.PathLike, resume: bool = False) -> None:
        """Makes the folder that of this sweep.

        A sweep that is resumed may have other values than it began with, but of the same fields:
        cells that it had already are kept.

        Raises:
          ValueError: if the folder is not empty and `resume` is False, or it holds no sweep to
            resume, or one that differs in more than its values, or a cell's models cannot be
            made.
        """
        env = envs.make(self.environment)
        for config in self.cells.values():  # or one is refused after hours of others
            config.agent.learner(env)
            transition_model(env, config, self.frozen_model)
        folder = Path(folder)
        if resume:
            found, here = DynaSweep.load(folder)._identity(), self._identity()
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
        description = json.dumps(dataclasses.asdict(self), default=list, indent=2)
        write_text_atomically(folder / _FILE, description)

    def train(
        self, folder: str | os.PathLike, call: Call = call_trainer
    ) -> tuple[dict[str, DynaResult], dict[str, NonFiniteError]]:
        """Trains whatever is missing of the cells, each in a run folder of its own below `folder`.

        Args:
          folder: the one that was claimed.
          call: called with `train_dyna` and its arguments; it may show progress.

        Returns:
          Results by cell, and what went wrong in cells whose numbers became infinite or NaN; these
          do not keep the others from being trained.
        """
        env = envs.make(self.environment)
        results, failures = {}, {}
        for name, config in self.cells.items():
            run_dir = Path(folder) / name
            resume = (run_dir / "run.json").exists()
            model = self.frozen_model
            try:
                results[name] = call(
                    train_dyna, env, config, self.seeds, run_dir, resume=resume, frozen_model=model
                )
            except NonFiniteError as error:
                failures[name] = error
        return results, failures

    def _identity(self) -> dict[str, Any]:
        """What tells one sweep from another, of the types that JSON has."""
        values = {**{k: [v] for k, v in DynaConfig().flat().items()}, **self.values}
        identity = {
            "environment": self.environment,
            "seeds": self.seeds,
            "frozen_model": self.frozen_model,
            "what varies": sorted(self.varied),
            **{k: v[0] for k, v in values.items() if len(v) == 1},
        }
        return json.loads(json.dumps(identity, default=list))


def sweep_rows(
    results: Mapping[str, DynaResult], varied: Sequence[str], timesteps: Sequence[int]
) -> list[dict[str, Any]]:
    """A row for each cell: mean returns, and two standard errors of them over seeds.

    Args:
      results: by cell.
      varied: names of the fields that tell the cells apart.
      timesteps: where the return is read, see `return_at`.

    Returns:
      Dictionaries with equal keys: the varied fields as texts, `seeds`, `return_at_<timestep>` and
      `return_at_<timestep>_error` for each timestep, and `whole_run` and `whole_run_error`, the
      same of the area under the curve.
    """
    rows = []
    for result in results.values():
        fields = result.config.flat()
        row: dict[str, Any] = {field: field_text(fields[field]) for field in varied}
        row["seeds"] = len(result.seeds)
        numbers = {f"return_at_{t}": return_at(result, t) for t in timesteps}
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
