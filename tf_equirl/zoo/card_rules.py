"""What the card of a model must say."""

from __future__ import annotations

import re
from typing import Any

from tf_equirl.zoo.card_types import POLICY, TRANSITION_MODEL, type_of
from tf_equirl.zoo.field_rules import (
    COMMAND,
    COUNT,
    LINE,
    NUMBER,
    OBJECT,
    SEED,
    SEEDS,
    SHAPE,
    SHAPES,
    SHARE,
    SIZE,
    SIZES,
    TEXT,
    TEXTS,
    WORD,
    Rule,
    each,
    is_printable,
    or_null,
    reject,
    validate,
)
from tf_equirl.zoo.records import FORMAT, check_depth, check_records

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_SUCCESS = "return of at least "

_NAME = Rule(
    "lower-case words joined by hyphens",
    lambda x: isinstance(x, str) and bool(NAME.fullmatch(x)),
)
_NETWORK: dict[str, Any] = {
    "kind": LINE,
    "class": LINE,
    "parameters": COUNT,
    "input_shape": SHAPE,
    "output_shape": SHAPE,
    "meaning": TEXT,
}
_TRAINING: dict[str, Any] = {
    "seeds": SEEDS,
    "kept_seed": SEED,
    "rule": TEXT,
    "command": COMMAND,
    "publish_command": COMMAND,
    "standard_error": or_null(SIZE),
    "num_seeds": COUNT,
    "git_commit": or_null(WORD),
    "versions": each(LINE),
}
_COMMON: dict[str, Any] = {
    "format": Rule(
        f"{FORMAT}, the only format known here", lambda x: COUNT.holds(x) and x == FORMAT
    ),
    "name": _NAME,
    "description": TEXT,
    "use": TEXT,
    "environment": {"name": WORD, "gymnasium_id": or_null(WORD), "config": OBJECT},
    "symmetry": {"group": LINE, "state": TEXT, "action": TEXT, "data": OBJECT},
    "config": OBJECT,
    "licence": LINE,
    "limits": TEXTS,
    "files": OBJECT,
}

_EPISODES: dict[str, Any] = {
    "episodes": COUNT,
    "seed": SEED,
    "mean": NUMBER,
    "standard_error": SIZE,
    "minimum": NUMBER,
    "maximum": NUMBER,
    "success_rate": SHARE,
    "success": Rule(
        f'a text "{_SUCCESS}<number>"',
        lambda x: (
            isinstance(x, str)
            and bool(re.fullmatch(_SUCCESS + r"-?[0-9]+(\.[0-9]+)?(e[+-][0-9]{1,3})?", x))
            and NUMBER.holds(float(x.removeprefix(_SUCCESS)))
        ),
    ),
}
_ERROR: dict[str, Any] = {"max": SIZE, "mean": SIZE}
_POLICY: dict[str, Any] = {
    **_COMMON,
    "networks": {"actor": _NETWORK, "critic": _NETWORK},
    "training": {**_TRAINING, "timesteps": COUNT, "mean_return": NUMBER},
    "evaluation": {"greedy": _EPISODES, "sampled": _EPISODES},
    "equivariance": {"actor": _ERROR, "critic": _ERROR, "states": COUNT},
}

_MEAN = Rule(
    "{mean, standard_error}, numbers of at least 0",
    lambda x: (
        isinstance(x, dict) and all(SIZE.holds(x.get(key)) for key in ("mean", "standard_error"))
    ),
)
_TRANSITION_MODEL: dict[str, Any] = {
    **_COMMON,
    "head": {"class": TEXT, "meaning": TEXT, "sizes": SHAPE, "metrics": TEXTS},
    "networks": {"transition": {**_NETWORK, "input_shape": SHAPES}},
    "data": {"meaning": TEXT, "transitions": COUNT, "provenance": OBJECT, "again": TEXT},
    "training": {**_TRAINING, "epochs": COUNT, "mean_error": SIZE, "mean_error_of": TEXT},
    "evaluation": {
        "meaning": TEXT,
        "transitions": COUNT,
        "seed": SEED,
        "metrics": each(_MEAN),
        "rollout": {"starts": COUNT, "meaning": TEXT, "errors": SIZES},
        "all_pairs": or_null(each(SIZE)),
    },
    "equivariance": {
        "pairs": COUNT,
        "meaning": TEXT,
        "share": SHARE,
        "mode_share": or_null(SHARE),
        **_ERROR,
    },
}
# Fields that younger cards have: of every network, and of the training.
_LAYERS = {"layers": TEXTS}
_MORE_OF_TRAINING = {"start_from": or_null(_NAME), "mean_return_of": TEXT}
_RULES = {POLICY.text: _POLICY, TRANSITION_MODEL.text: _TRANSITION_MODEL}


def validate_card(card: Any) -> None:
    """Checks that a card says all that it must, and nothing that contradicts itself.

    Fields beyond the required ones are allowed. What is required depends on the field `type`; a
    card without it is a policy's.

    Args:
        card: The parsed `card.json`.

    Raises:
        ValueError: Naming the first field that is missing or breaks its rule.
    """
    if not isinstance(card, dict):
        reject("card", "an object", card)
    check_depth(card, "the card")
    _check_texts(card)
    card_type = type_of(card)
    validate("", card, _RULES[card_type.text])
    training = card["training"]
    _validate_more("environment", card["environment"], {"recipe": OBJECT})
    for role in card_type.outputs:
        _validate_more(f"networks.{role}", card["networks"][role], _LAYERS)
    _validate_more("training", training, _MORE_OF_TRAINING)
    if training["kept_seed"] not in training["seeds"]:
        reject("training.kept_seed", "one of training.seeds", training["kept_seed"])
    if training["num_seeds"] != len(training["seeds"]):
        reject("training.num_seeds", "the number of training.seeds", training["num_seeds"])
    if training["standard_error"] is None and training["num_seeds"] > 1:
        reject("training.standard_error", "a number where there are several seeds", None)
    if card_type == POLICY:
        _check_episodes(card["evaluation"])
    elif list(card["evaluation"]["metrics"]) != card["head"]["metrics"]:
        metrics = list(card["evaluation"]["metrics"])
        reject("evaluation.metrics", f"of head.metrics, {card['head']['metrics']}", metrics)
    elif not {"pairs", *card["head"]["metrics"]} <= set(
        all_pairs := card["evaluation"]["all_pairs"] or ["pairs", *card["head"]["metrics"]]
    ):
        reject("evaluation.all_pairs", "null, or say how many `pairs`, and all metrics", all_pairs)
    check_records(card["files"], "the card's field `files`")
    for file in (*(f"{role}.keras" for role in card_type.outputs), "golden.npz"):
        if file not in card["files"]:
            reject("files", f"a list with {file} in it", sorted(card["files"]))


def success_return(scores: dict[str, Any]) -> float:
    """The return from which on an episode counts as a success, of a card's greedy or sampled."""
    return float(scores["success"].removeprefix(_SUCCESS))


def _validate_more(place: str, value: dict[str, Any], rules: dict[str, Rule]) -> None:
    """Checks the fields that are there."""
    validate(place, value, {name: rule for name, rule in rules.items() if name in value})


def _check_texts(card: dict[str, Any]) -> None:
    """Checks every text and name of a field, wherever in the card it stands."""
    waiting: list[Any] = [card]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str) and not is_printable(value):
            raise ValueError(
                "the card's texts must hold no control or invisible characters but line breaks. "
                f"Received: {ascii(value):.200}"
            )


def _check_episodes(evaluation: dict[str, Any]) -> None:
    for kind in ("greedy", "sampled"):
        scores = evaluation[kind]
        # A mean of equal floats may leave them by rounding.
        slack = 1e-6 * max(1.0, abs(scores["mean"]))
        if not scores["minimum"] - slack <= scores["mean"] <= scores["maximum"] + slack:
            reject(f"evaluation.{kind}.mean", "between minimum and maximum", scores["mean"])
