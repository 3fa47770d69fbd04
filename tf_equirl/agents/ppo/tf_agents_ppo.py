"""A genuine tf-agents PPO agent from Keras 3 models."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import keras
import tensorflow as tf

from tf_equirl.agents.ppo.door import ppo_clip_agent, tensor_spec, time_step
from tf_equirl.agents.ppo.networks import KerasNetwork
from tf_equirl.distributions import Categorical, Distribution, Gaussian
from tf_equirl.envs import BaseEnvironment

if TYPE_CHECKING:
    from tf_equirl.agents.ppo.config import PPOConfig

_Agent = TypeVar("_Agent", bound=ppo_clip_agent.PPOClipAgent)


def clip_agent(
    env: BaseEnvironment,
    config: PPOConfig,
    actor: keras.Model,
    critic: keras.Model,
    kind: type[_Agent] = ppo_clip_agent.PPOClipAgent,
) -> _Agent:
    """An initialised `tf_agents.agents.PPOClipAgent`; see `make_ppo_agent`.

    Raises:
        ValueError: If tf-agents' PPO is not connected to the environment's distribution of actions.
    """
    distribution = env.action_distribution
    action_spec = policy_spec(distribution)
    head = "categorical" if isinstance(distribution, Categorical) else distribution
    observation_spec = tensor_spec.TensorSpec(env.observation_shape, tf.float32, "observation")
    agent = kind(
        time_step.time_step_spec(observation_spec),
        action_spec,
        optimizer=tf.keras.optimizers.Adam(
            config.learning_rate, config.adam_beta_1, config.adam_beta_2, config.adam_epsilon
        ),
        actor_net=KerasNetwork(actor, observation_spec, head),
        value_net=KerasNetwork(critic, observation_spec, "value"),
        importance_ratio_clipping=config.clip_ratio,
        lambda_value=config.gae_lambda,
        discount_factor=config.discount,
        entropy_regularization=config.entropy_coefficient,
        # tf-agents' value loss is the whole squared error.
        value_pred_loss_coef=0.5 * config.value_coefficient,
        num_epochs=config.num_epochs,
        use_gae=True,
        use_td_lambda_return=True,
        normalize_rewards=False,
        normalize_observations=False,
        gradient_clipping=config.max_gradient_norm,
        value_clipping=config.clip_value,
        compute_value_and_advantage_in_train=True,
        update_normalizers_in_train=False,
        train_step_counter=tf.Variable(0, dtype=tf.int64, trainable=False),
    )
    agent.initialize()
    return agent


def policy_spec(distribution: Distribution) -> tensor_spec.TensorSpec:
    """tf-agents' description of the actions of a distribution.

    Raises:
        ValueError: If tf-agents' PPO is not connected to such a distribution here.
    """
    if isinstance(distribution, Categorical):
        last = distribution.num_parameters - 1
        return tensor_spec.BoundedTensorSpec([], tf.int32, 0, last, "action")
    if isinstance(distribution, Gaussian):  # bounded where it is executed, not where it is drawn
        return tensor_spec.TensorSpec(distribution.action_shape, tf.float32, "action")
    raise ValueError(
        "env.action_distribution must be a Categorical or a Gaussian to train PPO. Received: "
        f"{type(distribution).__name__}"
    )


class Bound:
    """A positive number of a program in the place of one that tf-agents knows beforehand.

    tf-agents asks in Python whether a bound is positive, which a tensor cannot tell. It is; and the
    numbers that are computed from it come rounded once, as those of a Python float do.

    Args:
        value: Scalar.
        below: 1 - value, rounded once.
        above: 1 + value, rounded once.
    """

    def __init__(
        self, value: tf.Tensor, below: tf.Tensor | None = None, above: tf.Tensor | None = None
    ):
        self.value = value
        self._below = below
        self._above = above

    def __gt__(self, other: float) -> bool:
        """It is positive."""
        return True

    def __neg__(self) -> tf.Tensor:
        """The lower bound."""
        return -self.value

    def __rsub__(self, one: float) -> tf.Tensor:
        """`one` is 1."""
        return self._below

    def __radd__(self, one: float) -> tf.Tensor:
        """`one` is 1."""
        return self._above


tf.register_tensor_conversion_function(Bound, lambda bound, *_, **__: bound.value)


class MemberAgent(ppo_clip_agent.PPOClipAgent):
    """The agent with other numbers in its loss than its own: those of one member of many."""

    _settings: Mapping[str, tf.Tensor] = {}
    _weight: tf.Tensor | None = None

    def loss_info(
        self,
        settings: Mapping[str, tf.Tensor],
        observation: tf.Tensor,
        action: tf.Tensor,
        log_prob: tf.Tensor,
        returns: tf.Tensor,
        advantage: tf.Tensor,
        value: tf.Tensor,
        weight: tf.Tensor | None = None,
    ) -> Any:
        """The agent's `LossInfo` for some rows.

        Args:
            settings: Scalars `clip_ratio`, `least_ratio` and `most_ratio`, 1 less and more of it,
                `clip_value` (whether values are bounded at all is the agent's own), and
                `entropy_bonus` of one row.
            observation: `[rows, *observation_shape]`.
            action: `[rows, *action_shape]`.
            log_prob: `[rows]`, of the actions when they were taken.
            returns: `[rows]`, the critic's targets.
            advantage: `[rows]`, normalised.
            value: `[rows]`, the critic's values when the actions were taken.
            weight: `[rows]`, of mean 1, what each row counts for; all alike if None.
        """
        rows = observation.shape[0]
        steps = time_step.TimeStep(
            step_type=tf.fill([rows], time_step.StepType.MID),
            reward=tf.zeros([rows]),
            discount=tf.ones([rows]),
            observation=observation,
        )
        # The summaries inside tf-agents' loss would write from within the compiled program.
        with tf.summary.record_if(False), self._with(settings, weight):
            return self.get_loss(
                steps,
                action,
                log_prob,
                returns,
                advantage,
                (),
                tf.ones([rows]) if weight is None else weight,
                self.train_step_counter,
                False,
                old_value_predictions=value,
                training=True,
            )

    def entropy_regularization_loss(
        self,
        time_steps: Any,
        entropy: tf.Tensor,
        weights: tf.Tensor,
        debug_summaries: bool = False,
    ) -> tf.Tensor:
        """That of tf-agents, where a coefficient stands for every row, rounded once."""
        if self._weight is not None:
            entropy *= self._weight
        self.mean_entropy = tf.reduce_mean(entropy)
        return tf.reduce_sum(-entropy * self._settings["entropy_bonus"])

    @contextlib.contextmanager
    def _with(self, settings: Mapping[str, tf.Tensor], weight: tf.Tensor | None) -> Iterator[None]:
        own: Any = vars(self)
        before = dict(own)
        ratio = (settings[name] for name in ("clip_ratio", "least_ratio", "most_ratio"))
        own.update(_settings=settings, _weight=weight, _importance_ratio_clipping=Bound(*ratio))
        if own["_value_clipping"]:
            own["_value_clipping"] = Bound(settings["clip_value"])
        try:
            yield
        finally:
            names = ("_importance_ratio_clipping", "_value_clipping")
            own.update({name: before[name] for name in names})
