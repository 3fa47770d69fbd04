"""Changes of a zoo's folder: whole or not there, one at a time, whatever ends the process.

A model is made in a hidden folder. Renaming that to `.publishing` publishes it: from then on
readers take the model and the index from there, and whoever changes the zoo next puts both in their
places, should this process not live to do so.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from tf_equirl._files import locked, remove_partial
from tf_equirl.zoo.records import INDEX, NEW, PUBLISHING

SECONDS = 30.0
"""How long to wait for another process that changes the zoo, which takes it less than one."""
_OLD = "old"
_PREFIX = ".publish-"


@contextlib.contextmanager
def changing(zoo_dir: Path) -> Iterator[None]:
    """Keeps others from changing a zoo, after ending what killed processes began.

    Raises:
        ValueError: If another process changes the zoo all the time.
    """
    with locked(zoo_dir, "zoo_dir", SECONDS):
        _put_in_place(zoo_dir)
        for work in zoo_dir.glob(f"{_PREFIX}*"):
            # Those of living processes stay, and those that this user may not remove.
            with contextlib.suppress(OSError, ValueError):
                with locked(work, "zoo_dir"):
                    pass
                shutil.rmtree(work)
        for folder in (zoo_dir, *(card.parent for card in zoo_dir.glob("*/card.json"))):
            remove_partial(folder)
        yield


@contextlib.contextmanager
def new_model(zoo_dir: Path, name: str) -> Iterator[Path]:
    """An empty folder for a model, which nobody sees before `publish`, and which is gone after.

    Raises:
        ValueError: If another process changes the zoo all the time.
    """
    work = zoo_dir / f"{_PREFIX}{secrets.token_hex(8)}"
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, work, ignore_errors=True)
        with changing(zoo_dir):
            (work / NEW / name).mkdir(parents=True)
            stack.enter_context(locked(work, "zoo_dir"))  # it is of a living process
        yield work / NEW / name


def publish(place: Path, index: str) -> Path:
    """Puts a new model and its index into the zoo, in place of a model of the same name.

    To be called while `changing`. An interruption comes before it or after it.

    Args:
        place: The folder that `new_model` gave.
        index: The text of the index of the zoo with this model.

    Returns:
        The model's folder.
    """
    work, zoo_dir = place.parents[1], place.parents[2]
    (work / INDEX).write_text(index, encoding="utf-8")
    for file in (work / INDEX, *place.iterdir()):
        with file.open("rb") as stream:
            os.fsync(stream.fileno())
    try:
        work.rename(zoo_dir / PUBLISHING)
        _put_in_place(zoo_dir)
    except KeyboardInterrupt:
        _put_in_place(zoo_dir)
        raise
    return zoo_dir / place.name


def _put_in_place(zoo_dir: Path) -> None:
    """Ends a publication, from wherever it stopped."""
    pending = zoo_dir / PUBLISHING
    if not pending.is_dir():
        return
    if (pending / NEW).is_dir():
        for place in list((pending / NEW).iterdir()):
            published = zoo_dir / place.name
            if published.exists():
                published.rename(pending / _OLD)
            place.rename(published)
    if (pending / INDEX).is_file():
        (pending / INDEX).replace(zoo_dir / INDEX)
    shutil.rmtree(pending)
