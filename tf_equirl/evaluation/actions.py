"""What a policy does: one action for each observation."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray


def choose_actions(logits: tf.Tensor, uniforms: tf.Tensor, greedy: bool) -> tf.Tensor:
    """The most probable actions, or actions drawn by inverting the distribution function.

    Args:
        logits: [..., actions].
        uniforms: [...] in [0, 1), used where actions are drawn.
        greedy: Whether to take the most probable ones, of equals the first.

    Returns:
        [...] int32.
    """
    if greedy:
        return tf.argmax(logits, axis=-1, output_type=tf.int32)
    return sample_actions(logits, uniforms)


def sample_actions(logits: tf.Tensor, uniforms: tf.Tensor) -> tf.Tensor:
    """Actions with softmax probabilities, by inverting the distribution function.

    The distribution function may end a little below 1, by rounding. Numbers beyond its end go to
    the action with which it gets there, not to improbable ones behind that.

    Args:
        logits: [..., actions].
        uniforms: [...] in [0, 1).

    Returns:
        [...] int32.
    """
    reached = tf.cumsum(tf.nn.softmax(logits), axis=-1)
    action = _count(reached[..., :-1] <= uniforms[..., None])
    return tf.minimum(action, _count(reached[..., :-1] < reached[..., -1:]))


def _count(holds: tf.Tensor) -> tf.Tensor:
    """How many along the last axis are true."""
    return tf.reduce_sum(tf.cast(holds, tf.int32), axis=-1)


def start_uniforms(seed: int, episodes: int, num_uniforms: int) -> NDArray[np.float32]:
    """The numbers [episodes, num_uniforms] in [0, 1) that episodes start from.

    They are those that gymnasium's generator of this seed gives, in the trainer's precision; fewer
    episodes get the first of them.
    """
    numbers = np.random.default_rng(seed).random((episodes, num_uniforms))
    below_one = np.nextafter(np.float32(1), np.float32(0))  # rounding may give 1, which is not
    return np.minimum(numbers.astype(np.float32), below_one)
