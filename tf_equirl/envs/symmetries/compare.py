"""Compares real steps with those of the images of states and actions."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tf_equirl.envs.symmetries.interface import Dynamics
from tf_equirl.envs.symmetries.report import APPROXIMATE, KINDS, LEVELS, Case, SymmetryReport
from tf_equirl.groups import Symmetry

TOLERANCES: dict[type[np.floating], float] = {np.float32: 1e-4, np.float64: 1e-8}
"""Errors in steps that rounding leaves, by the precision in which states are kept: some thousand
times 1.2e-7, since numbers may be that much larger than a step; the root of 2.2e-16."""


class Starts(NamedTuple):
    """States [n, d], actions, what followed where they were visited, and how they came about."""

    states: NDArray[np.float64]
    actions: NDArray[Any]
    following: NDArray[np.float64] | None
    explored_by: str
    rewards: NDArray[np.float64] | None = None
    terminated: NDArray[np.bool_] | None = None


class _Images(NamedTuple):
    """What one element does to the samples, and how far that is from what it should.

    Attributes:
        states: [n, d] g s.
        actions: g a.
        expected: g s' [n, d], rewards [n] and terminations [n] of (s, a).
        found: The same of (g s, g a).
        errors: The differences of these; a termination's is 0 or 1.
        relative: [n, d] and [n] the errors of next states and rewards in steps, and terminations'.
    """

    states: NDArray[np.float64]
    actions: NDArray[Any]
    expected: tuple[NDArray[np.float64], ...]
    found: tuple[NDArray[np.float64], ...]
    errors: tuple[NDArray[np.float64], ...]
    relative: tuple[NDArray[np.float64], ...]


def compare_steps(
    dynamics: Dynamics, symmetry: Symmetry, starts: Starts, name: str
) -> SymmetryReport:
    """Steps from every state and from its images under every element, and compares.

    Args:
        dynamics: Of the environment.
        symmetry: The claim, of fitting dimensions.
        starts: Where to step from.
        name: Of the environment, for the report.

    Raises:
        ValueError: If the same state and action lead to two results.
    """
    states = starts.states
    following, rewards, _ = followed = _step_twice(dynamics, states, starts.actions)
    sizes = sizes_of(np.sqrt(np.mean((following - states) ** 2, axis=0)), states)
    if dynamics.one_scale:
        sizes = np.full_like(sizes, np.sqrt(np.mean((following - states) ** 2, axis=0)).max())
    scales = sizes, sizes_of(np.std(rewards), rewards), np.ones(())
    rows: list[tuple[Any, ...]] = []
    cases: dict[str, Case] = {}
    by_coordinate = np.zeros(dynamics.observation_dim)
    for element in symmetry.group.elements:
        images = _images(dynamics, symmetry, element, starts, followed, scales)
        by_coordinate = np.maximum(by_coordinate, images.relative[0].max(axis=0))
        largest = images.relative[0].max(axis=1), *images.relative[1:]
        broken = (np.maximum(*largest[:2]) > APPROXIMATE) | (largest[2] > 0)
        quantiles = [np.quantile(part, LEVELS, method="higher") for part in largest[:2]]
        rows.append(
            (
                float(images.errors[0].max()),
                float(images.errors[1].max()),
                float(images.errors[2].mean()),
                *map(numbers_of, quantiles),
                float(broken.mean()),
            )
        )
        for part, kind in enumerate(KINDS):
            i = int(largest[part].argmax())
            if largest[part][i] > (cases[kind].relative if kind in cases else 0.0):
                cases[kind] = _case(part, i, element, starts, following, images, dynamics.names)
    columns = [tuple(column) for column in zip(*rows, strict=True)]
    replayed = None
    if starts.following is not None:
        replayed = float(_finite(np.abs(starts.following - following) / sizes).max())
    return SymmetryReport(
        next_state=columns[0],
        reward=columns[1],
        terminated=columns[2],
        samples=len(states),
        env=name,
        group=symmetry.group.name,
        names=dynamics.names,
        step_sizes=numbers_of(sizes),
        next_state_quantiles=columns[3],
        reward_quantiles=columns[4],
        coordinate_errors=numbers_of(by_coordinate),
        broken_share=columns[5],
        cases=tuple(cases.values()),
        low=numbers_of(states.min(axis=0)),
        high=numbers_of(states.max(axis=0)),
        bounds=tuple(zip(dynamics.low.tolist(), dynamics.high.tolist(), strict=True)),
        explored_by=starts.explored_by,
        replayed=replayed,
        tolerance=TOLERANCES[dynamics.precision],
    )


def _images(
    dynamics: Dynamics,
    symmetry: Symmetry,
    element: int,
    starts: Starts,
    followed: tuple[NDArray[np.float64], ...],
    scales: tuple[NDArray[np.float64], ...],
) -> _Images:
    if element == 0:  # the identity, under which all was stepped just now
        states, actions, expected, found = *starts[:2], followed, followed
    else:
        states = symmetry.move_states(element, starts.states)
        actions = symmetry.move_actions(element, starts.actions)
        expected = symmetry.move_states(element, followed[0]), *followed[1:]
        found = _step(dynamics, states, actions)
    errors = tuple(np.abs(a - b) for a, b in zip(expected, found, strict=True))
    relative = tuple(_finite(error / scale) for error, scale in zip(errors, scales, strict=True))
    return _Images(states, actions, expected, found, errors, relative)


def _case(
    part: int,
    i: int,
    element: int,
    starts: Starts,
    following: NDArray[np.float64],
    images: _Images,
    names: tuple[str, ...],
) -> Case:
    """Sample i, of which the next state (part 0), reward (1) or termination (2) is furthest off."""
    worst = int(np.argmax(images.relative[part][i]))
    return Case(
        kind=KINDS[part],
        element=element,
        state=numbers_of(starts.states[i]),
        action=numbers_of(starts.actions[i]),
        moved_state=numbers_of(images.states[i]),
        moved_action=numbers_of(images.actions[i]),
        next_state=numbers_of(following[i]),
        expected=numbers_of(images.expected[part][i]),
        found=numbers_of(images.found[part][i]),
        coordinate=names[worst] if part == 0 else KINDS[part],
        error=numbers_of(images.errors[part][i])[worst],
        relative=numbers_of(images.relative[part][i])[worst],
    )


def _step(
    dynamics: Dynamics, states: NDArray[np.float64], actions: NDArray[Any]
) -> tuple[NDArray[np.float64], ...]:
    following, rewards, terminated = dynamics.step(states, actions)
    return following, rewards, terminated.astype(np.float64)


def _step_twice(
    dynamics: Dynamics, states: NDArray[np.float64], actions: NDArray[Any]
) -> tuple[NDArray[np.float64], ...]:
    """Steps, and refuses other results the second time."""
    first, again = (_step(dynamics, states, actions) for _ in range(2))
    for kind, one, other in zip(KINDS, first, again, strict=True):
        if not np.array_equal(one, other, equal_nan=True):
            raise ValueError(
                "`env` must have deterministic dynamics, or be an Environment that lists its "
                "`outcomes`: the same state and action led to two different results "
                f"({kind}), up to {np.nanmax(np.abs(one - other)):.3g} apart. "
                f"Received: {len(states)} sampled transitions"
            )
    return first


def sizes_of(sizes: Any, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sizes of steps; of what does not change, up to rounding, the largest value, or 1."""
    largest = np.maximum(np.abs(values).max(axis=0), 1.0)
    return np.where(sizes > 1e-9 * largest, sizes, largest)


def _finite(relative: NDArray[np.float64]) -> NDArray[np.float64]:
    """NaN is as wrong as can be."""
    return np.nan_to_num(relative, nan=np.inf, posinf=np.inf)


def numbers_of(values: Any) -> tuple[float, ...]:
    """An array, or a number, as plain numbers."""
    return tuple(np.atleast_1d(values).astype(np.float64).tolist())
