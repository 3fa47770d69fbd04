"""Returns of some steps, which values are learned towards."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf


class Returns(NamedTuple):
    """Of windows of steps, `[...]` each.

    Attributes:
        reward: Discounted sum of the rewards that count.
        weight: By which the value of what follows is multiplied; 0 after a terminal state.
        length: int32, steps that count, at least one.
    """

    reward: tf.Tensor
    weight: tf.Tensor
    length: tf.Tensor


def n_step_returns(
    reward: tf.Tensor,
    terminated: tf.Tensor,
    truncated: tf.Tensor,
    known: tf.Tensor,
    discount: tf.Tensor,
) -> Returns:
    """Returns of windows of n steps (Sutton and Barto, 2018, equation 7.1).

    A window ends with its episode, or where nothing more is known. Its m steps give
    `r_1 + discount r_2 + ... + discount^(m - 1) r_m`, and what follows weighs `discount^m`, or
    nothing where the last of them terminated. An episode that was cut off is worth what follows
    its true last state.

    Args:
        reward: `[..., n]`.
        terminated: `[..., n]` bool.
        truncated: `[..., n]` bool.
        known: `[..., n]` bool, true up to some step; the first one always.
        discount: Gamma, of a shape that broadcasts with `[...]`.
    """
    ended = tf.cast(terminated | truncated, tf.int32)
    counts = known & (tf.cumsum(ended, axis=-1, exclusive=True) == 0)
    powers = tf.pow(discount[..., tf.newaxis], tf.range(reward.shape[-1], dtype=tf.float32))
    length = tf.reduce_sum(tf.cast(counts, tf.int32), axis=-1)
    weight = tf.pow(discount, tf.cast(length, tf.float32))
    return Returns(
        tf.reduce_sum(tf.where(counts, powers * reward, 0.0), axis=-1),
        tf.where(tf.reduce_any(counts & terminated, axis=-1), 0.0, weight),
        length,
    )
