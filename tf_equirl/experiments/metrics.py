"""What is read off a learning curve.

Every environment reports the return of the last episode that it finished. A seed's curve is the
mean of that over its environments that have finished one, and is not known (NaN) until the first
has. The "return at timestep t" of a seed is the mean of its curve over the steps within 500 of t at
which it is known. No episode that has not ended counts for anything here.

From the update on in which a seed became non-finite its curve is NaN again, and so is whatever
reads that part of it. A mean over seeds is known where every seed is: those whose first episodes
end soon are not a fair sample of all. Errors are two standard errors over seeds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from tf_equirl.agents import TrainingResult
from tf_equirl.training.result import mean_from_first_known


def return_at(result: TrainingResult, timestep: int, window: int = 500) -> np.ndarray:
    """Return of every seed at a timestep.

    Args:
        result: A training result.
        timestep: Environment steps of a seed.
        window: Steps on each side that are averaged; clipped to the run, and to what of it follows
            the end of the seed's first episode.

    Returns:
        `[seeds]`; NaN where no episode has ended by the end of the window, or the seed became
        non-finite by then.

    Raises:
        ValueError: If the timestep lies outside of the run.
    """
    _check_timestep(result, timestep)
    steps = result.timesteps
    inside = np.flatnonzero(np.abs(steps - timestep) <= window)
    if not len(inside):  # a window narrower than the distance of two records
        inside = np.array([np.argmin(np.abs(steps - timestep))])
    return mean_from_first_known(result.returns[:, inside])


def single_environment_return_at(result: TrainingResult, timestep: int) -> np.ndarray:
    """The thesis' reading of a timestep: each seed's first environment at that one instant.

    It estimates the same quantity as `return_at` with more noise. The first
    environment is the one that the thesis reads wherever `num_environments` divides `timestep`.

    Returns:
        `[seeds]`; NaN where that environment has not finished an episode by then.

    Raises:
        ValueError: If the timestep lies outside of the run.
    """
    _check_timestep(result, timestep)
    column = min(timestep // result.num_environments, result.returns.shape[1] - 1)
    return result.first_returns[:, column]


def area_under_curve(result: TrainingResult) -> np.ndarray:
    """Mean of every seed's learning curve from the end of its first episode to that of the run.

    Nothing is made up for the steps before: they do not count, neither above nor below the line.

    Returns:
        `[seeds]`; NaN for a seed that finished no episode or became non-finite.
    """
    return mean_from_first_known(result.returns)


def worst_tenth(result: TrainingResult) -> np.ndarray:
    """Rows of the tenth of seeds (at least one) with the least area under the curve.

    Seeds whose area is not known come last.
    """
    count = max(1, round(len(result.seeds) / 10))
    return np.argsort(area_under_curve(result), kind="stable")[:count]


def first_timestep_reaching(result: TrainingResult, level: float, window: int = 512) -> int | None:
    """First timestep at which the mean over seeds, averaged over `window` steps, reaches `level`.

    What is not known reaches nothing: all of the `window` steps up to the timestep must follow the
    ends of all seeds' first episodes.

    Returns:
        The timestep, or None if the run never gets there.
    """
    width = max(1, window // result.num_environments)
    curve = result.returns.mean(axis=0)
    if len(curve) < width:
        return None
    averaged = np.convolve(curve, np.full(width, 1 / width), mode="valid")
    reached = np.flatnonzero(averaged >= level)
    return int(result.timesteps[reached[0] + width - 1]) if len(reached) else None


def common_part(results: Sequence[TrainingResult]) -> list[TrainingResult]:
    """The runs, cut to the length of the shortest; unknown stretches of their curves stay unknown.

    Raises:
        ValueError: If they have different numbers of environments.
    """
    counts = {result.num_environments for result in results}
    if len(counts) > 1:
        raise ValueError(f"results must have one number of environments. Received: {counts}")
    length = min(result.returns.shape[1] for result in results)
    return [
        result
        if result.returns.shape[1] == length
        else dataclasses.replace(
            result,
            returns=result.returns[:, :length],
            first_returns=result.first_returns[:, :length],
        )
        for result in results
    ]


def agent_config(result: TrainingResult) -> Any:
    """The hyperparameters of a run's agent, which plans or does not."""
    return agent_of(result.config)


def agent_of(config: Any) -> Any:
    """The part of a config that is the agent's: of one that plans, and of any other itself."""
    return getattr(config, "agent", config)


def _check_timestep(result: TrainingResult, timestep: int) -> None:
    last = int(result.timesteps[-1]) if result.returns.size else 0
    # A run is rounded down to whole updates: its nominal end still names its last steps.
    if not 0 <= timestep <= max(last, agent_config(result).total_timesteps) or not last:
        raise ValueError(
            f"timestep must lie in the run, 0 to {last}. Received: timestep={timestep}"
        )
