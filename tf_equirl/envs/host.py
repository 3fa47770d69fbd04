"""Environments of gymnasium's, which are stepped on the host."""

from __future__ import annotations

import functools
import signal
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from tf_equirl._checks import (
    cut,
    instance,
    one_of,
    optional_text,
    positive_integer,
    refuse,
    shown,
    within,
)
from tf_equirl.distributions import Categorical, Distribution, Gaussian, SquashedGaussian
from tf_equirl.envs.base import BaseEnvironment
from tf_equirl.groups import Representation, Symmetry, cyclic_group, trivial_representation

VECTORIZATIONS = ("sync", "async", "vector_entry_point")
"""How copies of an environment are stepped together; the names are gymnasium's."""
POLICIES: dict[str, type[Gaussian]] = {"gaussian": Gaussian, "squashed_gaussian": SquashedGaussian}
"""Distributions of continuous actions by name."""
HOST_ARGUMENTS = ("symmetry", "vectorization", "policy", "max_episode_steps")
"""What says how an environment is used, and not which one it is."""
ENDLESS = 2**31 - 1
"""Steps of an episode that nobody limits."""


class HostEnvironment(BaseEnvironment):
    """An environment of gymnasium's, with the symmetry that it is said to have.

    It is stepped through `gymnasium.vector`, outside of the compiled programs, which act and learn
    as they do for any `Environment`.

    Observations are float32: those of a Box keep its shape; those of other spaces (Discrete,
    MultiBinary, MultiDiscrete, and Dict and Tuple of such) are flattened by gymnasium, discrete
    ones as one-hot vectors, the parts of a Dict in the order of its keys
    (`observation_representation` adds up their representations). Actions are those of a Discrete
    space, or of a Box, flattened.

    Args:
        env: An id of gymnasium's, such as "Acrobot-v1" or "module:id"; or a function that makes an
            environment.
        symmetry: The group, how it acts on flattened observations, and on actions: a permutation
            representation of discrete ones; on those of a Box any orthogonal one that maps it to
            itself. If None, the group of one element, which says nothing.
        vectorization: "sync" steps copies in turn, "async" each in a process of its own,
            "vector_entry_point" as the environment itself does; or a function from a number of
            copies to a `gymnasium.vector.VectorEnv` of any autoreset mode.
        policy: What the outputs of a policy mean where actions are those of a Box: "gaussian" or
            "squashed_gaussian".
        max_episode_steps: Steps after which an episode is truncated, instead of the environment's
            own limit.
        name: What the environment is called; by default the id or the function's name.
        **kwargs: Of `gymnasium.make`, where `env` is an id.

    Attributes:
        num_actions: How many actions there are; 0 where they are continuous.

    Raises:
        ValueError: If an argument is not one of those, the environment cannot be made, its spaces
            are none of those above, or the symmetry does not fit them.

    Example:
        >>> from tf_equirl import envs
        >>> env = envs.HostEnvironment("Pendulum-v1")
        >>> env.observation_shape, env.action_distribution.action_shape
        ((3,), (1,))
    """

    acts: str | None = None  # how the group does, in words, where that is known
    _recipe: Mapping[str, Any] | None = None  # how the registry made it

    def __init__(
        self,
        env: str | Callable[[], gymnasium.Env],
        symmetry: Symmetry | None = None,
        *,
        vectorization: str | Callable[[int], gymnasium.vector.VectorEnv] = "sync",
        policy: str = "gaussian",
        max_episode_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        if not callable(env):
            instance(
                "env", env, str, "an id of gymnasium's or a function that makes an environment"
            )
        elif kwargs:
            refuse("kwargs", "empty where env is a function", kwargs)
        if not callable(vectorization):
            one_of("vectorization", vectorization, VECTORIZATIONS)
        if vectorization == "vector_entry_point" and callable(env):
            refuse("vectorization", "another one where env is a function", vectorization)
        one_of("policy", policy, POLICIES)
        if max_episode_steps is not None:
            max_episode_steps = positive_integer("max_episode_steps", max_episode_steps)
        self._env, self._kwargs, self._vectorization = env, kwargs, vectorization
        self._limit = max_episode_steps
        own_name = env if isinstance(env, str) else getattr(env, "__qualname__", type(env).__name__)
        self.name = optional_text("name", name) or own_name
        made = self.make_env()
        try:
            self._read(made, symmetry, policy)
        finally:
            made.close()

    def _read(self, env: gymnasium.Env, symmetry: Symmetry | None, policy: str) -> None:
        space = env.observation_space
        if not isinstance(space, gymnasium.spaces.Box):
            raise ValueError(
                f"`env` must have observations that gymnasium can flatten to numbers. Received: "
                f"env.observation_space={shown(space)}"
            )
        self.observation_space = space
        self.observation_shape = tuple(space.shape) or (1,)
        self.action_space = env.action_space
        own_limit = getattr(env.spec, "max_episode_steps", None)
        if env.has_wrapper_attr("_max_episode_steps"):  # of a TimeLimit
            own_limit = env.get_wrapper_attr("_max_episode_steps")
        self.max_episode_steps = own_limit or ENDLESS
        modes = env.metadata.get("render_modes") or ()
        self.render_modes = tuple(mode for mode in ("ansi", "rgb_array") if mode in modes)
        self.render_fps = int(env.metadata.get("render_fps") or 30)
        dim = int(np.prod(self.observation_shape))
        if isinstance(self.action_space, gymnasium.spaces.Discrete):
            self.num_actions = actions = int(self.action_space.n)
        elif isinstance(self.action_space, gymnasium.spaces.Box):
            self.num_actions, actions = 0, int(np.prod(self.action_space.shape))
        else:
            raise ValueError(
                "`env` must have actions of a Discrete or a Box space. Received: "
                f"env.action_space={shown(self.action_space)}"
            )
        if symmetry is None:
            group = cyclic_group(1)
            state, action = (trivial_representation(group, size) for size in (dim, actions))
            symmetry = Symmetry(group, state, action)
        self.symmetry = instance("symmetry", symmetry, Symmetry)
        _check_dim("state", symmetry.state, dim, f"the {dim} numbers of an observation", self.name)
        _check_dim("action", symmetry.action, actions, f"the {actions} actions", self.name)
        self._distribution: Distribution
        if isinstance(self.action_space, gymnasium.spaces.Discrete):
            if symmetry.action.permutations is None:
                refuse("symmetry.action", "a permutation of discrete actions", symmetry.action)
            self._distribution = Categorical(actions)
        else:
            low, high = np.ravel(self.action_space.low), np.ravel(self.action_space.high)
            with within("env.action_space"):
                self._distribution = POLICIES[policy](low, high, symmetry.action)

    @property
    def action_distribution(self) -> Distribution:
        """Logits of discrete actions; means and deviations of continuous ones."""
        return self._distribution

    @property
    def gymnasium_id(self) -> str:
        """See `BaseEnvironment.gymnasium_id`; the name, where it was made by a function."""
        return self._env if isinstance(self._env, str) else self.name

    @property
    def symmetry_in_words(self) -> dict[str, str]:
        """See `BaseEnvironment.symmetry_in_words`; for those of gymnasium's as it is declared."""
        words = super().symmetry_in_words
        return words if self.acts is None else {**words, "state": self.acts}

    def get_config(self) -> dict[str, Any]:
        """See `BaseEnvironment.get_config`."""
        env = self._env
        return {
            "env": env if isinstance(env, str) else self.name,
            "arguments": dict(self._kwargs or getattr(env, "keywords", {})),
            "observation_shape": list(self.observation_shape),
            "actions": repr(self.action_space),
            "max_episode_steps": self.max_episode_steps,
            "policy": type(self._distribution).__name__,
        }

    def program_key(self) -> Hashable:
        """See `BaseEnvironment.program_key`: programs act and learn, they do not step."""
        return type(self), self.observation_shape, self._distribution.key

    def observation_bounds(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See `BaseEnvironment.observation_bounds`."""
        low, high = (
            np.reshape(bound, self.observation_shape).astype(np.float32)
            for bound in (self.observation_space.low, self.observation_space.high)
        )
        return low, high

    def make_env(self, render_mode: str | None = None) -> gymnasium.Env:
        """One environment, with flat observations where they are no Box, and the time limit.

        Raises:
            ValueError: If it cannot be made.
        """
        options: dict[str, Any] = {} if render_mode is None else {"render_mode": render_mode}
        if isinstance(self._env, str):
            if self._limit is not None:
                options["max_episode_steps"] = self._limit
            try:
                env = gymnasium.make(
                    self._env, disable_env_checker=True, **{**self._kwargs, **options}
                )
            except (gymnasium.error.Error, TypeError, ImportError) as error:
                raise ValueError(
                    f"`env` must be an environment that gymnasium can make: {cut(str(error))}. "
                    f"Received: env={shown(self._env)}, kwargs={shown(self._kwargs)}"
                ) from error
        else:
            try:
                env = self._env()
            except Exception as error:  # whatever the user's code raises
                raise ValueError(
                    "`env` must be a function that returns a gymnasium.Env. Received: "
                    f"env={shown(self._env)}, which raised {type(error).__name__}: "
                    f"{cut(str(error), 300)}"
                ) from error
            if not isinstance(env, gymnasium.Env):
                refuse("env", "a function that returns a gymnasium.Env", env)
            if render_mode is not None and env.render_mode != render_mode:
                rule = f"a function that makes it with render_mode={render_mode!r}, to be drawn"
                refuse("env", rule, self._env)
            if self._limit is not None:
                env = gymnasium.wrappers.TimeLimit(env, self._limit)
        space = env.observation_space
        if not isinstance(space, gymnasium.spaces.Box) and space.is_np_flattenable:
            env = gymnasium.wrappers.FlattenObservation(env)
        return env

    def vector(self, num_envs: int) -> gymnasium.vector.VectorEnv:
        """So many copies that step together.

        Raises:
            ValueError: If a vector environment of the user's own has another number of copies or
                other spaces.
        """
        if self._vectorization == "vector_entry_point" and isinstance(self._env, str):
            options = {} if self._limit is None else {"max_episode_steps": self._limit}
            return gymnasium.make_vec(
                self._env,
                num_envs=num_envs,
                vectorization_mode="vector_entry_point",
                **{**self._kwargs, **options},
            )
        if callable(self._vectorization):
            made = self._vectorization(num_envs)
            rule = (
                f"a function that makes a gymnasium.vector.VectorEnv of {num_envs} copies of "
                f"{self.name}"
            )
            if not isinstance(made, gymnasium.vector.VectorEnv) or made.num_envs != num_envs:
                refuse("vectorization", rule, made)
            spaces = (made.single_observation_space, made.single_action_space)
            if spaces != (self.observation_space, self.action_space):
                refuse("vectorization", rule, spaces)
            return made
        if self._vectorization == "async":
            workers = [functools.partial(_make_worker, self)] * num_envs
            return gymnasium.vector.AsyncVectorEnv(workers, autoreset_mode=AutoresetMode.SAME_STEP)
        makers = [self.make_env] * num_envs
        return gymnasium.vector.SyncVectorEnv(makers, autoreset_mode=AutoresetMode.SAME_STEP)

    @property
    def seeds_copies(self) -> bool:
        """Whether each copy of a vector environment has a seed of its own."""
        return self._vectorization in ("sync", "async")

    def given(self, actions: NDArray[Any]) -> NDArray[Any]:
        """Actions as the vector environment takes them.

        Args:
            actions: `[n]` integers from 0, or `[n, d]`, as the distribution executes them.
        """
        if isinstance(self.action_space, gymnasium.spaces.Discrete):
            return actions + self.action_space.start
        shape = (len(actions), *self.action_space.shape)  # type: ignore[misc]
        return actions.reshape(shape).astype(self.action_space.dtype)

    def observed(self, observations: Any) -> NDArray[np.float32]:
        """Observations of `n` copies, `[n, *observation_shape]` float32."""
        array = np.asarray(observations, np.float32)
        return array.reshape(-1, *self.observation_shape)


def observation_representation(
    space: gymnasium.Space, parts: Mapping[str, Representation] | tuple[Representation, ...]
) -> Representation:
    """How a group acts on a Dict or Tuple of observations, from how it acts on each part.

    Args:
        space: A `gymnasium.spaces.Dict` or `Tuple`.
        parts: A representation for each of its parts, by key or in order, of the dimension that
            the part has when gymnasium flattens it.

    Returns:
        Their direct sum in the order in which gymnasium flattens the parts.

    Raises:
        ValueError: If there is not one for each part, of its dimension.
    """
    if isinstance(space, gymnasium.spaces.Dict) and isinstance(parts, Mapping):
        subspaces: dict[Any, Any] = dict(space.spaces)
        named: dict[Any, Any] = dict(parts)
    elif isinstance(space, gymnasium.spaces.Tuple) and isinstance(parts, (tuple, list)):
        subspaces, named = dict(enumerate(space.spaces)), dict(enumerate(parts))
    else:
        raise ValueError(
            "`parts` must be a dict for a Dict space and a tuple for a Tuple space. Received: "
            f"space={shown(space)}, parts={shown(parts)}"
        )
    if set(named) != set(subspaces):
        refuse("parts", f"given for {', '.join(map(str, subspaces))}", named)
    total = None
    for key, subspace in subspaces.items():
        part = instance(f"parts[{key!r}]", named[key], Representation)
        size = gymnasium.spaces.flatdim(subspace)
        if part.dim != size:
            refuse(f"parts[{key!r}]", f"of dimension {size}, which {subspace} has when flat", part)
        total = part if total is None else total + part
    if total is None:
        refuse("space", "one of at least one part", space)
    return total


def _check_dim(role: str, found: Representation, wanted: int, of: str, name: str) -> None:
    if found.dim != wanted:
        refuse(f"symmetry.{role}", f"a representation of dimension {wanted}: {of} of {name}", found)


def _make_worker(env: HostEnvironment) -> gymnasium.Env:
    """An environment in a process of its own, which leaves Ctrl-C to the one that trains."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return env.make_env()
