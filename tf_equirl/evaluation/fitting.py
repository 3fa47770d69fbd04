"""Which models act in which environments."""

from __future__ import annotations

from typing import Any

import keras

from tf_equirl import envs
from tf_equirl._checks import instance
from tf_equirl.envs import BaseEnvironment


def fitting_environment(model: keras.Model) -> BaseEnvironment:
    """The one registered environment that a model's shapes fit.

    Raises:
        ValueError: If it is no Keras model, or there is none or more than one; the message gives
            the shapes.
    """
    instance("model", model, keras.Model, "a Keras model")
    found = []
    for name in envs.names():
        try:
            env = envs.make(name)
        except ValueError:
            continue  # one of the user's, which cannot be made without arguments
        if _fits(model, env):
            found.append(env)
    if len(found) != 1:
        names = ", ".join(env.name for env in found) or "none"
        raise ValueError(
            "`model` must fit exactly one registered environment, or the environment must be "
            f"given. Fitting: {names}. Received: model={_describe(model)}"
        )
    return found[0]


def check_policy(model: Any, env: BaseEnvironment) -> None:
    """Checks that a model maps the environment's observations to what its actions are drawn by.

    Raises:
        ValueError: If it is no Keras model, or has other shapes.
    """
    instance("model", model, keras.Model, "a Keras model")
    distribution = env.action_distribution
    if not _fits(model, env):
        raise ValueError(
            f"`model` must map observations {(None, *env.observation_shape)} of {env.name} to "
            f"{distribution.outputs} {(None, distribution.num_parameters)}. Received: "
            f"model={_describe(model)}"
        )


def _fits(model: keras.Model, env: BaseEnvironment) -> bool:
    given = (_shape(model, "input_shape"), _shape(model, "output_shape"))
    wanted = ((None, *env.observation_shape), (None, env.action_distribution.num_parameters))
    # An axis of any length fits; the batch axis has to be one.
    return all(
        isinstance(have, tuple)
        and len(have) == len(want)
        and have[0] is None
        and all(h in (None, w) for h, w in zip(have[1:], want[1:], strict=True))
        for have, want in zip(given, wanted, strict=True)
    )


def _shape(model: keras.Model, attribute: str) -> Any:
    try:
        return getattr(model, attribute)
    except (AttributeError, ValueError):  # a subclassed model, or one that is not built
        return None


def _describe(model: keras.Model) -> str:
    shapes = f"{_shape(model, 'input_shape')} to {_shape(model, 'output_shape')}"
    return f"{type(model).__name__} '{model.name}', {shapes}"
