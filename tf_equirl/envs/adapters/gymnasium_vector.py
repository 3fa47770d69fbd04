"""A batch of environments behind gymnasium's vector interface."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import tensorflow as tf
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from tf_equirl._checks import LARGEST_BATCH, positive_integer
from tf_equirl.envs.adapters.gymnasium_env import (
    observation_space,
    render_metadata,
    warn_of_no_render_mode,
)
from tf_equirl.envs.environment import Environment
from tf_equirl.envs.registry import make


class GymnasiumVectorEnv(
    gymnasium.vector.VectorEnv[NDArray[np.float32], NDArray[np.integer], NDArray]
):
    """A `gymnasium.vector.VectorEnv` that steps `num_envs` copies of an `Environment` at once.

    Its autoreset mode is `SAME_STEP`: where an episode ends, the observation returned is already
    the next episode's first one, and `infos["final_obs"]` holds the true last observation, with
    the mask `infos["_final_obs"]` (likewise `final_info`), as `SyncVectorEnv` does it.
    `render` draws the states that the copies go on from.

    Args:
        environment: An environment or its registered name.
        num_envs: Number of copies, at most 2^20.
        render_mode: One of the environment's `render_modes`, or None.
        **kwargs: Arguments of the environment's constructor, when a name is given; for CartPole
            also `max_episode_steps`.

    Raises:
        ValueError: If an argument is not one of those.
    """

    # Of all environments, since gymnasium reads it off the class. An instance has its own.
    metadata = {
        "render_modes": ["ansi", "rgb_array"],
        "render_fps": 4,
        "autoreset_mode": gymnasium.vector.AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        environment: Environment | str,
        num_envs: int = 1,
        render_mode: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Makes the environment and its spaces."""
        self.num_envs = positive_integer("num_envs", num_envs, LARGEST_BATCH)
        self.environment = make(environment, **kwargs)
        self.metadata = {**self.metadata, **render_metadata(self.environment, render_mode)}
        self.render_mode = render_mode
        self.single_observation_space = observation_space(self.environment)
        self.single_action_space = gymnasium.spaces.Discrete(self.environment.num_actions)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._state: Any = None
        # Traced once: every argument is a tensor of a fixed shape and type.
        self._step = tf.function(self._step_and_observe, autograph=False)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Starts an episode in every copy.

        Args:
            seed: Seeds the generator that all copies draw from.
            options: The environment's reset options; they hold for this reset only.

        Raises:
            ValueError: If an option is unknown or its value is not allowed.
        """
        checked = self.environment.validate_reset_options(options)
        super().reset(seed=seed)
        self._state = self.environment.initial_state(self._uniforms(), **checked)
        return self.environment.observe(self._state).numpy(), {}

    def step(
        self, actions: Any
    ) -> tuple[
        NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_], dict
    ]:
        """Steps every copy; returns observations, rewards, terminated, truncated and infos.

        Raises:
            ValueError: If the actions are not integers in range, one for each copy.
            gymnasium.error.ResetNeeded: If `reset` was not called.
        """
        if self._state is None:
            raise gymnasium.error.ResetNeeded("Call reset() before step().")
        checked = self.environment.validate_actions(actions, (self.num_envs,))
        self._state, observations, *rest = self._step(
            self._state, tf.constant(checked, tf.int32), self._uniforms()
        )
        final_observations, rewards, terminated, truncated = (x.numpy() for x in rest)
        infos: dict[str, Any] = {}
        for i in np.flatnonzero(terminated | truncated):
            final = {"final_obs": final_observations[i], "final_info": {}}
            infos = self._add_info(infos, final, int(i))
        return observations.numpy(), rewards, terminated, truncated, infos

    def render(self) -> tuple[Any, ...] | None:
        """Draws every copy: RGB arrays or strings; None without a `render_mode`.

        Raises:
            gymnasium.error.ResetNeeded: If `reset` was not called.
        """
        if self.render_mode is None:
            warn_of_no_render_mode()
            return None
        if self._state is None:
            raise gymnasium.error.ResetNeeded("Call reset() before render().")
        states = tf.nest.map_structure(lambda x: x.numpy(), self._state)
        return tuple(
            self.environment.render(
                tf.nest.map_structure(lambda x, i=i: x[i], states), self.render_mode
            )
            for i in range(self.num_envs)
        )

    def _uniforms(self) -> tf.Tensor:
        return tf.constant(self.np_random.random((self.num_envs, self.environment.num_uniforms)))

    def _step_and_observe(self, state: Any, action: tf.Tensor, uniforms: tf.Tensor) -> tuple:
        state, *transition = self.environment.step_with_uniforms(state, action, uniforms)
        return state, self.environment.observe(state), *transition
