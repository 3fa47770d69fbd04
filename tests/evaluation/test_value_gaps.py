"""Orbit gaps of critics: their law, and what several of them know better than one."""

import keras
import numpy as np
import pytest

from tf_equirl import envs, models
from tf_equirl.evaluation import value_gaps, visited_observations
from tf_equirl.evaluation.value_gaps import _gaps


def critics(env, kind, count=1, builder=models.critic, **options):
    found = []
    for seed in range(count):
        keras.utils.set_random_seed(seed)
        found.append(builder(env.symmetry, kind, hidden_units=(16,), **options))
    return found


@pytest.mark.parametrize("name", ["CartPole", "GridWorld", "Reacher"])
def test_exact_critics_have_no_gaps_and_free_ones_do(name):
    env = envs.make(name)
    shape = {"observation_shape": env.observation_shape}
    free = {"GridWorld": "cnn"}.get(name, "mlp")
    kinds = [(models.critic, "invariant", free, shape)]
    if name == "Reacher":
        kinds = [(models.q_function, "gcnn", free, {**shape, "continuous": True})]
    else:
        kinds.append((models.q_function, "gcnn", free, shape))
    for builder, exact, other, options in kinds:
        (model,) = critics(env, exact, builder=builder, **options)
        assert value_gaps(model, env, 100).gaps.max() < 1e-5  # float32 rounding
        (model,) = critics(env, other, builder=builder, **options)
        found = value_gaps(model, env, 100)
        width = env.num_actions if builder is models.q_function and env.num_actions else 1
        assert found.gaps.shape == (env.symmetry.group.order - 1, 100, width)
        assert found.mean > 1e-3 and found.price == found.gaps.max() / 2


def test_the_gap_of_each_action_is_that_of_its_image():
    env = envs.make("GridWorld")
    (model,) = critics(
        env, "cnn", builder=models.q_function, observation_shape=env.observation_shape
    )
    states = visited_observations(env, 20)
    found = value_gaps(model, env, observations=states)
    permutations, values = np.asarray(env.symmetry.action.permutations), np.asarray(model(states))
    for element in env.symmetry.group.elements[1:]:
        flat = env.symmetry.move_states(element, states.reshape(20, -1))
        there = np.asarray(model(flat.reshape(states.shape).astype(np.float32)))
        for action in range(env.num_actions):
            gap = np.abs(there[:, permutations[element][action]] - values[:, action])
            np.testing.assert_allclose(found.gaps[element - 1, :, action], gap, atol=1e-5)


def test_errors_that_critics_make_on_their_own_add_nothing_to_the_mean_square():
    rng = np.random.default_rng(0)
    values = np.zeros([8, 5000, 1])
    noise = rng.normal(size=[8, 3, 5000, 1])
    # Of 15,000 products of means of 8 the standard error is below 0.01.
    assert _gaps(noise, values).rms ** 2 < 0.02 < 1 / 8 < _gaps(noise[:1], values).rms ** 2
    true = 0.5 * rng.choice([-1, 1], size=[3, 5000, 1])
    assert _gaps(noise + true, values).rms == pytest.approx(0.5, abs=0.02)
    assert _gaps(true[None], values[:1]).rms == pytest.approx(0.5)
    pair = _gaps(np.array([1.0, 3.0]).reshape(2, 1, 1, 1), values[:2])
    assert pair.rms**2 == pytest.approx(3.0) and pair.mean == 2.0


def test_what_is_no_critic_is_refused():
    env = envs.make("CartPole")
    (value,) = critics(env, "mlp")
    for wrong in ([], [value, 3], "critic"):
        with pytest.raises(ValueError, match="`critics` must be a Keras model, or a sequence"):
            value_gaps(wrong, env)
    with pytest.raises(ValueError, match=r"must give values \[batch, k\], k being 1 or 2"):
        value_gaps(keras.Sequential([keras.Input([4]), keras.layers.Dense(3)]), env)
    with pytest.raises(ValueError, match="observations alone where actions are discrete"):
        value_gaps(
            critics(envs.make("Acrobot"), "mlp", builder=models.q_function, continuous=True), env
        )
    for bad in (np.zeros([0, 4]), np.zeros([3, 5]), np.full([3, 4], np.nan)):
        with pytest.raises(ValueError, match=r"`observations` must be finite numbers \[m, \*"):
            value_gaps(value, env, observations=bad)
