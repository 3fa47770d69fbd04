"""Exploration: the epsilon-greedy policy, and how epsilon decreases."""

from __future__ import annotations

import tensorflow as tf

DECAYS = ("linear", "exponential")
_TIE = 1e-5  # of the largest value: what rounding of float32 makes of equal ones
_LEAST = 1e-30  # probability, so that its logarithm is a number


def epsilon_at(
    decay: str, start: tf.Tensor, end: tf.Tensor, steps: tf.Tensor, timestep: tf.Tensor
) -> tf.Tensor:
    """Epsilon at a timestep, float32.

    Args:
        decay: "linear" comes to `end` after `steps` and stays there; "exponential" is
            `end + (start - end) exp(-timestep / steps)`.
        start: At the first step.
        end: Which it comes to, or near.
        steps: See `decay`.
        timestep: float32, environment steps that were made.
    """
    share = timestep / steps
    left = tf.maximum(0.0, 1.0 - share) if decay == "linear" else tf.exp(-share)
    return end + (start - end) * left


def epsilon_greedy(values: tf.Tensor, epsilon: tf.Tensor) -> tf.Tensor:
    """Logarithms of the probabilities of actions, `[..., num_actions]`.

    With probability epsilon any action, otherwise the best one. Actions whose values are as good as
    equal, to 1e-5 of the largest, share that: rounding decides nothing between the actions that a
    symmetry exchanges, and permuting the values permutes the probabilities.

    Args:
        values: `[..., num_actions]`.
        epsilon: `[...]`.
    """
    best = tf.reduce_max(values, axis=-1, keepdims=True)
    largest = tf.reduce_max(tf.abs(values), axis=-1, keepdims=True)
    among = tf.cast(values >= best - _TIE * largest, tf.float32)
    greedy = among / tf.reduce_sum(among, axis=-1, keepdims=True)
    epsilon = epsilon[..., tf.newaxis]
    probability = (1.0 - epsilon) * greedy + epsilon / values.shape[-1]
    return tf.math.log(tf.maximum(probability, _LEAST))
