"""Whether an environment keeps to what `Environment` says, told in words before its use."""

from __future__ import annotations

import math
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import tensorflow as tf

from tf_equirl._checks import instance
from tf_equirl.envs.base import BaseEnvironment
from tf_equirl.envs.environment import Environment
from tf_equirl.envs.host import HostEnvironment

_LEADING = (2, 3)
_STEPS = 10  # of an environment on the host
_ATTRIBUTES = (
    *("name", "observation_shape", "num_actions", "max_episode_steps", "symmetry"),
    "num_uniforms",
)
_checked: weakref.WeakSet[BaseEnvironment] = weakref.WeakSet()


def check_environment(env: BaseEnvironment) -> None:
    """Checks that an environment keeps to the contract of `Environment`, and says in words if not.

    That attributes are there; that `initial_state`, `observe` and `transition` return tensors of
    the right types and shapes for a batch of environments; and that they are functions: called
    twice with the same state, action and numbers they give the same, so that nothing of their
    randomness comes from elsewhere and nothing is remembered. Trainers and evaluations do this
    first. Whether the declared symmetry is true is for `check_symmetry`.

    Of an environment that is stepped on the host: that a few steps of it give finite observations
    and rewards of the declared shape, and the same ones again after a reset with the same seed.

    Args:
        env: The environment; one that was found right is not looked at again.

    Raises:
        ValueError: Naming the attribute that is missing, or the function of the environment that
            returns something else than it should, or raises an error, and what it returned.

    Warns:
        RuntimeWarning: Where an environment on the host takes another course after a reset with the
            same seed: it can be trained in, but no run can be repeated.

    Example:
        >>> from tf_equirl import envs
        >>> envs.check_environment(envs.make("CartPole"))
    """
    instance("env", env, BaseEnvironment, "an Environment")
    if env in _checked:
        return
    if isinstance(env, HostEnvironment):
        _check_host(env)
    elif isinstance(env, Environment):
        missing = [name for name in _ATTRIBUTES if not hasattr(env, name)]
        if missing:
            raise ValueError(
                f"env must have the attributes of an Environment. Received: "
                f"env={type(env).__name__}, without {', '.join(missing)}"
            )
        # Traced, as compiled programs see it; nothing is computed.
        tf.function(lambda: _check(env), autograph=False).get_concrete_function()
        _check_functions(env)
    _checked.add(env)


def _check_functions(env: Environment) -> None:
    """Calls everything twice."""
    shape = (*_LEADING, env.num_uniforms)
    numbers = np.linspace(0.05, 0.95, math.prod(shape), dtype=np.float32)
    uniforms = tf.constant(numbers.reshape(shape))
    distribution = env.action_distribution
    action = tf.zeros([*_LEADING, *distribution.action_shape], distribution.action_dtype)
    state = _twice(env, "initial_state", env.initial_state, uniforms)
    _twice(env, "observe", env.observe, state)
    _twice(env, "transition", env.transition, state, action, uniforms)


def _twice(env: Environment, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
    first, second = (_call(env, name, function, *arguments) for _ in range(2))
    for one, other in zip(tf.nest.flatten(first), tf.nest.flatten(second), strict=True):
        one, other = np.asarray(one), np.asarray(other)
        # Sums of a GPU may differ in their last digits.
        close = np.isclose(one, other, 1e-5, 1e-6, True) if one.dtype.kind == "f" else one == other
        if not close.all():
            place = tuple(np.argwhere(~close)[0])
            raise ValueError(
                f"env.{name} must be a function of its arguments: the same state, action and "
                "numbers must give the same. Draw what is random from `uniforms`, and keep what is "
                f"to be remembered in the state. Received: env={env.name}, whose {name} gave "
                f"{one[place]} at first and {other[place]} then"
            )
    return first


def _check_host(env: HostEnvironment) -> None:
    made = env.make_env()
    try:
        course, again = _course(env, made), _course(env, made)
    finally:
        made.close()
    if not np.array_equal(course, again):
        warnings.warn(
            f"{env.name} takes another course after a reset with the same seed, so that no run in "
            "it can be repeated: `reset(seed=...)` must seed all of its randomness",
            RuntimeWarning,
            stacklevel=3,
        )


def _course(env: HostEnvironment, made: gymnasium.Env) -> np.ndarray:
    """Observations, then rewards, of some steps after a reset with seed 0."""
    made.action_space.seed(0)
    seen, rewards = [made.reset(seed=0)[0]], []
    for _ in range(_STEPS):
        observation, reward, terminated, truncated, _ = made.step(made.action_space.sample())
        seen.append(observation)
        rewards.append(reward)
        if terminated or truncated:
            break
    for what, values, shape in (
        ("observations", seen, env.observation_space.shape),
        ("rewards", rewards, ()),
    ):
        for value in values:
            found = np.asarray(value)
            if found.shape != shape or found.dtype.kind not in "buif":
                raise ValueError(
                    f"env must give {what} that are numbers of shape {shape}. Received: "
                    f"env={env.name}, which gave {value!r:.200}"
                )
            if not np.isfinite(found).all():
                raise ValueError(
                    f"env must give {what} that are finite. Received: env={env.name}, which gave "
                    f"{value!r:.200} within {_STEPS} random steps"
                )
    return np.concatenate([np.ravel(x).astype(np.float64) for x in (*seen, *rewards)])


def _check(env: Environment) -> None:
    uniforms = tf.zeros([*_LEADING, env.num_uniforms])
    state = _call(env, "initial_state", env.initial_state, uniforms)
    _check_state(env, "initial_state", state)
    _check_observation(env, _call(env, "observe", env.observe, state))
    distribution = env.action_distribution
    action = tf.zeros([*_LEADING, *distribution.action_shape], distribution.action_dtype)
    step = _call(env, "transition", env.transition, state, action, uniforms)
    if not isinstance(step, tuple) or len(step) != 3 or hasattr(step, "_fields"):
        raise _wrong(env, "transition", "the next state, the reward and whether it is over", step)
    following, reward, terminated = step
    _check_state(env, "transition", following)
    for field, old, new in zip(state._fields, state, following, strict=True):
        if not _is(new, old.dtype, old.shape):
            raise _wrong(
                env,
                "transition",
                f"a state whose field {field} is what it was, {_text(old)}",
                _text(new),
            )
    if not _is(reward, tf.float32, _LEADING):
        raise _wrong(env, "transition", f"rewards float32 {list(_LEADING)}", _text(reward))
    if not _is(terminated, tf.bool, _LEADING):
        raise _wrong(env, "transition", f"terminated, bool {list(_LEADING)}", _text(terminated))
    _check_observation(env, _call(env, "observe", env.observe, following))


def _call(env: Environment, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except Exception as error:  # whatever the user's code raises
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ValueError(
            f"env.{name} must work on tensors with leading dimensions, here {list(_LEADING)}. "
            f"Received: env={env.name}, whose {name} raised {type(error).__name__}: {lines[0]:.300}"
        ) from error


def _check_state(env: Environment, name: str, state: Any) -> None:
    fields = getattr(state, "_fields", ())
    if "steps" not in fields:
        raise _wrong(env, name, "a state that is a NamedTuple with the field `steps`", state)
    for field, tensor in zip(fields, state, strict=True):
        if not tf.is_tensor(tensor) or tuple(tensor.shape[: len(_LEADING)]) != _LEADING:
            raise _wrong(
                env,
                name,
                f"a state whose field {field} is a tensor with the leading dimensions "
                f"{list(_LEADING)}",
                _text(tensor),
            )
    if not _is(state.steps, tf.int32, _LEADING):
        raise _wrong(env, name, f"`steps` as int32 {list(_LEADING)}", _text(state.steps))


def _check_observation(env: Environment, observation: Any) -> None:
    shape = (*_LEADING, *env.observation_shape)
    if not _is(observation, tf.float32, shape):
        raise _wrong(env, "observe", f"float32 {list(shape)}", _text(observation))


def _is(value: Any, dtype: tf.DType, shape: Any) -> bool:
    return tf.is_tensor(value) and value.dtype == dtype and tuple(value.shape) == tuple(shape)


def _text(value: Any) -> str:
    if tf.is_tensor(value):
        return f"{value.dtype.name} {list(value.shape)}"
    return f"{value!r:.100}"


def _wrong(env: Environment, name: str, rule: str, received: Any) -> ValueError:
    return ValueError(
        f"env.{name} must return {rule}, for leading dimensions {list(_LEADING)}. "
        f"Received: env={env.name}, whose {name} returned {received!s:.300}"
    )
