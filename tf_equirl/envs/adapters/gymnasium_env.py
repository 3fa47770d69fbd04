"""One environment behind gymnasium's interface."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tf_equirl.envs.environment import Environment
from tf_equirl.envs.registry import make


class GymnasiumEnv(gymnasium.Env[Any, Any]):
    """A `gymnasium.Env` that steps an `Environment`.

    As every raw gymnasium environment it leaves the time limit to gymnasium's `TimeLimit` wrapper,
    which `gymnasium.make` adds: `truncated` is always False here. After the last step of an episode
    `render` shows its final state.

    With float64 dynamics (the registered ids') `reset(seed=s)` and the steps after it equal
    gymnasium's own CartPole-v1 number for number, because both draw from the same generator.

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
        self.action_space = gymnasium.spaces.Discrete(self.environment.num_actions)
        self._state: Any = None
        self._under_way = False
        # Traced once: every argument is a tensor of a fixed shape and type.
        self._transition = tf.function(self._transition_and_observe, autograph=False)

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
        self._state = self.environment.initial_state(self._uniforms(), **checked)
        self._under_way = True
        return self.environment.observe(self._state).numpy(), {}

    def step(self, action: Any) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Makes one transition; returns observation, reward, terminated, False and {}.

        Raises:
            ValueError: If the action is not an integer in range.
            gymnasium.error.ResetNeeded: If no episode is under way.
        """
        if not self._under_way:
            raise gymnasium.error.ResetNeeded("Call reset() first: no episode is under way.")
        checked = self.environment.validate_actions(action, ())
        self._state, observation, reward, terminated = self._transition(
            self._state, tf.constant(checked, tf.int32), self._uniforms()
        )
        self._under_way = not terminated
        return observation.numpy(), float(reward), bool(terminated), False, {}

    def render(self) -> Any:
        """Draws the present state: an RGB array or a string; None without a `render_mode`.

        Raises:
            gymnasium.error.ResetNeeded: If `reset` was not called.
        """
        if self.render_mode is None:
            warn_of_no_render_mode()
            return None
        if self._state is None:
            raise gymnasium.error.ResetNeeded("Call reset() before render().")
        return self.environment.render(self._state, self.render_mode)

    def _uniforms(self) -> tf.Tensor:
        return tf.constant(self.np_random.random(self.environment.num_uniforms))

    def _transition_and_observe(
        self, state: Any, action: tf.Tensor, uniforms: tf.Tensor
    ) -> tuple[Any, tf.Tensor, tf.Tensor, tf.Tensor]:
        state, reward, terminated = self.environment.transition(state, action, uniforms)
        return state, self.environment.observe(state), reward, terminated


def observation_space(environment: Environment) -> gymnasium.spaces.Box:
    """The space of one observation."""
    low, high = environment.observation_bounds()
    return gymnasium.spaces.Box(low, high, dtype=np.float32)


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
