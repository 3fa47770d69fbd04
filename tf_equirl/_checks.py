"""Validation that every part shares.

A message names the argument, the rule and the value, and shows no more of a value than a line or
two: "`name` must be <rule>. Received: name=<value>". No check runs code of the value's own whose
errors would get through, nor work that grows with the value.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import numbers
import operator
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

MOST = 2**31 - 1
"""The largest integer that an argument may be, unless its docstring says otherwise: of 32 bits."""

LARGEST_SEED = 2**64 - 1
"""Of NumPy's generators, where an argument's seed is nothing else."""

LARGEST_UNITS = 2**20
"""Channels of one layer."""

LARGEST_BUDGET = 10**8
"""Parameters that a model may be asked to have."""

LARGEST_BATCH = 2**20
"""Environments that step side by side."""

LARGEST_SAMPLE = 10**8
"""Episodes, states or transitions that are asked for at once."""

_LONGEST = 400  # characters of a value in a message


class _Shown(reprlib.Repr):
    """`repr` that neither walks through long containers nor repeats long strings."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = self.maxfrozenset = 20
        self.maxstring = self.maxlong = self.maxother = _LONGEST // 2


_SHOWN = _Shown()


def shown(value: Any) -> str:
    """`repr(value)` in a few hundred characters; the type where it cannot be shown."""
    try:
        text = _SHOWN.repr(value)
    except Exception:  # whatever a class does in its `__repr__`; Python's own for 10**5000
        text = f"<{type(value).__name__}>"
    return cut(text, _LONGEST)


def cut(text: str, longest: int = 1500) -> str:
    """The beginning of a text; of somebody else's message, which may repeat a whole value."""
    return text if len(text) <= longest else f"{text[:longest]}..."


def refuse(name: str, rule: str, value: Any) -> NoReturn:
    """Raises the ValueError of an argument that is not what it must be.

    Args:
        name: Of the argument.
        rule: What it must be, to go on after "must be".
        value: What it is.

    Raises:
        ValueError: Always.
    """
    raise ValueError(f"`{name}` must be {rule}. Received: {name}={shown(value)}")


@contextlib.contextmanager
def within(name: str) -> Iterator[None]:
    """Within it, a ValueError about a part of an argument also names the argument."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"`{name}`: {cut(str(error))}") from error


def as_integer(value: Any) -> int | None:
    """`value` as an int where it is one, NumPy's too; None for True and False and all else."""
    if isinstance(value, (bool, np.bool_)):
        return None
    try:
        return operator.index(value)
    except Exception:  # a TypeError, mostly; tensors of one number raise their own
        return None


def integer(name: str, value: Any, least: int, most: int = MOST, rule: str = "") -> int:
    """Returns `value` as an int.

    Args:
        name: Of the argument.
        value: Its value.
        least: The least that it may be.
        most: The most.
        rule: What the message says that it must be, if not an integer of that range.

    Raises:
        ValueError: If it is no integer from `least` to `most`; True is none.
    """
    number = as_integer(value)
    if number is None or not least <= number <= most:
        refuse(name, rule or f"an integer from {least:,} to {most:,}", value)
    return number


def positive_integer(name: str, value: Any, most: int = MOST) -> int:
    """Returns `value` as an int.

    Raises:
        ValueError: If it is not a positive integer of at most `most`; True is none.
    """
    number = as_integer(value)
    # The bound concerns few, and is told to those.
    too_large = number is not None and number > most
    bound = f" of at most {most:,}" if too_large else ""
    return integer(name, value, 1, most, f"a positive integer{bound}")


def random_seed(value: Any, name: str = "seed") -> int:
    """Returns a seed as an int.

    Raises:
        ValueError: If it is not an integer in [0, 2^31).
    """
    return integer(name, value, 0, 2**31 - 1, "an integer in [0, 2^31)")


def number(
    name: str,
    value: Any,
    rule: str = "a positive number",
    holds: Callable[[float], bool] = lambda x: x > 0,
) -> float:
    """Returns `value` as a float.

    Raises:
        ValueError: If it is no real number, infinite or NaN, or the rule does not hold.
    """
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    try:
        converted = float(value) if real else math.nan
    except OverflowError:  # of an int
        converted = math.inf
    if not math.isfinite(converted) or not holds(converted):
        refuse(name, rule, value)
    return converted


def flag(name: str, value: Any) -> bool:
    """Returns `value` as a bool.

    Raises:
        ValueError: If it is neither True nor False; 1 is not.
    """
    if not isinstance(value, (bool, np.bool_)):
        refuse(name, "True or False", value)
    return bool(value)


def one_of(name: str, value: Any, choices: Iterable[str]) -> str:
    """Returns `value`.

    Raises:
        ValueError: If it is none of the strings `choices`.
    """
    choices = tuple(choices)
    if not isinstance(value, str) or value not in choices:
        refuse(name, f"one of {', '.join(choices)}", value)
    return value


def optional_text(name: str, value: Any) -> str | None:
    """Returns `value`, a name that may be left out.

    Raises:
        ValueError: If it is neither a string nor None.
    """
    if value is not None and not isinstance(value, str):
        refuse(name, "a string or None", value)
    return value


def instance(name: str, value: Any, kind: type, rule: str = "") -> Any:
    """Returns `value`.

    Raises:
        ValueError: If it is no `kind`.
    """
    if not isinstance(value, kind):
        refuse(name, rule or f"a {kind.__name__}", value)
    return value


def integers(
    name: str, value: Any, rule: str, *, least: int, most: int, most_items: int
) -> tuple[int, ...]:
    """Returns the items of any iterable as ints.

    Args:
        name: Of the argument.
        value: Its value.
        rule: What the message says that it must be.
        least: The least that an item may be.
        most: The most.
        most_items: How many there may be; more are not looked at, an iterator may be endless.

    Raises:
        ValueError: If it is no such iterable, or empty.
    """
    items: Sequence[Any] = []
    if not isinstance(value, (bytes, bytearray, Mapping)):  # of integers, but not meant as such
        with contextlib.suppress(Exception):  # no iterable; or whatever its code does
            items = list(itertools.islice(iter(value), most_items + 1))
    found = [as_integer(item) for item in items]
    if not 0 < len(found) <= most_items or any(x is None or not least <= x <= most for x in found):
        refuse(name, rule, value)
    return tuple(x for x in found if x is not None)
