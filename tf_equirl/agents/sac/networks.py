"""The networks of SAC: made for an environment, and checked."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import keras
import numpy as np

from tf_equirl import models
from tf_equirl._checks import instance
from tf_equirl.distributions import Gaussian, SquashedGaussian
from tf_equirl.distributions.gaussian import check_box
from tf_equirl.envs import BaseEnvironment
from tf_equirl.training.model_checks import check_model

if TYPE_CHECKING:
    from tf_equirl.agents.sac.config import SACConfig


def make_networks(
    env: BaseEnvironment,
    config: SACConfig,
    actor: keras.Model | None = None,
    q_function: keras.Model | None = None,
) -> tuple[keras.Model, keras.Model]:
    """An actor and a critic: the given ones, or those that a config describes.

    Raises:
        ValueError: If one cannot be built, or does not fit the environment.
    """
    check_environment(env)
    size = math.prod(env.observation_shape)
    if (actor is None or q_function is None) and size != env.symmetry.state.dim:
        raise ValueError(
            f"env.symmetry.state must act on the {size} numbers of one observation of "
            f"{env.name}, shape {env.observation_shape}. Received: a representation of dimension "
            f"{env.symmetry.state.dim}"
        )
    if actor is None:
        actor = models.actor(
            env.symmetry,
            config.actor,
            config.hidden_units,
            config.match_parameters,
            observation_shape=env.observation_shape,
            activation=config.activation,
            standard_deviation="state",
            convolutions=config.convolutions(),
            relaxation=config.relaxation(),
        )
    if q_function is None:
        q_function = models.q_function(
            env.symmetry,
            config.q_function,
            config.hidden_units,
            config.match_q_function_parameters,
            observation_shape=env.observation_shape,
            activation=config.activation,
            convolutions=config.convolutions(),
            relaxation=config.relaxation(),
            continuous=True,
        )
    return actor, q_function


def check_environment(env: BaseEnvironment) -> None:
    """Checks that SAC can learn in an environment.

    Raises:
        ValueError: If its actions are not those of a box with finite bounds that a hyperbolic
            tangent squashes policies into, or its group does not map the box to itself.
    """
    instance("env", env, BaseEnvironment, "an environment")
    distribution = env.action_distribution
    if not isinstance(distribution, Gaussian):
        raise ValueError(
            "`env` must have continuous actions; train_dqn and train_ppo have discrete ones. "
            f"Received: env={env.name}, whose policy gives {distribution.parameters}"
        )
    low, high = distribution.low, distribution.high
    if not np.isfinite([low, high]).all():
        raise ValueError(
            "`env` must have actions in a box of finite bounds, into which policies are squashed; "
            f"train_ppo takes others, too. Received: env={env.name}, of bounds {low.tolist()} and "
            f"{high.tolist()}"
        )
    if not isinstance(distribution, SquashedGaussian):
        raise ValueError(
            "`env` must have a policy that is squashed into the box of actions, as "
            f'envs.make("Pendulum-v1", policy="squashed_gaussian") has. Received: env={env.name}, '
            f"whose action_distribution is a {type(distribution).__name__}"
        )
    check_box(env.symmetry.action, low, high)


def check_networks(env: BaseEnvironment, actor: keras.Model, q_function: keras.Model) -> None:
    """Checks that networks fit an environment.

    Raises:
        ValueError: If they do not, have variables that training would not treat rightly, or SAC
            cannot learn there.
    """
    check_environment(env)
    distribution, seen = env.action_distribution, (None, *env.observation_shape)
    check_model(
        "actor",
        actor,
        f"observations of {env.name}",
        seen,
        f"{distribution.parameters} of {env.name}",
        (None, distribution.num_parameters),
    )
    check_model(
        "q_function",
        q_function,
        f"a list of observations and actions of {env.name}",
        [seen, (None, *distribution.action_shape)],
        "one value",
        (None, 1),
    )
