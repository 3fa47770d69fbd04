"""Checkpoints: arrays by name in one file that is refused unless it is whole and of its run."""

from __future__ import annotations

import contextlib
import hashlib
import json
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np

from tf_equirl._files import write_atomically

FORMAT = 2
"""Of `run.json` and of checkpoints; another one is refused, not guessed at."""

_MANIFEST = "manifest"
_SUFFIX = ".npy"


class ArraySpec(NamedTuple):
    """What a checkpoint says of an array before it is read.

    Attributes:
        dtype: As `numpy.dtype.str`.
        shape: Of the array.
        sha256: Of its bytes.
    """

    dtype: str
    shape: tuple[int, ...]
    sha256: str

    def __str__(self) -> str:
        """For messages: "[5, 3] of float32"."""
        return f"{list(self.shape)} of {np.dtype(self.dtype).name}"


def write_checkpoint(file: Path, identity: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays by name, not compressed, with a list of them by which they are checked.

    Args:
        file: An existing one is replaced in one step.
        identity: Of the run.
        arrays: Of numbers.
    """
    specs = {name: _spec(array) for name, array in arrays.items()}
    manifest = json.dumps({"format": FORMAT, "identity": identity, "arrays": specs})
    named = {_MANIFEST: np.array(manifest), **arrays}
    write_atomically(file, lambda stream: np.savez(stream, **cast(Any, named)))


class Checkpoint:
    """A checkpoint that is open for reading; see `open_checkpoint`.

    Attributes:
        file: Its path.
        specs: The arrays that it holds, by name.
        identity: Of the run that it is of.
    """

    def __init__(
        self, file: Path, archive: zipfile.ZipFile, specs: dict[str, ArraySpec], identity: str
    ):
        self.file = file
        self.specs = specs
        self.identity = identity
        self._archive = archive

    def read(self, name: str) -> np.ndarray:
        """One array.

        Raises:
            ValueError: If it is not what the list of arrays says.
        """
        array = _read(self._archive, name)
        if _spec(array) != self.specs[name]:
            raise ValueError(f"{name} is not the array that was written")
        return array

    def read_all(self, wanted: Callable[[str], bool]) -> dict[str, np.ndarray]:
        """The arrays of some names."""
        return {name: self.read(name) for name in self.specs if wanted(name)}

    def refused(self, what: str) -> ValueError:
        """The error that says in what a checkpoint is not one of this run."""
        return _not_of_this_run(self.file, f"which holds other arrays: {what}")


@contextlib.contextmanager
def open_checkpoint(
    file: Path, identity: str, former: Collection[str] = ()
) -> Iterator[Checkpoint]:
    """Opens a checkpoint; of its arrays none is read yet.

    Nothing is read that the file is too small to hold, so that no file takes more memory than its
    size.

    Args:
        file: Which exists.
        identity: Of the run.
        former: Those that the run had when it was shorter or had fewer seeds.

    Raises:
        ValueError: If the file is damaged, of another format or of another run. So do errors while
            it is read.
    """
    with _damage_told(file):
        archive = zipfile.ZipFile(file)
    with archive:
        with _damage_told(file):
            _check_sizes(file, archive)
            manifest = _manifest(archive)
        found = manifest.get("identity")
        if manifest.get("format") != FORMAT or found not in (identity, *former):
            raise _not_of_this_run(file, "which is another run's or of another format")
        with _damage_told(file):
            specs = {
                name: ArraySpec(dtype, tuple(shape), digest)
                for name, (dtype, shape, digest) in manifest["arrays"].items()
            }
            members = [entry.filename.removesuffix(_SUFFIX) for entry in archive.infolist()]
            if sorted(members) != sorted([*specs, _MANIFEST]):
                raise ValueError("its arrays are not those of its list")
            yield Checkpoint(file, archive, specs, found)


class _OfAnotherRun(ValueError):
    """Says already what is wrong with a checkpoint."""


def _not_of_this_run(file: Path, what: str) -> ValueError:
    return _OfAnotherRun(
        f"the checkpoint must be one of this run, of format {FORMAT}. Received: {file}, {what}"
    )


@contextlib.contextmanager
def _damage_told(file: Path) -> Iterator[None]:
    """Damaged files raise errors of many types: one sentence tells all of them."""
    try:
        yield
    except _OfAnotherRun:
        raise
    except Exception as error:
        raise ValueError(
            f"the checkpoint must be a complete file. Received: {file}, which is damaged "
            f"({str(error) or type(error).__name__:.200}). Delete it to train this run again from "
            "its start"
        ) from error


def _check_sizes(file: Path, archive: zipfile.ZipFile) -> None:
    entries = archive.infolist()
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise ValueError("it is compressed")
    if sum(entry.file_size for entry in entries) > file.stat().st_size:
        raise ValueError("it declares more than it holds")


def _manifest(archive: zipfile.ZipFile) -> dict[str, Any]:
    if f"{_MANIFEST}{_SUFFIX}" not in archive.namelist():
        return {}
    manifest = json.loads(str(_read(archive, _MANIFEST)))
    return manifest if isinstance(manifest, dict) else {}


def _spec(array: np.ndarray) -> ArraySpec:
    digest = hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()
    return ArraySpec(array.dtype.str, array.shape, digest)


def _read(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """Reads one array, after comparing the size that it declares with the one that it has."""
    entry = archive.getinfo(f"{name}{_SUFFIX}")
    with archive.open(entry) as stream:
        shape, dtype, start = _header(cast(BinaryIO, stream))
    size = np.prod(shape, dtype=object) * dtype.itemsize  # Python's integers do not overflow
    if start + size != entry.file_size:
        raise ValueError(f"{name} declares another size than it has")
    with archive.open(entry) as stream:
        return np.lib.format.read_array(cast(BinaryIO, stream), allow_pickle=False)


def _header(stream: BinaryIO) -> tuple[tuple[int, ...], np.dtype, int]:
    """Shape and type of an array, and where its data begin."""
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    shape, _, dtype = read[np.lib.format.read_magic(stream)](stream)
    return shape, dtype, stream.tell()
