"""A genuine tf-agents PPO agent from Keras 3 models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from tf_equirl.agents.ppo.door import ppo_clip_agent, tensor_spec, time_step
from tf_equirl.agents.ppo.networks import KerasNetwork
from tf_equirl.distributions import Categorical, Distribution
from tf_equirl.envs import Environment

if TYPE_CHECKING:
    from tf_equirl.agents.ppo.config import PPOConfig


def clip_agent(
    env: Environment, config: PPOConfig, actor: keras.Model, critic: keras.Model
) -> ppo_clip_agent.PPOClipAgent:
    """An initialised `tf_agents.agents.PPOClipAgent`; see `make_ppo_agent`.

    Raises:
      ValueError: if tf-agents' PPO is not connected to the environment's distribution of actions.
    """
    action_spec = policy_spec(env.action_distribution)
    observation_spec = tensor_spec.TensorSpec(env.observation_shape, tf.float32, "observation")
    agent = ppo_clip_agent.PPOClipAgent(
        time_step.time_step_spec(observation_spec),
        action_spec,
        optimizer=tf.keras.optimizers.Adam(
            config.learning_rate, config.adam_beta_1, config.adam_beta_2, config.adam_epsilon
        ),
        actor_net=KerasNetwork(actor, observation_spec, "categorical"),
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


def policy_spec(distribution: Distribution) -> tensor_spec.BoundedTensorSpec:
    """tf-agents' description of the actions of a distribution.

    Raises:
      ValueError: if tf-agents' PPO is not connected to such a distribution here.
    """
    if isinstance(distribution, Categorical):
        last = distribution.num_parameters - 1
        return tensor_spec.BoundedTensorSpec([], tf.int32, 0, last, "action")
    raise ValueError(
        "env.action_distribution must be a Categorical to train PPO. Received: "
        f"{type(distribution).__name__}"
    )


def loss_info(
    agent: ppo_clip_agent.PPOClipAgent,
    observation: tf.Tensor,
    action: tf.Tensor,
    log_prob: tf.Tensor,
    returns: tf.Tensor,
    advantage: tf.Tensor,
    value: tf.Tensor,
) -> Any:
    """The agent's `LossInfo` for some rows.

    Args:
      agent: what `make_ppo_agent` made.
      observation: `[rows, *observation_shape]`.
      action: `[rows, *action_shape]`.
      log_prob: `[rows]`, of the actions when they were taken.
      returns: `[rows]`, the critic's targets.
      advantage: `[rows]`, normalised.
      value: `[rows]`, the critic's values when the actions were taken.
    """
    rows = observation.shape[0]
    steps = time_step.TimeStep(
        step_type=tf.fill([rows], time_step.StepType.MID),
        reward=tf.zeros([rows]),
        discount=tf.ones([rows]),
        observation=observation,
    )
    # The summaries inside tf-agents' loss would write from within the compiled program.
    with tf.summary.record_if(False):
        return agent.get_loss(
            steps,
            action,
            log_prob,
            returns,
            advantage,
            (),
            tf.ones([rows]),
            agent.train_step_counter,
            False,
            old_value_predictions=value,
            training=True,
        )
