"""Files of bounded size, and records `{file: {"sha256": ..., "bytes": ...}}` of a folder's."""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

INDEX = "index.json"
CARD = "card.json"
README = "README.md"
PUBLISHING, NEW = ".publishing", "new"
"""The folder in a zoo of what is published but not in its place yet: the index and, in `new`, the
model. What stands there goes before what stands in the zoo."""
# The card cannot hold its own checksum, nor that of what is written from it.
NOT_IN_CARD = (CARD, README)
FORMAT = 1  # of the index and of the cards
MAXIMUM_JSON = 16 * 2**20  # bytes; the symmetry of pictures of 84 x 84 pixels takes some five
MAXIMUM_DEPTH = 100  # of lists and objects in each other
# A file's own name and nothing else: no folder, no hidden file, no "..".
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def read_json(file: Path) -> Any:
    """The contents of a JSON file.

    Raises:
        ValueError: As `parse_json` does, or if the file is missing.
    """
    return parse_json(read_file(file, MAXIMUM_JSON), file)


def parse_json(content: bytes, file: Path) -> Any:
    """What a JSON file says.

    Args:
        content: Its bytes.
        file: Its path, for messages.

    Raises:
        ValueError: If it is too large, or is not JSON (NaN and infinity are not), or nested deeply.
    """

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    if len(content) > MAXIMUM_JSON:
        raise ValueError(f"{file} must have at most {MAXIMUM_JSON:,} bytes. Received: more")
    try:
        value = json.loads(content, parse_constant=refuse)
    except (ValueError, RecursionError, MemoryError) as error:  # also of bytes that are not UTF-8
        raise ValueError(f"{file} must be JSON. Received: a damaged file ({error})") from error
    check_depth(value, str(file))
    return value


def check_depth(value: Any, name: str) -> None:
    """Checks that lists and dictionaries are not nested so deeply that recursion would fail.

    Raises:
        ValueError: If they are.
    """
    level, depth = [value], 0
    while level:
        inner: list[Any] = []
        for x in level:
            inner += x.values() if isinstance(x, dict) else x if isinstance(x, list) else ()
        level, depth = inner, depth + 1
        if depth > MAXIMUM_DEPTH:
            raise ValueError(
                f"{name} must be nested at most {MAXIMUM_DEPTH} levels deep. Received: deeper"
            )


def read_file(file: Path, maximum: int) -> bytes:
    """The contents of a file that is not larger than it may be.

    Raises:
        ValueError: If it is missing or larger.
    """
    if not file.is_file():
        raise ValueError(f"{file} must exist. Received: no such file")
    with file.open("rb") as stream:
        content = stream.read(maximum + 1)
    if len(content) > maximum:
        raise ValueError(f"{file} must have at most {maximum:,} bytes. Received: more")
    return content


def read_parts(content: bytes, is_wanted: Callable[[str], bool]) -> dict[str, bytes]:
    """The wanted files of a zip archive, by name.

    Together they are at most ten times as large as the archive, and a mebibyte.

    Raises:
        Exception: Of many types, if the archive is damaged or they are larger.
    """
    parts, left = {}, 10 * len(content) + 2**20
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in filter(is_wanted, dict.fromkeys(archive.namelist())):
            entry = archive.getinfo(name)
            # Other methods cannot be unpacked piece by piece.
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(f"{name!r} that is compressed in another way than usual")
            if entry.file_size > left:
                raise ValueError(f"{name!r} of {entry.file_size:,} bytes, too many for the file")
            with archive.open(entry) as stream:  # which checks the sum at the end
                parts[name] = stream.read(entry.file_size + 1)
            if len(parts[name]) != entry.file_size:
                raise ValueError(f"{name!r} that is cut off")
            left -= entry.file_size
    return parts


def printable(text: str) -> str:
    """A text for messages: on one line, of some length, nothing that a terminal would obey."""
    line = " ".join(text[:2000].split()) + ("..." if len(text) > 2000 else "")
    return "".join(x if x.isprintable() else "\N{REPLACEMENT CHARACTER}" for x in line)


def file_record(file: Path) -> dict[str, Any]:
    """Checksum and size of a file."""
    content = file.read_bytes()
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def check_records(records: Any, where: str) -> None:
    """Checks the form of records.

    Raises:
        ValueError: For a name that is no plain file name, or a record that is not as above.
    """
    if not isinstance(records, dict):
        raise ValueError(f"{where} must list files. Received: {records!r:.200}")
    for file, record in records.items():
        if not _FILE.fullmatch(file):
            raise ValueError(f"{where} must list plain file names. Received: {file!r:.200}")
        if not (
            isinstance(record, dict)
            and isinstance(record.get("sha256"), str)
            and _SHA256.fullmatch(record["sha256"])
            and type(record.get("bytes")) is int
            and 0 <= record["bytes"] < 2**63
        ):
            raise ValueError(
                f"{where} must give `sha256` (64 hexadecimal digits) and `bytes` of every file. "
                f"Received: {file:.200}={record!r:.200}"
            )


def check_file(file: Path, *sources: tuple[str, dict[str, Any]]) -> bytes:
    """Checks a file against its records.

    Args:
        file: The file.
        *sources: Where records stand, for messages, and the checked records.

    Returns:
        What was checked; the file may be another one by the time that it is read again.

    Raises:
        ValueError: If the file has no record, is missing, or has another SHA-256 or size.
    """
    for source, records in sources:
        if file.name not in records:
            raise ValueError(f"{source} must list {file}. Received: {', '.join(sorted(records))}")
    if not file.is_file():
        raise ValueError(f"{file} must exist, as {sources[0][0]} lists it. Received: no such file")
    size = file.stat().st_size  # before it is read, as it may be of any
    for source, records in sources:
        if size != records[file.name]["bytes"]:
            raise ValueError(
                f"{file} must have the size that {source} gives, {records[file.name]['bytes']} "
                f"bytes. Received: {size} bytes"
            )
    content = file.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    for source, records in sources:
        expected = records[file.name]["sha256"]
        if found != expected:
            raise ValueError(
                f"{file} must have the SHA-256 that {source} gives, {expected}; the file is "
                f"damaged or another one. Received: {found}"
            )
    return content
