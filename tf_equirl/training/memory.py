"""The replay memory of agents: which rows there are, where, and windows of steps drawn of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from tf_equirl.envs import BaseEnvironment, Environment
from tf_equirl.training.collect import Rollout, by_member
from tf_equirl.training.replay import any_rows, check_room, empty_buffer, take, write
from tf_equirl.training.replay_config import ReplayConfig
from tf_equirl.training.returns import n_step_returns

_CALL = 4096  # environment steps of one compiled call at most, or one update


class Observed(NamedTuple):
    """What stands for the state of an environment on the host, whose steps are not made again."""

    observation: tf.Tensor
    following: tf.Tensor  # the true next observation, before any reset


class Kept(NamedTuple):
    """What is kept of a step: its state, from which the next one is made again when it is needed.

    Pictures are observed from states, which are smaller, and a next state is mostly the state of
    the next row. Random numbers are kept where transitions are random. Of an environment on the
    host observations are kept, and which rows are steps.
    """

    state: Any
    action: tf.Tensor
    uniforms: Any
    reward: tf.Tensor
    terminated: tf.Tensor
    truncated: tf.Tensor
    valid: Any = ()  # see `Rollout.valid`


class Batch(NamedTuple):
    """Windows of steps, `[members, rows, ...]`: what one gradient step learns from."""

    observation: tf.Tensor
    action: tf.Tensor
    reward: tf.Tensor  # discounted sum over the window
    weight: tf.Tensor  # of the value of what follows
    next_observation: tf.Tensor  # the true one after the window
    valid: Any = ()  # bool, where some rows are no steps; those count for nothing


class Memory:
    """Rows of the newest steps of every member, oldest first, in a ring.

    Row `t * envs + e` of the ring is step t of environment e, modulo its length. The ring is longer
    than what is drawn from by the steps of one call of the compiled program, so that a call that is
    made again, from its beginning, finds what it found before, and writes the same rows to the same
    places.

    Args:
        env: The environment.
        config: Hyperparameters.
        n_steps: Rewards of so many steps are summed before a value is bootstrapped.

    Attributes:
        most_updates: Updates that one call may make.
        capacity: Rows of a member that there is room for.
    """

    def __init__(self, env: BaseEnvironment, config: ReplayConfig, n_steps: int = 1):
        self._env = env
        self._config = config
        self._n_steps = n_steps
        self._steps = config.buffer_size // config.num_environments  # that are drawn from
        self.most_updates = max(1, _CALL // config.update_timesteps)
        self._updates = -(-self._steps // config.rollout_steps) + self.most_updates
        self.capacity = self._updates * config.update_timesteps

    def empty(self, members: int) -> Kept:
        """A memory without rows, of variables."""
        return empty_buffer(self._one(members), self.capacity)

    def check_room(self, members: int) -> None:
        """Checks that there is memory for so many members.

        Raises:
            ValueError: If there is not; the message says the numbers.
        """
        size = self._config.buffer_size
        check_room("buffer_size", size, self._one(1), self.capacity, members)

    def write(
        self, buffer: Kept, rollout: Rollout, of_step: Any, index: tf.Tensor, phase: tf.Tensor
    ) -> None:
        """Writes the steps of a phase of an update.

        Args:
            buffer: Of variables.
            rollout: `[steps, members, envs, ...]`, of an environment in TensorFlow with states.
            of_step: `[steps, members, envs, k]`, the numbers that such a one was handed, or ().
            index: int32 scalar, the number of the update.
            phase: int32 scalar, that of the phase in it.
        """
        state, numbers, valid = rollout.state, of_step, rollout.valid
        if not isinstance(self._env, Environment):
            state, numbers = Observed(rollout.observation, rollout.next_observation), ()
            if not tf.is_tensor(valid):
                valid = tf.ones_like(rollout.terminated)
        elif not self._env.random_transitions:
            numbers = ()
        rows = Kept(
            state,
            rollout.action,
            numbers,
            rollout.reward,
            rollout.terminated,
            rollout.truncated,
            valid,
        )
        first = (self._end(index, phase) - self._config.phase_steps) * rollout.reward.shape[2]
        write(buffer, tf.nest.map_structure(by_member, rows), first)

    def draw(
        self,
        buffer: Kept,
        uniforms: tf.Tensor,
        index: tf.Tensor,
        phase: tf.Tensor,
        discount: tf.Tensor,
    ) -> Batch:
        """Windows that begin at rows drawn from all, each as likely as the others.

        Args:
            buffer: The rows.
            uniforms: `[members, rows]` in [0, 1).
            index: Number of the update.
            phase: That of the phase, whose steps are written.
            discount: Gamma, `[members]`.
        """
        c, envs = self._config, self._config.num_environments
        filled = self.filled_steps(index, phase)
        drawn = any_rows(uniforms, filled * envs)
        age, copy = drawn // envs, drawn % envs  # steps since the oldest
        place = self._end(index, phase) - filled + age
        length = self._updates * c.rollout_steps

        def row(step: tf.Tensor, copy: tf.Tensor) -> tf.Tensor:
            return tf.math.floormod(step, length) * envs + copy

        offsets = tf.range(self._n_steps)
        window = row(place[..., tf.newaxis] + offsets, copy[..., tf.newaxis])
        flat = tf.reshape(window, [window.shape[0], -1])
        reward, terminated, truncated = (
            tf.reshape(take(column, flat), window.shape)
            for column in (buffer.reward, buffer.terminated, buffer.truncated)
        )
        known = age[..., tf.newaxis] + offsets < filled
        discount = discount[:, tf.newaxis]
        returns = n_step_returns(reward, terminated, truncated, known, discount)
        first = take((buffer.state, buffer.action), window[..., 0])
        last = row(place + returns.length - 1, copy)
        seen, following = self._seen(first[0]), self._following(buffer, last)
        valid = take(buffer.valid, window[..., 0])
        return Batch(seen, first[1], returns.reward, returns.weight, following, valid)

    def sound(self, buffer: Kept, member: int) -> dict[str, bool]:
        """Whether all that the environment gave a member is finite: rewards, and states."""
        reward, *state = (x[member] for x in tf.nest.flatten((buffer.reward, buffer.state)))
        numbers = [x for x in state if x.dtype.is_floating]
        kept = "a state" if isinstance(self._env, Environment) else "an observation"
        return {
            "a reward": bool(tf.reduce_all(tf.math.is_finite(reward))),
            kept: all(bool(tf.reduce_all(tf.math.is_finite(x))) for x in numbers),
        }

    def filled_steps(self, index: tf.Tensor, phase: tf.Tensor) -> tf.Tensor:
        """Steps of each environment that are drawn from, once those of a phase are written."""
        updates = tf.minimum(index, self._updates)  # no more matter, and none is too many
        steps = updates * self._config.rollout_steps + (phase + 1) * self._config.phase_steps
        return tf.minimum(steps, self._steps)

    def _seen(self, state: Any) -> tf.Tensor:
        """The observations of what stands for states."""
        if isinstance(self._env, Environment):
            return self._env.observe(state)
        return state.observation

    def _following(self, buffer: Kept, rows: tf.Tensor) -> tf.Tensor:
        """The true observations after rows `[members, k]`."""
        if not isinstance(self._env, Environment):
            return take(buffer.state.following, rows)
        state, action, uniforms = take((buffer.state, buffer.action, buffer.uniforms), rows)
        if not self._env.random_transitions:  # resets alone use them
            uniforms = tf.zeros([*rows.shape, self._env.num_uniforms])
        action = self._env.action_distribution.executed(action)
        return self._env.observe(self._env.advance(state, action, uniforms)[1])

    def _end(self, index: tf.Tensor, phase: tf.Tensor) -> tf.Tensor:
        """The place in the ring behind the steps of a phase; up to its length."""
        update = tf.math.floormod(index, self._updates)
        return update * self._config.rollout_steps + (phase + 1) * self._config.phase_steps

    def _one(self, members: int) -> Kept:
        """One row of each member."""
        env, distribution = self._env, self._env.action_distribution
        action = tf.zeros([members, *distribution.action_shape], distribution.action_dtype)
        reward, no = tf.zeros([members]), tf.zeros([members], tf.bool)
        if not isinstance(env, Environment):
            observation = tf.zeros([members, *env.observation_shape])
            return Kept(Observed(observation, observation), action, (), reward, no, no, no)
        uniforms = tf.zeros([members, env.num_uniforms])
        numbers = uniforms if env.random_transitions else ()
        return Kept(env.initial_state(uniforms), action, numbers, reward, no, no)
