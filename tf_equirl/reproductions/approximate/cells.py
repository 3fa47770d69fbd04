"""PPO on CartPole whose symmetry is broken by degrees: which networks are best, cell by cell."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tf_equirl import envs
from tf_equirl.agents import PPOConfig, TrainingResult
from tf_equirl.envs.symmetries import Recommendation
from tf_equirl.experiments.calls import Call, call_trainer
from tf_equirl.experiments.experiment import Column, Experiment
from tf_equirl.experiments.metrics import area_under_curve, return_at
from tf_equirl.experiments.statistics import mean_and_error, paired_difference, rounded
from tf_equirl.experiments.tables import markdown_table
from tf_equirl.experiments.tuning import Search, Tuned
from tf_equirl.experiments.tuning.trials import short_text
from tf_equirl.reproductions.race.contest import SEARCHED
from tf_equirl.training.search_space import Choice, LogUniform, Space, declared_spaces

STRENGTHS: Mapping[str, tuple[float, ...]] = {
    "gain": (0.25, 0.5, 1.0, 2.0, 4.0),
    "gravity": (2.0, 4.0, 8.0, 16.0, 32.0),
    "reflect": (0.1, 0.25, 0.4, 0.5, 1.0),
    "repeat": (0.25, 0.5, 1.0, 2.0, 4.0),
}
"""By kind of breaking; 1 is as published, but for gravity, whose published tilt does next to
nothing here."""
TUNED_AT = {"gain": 1.0, "gravity": 8.0, "reflect": 0.4, "repeat": 1.0}
"""The strength at which agents are tuned."""
AGENTS: Mapping[str, str] = {
    "mlp": "MLP",
    "orbit": "MLP, all images",
    "exact": "exact",
    "relaxed-1": "relaxed, L = 1",
    "relaxed-n": "relaxed, L = 2",
    "rpp": "RPP",
}
CHOICES: Mapping[str, tuple[str, ...]] = {
    "exact": ("exact",),
    "relaxed": ("relaxed-1", "relaxed-n", "rpp"),
    "free": ("mlp",),
}
"""The agents that stand for each choice of `recommend`; images of data are none of them."""
TRIALS = 12
SEARCH_SEEDS = tuple(range(1000, 1016))
TIMESTEPS = 40_960


class Cell(NamedTuple):
    """An environment: how its symmetry is broken, and how much; "none" and 0 where it is not."""

    kind: str
    kappa: float

    @property
    def arguments(self) -> tuple[tuple[str, Any], ...]:
        """Of the environment."""
        return () if self.kind == "none" else (("breaking", self.kind), ("kappa", self.kappa))

    @property
    def name(self) -> str:
        """Of its folder."""
        return self.kind if self.kind == "none" else f"{self.kind}-{self.kappa:g}"


@dataclasses.dataclass(frozen=True)
class Cells:
    """Agents, each tuned for each kind of breaking, on every strength of it.

    Attributes:
      environment: its name.
      strengths: by kind of breaking.
      tuned_at: the strength at which agents are tuned, by kind; where nothing is broken they have
        the settings of the first kind.
      base: what all agents have before they are tuned.
      trials: of every search.
      search_seeds: which are none of those that are reported.
      num_seeds: of every agent and cell.
    """

    environment: str = "CartPole"
    strengths: Mapping[str, tuple[float, ...]] = dataclasses.field(
        default_factory=lambda: STRENGTHS
    )
    tuned_at: Mapping[str, float] = dataclasses.field(default_factory=lambda: TUNED_AT)
    base: PPOConfig = PPOConfig(total_timesteps=TIMESTEPS)
    trials: int = TRIALS
    search_seeds: tuple[int, ...] = SEARCH_SEEDS
    num_seeds: int = 32

    @property
    def name(self) -> str:
        """Folder of the runs."""
        return f"approximate-{self.environment.lower()}"

    def cells(self) -> Iterator[Cell]:
        """The one that is not broken, and all others."""
        yield Cell("none", 0.0)
        for kind, strengths in self.strengths.items():
            for kappa in strengths:
                yield Cell(kind, kappa)

    def make(self, cell: Cell) -> envs.BaseEnvironment:
        """The environment of a cell."""
        return envs.make(self.environment, **dict(cell.arguments))

    def config(self, agent: str) -> PPOConfig:
        """An agent before it is tuned. All have as many parameters."""
        if agent in ("mlp", "orbit"):
            augmentation = "orbit" if agent == "orbit" else "none"
            return dataclasses.replace(
                self.base, actor="mlp", critic="mlp", augmentation=augmentation
            )
        kind = {"exact": "gcnn", "rpp": "rpp"}.get(agent, "relaxed")
        return dataclasses.replace(
            self.base,
            actor=kind,
            critic="invariant" if agent == "exact" else kind,
            relaxation_banks=2 if agent == "relaxed-n" else 1,
            match_parameters=4610,
            match_critic_parameters=4545,
        )

    def space(self, agent: str) -> dict[str, Space]:
        """What is searched: the race's hyperparameters, and those of the relaxation."""
        declared = declared_spaces(self.base)
        space = {name: declared[name] for name in SEARCHED}
        if agent.startswith("relaxed"):
            space["relaxation_rate"] = LogUniform(0.1, 30.0)
        if agent == "rpp":
            space["prior_scale"] = LogUniform(1e-3, 1.0)
            space["free_decay"] = Choice((0.0, 1e-5, 1e-3))
        return space

    def tune(self, kind: str, agent: str, folder: Path, call: Call = call_trainer) -> Tuned:
        """Tunes an agent for a kind of breaking, or goes on with it, or reads what came out."""
        place = folder / self.name / f"{kind}-{agent}-search"
        search = Search(
            self.make(Cell(kind, self.tuned_at[kind])),
            self.config(agent),
            self.space(agent),
            trials=self.trials,
            seeds=self.search_seeds,
            method="halving",
            reduction=4,
            rungs=2,
        )
        return search.run(place, resume=(place / "search.json").exists(), call=call)

    def tuned(self, folder: Path, call: Call = call_trainer) -> dict[str, dict[str, Tuned]]:
        """By kind of breaking and agent what `tune` found."""
        return {
            kind: {agent: self.tune(kind, agent, folder, call) for agent in AGENTS}
            for kind in self.strengths
        }

    def run(
        self,
        tuned: Mapping[str, Mapping[str, Tuned]],
        folder: Path,
        num_seeds: int | None = None,
        seeds_per_chunk: int = 32,
        call: Call = call_trainer,
    ) -> dict[Cell, dict[str, TrainingResult]]:
        """Trains whatever is missing below `folder`.

        Args:
          tuned: see `tuned`.
          folder: of everything.
          num_seeds: of every agent and cell; those of this object if None.
          seeds_per_chunk: see `Experiment.train`.
          call: likewise.
        """
        first = next(iter(self.strengths))
        found: dict[Cell, dict[str, TrainingResult]] = {}
        for cell in self.cells():
            kind = first if cell.kind == "none" else cell.kind
            found[cell] = {}
            for agent, label in AGENTS.items():
                config = tuned[kind][agent].best_config
                column = Column(agent, label, config, arguments=cell.arguments)
                place = f"{self.name}/{cell.name}"
                experiment = Experiment(place, place, self.environment, (), (), (column,))
                seeds = self.num_seeds if num_seeds is None else num_seeds
                results = experiment.train(folder, seeds, seeds_per_chunk, call)
                found[cell][agent] = results[column]
        return found


class Judged(NamedTuple):
    """A cell: which networks were best, and what was recommended.

    Attributes:
      best: the agent with the largest mean of the area under the curve, augmentation left out.
      as_good: agents whose difference to it over the same seeds could be chance (95 %).
      recommended: what `recommend` says.
      hit: whether an agent of the recommended choice is the best.
      near: whether one is as good.
    """

    best: str
    as_good: tuple[str, ...]
    recommended: Recommendation
    hit: bool
    near: bool


def judge(areas: Mapping[str, np.ndarray], recommended: Recommendation) -> Judged:
    """Compares what was best in a cell with what was recommended.

    Args:
      areas: by agent, the area under the curve of every seed.
      recommended: of the cell's environment.
    """
    choices = [agent for agents in CHOICES.values() for agent in agents]
    best = max(choices, key=lambda agent: float(areas[agent].mean()))
    as_good = tuple(
        agent
        for agent in choices
        if agent == best or paired_difference(areas[best], areas[agent]).low <= 0
    )
    of_choice = CHOICES[recommended.choice]
    return Judged(
        best, as_good, recommended, best in of_choice, any(a in of_choice for a in as_good)
    )


def cell_rows(
    cells: Cells, found: Mapping[Cell, Mapping[str, TrainingResult]]
) -> list[dict[str, Any]]:
    """A row for each cell and agent."""
    rows = []
    for cell, results in found.items():
        areas = {agent: area_under_curve(result) for agent, result in results.items()}
        judged = judge(areas, envs.recommend(cells.make(cell)))
        for agent, result in results.items():
            area, end = areas[agent], return_at(result, int(result.timesteps[-1]))
            gain = paired_difference(area, areas["mlp"])
            rows.append(
                {
                    "breaking": cell.kind,
                    "kappa": cell.kappa,
                    "agent": agent,
                    "seeds": len(area),
                    "timesteps": int(result.timesteps[-1]),
                    "area": float(area.mean()),
                    "area_error": mean_and_error(area)[1],
                    "end": float(end.mean()),
                    "end_error": mean_and_error(end)[1],
                    "minus_mlp": gain.mean,
                    "minus_mlp_low": gain.low,
                    "minus_mlp_high": gain.high,
                    "best": judged.best,
                    "as_good": " ".join(judged.as_good),
                    "recommended": judged.recommended.choice,
                    "gap_ratio": judged.recommended.gap_ratio,
                    "turned_share": judged.recommended.turned_share,
                    "hit": judged.hit,
                    "near": judged.near,
                }
            )
    return rows


def cells_markdown(rows: list[dict[str, Any]], tuned: Mapping[str, Mapping[str, Tuned]]) -> str:
    """The page.

    Args:
      rows: see `cell_rows`.
      tuned: by kind of breaking and agent.
    """
    of_cells = [
        list(group)
        for _, group in itertools.groupby(rows, key=lambda row: (row["breaking"], row["kappa"]))
    ]
    table, ends = [], []
    for group in of_cells:
        first = group[0]
        cell = [first["breaking"], f"{first['kappa']:g}"]
        good = first["as_good"].split()
        texts = []
        for row in group:
            text = rounded(row["area"], row["area_error"])
            texts.append(f"**{text}**" if row["agent"] in good else text)
        mark = "yes" if first["hit"] else "as good" if first["near"] else "no"
        table.append([*cell, *texts, first["recommended"], mark])
        ends.append([*cell, *(rounded(row["end"], row["end_error"]) for row in group)])
    hits = sum(group[0]["hit"] for group in of_cells)
    near = sum(group[0]["near"] for group in of_cells)
    settings = [
        [kind, AGENTS[agent], rounded(found.best.score, found.best.error), _settings(found)]
        for kind, of_kind in tuned.items()
        for agent, found in of_kind.items()
    ]
    labels = list(AGENTS.values())
    number, seeds = len(of_cells), rows[0]["seeds"]
    always = ", ".join(f"{choice} {_rate(of_cells, choice)}" for choice in CHOICES)
    parts = [
        "**CartPole, broken by degrees: area under the learning curve**, PPO, "
        f"{rows[0]['timesteps']:,} steps, {seeds} seeds, mean ± two standard errors. Bold: the "
        "best of the networks, and those whose difference to it over the same seeds could be "
        "chance (95 %). *Recommended*: by `recommend`, from the dynamics alone; *right*: whether "
        "one of those networks is the best.",
        markdown_table(["broken by", "kappa", *labels, "recommended", "right"], table),
        f"**Hit rate of `recommend`**: the best network is of the recommended kind in {hits} of "
        f"{number} cells, and one of that kind is as good as the best, up to chance, in {near}. "
        f"Of one choice for all cells (best, as good): {always}.",
        "**Return at the end.**",
        markdown_table(["broken by", "kappa", *labels], ends),
        "**Tuning**: settings of every agent, found at one strength of every kind of breaking on "
        "other seeds than those above.",
        markdown_table(["broken by", "agent", "score", "settings"], settings),
    ]
    return "\n\n".join(parts) + "\n"


def _rate(of_cells: list[list[dict[str, Any]]], choice: str) -> str:
    agents = CHOICES[choice]
    best = sum(group[0]["best"] in agents for group in of_cells)
    good = sum(any(a in agents for a in group[0]["as_good"].split()) for group in of_cells)
    return f"{best}, {good}"


def _settings(found: Tuned) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} {short_text(value)}" for name, value in found.best.values.items()
    )
