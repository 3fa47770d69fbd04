"""Where hyperparameters are searched: the ranges that stand beside the fields of configs."""

from __future__ import annotations

import abc
import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tf_equirl._checks import number, refuse, shown

_SPACE = "search_space"
_MOST_VALUES = 10_000


class Space(abc.ABC):
    """The values that a hyperparameter may have, and how likely each is tried.

    Every space says of a number from 0 to 1 which value it stands for, so that samplers know no
    kinds of spaces.
    """

    @abc.abstractmethod
    def at(self, share: float) -> Any:
        """The value that stands at a share, from 0 to 1 (1 excluded), of the space."""

    @abc.abstractmethod
    def place(self, value: Any) -> float:
        """Where a value stands: for `Choice` its number, for others what axes are labelled by."""

    @abc.abstractmethod
    def to_json(self) -> dict[str, Any]:
        """The space as plain JSON types."""


@dataclasses.dataclass(frozen=True)
class Uniform(Space):
    """Numbers of a range, all equally likely.

    Attributes:
        low: The smallest.
        high: The largest.
    """

    low: float
    high: float

    def __post_init__(self):
        """Validates the range.

        Raises:
            ValueError: Unless low < high, both finite.
        """
        for field in ("low", "high"):
            value = number(field, getattr(self, field), "a finite number", math.isfinite)
            object.__setattr__(self, field, value)
        if not self.low < self.high:
            refuse("high", f"larger than low={self.low}", self.high)

    def at(self, share: float) -> float:
        """See `Space.at`."""
        return float(self.low + share * (self.high - self.low))

    def place(self, value: float) -> float:
        """See `Space.place`."""
        return float(value)

    def to_json(self) -> dict[str, Any]:
        """See `Space.to_json`."""
        return {"kind": "uniform", "low": self.low, "high": self.high}


@dataclasses.dataclass(frozen=True)
class LogUniform(Uniform):
    """Positive numbers of a range, their logarithms all equally likely."""

    def __post_init__(self):
        """Validates the range.

        Raises:
            ValueError: Unless 0 < low < high, both finite.
        """
        super().__post_init__()
        if self.low <= 0:
            refuse("low", "positive where logarithms are searched", self.low)

    def at(self, share: float) -> float:
        """See `Space.at`."""
        low, high = math.log(self.low), math.log(self.high)
        return math.exp(low + share * (high - low))

    def to_json(self) -> dict[str, Any]:
        """See `Space.to_json`."""
        return {**super().to_json(), "kind": "log-uniform"}


@dataclasses.dataclass(frozen=True)
class Choice(Space):
    """Some values, all equally likely.

    Attributes:
        values: None, booleans, numbers, texts, and tuples of these; at least one, each once, at
            most 10,000.
    """

    values: tuple[Any, ...]

    def __post_init__(self):
        """Validates the values.

        Raises:
            ValueError: If there is none, one stands there twice, or one is not plain.
        """
        rule = "a list of different plain values, at least one"
        if not isinstance(self.values, (list, tuple)) or len(self.values) > _MOST_VALUES:
            refuse("values", rule, self.values)
        values = tuple(as_tuple(value) for value in self.values)
        if not values or not all(map(_is_plain, values)):
            refuse("values", rule, self.values)
        if len({repr(value) for value in values}) < len(values):
            refuse("values", rule, self.values)
        object.__setattr__(self, "values", values)

    def at(self, share: float) -> Any:
        """See `Space.at`."""
        return self.values[int(share * len(self.values))]

    def place(self, value: Any) -> float:
        """See `Space.place`."""
        return float(self.values.index(value))

    def to_json(self) -> dict[str, Any]:
        """See `Space.to_json`."""
        return {"kind": "choice", "values": list(self.values)}


def as_tuple(value: Any) -> Any:
    """A list, as JSON gives back a tuple, as a tuple; everything else as it is."""
    return tuple(value) if isinstance(value, list) else value


def searched(default: Any, space: Space) -> Any:
    """A dataclass field with a default and the space in which it is searched."""
    return dataclasses.field(default=default, metadata={_SPACE: space})


def declared_spaces(config: Any) -> dict[str, Space]:
    """The spaces that stand beside the fields of a config, by the names that `flat` has.

    Args:
        config: A config, or one that is made of others, whose first part's fields keep their names.
    """
    spaces = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if _SPACE in field.metadata:
            spaces[field.name] = field.metadata[_SPACE]
        elif dataclasses.is_dataclass(value):
            for name, space in declared_spaces(value).items():
                spaces.setdefault(name if field.name == "agent" else f"{field.name}_{name}", space)
    return spaces


def draw(spaces: Mapping[str, Space], random: np.random.Generator) -> dict[str, Any]:
    """A value of each space."""
    return {name: space.at(random.random()) for name, space in spaces.items()}


def parse_space(name: str, text: str, declared: Space | None = None) -> Space:
    """A space as it is written on a command line.

    "1e-4..1e-2" is a range, of logarithms where the declared space is one of them; "0.9|0.95" are
    the values to choose from.

    Args:
        name: Of the hyperparameter, for messages.
        text: What is written.
        declared: The space that stands beside the field.

    Raises:
        ValueError: If it is neither, or breaks the rule of its kind.
    """
    if ".." in text:
        try:
            low, high = (float(part) for part in text.split(".."))
        except ValueError as error:
            raise ValueError(
                f"the space of {name} must be low..high or value|value. Received: {text}"
            ) from error
        kind = LogUniform if isinstance(declared, LogUniform) else Uniform
        return kind(low, high)
    return Choice(tuple(_value(part) for part in text.split("|")))


def space_from_json(fields: Mapping[str, Any]) -> Space:
    """The space that `to_json` described.

    Raises:
        ValueError: If there is none such.
    """
    kinds: dict[Any, Any] = {"uniform": Uniform, "log-uniform": LogUniform, "choice": Choice}
    arguments = dict(fields)
    kind = kinds.get(arguments.pop("kind", None))
    if kind is None or set(arguments) != {f.name for f in dataclasses.fields(kind)}:
        raise ValueError(f"a space must be one of {', '.join(kinds)}. Received: {shown(fields)}")
    return kind(**arguments)


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(not isinstance(v, (list, tuple)) and _is_plain(v) for v in value)
    real = isinstance(value, float) and math.isfinite(value)
    return value is None or isinstance(value, (bool, int, str)) or real


def _value(text: str) -> Any:
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
