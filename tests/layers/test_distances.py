from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_equirl import envs
from tf_equirl.groups import permutation_representation, symmetric_group
from tf_equirl.layers import ModeDistance, l1, l2

BALL = [[row, column] for row in range(10) for column in range(5)]
PADDLE = [[column] for column in range(5)]


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def catch_distance() -> ModeDistance:
    return ModeDistance([BALL, PADDLE], [1.0, 0.13])


def catch_vector(row: int, column: int, paddle: int, seed: int) -> np.ndarray:
    """Logits whose largest are the ball's cell and the paddle's column."""
    vector = np.random.default_rng(seed).uniform(-3, 0, size=55).astype("float32")
    vector[5 * row + column] = vector[50 + paddle] = 0.5
    return vector


@pytest.mark.parametrize(("distance", "order"), [(l1, 1), (l2, 2)])
def test_norms_of_the_difference(distance, order):
    state, images = random(3, 1, 5), random(3, 4, 5, seed=1)
    expected = np.linalg.norm(images - state, ord=order, axis=-1)
    np.testing.assert_allclose(distance(state, images), expected, rtol=1e-5)


@pytest.mark.parametrize("distance", [l1, l2])
def test_the_gradient_is_finite_at_no_distance(distance):
    state = tf.constant(random(3, 5))
    image = tf.Variable(tf.concat([state[:1], state[1:] + 1], axis=0))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(distance(state, image))
    gradient = tape.gradient(loss, image).numpy()
    assert np.all(np.isfinite(gradient))
    assert not gradient[0].any() and gradient[1:].all()


def test_mode_distance_is_equation_4_33_of_the_thesis():
    """By hand: |3 - 5| + |4 - 1| for the ball, 0.13 |0 - 2| for the paddle."""
    state, image = catch_vector(3, 4, 0, seed=0), catch_vector(5, 1, 2, seed=1)
    np.testing.assert_allclose(catch_distance()(state, image), 2 + 3 + 0.13 * 2, rtol=1e-6)
    random_numbers = np.random.default_rng(2)
    for seed in range(20):
        a, b = random_numbers.integers([10, 5, 5], size=(2, 3))
        vectors = catch_vector(*a, seed=seed), catch_vector(*b, seed=seed + 100)
        expected = np.abs(a - b) @ [1, 1, 0.13]
        np.testing.assert_allclose(catch_distance()(*vectors), expected, rtol=1e-6)


def test_the_distance_of_catch_is_that_one():
    head = envs.make("Catch").transition_head
    assert head.distance.get_config() == catch_distance().get_config()


def test_mode_distance_broadcasts_and_keeps_its_config():
    distance = ModeDistance.from_config(catch_distance().get_config())
    state, images = random(6, 1, 55), random(6, 4, 55, seed=1)
    received = distance(state, images).numpy()
    assert received.shape == (6, 4)
    expected = [[catch_distance()(state[i, 0], x) for x in images[i]] for i in range(6)]
    np.testing.assert_allclose(received, expected, rtol=1e-6)


def test_equally_likely_categories_stand_at_the_mean_of_their_positions():
    """So that a mirror, or any permutation of S3, moves modes also where several tie."""
    distance = ModeDistance([np.eye(3)], [2.0])
    tied, alone = np.float32([1, 0, 1]), np.float32([0, 1, 0])
    np.testing.assert_allclose(distance(alone, tied), 2 * (0.5 + 1 + 0.5), rtol=1e-6)
    rho = permutation_representation(symmetric_group(3))
    vectors = np.float32([[1, 0, 1], [0, 1, 0], [2, 2, 2], [0, 0, 0], [1, 2, 3]])
    expected = distance(vectors[:, None], vectors).numpy()
    assert len(np.unique(expected)) > 3
    for matrix in rho.matrices.astype("float32"):
        moved = vectors @ matrix.T
        np.testing.assert_allclose(distance(moved[:, None], moved), expected, atol=1e-6)


def test_nothing_flows_back_through_modes():
    image = tf.Variable(random(2, 55))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(catch_distance()(tf.constant(random(2, 55, seed=1)), image))
    assert float(loss) > 0
    assert tape.gradient(loss, image) is None


def test_distances_are_registered():
    for distance in (l1, l2, catch_distance()):
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(distance))
        state, image = random(55), random(55, seed=1)
        np.testing.assert_array_equal(again(state, image), distance(state, image))


@pytest.mark.parametrize(
    ("coordinates", "weights", "message"),
    [
        ([], [], r"`coordinates` must hold a matrix.*Received: coordinates=\[\]"),
        ([[0, 1, 2]], [1.0], "`coordinates` must hold a matrix"),
        ([[[0.0], [np.nan]]], [1.0], "`coordinates` must hold a matrix .* of finite numbers"),
        ([BALL, PADDLE], [1.0], r"`weights` must hold 2 finite.*Received: weights=\[1.0\]"),
        ([PADDLE], [-1.0], "`weights` must hold 1 finite numbers of at least 0"),
        ([PADDLE], [np.inf], "`weights` must hold 1 finite"),
        ([PADDLE], 1.0, "`weights` must hold 1 finite"),
    ],
)
def test_bad_arguments_are_named(coordinates, weights, message):
    with pytest.raises(ValueError, match=message):
        ModeDistance(coordinates, weights)


def test_vectors_of_another_length_are_refused():
    with pytest.raises(ValueError, match=r"vectors of 55 numbers.*Received: .*\(3, 54\)"):
        catch_distance()(random(3, 55), random(3, 54))
