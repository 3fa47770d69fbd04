"""What the tests of planning share: small environments with groups that are not abelian."""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tf_equirl.dyna import DynaConfig
from tf_equirl.dyna.learner import DynaLearner, DynaState
from tf_equirl.dyna.train import transition_model
from tf_equirl.dynamics.model_loss import ROLE
from tf_equirl.envs import Environment
from tf_equirl.groups import (
    Representation,
    Symmetry,
    dihedral_group,
    permutation_representation,
    symmetric_group,
)
from tf_equirl.training.population import Weights


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


class BoxState(NamedTuple):
    position: tf.Tensor  # [..., 2]
    velocity: tf.Tensor  # [..., 2]
    steps: tf.Tensor


class Box(Environment):
    """A point mass is pushed about in a square box; D4 turns and mirrors all of it.

    The walls stop it, and nothing tells a transition model of them: `encoding_bounds` is not
    defined. An episode ends by its time limit alone.
    """

    name = "Box"
    observation_shape = (4,)
    num_actions = 4
    num_uniforms = 2
    random_transitions = False
    max_episode_steps = 60
    pushes = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], np.float32)

    def __init__(self):
        turn, mirror = np.array([[0, -1], [1, 0]]), np.diag([1, -1])
        matrices = [np.linalg.matrix_power(turn, k) for k in range(4)]
        matrices = np.array(matrices + [m @ mirror for m in matrices], float)
        group = dihedral_group(4)
        moved = np.einsum("gij,aj->gai", matrices, self.pushes)
        permutations = (moved[:, :, None] == self.pushes).all(-1).argmax(-1)
        plane = Representation(group, matrices)
        self.symmetry = Symmetry(
            group,
            state=plane + plane,
            action=permutation_representation(group, permutations),
        )

    def initial_state(self, uniforms):
        position = 2.0 * tf.cast(uniforms, tf.float32) - 1.0
        steps = tf.zeros(uniforms.shape[:-1], tf.int32)
        return BoxState(position, tf.zeros_like(position), steps)

    def observe(self, state):
        return tf.concat([state.position, state.velocity], axis=-1)

    def transition(self, state, action, uniforms):
        velocity = 0.95 * state.velocity + 0.1 * tf.gather(tf.constant(self.pushes), action)
        position = state.position + 0.1 * velocity
        velocity = tf.where(tf.abs(position) <= 1.0, velocity, 0.0)
        following = BoxState(tf.clip_by_value(position, -1.0, 1.0), velocity, state.steps)
        return following, self.reward(state, action, following), self.is_terminal(following)

    def is_terminal(self, state):
        return tf.zeros(state.steps.shape, tf.bool)

    def reward(self, state, action, following):
        return -tf.norm(following.position, axis=-1)

    def state_from_observation(self, observation):
        steps = tf.zeros(observation.shape[:-1], tf.int32)
        return BoxState(observation[..., :2], observation[..., 2:], steps)


CUPS, BOX = Cups(), Box()
"""Compiled programs are kept by environment: tests that share one compile less."""


def exact_model(fill=1.0):
    """The dynamics of the cups as a Keras model; `fill` = 1 is right."""
    inputs = [keras.Input((3,)), keras.Input((3,))]
    both = keras.layers.Concatenate()(inputs)
    dense = keras.layers.Dense(3, use_bias=False)
    model = keras.Model(inputs, dense(both), name="exact")
    dense.kernel.assign(np.concatenate([0.5 * np.eye(3), fill * np.eye(3)]))
    return model


def learner_of(env, config: DynaConfig, frozen_model=None) -> DynaLearner:
    """The learner that `train_dyna` makes."""
    model, frozen = transition_model(env, config, frozen_model)
    return DynaLearner(config.agent.learner(env), config, model, frozen)


def number(x):
    return tf.constant(x, tf.int32)


# The stages with arguments of one's own, where a run takes them from its schedule.


def update(learner, state: DynaState, first: int, count: int = 1) -> DynaState:
    """Updates in the environment."""
    return learner.stages["update"].run(state, first, count)[0]


def fit(learner, state: DynaState, first: int, count: int, filled: int) -> DynaState:
    """Gradient steps of the models."""
    weights, adam = learner._program("fit", learner.models.fit)(
        state.agent.seeds,
        state.buffer,
        state.model,
        state.model_adam,
        *map(number, (first, count, filled)),
    )
    return state._replace(model=weights, model_adam=adam)


def begin_planning(learner, state: DynaState, index: int, filled: int, count: int):
    """The state in which planning has begun, and what was measured."""
    program = learner._program("measure", learner.begin_planning)
    planning, reports = program(state, *map(number, (index, filled, count)))
    return state._replace(planning=planning), reports


def plan(learner, state: DynaState, index: int, count: int, real: int, filled: int):
    """Updates in the model, and what the last of them reports."""
    weights, adam, made, planning, reports = learner._program("plan", learner.plan)(
        state, *map(number, (index, count, real, filled))
    )
    agent = state.agent._replace(weights=weights, adam=adam)
    last = {name: x[count - 1].numpy() for name, x in reports.items()}
    return state._replace(agent=agent, made=made, planning=planning), last


def model_weights(state: DynaState) -> list[tf.Tensor]:
    return state.model.trained[ROLE]


def with_model(state: DynaState, weights) -> DynaState:
    """The state with other weights of the models."""
    return state._replace(model=Weights({ROLE: [tf.constant(w) for w in weights]}, {ROLE: []}))


def compiled(function):
    return tf.function(function, jit_compile=True, autograph=False)


def assert_equal(a, b):
    for x, y in zip(tf.nest.flatten(a), tf.nest.flatten(b), strict=True):
        np.testing.assert_array_equal(x, y)
