"""DrQ-v2 from small pictures, much reduced: a task, as it is and with its symmetry broken."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tf_equirl import envs
from tf_equirl.agents import DrQv2Config, TrainingResult, train_drqv2
from tf_equirl.experiments.calls import Call, call_trainer
from tf_equirl.experiments.experiment import Column, Experiment
from tf_equirl.experiments.metrics import return_at
from tf_equirl.experiments.statistics import mean_and_error, paired_difference, rounded
from tf_equirl.experiments.tables import markdown_table
from tf_equirl.models.widths import trained_parameters
from tf_equirl.reproductions.approximate.measures import (
    areas_by_rate,
    best_rate,
    curve_columns,
    interval_columns,
    mean_spreads,
    runs_by_rate,
)

AGENTS: Mapping[str, str] = {"cnn": "CNN", "gcnn": "exact", "relaxed": "relaxed, L = 1"}
_ROLES = ("encoder", "actor")
ENVIRONMENT = "tf_equirl.envs.pixels:Pixels"
BUDGET = 87_255
"""Trained parameters of the CNN's encoder, actor and critic in the default config."""
BASE = DrQv2Config(
    networks="cnn",
    total_timesteps=25_000,
    discount=0.98,
    learning_starts=1_000,
    train_every=1,
    deviation_steps=12_500,
    buffer_size=12_500,
)
"""The discount is about the published one of control steps, 0.99 after each two of them."""


class FoundFromPixels(NamedTuple):
    """Agents of all forms of a task, and how their learning rate was found.

    Attributes:
        trained: Results by form of the task and agent.
        rates: Mean area under the curve by learning rate.
    """

    trained: Mapping[str, Mapping[str, TrainingResult]]
    rates: Mapping[float, float]


@dataclasses.dataclass(frozen=True)
class FromPixels:
    """Agents that see a task, on several forms of it.

    Attributes:
        task: See `envs.Pixels`.
        breakings: Kinds of breaking, each of the published strength; "none" is the task as it is.
        base: What all agents have: the CNN's config.
        rates: Learning rates of which all agents have the one that is best for the CNN.
        search_seeds: By which that is found, which are none of those that are reported.
        search_timesteps: Of the runs by which it is found.
        relaxation_rate: Of relaxed networks.
        budget: Trained parameters of every agent; None for the widths of `base`.
        size: Pixels on a side.
        action_repeat: Control steps for which an action is held.
        num_seeds: Of every agent and form.
    """

    task: str = "CartPoleSwingup"
    breakings: tuple[str, ...] = ("none", "reflect")
    base: DrQv2Config = BASE
    rates: tuple[float, ...] = (1e-4, 3e-4)
    search_seeds: tuple[int, ...] = (1000, 1001)
    search_timesteps: int = 12_500
    relaxation_rate: float = 10.0
    budget: int | None = BUDGET
    size: int = 45
    action_repeat: int = 4
    num_seeds: int = 4

    name = "approximate-pixels"
    """Folder of the runs."""

    def config(self, agent: str, rate: float) -> DrQv2Config:
        """The hyperparameters of an agent with this learning rate."""
        budget = None if agent == "cnn" else self.budget
        config = dataclasses.replace(
            self.base, networks=agent, match_parameters=budget, learning_rate=rate
        )
        if agent != "relaxed":
            return config
        return dataclasses.replace(config, relaxation_rate=self.relaxation_rate)

    def arguments(self, breaking: str) -> dict[str, Any]:
        """Of the environment, with the symmetry broken so."""
        return {
            "task": self.task,
            "size": self.size,
            "action_repeat": self.action_repeat,
            "breaking": breaking,
        }

    def found_rates(self, folder: Path, call: Call = call_trainer) -> dict[float, float]:
        """By learning rate the CNN's mean area on the whole task; trains what is missing."""
        env = envs.make(ENVIRONMENT, **self.arguments("none"))
        config = self.config("cnn", self.base.learning_rate)
        place = folder / self.name / "none-search" / "cnn"
        train = functools.partial(call, train_drqv2)
        runs = runs_by_rate(
            train, env, config, self.rates, self.search_timesteps, self.search_seeds, place
        )
        return areas_by_rate(runs)

    def run(
        self,
        folder: Path,
        num_seeds: int | None = None,
        seeds_per_chunk: int = 32,
        call: Call = call_trainer,
    ) -> FoundFromPixels:
        """Trains whatever is missing below `folder`; see `Experiment.train`."""
        rates = self.found_rates(folder, call)
        rate = best_rate(rates)
        trained: dict[str, dict[str, TrainingResult]] = {}
        seeds = self.num_seeds if num_seeds is None else num_seeds
        for breaking in self.breakings:
            arguments = tuple(self.arguments(breaking).items())
            columns = tuple(
                Column(agent, label, self.config(agent, rate), arguments=arguments)
                for agent, label in AGENTS.items()
            )
            place = f"{self.name}/{breaking}"
            experiment = Experiment(place, place, ENVIRONMENT, (), (), columns)
            results = experiment.train(folder, seeds, seeds_per_chunk, call)
            trained[breaking] = {column.name: results[column] for column in columns}
        return FoundFromPixels(trained, rates)


def pixels_rows(found: FoundFromPixels) -> list[dict[str, Any]]:
    """A row for each form of the task and agent."""
    rows = []
    for breaking, agents in found.trained.items():
        for agent, result in agents.items():
            row = {
                "environment": result.environment,
                "breaking": breaking,
                "agent": agent,
                "parameters": sum(map(trained_parameters, result.networks.values())),
                "learning_rate": result.config.learning_rate,
                **curve_columns(result, agents["cnn"], "cnn"),
                "seconds": result.run_seconds,
            }
            ends = [return_at(x, int(x.timesteps[-1])) for x in (result, agents["cnn"])]
            gain = paired_difference(*ends)
            row |= interval_columns("end_minus_cnn", gain.mean, gain.low, gain.high)
            for role in _ROLES:
                spread = mean_spreads([result.model(role, seed) for seed in result.seeds])
                row[f"spread_{role}"], row[f"spread_{role}_error"] = mean_and_error(spread)
            rows.append(row)
    return rows


def pixels_markdown(
    study: FromPixels, rows: list[dict[str, Any]], rates: Mapping[float, float]
) -> str:
    """The page.

    Args:
        study: What was trained.
        rows: See `pixels_rows`.
        rates: By learning rate the area under the curve of the search.
    """
    first, base = rows[0], study.base
    cells = []
    for row in rows:
        spreads = [
            "-" if np.isnan(row[x]) else rounded(row[x], row[f"{x}_error"])
            for x in (f"spread_{role}" for role in _ROLES)
        ]
        gains = [
            f"{row[x]:.0f} [{row[f'{x}_low']:.0f}, {row[f'{x}_high']:.0f}]"
            for x in ("minus_cnn", "end_minus_cnn")
        ]
        cells.append(
            [
                row["breaking"],
                AGENTS[row["agent"]],
                f"{row['parameters']:,}",
                *(rounded(row[x], row[f"{x}_error"]) for x in ("area", "end")),
                *gains,
                *spreads,
            ]
        )
    head = ["broken by", "networks", "parameters", "area under the curve", "return at the end"]
    head += ["area minus CNN's", "end minus CNN's", *(f"spread, {role}" for role in _ROLES)]
    searched = ", ".join(f"{area:.0f} with {rate:g}" for rate, area in rates.items())
    return (
        f"**{first['environment']}, DrQ-v2, reduced.** This is no reproduction of the published "
        "numbers: grey pictures of our own camera, small networks, actions that are held for "
        f"{study.action_repeat} control steps, {first['timesteps']:,} steps of the agent, "
        f"{base.num_gradient_steps:,} gradient steps of {base.batch_size} windows and "
        f"{first['seeds']} seeds. Published are 85 pixels in colours, networks of 3.5 million "
        "parameters, actions of 2 control steps and more than a million of those. Mean ± two "
        "standard errors, of 1,000, of the policy that acts, with its noise; differences are over "
        "the same seeds, with 95 % intervals. Breakings are of the published strength. Spreads are "
        "of the relaxation weights, means over layers, 0 at the start.\n\n"
        + markdown_table(head, cells)
        + f"\n\n**Learning rate**: {first['learning_rate']:g} for all, the CNN's best on the whole "
        f"task by {len(study.search_seeds)} other seeds in {study.search_timesteps:,} steps (area "
        f"{searched}). By the "
        "CNN on those seeds, too, and by hand were chosen how long actions are held, the discount "
        "and the decrease of noise; nothing else is tuned. Relaxation weights learn "
        f"{study.relaxation_rate:g} times as fast.\n"
    )
