"""A batch of environments behind tf-agents' interface."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tf_equirl._checks import LARGEST_BATCH, positive_integer, random_seed
from tf_equirl._tf_agents import require_tf_agents
from tf_equirl.envs.environment import Environment, select
from tf_equirl.envs.registry import make

require_tf_agents()

from tf_agents.environments import tf_environment  # noqa: E402
from tf_agents.specs import tensor_spec  # noqa: E402
from tf_agents.trajectories import time_step as ts  # noqa: E402


class TFAgentsEnvironment(tf_environment.TFEnvironment):
    """A tf-agents `TFEnvironment` that steps a batch of an `Environment`; drivers run on it.

    An episode goes FIRST, MID, ..., LAST, each member of the batch on its own. LAST carries the
    true final observation; the step after it ignores the action and gives the FIRST of the next
    episode. The discount is 0 where the episode terminated, and 1 elsewhere, also at a LAST that
    was only truncated, which is how tf-agents tells the two apart. (Its own `PPOAgent`, of 0.19,
    takes every LAST for a termination all the same.)

    The state lives in `tf.Variable`s; randomness comes from the seed and a counter of calls.
    Called eagerly, `step` raises ValueError for actions out of range; a graph cannot.

    Args:
        environment: An environment or its registered name.
        batch_size: Number of copies that step together, at most 2^20.
        seed: An integer in [0, 2^31); the same seed and actions give the same time steps.

    Raises:
        ValueError: If `batch_size` is not positive, `seed` not in [0, 2^31), or the name
            unknown.
    """

    def __init__(self, environment: Environment | str, batch_size: int = 1, seed: int = 0) -> None:
        """Creates the variables that hold the state."""
        self.environment = make(environment)
        batch_size, seed = (
            positive_integer("batch_size", batch_size, LARGEST_BATCH),
            random_seed(seed),
        )
        observation_spec = tensor_spec.TensorSpec(
            self.environment.observation_shape, tf.float32, "observation"
        )
        bounds = self.environment.action_bounds or (0, self.environment.num_actions - 1)
        distribution = self.environment.action_distribution
        action_spec = tensor_spec.BoundedTensorSpec(
            distribution.action_shape, distribution.action_dtype, *bounds, "action"
        )
        super().__init__(ts.time_step_spec(observation_spec), action_spec, batch_size)
        self._seed = tf.constant([seed, 0], tf.int32)
        self._calls = tf.Variable(0, trainable=False, name="calls")
        state = self._initial_state()
        self._state = _variables(state)
        self._time_step = _variables(self._first(state))
        self._started = tf.Variable(False, trainable=False, name="started")
        # Traced once: every argument is a tensor of a fixed shape and type.
        self._advance_function = tf.function(self._advance, autograph=False)

    def _current_time_step(self) -> ts.TimeStep:
        return tf.cond(self._started, self._read, self._reset)

    def _reset(self) -> ts.TimeStep:
        self._calls.assign_add(1)
        state = self._initial_state()
        return self._write(state, self._first(state))

    def _step(self, action: tf.Tensor) -> ts.TimeStep:
        action = tf.convert_to_tensor(action)
        if tf.executing_eagerly():
            self.environment.validate_actions(action.numpy(), (self.batch_size,))
        return self._advance_function(tf.cast(action, self.action_spec().dtype))

    def _advance(self, action: tf.Tensor) -> ts.TimeStep:
        """Steps the members under way; those at LAST go on to the state they were reset to."""
        state = tf.nest.map_structure(tf.convert_to_tensor, self._state)
        starting = (self._time_step.step_type == ts.StepType.LAST) | ~self._started
        self._calls.assign_add(1)
        stepped, observation, reward, terminated, truncated = self.environment.step_with_uniforms(
            state, action, self._uniforms()
        )
        step_type = tf.where(terminated | truncated, ts.StepType.LAST, ts.StepType.MID)
        discount = tf.where(terminated, 0.0, 1.0)
        time_step = ts.TimeStep(step_type, reward, discount, observation)
        return self._write(
            select(starting, state, stepped), select(starting, self._first(state), time_step)
        )

    def _uniforms(self) -> tf.Tensor:
        seed = tf.random.experimental.stateless_fold_in(self._seed, self._calls)
        return self.environment.draw_uniforms(seed, [self.batch_size])

    def _initial_state(self) -> Any:
        return self.environment.initial_state(self._uniforms())

    def _first(self, state: Any) -> ts.TimeStep:
        return ts.restart(self.environment.observe(state), self.batch_size)

    def _read(self) -> ts.TimeStep:
        return tf.nest.map_structure(tf.identity, self._time_step)

    def _write(self, state: Any, time_step: ts.TimeStep) -> ts.TimeStep:
        for variable, value in zip(
            tf.nest.flatten((self._state, self._time_step)),
            tf.nest.flatten((state, time_step)),
            strict=True,
        ):
            variable.assign(value)
        self._started.assign(True)
        return time_step


def _variables(structure: Any) -> Any:
    return tf.nest.map_structure(lambda value: tf.Variable(value, trainable=False), structure)
