"""Which coordinates and actions matter, from single changes at visited states."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tf_equirl.envs.symmetries.discovery.trials import Transitions, Trials, rows_of

STATES = 64
"""Visited pairs at which every coordinate and every action is changed."""

MOST_STATES = 1_000
"""Of those where all states are known."""


@dataclass(frozen=True)
class Influence:
    """What a symmetry need not move.

    Attributes:
        constant: Coordinates that have one value on all visited states.
        isolated: Coordinates (below d) and actions (d + a) without any link, through others either,
            to reward, termination and anything that an action changes.
        ranks: [k] the place of a discrete action among those that do the same.
    """

    constant: tuple[int, ...]
    isolated: tuple[int, ...]
    ranks: NDArray[np.int64]

    @property
    def kept(self) -> NDArray[np.int64]:
        """Points that no candidate moves: to do so would mean nothing."""
        return np.array(sorted({*self.constant, *self.isolated}), np.int64)


def influence(
    trials: Trials, steps: Transitions, tolerance: float, known: bool = False
) -> Influence:
    """Changes one coordinate, or the action, at a time, and looks at what follows.

    A coordinate takes its value of another visited state. Changes below `tolerance`, relative to
    the scales of `Trials`, count as none.

    Args:
        trials: The dynamics.
        steps: Transitions to start from.
        tolerance: See above.
        known: Whether `steps` are those of all states, of which more are looked at.
    """
    d, k = trials.states_dim, trials.actions_dim
    count = min(MOST_STATES if known else STATES, len(steps.states))
    rows = np.linspace(0, len(steps.states) - 1, count, dtype=int)
    some = rows_of(steps, rows)
    links = np.zeros([d + k + 2, d + k + 2], bool)  # points, reward, termination
    outputs = np.concatenate([np.arange(d), [d + k, d + k + 1]])
    for i in range(d):
        changed = some.states.copy()
        changed[:, i] = np.roll(changed[:, i], len(changed) // 2)
        links[i, outputs] = _changes(trials, some, changed, some.actions, tolerance)
        links[i, i] = False  # that it keeps its own value is no link
    ranks = np.zeros(k, np.int64)
    if trials.discrete:
        follow = [
            trials.step(some.states, np.full(len(some.states), a, some.actions.dtype))
            for a in range(k)
        ]
        alike = [[_same(trials, a, b, tolerance).all() for b in follow] for a in follow]
        ranks = np.array([sum(alike[a][:a]) for a in range(k)], np.int64)
        for a in range(k):
            for b in range(a):
                differs = ~_same(trials, follow[a], follow[b], tolerance)
                links[d + a, outputs] |= differs
                links[d + b, outputs] |= differs
                links[d + a, d + b] = True
    else:
        for a in range(k):
            changed = some.actions.copy()
            changed[:, a] = np.roll(changed[:, a], len(changed) // 2)
            links[d + a, outputs] = _changes(trials, some, some.states, changed, tolerance)
    labels = components(links)
    matter = {labels[d + k], labels[d + k + 1]}
    matter |= {labels[d + a] for a in range(k) if (labels[:d] == labels[d + a]).any()}
    isolated = tuple(u for u in range(d + k) if labels[u] not in matter)
    if trials.discrete:  # an action without any effect is still one of the actions
        isolated = tuple(u for u in isolated if u < d)
    constant = tuple(
        np.flatnonzero(
            np.ptp(np.concatenate([steps.states, steps.next_states]), axis=0) == 0
        ).tolist()
    )
    return Influence(constant, tuple(u for u in isolated if u not in constant), ranks)


def components(links: NDArray[np.bool_]) -> NDArray[np.int64]:
    """[n] the number of the component of every point, where `links` [n, n] go both ways."""
    reached = links | links.T | np.eye(len(links), dtype=bool)
    while True:
        further = reached @ reached
        if np.array_equal(further, reached):
            return np.unique(reached, axis=0, return_inverse=True)[1].reshape(-1)
        reached = further


def _changes(
    trials: Trials, some: Transitions, states: NDArray, actions: NDArray, tolerance: float
) -> NDArray[np.bool_]:
    return ~_same(trials, some, trials.step(states, actions), tolerance)


def _same(trials: Trials, a: Transitions, b: Transitions, tolerance: float) -> NDArray[np.bool_]:
    """[d + 2] whether the outputs agree at all states; a coordinate's own change is its step's."""
    gaps = [
        (a.next_states - a.states) - (b.next_states - b.states),
        (a.rewards - b.rewards)[:, None],
        (a.terminated != b.terminated)[:, None],
    ]
    return np.all(np.abs(np.concatenate(gaps, axis=1)) <= tolerance * trials.scale, axis=0)
