"""The networks of DrQ-v2: made for an environment, checked, and put together as a policy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import keras
import numpy as np

from tf_equirl._checks import instance
from tf_equirl.distributions import Gaussian, SquashedGaussian
from tf_equirl.distributions.gaussian import LEAST_LOG_DEVIATION, check_box
from tf_equirl.envs import BaseEnvironment
from tf_equirl.groups import picture_of
from tf_equirl.layers import InvariantVector
from tf_equirl.models.inputs import unconstrained
from tf_equirl.models.on_encoder import OnEncoder, on_encoder
from tf_equirl.training.model_checks import check_model

if TYPE_CHECKING:
    from tf_equirl.agents.drqv2.config import DrQv2Config


def make_networks(env: BaseEnvironment, config: DrQv2Config) -> OnEncoder:
    """Encoder, actor and critic that a config describes.

    Raises:
        ValueError: If they cannot be built, or do not fit the environment.
    """
    check_environment(env)
    if picture_of(env.symmetry.state) is None:
        raise ValueError(
            "`env` must have pictures for observations, on which its symmetry acts by an "
            "image_representation, such as envs.Pixels(); train_sac and train_ppo take vectors. "
            f"Received: env={env.name}, whose observations have shape {env.observation_shape}, and "
            f"symmetry.state is {env.symmetry.state}"
        )
    size = math.prod(env.observation_shape)
    if size != env.symmetry.state.dim:
        raise ValueError(
            f"env.symmetry.state must act on the {size} numbers of one observation of "
            f"{env.name}, shape {env.observation_shape}. Received: a representation of dimension "
            f"{env.symmetry.state.dim}"
        )
    return on_encoder(
        env.symmetry,
        config.networks,
        config.features,
        config.hidden_units,
        config.match_parameters,
        observation_shape=env.observation_shape,
        convolutions=config.convolutions(),
        relaxation=config.relaxation(),
    )


def check_environment(env: BaseEnvironment) -> None:
    """Checks that DrQ-v2 can learn in an environment.

    Raises:
        ValueError: If its actions are not those of a box with finite bounds at which noise is cut
            off, or its group does not map the box to itself.
    """
    instance("env", env, BaseEnvironment, "an environment")
    distribution = env.action_distribution
    if not isinstance(distribution, Gaussian):
        raise ValueError(
            "`env` must have continuous actions; train_dqn and train_ppo have discrete ones. "
            f"Received: env={env.name}, whose policy gives {distribution.parameters}"
        )
    low, high = distribution.low, distribution.high
    if isinstance(distribution, SquashedGaussian) or not np.isfinite([low, high]).all():
        raise ValueError(
            "`env` must have actions in a box of finite bounds at which noise is cut off, those "
            'of policy="gaussian"; train_sac takes others. Received: '
            f"env={env.name}, whose action_distribution is a {type(distribution).__name__} on "
            f"{low.tolist()} to {high.tolist()}"
        )
    check_box(env.symmetry.action, low, high)


def check_networks(env: BaseEnvironment, networks: OnEncoder) -> None:
    """Checks that networks fit an environment, and each other.

    Raises:
        ValueError: If they do not, have variables that training would not treat rightly, or DrQ-v2
            cannot learn there.
    """
    check_environment(env)
    acting = (None, *env.action_distribution.action_shape)
    encoder = networks.encoder
    features = getattr(encoder, "output_shape", None)
    flat = isinstance(features, tuple) and len(features) == 2
    check_model(
        "encoder",
        encoder,
        f"observations of {env.name}",
        (None, *env.observation_shape),
        "a vector of features",
        features if flat else (None, None),
    )
    check_model("actor", networks.actor, "features", features, f"actions of {env.name}", acting)
    takes = f"a list of features and actions of {env.name}"
    check_model("critic", networks.critic, takes, [features, acting], "two values", (None, 2))


def policy_model(
    encoder: keras.Model, actor: keras.Model, deviation: float, count: int = 1
) -> keras.Model:
    """A policy: from observations to the parameters of the environment's distribution of actions.

    Means are what encoder and actor make of an observation; standard deviations are the same
    everywhere. A greedy policy takes the means.

    Args:
        encoder: The encoder, whose variables are shared.
        actor: The actor, likewise.
        deviation: The standard deviation.
        count: Of standard deviations, see `deviations`.
    """
    logarithm = math.log(max(deviation, math.exp(LEAST_LOG_DEVIATION)))
    observation = keras.Input(encoder.input_shape[1:], name="observation")
    means = actor(encoder(observation))
    vector = InvariantVector(unconstrained(count), logarithm)(means)
    return keras.Model(observation, keras.layers.Concatenate()([means, vector]), name="actor")


def deviations(env: BaseEnvironment) -> int:
    """How many standard deviations the distribution of actions has."""
    distribution = env.action_distribution
    return distribution.num_parameters - distribution.action_shape[0]
