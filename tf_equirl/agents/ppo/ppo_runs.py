"""The run folders of `train_ppo`: what they say of a run, and its results."""

from __future__ import annotations

import os
from typing import Any

import keras
import numpy as np

from tf_equirl._files import write_atomically
from tf_equirl.agents import run_folder
from tf_equirl.agents.ppo.config import PPOConfig
from tf_equirl.envs import Environment
from tf_equirl.training.run_folder import RunFolder, RunKind

PPO_RUN = RunKind(
    trainer="train_ppo",
    models=frozenset({"actor", "critic"}),
    identity=(
        "environment",
        "environment_config",
        "config",
        "seeds",
        "symmetry",
        "models",
        "start_from",
    ),
    config=PPOConfig(),
    defaults={"start_from": None},
)


def describe_run(
    env: Environment,
    config: PPOConfig,
    seeds: tuple[int, ...],
    actor: keras.Model,
    critic: keras.Model,
    start_from: str | None,
) -> dict[str, Any]:
    """The contents of `run.json`."""
    description = run_folder.describe(env, config, seeds, {"actor": actor, "critic": critic})
    return {**description, "start_from": start_from}


def read_description(path: str | os.PathLike) -> dict[str, Any]:
    """The contents of a run folder's `run.json`.

    Raises:
      ValueError: if the folder holds no run of `train_ppo`, or the file is damaged.
    """
    return run_folder.read_description(path, PPO_RUN)


def write_results(
    folder: RunFolder, seeds: tuple[int, ...], batch_size: int, history: dict[str, np.ndarray]
) -> None:
    """Writes `results.csv`, one row per seed and update, and `returns.npz`, every step's returns.

    Args:
      folder: the run's.
      seeds: the seeds.
      batch_size: environment steps of a seed and update.
      history: arrays `[updates, ..., seeds]`; see `TrainingResult`.
    """
    names = [name for name, values in history.items() if values.ndim == 2 and name != "finite"]
    columns = {"mean_return": history["returns"].mean(axis=1), **{n: history[n] for n in names}}
    rows = []
    for column, seed in enumerate(seeds):
        for update in range(len(history["returns"])):
            row = [f"{values[update, column]:.6g}" for values in columns.values()]
            if "nan" not in row[0]:
                rows.append([seed, update, (update + 1) * batch_size, *row])
    folder.write_rows(["seed", "update", "timestep", *columns], rows)
    write_atomically(
        folder.path / "returns.npz",
        lambda stream: np.savez_compressed(
            stream,
            seeds=np.array(seeds),
            returns=history["returns"],
            first_returns=history["first_returns"],
        ),
    )
