"""A genuine tf-agents PPO agent from Keras 3 models."""

from __future__ import annotations

import math

import keras
import tensorflow as tf
from tf_agents.agents.ppo import ppo_clip_agent
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts

from tf_equirl import models
from tf_equirl.agents.ppo.config import PPOConfig
from tf_equirl.agents.ppo.networks import KerasNetwork
from tf_equirl.envs import Environment, make
from tf_equirl.training.model_checks import check_model


def make_models(
    env: Environment,
    config: PPOConfig,
    actor: keras.Model | None = None,
    critic: keras.Model | None = None,
) -> tuple[keras.Model, keras.Model]:
    """The given actor and critic, checked; what is not given is built as `config` describes.

    Raises:
      ValueError: if a model does not fit the environment, or as `models.actor` and
        `models.critic` do.
    """
    shape = env.observation_shape
    if (actor is None or critic is None) and math.prod(shape) != env.symmetry.state.dim:
        raise ValueError(
            f"env.symmetry.state must act on the {math.prod(shape)} numbers of one observation of "
            f"{env.name}, shape {shape}. Received: a representation of dimension "
            f"{env.symmetry.state.dim}"
        )
    if actor is None:
        actor = models.actor(
            env.symmetry,
            config.actor,
            config.hidden_units,
            config.match_parameters,
            config.actor_initializer,
            observation_shape=shape,
        )
    if critic is None:
        critic = models.critic(
            env.symmetry,
            config.critic,
            config.hidden_units,
            config.match_critic_parameters,
            observation_shape=shape,
        )
    check_models(env, actor, critic)
    return actor, critic


def check_models(env: Environment, actor: keras.Model, critic: keras.Model) -> None:
    """Checks that the models fit the environment.

    Raises:
      ValueError: unless the actor maps observations to one logit per action and the critic to one
        value, and neither has variables that are not trained (batch statistics, dropout seeds; the
        constant bases of `SymmetrizerDense` layers are allowed) or that belong to both.
    """
    expected = (None, *env.observation_shape)
    takes = f"observations of {env.name}"
    logits = f"one logit for each of the actions of {env.name}"
    check_model("actor", actor, takes, expected, logits, (None, env.num_actions))
    check_model("critic", critic, takes, expected, "one value", (None, 1))
    critics = {id(v) for v in critic.trainable_variables}
    shared = [v.path for v in actor.trainable_variables if id(v) in critics]
    if shared:
        raise ValueError(f"actor and critic must not share variables. Received: both with {shared}")


def make_ppo_agent(
    env: Environment | str,
    config: PPOConfig | None = None,
    actor: keras.Model | None = None,
    critic: keras.Model | None = None,
) -> ppo_clip_agent.PPOClipAgent:
    """A `tf_agents.agents.PPOClipAgent` that trains the given Keras 3 models.

    Its loss is the one that `train_ppo` minimises: the clipped surrogate (equation 7 of Schulman
    et al., 2017), no KL penalty, half the clipped squared value error, the entropy bonus. The rest
    of the training loop is tf-agents' own (0.19) and differs from `train_ppo`: `agent.train` makes
    `config.num_epochs` passes over the whole batch, without minibatches, and normalises advantages
    over all of it; generalised advantage estimation bootstraps from the last but one value, and
    takes an episode that was cut off for one that ended.

    Args:
      env: the environment, or its name.
      config: hyperparameters; the defaults if None. `learning_rate` is constant here.
      actor: policy network `[batch, *observation_shape] -> [batch, num_actions]`; built from
        `config` if None.
      critic: value network `[batch, *observation_shape] -> [batch, 1]`; built from `config` if
        None.

    Returns:
      An initialised agent, for `tf_equirl.envs.make_tf_agents` environments and tf-agents'
      drivers.

    Raises:
      ValueError: if a model does not fit the environment.
    """
    config = config or PPOConfig()
    env = make(env)
    actor, critic = make_models(env, config, actor, critic)
    observation_spec = tensor_spec.TensorSpec(env.observation_shape, tf.float32, "observation")
    action_spec = tensor_spec.BoundedTensorSpec([], tf.int32, 0, env.num_actions - 1, "action")
    agent = ppo_clip_agent.PPOClipAgent(
        ts.time_step_spec(observation_spec),
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
