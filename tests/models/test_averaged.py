"""Policies that are averaged over a group."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_equirl import envs, exporting, models
from tf_equirl.groups import (
    Representation,
    Symmetry,
    cyclic_group,
    deviation_representation,
    dihedral_group,
    permutation_representation,
    symmetric_group,
    trivial_representation,
)
from tf_equirl.testing import equivariance_error

D4, S3 = dihedral_group(4), symmetric_group(3)
PLANE = Representation.from_generators(D4, {1: [[0, -1], [1, 0]], 4: [[1, 0], [0, -1]]})
THREE = permutation_representation(S3)
C3 = cyclic_group(3)
TURN = Representation.from_generators(C3, {1: [[-0.5, -np.sqrt(3) / 2], [np.sqrt(3) / 2, -0.5]]})
SYMMETRIES = {
    "D4": Symmetry(D4, PLANE, permutation_representation(D4)),
    "S3": Symmetry(S3, THREE + THREE, THREE),
    "C3": Symmetry(C3, TURN, permutation_representation(C3)),
}
CONTINUOUS = {"D4": Symmetry(D4, PLANE, PLANE), "C3": Symmetry(C3, TURN, TURN)}
# Of float32, with outputs of any size that these weights give; a broken law is off by far more.
ROUNDING = 1e-4
X = np.random.default_rng(0).normal(size=(50, 6)).astype("float32")


def inputs(symmetry):
    return X[:, : symmetry.state.dim]


def random_biases(model):
    for v in model.trainable_variables:
        v.assign(v + keras.random.normal(v.shape, seed=3) / 3)
    return model


def mlp(symmetry, **kwargs):
    return random_biases(models.actor(symmetry, "mlp", (8, 8), **kwargs))


@pytest.mark.parametrize("name", SYMMETRIES)
def test_it_is_equivariant_and_the_mixture_over_all_poses(name):
    symmetry = SYMMETRIES[name]
    actor, x = mlp(symmetry), inputs(symmetry)
    averaged = models.averaged(actor, symmetry)
    laws = symmetry.state, symmetry.action
    assert equivariance_error(actor, x, *laws).max > 0.1
    assert equivariance_error(averaged, x, *laws).max < ROUNDING  # over all elements
    expected = np.zeros((50, symmetry.action.dim))
    for g in symmetry.group.elements:
        there = tf.nn.softmax(actor(symmetry.move_states(g, x).astype("float32"))).numpy()
        expected += symmetry.action.act(symmetry.group.inverses[g], there)
    expected /= symmetry.group.order
    np.testing.assert_allclose(tf.nn.softmax(averaged(x)), expected, atol=1e-6)
    np.testing.assert_allclose(np.exp(averaged(x)).sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize("name", CONTINUOUS)
@pytest.mark.parametrize("deviation", [None, "constant", "state"])
def test_parameters_of_a_gaussian_are_averaged_each_by_its_law(name, deviation):
    symmetry = CONTINUOUS[name]
    actor = mlp(symmetry, standard_deviation=deviation)
    averaged = models.averaged(actor, symmetry, continuous=True)
    outputs = symmetry.action
    if deviation is not None:
        outputs += deviation_representation(symmetry.action)[0]
    x = inputs(symmetry)
    assert equivariance_error(averaged, x, symmetry.state, outputs).max < ROUNDING
    expected = np.mean(
        [
            outputs.act(
                symmetry.group.inverses[g],
                actor(symmetry.move_states(g, x).astype("float32")).numpy(),
            )
            for g in symmetry.group.elements
        ],
        axis=0,
    )
    np.testing.assert_allclose(averaged(x), expected, atol=1e-5)
    assert np.abs(expected).max() > 0.05


def test_an_equivariant_actor_stays_as_it_is_but_for_a_constant():
    symmetry = SYMMETRIES["S3"]
    actor = random_biases(models.actor(symmetry, "gcnn", (4,)))
    found = models.averaged(actor, symmetry)(inputs(symmetry))
    expected = tf.nn.log_softmax(actor(inputs(symmetry)))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_it_goes_about_the_center():
    center = (0.5, -2.0)
    symmetry = Symmetry(D4, PLANE, permutation_representation(D4), center)
    averaged = models.averaged(mlp(symmetry), symmetry)
    x = inputs(symmetry)
    for g in D4.elements:
        found = averaged(symmetry.move_states(g, x).astype("float32"))
        np.testing.assert_allclose(found, symmetry.action.act(g, averaged(x).numpy()), atol=1e-5)


def test_a_certain_actor_gives_finite_logits():
    symmetry = SYMMETRIES["D4"]
    observation = keras.Input((2,))
    logits = keras.layers.Dense(4, use_bias=False)(observation)
    actor = keras.Model(observation, logits)
    actor.trainable_variables[0].assign(1e4 * np.eye(2, 4))
    found = models.averaged(actor, symmetry)(inputs(symmetry))
    assert np.isfinite(found).all() and np.min(found) < -60


def test_it_is_saved_reloaded_and_exported_and_shares_the_actors_weights(tmp_path):
    env = envs.make("Catch")  # observations are boards
    actor = models.actor(env.symmetry, "mlp", (8,), observation_shape=env.observation_shape)
    averaged = models.averaged(actor, env.symmetry, name="mean")
    x = np.random.default_rng(1).normal(size=(5, *env.observation_shape)).astype("float32")
    models.save(averaged, tmp_path / "averaged.keras")
    again = keras.models.load_model(tmp_path / "averaged.keras")
    np.testing.assert_array_equal(again(x), averaged(x))
    np.testing.assert_allclose(exporting.to_plain(averaged)(x), averaged(x), atol=1e-5)
    assert again.name == "mean" and averaged.input_shape == actor.input_shape
    before = averaged(x).numpy()
    actor.trainable_variables[0].assign(actor.trainable_variables[0] * 2)
    assert np.abs(averaged(x) - before).max() > 1e-3
    assert len(averaged.trainable_variables) == len(actor.trainable_variables)


def test_bad_arguments_are_refused():
    symmetry = SYMMETRIES["D4"]
    actor = mlp(symmetry)
    for model, group, continuous, message in (
        ("mlp", symmetry, False, "`actor` must be a Keras 3 model"),
        (
            keras.Sequential([keras.layers.Dense(4)]),
            symmetry,
            False,
            "a built model of one input",
        ),
        (actor, 3, False, "`symmetry` must be a tf_equirl.groups.Symmetry"),
        (actor, SYMMETRIES["S3"], False, "must take the 6 numbers of a state"),
        (actor, CONTINUOUS["D4"], False, "permutes actions, unless they are continuous"),
        (actor, symmetry, 1, "`continuous` must be True or False"),
        (
            actor,
            Symmetry(D4, PLANE, trivial_representation(D4, 3)),
            True,
            "must give 3 or 6 numbers",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            models.averaged(model, group, continuous)
