"""The symmetry of a task: a group and how it acts on states and actions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tf_equirl._checks import instance, shown, within
from tf_equirl.groups._checks import config_value, element_index, real_array
from tf_equirl.groups.group import FiniteGroup
from tf_equirl.groups.representation import Representation


@dataclass(frozen=True)
class Symmetry:
    """A group that acts on the states and the actions of a Markov decision process.

    The claim is that P(g s' | g s, g a) = P(s' | s, a) and R(g s, g a) = R(s, a) for every g in the
    group (van der Pol et al., MDP Homomorphic Networks, 2020, equations 4 and 5). There g s is
    `c + rho(g) (s - c)`, where rho is `state` and c is `center`.

    Args:
        group: The group.
        state: How it acts on state vectors [d].
        action: How it acts on actions: a permutation representation for discrete actions, any
            representation for continuous ones.
        center: The state c [d] that every element leaves in place; None for the origin.

    Raises:
        ValueError: If an argument has the wrong type, a representation is of another group, or
            `center` is not d finite numbers.
    """

    group: FiniteGroup
    state: Representation
    action: Representation
    center: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        """Checks that both representations are of the group, and the center of its states."""
        instance("group", self.group, FiniteGroup)
        for name, value in (("state", self.state), ("action", self.action)):
            instance(name, value, Representation)
            if value.group != self.group:
                raise ValueError(
                    f"`{name}` must be a representation of {self.group.name}, but it is one of "
                    f"{value.group.name}. Received: {name}={value!r}, group={self.group!r}"
                )
        if self.center is not None:
            center = real_array("center", self.center, ndim=1)
            if len(center) != self.state.dim:
                raise ValueError(
                    f"`center` must have {self.state.dim} numbers, as a state has. "
                    f"Received: center={shown(self.center)}"
                )
            object.__setattr__(self, "center", tuple(center.tolist()))  # also of an array or list

    def move_states(self, element: int, states: ArrayLike) -> NDArray[Any]:
        """Returns g s = c + rho(g) (s - c) for every state s.

        Args:
            element: The index of g.
            states: [..., d] real.

        Returns:
            [..., d].

        Raises:
            ValueError: If there is no such element or the last axis is not of length d.
        """
        if self.center is None:
            return self.state.act(element, states)
        states = np.asarray(states)
        if states.shape[-1:] == (self.state.dim,):  # else `act` says so
            states = states - np.array(self.center)
        return self.state.act(element, states) + np.array(self.center)

    def move_actions(self, element: int, actions: ArrayLike) -> NDArray[Any]:
        """Returns g a for every action a.

        Args:
            element: The index of g.
            actions: [...] integers, the indices of discrete actions, or [..., k] floating-point
                numbers, the vectors of continuous ones.

        Returns:
            Actions of the same shape.

        Raises:
            ValueError: If there is no such element, discrete actions are none of the group's or it
                does not permute them, or the last axis of continuous ones is not of length k.
        """
        actions = np.asarray(actions)
        if actions.dtype.kind == "f":
            return self.action.act(element, actions)
        element = element_index("element", element, self.group.order)
        permutations, number = self.action.permutations, self.action.dim
        if permutations is None:
            raise ValueError(
                f"`action` must permute discrete actions. Received: action={self.action!r}"
            )
        if actions.dtype.kind not in "iu" or np.any((actions < 0) | (actions >= number)):
            raise ValueError(
                f"`actions` must be floating-point numbers, or integers from 0 to {number - 1}. "
                f"Received: actions={shown(actions.tolist())}"
            )
        return permutations[element][actions]

    def get_config(self) -> dict[str, Any]:
        """Returns plain JSON types."""
        config: dict[str, Any] = {
            "group": self.group.get_config(),
            "state": self.state.get_config(),
            "action": self.action.get_config(),
        }
        if self.center is not None:
            config["center"] = list(self.center)
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Symmetry:
        """Rebuilds, and validates again, a symmetry from `get_config()`.

        Raises:
            ValueError: If a part is missing or invalid.
        """
        kinds = {"group": FiniteGroup, "state": Representation, "action": Representation}
        parts: dict[str, Any] = {}
        for name, kind in kinds.items():
            part = config_value("Symmetry", config, name)
            with within(name):
                parts[name] = kind.from_config(part)  # type: ignore[attr-defined]
        return cls(**parts, center=config.get("center"))
