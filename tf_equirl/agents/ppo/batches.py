"""What PPO learns from: the columns of its training data, and images of them under the symmetry."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tf_equirl.envs import BaseEnvironment
from tf_equirl.training.augmentation import (
    moved,
    moved_actions,
    moved_observations,
    parameter_representation,
)
from tf_equirl.training.population import Population, Weights

FURTHEST = 3.0
"""An image whose log-probability is this much below that of the transition itself is left out."""


class Batch(NamedTuple):
    """Training data, `[members, transitions, ...]`."""

    observation: tf.Tensor
    action: tf.Tensor
    log_prob: tf.Tensor
    returns: tf.Tensor
    advantage: tf.Tensor
    value: tf.Tensor
    valid: Any = ()  # see `Rollout.valid`


def normalized(batch: Batch, advantages: bool = True) -> Batch:
    """A minibatch with advantages of mean 0 and standard deviation 1 in each member.

    Where some rows are no steps, those count for nothing, and `valid` becomes weights of mean 1.

    Args:
        batch: A minibatch.
        advantages: False leaves advantages as they are.
    """
    advantage = batch.advantage
    if not tf.is_tensor(batch.valid):
        if not advantages:
            return batch
        centered = advantage - tf.reduce_mean(advantage, 1, keepdims=True)
        deviation = tf.math.reduce_std(advantage, 1, keepdims=True)
        return batch._replace(advantage=centered / (deviation + 1e-8))
    weight = tf.cast(batch.valid, tf.float32)
    weight /= tf.maximum(tf.reduce_mean(weight, 1, keepdims=True), 1e-8)
    if not advantages:
        return batch._replace(valid=weight)
    centered = advantage - tf.reduce_mean(advantage * weight, 1, keepdims=True)
    deviation = tf.sqrt(tf.reduce_mean(tf.square(centered) * weight, 1, keepdims=True))
    return batch._replace(advantage=centered / (deviation + 1e-8), valid=weight)


def augmented(
    env: BaseEnvironment,
    population: Population,
    weights: Weights,
    batch: Batch,
    elements: tf.Tensor | None,
) -> Batch:
    """Transitions moved by group elements.

    Advantages and returns are invariant in a symmetric environment. Log-probabilities and values
    are not unless the networks are: they become those that the acting weights give to the images,
    without which the ratios of the first gradient step would not be 1.

    Images that the acting weights would hardly ever have chosen count for nothing, and the
    transition itself stands in their place: of such an action, many standard deviations from a
    Gaussian's mean, the ratio grows without bounds, up to infinity, when the mean moves towards it,
    and nothing clips that for a negative advantage.

    Args:
        env: The environment.
        population: Its "actor" and "critic".
        weights: Those that acted.
        batch: `[members, rows, ...]`.
        elements: `[members, rows]`; None moves every row by every element.

    Returns:
        `[members, rows, ...]`, or `[members, rows * n, ...]` for a group of n elements, with the
        images of a row next to each other.
    """
    if elements is None:
        order = env.symmetry.group.order
        members, rows = batch.log_prob.shape
        batch = tf.nest.map_structure(lambda x: tf.repeat(x, order, axis=1), batch)
        elements = tf.broadcast_to(tf.tile(tf.range(order), [rows]), [members, rows * order])
    observation = moved_observations(env, batch.observation, elements)
    action = moved_actions(env, batch.action, elements)
    parameters = population.outputs("actor", weights, observation)
    log_prob = env.action_distribution.log_prob(parameters, action)
    near = log_prob > batch.log_prob - FURTHEST
    image = {
        "observation": observation,
        "action": action,
        "log_prob": log_prob,
        "value": population.outputs("critic", weights, observation)[..., 0],
    }
    chosen = {name: _where(near, x, getattr(batch, name)) for name, x in image.items()}
    valid = near & batch.valid if tf.is_tensor(batch.valid) else near
    return batch._replace(**chosen, valid=valid)


def _where(rows: tf.Tensor, one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    """Chooses whole rows."""
    return tf.where(tf.reshape(rows, [*rows.shape, *[1] * (one.shape.rank - 2)]), one, other)


def inconsistency(
    env: BaseEnvironment,
    actor: keras.Model,
    critic: keras.Model,
    batch: Batch,
    image: tf.Tensor,
    elements: tf.Tensor,
) -> tf.Tensor:
    r"""How far policy and value change under the group: the loss of DrAC.

    The mean over rows of

    $$ KL(\pi(\cdot | s) \,\|\, \rho(g)^{-1} \pi(\cdot | g s)) + \tfrac12 (V(s) - V(g s))^2. $$

    What is said of s is the target, through which no gradient flows (Raileanu et al., Automatic
    Data Augmentation for Generalization in Reinforcement Learning, 2021; the half is that of their
    program).

    Args:
        env: The environment.
        actor: Of one member.
        critic: Likewise.
        batch: `[rows, ...]`, with the observations s.
        image: The observations g s.
        elements: `[rows]`, the elements g.
    """
    parameters, value = (tf.stop_gradient(f(batch.observation)) for f in (actor, critic))
    # The divergence is invariant: in place of what is said of g s, the target is moved.
    target = moved(parameters, parameter_representation(env), elements)
    losses = env.action_distribution.kl(target, actor(image))
    losses += 0.5 * tf.square(value - critic(image))[..., 0]
    if tf.is_tensor(batch.valid):
        losses *= batch.valid
    return tf.reduce_mean(losses)
