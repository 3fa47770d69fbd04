"""The folder of pretrained models: names, checked files, loading."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from tf_equirl.zoo.card_rules import NAME, validate_card
from tf_equirl.zoo.card_types import type_of
from tf_equirl.zoo.model_file import read_model
from tf_equirl.zoo.records import (
    CARD,
    FORMAT,
    INDEX,
    NOT_IN_CARD,
    check_file,
    check_records,
    read_json,
)

Folder = str | os.PathLike | None


@dataclass(frozen=True, eq=False)
class ZooEntry:
    """A pretrained model: a policy with its critic, or a transition model.

    Attributes:
      name: its name in the zoo.
      networks: its networks by their role, `{"actor": ..., "critic": ...}` or
        `{"transition": ...}`.
      card: what is known about it, as `card.json` holds it.
      path: its folder.
    """

    name: str
    networks: dict[str, keras.Model]
    card: dict[str, Any]
    path: Path

    @property
    def actor(self) -> keras.Model | None:
        """The policy network, observations `[batch, ...]` to logits `[batch, num_actions]`; None
        of a transition model.
        """
        return self.networks.get("actor")

    @property
    def critic(self) -> keras.Model | None:
        """The value network, observations `[batch, ...]` to values `[batch, 1]`; None of a
        transition model.
        """
        return self.networks.get("critic")

    @property
    def transition_model(self) -> keras.Model | None:
        """The transition model, called with a list of observations `[batch, ...]` and actions
        `[batch, d_action]`, one-hot where they are discrete; None of a policy.
        """
        return self.networks.get("transition")


def default_folder() -> Path:
    """The zoo that comes with the package: inside of it once installed, else beside it.

    Raises:
      ValueError: if there is none.
    """
    package = Path(__file__).parents[1]
    places = (package / "_zoo", package.parent / "zoo")
    for place in places:
        if (place / INDEX).is_file():
            return place
    raise ValueError(
        f"the zoo must be in {places[0]} (an installed package) or {places[1]} (a checkout). "
        f"Received: no {INDEX} in either"
    )


def names(folder: Folder = None) -> list[str]:
    """The names of all models, sorted.

    Args:
      folder: a zoo other than the one that comes with the package; so in every function here.

    Raises:
      ValueError: if there is no zoo, or its index is damaged.
    """
    return sorted(_read_index(folder)[1])


def path(name: str, folder: Folder = None) -> Path:
    """The folder of a model.

    Raises:
      ValueError: if the zoo has no model of this name (near names are suggested), or its folder
        is missing.
    """
    place = _find(name, folder)[0]
    if not place.is_dir():
        raise ValueError(f"{place} must exist, as {INDEX} lists it. Received: no such folder")
    return place


def card(name: str, folder: Folder = None) -> dict[str, Any]:
    """What is known about a model: the contents of its `card.json`.

    Raises:
      ValueError: for an unknown name, and if the card is missing, breaks the rules of
        `validate_card`, or has not the checksum that the index gives.
    """
    place, records = _find(name, folder)
    return _read_card(place, records)


def load(name: str, folder: Folder = None, must_be: str | None = None) -> ZooEntry:
    """Loads a model, after checking the SHA-256 of every file that it reads.

    Args:
      name: its name.
      folder: a zoo other than the one that comes with the package.
      must_be: "policy" or "transition model", where only one of them will do.

    Raises:
      ValueError: as `card` does, and if a file is missing, or its checksum is not the one in the
        index and in the card (the message names the file and both sums), or it holds no model; or
        if the model is not what it must be.

    Example:
      >>> from tf_equirl import zoo
      >>> entry = zoo.load("cartpole-ppo-gcnn")
      >>> entry.actor.output_shape, entry.critic.output_shape
      ((None, 2), (None, 1))
    """
    place, records = _find(name, folder)
    content = _read_card(place, records, must_be)
    roles = type_of(content).outputs
    networks = {role: _load_role(role, place, records, content) for role in roles}
    return ZooEntry(name, networks, content, place)


def load_model(
    name_or_path: str | os.PathLike, folder: Folder = None, must_be: str | None = None
) -> keras.Model:
    """The actor or the transition model of a zoo model, checked as `load` does, or the model of a
    `.keras` file.

    Args:
      name_or_path: a name in the zoo, or the path of a file that ends in `.keras`.
      folder: a zoo other than the one that comes with the package.
      must_be: as in `load`; files are taken as they are.

    Returns:
      The model, not compiled.

    Raises:
      ValueError: if it is neither, or the file is damaged or holds a Lambda layer; for a name, as
        `load` does.
    """
    text = os.fspath(name_or_path)
    if text.endswith(".keras") or os.path.basename(text) != text:
        return read_model(Path(text))
    try:
        place, records = _find(text, folder)
    except ValueError as error:
        raise ValueError(f"no model in the zoo and no path of a .keras file: {error}") from error
    content = _read_card(place, records, must_be)
    return _load_role(next(iter(type_of(content).outputs)), place, records, content)


def verify(name: str, folder: Folder = None) -> dict[str, Any]:
    """Checks every file of a model: that it is there, its size and its SHA-256; loads none.

    Returns:
      The records of the files, `{file: {"sha256": ..., "bytes": ...}}`.

    Raises:
      ValueError: as `card` does, and naming the first file that is missing, is not the one that
        index and card describe, or that neither knows; hidden files do not count.
    """
    place, records = _find(name, folder)
    content = _read_card(place, records)
    for file in sorted({*records, *content["files"]}):
        _check_file(place / file, records, content)
    found = {file.name for file in place.iterdir() if not file.name.startswith(".")}
    unknown = sorted(found - set(records))
    if unknown:
        raise ValueError(f"{place} must hold only files that {INDEX} lists. Received: {unknown}")
    return records


def _read_index(folder: Folder) -> tuple[Path, dict[str, Any]]:
    """The folder of the zoo, and the `models` of its index."""
    place = default_folder() if folder is None else Path(folder)
    file = place / INDEX
    index = read_json(file)
    models = index.get("models") if isinstance(index, dict) else None
    if not isinstance(models, dict) or index.get("format") != FORMAT:
        raise ValueError(
            f"{file} must be an index of format {FORMAT} with `models`. Received: {index!r:.100}"
        )
    for name, entry in models.items():
        if not NAME.fullmatch(name):
            raise ValueError(f"{file} must hold names such as my-model. Received: name={name!r}")
        if not isinstance(entry, dict):
            raise ValueError(f"{file} must describe {name}. Received: {name}={entry!r}")
        check_records(entry.get("files"), f"{file}, {name},")
    return place, models


def _find(name: str, folder: Folder) -> tuple[Path, dict[str, Any]]:
    """A model's folder and the index' records of its files."""
    place, models = _read_index(folder)
    # Nothing but the index' own names is ever joined to the folder: "../x" is an unknown name.
    if not isinstance(name, str) or name not in models:
        near = difflib.get_close_matches(str(name).casefold(), models)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(
            f"`name` must be one of: {', '.join(sorted(models))}.{hint} Received: name={name!r}"
        )
    return place / name, models[name]["files"]


def _read_card(place: Path, records: dict[str, Any], must_be: str | None = None) -> dict[str, Any]:
    check_file(place / CARD, records, INDEX)
    content = read_json(place / CARD)
    validate_card(content)
    if content["name"] != place.name:
        raise ValueError(
            f"{place / CARD} must be the card of {place.name}. Received: name={content['name']!r}"
        )
    found = type_of(content).text
    if must_be is not None and found != must_be:
        raise ValueError(
            f"`name` must be the name of a {must_be}. Received: name={place.name!r}, which is a "
            f"{found} for {content['environment']['name']}"
        )
    return content


def _check_file(file: Path, records: dict[str, Any], content: dict[str, Any]) -> None:
    check_file(file, records, INDEX)
    if file.name not in NOT_IN_CARD:
        check_file(file, content["files"], CARD)


def _load_role(role: str, place: Path, records: dict, content: dict) -> keras.Model:
    file = place / f"{role}.keras"
    _check_file(file, records, content)
    return read_model(file)
