"""The state of a run between two calls: its tensors by path, and how runs are put together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tf_equirl.training.blocks import join_blocks
from tf_equirl.training.evaluations import Evaluations, joined
from tf_equirl.training.members import Member
from tf_equirl.training.result import Harm


class RunState(NamedTuple):
    """A run between two calls. Replaced as a whole, so that Ctrl-C finds it consistent.

    Attributes:
        states: The learner's, one for each block of seeds.
        done: Steps that are made by stage.
        reports: By stage what each call reported, `[steps, ..., members]` by name.
        seconds: Time by stage.
        evaluations: Greedy episodes of all members.
        harms: Members that became non-finite.
    """

    states: list[Any]
    done: dict[str, int]
    reports: dict[str, list[Mapping[str, np.ndarray]]]
    seconds: dict[str, float]
    evaluations: Evaluations
    harms: tuple[Harm, ...] = ()


def leaves(structure: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The tensors of a structure of tuples, lists and dicts, each with its path: "adam/first/0"."""
    if hasattr(structure, "_fields"):
        children: Iterable[tuple[Any, Any]] = zip(structure._fields, structure, strict=True)
    elif isinstance(structure, Mapping):
        children = structure.items()
    elif isinstance(structure, (tuple, list)):
        children = enumerate(structure)
    else:
        yield path, structure
        return
    for name, child in children:
        yield from leaves(child, f"{path}/{name}" if path else str(name))


def map_leaves(function: Callable[[Any], Any], structure: Any) -> Any:
    """`structure` with what the function makes of each tensor, called in the order of `leaves`."""
    if hasattr(structure, "_fields"):
        return type(structure)(*[map_leaves(function, child) for child in structure])
    if isinstance(structure, Mapping):
        return {name: map_leaves(function, child) for name, child in structure.items()}
    if isinstance(structure, (tuple, list)):
        return type(structure)(map_leaves(function, child) for child in structure)
    return function(structure)


def joined_state(
    parts: Sequence[Any],
    members: Sequence[Member],
    blocks: Sequence[Sequence[Member]],
    states: Sequence[Any],
) -> RunState:
    """The state of one run of all members, from those of runs of some of them that are as far.

    Args:
        parts: The `Run`s.
        members: All members, in the order that they are to have.
        blocks: The same, as they are trained side by side.
        states: The state of each block at its start, whose variables are used.
    """
    found = [member for part in parts for member in part.members]
    order = [found.index(member) for member in members]
    rows: dict[str, np.ndarray] = {}
    for path, _ in leaves(states[0]):
        of_parts = []
        for part in parts:
            of_blocks = [dict(leaves(state))[path].numpy() for state in part.state.states]
            split = [
                x.reshape(len(block), -1, *x.shape[1:])  # several models of a member
                for x, block in zip(of_blocks, part.blocks, strict=True)
            ]
            of_parts.append(join_blocks(split, len(part.members), axis=0))
        rows[path] = np.concatenate(of_parts)
    filled = []
    for block, like in zip(blocks, states, strict=True):
        places = [found.index(member) for member in block]
        names = iter(path for path, _ in leaves(like))

        def restored(tensor: Any, places: list[int] = places, names: Any = names) -> Any:
            x = rows[next(names)][places]
            array = x.reshape(-1, *x.shape[2:])
            if not isinstance(tensor, tf.Variable):
                return tf.constant(array)
            tensor.assign(array)
            return tensor

        filled.append(map_leaves(restored, like))
    first = parts[0].state
    histories = [part.history() for part in parts]
    reports = {
        stage: {
            name: np.concatenate([h[stage][name] for h in histories], axis=-1).take(order, axis=-1)
            for name in named
        }
        for stage, named in histories[0].items()
    }
    harms, offset = [], 0
    for part in parts:
        harms += [h._replace(column=order.index(offset + h.column)) for h in part.state.harms]
        offset += len(part.members)
    return RunState(
        filled,
        first.done,
        {stage: [reports[stage]] if stage in reports else [] for stage in first.done},
        {stage: sum(part.state.seconds[stage] for part in parts) for stage in first.done},
        joined([part.state.evaluations for part in parts]).of(order),
        tuple(harms),
    )
