"""DrQ-v2 from small pictures, much reduced: a task, as it is and with its symmetry broken."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tf_equirl.agents import DrQv2Config, TrainingResult
from tf_equirl.experiments.calls import Call, call_trainer
from tf_equirl.experiments.experiment import Column, Experiment
from tf_equirl.experiments.statistics import rounded
from tf_equirl.experiments.tables import markdown_table
from tf_equirl.models.widths import trained_parameters
from tf_equirl.reproductions.approximate.measures import curve_columns

AGENTS: Mapping[str, str] = {"cnn": "CNN", "gcnn": "exact", "relaxed": "relaxed, L = 1"}
ENVIRONMENT = "tf_equirl.envs.pixels:Pixels"
BUDGET = 87_255
"""Trained parameters of the CNN's encoder, actor and critic in the default config."""

Found = Mapping[str, Mapping[str, TrainingResult]]


@dataclasses.dataclass(frozen=True)
class FromPixels:
    """Agents that see a task, on several forms of it.

    Attributes:
      task: see `envs.Pixels`.
      breakings: kinds of breaking, each of the published strength; "none" is the task as it is.
      base: what all agents have.
      budget: trained parameters of every agent; None for the widths of `base`.
      size: pixels on a side.
      num_seeds: of every agent and form.
    """

    task: str = "CartPoleSwingup"
    breakings: tuple[str, ...] = ("none", "gain", "reflect")
    base: DrQv2Config = DrQv2Config()
    budget: int | None = BUDGET
    size: int = 45
    num_seeds: int = 4

    def config(self, agent: str) -> DrQv2Config:
        """The hyperparameters of an agent: nothing is tuned."""
        budget = None if agent == "cnn" else self.budget
        return dataclasses.replace(self.base, networks=agent, match_parameters=budget)

    def run(
        self,
        folder: Path,
        num_seeds: int | None = None,
        seeds_per_chunk: int = 32,
        call: Call = call_trainer,
    ) -> dict[str, dict[str, TrainingResult]]:
        """Trains whatever is missing below `folder`; see `Experiment.train`."""
        found: dict[str, dict[str, TrainingResult]] = {}
        seeds = self.num_seeds if num_seeds is None else num_seeds
        for breaking in self.breakings:
            arguments = (("task", self.task), ("size", self.size), ("breaking", breaking))
            columns = tuple(
                Column(agent, label, self.config(agent), arguments=arguments)
                for agent, label in AGENTS.items()
            )
            place = f"approximate-pixels/{breaking}"
            experiment = Experiment(place, place, ENVIRONMENT, (), (), columns)
            results = experiment.train(folder, seeds, seeds_per_chunk, call)
            found[breaking] = {column.name: results[column] for column in columns}
        return found


def pixels_rows(found: Found) -> list[dict[str, Any]]:
    """A row for each form of the task and agent."""
    rows = []
    for breaking, results in found.items():
        for agent, result in results.items():
            rows.append(
                {
                    "environment": result.environment,
                    "breaking": breaking,
                    "agent": agent,
                    "parameters": sum(map(trained_parameters, result.networks.values())),
                    **curve_columns(result, results["cnn"], "cnn"),
                    "seconds": result.run_seconds,
                }
            )
    return rows


def pixels_markdown(rows: list[dict[str, Any]]) -> str:
    """The page."""
    first = rows[0]
    cells = [
        [
            row["breaking"],
            AGENTS[row["agent"]],
            f"{row['parameters']:,}",
            rounded(row["area"], row["area_error"]),
            rounded(row["end"], row["end_error"]),
            f"{row['minus_cnn']:.1f} [{row['minus_cnn_low']:.1f}, {row['minus_cnn_high']:.1f}]",
        ]
        for row in rows
    ]
    head = ["broken by", "networks", "parameters", "area under the curve", "return at the end"]
    return (
        f"**{first['environment']}, DrQ-v2, reduced.** This is no reproduction of the published "
        f"numbers: grey pictures of our own camera, small networks, {first['timesteps']:,} steps "
        f"of the agent and {first['seeds']} seeds, and no agent is tuned. Published are 85 pixels "
        "in colours, networks of 3.5 million parameters, and more than a million frames. Mean ± "
        "two standard errors, of the policy that acts with its noise; the last column is the "
        "difference of areas to the CNN over the same seeds, with its 95 % interval. Breakings "
        'are of the published strength; "gain" is ours.\n\n'
        + markdown_table([*head, "area minus CNN's"], cells)
        + "\n"
    )
