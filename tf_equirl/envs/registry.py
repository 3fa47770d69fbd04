"""Environments by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

import gymnasium

from tf_equirl._checks import instance, refuse, shown
from tf_equirl.envs.base import BaseEnvironment
from tf_equirl.envs.cartpole import CartPole
from tf_equirl.envs.catch import Catch
from tf_equirl.envs.environment import Environment
from tf_equirl.envs.host import HostEnvironment

_CONSTRUCTORS: dict[str, Callable[..., Environment]] = {"CartPole": CartPole, "Catch": Catch}


def make(environment: str | BaseEnvironment, **kwargs: Any) -> Any:
    """Makes an environment: an `Environment` or a `HostEnvironment`.

    Args:
        environment: A registered name; an id of gymnasium's, which makes a `HostEnvironment`; or an
            environment, which is returned as it is.
        **kwargs: Arguments of the environment's constructor.

    Raises:
        ValueError: If the name is unknown, the arguments are not the constructor's, or there are
            arguments for an environment that is made already.
    """
    if isinstance(environment, BaseEnvironment):
        if kwargs:
            raise ValueError(
                "An environment that is made already takes no further arguments. Received: "
                f"environment={environment!r}, kwargs={shown(kwargs)}"
            )
        return environment
    _check_name("environment", environment)
    if environment not in _CONSTRUCTORS:
        return HostEnvironment(environment, **kwargs)
    try:
        return _CONSTRUCTORS[environment](**kwargs)
    except TypeError as error:
        raise ValueError(
            f"`kwargs` must be arguments of {environment}: {error}. "
            f"Received: kwargs={shown(kwargs)}"
        ) from error


def environment_of(env: str | BaseEnvironment) -> Environment | HostEnvironment:
    """Returns what the argument `env` of another function stands for, as `make` does.

    Raises:
        ValueError: If it is neither an environment nor a name that `make` knows.
    """
    if not isinstance(env, (Environment, HostEnvironment)):
        _check_name("env", env)
    return make(env)


def tensor_environment_of(env: str | BaseEnvironment) -> Environment:
    """Returns what the argument `env` stands for where it must consist of functions of tensors.

    Raises:
        ValueError: If it does not.
    """
    found = environment_of(env)
    if not isinstance(found, Environment):
        raise ValueError(
            "`env` must be written in TensorFlow here (tf_equirl.envs.Environment), for a program "
            f"that contains it. Received: env={found.name}, which is stepped on the host"
        )
    return found


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
    if not isinstance(name, str) or not (name in _CONSTRUCTORS or _is_of_gymnasium(name)):
        raise ValueError(
            f"`{argument}` must be one of: {', '.join(names())}, or an id of gymnasium's."
            f"{_suggestion(name)} Received: {argument}={shown(name)}"
        )


def _is_of_gymnasium(name: str) -> bool:
    """Whether gymnasium knows an id, whose module ("module:id") is imported for it."""
    try:
        gymnasium.spec(name)
    except (gymnasium.error.Error, ImportError):
        return False
    return True


def _suggestion(name: object) -> str:
    by_folded_name = {known.casefold(): known for known in names()}
    near = difflib.get_close_matches(shown(name).strip("'").casefold(), by_folded_name)
    return f" Did you mean {' or '.join(by_folded_name[match] for match in near)}?" if near else ""
