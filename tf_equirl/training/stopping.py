"""When a run has reached what it was to reach."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tf_equirl._checks import number, shown
from tf_equirl.training.learner import Learner


def check_stop(stop_at: Any, learner: Learner, evaluate_every: int | None) -> float | None:
    """`stop_at` as a float.

    Raises:
        ValueError: Unless it is a finite number or None, and there is something to compare it with.
    """
    if stop_at is None:
        return None
    if evaluate_every is None and not learner.reports_returns:
        raise ValueError(
            "`stop_at` needs evaluate_every where the learner does not report returns. Received: "
            f"stop_at={shown(stop_at)}, {learner.trainer}"
        )
    return number("stop_at", stop_at, "a finite number, or None", lambda x: True)


def reached(level: float, values: NDArray[Any], sound: NDArray[np.bool_]) -> bool:
    """Whether the mean of values `[seeds]` over seeds that are not lost is at least a level.

    It is not while it is unknown of one of them (NaN), as of a seed that has finished no episode.
    """
    kept = values[sound]
    return bool(kept.size and not np.isnan(kept).any() and kept.mean(dtype=np.float64) >= level)


def first_reached(
    level: float | None, values: NDArray[Any], sound: NDArray[np.bool_], parts: Sequence[slice]
) -> int | None:
    """The first row of values `[rows, members]` in which every part has `reached` a level, if any.

    The level None is never reached.
    """
    if level is None:
        return None
    for row, (here, known) in enumerate(zip(values, sound, strict=True)):
        if all(reached(level, here[part], known[part]) for part in parts):
            return row
    return None
