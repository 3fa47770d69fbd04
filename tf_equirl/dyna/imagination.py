"""The environment as it is planned in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tf_equirl.distributions import Distribution
from tf_equirl.envs import Environment
from tf_equirl.envs.environment import select
from tf_equirl.models.heads import Head

Dynamics = Callable[[Any, tf.Tensor, tf.Tensor], tuple[Any, tf.Tensor, tf.Tensor, tf.Tensor]]
"""From states, actions and uniforms to next states, rewards, whether they are terminal, and whether
the episode is to be cut off there."""


class ImaginedEnvironment(Environment):
    """An environment whose steps, start states and time limit are others.

    Rollouts in it are those of the environment: the trainer does not know where it acts.

    Args:
        env: The true environment.
        dynamics: What a step does.
        starts: From uniforms [..., num_uniforms] to start states; the environment's own if None.
        max_episode_steps: Steps after which an episode is truncated.
    """

    def __init__(
        self,
        env: Environment,
        dynamics: Dynamics,
        starts: Callable[[tf.Tensor], Any] | None,
        max_episode_steps: int,
    ) -> None:
        self.env = env
        self.name = f"{env.name}, imagined"
        self.observation_shape = env.observation_shape
        self.num_actions = env.num_actions
        self.symmetry = env.symmetry
        # A row of the buffer is drawn with one even where the environment draws nothing.
        self.num_uniforms = env.num_uniforms if starts is None else max(1, env.num_uniforms)
        self.random_transitions = env.random_transitions
        self.max_episode_steps = max_episode_steps
        self._dynamics = dynamics
        self._starts = starts

    def initial_state(self, uniforms: tf.Tensor) -> Any:
        """A start state at step 0."""
        if self._starts is None:
            return self.env.initial_state(uniforms)
        state = self._starts(uniforms)
        return state._replace(steps=tf.zeros_like(state.steps))

    def observe(self, state: Any) -> tf.Tensor:
        """See `Environment.observe`."""
        return self.env.observe(state)

    @property
    def action_distribution(self) -> Distribution:
        """See `Environment.action_distribution`."""
        return self.env.action_distribution

    @property
    def transition_head(self) -> Head:
        """See `Environment.transition_head`."""
        return self.env.transition_head

    def encode(self, state: Any) -> tf.Tensor:
        """See `Environment.encode`."""
        return self.env.encode(state)

    def decode(self, encoding: tf.Tensor) -> Any:
        """See `Environment.decode`."""
        return self.env.decode(encoding)

    def transition(
        self, state: Any, action: tf.Tensor, uniforms: tf.Tensor
    ) -> tuple[Any, tf.Tensor, tf.Tensor]:
        """The imagined step; see `Environment.transition`."""
        return self._dynamics(state, action, uniforms)[:3]

    def advance(
        self, state: Any, action: tf.Tensor, uniforms: tf.Tensor
    ) -> tuple[Any, Any, tf.Tensor, tf.Tensor, tf.Tensor]:
        """See `Environment.advance`; an episode that is cut off is truncated."""
        moved, reward, terminated, cut = self._dynamics(state, action, uniforms)
        moved = moved._replace(steps=state.steps + 1)
        truncated = (moved.steps >= self.max_episode_steps) | cut
        following = select(terminated | truncated, self.initial_state(uniforms), moved)
        return following, moved, reward, terminated, truncated
