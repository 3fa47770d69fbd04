"""The replay memory of DQN: which rows there are, where, and windows of steps drawn from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import tensorflow as tf

from tf_equirl.agents.dqn.targets import n_step_returns
from tf_equirl.envs import Environment
from tf_equirl.training.collect import Rollout, by_member
from tf_equirl.training.replay import any_rows, check_room, empty_buffer, take, write

if TYPE_CHECKING:
    from tf_equirl.agents.dqn.config import DQNConfig

_CALL = 4096  # environment steps of one compiled call at most, or one update


class Kept(NamedTuple):
    """What is kept of a step: its state, from which the next one is made again when it is needed.

    Pictures are observed from states, which are smaller, and a next state is mostly the state of
    the next row. Random numbers are kept where transitions are random.
    """

    state: Any
    action: tf.Tensor
    uniforms: Any
    reward: tf.Tensor
    terminated: tf.Tensor
    truncated: tf.Tensor


class Batch(NamedTuple):
    """Windows of steps, `[members, rows, ...]`: what one gradient step learns from."""

    observation: tf.Tensor
    action: tf.Tensor
    reward: tf.Tensor  # discounted sum over the window
    weight: tf.Tensor  # of the value of what follows
    next_observation: tf.Tensor  # the true one after the window


class Memory:
    """Rows of the newest steps of every member, oldest first, in a ring.

    Row `t * envs + e` of the ring is step t of environment e, modulo its length. The ring is longer
    than what is drawn from by the steps of one call of the compiled program, so that a call that is
    made again, from its beginning, finds what it found before, and writes the same rows to the same
    places.

    Args:
      env: the environment.
      config: hyperparameters.

    Attributes:
      most_updates: updates that one call may make.
      capacity: rows of a member that there is room for.
    """

    def __init__(self, env: Environment, config: DQNConfig):
        self._env = env
        self._config = config
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
          ValueError: if there is not; the message says the numbers.
        """
        size = self._config.buffer_size
        check_room("buffer_size", size, self._one(1), self.capacity, members)

    def write(
        self, buffer: Kept, rollout: Rollout, of_step: tf.Tensor, index: tf.Tensor, phase: tf.Tensor
    ) -> None:
        """Writes the steps of a phase of an update.

        Args:
          buffer: of variables.
          rollout: with states, `[steps, members, envs, ...]`.
          of_step: `[steps, members, envs, k]`, the numbers that the environment was handed.
          index: int32 scalar, the number of the update.
          phase: int32 scalar, that of the phase in it.
        """
        rows = Kept(
            rollout.state,
            rollout.action,
            of_step if self._env.random_transitions else (),
            rollout.reward,
            rollout.terminated,
            rollout.truncated,
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
          buffer: the rows.
          uniforms: `[members, rows]` in [0, 1).
          index: number of the update.
          phase: that of the phase, whose steps are written.
          discount: gamma, `[members]`.
        """
        c, envs = self._config, self._config.num_environments
        filled = self.filled_steps(index, phase)
        drawn = any_rows(uniforms, filled * envs)
        age, copy = drawn // envs, drawn % envs  # steps since the oldest
        place = self._end(index, phase) - filled + age
        length = self._updates * c.rollout_steps

        def row(step: tf.Tensor, copy: tf.Tensor) -> tf.Tensor:
            return tf.math.floormod(step, length) * envs + copy

        offsets = tf.range(c.n_steps)
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
        return Batch(
            self._env.observe(first[0]),
            first[1],
            returns.reward,
            returns.weight,
            self._env.observe(self._following(buffer, last)),
        )

    def sound(self, buffer: Kept, member: int) -> dict[str, bool]:
        """Whether all that the environment gave a member is finite: rewards, and states."""
        reward, *state = (x[member] for x in tf.nest.flatten((buffer.reward, buffer.state)))
        numbers = [x for x in state if x.dtype.is_floating]
        return {
            "a reward": bool(tf.reduce_all(tf.math.is_finite(reward))),
            "a state": all(bool(tf.reduce_all(tf.math.is_finite(x))) for x in numbers),
        }

    def filled_steps(self, index: tf.Tensor, phase: tf.Tensor) -> tf.Tensor:
        """Steps of each environment that are drawn from, once those of a phase are written."""
        updates = tf.minimum(index, self._updates)  # no more matter, and none is too many
        steps = updates * self._config.rollout_steps + (phase + 1) * self._config.phase_steps
        return tf.minimum(steps, self._steps)

    def _following(self, buffer: Kept, rows: tf.Tensor) -> Any:
        """The true states after rows `[members, k]`."""
        state, action, uniforms = take((buffer.state, buffer.action, buffer.uniforms), rows)
        if not self._env.random_transitions:  # resets alone use them
            uniforms = tf.zeros([*rows.shape, self._env.num_uniforms])
        return self._env.advance(state, action, uniforms)[1]

    def _end(self, index: tf.Tensor, phase: tf.Tensor) -> tf.Tensor:
        """The place in the ring behind the steps of a phase; up to its length."""
        update = tf.math.floormod(index, self._updates)
        return update * self._config.rollout_steps + (phase + 1) * self._config.phase_steps

    def _one(self, members: int) -> Kept:
        """One row of each member."""
        env = self._env
        uniforms = tf.zeros([members, env.num_uniforms])
        no = tf.zeros([members], tf.bool)
        return Kept(
            env.initial_state(uniforms),
            tf.zeros([members], env.action_distribution.action_dtype),
            uniforms if env.random_transitions else (),
            tf.zeros([members]),
            no,
            no,
        )
