"""Files that are either whole or not there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO


def write_atomically(file: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Writes beside `file` and renames, so that a reader sees the old file or the new one."""
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with partial.open("wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def write_text_atomically(file: Path, text: str) -> None:
    """The same for a whole text, in UTF-8."""
    write_atomically(file, lambda stream: stream.write(text.encode()))
