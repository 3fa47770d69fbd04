"""Files that are either whole or not there, and folders that one process at a time writes to."""

from __future__ import annotations

import contextlib
import datetime
import os
import platform
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import filelock

LOCK = ".lock"
"""The file in a folder by which processes take turns; it says who had it last, and stays there."""

_PARTIAL = ".partial"


class InUseError(ValueError):
    """Another process is writing to a folder."""


@contextlib.contextmanager
def locked(folder: Path, argument: str, seconds: float = 0.0) -> Iterator[None]:
    """Keeps other processes from writing to a folder, on every machine that sees it.

    The lock is the operating system's: it goes when its process ends, however that ends, and stays
    while the process is only stopped. Where the file system knows no locks (some network disks),
    a file with the process' host and number stands for it; one of a dead process of this host is
    taken over.

    Args:
        folder: Which exists.
        argument: The name by which the user gave it.
        seconds: How long to wait for another process that has it.

    Raises:
        InUseError: If another process has it all that time; it says which, on which host, and since
            when.
    """
    file = folder / LOCK
    lock = filelock.FileLock(file, timeout=seconds)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        with contextlib.suppress(OSError):
            owner = file.read_text(encoding="utf-8").strip()
        raise InUseError(
            f"{argument} must not be in use by another process. Received: {argument}={folder}, "
            f"which is in use by {owner or 'another process'}"
        ) from error
    try:
        if isinstance(lock, filelock.UnixFileLock | filelock.WindowsFileLock):
            now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
            with contextlib.suppress(OSError):  # it only makes the message better
                file.write_text(
                    f"process {os.getpid()} on {platform.node()} since {now}\n", encoding="utf-8"
                )
        yield
    finally:
        lock.release()


def write_atomically(file: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Writes beside `file` and renames, so that a reader sees the old file or the new one.

    A process that is killed meanwhile leaves the part that it wrote; see `remove_partial`.
    """
    # Process numbers alone are the same on two machines with one disk.
    partial = file.with_name(f".{file.name}.{secrets.token_hex(8)}{_PARTIAL}")
    try:
        with partial.open("wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(file)
    finally:
        with contextlib.suppress(OSError):  # of the disk, which the first error tells better
            partial.unlink(missing_ok=True)


def write_text_atomically(file: Path, text: str) -> None:
    """The same for a whole text, in UTF-8."""
    write_atomically(file, lambda stream: stream.write(text.encode()))


def remove_partial(folder: Path) -> None:
    """Removes what killed processes left in a folder; its lock must be held."""
    for file in folder.glob(f".*{_PARTIAL}"):
        file.unlink(missing_ok=True)


def is_empty(folder: Path) -> bool:
    """Whether there is nothing in a folder but a lock, and what is removed by `remove_partial`."""
    return folder.is_dir() and all(
        file.name == LOCK or (file.name[0] == "." and file.name.endswith(_PARTIAL))
        for file in folder.iterdir()
    )
