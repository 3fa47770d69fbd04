"""JSON files, and records `{file: {"sha256": ..., "bytes": ...}}` of what a folder holds."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

INDEX = "index.json"
CARD = "card.json"
README = "README.md"
# The card cannot hold its own checksum, nor that of what is written from it.
NOT_IN_CARD = (CARD, README)
FORMAT = 1  # of the index and of the cards
# A file's own name and nothing else: no folder, no hidden file, no "..".
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def read_json(file: Path) -> Any:
    """The contents of a JSON file.

    Raises:
      ValueError: if it is missing, or is not JSON (NaN and infinity are not).
    """

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    if not file.is_file():
        raise ValueError(f"{file} must exist. Received: no such file")
    try:
        return json.loads(file.read_bytes(), parse_constant=refuse)
    except (ValueError, RecursionError) as error:  # also of bytes that are not UTF-8
        raise ValueError(f"{file} must be JSON. Received: a damaged file ({error})") from error


def file_record(file: Path) -> dict[str, Any]:
    """Checksum and size of a file."""
    content = file.read_bytes()
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def check_records(records: Any, where: str) -> None:
    """Checks the form of records.

    Raises:
      ValueError: for a name that is no plain file name, or a record that is not as above.
    """
    if not isinstance(records, dict):
        raise ValueError(f"{where} must list files. Received: {records!r}")
    for file, record in records.items():
        if not _FILE.fullmatch(file):
            raise ValueError(f"{where} must list plain file names. Received: {file!r}")
        if not (
            isinstance(record, dict)
            and _SHA256.fullmatch(str(record.get("sha256")))
            and type(record.get("bytes")) is int
        ):
            raise ValueError(
                f"{where} must give `sha256` (64 hexadecimal digits) and `bytes` of every file. "
                f"Received: {file}={record!r}"
            )


def check_file(file: Path, records: dict[str, Any], source: str) -> None:
    """Checks a file against its record.

    Args:
      file: the file.
      records: checked records.
      source: where they stand, for messages.

    Raises:
      ValueError: if the file has no record, is missing, or has another SHA-256 or size.
    """
    if file.name not in records:
        raise ValueError(f"{source} must list {file}. Received: {', '.join(sorted(records))}")
    if not file.is_file():
        raise ValueError(f"{file} must exist, as {source} lists it. Received: no such file")
    expected, found = records[file.name], file_record(file)
    if found["sha256"] != expected["sha256"]:
        raise ValueError(
            f"{file} must have the SHA-256 that {source} gives, {expected['sha256']}; the file is "
            f"damaged or another one. Received: {found['sha256']}"
        )
    if found["bytes"] != expected["bytes"]:
        raise ValueError(
            f"{file} must have the size that {source} gives, {expected['bytes']} bytes. "
            f"Received: {found['bytes']} bytes"
        )
