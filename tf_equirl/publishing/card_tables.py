"""The benchmark tables of `docs/zoo.md`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tf_equirl._files import write_text_atomically
from tf_equirl.publishing.markdown import percent, rows, text, with_error
from tf_equirl.zoo.card_rules import validate_card
from tf_equirl.zoo.card_types import POLICY, TRANSITION_MODEL, type_of
from tf_equirl.zoo.records import README

_COMMAND = "`python -m launchers.zoo_models --write_table`"
TABLE_START = f"<!-- zoo table: start (written by {_COMMAND}) -->"
TABLE_END = "<!-- zoo table: end -->"
TRANSITION_TABLE_START = f"<!-- zoo table of transition models: start (written by {_COMMAND}) -->"
TRANSITION_TABLE_END = "<!-- zoo table of transition models: end -->"
_MARKERS = {
    POLICY.text: (TABLE_START, TABLE_END),
    TRANSITION_MODEL.text: (TRANSITION_TABLE_START, TRANSITION_TABLE_END),
}
_POLICY_HEADINGS = ["model", "environment", "actor", "critic", "parameters", "steps", "seeds"]
_POLICY_HEADINGS += ["all seeds", "greedy", "success", "sampled", "equivariance error", "size"]
_TRANSITION_HEADINGS = ["model", "environment", "kind", "parameters", "transitions", "epochs"]
_TRANSITION_HEADINGS += ["seeds", "all seeds", "error", "accuracy", "all pairs right"]
_TRANSITION_HEADINGS += ["steps ahead", "error there", "equivariant", "size"]


def table(cards: Iterable[dict[str, Any]], link: str | None = None, of: str = POLICY.text) -> str:
    """One of the two benchmark tables of `docs/zoo.md`, in Markdown.

    Args:
        cards: The cards, in the order of the rows.
        link: Path of the zoo relative to the page; if given, names link to the models' pages.
        of: Which of the cards have a row: "policy" or "transition model".

    Raises:
        ValueError: If a card breaks the rules of `validate_card`, or `of` is another text.
    """
    card_type = type_of({"type": of})
    headings, cells_of = (
        (_POLICY_HEADINGS, _policy_cells)
        if card_type == POLICY
        else (_TRANSITION_HEADINGS, _transition_cells)
    )
    cells = []
    for card in cards:
        validate_card(card)
        if type_of(card) == card_type:
            cells.append(
                [
                    f"[{card['name']}]({link}/{card['name']}/{README})" if link else card["name"],
                    text(card["environment"]["name"]),
                    *cells_of(card),
                    f"{sum(file['bytes'] for file in card['files'].values()) / 1000:,.0f} kB",
                ]
            )
    return rows(headings, cells) + "\n"


def write_table(page: str | os.PathLike, cards: Iterable[dict[str, Any]]) -> str:
    """Puts each benchmark table between its two markers in a Markdown page.

    Args:
        page: The page, in a folder beside the zoo's.
        cards: Of all models, in the order of the rows.

    Returns:
        The page's new text.

    Raises:
        ValueError: If the page is not there, or has not all markers, each once and in order.
    """
    file, cards = Path(page), list(cards)
    if not file.is_file():
        raise ValueError(f"`page` must be a file. Received: page={file}")
    content = file.read_text(encoding="utf-8")
    for of, (first, last) in _MARKERS.items():
        before, start, rest = content.partition(first)
        _, end, after = rest.partition(last)
        if not start or not end or first in rest or last in before + after:
            raise ValueError(
                f"`page` must have the lines {first} and {last}, once each. Received: page={file}"
            )
        content = f"{before}{start}\n\n{table(cards, '../zoo', of)}\n{end}{after}"
    write_text_atomically(file, content)
    return content


def _policy_cells(card: dict[str, Any]) -> list[str]:
    networks, training, scores = card["networks"], card["training"], card["evaluation"]
    return [
        text(networks["actor"]["kind"]),
        text(networks["critic"]["kind"]),
        " + ".join(f"{networks[role]['parameters']:,}" for role in ("actor", "critic")),
        f"{training['timesteps']:,}",
        str(training["num_seeds"]),
        with_error(training, "mean_return"),
        with_error(scores["greedy"]),
        percent(scores["greedy"]["success_rate"]),
        with_error(scores["sampled"]),
        f"{card['equivariance']['actor']['max']:.1e}",
    ]


def _transition_cells(card: dict[str, Any]) -> list[str]:
    network, training, scores = card["networks"]["transition"], card["training"], card["evaluation"]
    metrics, pairs, errors = scores["metrics"], scores["all_pairs"], scores["rollout"]["errors"]
    loss = card["head"]["metrics"][0]
    return [
        text(network["kind"]),
        f"{network['parameters']:,}",
        f"{card['data']['transitions']:,}",
        str(training["epochs"]),
        str(training["num_seeds"]),
        with_error(training, "mean_error"),
        f"{with_error(metrics[loss])} ({text(loss.replace('_', ' '))})",
        percent(metrics["accuracy"]["mean"]) if "accuracy" in metrics else "",
        percent(pairs["accuracy"]) if pairs and "accuracy" in pairs else "",
        str(len(errors)),
        f"{errors[-1]:.2g}",
        percent(card["equivariance"]["share"]),
    ]
