"""Many seeds, trained in chunks that are kept on disk one by one."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from tf_equirl import agents, envs
from tf_equirl._checks import positive_integer
from tf_equirl.training.blocks import FEWEST
from tf_equirl.training.config import Config
from tf_equirl.training.evaluations import Evaluations
from tf_equirl.training.evaluations import joined as joined_evaluations
from tf_equirl.training.result import Result

_Result = TypeVar("_Result", bound=Result)
# One array for all seeds; every other array of a result has a row for each.
_SHARED = ("planning_timesteps",)


def train_in_chunks(
    env: envs.BaseEnvironment | str,
    config: Config,
    num_seeds: int,
    folder: str | os.PathLike,
    seeds_per_chunk: int = 32,
    train: Callable[..., _Result] | None = None,
) -> _Result:
    """Trains seeds 0 to `num_seeds - 1`, taking from `folder` whatever is there already.

    Every chunk has a run folder of its own, `seeds-0-31`, `seeds-32-63` and so on, with its own
    checkpoint: an interrupted call goes on where it was when called again. A seed's result does not
    depend on its chunk.

    Args:
        env: The environment, or its name.
        config: Hyperparameters.
        num_seeds: Number of seeds.
        folder: Holds the chunks' run folders.
        seeds_per_chunk: Seeds in a chunk; the last may be smaller. A rest of one or two seeds joins
            the chunk before, since so few alone would round differently.
        train: Called as `train_ppo` is, with the config; `train_ppo` if None.

    Returns:
        One result for all seeds.

    Raises:
        ValueError: If an argument breaks its rule or a chunk's folder holds another run.
    """
    num_seeds = positive_integer("num_seeds", num_seeds)
    seeds_per_chunk = positive_integer("seeds_per_chunk", seeds_per_chunk)
    trainer: Callable[..., Any] = agents.train_ppo if train is None else train
    results = []
    firsts = range(0, num_seeds, seeds_per_chunk)
    if len(firsts) > 1 and num_seeds - firsts[-1] < min(FEWEST, seeds_per_chunk):
        firsts = firsts[:-1]
    for first, end in zip(firsts, [*firsts[1:], num_seeds], strict=True):
        seeds = range(first, end)
        run_dir = Path(folder) / f"seeds-{seeds[0]}-{seeds[-1]}"
        resume = (run_dir / "run.json").exists()
        results.append(trainer(env, config, seeds, run_dir, resume=resume))
    return join_seeds(results)


def join_seeds(results: Sequence[_Result]) -> _Result:
    """One result for the seeds of several runs that differ in nothing else; times are added up.

    Of evaluations it has those that all runs made.

    Raises:
        ValueError: If there is none, they are not runs of one kind, or a seed occurs twice.
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
    fields = {field.name for field in dataclasses.fields(first)} - set(_SHARED)
    joined = {name: _joined([getattr(r, name) for r in results]) for name in fields}
    return dataclasses.replace(first, **{**joined, "seeds": seeds, "run_dir": None})


def _joined(parts: Sequence[Any]) -> Any:
    """Arrays one below the other, sums of times, and so inside of dicts and lists."""
    first = parts[0]
    if isinstance(first, Evaluations):
        return joined_evaluations(parts)
    if isinstance(first, np.ndarray):
        return np.concatenate(parts)
    if isinstance(first, float):
        return sum(parts)
    if isinstance(first, dict):
        return {key: _joined([part[key] for part in parts]) for key in first}
    if isinstance(first, list):
        return [_joined(column) for column in zip(*parts, strict=True)]
    return first
