"""Measures whether an environment has the symmetry that is claimed for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tf_equirl._checks import (
    LARGEST_SAMPLE,
    LARGEST_SEED,
    instance,
    integer,
    positive_integer,
    refuse,
)
from tf_equirl.envs.adapters.gymnasium_env import GymnasiumEnv
from tf_equirl.envs.environment import Environment
from tf_equirl.groups import Symmetry


@dataclass(frozen=True)
class SymmetryReport:
    """How far an environment is from a symmetry, for each group element g.

    Attributes:
        next_state: max |rho_S(g) s' - s'_g| over samples and coordinates, in the state's scale,
            where s' follows (s, a) and s'_g follows (g s, g a).
        reward: max |R(g s, g a) - R(s, a)| over samples.
        terminated: Share of the samples where one of the two terminates and the other does not.
        samples: Number of pairs (s, a) compared.
    """

    next_state: tuple[float, ...]
    reward: tuple[float, ...]
    terminated: tuple[float, ...]
    samples: int

    @property
    def worst(self) -> float:
        """The largest number of the report; 0 for an exact symmetry."""
        return max(self.next_state + self.reward + self.terminated)


class _Sample(NamedTuple):
    """States [n, d], action indices [n], and the real dynamics from such arrays."""

    states: NDArray[Any]
    actions: NDArray[np.integer]
    step: Callable[[NDArray[Any], NDArray[np.integer]], tuple[NDArray, NDArray, NDArray]]


def check_symmetry(
    env: Environment | gymnasium.Env,
    symmetry: Symmetry | None = None,
    samples: int = 1000,
    seed: int = 0,
) -> SymmetryReport:
    """Steps the real dynamics from s and from g s and compares.

    The law is P(g s' | g s, g a) = P(s' | s, a), R(g s, g a) = R(s, a), and the same for
    termination (van der Pol et al., "MDP homomorphic networks", 2020, equations 4 and 5). The
    states are those that random actions visit.

    Args:
        env: An `Environment` whose `state_from_observation` is defined, on whose flattened
            observations `symmetry.state` acts; or a gymnasium environment with discrete actions
            whose `env.unwrapped.state` holds its whole state and can be set (as CartPole-v1's), on
            which `symmetry.state` acts then. It is reset and stepped here. The dynamics must be
            deterministic: of random transitions, single samples say nothing.
        symmetry: The claim; by default the one that the environment declares.
        samples: Number of pairs (s, a), at most 10^8.
        seed: An integer in [0, 2^64), which seeds the exploration.

    Raises:
        ValueError: If an argument is not one of those, the environment's state cannot be set, its
            dynamics is random, it declares no symmetry and none is given, or the symmetry has other
            dimensions.
    """
    samples = positive_integer("samples", samples, LARGEST_SAMPLE)
    rng = np.random.default_rng(integer("seed", seed, 0, LARGEST_SEED))
    if symmetry is not None:
        instance("symmetry", symmetry, Symmetry)
    if isinstance(env, gymnasium.Env) and isinstance(env.unwrapped, GymnasiumEnv):
        env = env.unwrapped.environment
    if isinstance(env, Environment):
        sample = _explore(env, samples, rng)
        num_actions, symmetry = env.num_actions, symmetry or env.symmetry
    elif isinstance(env, gymnasium.Env):
        if not isinstance(env.action_space, gymnasium.spaces.Discrete):
            raise ValueError(
                f"`env` must have discrete actions. Received: env.action_space={env.action_space}"
            )
        sample = _explore_gymnasium(env, env.action_space, samples, rng)
        num_actions = int(env.action_space.n)
    else:
        refuse("env", "a tf_equirl Environment or a gymnasium.Env", env)
    if symmetry is None:
        raise ValueError("`symmetry` must be given: `env` declares none. Received: symmetry=None")
    permutations = symmetry.action.permutations
    if permutations is None or symmetry.action.dim != num_actions:
        raise ValueError(
            f"`symmetry.action` must permute the {num_actions} actions of the environment. "
            f"Received: symmetry.action={symmetry.action!r}"
        )
    if symmetry.state.dim != sample.states.shape[1]:
        raise ValueError(
            f"`symmetry.state` must act on states of {sample.states.shape[1]} numbers. Received: "
            f"symmetry.state={symmetry.state!r}"
        )
    return _compare(sample, symmetry.state.matrices, permutations)


def _compare(sample: _Sample, matrices: NDArray, permutations: NDArray) -> SymmetryReport:
    following, reward, terminated = sample.step(sample.states, sample.actions)
    again = sample.step(sample.states, sample.actions)[0]
    if not np.array_equal(following, again):
        raise ValueError(
            "`env` must have deterministic dynamics: the same state and action led to two "
            f"different next states, up to {np.abs(following - again).max():.3g} apart. "
            f"Received: {len(following)} sampled transitions"
        )
    rows = []
    for matrix, permutation in zip(matrices, permutations, strict=True):
        images = sample.step(sample.states @ matrix.T, permutation[sample.actions])
        rows.append(
            (
                float(np.abs(following @ matrix.T - images[0]).max()),
                float(np.abs(reward - images[1]).max()),
                float(np.mean(terminated != images[2])),
            )
        )
    next_states, rewards, terminations = zip(*rows, strict=True)
    return SymmetryReport(next_states, rewards, terminations, len(sample.states))


def _explore(env: Environment, samples: int, rng: np.random.Generator) -> _Sample:
    def uniforms(count: int) -> tf.Tensor:
        return tf.constant(rng.random([count, env.num_uniforms], np.float32))

    def step(states: NDArray, actions: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        observations = np.reshape(states, [-1, *env.observation_shape]).astype(np.float32)
        state = env.state_from_observation(tf.constant(observations))
        following, reward, terminated = env.transition(
            state, tf.constant(actions, tf.int32), uniforms(len(states))
        )
        return flat(env.observe(following)), reward.numpy(), terminated.numpy()

    def flat(observations: tf.Tensor) -> NDArray[np.float64]:
        return np.reshape(observations.numpy(), [len(observations), -1]).astype(np.float64)

    copies = min(samples, 32)
    rollout_step = tf.function(env.step_with_uniforms, autograph=False)
    state = env.initial_state(uniforms(copies))
    states, actions = [], []
    for _ in range(-(-samples // copies)):
        states.append(flat(env.observe(state)))
        actions.append(rng.integers(env.num_actions, size=copies, dtype=np.int32))
        state = rollout_step(state, tf.constant(actions[-1]), uniforms(copies))[0]
    return _Sample(np.concatenate(states)[:samples], np.concatenate(actions)[:samples], step)


def _explore_gymnasium(
    env: gymnasium.Env,
    action_space: gymnasium.spaces.Discrete,
    samples: int,
    rng: np.random.Generator,
) -> _Sample:
    raw: Any = env.unwrapped
    offset = int(action_space.start)

    def read() -> NDArray[np.float64]:
        state = np.array(getattr(raw, "state", None), np.float64)
        if state.ndim != 1:
            raise ValueError(
                "`env` must be an environment whose state can be set: an `env.unwrapped.state` "
                f"that is a vector of numbers. Received: env={env!r}"
            )
        return state

    def step(states: NDArray, actions: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        rows = []
        for state, action in zip(states, actions, strict=True):
            raw.reset()
            try:
                raw.state = state
            except AttributeError as error:
                raise ValueError(
                    "`env` must be an environment whose state can be set, but env.unwrapped.state "
                    f"is read-only. Received: env={env!r}"
                ) from error
            _, reward, terminated, _, _ = raw.step(offset + int(action))
            rows.append((read(), reward, terminated))
        following, rewards, terminations = zip(*rows, strict=True)
        return np.stack(following), np.array(rewards, np.float64), np.array(terminations)

    env.reset(seed=int(rng.integers(2**31)))
    states, actions = [], []
    for _ in range(samples):
        states.append(read())
        actions.append(int(rng.integers(action_space.n)))
        _, _, terminated, truncated, _ = env.step(offset + actions[-1])
        if terminated or truncated:
            env.reset()
    return _Sample(np.stack(states), np.array(actions), step)
