"""What the tests of planning share: a small environment with a group that is not abelian."""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tf_equirl.agents.ppo.tf_agents_ppo import make_models
from tf_equirl.dyna import DynaConfig
from tf_equirl.dyna.learner import DynaProgram
from tf_equirl.dyna.train import transition_model
from tf_equirl.envs import Environment
from tf_equirl.groups import Symmetry, permutation_representation, symmetric_group


class CupsState(NamedTuple):
    level: tf.Tensor  # [..., 3]
    steps: tf.Tensor


class Cups(Environment):
    """Three leaking cups, of which each action fills one: level <- level / 2 + one-hot action.

    S3 permutes cups and actions. All sums are exact but for one rounding, so that compiled and
    eager steps, and those of a matrix product, are equal to the last bit. An episode ends when a
    cup overflows, or after 7 steps.
    """

    name = "Cups"
    observation_shape = (3,)
    num_actions = 3
    num_uniforms = 3
    max_episode_steps = 7

    def __init__(self):
        group = symmetric_group(3)
        representation = permutation_representation(group)
        self.symmetry = Symmetry(group, state=representation, action=representation)

    def initial_state(self, uniforms):
        return CupsState(tf.cast(uniforms, tf.float32), tf.zeros(uniforms.shape[:-1], tf.int32))

    def observe(self, state):
        return state.level

    def transition(self, state, action, uniforms):
        following = state._replace(level=state.level * 0.5 + tf.one_hot(action, 3))
        return following, self.reward(state, action, following), self.is_terminal(following)

    def is_terminal(self, state):
        return tf.reduce_any(state.level > 1.7, axis=-1)

    def reward(self, state, action, following):
        return tf.reduce_max(state.level, axis=-1) - tf.reduce_min(following.level, axis=-1)

    def state_from_observation(self, observation):
        return CupsState(observation, tf.zeros(observation.shape[:-1], tf.int32))


class NoReward(Cups):
    """Cups that do not say their reward: good for acting, not for planning."""

    def transition(self, state, action, uniforms):
        following = state._replace(level=state.level * 0.5 + tf.one_hot(action, 3))
        return following, tf.ones(action.shape), self.is_terminal(following)

    reward = Environment.reward


def exact_model(fill=1.0):
    """The dynamics of the cups as a Keras model; `fill` = 1 is right."""
    inputs = [keras.Input((3,)), keras.Input((3,))]
    both = keras.layers.Concatenate()(inputs)
    dense = keras.layers.Dense(3, use_bias=False)
    model = keras.Model(inputs, dense(both), name="exact")
    dense.kernel.assign(np.concatenate([0.5 * np.eye(3), fill * np.eye(3)]))
    return model


def program_of(env, config: DynaConfig, frozen_model=None) -> DynaProgram:
    """The program that `train_dyna` makes."""
    model, frozen = transition_model(env, config, frozen_model)
    actor, critic = make_models(env, config)
    return DynaProgram(env, config, actor, critic, model, frozen is not None)


def compiled(function):
    return tf.function(function, jit_compile=True, autograph=False)


def assert_equal(a, b):
    for x, y in zip(tf.nest.flatten(a), tf.nest.flatten(b), strict=True):
        np.testing.assert_array_equal(x, y)
