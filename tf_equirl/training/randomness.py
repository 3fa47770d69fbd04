"""Random numbers of a population: each member's depend on its own seed alone."""

from __future__ import annotations

import enum

import tensorflow as tf
from tensorflow.compiler.tf2xla.ops.gen_xla_ops import xla_sort


class Purpose(enum.IntEnum):
    """What random numbers are drawn for; each purpose of an update has a stream of its own."""

    RESETS = 0
    ROLLOUT = 1
    SHUFFLE = 2
    AUGMENTATION = 3
    CONSISTENCY = 4
    LEARNING = 5


_NUMBERED = 3
"""Purposes whose streams the second half of a key numbers. More of them would change all random
numbers that there are; later ones fold themselves into the key of the first stream."""


def member_uniforms(
    seeds: tf.Tensor, purpose: Purpose, index: tf.Tensor | int, shape: list[int]
) -> tf.Tensor:
    """Uniform numbers in [0, 1) for every member, keyed by (its seed, index, purpose).

    TensorFlow's stateless generators take one seed per call and do not vectorise, so that the
    members take turns here; the numbers of a whole update are drawn at once to make it cheap.
    XLA's generator is not the eager one: a compiled function and its eager self draw different
    numbers from the same key.

    Args:
        seeds: `[members]` int32.
        purpose: What the numbers are for.
        index: int32 scalar or `[members]`, the number of the update. Planning has negative ones, so
            that it shares no numbers with acting.
        shape: Shape of one member's numbers.

    Returns:
        `[members, *shape]` float32.
    """
    numbered = purpose.value < _NUMBERED
    number = purpose.value if numbered else 0
    stream = tf.broadcast_to(_NUMBERED * index + number, seeds.shape)

    def draw(key):  # the generator scrambles the two halves of its key itself
        if not numbered:
            key = tf.random.experimental.stateless_fold_in(key, purpose.value)
        return tf.random.stateless_uniform(shape, key)

    keys = tf.stack([seeds, stream], axis=-1)
    return tf.map_fn(draw, keys, fn_output_signature=tf.TensorSpec(shape, tf.float32))


def order_of(uniforms: tf.Tensor) -> tf.Tensor:
    """What `tf.argsort` gives for uniform numbers `[..., n]` of `member_uniforms`, int32.

    Those are multiples of 2^-23. With its position behind it each becomes one integer, and XLA
    sorts integers some four times as fast as pairs of a key and a position.
    """
    positions = tf.range(uniforms.shape[-1], dtype=tf.int64)
    keys = tf.cast(uniforms * 2**23, tf.int64) * 2**32 + positions
    return tf.cast(tf.bitwise.bitwise_and(xla_sort(keys), 2**32 - 1), tf.int32)
