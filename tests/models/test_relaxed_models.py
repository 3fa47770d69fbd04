"""Networks of the kinds "relaxed" and "rpp": equivariant at the start, and free to be less so."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_equirl import envs, exporting, models
from tf_equirl.groups import Representation as Rep
from tf_equirl.groups import Symmetry, quaternion_group, regular_representation, symmetric_group
from tf_equirl.training.population import Population

S3, Q8 = symmetric_group(3), quaternion_group()
CARTPOLE = envs.make("CartPole").symmetry
SNAKE = envs.make("Snake", height=5, width=5).symmetry
SYMMETRIES = {
    "CartPole": CARTPOLE,
    "S3": Symmetry(S3, regular_representation(S3), regular_representation(S3)),
    "Q8": Symmetry(Q8, Rep(Q8, Q8.matrices), regular_representation(Q8)),
    "Snake": SNAKE,
}
PRIOR = 0.05  # of what a pathway with a prior of 1e-3 computes, of an output of about 1


def built(what, symmetry, kind, relaxation=None):
    with models.seeded(3):
        if what == "actor":
            return models.actor(symmetry, kind, (6, 6), relaxation=relaxation)
        if what == "critic":
            return models.critic(symmetry, kind, (6, 6), relaxation=relaxation)
        if what == "q_function":
            return models.q_function(symmetry, kind, (6, 6), relaxation=relaxation)
        return models.transition_model(symmetry, kind, (6, 6), relaxation=relaxation)


def error(what, model, symmetry):
    """The largest difference between the outputs there and here, by element."""
    random = np.random.default_rng(0)
    s = random.normal(size=(16, symmetry.state.dim))
    a = random.normal(size=(16, symmetry.action.dim))

    def outputs(s, a):
        s = s.reshape(16, *model.inputs[0].shape[1:]).astype("float32")
        return np.asarray(model([s, a] if what == "transition" else s), np.float64)

    rho = {"critic": None, "transition": symmetry.state}.get(what, symmetry.action)
    expected, found = outputs(s, a), []
    for g in symmetry.group.elements:
        moved = outputs(symmetry.state.act(g, s), symmetry.action.act(g, a))
        found.append(np.abs(moved - (expected if rho is None else rho.act(g, expected))).max())
    return np.array(found)


@pytest.mark.parametrize("kind", models.RELAXED_KINDS)
@pytest.mark.parametrize("what", ["actor", "critic", "q_function", "transition"])
@pytest.mark.parametrize("name", SYMMETRIES)
def test_it_begins_equivariant_and_need_not_stay_so(name, what, kind):
    symmetry = SYMMETRIES[name]
    model = built(what, symmetry, kind)
    begins = error(what, model, symmetry)
    assert len(begins) == symmetry.group.order
    assert begins.max() <= (1e-4 if kind == "relaxed" else PRIOR)
    if kind == "rpp":
        assert begins.max() > 1e-5
    random = np.random.default_rng(1)
    for variable in model.trainable_variables:
        if variable.path.split("/")[-1] in ("relaxation", "free_kernel"):
            variable.assign_add(0.3 * random.normal(size=variable.shape))
    assert error(what, model, symmetry).max() > 5 * PRIOR


def test_banks_side_rate_and_penalties_reach_the_layers():
    relaxation = models.Relaxation(banks=2, side="input", rate=3.0, spread_penalty=0.1)
    model = built("actor", CARTPOLE, "relaxed", relaxation)
    relaxed = [layer for layer in model.layers if hasattr(layer, "relaxation")]
    assert [(x.banks, x.rate, x.spread_penalty) for x in relaxed] == [(2, 3.0, 0.1)] * 3
    assert [x.side for x in relaxed] == ["output", "input", "input"]
    relaxation = models.Relaxation(prior_scale=0.5, strict_decay=1e-3, free_decay=1e-2)
    model = built("critic", CARTPOLE, "rpp", relaxation)
    pathways = [layer for layer in model.layers if hasattr(layer, "prior_scale")]
    assert [x.prior_scale for x in pathways] == [0.5] * 3
    expected = sum(
        1e-3 * np.sum(np.square(x.layer.kernel)) + 1e-2 * np.sum(np.square(x.free_kernel))
        for x in pathways
    )
    np.testing.assert_allclose(sum(model.losses), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"banks": 0}, "`banks` must be a positive integer"),
        ({"side": "left"}, "`side` must be one of output, input"),
        ({"prior_scale": -1.0}, "`prior_scale` must be a number of at least 0"),
        ({"spread_limit": 1.0}, "`spread_penalty` must be positive where"),
    ],
)
def test_wrong_relaxations(fields, message):
    with pytest.raises(ValueError, match=message):
        models.Relaxation(**fields)


@pytest.mark.parametrize("build", [models.actor, models.critic, models.transition_model])
def test_more_banks_than_elements(build):
    with pytest.raises(ValueError, match="`relaxation` must be of at most 2 banks"):
        build(CARTPOLE, "relaxed", relaxation=models.Relaxation(banks=3))
    with pytest.raises(ValueError, match="`relaxation` must be a models.Relaxation or None"):
        build(CARTPOLE, "relaxed", relaxation=3)


@pytest.mark.parametrize("kind", models.RELAXED_KINDS)
@pytest.mark.parametrize("name", ["S3", "Snake"])
def test_plain_and_reloaded_models_compute_the_same(name, kind, tmp_path):
    symmetry = SYMMETRIES[name]
    model = built("actor", symmetry, kind)
    random = np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign_add(0.1 * random.normal(size=variable.shape))
    x = random.normal(size=(8, *model.input_shape[1:])).astype("float32")
    expected = np.asarray(model(x))
    plain = exporting.to_plain(model)
    assert all(type(layer).__module__.startswith("keras") for layer in plain.layers)
    np.testing.assert_allclose(plain(x), expected, atol=1e-4)
    models.save(model, tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(x), expected, atol=1e-5)


def test_gradients_of_members_have_what_their_own_regularizers_add():
    relaxation = models.Relaxation(strict_decay=0.25, free_decay=0.5)
    model = built("actor", CARTPOLE, "rpp", relaxation)
    population = Population({"actor": model})
    weights = population.fresh([1, 2, 3])
    x = tf.constant(np.random.default_rng(0).normal(size=(3, 8, 4)), tf.float32)

    def loss(x):
        value = tf.reduce_mean(tf.square(model(x)))
        return value, value

    found, reported = population.gradients(loss, weights, x)
    strict = built("actor", CARTPOLE, "rpp")
    alone, same = Population({"actor": strict}).gradients(
        lambda x: (tf.reduce_mean(tf.square(strict(x))),) * 2, weights, x
    )
    np.testing.assert_allclose(reported, same, rtol=1e-5)  # without the penalties
    factors = {"kernel": 2 * 0.25, "free_kernel": 2 * 0.5, "free_bias": 2 * 0.5, "bias": 0.0}
    for k, variable in enumerate(model.trainable_variables):
        factor = factors[variable.path.split("/")[-1]]
        expected = alone["actor"][k] + factor * weights.trained["actor"][k]
        np.testing.assert_allclose(found["actor"][k], expected, atol=1e-5)
