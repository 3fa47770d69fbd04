"""The symmetry of a task: a group and how it acts on states and actions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tf_equirl._checks import instance, within
from tf_equirl.groups._checks import config_value
from tf_equirl.groups.group import FiniteGroup
from tf_equirl.groups.representation import Representation


@dataclass(frozen=True)
class Symmetry:
    """A group that acts on the states and the actions of a Markov decision process.

    The claim is that P(g s' | g s, g a) = P(s' | s, a) and R(g s, g a) = R(s, a) for every g in the
    group (van der Pol et al., MDP Homomorphic Networks, 2020, equations 4 and 5).

    Args:
        group: The group.
        state: How it acts on state vectors [d].
        action: How it acts on actions: a permutation representation for discrete actions, any
            representation for continuous ones.

    Raises:
        ValueError: If an argument has the wrong type, or a representation is of another group.
    """

    group: FiniteGroup
    state: Representation
    action: Representation

    def __post_init__(self) -> None:
        """Checks that both representations are of the group."""
        instance("group", self.group, FiniteGroup)
        for name, value in (("state", self.state), ("action", self.action)):
            instance(name, value, Representation)
            if value.group != self.group:
                raise ValueError(
                    f"`{name}` must be a representation of {self.group.name}, but it is one of "
                    f"{value.group.name}. Received: {name}={value!r}, group={self.group!r}"
                )

    def get_config(self) -> dict[str, Any]:
        """Returns plain JSON types."""
        return {
            "group": self.group.get_config(),
            "state": self.state.get_config(),
            "action": self.action.get_config(),
        }

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
        return cls(**parts)
