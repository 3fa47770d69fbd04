"""DrQ-v2 as a learner: acting, replay and gradient steps of many members in one XLA program."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tf_equirl.agents.dqn.exploration import epsilon_at
from tf_equirl.agents.drqv2.gradient_steps import (
    ACTOR,
    CRITIC,
    ENCODER,
    LOSSES,
    GradientSteps,
    Learned,
)
from tf_equirl.agents.drqv2.networks import check_networks, deviations, policy_model
from tf_equirl.agents.drqv2.result import DrQv2Result
from tf_equirl.agents.drqv2.shifts import drawn_shifts, shifted
from tf_equirl.envs import BaseEnvironment
from tf_equirl.models.on_encoder import OnEncoder
from tf_equirl.training.collect import ActingState, Draw, Policy
from tf_equirl.training.members import nothing
from tf_equirl.training.memory import Batch
from tf_equirl.training.off_policy import OffPolicyLearner
from tf_equirl.training.optimizer import (
    OPTIMIZER_FIELDS,
    AdamState,
    adam_settings,
    initial_adam_state,
)
from tf_equirl.training.population import Weights
from tf_equirl.training.randomness import Purpose, member_uniforms
from tf_equirl.training.result import Outcome

if TYPE_CHECKING:
    from tf_equirl.agents.drqv2.config import DrQv2Config

_SCHEDULE = ("deviation_start", "deviation_end", "deviation_steps")
_SETTINGS = ("discount", "tau", "noise_clip", *_SCHEDULE)


class DrQv2State(NamedTuple):
    """All that a run needs to go on, with a leading `[members]` axis.

    All are tensors but for the variables of the buffer, which calls write in place.
    """

    seeds: tf.Tensor
    weights: Weights
    target: dict[str, list[tf.Tensor]]  # trained weights of the target critic, by its role
    adam: dict[str, AdamState]  # of "actor" and "critic", with which the encoder is trained
    acting: ActingState
    settings: dict[str, tf.Tensor]  # see `DrQv2Learner.settings`
    buffer: Any  # `Kept`; empty inside of the program, which is handed it beside the state


def uniform_actions(parameters: tf.Tensor, uniforms: tf.Tensor) -> tf.Tensor:
    """Actions of equal density in the box, in units in which it is [-1, 1].

    Args:
        parameters: Of no meaning.
        uniforms: `[..., d]` in [0, 1).
    """
    return 2.0 * uniforms - 1.0


class DrQv2Learner(OffPolicyLearner):
    """DrQ-v2 (Yarats et al., 2021, arXiv 2107.09645) for many members, in one compiled program.

    Args:
        env: The environment.
        config: Hyperparameters.
        networks: Encoder, actor and critic.

    Attributes:
        steps: What is learned from the rows of the memory.

    Raises:
        ValueError: If the environment's actions are not those of a bounded box at which noise is
            cut off, or a model does not fit it.
    """

    trainer = "train_drqv2"
    losses = LOSSES
    first_draw = staticmethod(uniform_actions)
    described = ("networks", "features", "hidden_units", "match_parameters")
    config: DrQv2Config
    per_member = {**OPTIMIZER_FIELDS, **dict.fromkeys(_SETTINGS, nothing)}

    def __init__(self, env: BaseEnvironment, config: DrQv2Config, networks: OnEncoder):
        check_networks(env, networks)
        super().__init__(env, config, networks._asdict(), config.n_steps)
        self.steps = GradientSteps(self.population)

    def start(
        self, seeds: Sequence[int], configs: Sequence[DrQv2Config] | None = None
    ) -> DrQv2State:
        """The state before the first update: weights and episodes, both from the seeds."""
        configs = [self.config] * len(seeds) if configs is None else configs
        weights = self.population.fresh(seeds)
        keys = tf.constant(list(seeds), tf.int32)
        settings = adam_settings(configs, self.config.num_updates)
        adam = {
            name: initial_adam_state(tf.nest.flatten(weights.of(*roles).trained), settings)
            for name, roles in ((ACTOR, (ACTOR,)), (CRITIC, (ENCODER, CRITIC)))
        }
        return DrQv2State(
            keys,
            weights,
            tf.nest.map_structure(tf.identity, weights.of(CRITIC).trained),
            adam,
            self.start_acting(keys),
            self.settings(configs),
            self.memory.empty(len(seeds)),
        )

    def settings(self, configs: Sequence[DrQv2Config]) -> dict[str, tf.Tensor]:
        """See `ActingLearner.settings`."""
        columns = {name: [getattr(c, name) for c in configs] for name in _SETTINGS}
        return {name: tf.constant(values, tf.float32) for name, values in columns.items()}

    def learning(self, state: DrQv2State, totals: list[tf.Tensor]) -> Learned:
        """See `OffPolicyLearner.learning`."""
        return Learned(state.weights, state.target, state.adam, totals)

    def policy_of(
        self, learned: Learned, settings: dict[str, tf.Tensor], index: tf.Tensor, phase: tf.Tensor
    ) -> tuple[Policy, Draw]:
        """See `OffPolicyLearner.policy_of`: any actions before gradient steps, then with noise."""
        c, distribution = self.config, self.env.action_distribution
        of_policy = learned.weights.of(ENCODER, ACTOR)
        prepared = self.population.prepared(of_policy, c.num_environments)
        done = index * c.phases + phase
        logs = tf.math.log(self.deviation(settings, done * c.train_every))
        learns, count = done > c.first_phase, deviations(self.env)

        def policy(observation):
            def means(observation):
                networks = self.population.networks
                return networks[ACTOR](networks[ENCODER](observation))

            found = self.population.map(means, prepared, observation)
            shape = [*found.shape[:-1], count]
            return tf.concat([found, tf.broadcast_to(logs[:, None, None], shape)], axis=-1)

        def draw(parameters, uniforms):
            drawn = tf.clip_by_value(distribution.sample(parameters, uniforms), -1.0, 1.0)
            return tf.where(learns, drawn, uniform_actions(parameters, uniforms))

        return policy, draw

    def rates(self, state: DrQv2State, index: tf.Tensor) -> dict[str, tf.Tensor]:
        """See `OffPolicyLearner.rates`: `[members]` by the names of `DrQv2State.adam`."""
        return {name: adam.settings.learning_rate(index) for name, adam in state.adam.items()}

    def step(
        self,
        learned: Learned,
        batch: Batch,
        state: DrQv2State,
        number: tf.Tensor,
        rates: dict[str, tf.Tensor],
    ) -> Learned:
        """See `OffPolicyLearner.step`. Its random numbers are keyed by its number in the run."""
        batch = self.shifted(batch, state.seeds, number)
        noise = self.noise(state, number)
        return self.steps.step(learned, batch, state.settings, noise, number, rates)

    def shifted(self, batch: Batch, seeds: tf.Tensor, number: tf.Tensor) -> Batch:
        """A batch of shifted pictures, each by a shift of its own, for gradient step `number`."""
        c = self.config
        if not c.shift:
            return batch
        uniforms = member_uniforms(seeds, Purpose.AUGMENTATION, number, [2, c.batch_size, 2])
        shifts = drawn_shifts(uniforms, c.shift)
        return batch._replace(
            observation=shifted(batch.observation, shifts[:, 0]),
            next_observation=shifted(batch.next_observation, shifts[:, 1]),
        )

    def noise(self, state: DrQv2State, number: tf.Tensor) -> tf.Tensor:
        """The noise of actions in gradient step `number`: `[members, 2, batch_size, d]`."""
        c = self.config
        shape = [2, c.batch_size, self.env.action_distribution.num_uniforms]
        uniforms = member_uniforms(state.seeds, Purpose.LEARNING, number, shape)
        done = (number - 1) // c.gradient_steps + c.first_phase
        deviation = self.deviation(state.settings, done * c.train_every)
        bound = state.settings["noise_clip"][:, None, None, None]
        # In the middle between multiples of 2^-23, as where the Gaussian draws.
        normal = tf.math.ndtri(tf.minimum(uniforms, 1 - 2.0**-23) + 2.0**-24)
        return tf.clip_by_value(deviation[:, None, None, None] * normal, -bound, bound)

    def deviation(self, settings: dict[str, tf.Tensor], timestep: tf.Tensor) -> tf.Tensor:
        """The standard deviation of noise after so many steps of a seed, `[members]`."""
        start, end, steps = (settings[name] for name in _SCHEDULE)
        return epsilon_at("linear", start, end, steps, tf.cast(timestep, tf.float32))

    def metrics(
        self, state: DrQv2State, learned: Learned, index: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """See `OffPolicyLearner.metrics`: the deviation of noise at the end of the update."""
        timestep = (index + 1) * self.config.update_timesteps
        return {"deviation": self.deviation(state.settings, timestep)}

    @functools.cached_property
    def acting_network(self) -> keras.Model:
        """Encoder and actor, one after the other."""
        roles, count = self.networks, deviations(self.env)
        return policy_model(roles[ENCODER], roles[ACTOR], self.config.deviation_end, count)

    def acting_weights(self, state: DrQv2State) -> list[tf.Tensor]:
        """See `Learner.acting_weights`."""
        of_vector = self.acting_network.trainable_variables[-1]
        repeated = np.repeat(of_vector.numpy()[None], state.seeds.shape[0], axis=0)
        trained, fixed = state.weights.trained, state.weights.fixed
        return [
            *(*trained[ENCODER], *trained[ACTOR], tf.constant(repeated)),
            *(*fixed[ENCODER], *fixed[ACTOR]),
        ]

    def result(self, outcome: Outcome) -> DrQv2Result:
        """See `Learner.result`."""
        return DrQv2Result(**self.fields(outcome), deviations=deviations(self.env))
