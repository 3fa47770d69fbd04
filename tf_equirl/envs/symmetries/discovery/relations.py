"""Numbers that every symmetry keeps: from probes around a base state, or from all states."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tf_equirl.envs.symmetries.discovery.influence import components
from tf_equirl.envs.symmetries.discovery.search import Relations
from tf_equirl.envs.symmetries.discovery.trials import Moves, Transitions, Trials, joined, permuted

LARGEST_VALUES = 8
"""Values of a coordinate where states may be few enough to list."""

SIZES = 4
"""Different sizes of the changes that probe coordinates, each up to its own spread."""

STARTS = 64
"""Episodes whose first states make a base."""

SHARES = (0.5, 1.0)
"""Shares of half a box's width by which an action is probed."""

SIMILAR = 0.25
"""Means that differ by less, in standard deviations of what was visited, count as equal."""


def probed(
    trials: Trials,
    steps: Transitions,
    allowed: NDArray[np.bool_],
    tolerance: float,
    base: NDArray[np.float64],
) -> Relations:
    """Relations from steps at a base state b, from b + t e_i and b - t e_i, for every action.

    The probes are the same for every coordinate, so that a signed permutation that leaves b fixed
    permutes them exactly, whatever was visited: what follows needs no statistics. Two things are
    taken for granted: that a symmetry leaves b fixed, and that equivalent observations are restored
    to equivalent states, also where they are not valid (cosine and sine 0, say).

    Args:
        trials: The dynamics.
        steps: Visited transitions, whose spread says how far to probe.
        allowed: See `Relations`.
        tolerance: See `Relations`.
        base: [d], b.
    """
    d, k = trials.states_dim, trials.actions_dim
    spread = np.std(steps.states, axis=0)
    allowed = allowed.copy()
    for flipped, sign in enumerate((1, -1)):
        allowed[:d, :d, flipped] &= np.isclose(base[:, None], sign * base)
    exponents = np.unique(np.floor(np.log2(np.maximum(spread[spread > 0], 1e-6)) / 2))
    middle = np.quantile(exponents, np.linspace(0, 1, SIZES), method="lower")
    sizes = 4.0 ** np.unique(middle)
    # [size, sign, coordinate, d], after the base state itself.
    changes = sizes[:, None, None, None] * np.array([1, -1])[:, None, None] * np.eye(d)
    states = base + np.concatenate([np.zeros([1, d]), changes.reshape(-1, d)])
    if trials.discrete:  # the mean over all actions is the same for all orders of them
        by_action = _stepped(trials, states, np.arange(k))
        by_state = tuple(x.mean(1) for x in by_action)
    else:  # the first action, the middle of the box, is left as it is
        actions = _box_probes(trials)
        by_state = tuple(x[:, 0] for x in _stepped(trials, states, actions[:1]))
        by_action = _stepped(trials, states[: 1 + 2 * d], actions[1:])
    pairs = by_state[0][1:].reshape(len(sizes), 2, d, d).transpose(2, 1, 3, 0)
    own = by_state[1][1:].reshape(len(sizes), 2, d, 2).transpose(2, 1, 0, 3).reshape(d, 2, -1)
    # A change larger than what was visited may lead anywhere, such as across a half turn.
    far = sizes > np.maximum(spread, sizes[0])[:, None]
    pairs = np.where(far[:, None, None], np.nan, pairs)
    own = np.where(np.repeat(far, 2, axis=1)[:, None], np.nan, own)
    # Of actions: at the base state, and on average over the smallest changes.
    of_actions = []
    for array in by_action:
        both = np.stack([array[0], array[1 : 1 + 2 * d].mean(0)], axis=-1)
        if trials.discrete:
            of_actions.append(np.stack([both, both], axis=1))  # an action has no sign
        else:
            shape = (len(SHARES), 2, k, *both.shape[1:])
            both = both.reshape(shape).transpose(2, 1, 3, 0, 4)
            of_actions.append(both.reshape(k, 2, array.shape[2], -1))
    scale = trials.scale
    return Relations(
        _joined(pairs, of_actions[0]),
        _joined(own, of_actions[1].reshape(k, 2, -1)),
        allowed,
        scale[:d],
        max(float(np.ptp(steps.rewards)), float(scale[-2])),
        tolerance,
    )


def listed(trials: Trials, steps: Transitions, allowed: NDArray[np.bool_]) -> Relations:
    """Relations from the transitions of all states and actions: counts of what goes together."""
    d, k = trials.states_dim, trials.actions_dim
    value = np.concatenate([steps.states, steps.next_states], axis=1)  # [M, 2 d]
    signed = np.stack([steps.states, -steps.states], axis=1)  # [M, 2, d]
    on = signed > 0
    after = np.stack([steps.next_states, -steps.next_states], axis=1) > 0
    worth = np.stack([steps.rewards, steps.rewards**2, steps.terminated], axis=1)
    pairs = np.concatenate(
        [
            np.einsum("msi,mj->isj", on, value).reshape(d, 2, 2, d).transpose(0, 1, 3, 2),
            np.einsum("msi,mj->isj", after, steps.next_states)[..., None],
        ],
        axis=-1,
    )
    own = np.concatenate([np.einsum("msi,mj->isj", x, worth) for x in (on, after)], axis=-1)
    chosen = (steps.actions[:, None] == np.arange(k)).astype(float)
    of_actions = np.repeat((chosen.T @ steps.next_states)[:, None, :, None], 2, axis=1)
    worths = np.repeat((chosen.T @ worth)[:, None], 2, axis=1)
    return Relations(
        _joined(pairs, of_actions), _joined(own, worths), allowed, np.ones(d), 1.0, 1e-6
    )


def few_values(states: NDArray[np.float64]) -> bool:
    """Whether every coordinate takes few values, so that all states may be listed."""
    return all(len(np.unique(column)) <= LARGEST_VALUES for column in states.T)


def list_states(trials: Trials, steps: Transitions, most: int) -> Transitions | None:
    """The transitions of every state that can be reached, under every action.

    Args:
        trials: The dynamics, with discrete actions.
        steps: Visited transitions, whose states are the first.
        most: States at which the search gives up.

    Returns:
        All pairs of a state that is not terminal and an action; None where there are too many.
    """
    known: set[bytes] = set()
    parts = []
    fresh = _new(steps.states, known)
    while len(fresh):
        if len(known) > most or not few_values(fresh):
            return None
        k = trials.actions_dim
        found = trials.step(
            np.repeat(fresh, k, axis=0), np.tile(np.arange(k, dtype=np.int64), len(fresh))
        )
        parts.append(found)
        fresh = _new(found.next_states[~found.terminated], known)
    return joined(parts)


def same_states(move: Moves, states: NDArray[np.float64]) -> bool:
    """Whether a candidate maps a set of states to itself."""
    d = states.shape[1]
    images = permuted(states, move.points[:, None, :d], move.signs[:, None, :d])[0]
    known: set[bytes] = set()
    _new(states, known)
    return len(_new(images, known)) == 0


def _new(states: NDArray[np.float64], known: set[bytes]) -> NDArray[np.float64]:
    """The states that are not known yet, which are so afterwards."""
    rows = []
    for i, row in enumerate(np.round(states, 6) + 0.0):  # no negative zeros
        if (key := row.tobytes()) not in known:
            known.add(key)
            rows.append(i)
    return states[rows]


def bases(trials: Trials, steps: Transitions) -> list[NDArray[np.float64]]:
    """Base states [d] to probe around: amid the starts of episodes, amid what was visited, and 0.

    Every signed permutation leaves 0 fixed, but it may be far from any valid state; the middle of
    all angles is none. Starts are mostly close together.
    """
    found = [_middle(trials.starts(STARTS)), _middle(steps.states), np.zeros(trials.states_dim)]
    return list(np.unique(found, axis=0))


def _middle(states: NDArray[np.float64]) -> NDArray[np.float64]:
    """[d] 0 in coordinates on both sides of 0; else the mean, of those with similar means."""
    spread = np.std(states, axis=0)
    mean = states.mean(axis=0)
    mean[(states.min(axis=0) <= 0) & (states.max(axis=0) >= 0)] = 0.0
    level = np.abs(mean)
    similar = np.abs(level[:, None] - level) <= SIMILAR * np.maximum(spread[:, None], spread)
    similar &= (level[:, None] > 0) == (level > 0)
    labels = components(similar)
    average = np.bincount(labels, level) / np.bincount(labels)
    return np.sign(mean) * average[labels]


def _stepped(trials: Trials, states: NDArray, actions: NDArray) -> tuple[NDArray, NDArray]:
    """Every action at every state: the changes [n, k, d], rewards and terminations [n, k, 2]."""
    n, k = len(states), len(actions)
    found = trials.step(np.repeat(states, k, axis=0), np.concatenate([actions] * n))
    worth = np.stack([found.rewards, found.terminated], axis=1)
    return (found.next_states - found.states).reshape(n, k, -1), worth.reshape(n, k, 2)


def _box_probes(trials: Trials) -> NDArray[np.float64]:
    """The middle of the box, then [shares, signs, k] changes of one number: [1 + 4 k, k]."""
    box, k = trials.dynamics.actions, trials.actions_dim
    lowest, highest = np.asarray(box.low), np.asarray(box.high)
    bounded = np.isfinite(lowest) & np.isfinite(highest)
    low, high = np.where(bounded, lowest, -1.0), np.where(bounded, highest, 1.0)
    changes = np.array(SHARES)[:, None, None, None] * np.array([1, -1])[:, None, None] * np.eye(k)
    changes = np.concatenate([np.zeros([1, k]), changes.reshape(-1, k)])
    return (low + high) / 2 + changes * (high - low) / 2


def _joined(a: NDArray, b: NDArray) -> NDArray[np.float64]:
    """Stacks two arrays of points, with NaN where one has fewer features or is infinite."""
    features = max(a.shape[-1], b.shape[-1])
    padded = [
        np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, features - x.shape[-1])], constant_values=np.nan)
        for x in (a, b)
    ]
    joined = np.concatenate(padded).astype(np.float64)
    joined[~np.isfinite(joined)] = np.nan
    return joined
