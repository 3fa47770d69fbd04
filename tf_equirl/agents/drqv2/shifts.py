"""Pictures that are shifted at random, DrQ-v2's augmentation."""

from __future__ import annotations

import tensorflow as tf


def drawn_shifts(uniforms: tf.Tensor, most: int) -> tf.Tensor:
    """Shifts in pixels, int32, from numbers in [0, 1): all from -most to most are equally likely.

    The law is that of its mirror images: flips and turns of a picture that is shifted at random
    have the distribution of the flipped and turned picture, shifted at random.
    """
    count = 2 * most + 1
    return tf.minimum(tf.cast(uniforms * count, tf.int32), count - 1) - most


def shifted(pictures: tf.Tensor, shifts: tf.Tensor) -> tf.Tensor:
    """Pictures that are moved by whole pixels; what comes in at an edge repeats the edge.

    The same as a window of a picture that was padded by its edges (Yarats et al., 2021, section
    3.1, whose bilinear interpolation is of shifts by whole pixels, too).

    Args:
        pictures: `[members, rows, height, width, channels]`.
        shifts: `[members, rows, 2]` int32: by how many pixels the window is moved, down and right.
    """
    members, rows, height, width, channels = pictures.shape
    down, right = shifts[..., 0, tf.newaxis], shifts[..., 1, tf.newaxis]
    row = tf.clip_by_value(tf.range(height) + down, 0, height - 1)
    column = tf.clip_by_value(tf.range(width) + right, 0, width - 1)
    place = row[..., :, tf.newaxis] * width + column[..., tf.newaxis, :]
    place = tf.reshape(place, [members, rows, height * width])
    flat = tf.reshape(pictures, [members, rows, height * width, channels])
    return tf.reshape(tf.gather(flat, place, batch_dims=2), pictures.shape)
