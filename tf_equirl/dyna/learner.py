"""The compiled side of Dyna: acting, fitting and planning for many members at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tf_equirl.agents.ppo.learner import Carry, Metrics, PopulationProgram
from tf_equirl.dyna.config import DynaConfig
from tf_equirl.dyna.imagination import Dynamics, ImaginedEnvironment
from tf_equirl.dyna.model_population import STEPS_PER_CALL, ModelPopulation
from tf_equirl.envs import Environment
from tf_equirl.envs.environment import select
from tf_equirl.training.collect import ActingState, Transitions, by_member, start_acting
from tf_equirl.training.loops import repeat
from tf_equirl.training.optimizer import AdamState, initial_adam_state
from tf_equirl.training.randomness import Purpose, member_uniforms
from tf_equirl.training.replay import (
    HELD_OUT,
    ReplayBuffer,
    any_rows,
    append,
    empty_buffer,
    take,
)


class Planning(NamedTuple):
    """One iteration's planning, `[members, ...]` each."""

    acting: ActingState  # in the model
    reference: list[tf.Tensor]  # the actor before planning; empty where nothing bounds its change
    limit: tf.Tensor  # int32: updates that the member may make
    made: tf.Tensor  # int32: updates that it has made
    imagined_return: tf.Tensor  # of the last episodes that ended, mean over environments; or NaN
    finite: tf.Tensor  # bool


class DynaCarry(NamedTuple):
    """All that a run needs to go on, with a leading `[members]` axis.

    All are tensors but for the variables of the buffer. The models of an ensemble are members of
    their own in `model` and `model_adam`.
    """

    ppo: Carry
    made: tf.Tensor  # int32: PPO updates so far, planned ones included
    buffer: ReplayBuffer
    model: list[tf.Tensor]
    model_adam: AdamState
    planning: Planning

    @property
    def weights(self) -> list[tf.Tensor]:
        """Of actor and critic."""
        return self.ppo.weights


class DynaProgram:
    """Dyna for many members at once, as compiled functions over one carry.

    `run` acts and updates as `PopulationProgram.run` does and keeps the transitions; `fit` makes
    gradient steps of the transition model; `begin_planning` measures the model and starts episodes
    in it; `plan` makes PPO updates there with the code of `run`. A member's numbers depend on its
    own seed and on nothing of the other members.

    Args:
      env: the environment.
      config: hyperparameters.
      actor: Keras model, `[batch, *observation_shape] -> [batch, num_actions]`.
      critic: Keras model, `[batch, *observation_shape] -> [batch, 1]`.
      model: the transition model; None plans in the environment itself.
      frozen: whether the model keeps the weights that it has.
      max_updates: the most updates that one call of `run` or `plan` makes.

    Raises:
      ValueError: if a model does not fit the environment.
    """

    def __init__(
        self,
        env: Environment,
        config: DynaConfig,
        actor: keras.Model,
        critic: keras.Model,
        model: keras.Model | None,
        frozen: bool = False,
        max_updates: int = 32,
    ):
        """See the class."""
        self.ppo = PopulationProgram(env, config, actor, critic, max_updates)
        self.env = env
        self.config = config
        self.actor = actor
        self.critic = critic
        self.model = model
        self.frozen = frozen or model is None
        self.max_updates = max_updates
        self.max_steps = STEPS_PER_CALL
        self.metric_names = () if model is None else env.transition_head.metric_names
        self.models = ModelPopulation(env, config, model)
        self.compiled_run = tf.function(self._run, jit_compile=True, autograph=False)
        # Whether transitions are kept: for a model, or to start from.
        needed = model is not None or config.planning_starts == "buffer"
        self.keeps = bool(config.planning_ratio) and needed
        # None returns the replay buffer: XLA would copy it at every call.
        self.compiled_fit = tf.function(self._fit, jit_compile=True, autograph=False)
        self.compiled_begin = tf.function(self._begin_planning, jit_compile=True, autograph=False)
        self.compiled_plan = tf.function(self._plan, jit_compile=True, autograph=False)

    def start(self, seeds: Sequence[int]) -> DynaCarry:
        """The state before the first update; see `PopulationProgram.start`."""
        ppo = self.ppo.start(list(seeds))
        zeros = tf.zeros([len(seeds)], tf.int32)
        weights = [tf.constant(w) for w in self.models.start(seeds, self.frozen)]
        planning = Planning(
            acting=ppo.acting,
            reference=self._actor_weights(ppo.weights) if self._bounded else [],
            limit=zeros,
            made=zeros,
            imagined_return=tf.zeros([len(seeds)]),
            finite=tf.ones([len(seeds)], tf.bool),
        )
        buffer = empty_buffer(ppo.acting.env, self.config.capacity if self.keeps else 0)
        adam = initial_adam_state([] if self.frozen else weights)
        return DynaCarry(ppo, zeros, buffer, weights, adam, planning)

    def fit_steps(self, iteration: int) -> int:
        """Gradient steps of the model in one iteration, from 0."""
        c = self.config
        if self.frozen or not c.planned_updates(iteration):
            return 0
        rows = self.filled(c.boundaries[iteration]) // HELD_OUT * (HELD_OUT - 1)
        steps = max(1, math.ceil(c.model_epochs * rows / c.model_batch_size))
        return steps if c.max_model_steps is None else min(steps, c.max_model_steps)

    def filled(self, updates: int) -> int:
        """Rows that the buffer holds after so many updates in the environment."""
        return min(updates * self.config.batch_size, self.config.capacity)

    def rows(self, rollout: Transitions) -> ReplayBuffer:
        """What is kept of a rollout `[steps, members, envs, ...]`: `[members, steps * envs, ...]`.

        Row `t * envs + e` is step `t` of environment `e`.
        """
        rows = ReplayBuffer(rollout.state, rollout.action, rollout.next_state)
        return tf.nest.map_structure(by_member, rows)

    def run(
        self, carry: DynaCarry, first: tf.Tensor, number: tf.Tensor
    ) -> tuple[DynaCarry, Metrics]:
        """Makes `number` updates in the environment; see `PopulationProgram.run`.

        Their transitions are written to the buffer of `carry`, which the next state shares. A call
        that is made again, after an interruption, writes the same rows to the same places.
        """
        if not self.config.planning_ratio:  # nothing is planned: the very program of PPO
            ppo, metrics = self.ppo.run(carry.ppo, first, number)
            return carry._replace(ppo=ppo, made=carry.made + number), metrics
        ppo, made, metrics, rows = self.compiled_run(carry.ppo, carry.made, first, number)
        if self.keeps:
            for i in range(int(number)):
                of_update = tf.nest.map_structure(lambda x, i=i: x[i], rows)
                append(carry.buffer, of_update, int(first) + i)
        return carry._replace(ppo=ppo, made=made), metrics

    def _run(
        self, ppo: Carry, made: tf.Tensor, first: tf.Tensor, number: tf.Tensor
    ) -> tuple[Carry, tf.Tensor, Metrics, Any]:
        program = self.ppo
        members, size = made.shape[0], self.config.batch_size

        def room(x):  # [members, envs, ...] -> rows of each update
            shape = [members, size, *x.shape[2:]]
            return tf.TensorArray(x.dtype, self.max_updates, element_shape=shape)

        def body(i, state):
            (ppo, made), kept, arrays = state
            acting, rollout = program.collect(ppo, first + i, with_states=self.keeps)
            rate = program.learning_rate(first + i)
            ppo, metrics = program.learn(ppo, acting, rollout, first + i, rate, made)
            if self.keeps:
                rows = self.rows(rollout)
                kept = tf.nest.map_structure(lambda a, x: a.write(i, x), kept, rows)
            return (ppo, made + 1), kept, program.write(arrays, i, metrics)

        kept: Any = ()
        if self.keeps:
            env = ppo.acting.env
            kept = tf.nest.map_structure(room, ReplayBuffer(env, env.steps, env))
        state = ((ppo, made), kept, program.arrays(members))
        (ppo, made), kept, arrays = repeat(number, body, state, maximum=self.max_updates)
        kept = tf.nest.map_structure(lambda a: a.stack(), kept)
        return ppo, made, Metrics(*[a.stack() for a in arrays]), kept

    def fit(
        self, carry: DynaCarry, first: tf.Tensor, number: tf.Tensor, filled: tf.Tensor
    ) -> DynaCarry:
        """Makes `number` gradient steps of the model, at most `max_steps`.

        Args:
          carry: the state before them.
          first: int32 scalar, gradient steps that the run made before.
          number: int32 scalar.
          filled: int32 scalar, rows that the buffer holds.
        """
        weights, adam = self.compiled_fit(carry, first, number, filled)
        return carry._replace(model=weights, model_adam=adam)

    def _fit(
        self, carry: DynaCarry, first: tf.Tensor, number: tf.Tensor, filled: tf.Tensor
    ) -> tuple[list[tf.Tensor], AdamState]:
        return self.models.fit(
            carry.ppo.seeds, carry.buffer, carry.model, carry.model_adam, first, number, filled
        )

    def begin_planning(
        self, carry: DynaCarry, index: tf.Tensor, filled: tf.Tensor, number: tf.Tensor
    ) -> tuple[DynaCarry, tf.Tensor]:
        """Measures the model on held-out transitions and starts episodes in it.

        Args:
          carry: the state before planning.
          index: int32 scalar, planned updates that the run made before.
          filled: int32 scalar, rows that the buffer holds.
          number: int32 scalar, updates that are to be planned.

        Returns:
          The next state, and the head's metrics `[members, metrics]`, means over the ensemble.
        """
        planning, metrics = self.compiled_begin(carry, index, filled, number)
        return carry._replace(planning=planning), metrics

    def _begin_planning(
        self, carry: DynaCarry, index: tf.Tensor, filled: tf.Tensor, number: tf.Tensor
    ) -> tuple[Planning, tf.Tensor]:
        c, members = self.config, carry.made.shape[0]
        limit = tf.fill([members], number)
        finite = tf.ones([members], tf.bool)
        metrics = tf.zeros([members, 0])
        if self.model is not None:
            metrics = self.models.measure(carry.buffer, carry.model, filled)
            finite = tf.reduce_all(tf.math.is_finite(metrics), axis=-1)
            if c.max_model_error is not None:
                error, bound = metrics[:, 0], c.max_model_error
                less = bound / error if c.high_error == "shrink" else tf.zeros_like(error)
                share = tf.where(error <= bound, 1.0, less)  # an error of 0 is within a bound of 0
                share = tf.where(finite, share, 0.0)
                limit = tf.cast(tf.cast(number, tf.float32) * share, tf.int32)
        env = self._imagined(carry, filled)
        shape = [c.num_environments, env.num_uniforms]
        uniforms = member_uniforms(carry.ppo.seeds, Purpose.RESETS, -1 - index, shape)
        acting = start_acting(env, uniforms)
        none_ended = tf.fill(tf.shape(acting.last_return), np.nan)
        planning = Planning(
            acting=acting._replace(last_return=none_ended),
            reference=self._actor_weights(carry.weights) if self._bounded else [],
            limit=limit,
            made=tf.zeros_like(limit),
            imagined_return=tf.fill([members], np.nan),
            finite=finite,
        )
        return planning, metrics

    def plan(
        self,
        carry: DynaCarry,
        index: tf.Tensor,
        number: tf.Tensor,
        updates: tf.Tensor,
        filled: tf.Tensor,
    ) -> DynaCarry:
        """Makes `number` PPO updates in the model, at most `max_updates`.

        Args:
          carry: the state before them.
          index: int32 scalar, planned updates that the run made before.
          number: int32 scalar.
          updates: int32 scalar, updates that the run made in the environment.
          filled: int32 scalar, rows that the buffer holds.
        """
        weights, adam, made, planning = self.compiled_plan(carry, index, number, updates, filled)
        # Acting goes on where it was in the true environment.
        ppo = carry.ppo._replace(weights=weights, adam=adam)
        return carry._replace(ppo=ppo, made=made, planning=planning)

    def _plan(
        self,
        carry: DynaCarry,
        index: tf.Tensor,
        number: tf.Tensor,
        updates: tf.Tensor,
        filled: tf.Tensor,
    ) -> tuple[list[tf.Tensor], AdamState, tf.Tensor, Planning]:
        env = self._imagined(carry, filled)
        rate = self.ppo.learning_rate(updates - 1)  # that of the update before

        def body(i, state):
            ppo, made, planning = state
            return self._planned_update(ppo, made, planning, env, -1 - (index + i), rate)

        state = (carry.ppo, carry.made, carry.planning)
        ppo, made, planning = repeat(number, body, state, maximum=self.max_updates)
        return ppo.weights, ppo.adam, made, planning

    def _planned_update(
        self,
        ppo: Carry,
        made: tf.Tensor,
        planning: Planning,
        env: Environment,
        key: tf.Tensor,
        rate: tf.Tensor,
    ) -> tuple[Carry, tf.Tensor, Planning]:
        """One update in the model, undone for the members that may not make it."""
        start = ppo._replace(acting=planning.acting)
        acting, rollout = self.ppo.collect(start, key, env)
        after, metrics = self.ppo.learn(start, acting, rollout, key, rate, made)
        allowed = planning.made < planning.limit
        finite = planning.finite & (metrics.finite | ~allowed)
        limit = planning.limit
        if self._bounded:
            observation = by_member(rollout.observation)
            change = self._policy_change(planning.reference, after.weights, observation)
            within = change <= self.config.max_policy_change
            limit = tf.where(within | ~allowed, limit, planning.made)
            allowed &= within
        ppo = select(allowed, after, start)
        one = tf.cast(allowed, tf.int32)
        planning = Planning(
            acting=ppo.acting,
            reference=planning.reference,
            limit=limit,
            made=planning.made + one,
            imagined_return=_mean_of_known(ppo.acting.last_return),
            finite=finite,
        )
        return ppo, made + one, planning

    def _policy_change(
        self, before: list[tf.Tensor], weights: list[tf.Tensor], observation: tf.Tensor
    ) -> tf.Tensor:
        """Mean divergence KL(before || now), `[members]`, at `[members, rows, ...]`."""
        rest = weights[len(before) :]
        old = tf.nn.log_softmax(self.ppo.outputs(self.actor, [*before, *rest], observation))
        new = tf.nn.log_softmax(self.ppo.outputs(self.actor, weights, observation))
        return tf.reduce_mean(tf.reduce_sum(tf.exp(old) * (old - new), axis=-1), axis=-1)

    def _imagined(self, carry: DynaCarry, filled: tf.Tensor) -> ImaginedEnvironment:
        """What planning acts in; states have leading dimensions `[members, envs]`."""
        starts = None
        if self.config.planning_starts == "buffer":

            def starts(uniforms):
                return take(carry.buffer, any_rows(uniforms[..., -1], filled)).state

        limit = self.config.model_rollout_steps or self.env.max_episode_steps
        limit = min(limit, self.env.max_episode_steps)
        dynamics = self._true_dynamics if self.model is None else self._dynamics(carry.model)
        return ImaginedEnvironment(self.env, dynamics, starts, limit)

    def _true_dynamics(self, state: Any, action: tf.Tensor, uniforms: tf.Tensor) -> tuple:
        needed = uniforms[..., : self.env.num_uniforms]
        following, reward, terminated = self.env.transition(state, action, needed)
        return following, reward, terminated, tf.zeros_like(terminated)

    def _dynamics(self, weights: list[tf.Tensor]) -> Dynamics:
        """Steps in the mean of each member's models; the true reward and termination of it."""

        def step(state, action, uniforms):
            following, disagreement = self.models.next_states(weights, state, action)
            bound = self.config.max_disagreement
            cut = tf.zeros_like(action, tf.bool) if bound is None else disagreement > bound
            reward = self.env.reward(state, action, following)
            return following, reward, self.env.is_terminal(following), cut

        return step

    def _actor_weights(self, weights: list[tf.Tensor]) -> list[tf.Tensor]:
        return list(weights[: len(self.actor.trainable_variables)])

    @property
    def _bounded(self) -> bool:
        return self.config.max_policy_change is not None


def _mean_of_known(x: tf.Tensor) -> tf.Tensor:
    """Mean over the last axis of what is not NaN; NaN if nothing is left."""
    known = ~tf.math.is_nan(x)
    count = tf.reduce_sum(tf.cast(known, x.dtype), axis=-1)
    return tf.reduce_sum(tf.where(known, x, 0.0), axis=-1) / count
