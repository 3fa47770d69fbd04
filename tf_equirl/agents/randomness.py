"""Random numbers of a population: each member's depend on its own seed alone."""

from __future__ import annotations

import tensorflow as tf


def member_uniforms(seeds: tf.Tensor, index: tf.Tensor | int, shape: list[int]) -> tf.Tensor:
    """Uniform numbers in [0, 1) for every member.

    TensorFlow's stateless generators take one seed per call and do not vectorise, so that the
    members take turns here; the numbers of a whole update are drawn at once to make it cheap.
    XLA's generator is not the eager one: a compiled function and its eager self draw different
    numbers from the same key.

    Args:
      seeds: `[members, 2]` int32, a key for each member and purpose.
      index: int32 scalar, for example the number of the update.
      shape: shape of one member's numbers.

    Returns:
      `[members, *shape]` float32.
    """

    def draw(seed):
        return tf.random.stateless_uniform(
            shape, tf.random.experimental.stateless_fold_in(seed, index)
        )

    return tf.map_fn(draw, seeds, fn_output_signature=tf.TensorSpec(shape, tf.float32))


def sample_actions(logits: tf.Tensor, uniforms: tf.Tensor) -> tf.Tensor:
    """Samples categorical actions by inverting the distribution function.

    Args:
      logits: `[..., actions]`.
      uniforms: `[...]` in [0, 1).

    Returns:
      `[...]` int32 actions.
    """
    reached = tf.cumsum(tf.nn.softmax(logits), axis=-1)[..., :-1] <= uniforms[..., None]
    return tf.reduce_sum(tf.cast(reached, tf.int32), axis=-1)
