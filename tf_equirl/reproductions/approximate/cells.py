"""PPO on CartPole whose symmetry is broken by degrees: which networks are best, cell by cell."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tf_equirl import envs
from tf_equirl.agents import PPOConfig, TrainingResult
from tf_equirl.experiments.calls import Call, call_trainer
from tf_equirl.experiments.experiment import Column, Experiment
from tf_equirl.experiments.tuning import Search, Tuned
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
        environment: Its name.
        strengths: By kind of breaking.
        tuned_at: The strength at which agents are tuned, by kind; where nothing is broken they have
            the settings of the first kind.
        base: What all agents have before they are tuned.
        trials: Of every search.
        search_seeds: Which are none of those that are reported.
        num_seeds: Of every agent and cell.
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
            tuned: See `tuned`.
            folder: Of everything.
            num_seeds: Of every agent and cell; those of this object if None.
            seeds_per_chunk: See `Experiment.train`.
            call: Likewise.
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
