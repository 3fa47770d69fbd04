"""Validation that every part shares."""

from __future__ import annotations

import operator
from typing import Any


def positive_integer(name: str, value: Any) -> int:
    """Returns `value` as an int.

    Raises:
        ValueError: If it is not a positive integer; True is none.
    """
    try:
        number = 0 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = 0
    if number < 1:
        raise ValueError(f"`{name}` must be a positive integer. Received: {name}={value!r}")
    return number
