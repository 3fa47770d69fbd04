"""Equivariance of models on states of their environment; which environment a model fits."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest

from tf_equirl import envs, models
from tf_equirl.evaluation import (
    fitting_environment,
    model_equivariance_error,
    visited_observations,
)
from tf_equirl.testing import equivariance_error


@pytest.mark.parametrize("env", [envs.CartPole(), envs.Catch(), envs.Catch(observation="board")])
def test_equivariant_models_and_others(env):
    shape = env.observation_shape
    build = {"symmetry": env.symmetry, "hidden_units": (16, 16), "observation_shape": shape}
    for model in (models.actor(kind="gcnn", **build), models.critic(kind="invariant", **build)):
        assert model_equivariance_error(model, env, 100).max < 1e-5  # float32 rounding
    for model in (models.actor(kind="mlp", **build), models.critic(kind="mlp", **build)):
        assert model_equivariance_error(model, env, 100).max > 0.05


def test_it_is_the_error_on_the_visited_observations():
    env = envs.CartPole()
    model = models.actor(env.symmetry, "mlp")
    states = visited_observations(env, 200, seed=3)
    expected = equivariance_error(model, states, env.symmetry.state, env.symmetry.action)
    found = model_equivariance_error(model, env, 200, seed=3)
    np.testing.assert_allclose(found.per_element, expected.per_element, rtol=1e-6)


def test_it_is_about_the_center_of_the_symmetry():
    class Shifted(envs.CartPole):
        center = (0.5, 0.0, 0.0, 0.0)

        def __init__(self):
            super().__init__()
            self.symmetry = dataclasses.replace(self.symmetry, center=self.center)

    model = keras.Sequential([keras.Input([4]), keras.layers.Dense(2)])
    weights = np.random.default_rng(0).normal(size=4)
    bias = -(weights @ Shifted.center) * np.array([1, -1])
    model.set_weights([np.stack([weights, -weights], axis=1), bias])
    assert model_equivariance_error(model, Shifted(), 100).max < 1e-5  # float32 rounding
    assert model_equivariance_error(model, envs.CartPole(), 100).max > 0.05


def test_visited_observations():
    states = visited_observations("Catch", 1000)
    assert states.shape == (1000, 50) and states.dtype == np.float32
    boards = np.unique(states, axis=0)
    assert len(boards) > 50  # of 5 * 5 * 9 with a falling ball
    assert set(np.sum(boards, axis=1)) <= {1.0, 2.0}
    for count in (1, 31, 33):
        assert visited_observations("CartPole", count).shape == (count, 4)
    np.testing.assert_array_equal(*[visited_observations("CartPole", 40, s) for s in (1, 1)])
    assert not np.array_equal(*[visited_observations("CartPole", 40, s) for s in (1, 2)])


def test_wrong_arguments():
    env = envs.CartPole()
    features = keras.Sequential([keras.Input([4]), keras.layers.Dense(7)])
    with pytest.raises(ValueError, match=r"values \[batch, 1\]. Received: an output .*\(1, 7\)"):
        model_equivariance_error(features, env)
    with pytest.raises(ValueError, match="`states` must be a positive integer"):
        model_equivariance_error(features, env, 0)
    with pytest.raises(ValueError, match="`seed` must be an integer"):
        visited_observations(env, 10, seed=-1)


def test_the_environment_that_fits():
    for name in ("CartPole", "Catch"):
        actor = models.actor(envs.make(name).symmetry, "mlp", (4,))
        assert fitting_environment(actor).name == name
    with pytest.raises(ValueError, match="Fitting: none. Received: model=Sequential"):
        fitting_environment(keras.Sequential([keras.Input([4]), keras.layers.Dense(7)]))


def test_two_environments_that_fit(monkeypatch):
    class Twin(envs.CartPole):
        name = "Twin"

    def needs_arguments(size):
        raise AssertionError("never called")

    constructors = {
        "CartPole": envs.CartPole,
        "Twin": Twin,
        "Sized": needs_arguments,
    }
    monkeypatch.setattr("tf_equirl.envs.registry._CONSTRUCTORS", constructors)
    actor = models.actor(envs.CartPole().symmetry, "mlp", (4,))
    with pytest.raises(ValueError, match="Fitting: CartPole, Twin. Received"):
        fitting_environment(actor)
