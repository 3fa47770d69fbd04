"""Many seeds, trained in chunks that are kept on disk one by one."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tf_equirl import envs
from tf_equirl._checks import positive_integer
from tf_equirl.agents import PPOConfig, TrainingResult, train_ppo
from tf_equirl.dyna import DynaResult


def train_in_chunks(
    env: envs.Environment | str,
    config: PPOConfig,
    num_seeds: int,
    folder: str | os.PathLike,
    seeds_per_chunk: int = 32,
    train: Callable[..., TrainingResult] = train_ppo,
) -> TrainingResult:
    """Trains seeds 0 to `num_seeds - 1`, taking from `folder` whatever is there already.

    Every chunk has a run folder of its own, `seeds-0-31`, `seeds-32-63` and so on, with its own
    checkpoint: an interrupted call goes on where it was when called again. A seed's result does not
    depend on its chunk.

    Args:
      env: the environment, or its name.
      config: hyperparameters.
      num_seeds: number of seeds.
      folder: holds the chunks' run folders.
      seeds_per_chunk: seeds in a chunk; the last may be smaller.
      train: called as `train_ppo` is, for example to show progress.

    Returns:
      One result for all seeds.

    Raises:
      ValueError: if an argument breaks its rule or a chunk's folder holds another run.
    """
    num_seeds = positive_integer("num_seeds", num_seeds)
    seeds_per_chunk = positive_integer("seeds_per_chunk", seeds_per_chunk)
    results = []
    for first in range(0, num_seeds, seeds_per_chunk):
        seeds = range(first, min(first + seeds_per_chunk, num_seeds))
        run_dir = Path(folder) / f"seeds-{seeds[0]}-{seeds[-1]}"
        resume = (run_dir / "run.json").exists()
        results.append(train(env, config, seeds, run_dir, resume=resume))
    return join_seeds(results)


def join_seeds(results: Sequence[TrainingResult]) -> TrainingResult:
    """One result for the seeds of several runs that differ in nothing else.

    Raises:
      ValueError: if there is none, they are not runs of one kind, or a seed occurs twice.
    """
    if not results:
        raise ValueError("results must hold at least one run. Received: none")
    first = results[0]
    if any((r.environment, r.config) != (first.environment, first.config) for r in results):
        kinds = [(r.environment, r.config) for r in results]
        raise ValueError(f"results must share environment and config. Received: {kinds}")
    seeds = tuple(seed for r in results for seed in r.seeds)
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"results must not share seeds. Received: seeds={seeds}")
    return dataclasses.replace(
        first,
        **_joined_planning(results),
        seeds=seeds,
        returns=np.concatenate([r.returns for r in results]),
        first_returns=np.concatenate([r.first_returns for r in results]),
        metrics={k: np.concatenate([r.metrics[k] for r in results]) for k in first.metrics},
        weights=[np.concatenate(rows) for rows in zip(*(r.weights for r in results), strict=True)],
        compile_seconds=sum(r.compile_seconds for r in results),
        run_seconds=sum(r.run_seconds for r in results),
        run_dir=None,
    )


def _joined_planning(results: Sequence[TrainingResult]) -> dict[str, Any]:
    """The fields that a `DynaResult` has beside those of every result."""
    runs = [r for r in results if isinstance(r, DynaResult)]
    if not runs:
        return {}
    return {
        "planned_updates": np.concatenate([r.planned_updates for r in runs]),
        "imagined_returns": np.concatenate([r.imagined_returns for r in runs]),
        "model_metrics": {
            name: np.concatenate([r.model_metrics[name] for r in runs])
            for name in runs[0].model_metrics
        },
        "model_weights": [
            np.concatenate(rows) for rows in zip(*(r.model_weights for r in runs), strict=True)
        ],
        "seconds": {part: sum(r.seconds[part] for r in runs) for part in runs[0].seconds},
    }
