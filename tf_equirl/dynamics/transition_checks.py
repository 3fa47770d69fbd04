"""What arrays have to be to hold states of an environment."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import tensorflow as tf

from tf_equirl.envs import Environment


def example_state(env: Environment) -> Any:
    """One state, to know the fields of a state, their types and their shapes."""
    return env.initial_state(tf.zeros([1, env.num_uniforms]))


def plain(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration as JSON gives it back: lists for tuples."""
    return json.loads(json.dumps(config))


def describe(value: Any) -> str:
    """A few words about what was received."""
    if isinstance(value, np.ndarray):
        return f"an array {list(value.shape)} of {value.dtype}"
    return f"{type(value).__name__} {value!r:.80}"


def check_environment(env: Environment, environment: str, config: Any, name: str) -> None:
    """Checks that `environment` with `config` is `env`; else a ValueError says what differs."""
    if environment != env.name:
        raise ValueError(
            f"`{name}` must be of the environment {env.name}. Received: {name} of {environment}"
        )
    ours, theirs = plain(env.get_config()), plain(config)
    different = [k for k in sorted({*ours, *theirs}) if ours.get(k) != theirs.get(k)]
    if different:
        wanted, found = (
            ", ".join(f"{k}={have.get(k)!r}" for k in different) for have in (ours, theirs)
        )
        raise ValueError(
            f"`{name}` must be of the environment {env.name} with {wanted}. Received: {name} of "
            f"one with {found}"
        )


def check_fields(env: Environment, state: Any, name: str) -> Any:
    """Checks that `state` is a NamedTuple of the right fields; returns an example of one."""
    example = example_state(env)
    if getattr(state, "_fields", None) != example._fields:
        raise ValueError(
            f"`{name}` must be a {type(example).__name__} with the fields "
            f"{', '.join(example._fields)}. Received: {describe(state)}"
        )
    return example


def check_arrays(env: Environment, state: Any, length: int, name: str) -> None:
    """Checks that the fields are arrays of the right types, and of shapes that start [length]."""
    example = check_fields(env, state, name)
    for field, values, wanted in zip(example._fields, state, example, strict=True):
        shape, dtype = (length, *wanted.shape[1:]), np.dtype(wanted.dtype.as_numpy_dtype)
        if not isinstance(values, np.ndarray) or values.shape != shape or values.dtype != dtype:
            raise ValueError(
                f"`{name}.{field}` must be an array {list(shape)} of {dtype}: one row for each "
                f"action. Received: {describe(values)}"
            )


def converted(env: Environment, state: Any, name: str) -> Any:
    """The state as arrays of the environment's own types."""
    example, arrays = check_fields(env, state, name), []
    for field, values, wanted in zip(example._fields, state, example, strict=True):
        array, dtype = np.asarray(values), np.dtype(wanted.dtype.as_numpy_dtype)
        # Another precision will do; floats are no integers, whatever they are rounded to.
        if not np.can_cast(array.dtype, dtype, casting="same_kind"):
            raise ValueError(
                f"`{name}.{field}` must hold numbers of the kind of {dtype}. Received: "
                f"{describe(array)}"
            )
        arrays.append(array.astype(dtype))
    return type(example)(*arrays)
