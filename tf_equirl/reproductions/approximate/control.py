"""SAC on control tasks whose symmetry is whole, or broken as published: which networks are best."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tf_equirl import envs
from tf_equirl.agents import NonFiniteError, SACConfig, TrainingResult, train_sac
from tf_equirl.agents.sac.networks import make_networks
from tf_equirl.envs.breaking import BREAKINGS
from tf_equirl.experiments.calls import Call, call_trainer
from tf_equirl.experiments.experiment import Column, Experiment
from tf_equirl.experiments.metrics import area_under_curve
from tf_equirl.models.widths import trained_parameters
from tf_equirl.reproductions.approximate.measures import (
    areas_by_rate,
    best_rate,
    layer_spreads,
    noisy_returns,
    runs_by_rate,
)

AGENTS: Mapping[str, str] = {
    "mlp": "MLP",
    "exact": "exact",
    "relaxed": "relaxed, L = 1",
    "rpp": "RPP",
}
_KINDS = {"mlp": "mlp", "exact": "gcnn", "relaxed": "relaxed", "rpp": "rpp"}


class Task(NamedTuple):
    """A task, shorter than dm_control's.

    Attributes:
        max_episode_steps: Of 1,000.
        scales: About how large each number observed is, in its unit; noise is measured by them.
    """

    max_episode_steps: int
    scales: tuple[float, ...]


TASKS: Mapping[str, Task] = {
    "CartPoleSwingup": Task(500, (1.0, 1.0, 1.0, 2.0, 5.0)),
    "Reacher": Task(250, (1.0, 1.0, 2.0, 0.2, 0.2, 3.0, 3.0)),
    "Acrobot": Task(500, (1.0, 1.0, 1.0, 1.0, 5.0, 5.0)),
}
"""By name, in the order in which they are trained."""
BASE = SACConfig(
    actor="mlp",
    q_function="mlp",
    hidden_units=(64, 64),
    total_timesteps=512_000,
    num_environments=32,
    rollout_steps=50,
    train_every=32,
    batch_size=64,
    learning_starts=3_200,
    buffer_size=128_000,
    tau=0.05,
    initial_temperature=0.1,
)
"""One gradient step after each of the 32 environments made one."""
RATES = (1e-3, 3e-3, 1e-2)
SEARCH_SEEDS = (1000, 1001, 1002, 1003)
SHARES = (0.1, 0.3)
"""Standard deviations of noise, in units of `Task.scales`."""


class ControlCell(NamedTuple):
    """A task, and how its symmetry is broken; "none" where it is not."""

    task: str
    breaking: str

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.task}-{self.breaking}".lower()


class Measured(NamedTuple):
    """An agent in a cell.

    Attributes:
        result: Of training.
        returns: By share of noise, from 0, `[seeds]`: mean greedy returns of the last policies.
        spreads: Of the relaxation weights of the actor's layers, `[seeds, layers]`; no layers where
            there are none.
        certificates: Bounds on the equivariance errors of those layers and of residual pathways.
    """

    result: TrainingResult
    returns: dict[float, np.ndarray]
    spreads: np.ndarray
    certificates: np.ndarray

    @property
    def area(self) -> np.ndarray:
        """`[seeds]`, under the learning curve."""
        return area_under_curve(self.result)


@dataclasses.dataclass(frozen=True)
class Control:
    """SAC with free, exact, relaxed and residual networks of as many parameters each.

    Attributes:
        tasks: Names, of `TASKS`.
        breakings: Kinds, as far as a task has them, at their published strength.
        base: What all agents have in common.
        rates: Learning rates of which every agent has its best of the first cell.
        search_seeds: By which that is found, which are none of those that are reported.
        search_timesteps: Of the runs by which it is found.
        num_seeds: Of every agent and cell; 10 would be computed as 16, too.
        shares: Of noise.
        episodes: By which a policy's return is measured.
    """

    tasks: tuple[str, ...] = tuple(TASKS)
    breakings: tuple[str, ...] = BREAKINGS
    base: SACConfig = BASE
    rates: tuple[float, ...] = RATES
    search_seeds: tuple[int, ...] = SEARCH_SEEDS
    search_timesteps: int = 256_000
    num_seeds: int = 16
    shares: tuple[float, ...] = SHARES
    episodes: int = 128

    name = "approximate-control"
    """Folder of the runs, which tables of one task and that of all share."""
    searched = ControlCell(next(iter(TASKS)), "none")
    """Where learning rates are found."""

    def cells(self) -> Iterator[ControlCell]:
        """Those of each task: not broken first."""
        for task in self.tasks:
            known = envs.make(task).breakings
            yield from (ControlCell(task, kind) for kind in self.breakings if kind in known)

    def make(self, cell: ControlCell) -> envs.Environment:
        """The environment of a cell."""
        return envs.make(cell.task, **_arguments(cell))

    def config(self, agent: str, task: str) -> SACConfig:
        """An agent before its learning rate is found, with as many parameters as the MLP has."""
        if agent == "mlp":
            return self.base
        networks = make_networks(self.make(ControlCell(task, "none")), self.base)
        actor, q_function = map(trained_parameters, networks)
        return dataclasses.replace(
            self.base,
            actor=_KINDS[agent],
            q_function=_KINDS[agent],
            match_parameters=actor,
            match_q_function_parameters=q_function,
        )

    def found_rates(self, folder: Path, call: Call = call_trainer) -> dict[str, dict[float, float]]:
        """By agent and learning rate the mean area under the curve; trains what is missing."""
        env = self.make(self.searched)
        found = {}
        for agent in AGENTS:
            config = self.config(agent, self.searched.task)
            place = folder / self.name / f"{self.searched.name}-search" / agent
            train = functools.partial(as_far_as_finite, call, train_sac)
            runs = runs_by_rate(
                train, env, config, self.rates, self.search_timesteps, self.search_seeds, place
            )
            found[agent] = areas_by_rate(runs)
        return found

    def run(
        self,
        rates: Mapping[str, Mapping[float, float]],
        folder: Path,
        num_seeds: int | None = None,
        seeds_per_chunk: int = 32,
        call: Call = call_trainer,
    ) -> dict[ControlCell, dict[str, Measured]]:
        """Trains and measures whatever is missing below `folder`.

        Args:
            rates: See `found_rates`.
            folder: Of everything.
            num_seeds: Of every agent and cell; that of this object if None.
            seeds_per_chunk: See `Experiment.train`.
            call: Likewise.
        """
        found: dict[ControlCell, dict[str, Measured]] = {}
        for cell in self.cells():
            found[cell] = {}
            for agent, label in AGENTS.items():
                config = dataclasses.replace(
                    self.config(agent, cell.task), learning_rate=best_rate(rates[agent])
                )
                column = Column(agent, label, config, arguments=tuple(_arguments(cell).items()))
                place = f"{self.name}/{cell.name}"
                experiment = Experiment(place, place, cell.task, (), (), (column,))

                def tolerant(trainer: Any, *arguments: Any, **options: Any) -> Any:
                    return as_far_as_finite(call, trainer, *arguments, **options)

                seeds = self.num_seeds if num_seeds is None else num_seeds
                results = experiment.train(folder, seeds, seeds_per_chunk, tolerant)
                found[cell][agent] = self.measure(
                    results[column], cell, folder / place / agent / "returns.json"
                )
        return found

    def measure(self, result: TrainingResult, cell: ControlCell, file: Path) -> Measured:
        """Plays the last policies with and without noise, the same episodes for all.

        Args:
            result: Of training in the cell.
            cell: The cell.
            file: Where returns are kept, and read if it has those that are asked for.
        """
        scales = TASKS[cell.task].scales
        noise = {share: [share * x for x in scales] for share in (0.0, *self.shares)}
        returns = noisy_returns(result, self.make(cell), noise, self.episodes, file)
        actors = [result.actor(seed) for seed in result.seeds]
        bounded = [
            [x for x in actor.layers if hasattr(x, "equivariance_certificate")] for actor in actors
        ]
        return Measured(
            result,
            returns,
            layer_spreads(actors),
            np.array([[x.equivariance_certificate().slope for x in layers] for layers in bounded]),
        )


def _arguments(cell: ControlCell) -> dict[str, Any]:
    return {
        "breaking": cell.breaking,
        "policy": "squashed_gaussian",
        "max_episode_steps": TASKS[cell.task].max_episode_steps,
    }


def as_far_as_finite(call: Call, trainer: Any, *arguments: Any, **options: Any) -> Any:
    """The results of a trainer, in which seeds that became non-finite have unknown curves."""
    try:
        return call(trainer, *arguments, **options)
    except NonFiniteError as error:
        return error.result
