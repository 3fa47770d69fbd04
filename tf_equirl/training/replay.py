"""The replay buffer: rows of any structure, of many members, preallocated on the device."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

HELD_OUT = 10
"""Of every so many rows the last is held out: the model is measured on it, not fitted to it."""
_MEASURED_ROWS = 512


def empty_buffer(like: Any, capacity: int) -> Any:
    """A buffer of variables `[members, capacity, ...]`, without rows.

    A buffer is of variables, so that rows are written, and read in compiled functions, without
    copying the others. Rows alone are tensors.

    Args:
      like: any structure of tensors `[members, ...]`, one row of each member.
      capacity: rows that it has room for.
    """

    def room(x: tf.Tensor) -> tf.Variable:
        zeros = tf.zeros([x.shape[0], capacity, *x.shape[1:]], x.dtype)
        return tf.Variable(zeros, trainable=False)

    return tf.nest.map_structure(room, like)


def append(buffer: Any, rows: Any, index: int) -> None:
    """Writes the rows of update `index`, which replace the oldest once the buffer is full.

    Args:
      buffer: of variables; its capacity is a multiple of the number of rows.
      rows: `[members, rows, ...]`, of the buffer's structure.
      index: the number of the update, from 0.
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


def _scaled(uniforms: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    number = tf.cast(uniforms * tf.cast(count, tf.float32), tf.int32)
    return tf.minimum(number, count - 1)  # rounding may reach `count`
