"""What a symmetry costs that is broken by degrees: by dynamic programming, and estimated."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tf_equirl import envs
from tf_equirl.envs import Catch, symmetry_gaps
from tf_equirl.groups import (
    Symmetry,
    cyclic_group,
    permutation_representation,
    trivial_representation,
)
from tf_equirl.testing import recommend

KINDS = ("gain", "gravity", "reflect", "repeat")
SMALL = {"rows": 4, "columns": 3}


def broken(kind, kappa, **board):
    return Catch(**{**SMALL, **board}, breaking=kind, kappa=kappa)


def row_of(state, k):
    return tf.nest.map_structure(lambda x: x[k], state)


def value_by_hand(env, state, depth):
    """max_a Q(s, a) and Q(s, .) by following every outcome."""
    if depth == 0:
        return 0.0, np.zeros(3)
    found = []
    for action in range(3):
        probability, following, reward, ends = env.outcomes(state, tf.constant(action))
        total = 0.0
        for k, chance in enumerate(probability.numpy()):
            then = 0.0
            if not ends[k]:
                then, _ = value_by_hand(env, row_of(following, k), depth - 1)
            total += chance * (float(reward[k]) + then)
        found.append(total)
    return max(found), np.array(found)


@pytest.mark.parametrize("kind", KINDS)
def test_the_orbit_gap_is_that_of_every_game_played_to_its_end(kind):
    env = broken(kind, 0.3, rows=3)
    states = env.all_states()
    count = len(states.steps)
    largest, best = 0.0, []
    for k in range(count):
        state = row_of(states, k)
        mirrored = state._replace(
            ball_column=2 - state.ball_column, paddle_column=2 - state.paddle_column
        )
        value, here = value_by_hand(env, state, 3)
        _, there = value_by_hand(env, mirrored, 3)
        largest = max(largest, np.abs(here - there[::-1]).max())
        if state.ball_row == 0 and state.paddle_column == 1:
            best.append(value)
    gaps = symmetry_gaps(env)
    assert abs(gaps.gap[-1] - largest) < 1e-6
    assert abs(gaps.optimal - np.mean(best)) < 1e-6
    assert abs(gaps.optimal - envs.optimal_return(env)) < 1e-9
    uniform = envs.exact_returns(env, np.full([count, 3], 1 / 3))
    assert abs(gaps.uniform - uniform) < 1e-9


@pytest.mark.parametrize("kind", KINDS)
def test_bounds_hold_at_every_number_of_steps_and_ours_is_closer(kind):
    for kappa in (0.1, 0.5, 1.0):
        gaps = symmetry_gaps(broken(kind, kappa, rows=6, columns=5))
        assert gaps.gap[-1] > 0.05
        assert np.all(gaps.gap <= gaps.pointwise_bound + 1e-9)
        assert np.all(gaps.pointwise_bound <= gaps.uniform_bound + 1e-9)
        assert gaps.pointwise_bound[-1] < 0.7 * gaps.uniform_bound[-1]
        assert np.all(gaps.mean_gap <= gaps.pointwise_mean + 1e-9)
        assert np.all(np.diff(gaps.uniform_bound) >= 0)
        assert gaps.price == gaps.gap[-1] / 2
        assert gaps.uniform < gaps.symmetric <= gaps.optimal + 1e-9


@pytest.mark.parametrize("env", [Catch(4, 3), broken("gain", 0.0), envs.GridWorld()])
def test_where_the_symmetry_is_exact_nothing_is_lost(env):
    gaps = symmetry_gaps(env)
    for numbers in (gaps.gap, gaps.uniform_bound, gaps.pointwise_bound):
        assert np.abs(numbers).max() < 1e-5
    assert abs(gaps.loss) < 1e-6
    assert recommend(env).choice == "exact"


def test_no_equivariant_policy_is_better_than_the_optimum_and_some_lose():
    """By enumeration on the smallest board: what the averaged environment's policy loses."""
    env = Catch(2, 3, breaking="reflect", kappa=1.0)
    count = len(env.all_states().steps)
    gaps = symmetry_gaps(env)
    # Equivariant deterministic policies: a free choice for every pair of mirrored states.
    mirror = {}
    states = [tuple(map(int, row)) for row in zip(*env.all_states()[:3], strict=True)]
    for k, (column, row, paddle) in enumerate(states):
        mirror[k] = states.index((2 - column, row, 2 - paddle))
    orbits = sorted({tuple(sorted(pair)) for pair in mirror.items()})
    policies = []
    for choice in itertools.product(range(3), repeat=len(orbits)):
        policy = np.zeros([count, 3])
        for (first, second), action in zip(orbits, choice, strict=True):
            policy[first, action] += 0.5 if first == second else 1.0
            policy[second, 2 - action] += 0.5 if first == second else 1.0
        policies.append(policy)
    best = envs.exact_returns(env, np.array(policies)).max()
    assert gaps.symmetric <= best + 1e-9 <= gaps.optimal + 1e-9


def test_the_price_grows_with_the_strength():
    gaps = [symmetry_gaps(broken("gravity", kappa)) for kappa in (0.0, 0.25, 0.5, 1.0)]
    assert np.all(np.diff([g.gap[-1] for g in gaps]) > 0.01)


def test_recommendations_by_strength():
    def choices(kind, *strengths):
        cells = [envs.make("CartPole", breaking=kind, kappa=kappa) for kappa in strengths]
        return [recommend(cell, samples=200).choice for cell in cells]

    assert choices("gain", 0.0, 0.05, 1.0) == ["exact", "exact", "relaxed"]
    assert choices("reflect", 0.01, 0.25, 0.75) == ["exact", "relaxed", "free"]
    assert choices("gravity", 1.0, 16.0) == ["exact", "relaxed"]
    assert choices("repeat", 1.0) == ["relaxed"]


def test_a_recommendation_says_why():
    told = str(recommend(envs.make("CartPole", breaking="reflect", kappa=1.0), samples=100))
    assert told.startswith("CartPole, C2: free, networks without this symmetry")
    assert "another one leads further in 100.0 % of 100 samples" in told
    told = str(recommend(Catch(5, 3, breaking="reflect")))
    assert "gives up" in told and "an exactly invariant critic errs by 1" in told
    again = recommend("Pendulum-v1", samples=50, seed=3)
    assert again == recommend("Pendulum-v1", samples=50, seed=3)
    assert again.choice == "exact" and again.gap_ratio < 1e-6


def test_a_wrong_symmetry_is_not_recommended():
    """Left and right swapped, and the state left alone."""
    group = cyclic_group(2)
    swap = permutation_representation(group, [[0, 1], [1, 0]])
    wrong = Symmetry(group, trivial_representation(group, 4), swap)
    assert recommend("CartPole", wrong, samples=200).choice == "free"


def test_what_cannot_be_answered():
    with pytest.raises(ValueError, match="`env` must be one whose states can be set"):
        recommend("Snake")
    rows = np.arange(12).reshape(1, 12)
    group = cyclic_group(2)
    shuffled = np.concatenate([rows, rows[:, ::-1]])
    upside_down = Symmetry(
        group,
        permutation_representation(group, shuffled),
        permutation_representation(group, [[0, 1, 2], [2, 1, 0]]),
    )
    with pytest.raises(ValueError, match="`symmetry` must map states of the environment to states"):
        symmetry_gaps(Catch(4, 3), upside_down)
    with pytest.raises(ValueError, match="`kappa` must be a number from 0 .* to 1;"):
        Catch(breaking="gain", kappa=1.5)
