"""Whether the settings of the study of control tasks favour an agent: rates, decays and w's speed.

There every agent has the learning rate that was best on one task, residual pathways have no decay,
and relaxation weights move as fast as others. Here each of these is varied, by seeds that the study
does not report.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tf_equirl.agents import TrainingResult, train_sac
from tf_equirl.experiments.calls import Call, call_trainer
from tf_equirl.experiments.metrics import area_under_curve
from tf_equirl.experiments.statistics import mean_and_error, rounded
from tf_equirl.experiments.tables import markdown_table
from tf_equirl.reproductions.approximate.control import (
    AGENTS,
    SEARCH_SEEDS,
    Control,
    ControlCell,
    as_far_as_finite,
)
from tf_equirl.reproductions.approximate.measures import best_rate, runs_by_rate


class Variant(NamedTuple):
    """An agent of the study, some of whose fields are others."""

    label: str
    agent: str
    fields: Mapping[str, Any]


VARIANTS: Mapping[str, Variant] = {
    **{agent: Variant(label, agent, {}) for agent, label in AGENTS.items()},
    "relaxed-fast": Variant("relaxed, w 10 times as fast", "relaxed", {"relaxation_rate": 10.0}),
    "rpp-published": Variant(
        "RPP, both decays 1e-6", "rpp", {"strict_decay": 1e-6, "free_decay": 1e-6}
    ),
    "rpp-decay": Variant("RPP, free decay 1e-2", "rpp", {"free_decay": 1e-2}),
}
"""By the name of a folder. Decays of 1e-6 are those of Finzi et al. (2021)."""

Found = Mapping[tuple[str, str], Mapping[float, TrainingResult]]
"""By task and variant, results by learning rate."""


@dataclasses.dataclass(frozen=True)
class ControlRates:
    """Agents of a study by learning rate, on tasks that are not broken.

    Attributes:
        control: The study, whose searches these are but for rates and seeds.
        tasks: Names.
        rates: Learning rates.
        seeds: None of those that the study reports.
    """

    control: Control = dataclasses.field(default_factory=Control)
    tasks: tuple[str, ...] = ("CartPoleSwingup", "Reacher")
    rates: tuple[float, ...] = (1e-3, 3e-3, 1e-2, 3e-2)
    seeds: tuple[int, ...] = SEARCH_SEEDS

    def run(self, folder: Path, call: Call = call_trainer) -> Found:
        """Trains whatever is missing below `folder`."""
        train = functools.partial(as_far_as_finite, call, train_sac)
        found = {}
        for task in self.tasks:
            cell = ControlCell(task, "none")
            for name, variant in VARIANTS.items():
                config = dataclasses.replace(
                    self.control.config(variant.agent, task), **variant.fields
                )
                found[task, name] = runs_by_rate(
                    train,
                    self.control.make(cell),
                    config,
                    self.rates,
                    self.control.search_timesteps,
                    self.seeds,
                    folder / "approximate-control-rates" / cell.name / name,
                )
        return found


def rate_rows(found: Found) -> list[dict[str, Any]]:
    """A row for each task, variant and learning rate."""
    rows = []
    for (task, name), by_rate in found.items():
        for rate, result in by_rate.items():
            area, error = mean_and_error(area_under_curve(result))
            rows.append(
                {
                    "task": task,
                    "agent": name,
                    "learning_rate": rate,
                    "seeds": len(result.seeds),
                    "timesteps": int(result.timesteps[-1]),
                    "area": area,
                    "area_error": error,
                }
            )
    return rows


def rates_markdown(study: ControlRates, rows: list[dict[str, Any]]) -> str:
    """The page."""
    cells: dict[tuple[str, str], dict[float, dict[str, Any]]] = {}
    for row in rows:
        cells.setdefault((row["task"], row["agent"]), {})[row["learning_rate"]] = row
    table = [
        [
            task,
            VARIANTS[name].label,
            *(_area(by_rate[rate]) for rate in study.rates),
            f"{best_rate({rate: row['area'] for rate, row in by_rate.items()}):g}",
        ]
        for (task, name), by_rate in cells.items()
    ]
    first = rows[0]
    text = (
        "**SAC on control tasks that are not broken, by learning rate**: area under the learning "
        f"curve of {first['timesteps']:,} environment steps, mean ± two standard errors over "
        f"{first['seeds']} seeds, none of which the study reports. All agents have as many "
        "parameters. -: a seed became non-finite."
    )
    columns = ["task", "agent", *(f"{rate:g}" for rate in study.rates), "best"]
    return f"{text}\n\n{markdown_table(columns, table)}\n"


def _area(row: Mapping[str, Any]) -> str:
    return "-" if np.isnan(row["area"]) else rounded(row["area"], row["area_error"])
