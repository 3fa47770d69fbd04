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
    action_space,
    action_spec,
    observation_space,
    render_metadata,
    warn_of_no_render_mode,
)
from tf_equirl.envs.adapters.numpy_function import numpy_function
from tf_equirl.envs.environment import Environment
from tf_equirl.envs.registry import make


class GymnasiumVectorEnv(gymnasium.vector.VectorEnv[NDArray[np.float32], NDArray[Any], NDArray]):
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
        self.single_action_space = action_space(self.environment)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._state: list[Any] = []  # flat, of NumPy arrays
        numbers = tf.TensorSpec([self.num_envs, self.environment.num_uniforms], tf.float64)
        self._start, (self._structure, _) = numpy_function(self._start_and_observe, numbers)
        actions = action_spec(self.environment, self.num_envs)
        self._action_type = actions.dtype.as_numpy_dtype
        self._advance, _ = numpy_function(self._step_and_observe, self._structure, actions, numbers)

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
        if checked:
            started = self._start_and_observe(tf.constant(self._uniforms()), **checked)
            *self._state, observations = (x.numpy() for x in tf.nest.flatten(started))
        else:
            *self._state, observations = self._start(self._uniforms())
        return observations, {}

    def step(
        self, actions: Any
    ) -> tuple[
        NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_], dict
    ]:
        """Steps every copy; returns observations, rewards, terminated, truncated and infos.

        Raises:
            ValueError: If the actions are not integers in range, or no finite numbers of a box, for
                each copy.
            gymnasium.error.ResetNeeded: If `reset` was not called.
        """
        if not self._state:
            raise gymnasium.error.ResetNeeded("Call reset() before step().")
        checked = self.environment.validate_actions(actions, (self.num_envs,))
        results = self._advance(*self._state, checked.astype(self._action_type), self._uniforms())
        *self._state, observations, final_observations, rewards, terminated, truncated = results
        infos: dict[str, Any] = {}
        for i in np.flatnonzero(terminated | truncated):
            final = {"final_obs": final_observations[i], "final_info": {}}
            infos = self._add_info(infos, final, int(i))
        return observations, rewards, terminated, truncated, infos

    def render(self) -> tuple[Any, ...] | None:
        """Draws every copy: RGB arrays or strings; None without a `render_mode`.

        Raises:
            gymnasium.error.ResetNeeded: If `reset` was not called.
        """
        if self.render_mode is None:
            warn_of_no_render_mode()
            return None
        if not self._state:
            raise gymnasium.error.ResetNeeded("Call reset() before render().")
        states = tf.nest.pack_sequence_as(self._structure, self._state)
        return tuple(
            self.environment.render(
                tf.nest.map_structure(lambda x, i=i: x[i], states), self.render_mode
            )
            for i in range(self.num_envs)
        )

    def _uniforms(self) -> NDArray[np.float64]:
        return self.np_random.random((self.num_envs, self.environment.num_uniforms))

    def _start_and_observe(self, uniforms: tf.Tensor, **options: Any) -> tuple[Any, tf.Tensor]:
        state = self.environment.initial_state(uniforms, **options)
        return state, self.environment.observe(state)

    def _step_and_observe(self, state: Any, action: tf.Tensor, uniforms: tf.Tensor) -> tuple:
        state, *transition = self.environment.step_with_uniforms(state, action, uniforms)
        return state, self.environment.observe(state), *transition
