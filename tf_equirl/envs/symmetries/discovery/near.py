"""Candidates that almost hold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tf_equirl.envs.symmetries.discovery.report import NearMiss, in_words
from tf_equirl.envs.symmetries.discovery.trials import (
    TERMINATED,
    Moves,
    Transitions,
    Trials,
    rows_of,
)

LARGEST_ERROR = 0.3
"""Root mean square error, in the scale of an output, up to which a candidate almost holds."""

LARGEST_SHARE = 0.05
"""Share of transitions on which one that almost holds may fail by any amount."""

MOST = 5
"""Near misses that are reported."""

FIRST = 12
"""Transitions by which all candidates are ranked."""


def is_near(trials: Trials, move: Moves, steps: Transitions, tolerance: float) -> bool:
    """Whether one candidate almost holds."""
    errors = trials.errors(move, steps)[0]
    return _rms(errors).max() <= LARGEST_ERROR or _share(errors, tolerance) <= LARGEST_SHARE


def rank(trials: Trials, moves: Moves, steps: Transitions, most: int) -> Moves:
    """The candidates with the smallest errors on a few transitions."""
    few = rows_of(steps, slice(FIRST))
    worst = []
    for rows in np.array_split(np.arange(len(moves.points)), -(-len(moves.points) // 4096)):
        errors = trials.errors(moves.take(rows), few)
        worst.append(np.minimum(errors.max(axis=2), 1).mean(axis=1))
    return moves.take(np.argsort(np.concatenate(worst), kind="stable")[:most])


def near_misses(
    trials: Trials,
    moves: Moves,
    elements: Moves,
    steps: Transitions,
    tolerance: float,
    names: Sequence[str],
) -> tuple[NearMiss, ...]:
    """Those of the candidates that almost hold, one for every coset of the group.

    Args:
        trials: The dynamics.
        moves: Candidates.
        elements: Those of the group that was found; they and their products are no near misses.
        steps: Transitions to measure on.
        tolerance: Of errors.
        names: Of all points.
    """
    known = {_key(elements, i) for i in range(len(elements.points))}
    outputs = [*names[: trials.states_dim], "reward", "termination"]
    found = []
    for row in range(len(moves.points)):
        move = moves.take(slice(row, row + 1))
        if _key(move, 0) in known:
            continue
        coset = Moves(
            np.repeat(move.points, len(elements.points), 0),
            np.repeat(move.signs, len(elements.points), 0),
        ).after(elements)
        known |= {_key(coset, i) for i in range(len(coset.points))}
        errors = trials.errors(move, steps)[0]
        rms, share = _rms(errors), _share(errors, tolerance)
        if rms.max() <= LARGEST_ERROR or share <= LARGEST_SHARE:
            worst = int(np.argmax(rms))
            words = in_words(move.points[0], move.signs[0], names, trials.states_dim)
            found.append(NearMiss(words, float(rms[worst]), outputs[worst], share))
    return tuple(sorted(found, key=lambda near: (near.share, near.error))[:MOST])


def _rms(errors: np.ndarray) -> np.ndarray:
    rms = np.sqrt(np.mean(errors**2, axis=0))
    rms[TERMINATED] = errors[:, TERMINATED].mean()
    return rms


def _share(errors: np.ndarray, tolerance: float) -> float:
    return float(np.mean(errors.max(axis=1) > tolerance))


def _key(moves: Moves, row: int) -> bytes:
    return moves.points[row].tobytes() + moves.signs[row].tobytes()
