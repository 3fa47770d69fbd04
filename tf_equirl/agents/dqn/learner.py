"""DQN as a learner: acting, replay and gradient steps of many members in one XLA program."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import tensorflow as tf

from tf_equirl.agents.dqn.exploration import epsilon_at, epsilon_greedy
from tf_equirl.agents.dqn.gradient_steps import LOSSES, ROLE, GradientSteps, Learned
from tf_equirl.agents.dqn.memory import Kept, Memory
from tf_equirl.agents.dqn.network import check_q_function
from tf_equirl.agents.dqn.result import DQNResult
from tf_equirl.envs import BaseEnvironment, Environment
from tf_equirl.training import programs
from tf_equirl.training.acting import ActingLearner, curves
from tf_equirl.training.collect import ActingState, collect, num_uniforms
from tf_equirl.training.learner import Reports, Stage, Trouble
from tf_equirl.training.loops import repeat, repeat_and_stack
from tf_equirl.training.members import nothing, structure
from tf_equirl.training.optimizer import (
    OPTIMIZER_FIELDS,
    AdamState,
    adam_settings,
    initial_adam_state,
)
from tf_equirl.training.picture_config import PictureConfig
from tf_equirl.training.population import Weights, finite_weights
from tf_equirl.training.randomness import Purpose, member_uniforms
from tf_equirl.training.relaxation_config import RelaxationConfig
from tf_equirl.training.result import Outcome

if TYPE_CHECKING:
    from tf_equirl.agents.dqn.config import DQNConfig

_SETTINGS = ("discount", "huber_delta", "epsilon_start", "epsilon_end", "epsilon_steps")
_OF_NETWORKS = (PictureConfig, RelaxationConfig)
# What describes the network, which the program's key has itself, and what bounds a run.
_NOT_OF_THE_PROGRAM = (
    *("q_function", "hidden_units", "match_parameters", "activation"),
    *(field.name for kind in _OF_NETWORKS for field in dataclasses.fields(kind)),
    "total_timesteps",
)


class DQNState(NamedTuple):
    """All that a run needs to go on, with a leading `[members]` axis.

    All are tensors but for the variables of the buffer, which calls write in place.
    """

    seeds: tf.Tensor
    weights: Weights
    target: list[tf.Tensor]  # trained weights of the target network
    adam: AdamState
    acting: ActingState
    settings: dict[str, tf.Tensor]  # see `DQNLearner.settings`
    buffer: Any  # `Kept`; empty inside of the program, which is handed it beside the state


class DQNLearner(ActingLearner):
    """Double DQN (van Hasselt et al., 2016) for many members, in one compiled program.

    Acting, replay, targets and gradient steps are part of it. A member's numbers depend on its own
    seed and on nothing of the other members.

    Args:
      env: the environment.
      config: hyperparameters.
      q_function: Keras model, `[batch, *observation_shape] -> [batch, num_actions]`.

    Attributes:
      memory: where steps are kept, and how they are drawn.
      steps: what is learned from them.

    Raises:
      ValueError: if the environment has no discrete actions or is none of tensors, or the model
        does not fit it.
    """

    trainer = "train_dqn"
    policy = ROLE
    env: Environment
    config: DQNConfig
    per_member = {**OPTIMIZER_FIELDS, **dict.fromkeys(_SETTINGS, nothing)}

    def __init__(self, env: BaseEnvironment, config: DQNConfig, q_function: keras.Model):
        check_q_function(env, q_function)
        super().__init__(env, config, {ROLE: q_function})
        self.memory = Memory(self.env, config)
        self.steps = GradientSteps(self.population, config)

    @functools.cached_property
    def key(self) -> tuple[Hashable, ...]:
        """See `Learner.key`: runs that differ in length or in the network's description share."""
        kind, env, _, networks = super().key
        fields = structure(self.config, self.per_member)
        for name in _NOT_OF_THE_PROGRAM:
            del fields[name]
        return kind, env, json.dumps(fields), networks

    def check_members(self, count: int) -> None:
        """See `Learner.check_members`; there must be room for what is kept, too."""
        super().check_members(count)
        self.memory.check_room(count)

    def start(self, seeds: Sequence[int], configs: Sequence[DQNConfig] | None = None) -> DQNState:
        """The state before the first update: weights and episodes, both from the seeds."""
        configs = [self.config] * len(seeds) if configs is None else configs
        weights = self.population.fresh(seeds)
        keys = tf.constant(list(seeds), tf.int32)
        trained = weights.trained[ROLE]
        return DQNState(
            keys,
            weights,
            [tf.identity(w) for w in trained],
            initial_adam_state(trained, adam_settings(configs, self.config.num_updates)),
            self.start_acting(keys),
            self.settings(configs),
            self.memory.empty(len(seeds)),
        )

    def settings(self, configs: Sequence[DQNConfig]) -> dict[str, tf.Tensor]:
        """See `ActingLearner.settings`."""
        columns = {name: [getattr(c, name) for c in configs] for name in _SETTINGS}
        return {name: tf.constant(values, tf.float32) for name, values in columns.items()}

    @functools.cached_property
    def stages(self) -> dict[str, Stage]:
        """See `Learner.stages`."""
        return {"update": Stage("update", self._run, self.memory.most_updates)}

    def _run(self, state: DQNState, first: int, number: int) -> tuple[DQNState, Reports]:
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

    def learn(self, state: DQNState, buffer: Kept, index: tf.Tensor) -> tuple[DQNState, Reports]:
        """Update `index`: phases of acting, each with the gradient steps that follow it.

        Args:
          state: without buffer.
          buffer: what is kept, of variables, which are written.
          index: int32 scalar, from 0.
        """
        c, members = self.config, state.seeds.shape[0]
        shape = [c.rollout_steps, c.num_environments, num_uniforms(self.env)]
        uniforms = member_uniforms(state.seeds, Purpose.ROLLOUT, index, shape)
        uniforms = tf.transpose(uniforms, [1, 0, 2, 3])  # steps first
        uniforms = tf.reshape(uniforms, [c.phases, c.phase_steps, *uniforms.shape[1:]])
        shape = [c.phases, c.gradient_steps, c.batch_size]
        draws = member_uniforms(state.seeds, Purpose.SHUFFLE, index, shape)
        rate = state.adam.settings.learning_rate(index)
        learned = Learned(
            state.weights, state.target, state.adam, [tf.zeros([members]) for _ in LOSSES]
        )

        def phase(i, carry):
            acting, learned = carry
            acting, last_return = self._act(
                learned.weights, acting, state.settings, buffer, tf.gather(uniforms, i), index, i
            )
            own = tf.gather(draws, i, axis=1)
            done = index * c.phases + i
            made = (done - c.first_phase) * c.gradient_steps

            def step(j, learned):
                batch = self.memory.draw(
                    buffer, tf.gather(own, j, axis=1), index, i, state.settings["discount"]
                )
                return self.steps.step(learned, batch, state.settings, made + j + 1, rate)

            number = tf.where(done >= c.first_phase, c.gradient_steps, 0)
            learned = repeat(number, step, learned, maximum=c.gradient_steps)
            return (acting, learned), last_return

        (acting, learned), last_return = repeat_and_stack(c.phases, phase, (state.acting, learned))
        last_return = tf.reshape(last_return, [c.rollout_steps, members, c.num_environments])
        count = tf.clip_by_value((index + 1) * c.phases - c.first_phase, 0, c.phases)
        count = tf.cast(count * c.gradient_steps, tf.float32)
        sums = dict(zip(LOSSES, learned.totals, strict=True))
        finite = tf.reduce_all(tf.math.is_finite(tf.stack(list(sums.values()))), axis=0)
        reports = {
            **{name: total / count for name, total in sums.items()},
            "epsilon": self.epsilon(state.settings, index + 1, tf.constant(0)),
            "finite": finite & finite_weights(learned.weights),
            **curves(last_return),
        }
        after = state._replace(
            weights=learned.weights, target=learned.target, adam=learned.adam, acting=acting
        )
        return after, reports

    def epsilon(
        self, settings: dict[str, tf.Tensor], index: tf.Tensor, phase: tf.Tensor
    ) -> tf.Tensor:
        """Epsilon in a phase of an update, `[members]`."""
        c = self.config
        steps = tf.cast(index, tf.float32) * float(c.update_timesteps)
        steps += tf.cast(phase, tf.float32) * float(c.train_every)
        start, end, decay = (settings[f"epsilon_{name}"] for name in ("start", "end", "steps"))
        return epsilon_at(c.epsilon_decay, start, end, decay, steps)

    def _act(
        self,
        weights: Weights,
        acting: ActingState,
        settings: dict[str, tf.Tensor],
        buffer: Kept,
        uniforms: tf.Tensor,
        index: tf.Tensor,
        phase: tf.Tensor,
    ) -> tuple[ActingState, tf.Tensor]:
        """The steps of a phase, which are kept; gives the returns `[steps, members, envs]`."""
        epsilon = self.epsilon(settings, index, phase)[:, tf.newaxis]
        prepared = self.population.prepared(weights, self.config.num_environments)

        def policy(observation):
            values = self.population.outputs(ROLE, prepared, observation)
            return epsilon_greedy(values, epsilon)

        acting, rollout = collect(self.env, policy, acting, uniforms, with_states=True)
        of_step = uniforms[..., self.env.action_distribution.num_uniforms :]
        self.memory.write(buffer, rollout, of_step, index, phase)
        return acting, rollout.last_return

    def trouble(self, stage: str, index: int, state: DQNState, member: int) -> Trouble:
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

    def result(self, outcome: Outcome) -> DQNResult:
        """See `Learner.result`."""
        return DQNResult(**self.fields(outcome))
