"""Transitions of an environment, to learn its dynamics from."""

from __future__ import annotations

import dataclasses
import json
import os
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tf_equirl._checks import instance
from tf_equirl._files import write_atomically
from tf_equirl.dynamics.transition_checks import (
    check_arrays,
    check_environment,
    converted,
    describe,
    example_state,
    plain,
)
from tf_equirl.envs import Environment

_FORMAT = 1
# What reading a file that was cut, altered or is of another kind may raise.
_DAMAGED = (OSError, EOFError, ValueError, NotImplementedError, zipfile.BadZipFile, zlib.error)


@dataclasses.dataclass(frozen=True, eq=False)
class Transitions:
    """A dataset of transitions (s, a, s'), kept on the host.

    s' is the *true* next state of s: also where an episode ends there, by termination or by the
    time limit, it is the state that the dynamics leads to and never the first one of the next
    episode.

    Arrays of one's own become a dataset with `from_arrays`:

        env = envs.make("CartPole")
        data = Transitions.from_arrays(
            env,
            state=env.state_from_observation(tf.constant(observations)),  # or a CartPoleState
            action=actions,  # [N] integers
            next_state=env.state_from_observation(tf.constant(next_observations)),
            provenance={"source": "logged by the real cart, May to July"},
        )

    Attributes:
        environment: Name of the environment.
        environment_config: Its `get_config()`.
        state: The environment's state type, of arrays that start with [N].
        action: [N] int32.
        next_state: As `state`.
        provenance: How the data were made, as plain JSON types.
    """

    environment: str
    environment_config: dict[str, Any]
    state: Any
    action: NDArray[np.int32]
    next_state: Any
    provenance: dict[str, Any]

    @classmethod
    def from_arrays(
        cls,
        env: Environment,
        state: Any,
        action: ArrayLike,
        next_state: Any,
        provenance: dict[str, Any] | None = None,
    ) -> Transitions:
        """A dataset of one's own arrays, checked as `validate` does.

        Args:
            env: The environment that they are of.
            state: The environment's state type, of arrays or tensors that start with [N]. Their
                precision is made the environment's.
            action: [N] integers.
            next_state: As `state`: the true next states.
            provenance: How the data were made, as plain JSON types.

        Raises:
            ValueError: If they are no transitions of this environment.
        """
        try:
            provenance = plain(dict(provenance or {}))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"`provenance` must be a dict of plain JSON types: {error}. Received: "
                f"provenance={provenance!r}"
            ) from error
        actions = np.asarray(action)
        if np.issubdtype(actions.dtype, np.integer):
            actions = env.validate_actions(actions, actions.shape).astype(np.int32)
        data = cls(
            environment=env.name,
            environment_config=env.get_config(),
            state=converted(env, state, "data.state"),
            action=actions,
            next_state=converted(env, next_state, "data.next_state"),
            provenance=provenance,
        )
        data.validate(env)
        return data

    def __len__(self) -> int:
        """The number of transitions."""
        return len(self.action)

    def take(self, rows: Any) -> Transitions:
        """The transitions of some rows: what indexes an array, such as a slice, numbers, a mask."""
        indices = np.atleast_1d(np.arange(len(self))[rows])
        return dataclasses.replace(
            self,
            state=_map(lambda x: x[indices], self.state),
            action=self.action[indices],
            next_state=_map(lambda x: x[indices], self.next_state),
            provenance={"made_by": "take", "num_transitions": len(indices), "of": self.provenance},
        )

    def only_actions(self, actions: Iterable[int]) -> Transitions:
        """The transitions with one of these actions, in their order."""
        kept = [int(action) for action in actions]
        found = self.take(np.isin(self.action, kept))
        how = {"made_by": "only_actions", "actions": kept, "num_transitions": len(found)}
        return dataclasses.replace(found, provenance={**how, "of": self.provenance})

    def validate(self, env: Environment, name: str = "data") -> None:
        """Checks that these are transitions of an environment.

        Args:
            env: The environment.
            name: What messages call the dataset.

        Raises:
            ValueError: If they are of another environment or of another configuration of it, there
                are none, fields are missing or have other types, shapes or lengths, a number is NaN
                or infinite, a state is impossible (`Environment.validate_states`), or an action is
                no integer in 0 .. num_actions - 1. The message says which.
        """
        check_environment(env, self.environment, self.environment_config, name)
        action = self.action
        if np.shape(action) == (0,):
            raise ValueError(f"`{name}` must hold at least one transition. Received: none")
        if not isinstance(action, np.ndarray) or action.dtype != np.int32 or action.ndim != 1:
            raise ValueError(
                f"`{name}.action` must be an array [N] of int32. Received: {describe(action)}"
            )
        wrong = (action < 0) | (action >= env.num_actions)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise ValueError(
                f"`{name}.action` of {env.name} must hold integers from 0 to "
                f"{env.num_actions - 1}. Received: {action[row]} in row {row}"
            )
        for part, state in (("state", self.state), ("next_state", self.next_state)):
            check_arrays(env, state, len(action), f"{name}.{part}")
            env.validate_states(state, f"{name}.{part}")

    def save(self, path: str | os.PathLike) -> None:
        """Writes everything, the provenance too, into one file; whole or not at all.

        Args:
            path: A name that ends in `.npz`; folders are made where they are missing.

        Raises:
            ValueError: If the name has another ending.
        """
        file = Path(path)
        if file.suffix != ".npz":
            raise ValueError(f"`path` must end in .npz. Received: path={str(path)!r}")
        header = {
            "format": _FORMAT,
            "environment": self.environment,
            "environment_config": self.environment_config,
            "provenance": self.provenance,
        }
        arrays = {"header": np.array(json.dumps(header)), "action": self.action}
        for part, state in (("state", self.state), ("next_state", self.next_state)):
            arrays.update({f"{part}.{field}": x for field, x in state._asdict().items()})
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, lambda stream: np.savez_compressed(stream, **cast(Any, arrays)))

    @classmethod
    def load(cls, path: str | os.PathLike, env: Environment) -> Transitions:
        """Reads what `save` wrote.

        Args:
            path: The file.
            env: The environment that the transitions are of.

        Raises:
            ValueError: If there is no such file, it is damaged or something else, or `validate`
                refuses what it holds.
        """
        file = Path(path)
        must = "`path` must be a file that `Transitions.save` wrote for this environment"
        try:
            header, arrays = _read(file)
            # First of all: another environment's states have other fields.
            check_environment(env, header["environment"], header["environment_config"], "data")
            state_type = type(example_state(env))
            state, next_state = (
                state_type(**{f: arrays[f"{part}.{f}"] for f in state_type._fields})
                for part in ("state", "next_state")
            )
            data = cls(action=arrays["action"], state=state, next_state=next_state, **header)
            data.validate(env)
        except KeyError as error:
            raise ValueError(f"{must}. Received: path={str(file)!r}, without {error}") from error
        except _DAMAGED as error:
            raise ValueError(f"{must}: {error} Received: path={str(file)!r}") from error
        return data


def join(parts: Iterable[Transitions]) -> Transitions:
    """The transitions of several datasets of one environment, one after the other.

    Raises:
        ValueError: If there is no dataset, or they are not of the same environment.
    """
    parts = list(parts)
    if not parts:
        raise ValueError(f"`parts` must hold at least one dataset. Received: parts={parts!r}")
    kinds = [(part.environment, plain(part.environment_config)) for part in parts]
    for kind in kinds:
        if kind != kinds[0]:
            raise ValueError(
                f"`parts` must be of the same environment. Received: {kinds[0]} and {kind}"
            )
    return dataclasses.replace(
        parts[0],
        state=_map(lambda *x: np.concatenate(x), *[part.state for part in parts]),
        action=np.concatenate([part.action for part in parts]),
        next_state=_map(lambda *x: np.concatenate(x), *[part.next_state for part in parts]),
        provenance={"made_by": "join", "parts": [part.provenance for part in parts]},
    )


def check_transitions(name: str, data: Any, env: Any) -> None:
    """Checks an argument that holds transitions, and the argument `env`.

    Raises:
        ValueError: If `env` is no environment, `data` is no `Transitions`, or see
            `Transitions.validate`.
    """
    instance("env", env, Environment, "an Environment")
    instance(name, data, Transitions).validate(env, name)


def _map(function: Callable[..., Any], *states: Any) -> Any:
    """Applies a function to the fields of states."""
    return type(states[0])(*[function(*values) for values in zip(*states, strict=True)])


def _read(file: Path) -> tuple[dict[str, Any], dict[str, NDArray]]:
    """The header, without the number of its format, and the arrays of a file."""
    if file.is_file() and not zipfile.is_zipfile(file):
        raise ValueError("it is no .npz file, or a damaged one.")
    with np.load(file, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    header = json.loads(str(arrays.pop("header")))
    types = {"format": int, "environment": str, "environment_config": dict, "provenance": dict}
    if (
        not isinstance(header, dict)
        or {key: type(value) for key, value in header.items()} != types
        or header.pop("format") != _FORMAT
    ):
        raise ValueError(f"its header must be of format {_FORMAT}.")
    return header, arrays
