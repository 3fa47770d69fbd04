"""Compares the distributions of what follows with those of the images of states and actions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tf_equirl.envs.symmetries.compare import TOLERANCES, Starts, numbers_of, sizes_of
from tf_equirl.envs.symmetries.interface import Dynamics, Outcomes
from tf_equirl.envs.symmetries.outcome_report import OutcomeCase, OutcomeReport
from tf_equirl.groups import Symmetry

_TOLERANCE = 1e-5
"""Total variation that the rounding of some thousand probabilities in float32 leaves."""


def compare_outcomes(
    dynamics: Dynamics, symmetry: Symmetry, starts: Starts, name: str
) -> OutcomeReport:
    """Lists the outcomes of every pair (s, a) and of its images, and compares.

    Outcomes are the same where their next states and rewards differ by no more than the
    `TOLERANCES` of `compare_steps`, in the size of a step.

    Args:
        dynamics: Of the environment, which lists its outcomes.
        symmetry: The claim, of fitting dimensions.
        starts: Where to step from.
        name: Of the environment, for the report.

    Raises:
        ValueError: If the environment does not list a transition that was visited, or its
            probabilities are none.
    """
    listed = dynamics.outcomes(starts.states, starts.actions)
    count, scale = len(starts.states), _scale(listed, starts, dynamics)
    _check_visited(listed, starts, scale, name)
    rows: list[tuple[Any, ...]] = []
    case, largest = None, _TOLERANCE
    for element in symmetry.group.elements:
        states = symmetry.move_states(element, starts.states)
        actions = symmetry.move_actions(element, starts.actions)
        expected = listed._replace(next_states=symmetry.move_states(element, listed.next_states))
        both, labels, first = _matched(expected, dynamics.outcomes(states, actions), scale)
        split = len(expected.rows)
        chances = np.stack(
            [
                np.bincount(labels[part], both.probability[part], len(first))
                for part in (slice(split), slice(split, None))
            ]
        )
        differences = np.abs(chances[0] - chances[1])
        variation = np.bincount(both.rows[first], differences, count) / 2
        rows.append((variation.max(), variation.mean(), np.mean(variation > _TOLERANCE)))
        if variation.max() > largest:
            largest, i = variation.max(), int(variation.argmax())
            worst = int(np.where(both.rows[first] == i, differences, -1.0).argmax())
            outcome = first[worst]
            case = OutcomeCase(
                element=element,
                state=numbers_of(starts.states[i]),
                action=numbers_of(starts.actions[i]),
                moved_state=numbers_of(states[i]),
                moved_action=numbers_of(actions[i]),
                next_state=numbers_of(both.next_states[outcome]),
                reward=float(both.rewards[outcome]),
                terminated=bool(both.terminated[outcome]),
                expected=float(chances[0, worst]),
                found=float(chances[1, worst]),
            )
    total, means, shares = (numbers_of(column) for column in zip(*rows, strict=True))
    return OutcomeReport(
        total_variation=total,
        mean_variation=means,
        broken_share=shares,
        samples=count,
        most_outcomes=int(np.bincount(listed.rows).max()),
        env=name,
        group=symmetry.group.name,
        case=case,
        explored_by=starts.explored_by,
        tolerance=_TOLERANCE,
    )


def _scale(listed: Outcomes, starts: Starts, dynamics: Dynamics) -> NDArray[np.float64]:
    """[d + 2]: up to which difference numbers are equal: of next states, rewards and ends."""
    weights = listed.probability / len(starts.states)
    changes = (listed.next_states - starts.states[listed.rows]) ** 2
    spread = np.sqrt(weights @ (listed.rewards - weights @ listed.rewards) ** 2)
    sizes = [sizes_of(np.sqrt(weights @ changes), starts.states), sizes_of(spread, listed.rewards)]
    return TOLERANCES[dynamics.precision] * np.hstack([*sizes, 1.0])


def _check_visited(listed: Outcomes, starts: Starts, scale: NDArray[np.float64], name: str) -> None:
    """Raises a ValueError unless what followed the states where they were visited is listed."""
    if starts.following is None or starts.rewards is None or starts.terminated is None:
        return
    rows = np.arange(len(starts.states))
    visited = Outcomes(
        rows, np.ones(len(rows)), starts.following, starts.rewards, starts.terminated
    )
    _, labels, _ = _matched(listed, visited, scale)
    missing = ~np.isin(labels[len(listed.rows) :], labels[: len(listed.rows)])
    if missing.any():
        i = int(missing.argmax())
        raise ValueError(
            "`env` must list in `outcomes` everything that `transition` leads to, from the states "
            f"that `state_from_observation` sets. Received: env={name}, in which "
            f"{missing.sum():,} of {len(rows):,} visited transitions are not listed, the first one "
            f"with action {numbers_of(starts.actions[i])}, reward {starts.rewards[i]:.6g}, "
            f"terminated={bool(starts.terminated[i])}"
        )


def _matched(
    expected: Outcomes, found: Outcomes, scale: NDArray[np.float64]
) -> tuple[Outcomes, NDArray[np.int64], NDArray[np.int64]]:
    """Puts outcomes together, and finds which of them are the same.

    Coordinate by coordinate, outcomes of the same sample are told apart where a gap in their sorted
    numbers is larger than `scale` [d + 2].

    Returns:
        All m outcomes; numbers [m], equal for the outcomes that are; and of every number the first
        outcome.
    """
    both = Outcomes(*(np.concatenate(x) for x in zip(expected, found, strict=True)))
    values = np.column_stack([both.next_states, both.rewards, both.terminated])
    _, first, labels = np.unique(both.rows, return_index=True, return_inverse=True)
    differ = np.any(np.abs(values - values[first][labels]) > scale, axis=0)
    most = len({(i, row.tobytes()) for i, row in zip(both.rows, values, strict=True)})
    for column in np.flatnonzero(differ):
        if labels.max() + 1 >= most:  # all are told apart that differ at all
            break
        numbers = values[:, column].copy()  # side by side in memory
        order = np.lexsort((numbers, labels))
        gaps = np.diff(numbers[order]) > scale[column]
        begins = np.concatenate([[False], gaps | (np.diff(labels[order]) != 0)])
        labels[order] = np.cumsum(begins)
    _, first = np.unique(labels, return_index=True)
    return both, labels, first
