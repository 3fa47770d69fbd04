"""Reading one `.keras` file without running code from it."""

from __future__ import annotations

import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import keras


def read_model(file: Path) -> keras.Model:
    """The model of a `.keras` file, not compiled.

    Raises:
      ValueError: if there is no such file, it is damaged, holds a Lambda layer, or a layer that
        is not registered with Keras.
    """
    if file.suffix != ".keras" or not file.is_file():
        raise ValueError(f"a model must be a .keras file that exists. Received: {file}")
    try:
        with zipfile.ZipFile(file) as archive:
            damaged = archive.testzip()
            config = json.loads(archive.read("config.json"))
    except (zipfile.BadZipFile, zlib.error, OSError, KeyError, ValueError) as error:
        raise ValueError(f"{file} must be a whole .keras file. Received: {error}") from error
    if damaged is not None:
        raise ValueError(f"{file} must be a whole .keras file. Received: damaged in {damaged}")
    # Keras' safe mode refuses Lambda layers with code, but not those that name a known function.
    if _holds_lambda(config):
        raise ValueError(f"{file} must hold no Lambda layer, as those carry code. Received: one")
    try:
        return keras.models.load_model(file, compile=False, safe_mode=True)
    except Exception as error:  # of many types, depending on what is wrong
        raise ValueError(
            f"{file} must be a model that Keras can read. Received: {error}"
        ) from error


def _holds_lambda(config: Any) -> bool:
    if isinstance(config, dict):
        if config.get("class_name") in ("Lambda", "__lambda__"):
            return True
        config = list(config.values())
    return isinstance(config, list) and any(_holds_lambda(value) for value in config)
