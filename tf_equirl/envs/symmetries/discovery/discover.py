"""Finds the symmetries of an environment."""

from __future__ import annotations

import dataclasses
import math
import time
from typing import NamedTuple

import gymnasium
import numpy as np
from numpy.typing import ArrayLike, NDArray

from tf_equirl._checks import LARGEST_SAMPLE, LARGEST_SEED, integer, number, positive_integer, shown
from tf_equirl.envs.environment import Environment
from tf_equirl.envs.symmetries.discovery.candidates import (
    all_candidates,
    allowed_images,
    closed,
    pictures,
)
from tf_equirl.envs.symmetries.discovery.influence import influence
from tf_equirl.envs.symmetries.discovery.near import is_near, near_misses, rank
from tf_equirl.envs.symmetries.discovery.relations import (
    bases,
    few_values,
    list_states,
    listed,
    probed,
    same_states,
)
from tf_equirl.envs.symmetries.discovery.report import Discovery, in_words, name_of
from tf_equirl.envs.symmetries.discovery.search import Found, Relations, search
from tf_equirl.envs.symmetries.discovery.trials import Moves, Transitions, Trials, joined, rows_of
from tf_equirl.envs.symmetries.dynamics import dynamics_of, resolved
from tf_equirl.envs.symmetries.interface import Dynamics, Policy
from tf_equirl.envs.symmetries.restoring import Restore
from tf_equirl.groups import FiniteGroup, Representation, Symmetry

SEARCH_SAMPLES = 256
"""Transitions on which candidates are sought; those that confirm them are others."""

MOST_CANDIDATES = 10_000
"""Search spaces up to here are tried one by one, without anything taken for granted."""

MOST_STATES = 5_000
"""States up to here are listed, where coordinates take few values."""

MOST_TRIALS = 20_000
"""Candidates that a pruned search tries on transitions at most."""

PROBE_TOLERANCE = 0.01
"""Of the relations that prune: looser than that of transitions, since probes go far."""

LARGEST_PICTURE = 64
"""Numbers of a picture beyond which only its turns and mirrorings are tried."""

LOOSE_TOLERANCE = 0.25
"""Of the relations, where near misses are sought."""

MOST_LOOSE_TRIALS = 200
"""Candidates that are tried as near misses in a pruned search."""

BEST = 40
"""Candidates, of those that are tried one by one, that are looked at as near misses."""

ROUNDS = 5
"""How often the search is repeated with the transitions on which its result failed."""


def discover_symmetries(
    env: Environment | gymnasium.Env | str,
    samples: int = 1000,
    seed: int = 0,
    level: float = 0.05,
    tolerance: float = 1e-3,
    *,
    policy: Policy | None = None,
    states: ArrayLike | None = None,
    restore: Restore | None = None,
    center: ArrayLike | None = None,
) -> Discovery:
    """Finds the signed permutations of coordinates and actions that change nothing.

    A symmetry is a signed permutation of the numbers of an observation, with a permutation of
    discrete actions or a signed permutation of the numbers of an action, such that P(g s' | g s,
    g a) = P(s' | s, a), R(g s, g a) = R(s, a) and the same for termination (van der Pol et al.,
    "MDP homomorphic networks", 2020, equations 4 and 5). Of d coordinates and k actions there are
    2^d d! k! candidates, 2^d d! 2^k k! for continuous actions. They are found in one of four ways:

    - Where observations take few values and at most 5,000 states can be reached, these are listed,
      counts of what goes together in them prune the search, and every pair (s, a) is compared.
    - At most 10,000 candidates are tried one by one.
    - Otherwise a search point by point (Sims' and McKay's, see `search`) is pruned by the responses
      to single changes around a base state (`probed` states what that takes for granted).
    - Of pictures [height, width, ...] turns and mirrorings are tried first; of pictures of more
      than 64 numbers whose states are too many to list, these alone.

    What is found on some transitions is confirmed on others, where every element of the group must
    hold within `tolerance`; `Discovery.failing_share` bounds what can have been missed. Coordinates
    that are constant, or have to do neither with reward nor termination nor actions, are left as
    they are, and discrete actions that do the same are not exchanged.

    Args:
        env: An environment whose state can be set (`dynamics_of`), or a name or id of one. It is
            reset and stepped here. The dynamics must be deterministic.
        samples: Held-out pairs (s, a), at most 10^8.
        seed: An integer in [0, 2^64).
        level: Significance level of `Discovery.failing_share`, in (0, 1).
        tolerance: Largest error of a symmetry: of a coordinate relative to the root mean square of
            its change in a step, of the reward to the rewards' standard deviation.
        policy: Chooses the actions of the episodes whose states are visited, random ones by
            default: the law is only seen to hold where it goes. Actions that are compared are
            random.
        states: [n, d] flattened observations to draw from, in place of visited ones.
        restore: See `dynamics_of`.
        center: [d] the state about which candidates act, `Symmetry.center`; the origin when not
            given.

    Returns:
        The symmetry and what is known about it; of the trivial group if none was found.

    Raises:
        ValueError: If an argument is not one of those, the environment's state cannot be set or its
            dynamics is random.
    """
    start = time.perf_counter()
    samples = positive_integer("samples", samples, LARGEST_SAMPLE)
    rng = np.random.default_rng(integer("seed", seed, 0, LARGEST_SEED))
    level = number("level", level, "a number between 0 and 1", lambda x: 0 < x < 1)
    tolerance = number("tolerance", tolerance)
    env = resolved(env)
    dynamics = dynamics_of(env, restore)
    if not dynamics.can_step:
        raise ValueError(
            "`env` must be an environment whose state can be set: one of gymnasium's, or one with "
            "an `env.unwrapped.state` that is a vector and may be written, or give `restore`. From "
            "transitions alone nothing is discovered; `check_symmetry` tests what is given. "
            f"Received: env={shown(env)}"
        )
    labels = _labels(dynamics)
    middle = _given("center", center, (dynamics.observation_dim,))
    given = _given("states", states, (None, dynamics.observation_dim))
    trials = Trials(dynamics, rng, policy, given, 0.0 if middle is None else middle)
    steps = trials.visit(min(samples, SEARCH_SAMPLES))
    trials.measure_scale(steps)
    whole = _all_states(trials, steps)
    if whole is not None:
        steps = rows_of(whole, rng.permutation(len(whole.states)))
    found = influence(trials, steps, tolerance, known=whole is not None)
    plan = _plan(env, trials, steps, allowed_images(trials, found.kept, found.ranks), whole)
    tried = 0
    for _ in range(ROUNDS):
        sought = _seek(trials, plan, steps, tolerance)
        tried += sought.tried
        elements, group, fits = closed(sought.generators, len(labels))
        held_out = trials.visit(samples) if plan.whole is None else plan.whole
        worst, failing = _confirm(trials, elements, held_out, tolerance)
        if not len(failing):
            break
        # Those on which it failed come first, so that they are tried first.
        steps = joined([rows_of(held_out, failing), steps])
    else:
        sought.complete, worst = False, 0.0
        elements, group, fits = closed([], len(labels))
    near = near_misses(
        trials, _nearly(trials, plan, steps, tolerance), elements, steps, tolerance, labels
    )
    d = trials.states_dim
    group = FiniteGroup(group.table, name_of(group.table))
    parts = [
        Representation.from_signed_permutations(
            group, elements.points[:, part] - offset, elements.signs[:, part]
        )
        for part, offset in ((slice(d), 0), (slice(d, None), d))
    ]
    moved = zip(elements.points[1:], elements.signs[1:], strict=True)
    return Discovery(
        symmetry=Symmetry(group, parts[0], parts[1], None if middle is None else tuple(middle)),
        elements=tuple(in_words(p, s, labels, d) for p, s in moved),
        approximate=near,
        kept=tuple(labels[i] for i in found.kept),
        method=plan.method,
        complete=sought.complete and fits,
        search_space=_search_space(trials),
        candidates_tried=tried,
        transitions=trials.transitions,
        samples=len(held_out.states),
        worst=worst,
        level=level,
        seconds=time.perf_counter() - start,
    )


class _Plan(NamedTuple):
    """How candidates are found.

    Attributes:
        method: See `Discovery.method`.
        candidates: To try one by one, before `relations` or alone.
        relations: What prunes a search, one for each search.
        whole: The transitions of all states, where they could be listed.
    """

    method: str
    candidates: Moves
    relations: tuple[Relations, ...] = ()
    whole: Transitions | None = None


def _all_states(trials: Trials, steps: Transitions) -> Transitions | None:
    if not trials.discrete or not few_values(steps.states):
        return None
    return list_states(trials, steps, MOST_STATES)


def _plan(
    env: Environment | gymnasium.Env,
    trials: Trials,
    steps: Transitions,
    allowed: NDArray[np.bool_],
    whole: Transitions | None,
) -> _Plan:
    empty = np.zeros([0, len(allowed)], np.int64)
    shape = tuple(
        (env.observation_shape if isinstance(env, Environment) else env.observation_space.shape)
        or ()
    )
    first = None
    if len(shape) > 1 and int(np.prod(shape)) == trials.states_dim:
        first = pictures(shape, allowed, MOST_CANDIDATES)
    first_moves = Moves(empty, empty) if first is None else first
    if whole is not None:
        return _Plan("all states", first_moves, (listed(trials, whole, allowed),), whole)
    everything = all_candidates(allowed, MOST_CANDIDATES)
    if everything is not None:
        return _Plan("all candidates", everything)
    if first is not None and trials.states_dim > LARGEST_PICTURE:
        return _Plan("pictures", first)
    relations = [
        probed(trials, steps, allowed, PROBE_TOLERANCE, base) for base in bases(trials, steps)
    ]
    return _Plan("pruned", first_moves, tuple(relations))


def _seek(trials: Trials, plan: _Plan, steps: Transitions, tolerance: float) -> Found:
    """The candidates that hold on these transitions: all of them, or generators."""
    holding = trials.holding(plan.candidates, steps, tolerance)
    known = [plan.candidates.take(slice(row, row + 1)) for row in holding]

    def accepts(move: Moves) -> bool:
        keeps = plan.whole is None or same_states(move, plan.whole.states)
        return keeps and len(trials.holding(move, steps, tolerance)) > 0

    found = Found(known, len(plan.candidates.points))
    for relations in plan.relations:
        further = search(relations, accepts, found.generators, MOST_TRIALS)
        found = Found(
            further.generators, found.tried + further.tried, found.complete and further.complete
        )
    return found


def _confirm(
    trials: Trials, elements: Moves, steps: Transitions, tolerance: float
) -> tuple[float, NDArray[np.int64]]:
    """The largest error of any element but the identity, and up to 64 pairs that fail."""
    worst = np.zeros(len(steps.states))
    for row in range(1, len(elements.points)):
        errors = trials.errors(elements.take(slice(row, row + 1)), steps)[0]
        worst = np.maximum(worst, errors.max(axis=1))
    return float(worst.max()), np.flatnonzero(worst > tolerance)[:64]


def _nearly(trials: Trials, plan: _Plan, steps: Transitions, tolerance: float) -> Moves:
    """Candidates for near misses."""
    best = [rank(trials, plan.candidates, steps, BEST)] if len(plan.candidates.points) else []
    if plan.relations:
        some = rows_of(steps, slice(64))
        loose = dataclasses.replace(plan.relations[0], tolerance=LOOSE_TOLERANCE)

        def accepts(move: Moves) -> bool:
            return is_near(trials, move, some, tolerance)

        best += search(loose, accepts, [], MOST_LOOSE_TRIALS).generators
    if not best:
        return plan.candidates
    return Moves(*(np.concatenate(x) for x in zip(*best, strict=True)))


def _search_space(trials: Trials) -> int:
    d, k = trials.states_dim, trials.actions_dim
    signs = d if trials.discrete else d + k
    return 2**signs * math.factorial(d) * math.factorial(k)


def _labels(dynamics: Dynamics) -> list[str]:
    action = "action " if dynamics.actions.low is None else "a"
    return [*dynamics.names, *(f"{action}{i}" for i in range(dynamics.actions.dim))]


def _given(
    name: str, value: ArrayLike | None, shape: tuple[int | None, ...]
) -> NDArray[np.float64] | None:
    """An optional array of finite numbers; None in `shape` stands for any number of rows."""
    if value is None:
        return None
    array = np.asarray(value)
    fits = array.ndim == len(shape) and all(
        n == m or (m is None and n) for n, m in zip(array.shape, shape, strict=True)
    )
    if not fits or array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        rows = str(list(shape)).replace("None", "n")
        raise ValueError(
            f"`{name}` must be finite numbers of shape {rows}, or None. "
            f"Received: {name}={shown(value)}"
        )
    return array.astype(np.float64)
