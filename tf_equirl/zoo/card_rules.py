"""What the card of a model must say."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from tf_equirl.zoo.records import FORMAT, check_records

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_FILES = ("actor.keras", "critic.keras", "golden.npz")
_SUCCESS = "return of at least "


class _Rule(NamedTuple):
    """What a field must be, in words and as a function."""

    text: str
    holds: Callable[[Any], bool]


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    real = isinstance(value, (int, float)) and not isinstance(value, bool)
    return real and math.isfinite(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


_TEXT = _Rule("a text that is not empty", _is_text)
_COUNT = _Rule("a positive integer", lambda x: _is_integer(x) and x > 0)
_SEED = _Rule("an integer of at least 0", lambda x: _is_integer(x) and x >= 0)
_NUMBER = _Rule("a finite number", _is_number)
_SIZE = _Rule("a finite number of at least 0", lambda x: _is_number(x) and x >= 0)
_SHARE = _Rule("a number from 0 to 1", lambda x: _is_number(x) and 0 <= x <= 1)
_OBJECT = _Rule("an object that is not empty", lambda x: isinstance(x, dict) and bool(x))
_SHAPE = _Rule(
    "a list of positive integers",
    lambda x: isinstance(x, list) and bool(x) and all(_is_integer(n) and n > 0 for n in x),
)
_SEEDS = _Rule(
    "a list of different integers of at least 0",
    lambda x: (
        isinstance(x, list)
        and bool(x)
        and all(_is_integer(n) and n >= 0 for n in x)
        and len(set(x)) == len(x)
    ),
)
_TEXTS = _Rule(
    "a list of texts", lambda x: isinstance(x, list) and bool(x) and all(map(_is_text, x))
)

_NETWORK = {
    "kind": _TEXT,
    "class": _TEXT,
    "parameters": _COUNT,
    "input_shape": _SHAPE,
    "output_shape": _SHAPE,
    "meaning": _TEXT,
}
_EVALUATION = {
    "episodes": _COUNT,
    "seed": _SEED,
    "mean": _NUMBER,
    "standard_error": _SIZE,
    "minimum": _NUMBER,
    "maximum": _NUMBER,
    "success_rate": _SHARE,
    "success": _Rule(
        f'a text "{_SUCCESS}<number>"',
        lambda x: (
            isinstance(x, str) and bool(re.fullmatch(_SUCCESS + r"-?\d+(\.\d+)?(e[+-]\d+)?", x))
        ),
    ),
}
_ERROR = {"max": _SIZE, "mean": _SIZE}
_CARD = {
    "format": _Rule(
        f"{FORMAT}, the only format known here", lambda x: _is_integer(x) and x == FORMAT
    ),
    "name": _Rule(
        "lower-case words joined by hyphens",
        lambda x: isinstance(x, str) and bool(NAME.fullmatch(x)),
    ),
    "description": _TEXT,
    "use": _TEXT,
    "environment": {"name": _TEXT, "gymnasium_id": _TEXT, "config": _OBJECT},
    "symmetry": {"group": _TEXT, "state": _TEXT, "action": _TEXT, "data": _OBJECT},
    "networks": {"actor": _NETWORK, "critic": _NETWORK},
    "config": _OBJECT,
    "training": {
        "seeds": _SEEDS,
        "kept_seed": _SEED,
        "rule": _TEXT,
        "timesteps": _COUNT,
        "command": _TEXT,
        "publish_command": _TEXT,
        "mean_return": _NUMBER,
        "standard_error": _Rule(
            "a finite number of at least 0, or null", lambda x: x is None or _SIZE.holds(x)
        ),
        "num_seeds": _COUNT,
        "git_commit": _Rule("a text, or null", lambda x: x is None or _is_text(x)),
        "versions": _OBJECT,
    },
    "evaluation": {"greedy": _EVALUATION, "sampled": _EVALUATION},
    "equivariance": {"actor": _ERROR, "critic": _ERROR, "states": _COUNT},
    "licence": _TEXT,
    "limits": _TEXTS,
    "files": _OBJECT,
}


def validate_card(card: Any) -> None:
    """Checks that a card says all that it must, and nothing that contradicts itself.

    Fields beyond the required ones are allowed.

    Args:
      card: the parsed `card.json`.

    Raises:
      ValueError: naming the first field that is missing or breaks its rule.
    """
    _validate("", card, _CARD)
    training = card["training"]
    if training["kept_seed"] not in training["seeds"]:
        _reject("training.kept_seed", "one of training.seeds", training["kept_seed"])
    if training["num_seeds"] != len(training["seeds"]):
        _reject("training.num_seeds", "the number of training.seeds", training["num_seeds"])
    if training["standard_error"] is None and training["num_seeds"] > 1:
        _reject("training.standard_error", "a number where there are several seeds", None)
    for kind in ("greedy", "sampled"):
        scores = card["evaluation"][kind]
        # A mean of equal floats may leave them by rounding.
        slack = 1e-6 * max(1.0, abs(scores["mean"]))
        if not scores["minimum"] - slack <= scores["mean"] <= scores["maximum"] + slack:
            _reject(f"evaluation.{kind}.mean", "between minimum and maximum", scores["mean"])
    check_records(card["files"], "the card's field `files`")
    for file in _FILES:
        if file not in card["files"]:
            _reject("files", f"a list with {file} in it", sorted(card["files"]))


def success_return(scores: dict[str, Any]) -> float:
    """The return from which on an episode counts as a success, of a card's greedy or sampled."""
    return float(scores["success"].removeprefix(_SUCCESS))


def _validate(place: str, value: Any, rule: Any) -> None:
    if isinstance(rule, _Rule):
        if not rule.holds(value):
            _reject(place, rule.text, value)
        return
    if not isinstance(value, dict):
        _reject(place or "card", "an object", value)
    for name, inner in rule.items():
        field = f"{place}.{name}" if place else name
        if name not in value:
            raise ValueError(f"the card's field `{field}` must be there. Received: no such field")
        _validate(field, value[name], inner)


def _reject(field: str, rule: str, value: Any) -> None:
    raise ValueError(f"the card's field `{field}` must be {rule}. Received: {value!r:.200}")
