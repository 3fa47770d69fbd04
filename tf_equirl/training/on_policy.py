"""Agents that learn from rollouts of their own policy."""

from __future__ import annotations

import abc
import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tf_equirl import models
from tf_equirl.distributions import Gaussian
from tf_equirl.envs import BaseEnvironment, Environment, HostEnvironment
from tf_equirl.training import programs
from tf_equirl.training.acting import ActingLearner, curves
from tf_equirl.training.acting import last_mean_return as last_mean_return
from tf_equirl.training.collect import (
    ActingState,
    Rollout,
    by_member,
    collect,
    num_uniforms,
)
from tf_equirl.training.config import OnPolicyConfig
from tf_equirl.training.host_updates import HostUpdates
from tf_equirl.training.learner import Reports, Stage, Trouble
from tf_equirl.training.model_checks import check_model
from tf_equirl.training.normalization import (
    Scales,
    initial_reward_scale,
    scaled_rewards,
    updated_reward_scale,
)
from tf_equirl.training.optimizer import (
    AdamState,
    adam_settings,
    initial_adam_state,
)
from tf_equirl.training.population import Weights, adam_update, finite_weights
from tf_equirl.training.randomness import Purpose, member_uniforms
from tf_equirl.training.starting import Start


class AgentState(NamedTuple):
    """All that an agent needs to go on: tensors with a leading `[members]` axis."""

    seeds: tf.Tensor
    weights: Weights
    adam: AdamState
    acting: ActingState
    settings: dict[str, tf.Tensor]  # see `OnPolicyLearner.settings`
    rewards: Any = ()  # a `RewardScale`, where rewards are normalised


class OnPolicyLearner(ActingLearner):
    """An agent with an "actor", mostly a "critic", that acts for some steps and learns from them.

    A subclass defines `learn`. The rest is done here: fresh weights and episodes of every member
    from its seed, the rollout, Adam, learning curves and results.

    Args:
        env: The environment.
        config: Hyperparameters.
        actor: Keras model, `[batch, *observation_shape] -> [batch, parameters of the
            distribution]`.
        critic: Keras model, `[batch, *observation_shape] -> [batch, 1]`; None for an agent that has
            none.

    Raises:
        ValueError: If a model does not fit the environment.
    """

    config: OnPolicyConfig
    start_from: Start | None = None
    """Trained networks, of those of the learner, that every member goes on from."""

    def __init__(
        self,
        env: BaseEnvironment,
        config: OnPolicyConfig,
        actor: keras.Model,
        critic: keras.Model | None = None,
    ):
        check_networks(env, actor, critic)
        networks = {"actor": actor, "critic": critic}
        super().__init__(env, config, {k: v for k, v in networks.items() if v is not None})
        self._scales = Scales(self.networks)
        self._on_host = HostUpdates(self) if isinstance(env, HostEnvironment) else None

    @functools.cached_property
    def stages(self) -> dict[str, Stage]:
        """See `Learner.stages`."""
        if self._on_host is None:
            return super().stages
        return {"update": Stage("update", self._on_host.run, 1)}

    def close(self) -> None:
        """See `Learner.close`."""
        if self._on_host is not None:
            self._on_host.close()

    @abc.abstractmethod
    def learn(
        self,
        state: AgentState,
        rollout: Rollout,
        index: tf.Tensor,
        rate: tf.Tensor,
        made: tf.Tensor,
    ) -> tuple[Weights, AdamState, dict[str, tf.Tensor]]:
        """The update that follows a rollout, whatever it was collected in.

        Args:
            state: The state before the rollout.
            rollout: `[steps, members, envs, ...]`.
            index: int32 scalar that keys random numbers; negative where it is planned.
            rate: Adam's step size, `[members]`.
            made: int32 scalar or `[members]`, updates made before.

        Returns:
            The new weights and moments, and what is reported, `[members]` each.
        """

    def start(
        self, seeds: Sequence[int], configs: Sequence[OnPolicyConfig] | None = None
    ) -> AgentState:
        """The state before the first update: weights and episodes, both from the seeds."""
        configs = [self.config] * len(seeds) if configs is None else configs
        population = self.population
        weights = population.fresh(seeds, self.start_from.networks if self.start_from else ())
        keys = tf.constant(list(seeds), tf.int32)
        acting = self.start_acting(keys)
        adam = initial_adam_state(
            tf.nest.flatten(weights.trained), adam_settings(configs, self.config.num_updates)
        )
        rewards: Any = ()
        if self.config.normalize_rewards:
            rewards = initial_reward_scale(len(seeds), self.config.num_environments)
        return AgentState(keys, weights, adam, acting, self.settings(configs), rewards)

    def describe(self) -> dict[str, Any]:
        """See `Learner.describe`."""
        return {} if self.start_from is None else self.start_from.describe()

    def update(self, state: AgentState, index: tf.Tensor) -> tuple[AgentState, Reports]:
        """Acts, then learns from what was seen."""
        acting, rollout = self.collect(state, index)
        return self.after(state, acting, rollout, index, index)

    def after(
        self,
        state: AgentState,
        acting: ActingState,
        rollout: Rollout,
        index: tf.Tensor,
        made: tf.Tensor,
    ) -> tuple[AgentState, Reports]:
        """What update `index` makes of the rollout that it collected in the environment.

        Statistics get to know the rollout afterwards, so that it is learned from by those that it
        was acted by.
        """
        rate = state.adam.settings.learning_rate(index)
        state, reports = self.learned(state, acting, rollout, index, rate, made)
        if self._scales:
            valid = by_member(rollout.valid) if tf.is_tensor(rollout.valid) else None
            observation = by_member(rollout.observation)
            state = state._replace(weights=self._scales.updated(state.weights, observation, valid))
        if state.rewards:
            default = tf.fill(state.seeds.shape, tf.constant(self.config.discount, tf.float32))
            discount = state.settings.get("discount", default)
            rewards = updated_reward_scale(state.rewards, rollout, discount)
            state = state._replace(rewards=rewards)
        return state, reports

    def scaled(self, state: AgentState, rollout: Rollout) -> Rollout:
        """The rollout with the rewards that are to be learned from."""
        if not state.rewards:
            return rollout
        return rollout._replace(reward=scaled_rewards(state.rewards, rollout.reward))

    def learned(
        self,
        state: AgentState,
        acting: ActingState,
        rollout: Rollout,
        index: tf.Tensor,
        rate: tf.Tensor,
        made: tf.Tensor,
    ) -> tuple[AgentState, Reports]:
        """The state after `learn`, and its reports with the returns and whether all is finite."""
        weights, adam, metrics = self.learn(state, rollout, index, rate, made)
        finite = tf.reduce_all(tf.stack([tf.math.is_finite(x) for x in metrics.values()]), axis=0)
        finite &= finite_weights(weights)
        reports = {**metrics, "finite": finite, **curves(rollout.last_return)}
        return state._replace(weights=weights, adam=adam, acting=acting), reports

    def collect(
        self,
        state: AgentState,
        index: tf.Tensor,
        env: Environment | None = None,
        with_states: bool = False,
    ) -> tuple[ActingState, Rollout]:
        """The rollout of update `index`, `[steps, members, envs, ...]`.

        Args:
            state: Where to start.
            index: int32 scalar that keys the random numbers.
            env: What to act in instead of `self.env`, such as a model of it.
            with_states: See `training.collect.collect`.
        """
        env = self.env if env is None else env
        c = self.config
        shape = [c.rollout_steps, c.num_environments, num_uniforms(env)]
        uniforms = member_uniforms(state.seeds, Purpose.ROLLOUT, index, shape)
        weights = self.population.prepared(state.weights.of("actor"), c.num_environments)

        def policy(observation):
            return self.population.outputs("actor", weights, observation)

        steps_first = tf.transpose(uniforms, [1, 0, 2, 3])
        return collect(env, policy, state.acting, steps_first, with_states)

    def values(self, weights: Weights, observation: tf.Tensor) -> tf.Tensor:
        """The critic's values `[steps, members, envs]` of a rollout's observations."""
        steps, _, envs = observation.shape[:3]
        flat = self.population.outputs("critic", weights, by_member(observation))[..., 0]
        return tf.transpose(tf.reshape(flat, [-1, steps, envs]), [1, 0, 2])

    def step(
        self,
        weights: Weights,
        adam: AdamState,
        gradients: Any,
        count: tf.Tensor,
        rate: tf.Tensor,
    ) -> tuple[Weights, AdamState]:
        """One step of Adam, whose number, from 1, is `count`; see `optimizer.adam_step`."""
        return adam_update(weights, gradients, adam, count, rate)

    def trouble(self, stage: str, index: int, state: AgentState, member: int) -> Trouble:
        """See `Learner.trouble`: looks whether it was the environment."""

        def make() -> Any:
            def run(state: AgentState, index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
                rollout = self.collect(state, index)[1]
                return rollout.reward, rollout.next_observation

            return tf.function(run, jit_compile=True, autograph=False)

        found = super().trouble(stage, index, state, member)
        if self._on_host is not None:
            sound = self._on_host.sound(state, member)
        else:
            program = programs.cached(("rollout", self.key), make)
            of_all = program(state, tf.constant(index))
            reward, observation = (bool(np.isfinite(x[:, member]).all()) for x in of_all)
            sound = reward, observation
        for name, finite in zip(("a reward", "an observation"), sound, strict=True):
            if not finite:
                return found._replace(
                    what=f"{name} of the environment {self.env.name} is infinite or NaN",
                    advice="The environment gave that number, so it has to be mended there.",
                )
        return found


def make_networks(
    env: BaseEnvironment,
    actor: str | keras.Model = "mlp",
    critic: str | keras.Model = "mlp",
    hidden_units: tuple[int, ...] = (64, 64),
    match_parameters: int | None = None,
    match_critic_parameters: int | None = None,
    actor_initializer: str | None = None,
    activation: str | None = None,
    standard_deviation: str = "constant",
    normalize: bool = False,
    convolutions: models.Convolutions | None = None,
    relaxation: models.Relaxation | None = None,
) -> tuple[keras.Model, keras.Model]:
    """An actor and a critic for an environment.

    Args:
        env: The environment.
        actor: Its kind, see `models.actor`, or a model, which is taken as it is.
        critic: Its kind, see `models.critic`, or a model.
        hidden_units: Widths of the hidden layers of both.
        match_parameters: See `models.actor`.
        match_critic_parameters: See `models.critic`.
        actor_initializer: See `models.actor`.
        activation: Of the hidden layers of both, see `models.actor`.
        standard_deviation: See `models.actor`; of no meaning where actions are discrete.
        normalize: See `models.actor` and `models.critic`.
        convolutions: Of both, see `models.actor`.
        relaxation: Of both, likewise.

    Raises:
        ValueError: If a network cannot be built, or a model does not fit the environment.
    """
    shape = env.observation_shape
    continuous = isinstance(env.action_distribution, Gaussian)
    described = [isinstance(network, str) for network in (actor, critic)]
    if any(described) and math.prod(shape) != env.symmetry.state.dim:
        raise ValueError(
            f"env.symmetry.state must act on the {math.prod(shape)} numbers of one observation of "
            f"{env.name}, shape {shape}. Received: a representation of dimension "
            f"{env.symmetry.state.dim}"
        )
    if isinstance(actor, str):
        actor = models.actor(
            env.symmetry,
            actor,
            hidden_units,
            match_parameters,
            actor_initializer,
            observation_shape=shape,
            activation=activation,
            standard_deviation=standard_deviation if continuous else None,
            normalize=normalize,
            convolutions=convolutions,
            relaxation=relaxation,
        )
    if isinstance(critic, str):
        critic = models.critic(
            env.symmetry,
            critic,
            hidden_units,
            match_critic_parameters,
            observation_shape=shape,
            activation=activation,
            normalize=normalize,
            convolutions=convolutions,
            relaxation=relaxation,
        )
    check_networks(env, actor, critic)
    return actor, critic


def check_networks(
    env: BaseEnvironment, actor: keras.Model, critic: keras.Model | None = None
) -> None:
    """Checks that the networks of an agent fit the environment.

    Raises:
        ValueError: Unless the actor maps observations to the parameters of the distribution of
            actions and the critic to one value, and neither has variables that are not trained
            (batch statistics, dropout seeds; the constant bases of `SymmetrizerDense` layers are
            allowed) or that belong to both.
    """
    expected = (None, *env.observation_shape)
    takes = f"observations of {env.name}"
    check_model(
        "actor",
        actor,
        takes,
        expected,
        f"{env.action_distribution.parameters} of {env.name}",
        (None, env.action_distribution.num_parameters),
    )
    if critic is None:
        return
    check_model("critic", critic, takes, expected, "one value", (None, 1))
    critics = {id(v) for v in critic.trainable_variables}
    shared = [v.path for v in actor.trainable_variables if id(v) in critics]
    if shared:
        raise ValueError(f"actor and critic must not share variables. Received: both with {shared}")
