"""Rules for single fields of a card, and their check."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

_WORD = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")


class Rule(NamedTuple):
    """What a field must be, in words and as a function."""

    text: str
    holds: Callable[[Any], bool]


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def _is_number(value: Any) -> bool:
    return _is_integer(value) or (isinstance(value, float) and math.isfinite(value))


def is_text(value: Any) -> bool:
    """Whether it is a text that says something, without control or invisible characters."""
    return is_printable(value) and bool(value.strip())


def is_printable(value: Any) -> bool:
    """Whether it is a text without control or invisible characters, but for line breaks."""
    return isinstance(value, str) and value.replace("\n", " ").isprintable()


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and bool(value)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and bool(value)


TEXT = Rule("a text that is not empty, without control characters", is_text)
LINE = Rule("a line of text", lambda x: is_text(x) and "\n" not in x)
# No quotes, no spaces but between words, and nothing else that a shell or Python would obey.
WORD = Rule(
    "a word of letters, digits and _ @ % + = : , . / -",
    lambda x: isinstance(x, str) and bool(_WORD.fullmatch(x)),
)
COMMAND = Rule(
    f"words as one types them in a shell, each {WORD.text}",
    lambda x: isinstance(x, str) and all(map(WORD.holds, x.split(" "))),
)
COUNT = Rule("a positive integer", lambda x: _is_integer(x) and x > 0)
SEED = Rule("an integer of at least 0", lambda x: _is_integer(x) and x >= 0)
NUMBER = Rule("a finite number", _is_number)
SIZE = Rule("a finite number of at least 0", lambda x: _is_number(x) and x >= 0)
SHARE = Rule("a number from 0 to 1", lambda x: _is_number(x) and 0 <= x <= 1)
OBJECT = Rule("an object that is not empty", _is_object)
SHAPE = Rule("a list of positive integers", lambda x: _is_list(x) and all(map(COUNT.holds, x)))
SHAPES = Rule(
    "a list of lists of positive integers", lambda x: _is_list(x) and all(map(SHAPE.holds, x))
)
SEEDS = Rule(
    "a list of different integers of at least 0",
    lambda x: _is_list(x) and all(map(SEED.holds, x)) and len(set(x)) == len(x),
)
TEXTS = Rule("a list of texts", lambda x: _is_list(x) and all(map(is_text, x)))
SIZES = Rule(
    "a list of finite numbers of at least 0", lambda x: _is_list(x) and all(map(SIZE.holds, x))
)


def or_null(rule: Rule) -> Rule:
    """The same rule, for a field that may be null."""
    return Rule(f"{rule.text}, or null", lambda x: x is None or rule.holds(x))


def each(rule: Rule) -> Rule:
    """An object whose fields, of any names, all obey a rule."""
    return Rule(
        f"an object that is not empty, every field {rule.text}",
        lambda x: _is_object(x) and all(map(rule.holds, x.values())),
    )


def validate(place: str, value: Any, rule: Any) -> None:
    """Checks a field, and those inside of it.

    Args:
        place: The field's name, "" for the whole card.
        value: What stands there.
        rule: A `Rule`, or a dictionary of rules for the fields of an object.

    Raises:
        ValueError: Naming the first field that is missing or breaks its rule.
    """
    if isinstance(rule, Rule):
        if not rule.holds(value):
            reject(place, rule.text, value)
        return
    if not isinstance(value, dict):
        reject(place or "card", "an object", value)
    for name, inner in rule.items():
        field = f"{place}.{name}" if place else name
        if name not in value:
            raise ValueError(f"the card's field `{field}` must be there. Received: no such field")
        validate(field, value[name], inner)


def reject(field: str, rule: str, value: Any) -> NoReturn:
    """Raises the ValueError of a field that is not as the rule says."""
    raise ValueError(f"the card's field `{field}` must be {rule}. Received: {value!r:.200}")
