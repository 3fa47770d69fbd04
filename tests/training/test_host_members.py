"""Members that are trained on the host do not depend on each other, to the last bit."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from compiling import compiles
from gymnasium_cases import AGENT, Counter

from tf_equirl.agents import train_ppo
from tf_equirl.envs.host import HostEnvironment
from tf_equirl.training.host import acting_program, copies_of
from tf_equirl.training.population import Population


@pytest.mark.thorough
def test_a_seed_does_not_depend_on_its_company_nor_on_processes():
    alone = train_ppo(HostEnvironment(Counter), AGENT, seeds=[4, 3, 1])
    together = train_ppo(HostEnvironment(Counter, vectorization="async"), AGENT, seeds=[9, 4, 2, 7])
    np.testing.assert_array_equal(alone.returns[0], together.returns[1])
    for role in ("actor", "critic"):
        for ours, theirs in zip(alone.weights[role], together.weights[role], strict=True):
            np.testing.assert_array_equal(ours[0], theirs[1])


def test_configs_have_environments_of_their_own():
    configs = [AGENT, dataclasses.replace(AGENT, learning_rate=1e-3)]
    both = train_ppo(HostEnvironment(Counter), configs, seeds=[4, 5])  # in a block of four
    for config, found in zip(configs, both, strict=True):
        alone = train_ppo(HostEnvironment(Counter), config, seeds=[4, 5, 6])
        np.testing.assert_array_equal(found.returns, alone.returns[:2])
    rows = np.array([1, 2, 1, 1]), np.array([[0.0], [0.0], [0.0], [1.0]])
    np.testing.assert_array_equal(copies_of(rows), [0, 1, 0, 2])


def test_acting_is_compiled_once_for_all_steps():
    env = HostEnvironment(Counter)
    actor, _ = AGENT.networks(env)
    act = acting_program(actor, env.action_distribution, False)
    weights = Population({"actor": actor}).own(2).of("actor")
    observation, uniforms = tf.ones([2, 3, 2]), tf.random.stateless_uniform([4, 2, 3, 1], [1, 2])

    def step(number):
        return act(weights, observation, uniforms, tf.constant(number))

    assert compiles(lambda: step(0))
    assert not compiles(lambda: [step(number) for number in (1, 2, 3)])
    for number in range(4):
        expected = act(weights, observation, uniforms[number:], tf.constant(0))
        np.testing.assert_array_equal(step(number)[0], expected[0])
