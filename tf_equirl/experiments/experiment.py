"""Several kinds of agents on one environment, over the same seeds."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable
from pathlib import Path

from tf_equirl import envs
from tf_equirl.agents import PPOConfig, TrainingResult, train_ppo
from tf_equirl.dyna import DynaConfig, train_dyna
from tf_equirl.experiments.seed_chunks import train_in_chunks


@dataclasses.dataclass(frozen=True)
class Column:
    """One kind of agent.

    Attributes:
      name: folder of its runs.
      label: heading in tables and plots.
      config: hyperparameters.
      thesis: what the thesis prints at each of the experiment's timesteps, mean and error; empty
        for an agent that it does not have.
      frozen_model: transition model of the zoo that a Dyna agent plans in; None lets it learn one.
    """

    name: str
    label: str
    config: PPOConfig
    thesis: tuple[tuple[float, float], ...] = ()
    frozen_model: str | None = None


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Several kinds of agents on one environment. The first one is the baseline.

    Attributes:
      name: folder of its runs.
      title: heading of its table and figure.
      environment: registered name.
      timesteps: rows of the table, environment steps of a seed.
      levels: mean returns whose first timestep is reported.
      columns: the agents.
      comparisons: further pairs of column names to compare, beside each agent with the baseline.
      num_seeds: seeds of every agent unless others are asked for.
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
        train: Callable[..., TrainingResult] | None = None,
    ) -> dict[Column, TrainingResult]:
        """Trains whatever is missing below `folder`; see `train_in_chunks`.

        Args:
          folder: the agents' runs are in `folder/<name of the experiment>/<name of the column>`.
          num_seeds: the seeds are 0 to `num_seeds - 1`, the same for every agent; the experiment's
            own number if None.
          seeds_per_chunk: seeds that are trained side by side.
          train: called as `train_ppo` or, with a `DynaConfig`, as `train_dyna` is; those if None.

        Raises:
          ValueError: if an argument breaks its rule or a folder holds another run.
        """
        results = {}
        for column in self.columns:
            dyna = isinstance(column.config, DynaConfig)
            trainer: Callable[..., TrainingResult] = train or (train_dyna if dyna else train_ppo)
            if column.frozen_model is not None:
                trainer = functools.partial(trainer, frozen_model=column.frozen_model)
            results[column] = train_in_chunks(
                envs.make(self.environment),
                column.config,
                self.num_seeds if num_seeds is None else num_seeds,
                Path(folder) / self.name / column.name,
                seeds_per_chunk,
                trainer,
            )
        return results
