"""Whole episodes of policies, played in a compiled program; each counts once."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tf_equirl.envs import Environment
from tf_equirl.training.collect import Policy, act, num_uniforms

# Episodes that step together. One number for all, since XLA rounds by the size of the batch: an
# episode is then the same in whatever company.
BLOCK = 256


def start_uniforms(seed: int, episodes: int, num_uniforms: int) -> NDArray[np.float32]:
    """The numbers [episodes, num_uniforms] in [0, 1) that episodes start from.

    They are those that gymnasium's generator of this seed gives, in the trainer's precision; fewer
    episodes get the first of them.
    """
    numbers = np.random.default_rng(seed).random((episodes, num_uniforms))
    below_one = np.nextafter(np.float32(1), np.float32(0))  # rounding may give 1, which is not
    return np.minimum(numbers.astype(np.float32), below_one)


def first_key(env: Environment, seed: int, block: int) -> tf.Tensor:
    """The key of a block's first step, int64 `[2]`; all steps of all blocks have others."""
    return tf.constant([seed, np.int64(block) * (env.max_episode_steps + 1)], tf.int64)


def play(
    env: Environment, policy: Policy, start: tf.Tensor, key: tf.Tensor, greedy: bool
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Plays one episode from each start to its end.

    Policies of several members get the same numbers, so that they play the same episodes.

    Args:
        env: The environment.
        policy: See `Policy`, with the leading dimensions of `start`.
        start: `[..., episodes, env.num_uniforms]` in [0, 1), at most `BLOCK` episodes.
        key: See `first_key`.
        greedy: Whether to take the most probable action, or one drawn from the distribution.

    Returns:
        Returns float64, lengths int32, and whether a parameter of the distribution was NaN before
        the episode's end, `[..., episodes]` each.
    """
    shape = start.shape[:-1]
    own = env.action_distribution.num_uniforms

    def step(key, state, under_way, returns, lengths, is_nan):
        uniforms = tf.random.stateless_uniform([BLOCK, num_uniforms(env)], key)[: shape[-1]]
        uniforms = tf.broadcast_to(uniforms, [*shape, num_uniforms(env)])
        step = act(env, policy, state, uniforms[..., :own], uniforms[..., own:], greedy)
        is_nan |= under_way & tf.reduce_any(tf.math.is_nan(step.parameters), axis=-1)
        # Where an episode has ended the next one is played on; it counts for nothing.
        returns += tf.where(under_way, tf.cast(step.reward, tf.float64), 0)
        lengths += tf.cast(under_way, tf.int32)
        under_way &= ~(step.terminated | step.truncated)
        return key + [0, 1], step.following, under_way, returns, lengths, is_nan

    carry: Any = (
        key,
        env.initial_state(start),
        tf.ones(shape, tf.bool),
        tf.zeros(shape, tf.float64),
        tf.zeros(shape, tf.int32),
        tf.zeros(shape, tf.bool),
    )
    *_, returns, lengths, is_nan = tf.while_loop(
        lambda key, state, under_way, *_: tf.reduce_any(under_way), step, carry
    )
    return returns, lengths, is_nan
