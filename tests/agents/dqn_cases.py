"""What the tests of DQN train, and environments that show what steps are handed."""

from typing import NamedTuple

import tensorflow as tf

from tf_equirl import envs
from tf_equirl.agents import DQNConfig
from tf_equirl.groups import Symmetry, cyclic_group, trivial_representation

# Widths and batches that fill no vector register; two phases in an update, the fourth one learns.
SMALL = DQNConfig(
    q_function="gcnn",
    hidden_units=(15, 13),
    num_environments=4,
    rollout_steps=10,
    train_every=20,
    gradient_steps=4,
    batch_size=33,
    buffer_size=4002,
    learning_starts=70,
    n_steps=3,
    target_update_period=25,
    epsilon_steps=300,
    total_timesteps=40 * 12,
)
SEEDS = (5, 0, 3, 9, 2)


class LotteryState(NamedTuple):
    """The last number that was drawn."""

    number: tf.Tensor
    steps: tf.Tensor


class Lottery(envs.Environment):
    """Shows the numbers that its steps are handed: the first is the next state and the reward.

    The second ends the episode if it is small, the fourth step does in any case, and the third
    number starts the next one.
    """

    name = "Lottery"
    observation_shape = (1,)
    num_actions = 3
    num_uniforms = 3
    max_episode_steps = 4

    def __init__(self):
        group = cyclic_group(2)
        self.symmetry = Symmetry(
            group,
            state=trivial_representation(group),
            action=trivial_representation(group, 3),
        )

    def initial_state(self, uniforms):
        return LotteryState(uniforms[..., 2], tf.zeros(uniforms.shape[:-1], tf.int32))

    def observe(self, state):
        return state.number[..., None]

    def transition(self, state, action, uniforms):
        following = LotteryState(uniforms[..., 0], state.steps)
        return following, uniforms[..., 0], uniforms[..., 1] < 0.2


class Fixed(Lottery):
    """Whose steps are not random: numbers follow from the one that an episode begins with."""

    name = "Fixed"
    random_transitions = False

    def transition(self, state, action, uniforms):
        number = tf.math.floormod(state.number * 1.7 + 0.1, 1.0)
        return state._replace(number=number), state.number, number < 0.2
