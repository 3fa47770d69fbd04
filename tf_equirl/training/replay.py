"""The replay buffer: rows of any structure, of many members, preallocated on the device."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import tensorflow as tf

from tf_equirl._checks import refuse

HELD_OUT = 10
"""Of every so many rows the last is held out: the model is measured on it, not fitted to it."""
_MEASURED_ROWS = 512
_MEMORY = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")  # of a container, whose memory may be less than the machine's


def empty_buffer(like: Any, capacity: int) -> Any:
    """A buffer of variables `[members, capacity, ...]`, without rows.

    A buffer is of variables, so that rows are written, and read in compiled functions, without
    copying the others. Rows alone are tensors.

    Args:
        like: Any structure of tensors `[members, ...]`, one row of each member.
        capacity: Rows that it has room for.
    """

    def room(x: tf.Tensor) -> tf.Variable:
        zeros = tf.zeros([x.shape[0], capacity, *x.shape[1:]], x.dtype)
        return tf.Variable(zeros, trainable=False)

    return tf.nest.map_structure(room, like)


def append(buffer: Any, rows: Any, index: int) -> None:
    """Writes the rows of update `index`, which replace the oldest once the buffer is full.

    Args:
        buffer: Of variables; its capacity is a multiple of the number of rows.
        rows: `[members, rows, ...]`, of the buffer's structure.
        index: The number of the update, from 0.
    """
    pairs = list(zip(tf.nest.flatten(buffer), tf.nest.flatten(rows), strict=True))
    capacity, count = pairs[0][0].shape[1], pairs[0][1].shape[1]
    begin = index % (capacity // count) * count

    for variable, new in pairs:
        # variable[:, begin:end].assign(new), which besides would read, that is copy, all of it.
        tf.raw_ops.ResourceStridedSliceAssign(
            ref=variable.handle,
            begin=[0, begin],
            end=[0, begin + count],
            strides=[1, 1],
            value=new,
            begin_mask=1,  # all members
            end_mask=1,
        )


def write(buffer: Any, rows: Any, first: tf.Tensor) -> None:
    """Writes rows from a place on, inside of a compiled program, too.

    XLA writes variables in place, and so does TensorFlow without it; tensors would be copied.

    Args:
        buffer: Of variables.
        rows: `[members, rows, ...]`, of the buffer's structure; they must not reach beyond its end.
        first: int32 scalar, the number of the first of them.
    """
    pairs = list(zip(tf.nest.flatten(buffer), tf.nest.flatten(rows), strict=True))
    members, count = pairs[0][1].shape[:2]
    places = tf.meshgrid(tf.range(members), first + tf.range(count), indexing="ij")
    for variable, new in pairs:
        tf.raw_ops.ResourceScatterNdUpdate(
            ref=variable.handle, indices=tf.stack(places, axis=-1), updates=new
        )


def take(buffer: Any, numbers: tf.Tensor) -> Any:
    """The rows `[members, k]` with these numbers, as `[members, k, ...]`."""
    return tf.nest.map_structure(lambda x: tf.gather(x, numbers, batch_dims=1), buffer)


def training_rows(uniforms: tf.Tensor, filled: tf.Tensor) -> tf.Tensor:
    """Numbers of rows drawn from those that are not held out.

    Args:
        uniforms: `[...]` in [0, 1).
        filled: int32 scalar, rows that the buffer holds, at least `HELD_OUT`.
    """
    number = _scaled(uniforms, filled // HELD_OUT * (HELD_OUT - 1))
    return number // (HELD_OUT - 1) * HELD_OUT + number % (HELD_OUT - 1)


def held_out_rows(filled: tf.Tensor) -> tf.Tensor:
    """Numbers `[512]` of held-out rows, evenly spread; some occur more than once in a small buffer.

    Args:
        filled: int32 scalar, rows that the buffer holds, at least `HELD_OUT`.
    """
    places = (tf.range(_MEASURED_ROWS, dtype=tf.float32) + 0.5) / _MEASURED_ROWS
    return _scaled(places, filled // HELD_OUT) * HELD_OUT + HELD_OUT - 1


def any_rows(uniforms: tf.Tensor, filled: tf.Tensor) -> tf.Tensor:
    """Numbers of rows drawn from all, `[...]`."""
    return _scaled(uniforms, filled)


def row_bytes(like: Any) -> int:
    """Bytes of one row of one member.

    Args:
        like: See `empty_buffer`.
    """
    leaves = tf.nest.flatten(like)
    return sum(x.dtype.size * x.shape[1:].num_elements() for x in leaves)


def check_room(name: str, value: int, like: Any, capacity: int, members: int) -> None:
    """Checks that a buffer fits into the memory of the machine that is free.

    Args:
        name: Of the argument that says how large it is.
        value: Of that argument.
        like: See `empty_buffer`.
        capacity: Rows of a member that it has room for.
        members: How many there are.

    Raises:
        ValueError: If it does not; where a machine does not tell, nothing is checked.
    """
    free, needed = free_memory(), row_bytes(like) * capacity * members
    if free is not None and needed > free:
        rule = (
            f"such that the replay buffer fits into memory, of which {_gibibytes(free)} are free: "
            f"{capacity:,} rows of {row_bytes(like):,} bytes for each of {members:,} members are "
            f"{_gibibytes(needed)}"
        )
        refuse(name, rule, value)


def free_memory() -> int | None:
    """Bytes that this process may still take, or None where the machine does not tell."""
    found = []
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = _MEMORY.read_text().splitlines()
        found += [1024 * int(x.split()[1]) for x in lines if x.startswith("MemAvailable:")]
    with contextlib.suppress(OSError, ValueError):  # "max" where the group has no bound
        bound = int((_GROUP / "memory.max").read_text())
        found.append(bound - int((_GROUP / "memory.current").read_text()))
    return min(found, default=None)


def _gibibytes(count: int) -> str:
    return f"{count / 2**30:,.1f} GiB"


def _scaled(uniforms: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    number = tf.cast(uniforms * tf.cast(count, tf.float32), tf.int32)
    return tf.minimum(number, count - 1)  # rounding may reach `count`
