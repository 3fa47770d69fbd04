"""The losses that values are learned by."""

from __future__ import annotations

import tensorflow as tf

LOSSES = ("huber", "squared")


def element_losses(error: tf.Tensor, kind: str, delta: tf.Tensor) -> tf.Tensor:
    """The loss of each error.

    Args:
        error: Target minus value.
        kind: "squared", or "huber": half the square up to `delta` and linear beyond (Huber, 1964).
        delta: Of "huber".
    """
    if kind == "squared":
        return error * error
    size = tf.abs(error)
    inside = tf.minimum(size, delta)
    return inside * (size - 0.5 * inside)
