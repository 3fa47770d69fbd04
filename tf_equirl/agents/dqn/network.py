"""The network of DQN: made for an environment, and checked."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import keras

from tf_equirl import models
from tf_equirl._checks import instance
from tf_equirl.distributions import Categorical
from tf_equirl.envs import BaseEnvironment, Environment
from tf_equirl.training.model_checks import check_model

if TYPE_CHECKING:
    from tf_equirl.agents.dqn.config import DQNConfig


def make_q_function(env: BaseEnvironment, config: DQNConfig) -> keras.Model:
    """The network that a config describes.

    Raises:
        ValueError: If it cannot be built, or does not fit the environment.
    """
    check_environment(env)
    size = math.prod(env.observation_shape)
    if size != env.symmetry.state.dim:
        raise ValueError(
            f"env.symmetry.state must act on the {size} numbers of one observation of "
            f"{env.name}, shape {env.observation_shape}. Received: a representation of dimension "
            f"{env.symmetry.state.dim}"
        )
    return models.q_function(
        env.symmetry,
        config.q_function,
        config.hidden_units,
        config.match_parameters,
        observation_shape=env.observation_shape,
        activation=config.activation,
        convolutions=config.convolutions(),
        relaxation=config.relaxation(),
    )


def check_environment(env: BaseEnvironment) -> None:
    """Checks that DQN can learn in an environment.

    Raises:
        ValueError: If its actions are not discrete, or it is stepped on the host.
    """
    instance("env", env, BaseEnvironment, "an environment")
    if not isinstance(env.action_distribution, Categorical):
        raise ValueError(
            "`env` must have discrete actions, one value for each; train_sac and train_ppo have "
            f"continuous ones. Received: env={env.name}, whose policy gives "
            f"{env.action_distribution.parameters}"
        )
    if not isinstance(env, Environment):
        raise ValueError(
            "`env` must consist of functions of tensors, an envs.Environment, whose states DQN "
            f"keeps; train_ppo takes any. Received: env={env.name}, which is stepped on the host"
        )


def check_q_function(env: BaseEnvironment, q_function: keras.Model) -> None:
    """Checks that a network fits an environment.

    Raises:
        ValueError: If it does not, has variables that training would not treat rightly, or DQN
            cannot learn there.
    """
    check_environment(env)
    check_model(
        "q_function",
        q_function,
        f"observations of {env.name}",
        (None, *env.observation_shape),
        f"one value for each of the actions of {env.name}",
        (None, env.action_distribution.num_parameters),
    )
