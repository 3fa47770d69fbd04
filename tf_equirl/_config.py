"""What the configurations of training runs share: validation of fields, and JSON."""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from tf_equirl.models.widths import check_hidden_units

_Config = TypeVar("_Config", bound="Config")


class Config:
    """Base class of frozen dataclasses whose fields are validated on construction.

    Every message names the field, the rule and the value.
    """

    def to_json(self) -> dict[str, Any]:
        """The fields as plain JSON types."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}  # type: ignore[arg-type]
        return {name: _plain(value) for name, value in fields.items()}

    @classmethod
    def from_json(cls: type[_Config], fields: Mapping[str, Any]) -> _Config:
        """The config that `to_json` described.

        Raises:
          ValueError: for a field that does not exist, or one that breaks its rule.
        """
        known = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
        unknown = sorted(set(fields) - known)
        if unknown:
            raise ValueError(f"fields must be those of {cls.__name__}. Received also: {unknown}")
        return cls(**fields)

    def _reject(self, field: str, rule: str) -> None:
        raise ValueError(f"{field} must be {rule}. Received: {field}={getattr(self, field)!r}")

    def _check_choice(self, field: str, choices: Sequence[str]) -> None:
        if getattr(self, field) not in choices:
            self._reject(field, f"one of {', '.join(choices)}")

    def _check_bool(self, field: str) -> None:
        if not isinstance(getattr(self, field), bool):
            self._reject(field, "True or False")

    def _check_integer(self, field: str) -> None:
        value = getattr(self, field)
        if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < 1:
            self._reject(field, "a positive integer")
        object.__setattr__(self, field, int(value))  # of a NumPy integer, too

    def _check_real(self, field: str, rule: str, holds: Callable[[float], bool]) -> None:
        value = getattr(self, field)
        real = isinstance(value, numbers.Real) and not isinstance(value, bool)
        if not real or not math.isfinite(value) or not holds(value):
            self._reject(field, rule)
        object.__setattr__(self, field, float(value))

    def _check_positive(self, *fields: str) -> None:
        for field in fields:
            self._check_real(field, "a positive number", lambda x: x > 0)

    def _check_adam(self) -> None:
        """Of the fields `learning_rate`, `adam_beta_1`, `adam_beta_2`, `adam_epsilon`."""
        self._check_positive("learning_rate", "adam_epsilon")
        for field in ("adam_beta_1", "adam_beta_2"):
            self._check_real(field, "a number from 0 to 1, 1 excluded", lambda x: 0 <= x < 1)

    def _check_hidden_units(self) -> None:
        units = getattr(self, "hidden_units")  # noqa: B009
        units = tuple(units) if isinstance(units, list) else units
        object.__setattr__(self, "hidden_units", check_hidden_units(units))


def _plain(value: Any) -> Any:
    if isinstance(value, Config):
        return value.to_json()
    return list(value) if isinstance(value, tuple) else value
