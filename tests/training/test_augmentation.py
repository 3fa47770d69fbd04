"""Data moved by group elements, against the symmetry's own NumPy."""

import types

import numpy as np
import pytest
import tensorflow as tf

from tf_equirl.distributions import Categorical, Gaussian
from tf_equirl.groups import (
    Representation,
    Symmetry,
    cyclic_group,
    dihedral_group,
    permutation_representation,
    symmetric_group,
)
from tf_equirl.training.augmentation import (
    drawn_elements,
    moved,
    moved_actions,
    moved_observations,
    parameter_representation,
)

D4 = dihedral_group(4)
PLANE = Representation.from_generators(D4, {1: [[0, -1], [1, 0]], 4: [[1, 0], [0, -1]]})
C3 = cyclic_group(3)
COS, SIN = -0.5, np.sqrt(3) / 2
TURN = Representation.from_generators(C3, {1: [[COS, -SIN], [SIN, COS]]})
RNG = np.random.default_rng(0)
UNBOUNDED = [np.inf, np.inf]


def environment(symmetry, distribution, shape):
    return types.SimpleNamespace(
        symmetry=symmetry, action_distribution=distribution, observation_shape=shape
    )


def box(rho):
    high = [1.0, 1.0] if rho.signs is not None else UNBOUNDED
    gaussian = Gaussian(-np.array(high), high, rho)
    return environment(Symmetry(rho.group, rho, rho, (0.5, -2.0)), gaussian, (1, 2))


def discrete(group):
    rho = permutation_representation(group)
    return environment(Symmetry(group, rho, rho), Categorical(rho.dim), (rho.dim,))


ENVIRONMENTS = {
    "D4, discrete": discrete(D4),
    "S3, discrete": discrete(symmetric_group(3)),
    "D4, signs": box(PLANE),
    "C3, matrices": box(TURN),
}


@pytest.mark.parametrize("env", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_every_row_is_moved_by_its_element(env):
    symmetry, order = env.symmetry, env.symmetry.group.order
    elements = RNG.integers(0, order, (3, 40)).astype("int32")
    assert len(np.unique(elements)) == order
    observation = RNG.normal(size=(3, 40, *env.observation_shape)).astype("float32")
    if env.action_distribution.action_shape:
        action = RNG.normal(size=(3, 40, 2)).astype("float32")
    else:
        action = RNG.integers(0, symmetry.action.dim, (3, 40)).astype("int32")
    observations = moved_observations(env, tf.constant(observation), tf.constant(elements))
    actions = moved_actions(env, tf.constant(action), tf.constant(elements))
    assert observations.shape == observation.shape and actions.dtype == action.dtype
    for place in np.ndindex(3, 40):
        g = int(elements[place])
        expected = symmetry.move_states(g, observation[place].reshape(-1))
        np.testing.assert_allclose(observations[place].numpy().reshape(-1), expected, atol=1e-6)
        expected = symmetry.move_actions(g, action[place])
        np.testing.assert_allclose(actions[place], expected, atol=1e-6)


@pytest.mark.parametrize("env", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_a_moved_action_is_as_likely_under_moved_parameters(env):
    distribution, order = env.action_distribution, env.symmetry.group.order
    representation = parameter_representation(env)
    elements = tf.range(order)
    one = RNG.normal(size=representation.dim).astype("float32")
    parameters = tf.constant(np.tile(one, (order, 1)))
    noise = tf.constant(np.tile(RNG.uniform(size=distribution.num_uniforms), (order, 1)))
    action = distribution.sample(parameters, tf.cast(noise, tf.float32))
    images = moved(parameters, representation, elements)
    found = distribution.log_prob(images, moved_actions(env, action, elements))
    np.testing.assert_allclose(found, distribution.log_prob(parameters, action), atol=1e-5)
    if order > 3:  # and the images differ
        assert np.abs(images - parameters).max() > 0.1


def test_elements_are_equally_likely_and_none_is_beyond_the_last():
    found = drawn_elements(tf.constant(np.arange(600) / 600, tf.float32), 6)
    np.testing.assert_array_equal(np.bincount(found), [100] * 6)
    assert drawn_elements(tf.constant(1 - 2.0**-24), 3) == 2


def test_a_symmetry_that_cannot_move_actions_is_refused():
    one = permutation_representation(D4)
    env = environment(Symmetry(D4, PLANE, PLANE), Categorical(2), (2,))
    with pytest.raises(ValueError, match="must be a permutation of discrete actions"):
        parameter_representation(env)
    two = Gaussian([-np.inf] * 2, UNBOUNDED)  # does not know that a turn joins its deviations
    with pytest.raises(ValueError, match=r"such that it moves the means"):
        parameter_representation(environment(Symmetry(C3, TURN, TURN), two, (2,)))
    assert parameter_representation(environment(Symmetry(D4, PLANE, one), Categorical(4), (2,)))
