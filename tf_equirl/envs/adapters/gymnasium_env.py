"""One environment behind gymnasium's interface."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tf_equirl.envs.adapters.numpy_function import numpy_function
from tf_equirl.envs.environment import Environment
from tf_equirl.envs.registry import make

_INTEGERS = frozenset({int, np.int32, np.int64})  # that need no other check than their range


class GymnasiumEnv(gymnasium.Env[Any, Any]):
    """A `gymnasium.Env` that steps an `Environment`.

    As every raw gymnasium environment it leaves the time limit to gymnasium's `TimeLimit` wrapper,
    which `gymnasium.make` adds: `truncated` is always False here. After the last step of an episode
    `render` shows its final state.

    The environment's functions are computed by NumPy where that is possible (`numpy_function`), so
    that a step takes no longer than one of gymnasium's own environments.

    Numbers are drawn for every reset, and for every step unless `random_transitions` is False. With
    float64 dynamics (the registered ids') every episode after `reset(seed=s)` equals gymnasium's
    own CartPole-v1 number for number, because both draw from the same generator.

    Args:
        environment: An environment or its registered name.
        render_mode: One of the environment's `render_modes`, or None.
        **kwargs: Arguments of the environment's constructor, when a name is given.

    Raises:
        ValueError: If an argument is not one of those.
    """

    # Of all environments, since `gymnasium.make` reads it off the class. An instance has its own.
    metadata = {"render_modes": ["ansi", "rgb_array"], "render_fps": 4}

    def __init__(
        self, environment: Environment | str, render_mode: str | None = None, **kwargs: Any
    ) -> None:
        """Makes the environment and its spaces."""
        self.environment = make(environment, **kwargs)
        self.metadata = {**self.metadata, **render_metadata(self.environment, render_mode)}
        self.render_mode = render_mode
        self.observation_space = observation_space(self.environment)
        self.action_space = action_space(self.environment)
        self._is_discrete = self.environment.action_bounds is None
        self._state: list[Any] = []  # flat, of NumPy arrays and scalars
        self._under_way = False
        self._no_uniforms = np.zeros(self.environment.num_uniforms)  # for transitions without
        numbers = tf.TensorSpec([self.environment.num_uniforms], tf.float64)
        self._start, (self._structure, _) = numpy_function(self._start_and_observe, numbers)
        self._advance, _ = numpy_function(
            self._transition_and_observe, self._structure, action_spec(self.environment), numbers
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Starts an episode.

        Args:
            seed: Seeds the generator of this environment.
            options: The environment's reset options; for CartPole, low and high.

        Raises:
            ValueError: If an option is unknown or its value is not allowed.
        """
        checked = self.environment.validate_reset_options(options)
        super().reset(seed=seed)
        uniforms = self.np_random.random(self.environment.num_uniforms)
        if checked:
            started = self._start_and_observe(tf.constant(uniforms), **checked)
            *self._state, observation = (x.numpy() for x in tf.nest.flatten(started))
        else:
            *self._state, observation = self._start(uniforms)
        self._under_way = True
        return observation, {}

    def step(self, action: Any) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Makes one transition; returns observation, reward, terminated, False and {}.

        Raises:
            ValueError: If the action is not an integer in range, or no finite numbers of a box.
            gymnasium.error.ResetNeeded: If no episode is under way.
        """
        if not self._under_way:
            raise gymnasium.error.ResetNeeded("Call reset() first: no episode is under way.")
        if not self._is_discrete:
            action = self.environment.validate_actions(action, ())
        elif type(action) not in _INTEGERS or not 0 <= action < self.environment.num_actions:
            action = np.int32(self.environment.validate_actions(action, ()))
        else:
            action = np.int32(action)
        uniforms = self._no_uniforms
        if self.environment.random_transitions:
            uniforms = self.np_random.random(self.environment.num_uniforms)
        *self._state, observation, reward, terminated = self._advance(
            *self._state, action, uniforms
        )
        self._under_way = not terminated
        return observation, float(reward), bool(terminated), False, {}

    def render(self) -> Any:
        """Draws the present state: an RGB array or a string; None without a `render_mode`.

        Raises:
            gymnasium.error.ResetNeeded: If `reset` was not called.
        """
        if self.render_mode is None:
            warn_of_no_render_mode()
            return None
        if not self._state:
            raise gymnasium.error.ResetNeeded("Call reset() before render().")
        tensors = [tf.constant(x) for x in self._state]
        state = tf.nest.pack_sequence_as(self._structure, tensors)
        return self.environment.render(state, self.render_mode)

    def _start_and_observe(self, uniforms: tf.Tensor, **options: Any) -> tuple[Any, tf.Tensor]:
        state = self.environment.initial_state(uniforms, **options)
        return state, self.environment.observe(state)

    def _transition_and_observe(
        self, state: Any, action: tf.Tensor, uniforms: tf.Tensor
    ) -> tuple[Any, tf.Tensor, tf.Tensor, tf.Tensor]:
        moved, reward, terminated = self.environment.transition(state, action, uniforms)
        moved = moved._replace(steps=state.steps + 1)
        return moved, self.environment.observe(moved), reward, terminated


def observation_space(environment: Environment) -> gymnasium.spaces.Box:
    """The space of one observation."""
    low, high = environment.observation_bounds()
    return gymnasium.spaces.Box(low, high, dtype=np.float32)


def action_space(environment: Environment) -> gymnasium.spaces.Discrete | gymnasium.spaces.Box:
    """The space of one action."""
    if environment.action_bounds is None:
        return gymnasium.spaces.Discrete(environment.num_actions)
    low, high = (np.array(bound, np.float32) for bound in environment.action_bounds)
    return gymnasium.spaces.Box(low, high, dtype=np.float32)


def action_spec(environment: Environment, *batch_shape: int) -> tf.TensorSpec:
    """The shape and type of executed actions."""
    distribution = environment.action_distribution
    return tf.TensorSpec([*batch_shape, *distribution.action_shape], distribution.action_dtype)


def render_metadata(environment: Environment, render_mode: str | None) -> dict[str, Any]:
    """What an adapter's metadata says of an environment's pictures.

    Raises:
        ValueError: If `render_mode` is neither None nor one of the environment's.
    """
    if render_mode is not None:
        environment.validate_render_mode(render_mode)
    return {
        "render_modes": list(environment.render_modes),
        "render_fps": environment.render_fps,
    }


def warn_of_no_render_mode() -> None:
    """Warns as gymnasium's environments do."""
    gymnasium.logger.warn(
        "render() draws nothing without a render mode: give render_mode when making the environment"
    )
