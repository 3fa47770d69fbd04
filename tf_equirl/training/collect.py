"""Acting in the environment: the one step that training, evaluation and datasets are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tf_equirl.envs import Environment
from tf_equirl.training.loops import repeat_and_stack

Policy = Callable[[tf.Tensor], tf.Tensor]
"""From observations `[..., *observation_shape]` to the parameters of the distribution of actions,
`[..., num_parameters]`."""
Draw = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""Actions from parameters `[..., num_parameters]` and uniform numbers `[..., num_uniforms]`."""


class ActingState(NamedTuple):
    """What acting carries from step to step; every tensor starts with `[members, envs]`."""

    env: Any  # the environment's own state
    episode_return: tf.Tensor  # of the episode under way
    last_return: tf.Tensor  # of the last episode that ended, NaN before the first


class Step(NamedTuple):
    """One step of a policy, `[..., *shape]` each."""

    observation: tf.Tensor
    parameters: tf.Tensor  # of the distribution of actions
    action: tf.Tensor
    following: Any  # the state to go on from: a fresh episode's where one has ended
    next_state: Any  # the true one, before any reset
    reward: tf.Tensor
    terminated: tf.Tensor
    truncated: tf.Tensor


class Rollout(NamedTuple):
    """Some steps of many members, `[steps, members, envs, ...]`."""

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
    valid: Any = ()  # bool, where some rows are no steps; those count for nothing


def num_uniforms(env: Environment) -> int:
    """Uniform numbers that one step takes: those of the action, then those of the environment."""
    return env.action_distribution.num_uniforms + env.num_uniforms


def act(
    env: Environment,
    policy: Policy,
    state: Any,
    of_action: tf.Tensor,
    of_step: tf.Tensor,
    greedy: bool = False,
    draw: Draw | None = None,
) -> Step:
    """Takes one step.

    Args:
        env: The environment.
        policy: See `Policy`.
        state: The environment's state, of any leading dimensions.
        of_action: `[..., k]` in [0, 1), with the k that the distribution of actions takes.
        of_step: `[..., env.num_uniforms]` in [0, 1).
        greedy: Whether to take the most probable action instead of drawing one.
        draw: How actions are drawn, if not from the environment's distribution.
    """
    observation = env.observe(state)
    parameters = policy(observation)
    if draw is None:
        action = env.action_distribution.act(parameters, of_action, greedy)
    else:
        action = draw(parameters, of_action)
    executed = env.action_distribution.executed(action)
    following, moved, reward, terminated, truncated = env.advance(state, executed, of_step)
    return Step(observation, parameters, action, following, moved, reward, terminated, truncated)


def start_acting(env: Environment, uniforms: tf.Tensor) -> ActingState:
    """Fresh episodes from `uniforms` `[members, envs, env.num_uniforms]`."""
    zeros = tf.zeros(uniforms.shape[:-1])
    return ActingState(env.initial_state(uniforms), zeros, tf.fill(zeros.shape, np.nan))


def collect(
    env: Environment,
    policy: Policy,
    state: ActingState,
    uniforms: tf.Tensor,
    with_states: bool = False,
    draw: Draw | None = None,
) -> tuple[ActingState, Rollout]:
    """Acts for some steps.

    Args:
        env: The environment.
        policy: See `Policy`, with the leading dimensions `[members, envs]`.
        state: Where to start.
        uniforms: `[steps, members, envs, num_uniforms(env)]` in [0, 1).
        with_states: Whether the rollout holds the environment's states, too.
        draw: See `act`.

    Returns:
        The state to go on from, and the rollout.
    """
    distribution = env.action_distribution
    own = distribution.num_uniforms
    of_action, of_step = uniforms[..., :own], uniforms[..., own:]
    if not env.random_transitions:
        # Starts of episodes have the first numbers, and with them that of the last action of the
        # episode before, which makes no difference to either. Learning curves were made so.
        of_step = uniforms[..., : env.num_uniforms]

    def step(i, state):
        # Sliced above: XLA forgets the 1 of `uniforms[i, ..., 1:]` in a loop (TensorFlow 2.21).
        taken = act(env, policy, state.env, of_action[i], of_step[i], draw=draw)
        ended = taken.terminated | taken.truncated
        episode_return = state.episode_return + taken.reward
        last_return = tf.where(ended, episode_return, state.last_return)
        row = Rollout(
            observation=taken.observation,
            action=taken.action,
            log_prob=distribution.log_prob(taken.parameters, taken.action),
            reward=taken.reward,
            next_observation=env.observe(taken.next_state),
            terminated=taken.terminated,
            truncated=taken.truncated,
            last_return=last_return,
        )
        if with_states:
            row = row._replace(state=state.env, next_state=taken.next_state)
        episode_return = tf.where(ended, 0.0, episode_return)
        return ActingState(taken.following, episode_return, last_return), row

    return repeat_and_stack(uniforms.shape[0], step, state)


def mean_of_known(x: tf.Tensor) -> tf.Tensor:
    """Mean over the last axis of what is not NaN; NaN if nothing is left."""
    known = ~tf.math.is_nan(x)
    count = tf.reduce_sum(tf.cast(known, x.dtype), axis=-1)
    return tf.reduce_sum(tf.where(known, x, 0.0), axis=-1) / count


def by_member(x: tf.Tensor) -> tf.Tensor:
    """`[steps, members, envs, ...]` as `[members, steps * envs, ...]`."""
    x = tf.transpose(x, [1, 0, 2, *range(3, x.shape.rank)])
    return tf.reshape(x, [x.shape[0], x.shape[1] * x.shape[2], *x.shape[3:]])
