"""Environments by name, and by the class of a module."""

from __future__ import annotations

import contextlib
import difflib
import functools
import importlib
import inspect
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import gymnasium

from tf_equirl._checks import cut, instance, refuse, shown
from tf_equirl.envs.base import BaseEnvironment
from tf_equirl.envs.cartpole import CartPole
from tf_equirl.envs.catch import Catch
from tf_equirl.envs.control.acrobot import Acrobot
from tf_equirl.envs.control.cartpole_swingup import CartPoleSwingup
from tf_equirl.envs.control.reacher import Reacher
from tf_equirl.envs.declared.declarations import declaration
from tf_equirl.envs.environment import Environment
from tf_equirl.envs.grid_world import GridWorld
from tf_equirl.envs.host import HOST_ARGUMENTS, HostEnvironment
from tf_equirl.envs.snake import Snake

_CONSTRUCTORS: dict[str, Callable[..., Environment]] = {
    "Acrobot": Acrobot,
    "CartPole": CartPole,
    "CartPoleSwingup": CartPoleSwingup,
    "Catch": Catch,
    "GridWorld": GridWorld,
    "Reacher": Reacher,
    "Snake": Snake,
}


def make(environment: str | BaseEnvironment, **kwargs: Any) -> Any:
    """Makes an environment: an `Environment` or a `HostEnvironment`.

    Args:
        environment: A registered name; an id of gymnasium's, which makes a `HostEnvironment`, with
            the `declared_symmetry` unless `symmetry` is given; or
            "module:Class", of a module that can be imported, from the current directory too, and
            the class of an environment, of ours or of gymnasium's, or a function that returns one;
            or an environment, which is returned as it is.
        **kwargs: Arguments of the environment's constructor.

    Raises:
        ValueError: If the name is unknown, there is no such module or class or it makes no
            environment, the arguments are not the constructor's, or there are arguments for an
            environment that is made already.
    """
    if isinstance(environment, BaseEnvironment):
        if kwargs:
            raise ValueError(
                "An environment that is made already takes no further arguments. Received: "
                f"environment={environment!r}, kwargs={shown(kwargs)}"
            )
        return environment
    return _make("environment", environment, kwargs)


def environment_of(env: str | BaseEnvironment) -> Environment | HostEnvironment:
    """Returns what the argument `env` of another function stands for, as `make` does.

    Raises:
        ValueError: If it is none.
    """
    if isinstance(env, (Environment, HostEnvironment)):
        return env
    return _make("env", env, {})


def recipe(env: BaseEnvironment) -> dict[str, Any] | None:
    """How `make` makes an environment again, in another process, of plain JSON types.

    Returns:
        `{"make": "my_module:Windy", "arguments": {"wind": 0.5}}`, arguments left out that are as by
        default; None where it cannot be said: of a class of the program itself or of a function,
        or with arguments that JSON does not have.
    """
    if isinstance(env, HostEnvironment) and env._recipe is not None:
        return _as_json(env._recipe)
    kind = type(env)
    name = next((n for n in names() if _CONSTRUCTORS[n] is kind), None)
    if name is None or not kind.__module__.startswith("tf_equirl."):
        name = f"{kind.__module__}:{kind.__qualname__}"
        found: Any = sys.modules.get(kind.__module__)
        for part in kind.__qualname__.split("."):
            found = getattr(found, part, None)
        if found is not kind or kind.__module__ == "__main__":
            return None
    arguments: dict[str, Any] = {}
    parameters = inspect.signature(kind.__init__).parameters
    for key, value in env._arguments.items():
        parameter = parameters[key]
        if parameter.kind is parameter.VAR_KEYWORD:
            arguments |= value
        elif parameter.kind is parameter.POSITIONAL_ONLY:
            return None
        elif parameter.kind is parameter.VAR_POSITIONAL:
            if value:
                return None
        elif value is not parameter.default:
            arguments[key] = value
    return _as_json({"make": name, "arguments": arguments})


def tensor_environment_of(env: str | BaseEnvironment) -> Environment:
    """Returns what the argument `env` stands for where a transition model or a table is made of it.

    Raises:
        ValueError: If it does not consist of functions of tensors, or its actions are no integers.
    """
    found = environment_of(env)
    if not isinstance(found, Environment):
        raise ValueError(
            "`env` must be written in TensorFlow here (tf_equirl.envs.Environment), for a program "
            f"that contains it. Received: env={found.name}, which is stepped on the host"
        )
    if found.action_bounds is not None:
        raise ValueError(
            "`env` must have discrete actions here. Received: "
            f"env={found.name}, whose actions are numbers of a box"
        )
    return found


def from_recipe(how: Any) -> Environment:
    """The environment that a `recipe` says how to make.

    Raises:
        ValueError: If it is none, or names something else than a registered name, an id, a class of
            environments, or a function of a module in the current directory: a file may say
            anything, and no other function is called for it.
    """
    if not isinstance(how, Mapping) or not isinstance(how.get("arguments"), Mapping):
        refuse("recipe", "a dict of `make` and `arguments`", how)
    name = how.get("make")
    if isinstance(name, str) and name not in _CONSTRUCTORS and _is_import(name):
        found = _imported("recipe", name)
        if not isinstance(found, type) and not _is_of_this_folder(found):
            refuse(
                "recipe", "of a class of environments, or a function of a module that is here", name
            )
    return _make("recipe", name, how["arguments"])


def _is_of_this_folder(function: Any) -> bool:
    """Whether a function is of a module in the current directory, and not of one installed."""
    try:
        file = Path(inspect.getfile(function)).resolve()
    except TypeError:  # one that is built in
        return False
    return file.is_relative_to(Path.cwd().resolve()) and "site-packages" not in file.parts


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


def _make(argument: str, name: object, kwargs: Mapping[str, Any]) -> Any:
    constructor: Callable[..., Any]
    of_host = {}
    if not isinstance(name, str) or name in _CONSTRUCTORS or not _is_import(name):
        _check_name(argument, name)
        name = str(name)
        if name not in _CONSTRUCTORS:
            return _of_gymnasium(name, kwargs)
        constructor = _CONSTRUCTORS[name]
    else:
        constructor = _imported(argument, name)
        if not (isinstance(constructor, type) and issubclass(constructor, BaseEnvironment)):
            of_host = {key: kwargs[key] for key in HOST_ARGUMENTS if key in kwargs}
    own = {key: value for key, value in kwargs.items() if key not in of_host}
    try:
        _check_arguments(constructor, own)
    except TypeError as error:
        raise ValueError(
            f"`kwargs` must be arguments of {name}: {error}. Received: kwargs={shown(kwargs)}"
        ) from error
    env = constructor(**own)
    if isinstance(env, gymnasium.Env):
        env.close()
        again = functools.partial(constructor, **own)
        made = HostEnvironment(again, name=name, **of_host)  # type: ignore[arg-type]
        made._recipe = {"make": name, "arguments": dict(kwargs)}
        return made
    if isinstance(env, HostEnvironment) and _is_import(name):  # with a symmetry, of a function
        env._recipe = {"make": name, "arguments": dict(kwargs)}
    if of_host or not isinstance(env, BaseEnvironment):
        rule = "an Environment of gymnasium's, for these arguments" if of_host else "an Environment"
        raise ValueError(
            f"`{argument}` must name what makes {rule}. Received: {argument}={shown(name)}, which "
            f"made {shown(env)}, kwargs={shown(kwargs)}"
        )
    return env


def _of_gymnasium(name: str, kwargs: Mapping[str, Any]) -> HostEnvironment:
    """An environment of an id, with the symmetry that is known of it unless one is given."""
    host = HostEnvironment(name, **kwargs)
    if "symmetry" not in kwargs:
        made = host.make_env()
        known = declaration(made)
        made.close()
        if known is not None and known.symmetry is not None:
            host = HostEnvironment(name, known.symmetry, **kwargs)
            host.acts = known.acts
    host._recipe = {"make": name, "arguments": dict(kwargs)}
    return host


def _as_json(value: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError):
        return None


def _is_import(name: str) -> bool:
    """Whether a name is "module:Class", and not an id such as "module:Id-v0"."""
    return ":" in name and re.search(r"/|-v\d+$", name) is None


def _check_arguments(constructor: Callable[..., Any], kwargs: Mapping[str, Any]) -> None:
    """Raises a TypeError, as a call would, unless these are arguments of the constructor."""
    initialise = getattr(constructor, "__init__")  # noqa: B009
    if not isinstance(constructor, type):
        inspect.signature(constructor).bind(**kwargs)
    elif initialise is not object.__init__:
        inspect.signature(initialise).bind(None, **kwargs)
    elif kwargs:  # which Python lets pass, as `Environment` has a `__new__`
        raise TypeError("its constructor takes no arguments")


def _imported(argument: str, name: str) -> Callable[..., Any]:
    """What "module:Class" names."""
    module_name, _, class_name = name.partition(":")
    received = f"Received: {argument}={shown(name)}"
    parts = [*module_name.split("."), *class_name.split(".")]
    if not all(part.isidentifier() for part in parts):
        raise ValueError(
            f'`{argument}` must be "module:Class", as in "my_module:Windy". {received}'
        )
    try:
        with _current_directory_first():
            found: Any = importlib.import_module(module_name)
    except Exception as error:  # whatever the module's code raises
        missing = isinstance(error, ModuleNotFoundError) and error.name is not None
        if missing and f"{module_name}.".startswith(f"{error.name}."):  # type: ignore[attr-defined]
            raise ValueError(
                f"`{argument}` must name a module that can be imported, from {os.getcwd()} or "
                f"sys.path. {received}, but there is no module {error.name!r}"  # type: ignore[attr-defined]
            ) from error
        raise ValueError(
            f"`{argument}` must name a module that can be imported. {received}, which raised "
            f"{type(error).__name__}: {cut(str(error), 300)}"
        ) from error
    for part in class_name.split("."):
        if not hasattr(found, part):
            known = [
                key
                for key, value in vars(found).items()
                if isinstance(value, type)
                and issubclass(value, (BaseEnvironment, gymnasium.Env))
                and not inspect.isabstract(value)
            ]
            raise ValueError(
                f"`{argument}` must name a class of the module {module_name}. {received}; its "
                f"environments are: {', '.join(known) or 'none'}"
            )
        found = getattr(found, part)
    kinds = (BaseEnvironment, gymnasium.Env)
    if not callable(found) or (isinstance(found, type) and not issubclass(found, kinds)):
        raise ValueError(
            f"`{argument}` must name a subclass of tf_equirl.envs.Environment or gymnasium.Env, or "
            f"a function that returns one. {received}, which is {shown(found)}"
        )
    if isinstance(found, type) and inspect.isabstract(found):
        functions = ", ".join(sorted(vars(found)["__abstractmethods__"]))
        raise ValueError(
            f"`{argument}` must name an environment that defines {functions}. {received}, which "
            "does not"
        )
    return found


@contextlib.contextmanager
def _current_directory_first() -> Iterator[None]:
    """As `python -m` has it; a console script does not."""
    folder = os.getcwd()
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        if folder in sys.path:  # the module may have changed it
            sys.path.remove(folder)


def _check_name(argument: str, name: object) -> None:
    if not isinstance(name, str) or not (name in _CONSTRUCTORS or _is_of_gymnasium(name)):
        raise ValueError(
            f"`{argument}` must be one of: {', '.join(names())}; an id of gymnasium's; "
            "module:Class of your own; or an environment, of one of gymnasium's "
            "envs.HostEnvironment(function that makes it, symmetry)."
            f"{_suggestion(name)} Received: {argument}={shown(name)}"
        )


def _is_of_gymnasium(name: str) -> bool:
    """Whether gymnasium knows an id, whose module ("module:id") is imported for it."""
    module, _, identifier = name.rpartition(":")
    try:
        if module:
            importlib.import_module(module)
        gymnasium.spec(identifier)
    except (gymnasium.error.Error, ImportError):
        return False
    return True


def _suggestion(name: object) -> str:
    by_folded_name = {known.casefold(): known for known in names()}
    near = difflib.get_close_matches(shown(name).strip("'").casefold(), by_folded_name)
    return f" Did you mean {' or '.join(by_folded_name[match] for match in near)}?" if near else ""
