"""Environments by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

from tf_equirl._checks import instance, refuse, shown
from tf_equirl.envs.cartpole import CartPole
from tf_equirl.envs.catch import Catch
from tf_equirl.envs.environment import Environment

_CONSTRUCTORS: dict[str, Callable[..., Environment]] = {"CartPole": CartPole, "Catch": Catch}


def make(environment: str | Environment, **kwargs: Any) -> Environment:
    """Makes an environment.

    Args:
        environment: A registered name, or an environment, which is returned as it is.
        **kwargs: Arguments of the environment's constructor.

    Raises:
        ValueError: If the name is unknown, the arguments are not the constructor's, or there are
            arguments for an environment that is made already.
    """
    if isinstance(environment, Environment):
        if kwargs:
            raise ValueError(
                "An environment that is made already takes no further arguments. Received: "
                f"environment={environment!r}, kwargs={shown(kwargs)}"
            )
        return environment
    _check_name("environment", environment)
    try:
        return _CONSTRUCTORS[environment](**kwargs)
    except TypeError as error:
        raise ValueError(
            f"`kwargs` must be arguments of {environment}: {error}. "
            f"Received: kwargs={shown(kwargs)}"
        ) from error


def environment_of(env: str | Environment) -> Environment:
    """Returns what the argument `env` of another function stands for, as `make` does.

    Raises:
        ValueError: If it is neither an environment nor a registered name.
    """
    if not isinstance(env, Environment):
        _check_name("env", env)
    return make(env)


def names() -> list[str]:
    """Returns the names that `make` knows, sorted."""
    return sorted(_CONSTRUCTORS)


def register(name: str, constructor: Callable[..., Environment]) -> None:
    """Adds an environment of the user's own, so that `make` and the trainer know its name.

    Args:
        name: The name; must be free.
        constructor: Returns the environment; takes the keyword arguments of `make`.

    Raises:
        ValueError: If the name is no string or taken, or the constructor cannot be called.
    """
    instance("name", name, str, "a string")
    if name in _CONSTRUCTORS:
        raise ValueError(f"`name` must be free; it is registered already. Received: name={name!r}")
    if not callable(constructor):
        refuse("constructor", "callable", constructor)
    _CONSTRUCTORS[name] = constructor


def _check_name(argument: str, name: object) -> None:
    if not isinstance(name, str) or name not in _CONSTRUCTORS:
        raise ValueError(
            f"`{argument}` must be one of: {', '.join(names())}.{_suggestion(name)} "
            f"Received: {argument}={shown(name)}"
        )


def _suggestion(name: object) -> str:
    by_folded_name = {known.casefold(): known for known in names()}
    near = difflib.get_close_matches(shown(name).strip("'").casefold(), by_folded_name)
    return f" Did you mean {' or '.join(by_folded_name[match] for match in near)}?" if near else ""
