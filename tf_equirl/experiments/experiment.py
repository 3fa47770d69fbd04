"""Several kinds of agents on one environment, over the same seeds."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tf_equirl import agents, dyna, envs
from tf_equirl.agents import TrainingResult
from tf_equirl.dyna import DynaConfig
from tf_equirl.experiments.calls import Call, call_trainer
from tf_equirl.experiments.seed_chunks import train_in_chunks
from tf_equirl.training.config import AgentConfig


@dataclasses.dataclass(frozen=True)
class Column:
    """One kind of agent.

    Attributes:
        name: Folder of its runs.
        label: Heading in tables and plots.
        config: Hyperparameters.
        thesis: What the thesis prints at each of the experiment's timesteps, mean and error; empty
            for an agent that it does not have.
        frozen_model: Transition model of the zoo that a Dyna agent plans in; None lets it learn
            one.
        arguments: Of the environment, by name, where an agent has its own.
    """

    name: str
    label: str
    config: AgentConfig | DynaConfig
    thesis: tuple[tuple[float, float], ...] = ()
    frozen_model: str | None = None
    arguments: tuple[tuple[str, Any], ...] = ()

    def environment_of(self, name: str) -> envs.BaseEnvironment:
        """The environment of this name with the agent's arguments."""
        return envs.make(name, **dict(self.arguments))

    @property
    def trainer(self) -> Callable[..., TrainingResult]:
        """What trains it: `train_ppo`, `train_dqn`, `train_sac`, `train_drqv2` or `train_dyna`."""
        if isinstance(self.config, agents.DQNConfig):
            return agents.train_dqn
        if isinstance(self.config, agents.SACConfig):
            return agents.train_sac
        if isinstance(self.config, agents.DrQv2Config):
            return agents.train_drqv2
        if not isinstance(self.config, DynaConfig):
            return agents.train_ppo
        if self.frozen_model is None:
            return dyna.train_dyna
        return functools.partial(dyna.train_dyna, frozen_model=self.frozen_model)


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Several kinds of agents on one environment. The first one is the baseline.

    Attributes:
        name: Folder of its runs.
        title: Heading of its table and figure.
        environment: Registered name.
        timesteps: Rows of the table, environment steps of a seed.
        levels: Mean returns whose first timestep is reported.
        columns: The agents.
        comparisons: Further pairs of column names to compare, beside each agent with the baseline.
        num_seeds: Seeds of every agent unless others are asked for.
    """

    name: str
    title: str
    environment: str
    timesteps: tuple[int, ...]
    levels: tuple[float, ...]
    columns: tuple[Column, ...]
    comparisons: tuple[tuple[str, str], ...] = ()
    num_seeds: int = 128

    def thesis(self, column: Column) -> dict[int, tuple[float, float]]:
        """What the thesis prints of an agent: mean and error by timestep."""
        return dict(zip(self.timesteps, column.thesis, strict=False))

    def train(
        self,
        folder: str | os.PathLike,
        num_seeds: int | None = None,
        seeds_per_chunk: int = 32,
        call: Call = call_trainer,
    ) -> dict[Column, TrainingResult]:
        """Trains whatever is missing below `folder`; see `train_in_chunks`.

        Args:
            folder: The agents' runs are in `folder/<name of the experiment>/<name of the column>`.
            num_seeds: The seeds are 0 to `num_seeds - 1`, the same for every agent; the
                experiment's own number if None.
            seeds_per_chunk: Seeds that are trained side by side.
            call: Called with a column's trainer and its arguments; it may show progress.

        Raises:
            ValueError: If an argument breaks its rule or a folder holds another run.
        """
        return {
            column: train_in_chunks(
                column.environment_of(self.environment),
                column.config,
                self.num_seeds if num_seeds is None else num_seeds,
                Path(folder) / self.name / column.name,
                seeds_per_chunk,
                functools.partial(call, column.trainer),
            )
            for column in self.columns
        }
