"""Continuous actions: TensorFlow Probability as the reference, and the law for every element."""

import numpy as np
import pytest
import tensorflow as tf

from tf_equirl.agents.ppo.door import tfp
from tf_equirl.distributions import Gaussian, SquashedGaussian
from tf_equirl.groups import (
    Representation,
    cyclic_group,
    dihedral_group,
    signed_permutation_representation,
    trivial_representation,
)

LOW, HIGH = [-2.0, 0.0, -np.inf], [2.0, 3.0, np.inf]


def parameters(dim, rows=50, seed=0):
    rng = np.random.default_rng(seed)
    means, logs = rng.normal(size=(2, rows, dim)) * [[[1.0]], [[0.5]]]
    return tf.constant(np.concatenate([means, logs], axis=-1), tf.float32)


def reference(values):
    means, logs = tf.split(values, 2, axis=-1)
    return tfp.distributions.MultivariateNormalDiag(means, tf.exp(logs))


def plane():
    """D4 on the plane."""
    group = dihedral_group(4)
    turn, mirror = np.array([[0.0, -1.0], [1.0, 0.0]]), np.diag([1.0, -1.0])
    images = dict(zip(group.generators, (turn, mirror), strict=True))
    return Representation.from_generators(group, images)


def test_its_numbers_are_those_of_tensorflow_probability():
    ours, values, others = Gaussian(LOW, HIGH), parameters(3), parameters(3, seed=1)
    actions = tf.constant(np.random.default_rng(2).normal(size=(50, 3)), tf.float32)
    theirs = reference(values)
    np.testing.assert_allclose(
        ours.log_prob(values, actions), theirs.log_prob(actions), rtol=1e-5, atol=1e-5
    )
    np.testing.assert_allclose(ours.entropy(values), theirs.entropy(), rtol=1e-5)
    kl = theirs.kl_divergence(reference(others))
    np.testing.assert_allclose(ours.kl(values, others), kl, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(ours.mode(values), theirs.mode())


def test_squashed_numbers_are_those_of_a_transformed_distribution():
    ours, values = SquashedGaussian([-1.0] * 2, [1.0] * 2), parameters(2)
    held = reference(values).sample(seed=1)
    theirs = tfp.distributions.TransformedDistribution(
        reference(values), tfp.bijectors.Tanh(), name="squashed"
    )
    squashed = ours.executed(held)
    np.testing.assert_allclose(
        ours.log_prob(values, held), theirs.log_prob(squashed), rtol=1e-3, atol=1e-3
    )
    drawn = reference(values).sample(200_000, seed=2)
    mean = -tf.reduce_mean(ours.log_prob(values, drawn), axis=0)
    # Four standard errors of the mean of 200,000, of a deviation that is near 2.
    np.testing.assert_allclose(ours.entropy(values), mean, atol=4 * 2 / np.sqrt(200_000))


def test_samples_follow_the_distribution():
    values = parameters(3, rows=1)
    uniforms = tf.random.stateless_uniform([100_000, 3], [1, 2])
    drawn = Gaussian(LOW, HIGH).sample(tf.repeat(values, 100_000, axis=0), uniforms).numpy()
    means, logs = np.split(values.numpy()[0], 2)
    # Four standard errors.
    error = 4 * np.exp(logs) / np.sqrt(100_000)
    np.testing.assert_array_less(np.abs(drawn.mean(axis=0) - means), error)
    np.testing.assert_array_less(np.abs(drawn.std(axis=0) - np.exp(logs)), error)


def test_noise_is_finite_and_symmetric_at_the_edges():
    largest = np.nextafter(np.float32(1), np.float32(0))
    edges = tf.constant([[0.0], [0.5], [largest]])
    low, middle, high = Gaussian([-1.0], [1.0]).sample(tf.zeros([3, 2]), edges).numpy()[:, 0]
    assert np.isfinite([low, high]).all() and low < -5 and high > 5
    assert abs(middle) < 1e-6 and abs(low + high) < 1e-3


def test_what_is_executed_stays_in_the_box():
    actions = tf.constant([[0.5, 0.5, 0.5], [-9.0, 9.0, 9.0]])
    np.testing.assert_allclose(
        Gaussian(LOW, HIGH).executed(actions), [[1.0, 2.25, 0.5], [-2.0, 3.0, 9.0]]
    )
    squashed = SquashedGaussian(LOW[:2], HIGH[:2]).executed(actions[:, :2])
    np.testing.assert_allclose(
        squashed, [[2 * np.tanh(0.5), 1.5 + 1.5 * np.tanh(0.5)], [-2.0, 3.0]], rtol=1e-6
    )


@pytest.mark.parametrize("kind", [Gaussian, SquashedGaussian])
def test_moving_the_parameters_moves_the_distribution(kind):
    """p(g a | g parameters) = p(a | parameters), and what is executed moves along."""
    rho = plane()
    ours, values = kind([-3.0] * 2, [3.0] * 2, rho), parameters(2)
    moving = ours.representation(rho)
    actions = tf.constant(np.random.default_rng(2).normal(size=(50, 2)), tf.float32)
    for element in rho.group.elements:
        moved = tf.constant(values @ moving.matrices[element].T, tf.float32)
        moved_actions = tf.constant(actions @ rho.matrices[element].T, tf.float32)
        np.testing.assert_allclose(
            ours.log_prob(moved, moved_actions), ours.log_prob(values, actions), atol=1e-4
        )
        np.testing.assert_allclose(ours.entropy(moved), ours.entropy(values), atol=1e-5)
        np.testing.assert_allclose(
            ours.executed(moved_actions),
            ours.executed(actions).numpy() @ rho.matrices[element].T,
            atol=1e-5,
        )


def test_mixed_coordinates_share_a_deviation():
    """Turns by 120 degrees: noise must be as wide in every direction."""
    group = cyclic_group(3)
    angle = 2 * np.pi / 3
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    rho = Representation.from_generators(group, {group.generators[0]: turn})
    rho += trivial_representation(group)
    ours = Gaussian([-np.inf] * 3, [np.inf] * 3, rho)
    assert ours.num_parameters == 3 + 2
    values = tf.constant(np.random.default_rng(0).normal(size=(20, 5)), tf.float32)
    actions = tf.constant(np.random.default_rng(1).normal(size=(20, 3)), tf.float32)
    moving = ours.representation(rho)
    for element in group.elements:
        moved = tf.constant(values @ moving.matrices[element].T, tf.float32)
        moved_actions = tf.constant(actions @ rho.matrices[element].T, tf.float32)
        np.testing.assert_allclose(
            ours.log_prob(moved, moved_actions), ours.log_prob(values, actions), atol=1e-4
        )


def test_bad_arguments_are_refused():
    group = cyclic_group(2)
    flip = signed_permutation_representation(group, [[0], [0]], [[1], [-1]])
    swap = signed_permutation_representation(group, [[0, 1], [1, 0]], [[1, 1], [1, 1]])
    for arguments, message in [
        (([1.0], [-1.0]), "`high` must be as many numbers as low"),
        (([-1.0], [1.0, 2.0]), "`high` must be as many numbers as low"),
        (([-np.inf], [1.0]), "`high` must be finite where low"),
        (([np.nan], [1.0]), "`low` must be a list of 1 to 4,096 numbers"),
        ((["a"], [1.0]), "`low` must be a list of 1 to 4,096 numbers"),
        (([-1.0], [1.0], swap), "`action` must be a representation of dimension 1"),
        (([-1.0], [2.0], flip), r"element 1 .* \[-1.0\] .. \[2.0\] to \[-2.0\] .. \[1.0\]"),
        (([-1.0, -2.0], [1.0, 2.0], swap), "element 1"),
    ]:
        with pytest.raises(ValueError, match=message):
            Gaussian(*arguments)
    with pytest.raises(ValueError, match="finite for a squashed Gaussian"):
        SquashedGaussian([-np.inf], [np.inf])
    turned = Representation(group, [np.eye(2), [[0.6, 0.8], [0.8, -0.6]]])
    with pytest.raises(ValueError, match="signed permutations do"):
        Gaussian([-1.0] * 2, [1.0] * 2, turned)
