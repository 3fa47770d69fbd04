"""What is written from the cards: each model's `README.md`, and the index."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tf_equirl._files import write_text_atomically
from tf_equirl.publishing.card_page import card_to_markdown
from tf_equirl.zoo.card_rules import NAME, validate_card
from tf_equirl.zoo.card_types import main_kind, type_of
from tf_equirl.zoo.records import (
    CARD,
    FORMAT,
    INDEX,
    NOT_IN_CARD,
    README,
    check_file,
    file_record,
    read_json,
)


def write_readme(path: str | os.PathLike) -> Path:
    """Writes the `README.md` of a model's folder from its `card.json`.

    Raises:
      ValueError: if there is no card, or it breaks the rules of `validate_card`.
    """
    file = Path(path) / README
    write_text_atomically(file, card_to_markdown(read_json(Path(path) / CARD)))
    return file


def write_index(folder: str | os.PathLike) -> Path:
    """Writes `index.json` anew from the cards and files of all models in a zoo's folder.

    Raises:
      ValueError: if a card is missing or breaks the rules of `validate_card`, is not named like
        its folder, or gives checksums that are not those of the files beside it. Then nothing is
        written.
    """
    models = {}
    for place in sorted(Path(folder).iterdir()):
        if not place.is_dir() or place.name.startswith("."):
            continue
        card = read_json(place / CARD)
        validate_card(card)
        if card["name"] != place.name or not NAME.fullmatch(place.name):
            raise ValueError(
                f"{place} must be called like its model. Received: name={card['name']!r}"
            )
        files = sorted(file for file in place.iterdir() if not file.name.startswith("."))
        if place / README not in files:
            raise ValueError(f"{place / README} must exist. Received: no such file")
        for name in sorted({*card["files"], *(f.name for f in files)} - set(NOT_IN_CARD)):
            check_file(place / name, card["files"], str(place / CARD))
        models[place.name] = {
            "description": card["description"],
            "environment": card["environment"]["name"],
            "type": type_of(card).text,
            "kind": main_kind(card),
            "files": {file.name: file_record(file) for file in files},
        }
    index = Path(folder) / INDEX
    text = json.dumps({"format": FORMAT, "models": models}, indent=2, sort_keys=True)
    write_text_atomically(index, text + "\n")
    return index
