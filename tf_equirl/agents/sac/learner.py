"""SAC as a learner: acting, replay and gradient steps of many members in one XLA program."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import tensorflow as tf

from tf_equirl.agents.sac.gradient_steps import (
    ACTOR,
    CRITICS,
    LOSSES,
    GradientSteps,
    Learned,
    images,
)
from tf_equirl.agents.sac.networks import check_networks
from tf_equirl.agents.sac.result import SACResult
from tf_equirl.envs import BaseEnvironment
from tf_equirl.training.augmentation import drawn_elements
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
    from tf_equirl.agents.sac.config import SACConfig

_SETTINGS = ("discount", "tau", "target_entropy", "initial_temperature")
_RATES = {"actor": "actor_learning_rate", "temperature": "temperature_learning_rate"}


class SACState(NamedTuple):
    """All that a run needs to go on, with a leading `[members]` axis.

    All are tensors but for the variables of the buffer, which calls write in place.
    """

    seeds: tf.Tensor
    weights: Weights
    target: dict[str, list[tf.Tensor]]  # trained weights of the target critics, by their role
    log_temperature: tf.Tensor
    adam: dict[str, AdamState]  # of "actor", "critics" and "temperature"
    acting: ActingState
    settings: dict[str, tf.Tensor]  # see `SACLearner.settings`
    buffer: Any  # `Kept`; empty inside of the program, which is handed it beside the state


def anywhere(parameters: tf.Tensor, uniforms: tf.Tensor) -> tf.Tensor:
    """Actions of a `SquashedGaussian`, before they are squashed, of equal density in the box.

    Args:
        parameters: Of no meaning.
        uniforms: `[..., d]` in [0, 1).
    """
    # In the middle between multiples of 2^-23, as where the Gaussian draws.
    inside = tf.minimum(uniforms, 1 - 2.0**-23) + 2.0**-24
    return tf.atanh(2.0 * inside - 1.0)


class SACLearner(OffPolicyLearner):
    """Soft actor-critic (Haarnoja et al., 2018) for many members, in one compiled program.

    Args:
        env: The environment.
        config: Hyperparameters.
        actor: Keras model, `[batch, *observation_shape]` to means and logarithms of standard
            deviations.
        q_function: Keras model of the architecture of both critics, `[observation, action]` to
            `[batch, 1]`.

    Attributes:
        steps: What is learned from the rows of the memory.

    Raises:
        ValueError: If the environment's actions are not those of a bounded box that policies are
            squashed into, or a model does not fit it.
    """

    trainer = "train_sac"
    losses = LOSSES
    first_draw = staticmethod(anywhere)
    described = (
        *("actor", "q_function", "hidden_units", "activation"),
        *("match_parameters", "match_q_function_parameters"),
    )
    config: SACConfig
    per_member = {
        **OPTIMIZER_FIELDS,
        **dict.fromkeys((*_SETTINGS, *_RATES.values()), nothing),
    }

    def __init__(
        self,
        env: BaseEnvironment,
        config: SACConfig,
        actor: keras.Model,
        q_function: keras.Model,
    ):
        check_networks(env, actor, q_function)
        twin = keras.models.clone_model(q_function)
        super().__init__(env, config, {ACTOR: actor, CRITICS[0]: q_function, CRITICS[1]: twin})
        self.steps = GradientSteps(self.population, env.action_distribution, config)

    def start(self, seeds: Sequence[int], configs: Sequence[SACConfig] | None = None) -> SACState:
        """The state before the first update: weights and episodes, both from the seeds."""
        configs = [self.config] * len(seeds) if configs is None else configs
        weights = self.population.fresh(seeds)
        keys = tf.constant(list(seeds), tf.int32)
        settings = self.settings(configs)
        log_temperature = tf.math.log(settings["initial_temperature"])
        learned = {
            "actor": weights.trained[ACTOR],
            "critics": tf.nest.flatten(weights.of(*CRITICS).trained),
            "temperature": [log_temperature],
        }
        adam = {
            name: initial_adam_state(
                trained,
                adam_settings([_optimizer(c, name) for c in configs], self.config.num_updates),
            )
            for name, trained in learned.items()
        }
        return SACState(
            keys,
            weights,
            tf.nest.map_structure(tf.identity, weights.of(*CRITICS).trained),
            log_temperature,
            adam,
            self.start_acting(keys),
            settings,
            self.memory.empty(len(seeds)),
        )

    def settings(self, configs: Sequence[SACConfig]) -> dict[str, tf.Tensor]:
        """See `ActingLearner.settings`."""
        columns = {name: [getattr(c, name) for c in configs] for name in _SETTINGS}
        (dim,) = self.env.action_distribution.action_shape
        columns["target_entropy"] = [-dim if x is None else x for x in columns["target_entropy"]]
        return {name: tf.constant(values, tf.float32) for name, values in columns.items()}

    def learning(self, state: SACState, totals: list[tf.Tensor]) -> Learned:
        """See `OffPolicyLearner.learning`."""
        return Learned(state.weights, state.target, state.log_temperature, state.adam, totals)

    def policy_of(
        self, learned: Learned, settings: dict[str, tf.Tensor], index: tf.Tensor, phase: tf.Tensor
    ) -> tuple[Policy, Draw]:
        """See `OffPolicyLearner.policy_of`: any actions before gradient steps, then the actor's."""
        c, distribution = self.config, self.env.action_distribution
        prepared = self.population.prepared(learned.weights.of(ACTOR), c.num_environments)
        learns = index * c.phases + phase > c.first_phase

        def policy(observation):
            return self.population.outputs(ACTOR, prepared, observation)

        def draw(parameters, uniforms):
            drawn = distribution.sample(parameters, uniforms)
            return tf.where(learns, drawn, anywhere(parameters, uniforms))

        return policy, draw

    def rates(self, state: SACState, index: tf.Tensor) -> dict[str, tf.Tensor]:
        """See `OffPolicyLearner.rates`: `[members]` by the names of `SACState.adam`."""
        return {name: adam.settings.learning_rate(index) for name, adam in state.adam.items()}

    def step(
        self,
        learned: Learned,
        batch: Batch,
        state: SACState,
        number: tf.Tensor,
        rates: dict[str, tf.Tensor],
    ) -> Learned:
        """See `OffPolicyLearner.step`. Its random numbers are keyed by its number in the run."""
        if self.config.augmentation == "random":
            shape = [self.config.batch_size]
            drawn = member_uniforms(state.seeds, Purpose.AUGMENTATION, number, shape)
            elements = drawn_elements(drawn, self.env.symmetry.group.order)
            batch = images(self.env, batch, elements)
        shape = [2, self.config.batch_size, self.env.action_distribution.num_uniforms]
        uniforms = member_uniforms(state.seeds, Purpose.LEARNING, number, shape)
        return self.steps.step(learned, batch, state.settings, uniforms, number, rates)

    def metrics(self, state: SACState, learned: Learned, index: tf.Tensor) -> dict[str, tf.Tensor]:
        """See `OffPolicyLearner.metrics`: the temperature at the end of the update."""
        return {"temperature": tf.exp(learned.log_temperature)}

    def result(self, outcome: Outcome) -> SACResult:
        """See `Learner.result`."""
        return SACResult(**self.fields(outcome))


def _optimizer(config: SACConfig, name: str) -> SACConfig:
    """The config with the step size of one of its three optimisers."""
    own = getattr(config, _RATES[name]) if name in _RATES else None
    return config if own is None else dataclasses.replace(config, learning_rate=own)
