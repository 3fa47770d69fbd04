"""Networks with the weights of many members."""

import numpy as np
import pytest
import tensorflow as tf

from tf_equirl import envs, models
from tf_equirl.training.population import Population

ENV = envs.make("CartPole")
OBSERVATIONS = tf.random.stateless_normal([3, 5, 4], [0, 1])


def _population(kind, units=(48, 48)):
    actor = models.actor(ENV.symmetry, kind, units)
    return Population({"actor": actor, "critic": models.critic(ENV.symmetry, "mlp", (8, 8))})


@pytest.mark.parametrize("kind", ["gcnn", "symmetrizer-sampled", "odd", "mlp"])
def test_weights_that_are_prepared_give_what_they_gave(kind):
    population = _population(kind)
    weights = population.fresh([3, 4, 5])
    ready = population.prepared(weights.of("actor"), 5)
    assert bool(ready.prepared) == (kind != "mlp")
    expected = population.outputs("actor", weights, OBSERVATIONS)
    found = population.outputs("actor", ready, OBSERVATIONS)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert len(np.unique(found.numpy()[:, 0, 0])) == 3


def test_what_is_prepared_is_not_made_again_at_each_step():
    population = _population("gcnn")
    weights = population.fresh([3, 4]).of("actor")

    def operations(function):
        inputs = tf.zeros([2, 5, 4])
        graph = tf.function(function, autograph=False).get_concrete_function(inputs).graph
        return [op.type for op in graph.get_operations()]

    def outputs(given):
        return lambda x: population.outputs("actor", given, x)

    before, after = (
        operations(outputs(weights)),
        operations(outputs(population.prepared(weights, 5))),
    )
    assert len(after) < len(before)


def test_the_weights_of_one_member_are_prepared_without_an_axis_for_members():
    population = _population("gcnn")
    weights = population.alone()
    ready = population.prepared(weights, 5, stacked=False)
    model = population.networks["actor"]
    with population.bound(weights):
        expected = model(OBSERVATIONS[0])
    with population.bound(ready):
        found = model(OBSERVATIONS[0])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
