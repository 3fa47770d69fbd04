"""The dynamics of our environments and of gymnasium's as functions of observations."""

from __future__ import annotations

import contextlib
from typing import Any

import gymnasium
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tf_equirl._checks import cut, instance, positive_integer, refuse, shown
from tf_equirl.envs.adapters.gymnasium_env import GymnasiumEnv
from tf_equirl.envs.base import BaseEnvironment
from tf_equirl.envs.declared.names import names_of
from tf_equirl.envs.environment import Environment
from tf_equirl.envs.host import HostEnvironment
from tf_equirl.envs.pixels import Pixels
from tf_equirl.envs.registry import make, names
from tf_equirl.envs.symmetries.interface import Actions, Dynamics, Outcomes, Policy, Steps
from tf_equirl.envs.symmetries.pictured import StatesOfPictures
from tf_equirl.envs.symmetries.restoring import Access, Restore, known_access, state_access

COPIES = 32
"""Copies of an `Environment` that are explored side by side."""

_AT_ONCE = 1 << 24  # numbers in the next states of outcomes that are listed, 64 MB


def dynamics_of(env: Environment | gymnasium.Env | str, restore: Restore | None = None) -> Dynamics:
    """Access to the dynamics of an environment.

    States can be set of an `Environment` that defines `state_from_observation`; of `Pixels` those
    that were visited, by their pictures, and their images; of gymnasium's
    classic control and its MuJoCo environments of version 5; of one whose `env.unwrapped.state` is
    a vector, which stands for the observation then, also where the two differ; and of any other one
    by `restore`. Of gymnasium's own environments observations are read in float64. Steps go through
    all wrappers; an environment whose wrappers change observations or actions needs `restore`.

    Args:
        env: An environment, a name of `envs.names()` or an id of gymnasium's.
        restore: `restore(env, observation)` sets a gymnasium environment, which is given unwrapped
            and just reset, to the state that is observed as `observation` [d] float64, flattened.

    Raises:
        ValueError: If an argument is not one of those, or observations or actions are of a kind
            that has no flat form.
    """
    if restore is not None and not callable(restore):
        refuse("restore", "callable or None", restore)
    env = resolved(env)
    if isinstance(env, Environment):
        if restore is not None:
            refuse("restore", "None for a tf_equirl Environment, which restores itself", restore)
        return _Functional(env)
    return _Gymnasium(env, restore)


def resolved(env: BaseEnvironment | gymnasium.Env | str) -> Environment | gymnasium.Env:
    """The environment that an argument stands for: ours, or else gymnasium's.

    Raises:
        ValueError: If it is no environment, name or id, or gymnasium cannot make it.
    """
    if isinstance(env, str):
        if env in names():
            return make(env)
        try:
            env = gymnasium.make(env, disable_env_checker=True)
        except Exception as error:  # unknown, or needs a package, or whatever its code does
            raise ValueError(
                f"`env` must be one of {', '.join(names())}, or an id of gymnasium's: "
                f"{type(error).__name__}: {cut(str(error))} Received: env={shown(env)}"
            ) from error
    if isinstance(env, HostEnvironment):
        return env.make_env()
    if isinstance(env, gymnasium.Env) and isinstance(env.unwrapped, GymnasiumEnv):
        return env.unwrapped.environment
    if not isinstance(env, (Environment, gymnasium.Env)):
        refuse("env", "an environment of tf_equirl's or gymnasium's, or a name or id of one", env)
    return env


def actions_of(env: Environment) -> Actions:
    """The actions of an environment of ours."""
    if env.action_bounds is None:
        return Actions(env.num_actions)
    low, high = (np.array(bound, np.float64) for bound in env.action_bounds)
    return Actions(low=low, high=high)


class _Functional(Dynamics):
    """Of our own environments, in float32, many states at once."""

    precision: type[np.floating] = np.float32

    def __init__(self, env: Environment) -> None:
        self._env = env
        self.observation_dim = int(np.prod(env.observation_shape))
        self.actions = actions_of(env)
        self._action_type = env.action_distribution.action_dtype
        low, high = (np.reshape(bound, -1) for bound in env.observation_bounds())
        self.low, self.high = low.astype(np.float64), high.astype(np.float64)
        self.names = names_of(env, self.observation_dim)
        self._visited = StatesOfPictures(env) if isinstance(env, Pixels) else None
        self.one_scale = self._visited is not None
        self.can_step = (
            self._visited is not None
            or type(env).state_from_observation is not Environment.state_from_observation
        )
        self.lists_outcomes = (
            self.can_step
            and env.random_transitions
            and type(env).outcomes is not Environment.outcomes
        )
        self._rng = np.random.default_rng(0)

    def collect(
        self,
        samples: int,
        rng: np.random.Generator,
        policy: Policy | None = None,
        longest: int | None = None,
    ) -> Steps:
        """From `COPIES` environments side by side."""
        copies = min(positive_integer("samples", samples), COPIES)
        rollout_step = tf.function(self._env.step_with_uniforms, autograph=False)
        rows, episodes, length = [], np.arange(copies), np.zeros(copies, int)
        for count in range(-(-samples // copies)):
            if count == 0 or (longest is not None and length.max() >= longest):
                state = self._env.initial_state(self._uniforms(copies, rng))
                episodes, length = episodes.max() + 1 + np.arange(copies), np.zeros(copies, int)
            states = self._flat(self._env.observe(state))
            if self._visited is not None:
                self._visited.keep(state)
            actions = self.choose(policy, states, rng).astype(self._action_type.as_numpy_dtype)
            state, following, reward, terminated, truncated = rollout_step(
                state, tf.constant(actions), self._uniforms(copies, rng)
            )
            reward, ended = reward.numpy().astype(np.float64), terminated.numpy()
            rows.append((states, actions, self._flat(following), reward, ended, episodes))
            ended = ended | truncated.numpy()
            episodes = np.where(ended, episodes.max() + 1 + np.arange(copies), episodes)
            length = np.where(ended, 0, length + 1)
        parts: list[Any] = [np.concatenate(part)[:samples] for part in zip(*rows, strict=True)]
        order = np.argsort(parts[-1], kind="stable")
        return Steps(*(part[order] for part in parts))

    def step(
        self, states: NDArray[Any], actions: NDArray[Any]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        """All at once; with other random numbers at every call."""
        observations = np.reshape(states, [-1, *self._env.observation_shape]).astype(np.float32)
        if self._visited is not None:
            state = self._visited.states(observations)
        else:
            state = self._env.state_from_observation(tf.constant(observations))
        following, reward, terminated = self._env.transition(
            state, tf.constant(actions, self._action_type), self._uniforms(len(states), self._rng)
        )
        reward = reward.numpy().astype(np.float64)
        return self._flat(self._env.observe(following)), reward, terminated.numpy()

    def outcomes(self, states: NDArray[Any], actions: NDArray[Any]) -> Outcomes:
        """Some pairs at once: most outcomes may be impossible, but take their place."""
        observations = np.reshape(states, [-1, *self._env.observation_shape]).astype(np.float32)
        parts, start, stop = [], 0, 1
        while start < len(observations):
            state = self._env.state_from_observation(tf.constant(observations[start:stop]))
            probability, following, reward, terminated = self._env.outcomes(
                state, tf.constant(actions[start:stop], self._action_type)
            )
            chances = probability.numpy().astype(np.float64)
            if not (np.all(chances >= 0) and np.allclose(chances.sum(axis=-1), 1, atol=1e-4)):
                raise ValueError(
                    "`env` must have `outcomes` of probabilities that sum to 1. Received: "
                    f"env={self._env.name}, with numbers from {chances.min():.3g} to "
                    f"{chances.max():.3g} and sums from {chances.sum(-1).min():.6g} to "
                    f"{chances.sum(-1).max():.6g}"
                )
            chances /= chances.sum(axis=-1, keepdims=True)  # but for rounding to float32
            possible = np.nonzero(chances)
            kept = tf.nest.map_structure(
                lambda x, at=possible: tf.constant(x.numpy()[at]), following
            )
            parts.append(
                (
                    start + possible[0],
                    chances[possible],
                    self._flat(self._env.observe(kept)),
                    reward.numpy()[possible].astype(np.float64),
                    terminated.numpy()[possible],
                )
            )
            size = sum(x.numpy().size for x in following) // len(chances)
            start, stop = stop, stop + max(1, _AT_ONCE // size)
        return Outcomes(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    def _uniforms(self, count: int, rng: np.random.Generator) -> tf.Tensor:
        return tf.constant(rng.random([count, self._env.num_uniforms], np.float32))

    def _flat(self, observations: tf.Tensor) -> NDArray[np.float64]:
        return np.reshape(observations.numpy(), [len(observations), -1]).astype(np.float64)


class _Gymnasium(Dynamics):
    """Of gymnasium's environments, one step after the other."""

    def __init__(self, env: gymnasium.Env, restore: Restore | None) -> None:
        self._env = env
        self._raw: Any = env.unwrapped
        space = _flat_space("env.observation_space", env.observation_space)
        self._start = int(getattr(env.action_space, "start", 0))
        if isinstance(env.action_space, gymnasium.spaces.Discrete):
            self.actions = Actions(int(env.action_space.n))
        else:
            box = instance(
                "env.action_space", env.action_space, gymnasium.spaces.Box, "a Discrete or a Box"
            )
            low, high = (np.reshape(x, -1).astype(np.float64) for x in (box.low, box.high))
            self.actions = Actions(low=low, high=high)
        env.reset(seed=0)  # some have no state before
        self._access = self._find_access(restore)
        self.can_step = self._access is not None
        self.precision = np.float32 if space.dtype == np.float32 else np.float64
        self.low, self.high = (x.astype(np.float64) for x in (space.low, space.high))
        self.observation_dim = len(self.low)
        if self._access is not None and self._access.observe is not None:
            self.precision = self._access.precision
            dim = len(self._access.observe(self._raw))
            if dim != self.observation_dim:  # a state that is not what is observed
                self.observation_dim = dim
                self.low, self.high = np.full(dim, -np.inf), np.full(dim, np.inf)
        self.names = names_of(self._raw, self.observation_dim)

    def _find_access(self, restore: Restore | None) -> Access | None:
        if restore is not None:
            return Access(restore, None, np.float64)
        spaces = ("observation_space", "action_space")
        if any(getattr(self._env, name) != getattr(self._raw, name) for name in spaces):
            return None  # wrappers change what is observed or done
        return known_access(self._raw) or state_access(self._raw)

    def collect(
        self,
        samples: int,
        rng: np.random.Generator,
        policy: Policy | None = None,
        longest: int | None = None,
    ) -> Steps:
        """One episode after the other."""
        positive_integer("samples", samples)
        observation, _ = self._env.reset(seed=int(rng.integers(2**31)))
        state, rows, episode, length = self._read(observation), [], 0, 0
        for _ in range(samples):
            action = self.choose(policy, state[None], rng)[0]
            observation, reward, terminated, truncated, _ = self._env.step(self._given(action))
            following = self._read(observation)
            rows.append((state, action, following, float(reward), bool(terminated), episode))
            length += 1
            if terminated or truncated or length == longest:
                observation, _ = self._env.reset()
                following, episode, length = self._read(observation), episode + 1, 0
            state = following
        return Steps(*(np.array(part) for part in zip(*rows, strict=True)))

    def step(
        self, states: NDArray[Any], actions: NDArray[Any]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        """Resets before every step: some environments keep more than their state."""
        if self._access is None:
            raise ValueError(
                "`env` must be an environment whose state can be set: one of gymnasium's, or one "
                "with an `env.unwrapped.state` that is a vector and may be written, or give "
                f"`restore`. Received: env={self._env!r}"
            )
        rows = []
        for state, action in zip(np.asarray(states, np.float64), actions, strict=True):
            self._env.reset()
            self._access.restore(self._raw, state.copy())  # some environments step it in place
            observation, reward, terminated, _, _ = self._env.step(self._given(action))
            rows.append((self._read(observation), float(reward), bool(terminated)))
        following, rewards, terminations = zip(*rows, strict=True)
        return np.stack(following), np.array(rewards), np.array(terminations)

    def _given(self, action: Any) -> Any:
        """An action as the environment takes it."""
        if self.actions.low is None:
            return self._start + int(action)
        return np.reshape(action, self._env.action_space.shape)

    def _read(self, observation: Any) -> NDArray[np.float64]:
        if self._access is not None and self._access.observe is not None:
            return self._access.observe(self._raw)
        flat = gymnasium.spaces.flatten(self._env.observation_space, observation)
        return np.array(flat, np.float64)


def _flat_space(name: str, space: gymnasium.Space) -> gymnasium.spaces.Box:
    flat: Any = space
    with contextlib.suppress(NotImplementedError):  # a kind that gymnasium does not flatten
        flat = gymnasium.spaces.flatten_space(space)
    return instance(name, flat, gymnasium.spaces.Box, "a space that flattens to a Box")
