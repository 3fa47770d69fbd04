"""Agents that learn from a replay memory, in phases of acting and of gradient steps."""

from __future__ import annotations

import abc
import dataclasses
import functools
import json
from collections.abc import Hashable, Mapping
from typing import Any, ClassVar, NamedTuple

import keras
import tensorflow as tf

from tf_equirl.envs import BaseEnvironment, Environment, HostEnvironment
from tf_equirl.training import programs
from tf_equirl.training.acting import ActingLearner, curves
from tf_equirl.training.collect import ActingState, Draw, Policy, collect, num_uniforms
from tf_equirl.training.host_updates import HostPhases
from tf_equirl.training.learner import Reports, Stage, Trouble
from tf_equirl.training.loops import repeat, repeat_and_stack
from tf_equirl.training.members import structure
from tf_equirl.training.memory import Batch, Kept, Memory
from tf_equirl.training.picture_config import PictureConfig
from tf_equirl.training.population import finite_weights
from tf_equirl.training.randomness import Purpose, member_uniforms
from tf_equirl.training.relaxation_config import RelaxationConfig
from tf_equirl.training.replay_config import ReplayConfig


class Numbers(NamedTuple):
    """The random numbers of an update."""

    acting: tf.Tensor  # [phases, phase_steps, members, envs, num_uniforms]
    rows: tf.Tensor  # [members, phases, gradient_steps, batch_size], of which rows are drawn


class OffPolicyLearner(ActingLearner):
    """An agent that acts for some steps, learns from what a replay memory has, and so on.

    A state is a NamedTuple with `seeds`, `weights`, `acting`, `settings` (with the `discount`) and
    `buffer`, beside what is the algorithm's own. The buffer is of variables, which calls write in
    place; it is empty inside of the program, which is handed it beside the state. A subclass
    defines `start`, `learning`, `policy_of`, `rates` and `step`. Acting, the memory, the loop over
    phases and what is reported are done here; a member's numbers depend on its own seed and on
    nothing of the other members.

    Args:
        env: The environment.
        config: Hyperparameters.
        networks: The Keras models that are trained, by their role.
        n_steps: Rewards of so many steps are summed before a value is bootstrapped.

    Attributes:
        memory: Where steps are kept, and how they are drawn.
        losses: Names of what is reported of gradient steps, as means over those of an update.
        described: Fields of the config that describe networks, which the key of a program has
            itself.
    """

    config: ReplayConfig
    first_draw: Draw | None = None
    """How actions are drawn on the host before the first gradient step; None: as they are later."""
    losses: ClassVar[tuple[str, ...]]
    described: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        env: BaseEnvironment,
        config: ReplayConfig,
        networks: Mapping[str, keras.Model],
        n_steps: int = 1,
    ):
        super().__init__(env, config, networks)
        self.memory = Memory(env, config, n_steps)
        self._on_host = HostPhases(self) if isinstance(env, HostEnvironment) else None

    # What an algorithm defines.

    @abc.abstractmethod
    def learning(self, state: Any, totals: list[tf.Tensor]) -> Any:
        """What gradient steps change of a state: a NamedTuple of some of its fields, and `totals`.

        Args:
            state: The state.
            totals: Sums of `losses` so far, `[members]` each.
        """

    @abc.abstractmethod
    def policy_of(
        self, learned: Any, settings: dict[str, tf.Tensor], index: tf.Tensor, phase: tf.Tensor
    ) -> tuple[Policy, Draw | None]:
        """By what the members act in a phase of an update; see `collect`.

        Args:
            learned: See `learning`.
            settings: See `ActingLearner.settings`.
            index: int32 scalar, number of the update.
            phase: int32 scalar, that of the phase in it.
        """

    @abc.abstractmethod
    def rates(self, state: Any, index: tf.Tensor) -> Any:
        """Adam's step sizes in update `index`, in whatever structure `step` takes them."""

    @abc.abstractmethod
    def step(self, learned: Any, batch: Batch, state: Any, number: tf.Tensor, rates: Any) -> Any:
        """What a gradient step makes of `learned`.

        Args:
            learned: See `learning`.
            batch: `[members, rows, ...]`.
            state: The state before the update; only its seeds and settings are read.
            number: int32 scalar, from 1, number of the gradient step in the run.
            rates: What `rates` gave.
        """

    def metrics(self, state: Any, learned: Any, index: tf.Tensor) -> dict[str, tf.Tensor]:
        """What is reported of an update beside `losses`, `[members]` each; nothing by default."""
        return {}

    # What is the same for all.

    @functools.cached_property
    def key(self) -> tuple[Hashable, ...]:
        """See `Learner.key`: runs that differ in length or in the network's description share."""
        learner, env, _, networks = super().key
        fields = structure(self.config, self.per_member)
        kinds = (PictureConfig, RelaxationConfig)
        of_networks = [field.name for kind in kinds for field in dataclasses.fields(kind)]
        for name in (*self.described, *of_networks, "total_timesteps"):
            del fields[name]
        return learner, env, json.dumps(fields), networks

    def check_members(self, count: int) -> None:
        """See `Learner.check_members`; there must be room for what is kept, too."""
        super().check_members(count)
        self.memory.check_room(count)

    @functools.cached_property
    def stages(self) -> dict[str, Stage]:
        """See `Learner.stages`."""
        if self._on_host is not None:
            return {"update": Stage("update", self._on_host.run, 1)}
        return {"update": Stage("update", self._run, self.memory.most_updates)}

    def close(self) -> None:
        """See `Learner.close`."""
        if self._on_host is not None:
            self._on_host.close()

    def _run(self, state: Any, first: int, number: int) -> tuple[Any, Reports]:
        """See `Stage.run`. The buffer is not returned, which XLA would copy at every call."""

        def make() -> Any:
            @tf.function(jit_compile=True, autograph=False)
            def run(state, buffer, first, number):
                def body(i, state):
                    return self.learn(state, buffer, first + i)

                return repeat_and_stack(number, body, state, maximum=self.memory.most_updates)

            return run

        program = programs.cached(("update", self.key), make)
        after, reports = program(
            state._replace(buffer=()), state.buffer, tf.constant(first), tf.constant(number)
        )
        return after._replace(buffer=state.buffer), reports

    def learn(self, state: Any, buffer: Kept, index: tf.Tensor) -> tuple[Any, Reports]:
        """Update `index`: phases of acting, each with the gradient steps that follow it.

        Args:
            state: Without buffer.
            buffer: What is kept, of variables, which are written.
            index: int32 scalar, from 0.
        """
        numbers = self.numbers(state.seeds, index)
        rates = self.rates(state, index)

        def phase(i, carry):
            acting, learned = carry
            acting, last_return = self._act(learned, acting, state, buffer, numbers, index, i)
            learned = self.gradient_steps(learned, state, buffer, numbers, index, i, rates)
            return (acting, learned), last_return

        carry = state.acting, self.begin(state)
        (acting, learned), last_return = repeat_and_stack(self.config.phases, phase, carry)
        return self.after(state._replace(acting=acting), learned, last_return, index)

    def numbers(self, seeds: tf.Tensor, index: tf.Tensor) -> Numbers:
        """The random numbers of update `index`."""
        c = self.config
        drawn = self.env.action_distribution.num_uniforms
        if isinstance(self.env, Environment):
            drawn = num_uniforms(self.env)
        shape = [c.rollout_steps, c.num_environments, drawn]
        uniforms = member_uniforms(seeds, Purpose.ROLLOUT, index, shape)
        uniforms = tf.transpose(uniforms, [1, 0, 2, 3])  # steps first
        uniforms = tf.reshape(uniforms, [c.phases, c.phase_steps, *uniforms.shape[1:]])
        shape = [c.phases, c.gradient_steps, c.batch_size]
        return Numbers(uniforms, member_uniforms(seeds, Purpose.SHUFFLE, index, shape))

    def begin(self, state: Any) -> Any:
        """What an update begins to learn from: see `learning`."""
        return self.learning(state, [tf.zeros([state.seeds.shape[0]]) for _ in self.losses])

    def gradient_steps(
        self,
        learned: Any,
        state: Any,
        buffer: Kept,
        numbers: Numbers,
        index: tf.Tensor,
        phase: tf.Tensor,
        rates: Any,
    ) -> Any:
        """What the gradient steps after a phase, whose steps are written, make of `learned`."""
        c = self.config
        own = tf.gather(numbers.rows, phase, axis=1)
        done = index * c.phases + phase
        made = (done - c.first_phase) * c.gradient_steps

        def step(j, learned):
            batch = self.memory.draw(
                buffer, tf.gather(own, j, axis=1), index, phase, state.settings["discount"]
            )
            return self.step(learned, batch, state, made + j + 1, rates)

        number = tf.where(done >= c.first_phase, c.gradient_steps, 0)
        return repeat(number, step, learned, maximum=c.gradient_steps)

    def after(
        self, state: Any, learned: Any, last_return: tf.Tensor, index: tf.Tensor
    ) -> tuple[Any, Reports]:
        """The state after update `index`, and what it reports.

        Args:
            state: Before it, but for `acting`.
            learned: After its last gradient step.
            last_return: `[phases, phase_steps, members, envs]`.
            index: int32 scalar.
        """
        c = self.config
        last_return = tf.reshape(last_return, [c.rollout_steps, *last_return.shape[2:]])
        count = tf.clip_by_value((index + 1) * c.phases - c.first_phase, 0, c.phases)
        count = tf.cast(count * c.gradient_steps, tf.float32)
        sums = dict(zip(self.losses, learned.totals, strict=True))
        finite = tf.reduce_all(tf.math.is_finite(tf.stack(list(sums.values()))), axis=0)
        reports = {
            **{name: total / count for name, total in sums.items()},
            **self.metrics(state, learned, index),
            "finite": finite & finite_weights(learned.weights),
            **curves(last_return),
        }
        changed = learned._asdict()
        del changed["totals"]
        return state._replace(**changed), reports

    def _act(
        self,
        learned: Any,
        acting: ActingState,
        state: Any,
        buffer: Kept,
        numbers: Numbers,
        index: tf.Tensor,
        phase: tf.Tensor,
    ) -> tuple[ActingState, tf.Tensor]:
        """The steps of a phase, which are kept; gives the returns `[steps, members, envs]`."""
        policy, draw = self.policy_of(learned, state.settings, index, phase)
        uniforms = tf.gather(numbers.acting, phase)
        acting, rollout = collect(self.env, policy, acting, uniforms, with_states=True, draw=draw)
        of_step = uniforms[..., self.env.action_distribution.num_uniforms :]
        self.memory.write(buffer, rollout, of_step, index, phase)
        return acting, rollout.last_return

    def trouble(self, stage: str, index: int, state: Any, member: int) -> Trouble:
        """See `Learner.trouble`: looks whether it was the environment."""
        found = super().trouble(stage, index, state, member)
        # What the call wrote is there still, though its state is left behind.
        for what, finite in self.memory.sound(state.buffer, member).items():
            if not finite:
                return found._replace(
                    what=f"{what} of the environment {self.env.name} is infinite or NaN",
                    advice="The environment gave that number, so it has to be mended there.",
                )
        return found
