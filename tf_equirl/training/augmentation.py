"""What group elements make of data: observations, actions and what policies say of them."""

from __future__ import annotations

import tensorflow as tf

from tf_equirl._checks import refuse
from tf_equirl.envs import BaseEnvironment
from tf_equirl.groups import Representation
from tf_equirl.layers.base import inverse_indices

AUGMENTATIONS = ("none", "random", "orbit")
"""What becomes of a transition: itself, an image of it, or all its images."""


def drawn_elements(uniforms: tf.Tensor, order: int) -> tf.Tensor:
    """Elements of a group of this order, int32, from numbers in [0, 1); all are equally likely."""
    return tf.minimum(tf.cast(uniforms * order, tf.int32), order - 1)


def moved(vectors: tf.Tensor, representation: Representation, elements: tf.Tensor) -> tf.Tensor:
    """rho(g) x for every vector x, each with an element of its own.

    Signed permutations act by index, exactly.

    Args:
        vectors: `[..., d]`.
        representation: Rho, of dimension d.
        elements: `[...]` int32, the elements g.
    """
    if representation.signs is None:
        matrices = tf.constant(representation.matrices, vectors.dtype)
        return tf.linalg.matvec(tf.gather(matrices, elements), vectors)
    index, sign = inverse_indices(representation)
    which = tf.gather(tf.constant(index, tf.int32), elements)
    images = tf.gather(vectors, which, batch_dims=elements.shape.rank)
    if sign is None:
        return images
    return images * tf.gather(tf.constant(sign, vectors.dtype), elements)


def moved_observations(
    env: BaseEnvironment, observation: tf.Tensor, elements: tf.Tensor
) -> tf.Tensor:
    """g s for every observation s `[..., *observation_shape]`, about the symmetry's center."""
    symmetry, shape = env.symmetry, observation.shape
    vectors = tf.reshape(observation, [*elements.shape, symmetry.state.dim])
    if symmetry.center is None:
        return tf.reshape(moved(vectors, symmetry.state, elements), shape)
    center = tf.constant(symmetry.center, vectors.dtype)
    return tf.reshape(center + moved(vectors - center, symmetry.state, elements), shape)


def moved_actions(env: BaseEnvironment, action: tf.Tensor, elements: tf.Tensor) -> tf.Tensor:
    """g a for every action a `[..., *action_shape]` as the distribution of actions draws them.

    Those of a box are drawn as if it were [-1, 1] in every coordinate; as the group maps the box to
    itself, it acts there by the same matrices.
    """
    symmetry = env.symmetry.action
    if env.action_distribution.action_shape:
        return moved(action, symmetry, elements)
    images = tf.reshape(tf.constant(symmetry.permutations, action.dtype), [-1])
    return tf.gather(images, elements * symmetry.dim + action)


def parameter_representation(env: BaseEnvironment) -> Representation:
    """How the group acts on the parameters of the distribution of actions.

    Raises:
        ValueError: If the environment's symmetry cannot move its actions and their distributions.
    """
    action, distribution = env.symmetry.action, env.action_distribution
    if not distribution.action_shape and action.permutations is None:
        refuse("env.symmetry.action", "a permutation of discrete actions to move data", action)
    representation = distribution.representation(action)
    if representation.dim != distribution.num_parameters:
        rule = f"such that it moves the {distribution.parameters} of env.action_distribution"
        refuse("env.symmetry.action", rule, action)
    return representation
