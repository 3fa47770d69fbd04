"""Acting in the environment: many members, each with several copies of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from tf_equirl.distributions.categorical import sample_actions
from tf_equirl.envs import Environment
from tf_equirl.training.loops import repeat


class ActingState(NamedTuple):
    """What acting carries from step to step; every tensor starts with `[members, envs]`."""

    env: Any  # the environment's own state
    episode_return: tf.Tensor  # of the episode under way
    last_return: tf.Tensor  # of the last episode that ended, 0 before the first


class Transitions(NamedTuple):
    """A rollout, `[steps, members, envs, ...]`."""

    observation: tf.Tensor
    action: tf.Tensor
    log_prob: tf.Tensor
    reward: tf.Tensor
    next_observation: tf.Tensor  # the true one, before any reset
    terminated: tf.Tensor
    truncated: tf.Tensor
    last_return: tf.Tensor  # after the step
    state: Any = ()  # the environment's own, and the true next one; only if asked for
    next_state: Any = ()


def start_acting(env: Environment, uniforms: tf.Tensor) -> ActingState:
    """Fresh episodes from `uniforms` `[members, envs, env.num_uniforms]`."""
    zeros = tf.zeros(uniforms.shape[:-1])
    return ActingState(env.initial_state(uniforms), zeros, zeros)


def collect(
    env: Environment,
    policy: Callable[[tf.Tensor], tf.Tensor],
    state: ActingState,
    uniforms: tf.Tensor,
    with_states: bool = False,
) -> tuple[ActingState, Transitions]:
    """Acts for some steps.

    Args:
      env: the environment.
      policy: maps observations `[members, envs, ...]` to logits `[members, envs, actions]`.
      state: where to start.
      uniforms: `[steps, members, envs, 1 + env.num_uniforms]`, numbers in [0, 1): one for the
        action, the others for the environment.
      with_states: whether the transitions hold the environment's states, too.

    Returns:
      The state to go on from, and the transitions.
    """
    steps, *batch = uniforms.shape[:-1]
    observation_shape = [*batch, *env.observation_shape]
    arrays = Transitions(
        observation=_array(tf.float32, steps, observation_shape),
        action=_array(tf.int32, steps, batch),
        log_prob=_array(tf.float32, steps, batch),
        reward=_array(tf.float32, steps, batch),
        next_observation=_array(tf.float32, steps, observation_shape),
        terminated=_array(tf.bool, steps, batch),
        truncated=_array(tf.bool, steps, batch),
        last_return=_array(tf.float32, steps, batch),
    )
    if with_states:
        for name in ("state", "next_state"):
            like = tf.nest.map_structure(lambda x: _array(x.dtype, steps, x.shape), state.env)
            arrays = arrays._replace(**{name: like})

    def step(i, carry):
        state, arrays = carry
        observation = env.observe(state.env)
        logits = policy(observation)
        action = sample_actions(logits, uniforms[i, ..., 0])
        log_prob = tf.gather(tf.nn.log_softmax(logits), action, batch_dims=len(batch))
        env_state, next_state, reward, terminated, truncated = env.advance(
            state.env, action, uniforms[i, ..., 1:]
        )
        ended = terminated | truncated
        episode_return = state.episode_return + reward
        last_return = tf.where(ended, episode_return, state.last_return)
        row = Transitions(
            observation,
            action,
            log_prob,
            reward,
            env.observe(next_state),
            terminated,
            truncated,
            last_return,
        )
        if with_states:
            row = row._replace(state=state.env, next_state=next_state)
        state = ActingState(env_state, tf.where(ended, 0.0, episode_return), last_return)
        return state, tf.nest.map_structure(lambda a, x: a.write(i, x), arrays, row)

    state, arrays = repeat(steps, step, (state, arrays))
    return state, tf.nest.map_structure(lambda a: a.stack(), arrays)


def by_member(x: tf.Tensor) -> tf.Tensor:
    """`[steps, members, envs, ...]` as `[members, steps * envs, ...]`."""
    x = tf.transpose(x, [1, 0, 2, *range(3, x.shape.rank)])
    return tf.reshape(x, [x.shape[0], x.shape[1] * x.shape[2], *x.shape[3:]])


def _array(dtype: tf.DType, steps: int, shape: list[int]) -> tf.TensorArray:
    return tf.TensorArray(dtype, steps, element_shape=shape)
