"""The folder of pretrained models: names, checked files, loading."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import keras

from tf_equirl.zoo.card_rules import NAME, validate_card
from tf_equirl.zoo.card_types import type_of
from tf_equirl.zoo.model_file import read_model
from tf_equirl.zoo.records import (
    CARD,
    FORMAT,
    INDEX,
    NEW,
    NOT_IN_CARD,
    PUBLISHING,
    check_file,
    check_records,
    parse_json,
    read_json,
)

Folder = str | os.PathLike | None
_T = TypeVar("_T")
_TRIES = 100  # of reading while others publish; one publication disturbs two or three


@dataclass(frozen=True, eq=False)
class ZooEntry:
    """A pretrained model: a policy with its critic, or a transition model.

    Attributes:
        name: Its name in the zoo.
        networks: Its networks by their role, `{"actor": ..., "critic": ...}` or
            `{"transition": ...}`.
        card: What is known about it, as `card.json` holds it.
        path: Its folder.
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
        ValueError: If there is none.
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
        folder: A zoo other than the one that comes with the package; so in every function here.

    Raises:
        ValueError: If there is no zoo, or its index is damaged.
    """
    return steadily(folder, lambda: sorted(_read_index(folder)[1]))


def path(name: str, folder: Folder = None) -> Path:
    """The folder of a model.

    Raises:
        ValueError: If the zoo has no model of this name (near names are suggested), or its folder
            is missing.
    """

    def read() -> Path:
        place = _find(name, folder)[0]
        if not place.is_dir():
            raise ValueError(f"{place} must exist, as {INDEX} lists it. Received: no such folder")
        return place

    return steadily(folder, read)


def card(name: str, folder: Folder = None) -> dict[str, Any]:
    """What is known about a model: the contents of its `card.json`.

    Raises:
        ValueError: For an unknown name, and if the card is missing, breaks the rules of
            `validate_card`, or has not the checksum that the index gives.
    """
    return steadily(folder, lambda: _read_card(*_find(name, folder)))


def load(name: str, folder: Folder = None, must_be: str | None = None) -> ZooEntry:
    """Loads a model, after checking the SHA-256 of every file that it reads.

    Args:
        name: Its name.
        folder: A zoo other than the one that comes with the package.
        must_be: "policy" or "transition model", where only one of them will do.

    Raises:
        ValueError: As `card` does, and if a file is missing, or its checksum is not the one in the
            index and in the card (the message names the file and both sums), or it holds no model;
            or if the model is not what it must be.

    Example:
        >>> from tf_equirl import zoo
        >>> entry = zoo.load("cartpole-ppo-gcnn")
        >>> entry.actor.output_shape, entry.critic.output_shape
        ((None, 2), (None, 1))
    """

    def read() -> ZooEntry:
        place, records = _find(name, folder)
        content = _read_card(place, records, must_be)
        roles = type_of(content).outputs
        networks = {role: _load_role(role, place, records, content) for role in roles}
        return ZooEntry(name, networks, content, place)

    return steadily(folder, read)


def load_model(
    name_or_path: str | os.PathLike, folder: Folder = None, must_be: str | None = None
) -> keras.Model:
    """The actor or the transition model of a zoo model, checked as `load` does, or the model of a
    `.keras` file.

    Args:
        name_or_path: A name in the zoo, or the path of a file that ends in `.keras`.
        folder: A zoo other than the one that comes with the package.
        must_be: As in `load`; files are taken as they are.

    Returns:
        The model, not compiled.

    Raises:
        ValueError: If it is neither, or the file is damaged or holds a Lambda layer; for a name, as
            `load` does.
    """
    text = os.fspath(name_or_path)
    if text.endswith(".keras") or os.path.basename(text) != text:
        return read_model(Path(text))

    def read() -> keras.Model:
        try:
            place, records = _find(text, folder)
        except ValueError as error:
            raise ValueError(
                f"no model in the zoo and no path of a .keras file: {error}"
            ) from error
        content = _read_card(place, records, must_be)
        return _load_role(next(iter(type_of(content).outputs)), place, records, content)

    return steadily(folder, read)


def verify(name: str, folder: Folder = None) -> dict[str, Any]:
    """Checks every file of a model: that it is there, its size and its SHA-256; loads none.

    Returns:
        The records of the files, `{file: {"sha256": ..., "bytes": ...}}`.

    Raises:
        ValueError: As `card` does, and naming the first file that is missing, is not the one that
            index and card describe, or that neither knows; hidden files do not count.
    """

    def read() -> dict[str, Any]:
        place, records = _find(name, folder)
        content = _read_card(place, records)
        for file in sorted({*records, *content["files"]}):
            checked_content(place / file, records, content)
        found = {file.name for file in place.iterdir() if not file.name.startswith(".")}
        unknown = sorted(found - set(records))
        if unknown:
            raise ValueError(
                f"{place} must hold only files that {INDEX} lists. Received: {unknown}"
            )
        return records

    return steadily(folder, read)


def steadily(folder: Folder, read: Callable[[], _T]) -> _T:
    """What `read` returns; it is called again where another process published meanwhile.

    Raises:
        ValueError: As `read` does of a zoo that nobody changes.
    """
    place = _place(folder)
    for _ in range(_TRIES):
        before = _state(place)
        try:
            return read()
        except (ValueError, OSError):
            if _state(place) == before:
                raise
    return read()


def checked_content(file: Path, records: dict[str, Any], content: dict[str, Any]) -> bytes:
    """What is in a file of a model, checked.

    Args:
        file: The file.
        records: Those of the index.
        content: The card.

    Raises:
        ValueError: If the file is not the one that both describe.
    """
    sources = [(INDEX, records), (CARD, content["files"])]
    return check_file(file, *sources[: 1 if file.name in NOT_IN_CARD else 2])


def _place(folder: Folder) -> Path:
    return default_folder() if folder is None else Path(folder)


def _state(place: Path) -> Any:
    """Something that publishing changes, at each of its steps that readers can notice."""
    found: list[Any] = []
    for file in (place / INDEX, place / PUBLISHING / INDEX):
        try:
            status = file.stat()
            found.append((status.st_ino, status.st_mtime_ns))
        except OSError:
            found.append(None)
    try:
        found.append(os.listdir(place / PUBLISHING / NEW))
    except OSError:
        found.append(None)
    return found


def _read_index(folder: Folder) -> tuple[Path, dict[str, Any]]:
    """The folder of the zoo, and the `models` of its index."""
    place = _place(folder)
    file = place / PUBLISHING / INDEX
    if not file.is_file():
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
            raise ValueError(f"{file} must describe {name}. Received: {name}={entry!r:.100}")
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
    new = place / PUBLISHING / NEW / name
    return new if new.is_dir() else place / name, models[name]["files"]


def _read_card(place: Path, records: dict[str, Any], must_be: str | None = None) -> dict[str, Any]:
    file = place / CARD
    content = parse_json(check_file(file, (INDEX, records)), file)
    try:
        validate_card(content)
    except ValueError as error:
        raise ValueError(f"{file} must be a card: {error}") from error
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


def _load_role(role: str, place: Path, records: dict, content: dict) -> keras.Model:
    file = place / f"{role}.keras"
    return read_model(file, checked_content(file, records, content))
