"""Validation shared by groups and environments."""

from __future__ import annotations

import operator
from typing import Any


def positive_integer(name: str, value: Any) -> int:
    """Returns `value` as an int.

    Raises:
        ValueError: If it is not a positive integer.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number < 1:
        raise ValueError(f"`{name}` must be a positive integer. Received: {name}={value!r}")
    return number
