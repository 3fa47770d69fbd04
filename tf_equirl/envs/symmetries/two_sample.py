"""A test of a symmetry by transitions alone, where states cannot be set."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tf_equirl.envs.symmetries.interface import Dynamics, Policy, Steps
from tf_equirl.envs.symmetries.report import TwoSampleReport
from tf_equirl.groups import Symmetry

ERROR_RATE = 0.01
"""Probability with which a symmetry that is true is rejected."""

LONGEST_EPISODE = 200
"""Steps after which an episode is ended, for the sake of many of them."""

LEAST_EPISODES = 50
"""So many episodes are collected at least, if they have the full length."""

_PERMUTATIONS = 999  # for each element of the group
_MOST_PRODUCTS = 500  # numbers of a transition beyond which their products are not compared
_AT_ONCE = 1 << 24  # numbers in memory while permutations are tried, 128 MB


def compare_transitions(
    dynamics: Dynamics,
    symmetry: Symmetry,
    samples: int,
    rng: np.random.Generator,
    policy: Policy | None,
    env_name: str,
) -> TwoSampleReport:
    """Compares the moments of transitions with those of their images.

    If an episode and its image under g have the same distribution, then the difference of what is
    summed over the one and over the other has mean zero, and for an element of order two it does
    not matter which of them was seen: the signs of the differences of episodes are permuted. That
    is exact although the steps of an episode depend on each other; for other elements it holds for
    many episodes. What is summed are the standardised numbers of (s, a, r, s' - s, terminated),
    discrete actions being unit vectors, and the products of any two. The statistic is the largest
    |t| of them all, so that one p-value speaks for all (Westfall and Young, "Resampling-based
    multiple testing", 1993, the single-step maxT method).

    Args:
        dynamics: Of the environment.
        symmetry: The claim.
        samples: Least number of transitions.
        rng: Draws episodes and permutations.
        policy: How to act; random actions by default.
        env_name: For the report.
    """
    least = LEAST_EPISODES * LONGEST_EPISODE
    steps = dynamics.collect(max(samples, least), rng, policy, longest=LONGEST_EPISODE)
    original = _rows(symmetry, 0, steps)
    starts = np.flatnonzero(np.diff(steps.episodes, prepend=-1))
    actions = tuple(f"a[{i}]" for i in range(symmetry.action.dim))
    changes = tuple(f"change of {name}" for name in dynamics.names)
    names = (*dynamics.names, *actions, "reward", "terminated", *changes)
    order = symmetry.group.order
    p_values, differences = [1.0], [""]
    for element in range(1, order):
        moved = _rows(symmetry, element, steps)
        both = np.concatenate([original, moved])
        mean, spread = both.mean(axis=0), both.std(axis=0)
        # What is constant up to rounding says nothing.
        scale = np.where(spread > 1e-9 * np.maximum(np.abs(both).max(axis=0), 1.0), spread, np.inf)
        sums = [_moments((rows - mean) / scale, starts) for rows in (original, moved)]
        p_value, worst = _sign_test(sums[0] - sums[1], _PERMUTATIONS * (order - 1), rng)
        first, second = (float(part[:, worst].sum()) / len(original) for part in sums)
        p_values.append(p_value)
        differences.append(f"{_moment_name(worst, names)}, {first:.2g} against {second:.2g}")
    return TwoSampleReport(
        tuple(p_values),
        tuple(differences),
        len(original),
        len(starts),
        ERROR_RATE,
        env_name,
        symmetry.group.name,
        "random actions" if policy is None else "policy",
    )


def _rows(symmetry: Symmetry, element: int, steps: Steps) -> NDArray[np.float64]:
    """Transitions that are moved by an element, a row of numbers each, episode by episode."""
    states = symmetry.move_states(element, steps.states)
    changes = symmetry.move_states(element, steps.next_states) - states
    actions = symmetry.move_actions(element, steps.actions)
    if actions.ndim == 1:
        actions = np.eye(symmetry.action.dim)[actions]
    ends = np.stack([steps.rewards, steps.terminated], axis=1)
    return np.concatenate([states, actions, ends, changes], axis=1)


def _moments(rows: NDArray[np.float64], starts: NDArray[np.integer]) -> NDArray[np.float64]:
    """[episodes, moments]: the sums over every episode of the numbers and of their products."""
    sums = np.add.reduceat(rows, starts, axis=0)
    if rows.shape[1] > _MOST_PRODUCTS:
        return sums
    upper = np.triu_indices(rows.shape[1])
    products = [(part.T @ part)[upper] for part in np.split(rows, starts[1:])]
    return np.concatenate([sums, np.stack(products)], axis=1)


def _moment_name(index: int, names: tuple[str, ...]) -> str:
    if index < len(names):
        return names[index]
    first, second = (pair[index - len(names)] for pair in np.triu_indices(len(names)))
    return f"{names[first]} x {names[second]}"


def _sign_test(
    differences: NDArray[np.float64], permutations: int, rng: np.random.Generator
) -> tuple[float, int]:
    """The p-value of differences [episodes, moments] of mean zero, and the moment furthest off."""
    size = np.sqrt(np.sum(differences**2, axis=0))
    scaled = differences / np.where(size > 0, size, np.inf)
    found = np.abs(scaled.sum(axis=0))
    chunk = max(1, _AT_ONCE // scaled.shape[1])
    as_large = 0
    for begin in range(0, permutations, chunk):
        count = min(chunk, permutations - begin)
        signs = rng.integers(2, size=[count, len(scaled)]) * 2.0 - 1.0
        # Equal ones differ by rounding.
        as_large += int(np.sum(np.abs(signs @ scaled).max(axis=1) >= found.max() - 1e-9))
    return (1 + as_large) / (1 + permutations), int(found.argmax())
