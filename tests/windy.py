"""The source of a module of the user's own, with an environment, for tests that write it."""

SOURCE = '''
from typing import NamedTuple

import tensorflow as tf

from tf_equirl import envs
from tf_equirl.groups import (
    Representation, Symmetry, cyclic_group, permutation_representation
)


class LineState(NamedTuple):
    position: tf.Tensor
    steps: tf.Tensor


class Windy(envs.Environment):
    """Stay near 0 on a line, against gusts: push left (0) or right (1)."""

    name = "Windy"
    observation_shape = (1,)
    num_actions = 2
    num_uniforms = 1

    def __init__(self, wind: float = 0.1, max_episode_steps: int = 8):
        self.wind = wind
        self.max_episode_steps = max_episode_steps
        group = cyclic_group(2)
        self.symmetry = Symmetry(
            group,
            state=Representation(group, [[[1.0]], [[-1.0]]]),
            action=permutation_representation(group, [[0, 1], [1, 0]]),
        )

    def initial_state(self, uniforms):
        position = 2.0 * tf.cast(uniforms[..., 0], tf.float32) - 1.0
        return LineState(position, tf.zeros_like(position, tf.int32))

    def observe(self, state):
        return state.position[..., tf.newaxis]

    def transition(self, state, action, uniforms):
        push = 0.2 * (2.0 * tf.cast(action, tf.float32) - 1.0)
        gust = self.wind * (2.0 * tf.cast(uniforms[..., 0], tf.float32) - 1.0)
        position = state.position + push + gust
        over = tf.abs(position) > 1.5
        return state._replace(position=position), 1.0 - tf.abs(position), over


def calm(steps: int = 4):
    return Windy(0.0, steps)


class Unfinished(envs.Environment):
    name = "Unfinished"


number = 3


def three():
    return 3
'''
