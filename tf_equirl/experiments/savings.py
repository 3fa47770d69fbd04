"""How many real steps an agent needs for a level, and how many times fewer than another one."""

from __future__ import annotations

import math

import numpy as np

from tf_equirl.agents import TrainingResult
from tf_equirl.experiments.statistics import Estimate

_RESAMPLES = 1000
_AT_ONCE = 50  # resamplings whose curves are in memory together


def first_timesteps(
    result: TrainingResult, level: float, window: int = 512, resamples: int = _RESAMPLES
) -> np.ndarray:
    """First timesteps at which means over resampled seeds reach a level, see below.

    Each is `first_timestep_reaching` of as many seeds, drawn with replacement by a fixed random
    key: results of the same seeds are resampled alike.

    Args:
        result: A training result.
        level: Mean return.
        window: Steps that are averaged.
        resamples: How many times seeds are drawn.

    Returns:
        `[1 + resamples]`, that of the seeds themselves first; infinity where the level is not
        reached within the run.
    """
    width = max(1, window // result.num_environments)
    seeds, length = result.returns.shape
    known = np.flatnonzero(np.isnan(result.returns).any(axis=0))
    start = known[-1] + 1 if len(known) else 0
    found = np.full(1 + resamples, np.inf)
    if length - start < width:
        return found
    drawn = np.random.default_rng(0).integers(0, seeds, [resamples, seeds])
    weights = np.stack([np.bincount(row, minlength=seeds) for row in drawn])
    weights = np.concatenate([np.ones([1, seeds]), weights]) / seeds
    returns = result.returns[:, start:].astype(np.float64)
    for first in range(0, len(weights), _AT_ONCE):
        curves = np.cumsum(weights[first : first + _AT_ONCE] @ returns, axis=1)
        curves = np.pad(curves, [(0, 0), (1, 0)])
        reached = (curves[:, width:] - curves[:, :-width]) / width >= level
        columns = reached.argmax(axis=1) + start + width - 1
        some = reached.any(axis=1)
        found[first : first + _AT_ONCE][some] = result.timesteps[columns[some]]
    return found


def steps_to_level(result: TrainingResult, level: float) -> Estimate:
    """Real steps to a level, with a 95 % bootstrap interval over seeds; infinity for never."""
    found = first_timesteps(result, level)
    return Estimate(float(found[0]), *_interval(found[1:]))


def steps_of_half(result: TrainingResult, level: float, window: int = 2048) -> Estimate:
    """Real steps after which half of the seeds have come to a level, each for the first time.

    A seed that never learns moves a mean as far as many others do; it is one seed here.

    Args:
        result: A training result.
        level: Mean return.
        window: Steps that are averaged, of each seed.

    Returns:
        The steps with a 95 % bootstrap interval over seeds; infinity where they are never that
        many.
    """
    width = max(1, window // result.num_environments)
    seeds, length = result.returns.shape
    found = np.full(seeds, np.inf)
    for seed, row in enumerate(result.returns.astype(np.float64)):
        known = len(row) - np.isnan(row)[::-1].argmax() if np.isnan(row).any() else 0
        if len(row) - known >= width:
            means = np.convolve(row[known:], np.full(width, 1 / width), "valid")
            reached = np.flatnonzero(means >= level)
            found[seed] = (
                result.timesteps[known + width - 1 + reached[0]] if len(reached) else np.inf
            )
    drawn = np.random.default_rng(0).integers(0, seeds, [_RESAMPLES, seeds])
    half = -(-seeds // 2) - 1
    middles = np.sort(found[drawn], axis=1)[:, half]
    return Estimate(float(np.sort(found)[half]), *_interval(middles))


def saving(result: TrainingResult, baseline: TrainingResult, level: float) -> Estimate:
    """How many times fewer real steps a run needs for a level than another one.

    Args:
        result: The run.
        baseline: The other one; resampled alike where it has the same seeds.
        level: Mean return.

    Returns:
        The ratio with a 95 % bootstrap interval over seeds. Infinity where the baseline does not
        reach the level within its run, 0 where the run itself does not; NaN where both do not.
    """
    ours, theirs = first_timesteps(result, level), first_timesteps(baseline, level)
    both = np.isinf(ours) & np.isinf(theirs)
    with np.errstate(invalid="ignore"):
        ratios = np.where(both, np.nan, theirs / ours)
    value = float(ratios[0])
    if np.isnan(ratios[1:]).any():
        return Estimate(value, math.nan, math.nan)
    return Estimate(value, *_interval(ratios[1:]))


def _interval(values: np.ndarray) -> tuple[float, float]:
    """The middle 95 %; no interpolation, as some may be infinite."""
    low, high = np.quantile(values, [0.025, 0.975], method="nearest")
    return float(low), float(high)
