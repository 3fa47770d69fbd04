"""What is written from the cards: each model's `README.md`, and the index."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tf_equirl._files import write_text_atomically
from tf_equirl.publishing.card_page import card_to_markdown
from tf_equirl.publishing.changes import changing
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
        ValueError: If there is no card, or it breaks the rules of `validate_card`.
    """
    place = Path(path)
    card = read_json(place / CARD)
    _validate(card, place)
    write_text_atomically(place / README, card_to_markdown(card))
    return place / README


def write_index(folder: str | os.PathLike) -> Path:
    """Writes `index.json` anew from the cards and files of all models in a zoo's folder.

    What a killed `publish` left there is ended or removed before.

    Raises:
        ValueError: If a card is missing or breaks the rules of `validate_card`, is not named like
            its folder, or gives checksums that are not those of the files beside it; then nothing
            is written. Also if there is no such folder, or another process changes it all the time.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"`folder` must be the folder of a zoo. Received: folder={folder}")
    with changing(folder):
        write_text_atomically(folder / INDEX, index_of(folder))
    return folder / INDEX


def index_of(folder: Path, new: Path | None = None) -> str:
    """The text of the index of a zoo.

    Args:
        folder: The zoo.
        new: Folder of a model that is to come, or to come in place of the one of its name.

    Raises:
        ValueError: As `write_index` does.
    """
    places = {x.name: x for x in folder.iterdir() if x.is_dir() and not x.name.startswith(".")}
    if new is not None:
        places[new.name] = new
    models = {}
    for name, place in sorted(places.items()):
        card = read_json(place / CARD)
        _validate(card, place)
        if card["name"] != name or not NAME.fullmatch(name):
            raise ValueError(
                f"{place} must be called like its model. Received: name={card['name']!r}"
            )
        files = sorted(file for file in place.iterdir() if not file.name.startswith("."))
        if place / README not in files:
            raise ValueError(f"{place / README} must exist. Received: no such file")
        for file in sorted({*card["files"], *(f.name for f in files)} - set(NOT_IN_CARD)):
            check_file(place / file, (str(place / CARD), card["files"]))
        models[name] = {
            "description": card["description"],
            "environment": card["environment"]["name"],
            "type": type_of(card).text,
            "kind": main_kind(card),
            "files": {file.name: file_record(file) for file in files},
        }
    return json.dumps({"format": FORMAT, "models": models}, indent=2, sort_keys=True) + "\n"


def _validate(card: Any, place: Path) -> None:
    try:
        validate_card(card)
    except ValueError as error:
        raise ValueError(f"{place / CARD} must be a card: {error}") from error
