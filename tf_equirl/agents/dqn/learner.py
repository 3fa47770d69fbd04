"""DQN as a learner: acting, replay and gradient steps of many members in one XLA program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import tensorflow as tf

from tf_equirl.agents.dqn.exploration import epsilon_at, epsilon_greedy
from tf_equirl.agents.dqn.gradient_steps import LOSSES, ROLE, GradientSteps, Learned
from tf_equirl.agents.dqn.network import check_q_function
from tf_equirl.agents.dqn.result import DQNResult
from tf_equirl.envs import BaseEnvironment, Environment
from tf_equirl.training.collect import ActingState, Policy
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
from tf_equirl.training.result import Outcome

if TYPE_CHECKING:
    from tf_equirl.agents.dqn.config import DQNConfig

_SETTINGS = ("discount", "huber_delta", "epsilon_start", "epsilon_end", "epsilon_steps")


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


class DQNLearner(OffPolicyLearner):
    """Double DQN (van Hasselt et al., 2016) for many members, in one compiled program.

    Acting, replay, targets and gradient steps are part of it. A member's numbers depend on its own
    seed and on nothing of the other members.

    Args:
        env: The environment.
        config: Hyperparameters.
        q_function: Keras model, `[batch, *observation_shape] -> [batch, num_actions]`.

    Attributes:
        steps: What is learned from the rows of the memory.

    Raises:
        ValueError: If the environment has no discrete actions or is none of tensors, or the model
            does not fit it.
    """

    trainer = "train_dqn"
    policy = ROLE
    losses = LOSSES
    described = ("q_function", "hidden_units", "match_parameters", "activation")
    env: Environment
    config: DQNConfig
    per_member = {**OPTIMIZER_FIELDS, **dict.fromkeys(_SETTINGS, nothing)}

    def __init__(self, env: BaseEnvironment, config: DQNConfig, q_function: keras.Model):
        check_q_function(env, q_function)
        super().__init__(env, config, {ROLE: q_function}, config.n_steps)
        self.steps = GradientSteps(self.population, config)

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

    def learning(self, state: DQNState, totals: list[tf.Tensor]) -> Learned:
        """See `OffPolicyLearner.learning`."""
        return Learned(state.weights, state.target, state.adam, totals)

    def policy_of(
        self, learned: Learned, settings: dict[str, tf.Tensor], index: tf.Tensor, phase: tf.Tensor
    ) -> tuple[Policy, None]:
        """See `OffPolicyLearner.policy_of`: epsilon-greedy."""
        epsilon = self.epsilon(settings, index, phase)[:, tf.newaxis]
        prepared = self.population.prepared(learned.weights, self.config.num_environments)

        def policy(observation):
            values = self.population.outputs(ROLE, prepared, observation)
            return epsilon_greedy(values, epsilon)

        return policy, None

    def rates(self, state: DQNState, index: tf.Tensor) -> tf.Tensor:
        """See `OffPolicyLearner.rates`: `[members]`."""
        return state.adam.settings.learning_rate(index)

    def step(
        self, learned: Learned, batch: Batch, state: DQNState, number: tf.Tensor, rates: tf.Tensor
    ) -> Learned:
        """See `OffPolicyLearner.step`."""
        return self.steps.step(learned, batch, state.settings, number, rates)

    def metrics(self, state: DQNState, learned: Learned, index: tf.Tensor) -> dict[str, tf.Tensor]:
        """See `OffPolicyLearner.metrics`: epsilon at the end of the update."""
        return {"epsilon": self.epsilon(state.settings, index + 1, tf.constant(0))}

    def epsilon(
        self, settings: dict[str, tf.Tensor], index: tf.Tensor, phase: tf.Tensor
    ) -> tf.Tensor:
        """Epsilon in a phase of an update, `[members]`."""
        c = self.config
        steps = tf.cast(index, tf.float32) * float(c.update_timesteps)
        steps += tf.cast(phase, tf.float32) * float(c.train_every)
        start, end, decay = (settings[f"epsilon_{name}"] for name in ("start", "end", "steps"))
        return epsilon_at(c.epsilon_decay, start, end, decay, steps)

    def result(self, outcome: Outcome) -> DQNResult:
        """See `Learner.result`."""
        return DQNResult(**self.fields(outcome))
