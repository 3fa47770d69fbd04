"""What signed permutations do to transitions, and how far the dynamics is from agreeing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tf_equirl.envs.symmetries.interface import Dynamics, Policy

LARGEST_CALL = 1 << 16
"""States that are stepped at once."""

THINNED = 4
"""States that are visited for each that is used."""

REWARD, TERMINATED = -2, -1
"""The last two outputs in errors [..., d + 2]."""


class Transitions(NamedTuple):
    """Steps of the real dynamics, a row each.

    Attributes:
        states: [n, d] flattened observations, relative to the center.
        actions: [n] integers from 0, or [n, k].
        next_states: [n, d].
        rewards: [n].
        terminated: [n] bool.
    """

    states: NDArray[np.float64]
    actions: NDArray
    next_states: NDArray[np.float64]
    rewards: NDArray[np.float64]
    terminated: NDArray[np.bool_]


class Moves(NamedTuple):
    """Candidates: signed permutations of d coordinates and k actions, a row each.

    Point j < d is coordinate j, point d + a is action a.

    Attributes:
        points: [c, d + k]; `points[i][j]` is where candidate i takes point j.
        signs: [c, d + k] of 1 and -1, (g x)[points[j]] = signs[j] x[j]; 1 for discrete actions.
    """

    points: NDArray[np.int64]
    signs: NDArray[np.int64]

    def take(self, rows: NDArray[np.integer] | slice) -> Moves:
        """Some of the candidates."""
        return Moves(self.points[rows], self.signs[rows])

    def after(self, other: Moves) -> Moves:
        """The products g h, of one g with each h or row by row."""
        points, signs = np.broadcast_arrays(self.points, other.points)[0], self.signs
        signs = np.broadcast_to(signs, points.shape)
        return Moves(
            np.take_along_axis(points, other.points, 1),
            np.take_along_axis(signs, other.points, 1) * other.signs,
        )


class Trials:
    """The real dynamics, what was seen of it, and how candidates fare.

    Args:
        dynamics: Access to the environment.
        rng: Seeds episodes.
        policy: Chooses the actions of the episodes; random ones by default.
        states: [n, d] states to draw from, instead of visited ones.
        center: [d] what is subtracted from all states: candidates act about it.

    Attributes:
        states_dim: Numbers d of an observation.
        actions_dim: k, the number of discrete actions or the numbers of an action.
        discrete: Whether actions are discrete.
        transitions: Transitions made so far.
    """

    def __init__(
        self,
        dynamics: Dynamics,
        rng: np.random.Generator,
        policy: Policy | None = None,
        states: NDArray[np.float64] | None = None,
        center: NDArray[np.float64] | float = 0.0,
    ) -> None:
        """Nothing is stepped yet."""
        self.dynamics = dynamics
        self.states_dim = dynamics.observation_dim
        self.actions_dim = dynamics.actions.dim
        self.discrete = dynamics.actions.low is None
        self.transitions = 0
        self._rng = rng
        self._policy = policy
        self._states = states
        self._center = center
        self._scale = np.ones(self.states_dim + 2)

    @property
    def scale(self) -> NDArray[np.float64]:
        """[d + 2] what errors are relative to: of coordinates, reward and termination."""
        return self._scale

    def visit(self, samples: int) -> Transitions:
        """Random actions at states of new episodes, or at a random draw of the given states.

        Of an episode, one state in `THINNED` is taken: neighbours tell much the same.
        """
        if self._states is None:
            states, _ = self.dynamics.visit(THINNED * samples, self._rng, self._policy)
            self.transitions += THINNED * samples
            states = states[self._rng.choice(len(states), samples, replace=False)]
        else:
            states = self._states[self._rng.integers(len(self._states), size=samples)]
        return self.step(states - self._center, self.dynamics.actions.draw(samples, self._rng))

    def starts(self, episodes: int) -> NDArray[np.float64]:
        """The first states of episodes, relative to the center; the given ones if there are."""
        if self._states is not None:
            return self._states - self._center
        self.transitions += episodes
        first = [self.dynamics.visit(1, self._rng)[0] for _ in range(episodes)]
        return np.concatenate(first) - self._center

    def step(self, states: NDArray[np.float64], actions: NDArray) -> Transitions:
        """The real dynamics from any pairs, in states relative to the center."""
        self.transitions += len(states)
        places = states + self._center
        parts = []
        for first in range(0, len(states), LARGEST_CALL):
            part = slice(first, first + LARGEST_CALL)
            parts.append(self.dynamics.step(places[part], actions[part]))
        following, rewards, terminated = (np.concatenate(x) for x in zip(*parts, strict=True))
        return Transitions(states, actions, following - self._center, rewards, terminated)

    def measure_scale(self, steps: Transitions) -> None:
        """Sets the scales: the root mean square of a step, and the spread of the rewards.

        A coordinate that never moves counts in its spread, or 1 where it has none.

        Raises:
            ValueError: If the same pairs lead elsewhere the second time.
        """
        again = self.step(steps.states, steps.actions)
        same = zip(steps[2:], again[2:], strict=True)
        if not all(np.array_equal(a, b, equal_nan=True) for a, b in same):
            raise ValueError(
                "`env` must have deterministic dynamics: the same state and action led to two "
                f"different steps. Received: {len(steps.states)} sampled transitions"
            )
        size = np.sqrt(np.mean((steps.next_states - steps.states) ** 2, axis=0))
        spread = np.std(steps.states, axis=0)
        reward = float(np.std(steps.rewards)) or float(np.abs(steps.rewards).max()) or 1.0
        size = np.where(size > 1e-9, size, np.where(spread > 1e-9, spread, 1.0))
        self._scale = np.concatenate([size, [reward, 1.0]])

    def errors(self, moves: Moves, steps: Transitions) -> NDArray[np.float64]:
        """How far P(g s' | g s, g a) = P(s' | s, a), R(g s, g a) = R(s, a) are from holding.

        Args:
            moves: c candidates g.
            steps: m transitions.

        Returns:
            [c, m, d + 2]: of every coordinate |g s' - s'_g|, in the size of a step; of the reward,
            in its spread; and 1 where one of the two terminates and the other does not. NaN is
            infinite.
        """
        d, count, m = self.states_dim, len(moves.points), len(steps.states)
        points, signs = moves.points[:, None, :d], moves.signs[:, None, :d]
        images = permuted(steps.states, points, signs)
        found = self.step(images.reshape(count * m, d), self._moved_actions(moves, steps.actions))
        scale = np.maximum(self._scale[:d], permuted(self._scale[None, :d], points, np.abs(signs)))
        errors = np.empty([count, m, d + 2])
        gap = permuted(steps.next_states, points, signs) - found.next_states.reshape(count, m, d)
        errors[..., :d] = np.abs(gap) / scale
        errors[..., REWARD] = (
            np.abs(found.rewards.reshape(count, m) - steps.rewards) / self._scale[REWARD]
        )
        errors[..., TERMINATED] = found.terminated.reshape(count, m) != steps.terminated
        return np.nan_to_num(errors, nan=np.inf, posinf=np.inf)

    def holding(self, moves: Moves, steps: Transitions, tolerance: float) -> NDArray[np.int64]:
        """Which candidates hold within `tolerance` on every transition; most fail on the first."""
        alive, first, m = np.arange(len(moves.points)), 0, len(steps.states)
        for stop in (1, 8, 64, m):
            stop = min(stop, m)
            if len(alive) and stop > first:
                part = rows_of(steps, slice(first, stop))
                kept = [
                    np.all(self.errors(moves.take(rows), part) <= tolerance, axis=(1, 2))
                    for rows in np.array_split(
                        alive, -(-len(alive) * (stop - first) // LARGEST_CALL)
                    )
                ]
                alive = alive[np.concatenate(kept)]
                first = stop
        return alive

    def _moved_actions(self, moves: Moves, actions: NDArray) -> NDArray:
        d = self.states_dim
        points, signs = moves.points[:, d:] - d, moves.signs[:, d:]
        if self.discrete:
            return points[:, actions].reshape(-1)
        moved = permuted(actions, points[:, None], signs[:, None])
        return moved.reshape(-1, self.actions_dim)


def rows_of(steps: Transitions, rows: NDArray[np.integer] | slice) -> Transitions:
    """Some of the transitions."""
    states, actions, following, rewards, terminated = steps
    return Transitions(
        states[rows], actions[rows], following[rows], rewards[rows], terminated[rows]
    )


def joined(parts: Sequence[Transitions]) -> Transitions:
    """Transitions one after the other."""
    states, actions, following, rewards, terminated = (
        np.concatenate(x) for x in zip(*parts, strict=True)
    )
    return Transitions(states, actions, following, rewards, terminated)


def permuted(vectors: NDArray, points: NDArray, signs: NDArray) -> NDArray:
    """Signed permutations [c, 1, d] of vectors [m, d]: [c, m, d]."""
    values = signs * vectors
    moved = np.empty_like(values)
    np.put_along_axis(moved, np.broadcast_to(points, values.shape), values, axis=-1)
    return moved
