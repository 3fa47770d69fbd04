"""What the tests of SAC train, and an environment of continuous actions in TensorFlow."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_equirl import envs
from tf_equirl.agents import SACConfig
from tf_equirl.distributions import SquashedGaussian
from tf_equirl.groups import Representation, Symmetry, dihedral_group

# Widths and batches that fill no vector register; two phases in an update, the fourth one learns.
SMALL = SACConfig(
    actor="gcnn",
    q_function="gcnn",
    hidden_units=(7, 5),
    num_environments=4,
    rollout_steps=10,
    train_every=20,
    gradient_steps=3,
    batch_size=33,
    buffer_size=4002,
    learning_starts=70,
    learning_rate=3e-3,
    actor_learning_rate=1e-3,
    tau=0.05,
    discount=0.95,
    max_gradient_norm=10.0,
    total_timesteps=40 * 12,
)
SEEDS = (5, 0, 3, 9, 2)


class PuckState(NamedTuple):
    """Where the puck is, and how fast it moves, `[..., 2]` each."""

    place: tf.Tensor
    velocity: tf.Tensor
    steps: tf.Tensor


class Puck(envs.Environment):
    """A puck that a force pushes to the middle of a square, which D4 maps to itself.

    It starts anywhere. An episode ends after 12 steps, and before that where the puck gets out.
    """

    name = "Puck"
    observation_shape = (4,)
    num_actions = 0
    action_bounds = ((-2.0, -2.0), (2.0, 2.0))
    num_uniforms = 2
    random_transitions = False
    max_episode_steps = 12

    def __init__(self):
        group = dihedral_group(4)
        turn, mirror = np.array([[0.0, -1.0], [1.0, 0.0]]), np.diag([1.0, -1.0])
        images = dict(zip(group.generators, (turn, mirror), strict=True))
        plane = Representation.from_generators(group, images)
        self.symmetry = Symmetry(group, state=plane + plane, action=plane)

    @property
    def action_distribution(self):
        return SquashedGaussian(*self.action_bounds, self.symmetry.action)

    def program_key(self):
        return type(self)

    def initial_state(self, uniforms):
        place = tf.cast(2.0 * uniforms - 1.0, tf.float32)
        return PuckState(place, tf.zeros_like(place), tf.zeros(place.shape[:-1], tf.int32))

    def observe(self, state):
        return tf.concat([state.place, state.velocity], axis=-1)

    def transition(self, state, action, uniforms):
        velocity = 0.8 * state.velocity + 0.2 * action
        place = state.place + 0.5 * velocity
        reward = -tf.reduce_sum(tf.square(place), axis=-1)
        over = tf.reduce_any(tf.abs(place) > 1.5, axis=-1)
        reward -= 5.0 * tf.cast(over, tf.float32)
        return PuckState(place, velocity, state.steps), reward, over
