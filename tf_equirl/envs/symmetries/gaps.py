"""What a symmetry that does not quite hold costs, exactly, where states can be listed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tf_equirl._checks import instance
from tf_equirl.envs.base import BaseEnvironment
from tf_equirl.envs.environment import Environment
from tf_equirl.envs.exact import TransitionTable, action_values, transition_table
from tf_equirl.envs.registry import tensor_environment_of
from tf_equirl.groups import Symmetry

_TIE = 1e-9  # of values: what rounding makes of equal ones


@dataclass(frozen=True, eq=False)
class SymmetryGaps:
    """How much less than exact a symmetry is, in values: by dynamic programming.

    Of arrays [H] entry h - 1 is about values with h steps to go; H is the time limit, or less where
    no episode is longer.

    Attributes:
        gap: [H] the orbit gap, max |Q*(g s, g a) - Q*(s, a)| over states, actions and elements.
        uniform_bound: [H] the bound of Park et al. ("Approximate equivariance in reinforcement
            learning", 2025, proposition 3, undiscounted) on it, with total variation:
            alpha_h = eps_R + rho(V_h-1) eps_P + alpha_h-1, where eps_R and eps_P are the largest
            differences of rewards and of distributions (the sum of the differences of their
            probabilities), and rho(V) = (max V - min V) / 2.
        pointwise_bound: [H] the largest of ours, which takes these differences where they are:
            alpha_h(s, a) = eps_R(s, a) + rho(V_h-1) eps_P(s, a) + E max_a' alpha_h-1(s', a').
        pointwise_mean: [H] its mean over states and actions.
        mean_gap: [H] that of the gap, the largest over elements.
        orbit_gaps: [s, a] that of every state, as in `all_states`, and action.
        optimal: The largest expected return.
        symmetric: That of the best policy of the environment that is averaged over the group,
            which is equivariant, in the environment as it is.
        uniform: That of random actions.
    """

    gap: NDArray[np.float64]
    uniform_bound: NDArray[np.float64]
    pointwise_bound: NDArray[np.float64]
    pointwise_mean: NDArray[np.float64]
    mean_gap: NDArray[np.float64]
    orbit_gaps: NDArray[np.float64]
    optimal: float
    symmetric: float
    uniform: float

    @property
    def price(self) -> float:
        """The least error that an exactly invariant critic has somewhere: half of the gap."""
        return float(self.gap[-1]) / 2

    @property
    def loss(self) -> float:
        """What an exactly equivariant policy gives up, as a share of what there is to learn.

        0 is nothing; at 1 it is no better than random actions. Other equivariant policies than the
        one that is measured may lose less.
        """
        there_is = self.optimal - self.uniform
        return (self.optimal - self.symmetric) / there_is if there_is > 0 else 0.0


def symmetry_gaps(env: BaseEnvironment | str, symmetry: Symmetry | None = None) -> SymmetryGaps:
    """What it costs to take a symmetry for exact, in an environment that lists its states.

    Args:
        env: An environment that lists `all_states`, `starts` and `outcomes`, or its name, whose
            observations tell states apart.
        symmetry: Which; the one that `env` declares if None.

    Raises:
        ValueError: If `env` is no such environment, or the symmetry does not map its states and
            actions to each other.

    Example:
        >>> from tf_equirl import envs
        >>> gaps = envs.symmetry_gaps(envs.Catch(rows=5, columns=3))
        >>> gaps.price, gaps.loss
        (0.0, 0.0)
        >>> gaps = envs.symmetry_gaps(envs.Catch(breaking="reflect", kappa=1.0))
        >>> round(gaps.price, 2), round(gaps.loss, 2)
        (1.0, 0.03)
    """
    found = tensor_environment_of(env)
    symmetry = found.symmetry if symmetry is None else instance("symmetry", symmetry, Symmetry)
    table = transition_table(found)
    moves = _moves(found, symmetry)
    actions = np.asarray(symmetry.action.permutations)
    # Of outcomes: probability by place, in which place s is the end of an episode.
    dense = _dense(table)
    shape = table.reward.shape
    eps_p, eps_r = np.zeros(shape), np.zeros(shape)
    # Those of the mean of the environment's images under the group.
    mean_dense, mean_reward = np.zeros_like(dense), np.zeros(shape)
    for place, action in zip(moves, actions, strict=True):
        to = np.append(place, len(place))
        moved = dense[place][:, action][..., to]  # P(g s' | g s, g a)
        reward = table.reward[place][:, action]
        eps_p = np.maximum(eps_p, np.abs(moved - dense).sum(axis=-1))
        eps_r = np.maximum(eps_r, np.abs(reward - table.reward))
        mean_dense += moved / len(moves)
        mean_reward += reward / len(moves)
    values = own = followed = random = np.zeros(shape[0])
    alpha, bound = np.zeros(shape), 0.0
    rows = []
    for _ in range(table.horizon):
        spread = np.ptp(np.append(values, 0.0)) / 2
        bound += eps_r.max() + spread * eps_p.max()
        after = np.append(alpha.max(axis=-1), 0.0)
        alpha = eps_r + spread * eps_p + dense @ after
        best = action_values(table, values)
        gaps = [np.abs(best[p][:, a] - best) for p, a in zip(moves, actions, strict=True)]
        largest = np.max(gaps, axis=0)
        values = best.max(axis=-1)
        # What is best in the averaged environment, done in this one.
        of_average = mean_reward + mean_dense @ np.append(own, 0.0)
        own = of_average.max(axis=-1)
        greedy = of_average >= own[:, None] - _TIE * max(1.0, np.abs(own).max())
        chances = greedy / greedy.sum(axis=-1, keepdims=True)
        followed = np.sum(chances * action_values(table, followed), axis=-1)
        random = action_values(table, random).mean(axis=-1)
        rows.append((largest.max(), bound, alpha.max(), alpha.mean(), largest.mean()))
    gap, uniform, pointwise, pointwise_mean, mean_gap = np.array(rows).T
    optimal, symmetric, of_random = (float(v @ table.starts) for v in (values, followed, random))
    return SymmetryGaps(
        *(gap, uniform, pointwise, pointwise_mean, mean_gap, largest),
        *(optimal, symmetric, of_random),
    )


def _moves(env: Environment, symmetry: Symmetry) -> NDArray[np.int64]:
    """[n, s] where each element takes every state, as places in `all_states`."""
    states = env.all_states()
    observations = np.asarray(tf.cast(env.observe(states), tf.float64))
    flat = observations.reshape(len(observations), -1)
    places = {row.tobytes(): k for k, row in enumerate(np.round(flat, 4) + 0.0)}
    rule = "of an environment whose observations tell its states apart"
    if len(places) < len(flat):
        raise ValueError(
            f"`env` must be {rule}. Received: {len(flat)} states with {len(places)} observations"
        )
    if symmetry.action.permutations is None or symmetry.state.dim != flat.shape[1]:
        raise ValueError(
            f"`symmetry` must act on the {flat.shape[1]} numbers of an observation, and permute "
            f"actions. Received: symmetry={symmetry!r}"
        )
    found = []
    for element in symmetry.group.elements:
        moved = np.round(symmetry.move_states(element, flat), 4) + 0.0
        keys = [row.tobytes() for row in moved]
        if not set(keys) <= set(places):
            raise ValueError(
                "`symmetry` must map states of the environment to states. Received: element "
                f"{element} of {symmetry.group.name}, which does not"
            )
        found.append([places[key] for key in keys])
    return np.array(found)


def _dense(table: TransitionTable) -> NDArray[np.float64]:
    """[s, a, s + 1] probabilities of what follows, the last one of the end of an episode."""
    count, actions, outcomes = table.probability.shape
    dense = np.zeros([count, actions, count + 1])
    s, a = np.indices([count, actions])
    for k in range(outcomes):
        np.add.at(dense, (s, a, table.following[:, :, k]), table.probability[:, :, k])
    dense[..., -1] = 1 - dense.sum(axis=-1)
    return dense
