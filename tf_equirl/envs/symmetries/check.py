"""Measures whether an environment has the symmetry that is claimed for it."""

from __future__ import annotations

import gymnasium
import numpy as np
from numpy.typing import ArrayLike, NDArray

from tf_equirl._checks import (
    LARGEST_SAMPLE,
    LARGEST_SEED,
    instance,
    integer,
    positive_integer,
    refuse,
    shown,
)
from tf_equirl.envs.base import BaseEnvironment
from tf_equirl.envs.declared.declarations import declared_symmetry
from tf_equirl.envs.environment import Environment
from tf_equirl.envs.symmetries.compare import Starts, compare_steps
from tf_equirl.envs.symmetries.dynamics import dynamics_of, resolved
from tf_equirl.envs.symmetries.interface import Actions, Dynamics, Policy
from tf_equirl.envs.symmetries.outcome_report import OutcomeReport
from tf_equirl.envs.symmetries.outcomes import compare_outcomes
from tf_equirl.envs.symmetries.report import SymmetryReport, TwoSampleReport
from tf_equirl.envs.symmetries.restoring import Restore
from tf_equirl.envs.symmetries.two_sample import compare_transitions
from tf_equirl.groups import Symmetry
from tf_equirl.groups._checks import real_array


def check_symmetry(
    env: BaseEnvironment | gymnasium.Env | str,
    symmetry: Symmetry | None = None,
    samples: int = 1000,
    seed: int = 0,
    states: ArrayLike | None = None,
    policy: Policy | None = None,
    restore: Restore | None = None,
) -> SymmetryReport | OutcomeReport | TwoSampleReport:
    """Steps the real dynamics from s and from g s and compares.

    The law is P(g s' | g s, g a) = P(s' | s, a), R(g s, g a) = R(s, a), and the same for
    termination (van der Pol et al., "MDP homomorphic networks", 2020, equations 4 and 5). Of an
    `Environment` whose transitions are random and that lists its `outcomes`, their distributions
    are compared, and the report is an `OutcomeReport`. Where states cannot be set, transitions are
    compared with images of others (`compare_transitions`), which sees less, and the report is a
    `TwoSampleReport`.

    Args:
        env: An environment of ours, one of gymnasium's, or a name or id of one; with discrete
            actions or a Box of them. It is reset and stepped here. `symmetry.state` acts on its
            flattened observations. Whose states can be set, says `dynamics_of`; of an environment
            with an `env.unwrapped.state` of another dimension than its observations `symmetry`
            acts on that. Transitions must be deterministic then, or listed: of random ones, single
            samples say nothing.
        symmetry: The claim; by default what `env` declares, or `declared_symmetry`.
        samples: Number of pairs (s, a), at most 10^8; not used where `states` are given.
        seed: An integer in [0, 2^64), which seeds the exploration.
        states: [n, d] flattened observations to start from; by default those that episodes visit.
        policy: From observations [n, d] to actions, which explores and acts; by default actions are
            random. Where states cannot be set it must be equivariant.
        restore: How to set the state of a gymnasium environment; see `dynamics_of`.

    Returns:
        The report; `print` it, or read `verdict` and its numbers.

    Raises:
        ValueError: If an argument is not one of those, states are given that cannot be set, the
            dynamics is random and not listed, no symmetry is given or declared, it has other
            dimensions, or an element does not map the Box of actions to itself.

    Example:
        >>> from tf_equirl.envs import check_symmetry
        >>> check_symmetry("Pendulum-v1", samples=100).verdict
        'exact'
    """
    samples = positive_integer("samples", samples, LARGEST_SAMPLE)
    rng = np.random.default_rng(integer("seed", seed, 0, LARGEST_SEED))
    if policy is not None and not callable(policy):
        refuse("policy", "callable or None", policy)
    env, symmetry, dynamics = claimed(env, symmetry, restore)
    name = name_of(env)
    if not dynamics.can_step:
        if states is not None:
            refuse("states", f"None: the state of {name} cannot be set", states)
        return compare_transitions(dynamics, symmetry, samples, rng, policy, name)
    if states is not None:
        states = real_array("states", states, ndim=2)
        if states.shape[1] != dynamics.observation_dim:
            raise ValueError(
                f"`states` must have {dynamics.observation_dim} numbers each. Received: "
                f"states.shape={states.shape}"
            )
    starts = _starts(dynamics, states, samples, policy, rng)
    if dynamics.lists_outcomes:
        return compare_outcomes(dynamics, symmetry, starts, name)
    return compare_steps(dynamics, symmetry, starts, name)


def claimed(
    env: BaseEnvironment | gymnasium.Env | str,
    symmetry: Symmetry | None,
    restore: Restore | None = None,
) -> tuple[Environment | gymnasium.Env, Symmetry, Dynamics]:
    """An environment, the symmetry that it is claimed to have, and its dynamics.

    Args:
        env: See `check_symmetry`.
        symmetry: Likewise.
        restore: Likewise.

    Raises:
        ValueError: If they do not fit each other, or there is no claim.
    """
    if symmetry is not None:
        instance("symmetry", symmetry, Symmetry)
    if symmetry is None and isinstance(env, BaseEnvironment):
        symmetry = env.symmetry
    env = resolved(env)
    dynamics = dynamics_of(env, restore)
    if symmetry is None:
        symmetry = env.symmetry if isinstance(env, Environment) else declared_symmetry(env)
    if symmetry is None:
        raise ValueError(
            "`symmetry` must be given: none is declared for `env`. Received: symmetry=None, "
            f"env={shown(env)}"
        )
    _check_states(symmetry, dynamics)
    _check_actions(symmetry, dynamics.actions)
    return env, symmetry, dynamics


def _starts(
    dynamics: Dynamics,
    states: NDArray[np.float64] | None,
    samples: int,
    policy: Policy | None,
    rng: np.random.Generator,
) -> Starts:
    if states is not None:
        return Starts(states, dynamics.choose(policy, states, rng), None, "states")
    steps = dynamics.collect(samples, rng, policy)
    explored_by = "random actions" if policy is None else "policy"
    return Starts(
        *(steps.states, steps.actions, steps.next_states, explored_by),
        *(steps.rewards, steps.terminated),
    )


def name_of(env: Environment | gymnasium.Env) -> str:
    """The name of an environment, or its id."""
    if isinstance(env, Environment):
        return env.name
    return type(env.unwrapped).__name__ if env.spec is None else env.spec.id


def _check_states(symmetry: Symmetry, dynamics: Dynamics) -> None:
    if symmetry.state.dim != dynamics.observation_dim:
        raise ValueError(
            f"`symmetry.state` must act on states of {dynamics.observation_dim} numbers. Received: "
            f"symmetry.state={symmetry.state!r}"
        )


def _check_actions(symmetry: Symmetry, actions: Actions) -> None:
    """Raises a ValueError unless every element maps the actions to themselves."""
    action = symmetry.action
    if actions.low is None or actions.high is None:
        if action.permutations is None or action.dim != actions.dim:
            raise ValueError(
                f"`symmetry.action` must permute the {actions.dim} actions of the environment. "
                f"Received: symmetry.action={action!r}"
            )
        return
    if action.dim != actions.dim:
        raise ValueError(
            f"`symmetry.action` must act on actions of {actions.dim} numbers. Received: "
            f"symmetry.action={action!r}"
        )
    low, high = actions.low, actions.high
    for element, matrix in enumerate(action.matrices):
        with np.errstate(invalid="ignore"):  # 0 times an infinite bound
            ends = np.where(matrix == 0, 0.0, matrix) * np.stack([low, high])[:, None]
        ends = np.where(matrix == 0, 0.0, ends)
        # |det| = 1, so that an image within the box is all of it.
        image = ends.min(axis=0).sum(axis=1), ends.max(axis=0).sum(axis=1)
        if not (np.allclose(image[0], low, rtol=1e-6) and np.allclose(image[1], high, rtol=1e-6)):
            raise ValueError(
                f"`symmetry.action` must map the Box of actions to itself, but element {element} "
                f"takes the bounds {_bounds(low, high)} to {_bounds(*image)}. Received: "
                f"symmetry.action={action!r}"
            )


def _bounds(low: NDArray[np.float64], high: NDArray[np.float64]) -> str:
    pairs = [f"[{a:.6g}, {b:.6g}]" for a, b in zip(low, high, strict=True)]
    return " x ".join(pairs[:6]) + (" x ..." if len(pairs) > 6 else "")
