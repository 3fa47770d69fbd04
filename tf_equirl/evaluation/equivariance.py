"""The equivariance of a model, measured on states of its environment."""

from __future__ import annotations

import math

import keras
import numpy as np
from numpy.typing import NDArray

from tf_equirl._checks import LARGEST_SAMPLE, instance, positive_integer, random_seed
from tf_equirl.envs import BaseEnvironment, GymnasiumVectorEnv, HostEnvironment
from tf_equirl.envs.registry import environment_of
from tf_equirl.envs.symmetries.dynamics import actions_of
from tf_equirl.groups import trivial_representation
from tf_equirl.testing import EquivarianceError, equivariance_error

_STEPS = 32


def model_equivariance_error(
    model: keras.Model, env: BaseEnvironment | str, states: int = 1000, seed: int = 0
) -> EquivarianceError:
    """Measures how far a model is from the law that the environment's symmetry asks for.

    That is `pi(rho_S(g) s) = rho_A(g) pi(s)` for logits [batch, num_actions], likewise for the
    parameters of other distributions of actions, and `V(rho_S(g) s) = V(s)` for values [batch, 1],
    about the symmetry's center where it has one; the states s are `visited_observations`.

    Args:
        model: A policy or a critic of the environment's observations.
        env: The environment or its registered name.
        states: How many, at most 10^8.
        seed: An integer in [0, 2^31).

    Raises:
        ValueError: If an argument is not one of those, or the model's output has another shape.
    """
    env = environment_of(env)
    instance("model", model, keras.Model, "a Keras model")
    observations = visited_observations(env, states, seed)
    symmetry = env.symmetry

    def flat(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        batch = inputs.reshape(-1, *env.observation_shape)
        return np.asarray(keras.ops.convert_to_numpy(model(batch, training=False)))

    output = flat(observations[:1])
    distribution = env.action_distribution
    if output.shape == (1, distribution.num_parameters):
        representation = distribution.representation(symmetry.action)
    elif output.shape == (1, 1):
        representation = trivial_representation(symmetry.group)
    else:
        raise ValueError(
            f"`model` must give {distribution.outputs} [batch, {distribution.num_parameters}] or "
            f"values [batch, 1]. Received: an output of shape {output.shape} for one observation"
        )
    inputs = observations.reshape(len(observations), -1)
    if symmetry.center is None:
        return equivariance_error(flat, inputs, symmetry.state, representation)
    center = np.array(symmetry.center, inputs.dtype)
    return equivariance_error(
        lambda offsets: flat(offsets + center), inputs - center, symmetry.state, representation
    )


def visited_observations(
    env: BaseEnvironment | str, states: int, seed: int = 0
) -> NDArray[np.float32]:
    """Observations [states, *observation_shape] that uniformly random actions lead to.

    They are of the first 32 steps of as many copies as it takes; episodes that end start again.

    Raises:
        ValueError: If `states` is not positive, or `seed` not an integer in [0, 2^31).
    """
    env = environment_of(env)
    states = positive_integer("states", states, LARGEST_SAMPLE)
    seed = random_seed(seed)
    generator = np.random.default_rng([seed, 2])
    count = math.ceil(states / _STEPS)
    if isinstance(env, HostEnvironment):
        return _visited_on_host(env, count, seed)[:states]
    copies = GymnasiumVectorEnv(env, count)
    observations = [copies.reset(seed=seed)[0]]
    actions = actions_of(env)
    for _ in range(_STEPS - 1):
        observations.append(copies.step(actions.draw(copies.num_envs, generator))[0])
    return np.concatenate(observations)[:states]


def _visited_on_host(env: HostEnvironment, count: int, seed: int) -> NDArray[np.float32]:
    vector = env.vector(count)
    try:
        vector.action_space.seed(seed)
        observations = [vector.reset(seed=seed)[0]]
        observations += [vector.step(vector.action_space.sample())[0] for _ in range(_STEPS - 1)]
    finally:
        vector.close()
    return np.concatenate([env.observed(x) for x in observations])
