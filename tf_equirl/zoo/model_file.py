"""Reading one `.keras` file without running code from it."""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

import keras


def read_model(file: Path) -> keras.Model:
    """The model of a `.keras` file, not compiled.

    Raises:
      ValueError: if there is no such file, it is damaged, holds a Lambda layer, a layer that is not
        registered with Keras, or something of Keras that is newer than the installed version.
    """
    if file.suffix != ".keras" or not file.is_file():
        raise ValueError(f"a model must be a .keras file that exists. Received: {file}")
    try:
        with zipfile.ZipFile(file) as archive:
            damaged = archive.testzip()
            config = json.loads(archive.read("config.json"))
            written_by = str(json.loads(archive.read("metadata.json"))["keras_version"])
    except (zipfile.BadZipFile, zlib.error, OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{file} must be a whole .keras file. Received: {error}") from error
    if damaged is not None:
        raise ValueError(f"{file} must be a whole .keras file. Received: damaged in {damaged}")
    # Keras' safe mode refuses Lambda layers with code, but not those that name a known function.
    if _holds_lambda(config):
        raise ValueError(f"{file} must hold no Lambda layer, as those carry code. Received: one")
    try:
        return keras.models.load_model(file, compile=False, safe_mode=True)
    except Exception as error:  # of many types, depending on what is wrong
        if _version(written_by) > _version(keras.__version__) and not _holds_unregistered(config):
            raise ValueError(
                f"{file} holds something that only a newer Keras knows: Keras {written_by} wrote "
                f"it, and it needs that version or a later one. Received: Keras {keras.__version__}"
            ) from error
        # Keras says the reason last, after the configs of all that it is nested in.
        reason = str(error).rpartition("Exception encountered: ")[2]
        raise ValueError(
            f"{file} must be a model that Keras can read. Received: {reason}"
        ) from error


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)[:3])


def _holds_unregistered(config: Any) -> bool:
    """Whether a class is neither Keras' own nor registered with it: no version could help."""
    if isinstance(config, dict):
        module, name = config.get("module"), config.get("registered_name")
        foreign = isinstance(module, str) and not module.startswith("keras")
        if foreign and keras.saving.get_registered_object(name) is None:
            return True
        config = list(config.values())
    return isinstance(config, list) and any(_holds_unregistered(value) for value in config)


def _holds_lambda(config: Any) -> bool:
    if isinstance(config, dict):
        if config.get("class_name") in ("Lambda", "__lambda__"):
            return True
        config = list(config.values())
    return isinstance(config, list) and any(_holds_lambda(value) for value in config)
