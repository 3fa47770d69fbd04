"""Small things to train: learners without tf-agents, which compile quickly, and an environment."""

import dataclasses
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tf_equirl import envs
from tf_equirl.groups import Symmetry, cyclic_group, trivial_representation
from tf_equirl.training.collect import by_member
from tf_equirl.training.config import Config, OnPolicyConfig
from tf_equirl.training.learner import Learner
from tf_equirl.training.on_policy import OnPolicyLearner
from tf_equirl.training.population import Weights
from tf_equirl.training.progress import Progress
from tf_equirl.training.randomness import Purpose, member_uniforms
from tf_equirl.training.result import Result


@dataclasses.dataclass(frozen=True)
class WalkConfig(Config):
    """Of `Walk`."""

    num_updates: int = 12
    learning_rate: float = 0.1


class WalkState(NamedTuple):
    """All that `Walk` carries."""

    seeds: tf.Tensor
    weights: Weights


@dataclasses.dataclass(frozen=True, kw_only=True)
class WalkResult(Result):
    """What `Walk` gives back."""

    sizes: Any
    updates: int


class Walk(Learner):
    """Moves weights at random. A member from `explodes` on becomes infinite after two updates."""

    trainer = "walk"

    def __init__(self, config=None, network=None, env="CartPole", explodes=2**31 - 1):
        network = network or dense_network()
        super().__init__(envs.make(env), config or WalkConfig(), {"network": network})
        self.explodes = explodes

    @property
    def key(self):
        return *super().key, self.explodes

    def start(self, seeds):
        return WalkState(tf.constant(list(seeds), tf.int32), self.population.fresh(seeds))

    def update(self, state, index):
        moves = member_uniforms(state.seeds, Purpose.ROLLOUT, index, [1]) - 0.5
        late = (state.seeds >= self.explodes) & (index >= 2)
        moves = tf.where(late[:, None], 1e30, moves * self.config.learning_rate)
        trained = tf.nest.map_structure(
            lambda w: w + tf.reshape(moves, [-1] + [1] * (w.shape.rank - 1)),
            state.weights.trained,
        )
        size = tf.reduce_mean(trained["network"][0] ** 2, axis=[1, 2])
        reports = {"size": size, "finite": tf.math.is_finite(size)}
        return state._replace(weights=state.weights._replace(trained=trained)), reports

    def weights(self, state):
        return self.population.arrays(state.weights)

    def progress(self, view):
        done = view.done["update"]
        return Progress(done, self.num_updates, done, 0.0, view.rate, view.compile_seconds)

    def result(self, outcome):
        return WalkResult(
            **outcome.common(),
            environment=self.env.name,
            config=self.config,
            networks=self.networks,
            sizes=outcome.reported("update", "size"),
            updates=outcome.done["update"],
        )


def dense_network(activation="relu"):
    """A network of two layers."""
    layers = keras.layers
    return keras.Sequential([keras.Input((4,)), layers.Dense(3, activation), layers.Dense(2)])


def events_of(folder, tag):
    """Steps and values of a scalar in all event files of a run, none left out."""
    found = []
    for file in sorted((folder / "tensorboard").glob("events.*")):
        for record in tf.compat.v1.io.tf_record_iterator(str(file)):
            event = tf.compat.v1.Event.FromString(record)
            found += [
                (event.step, float(tf.make_ndarray(value.tensor)))
                for value in event.summary.value
                if value.tag == tag
            ]
    return [step for step, _ in found], [value for _, value in found]


class Stop:
    """Interrupts a run as Ctrl-C does, once it has made some updates."""

    def __init__(self, after):
        self.after = after

    def __call__(self, progress):
        if progress.updates >= self.after:
            raise KeyboardInterrupt


def assert_same(one, other):
    """Whether two results of PPO are equal to the last bit."""
    assert (one.seeds, one.config) == (other.seeds, other.config)
    np.testing.assert_array_equal(one.returns, other.returns)
    np.testing.assert_array_equal(one.first_returns, other.first_returns)
    for name, values in one.metrics.items():
        np.testing.assert_array_equal(values, other.metrics[name])
    for role, arrays in one.weights.items():
        for a, b in zip(arrays, other.weights[role], strict=True):
            np.testing.assert_array_equal(a, b)


class LotteryState(NamedTuple):
    """The last number that was drawn."""

    number: tf.Tensor
    steps: tf.Tensor


class Lottery(envs.Environment):
    """Shows the numbers that its steps are handed: the first is the next state and the reward.

    The second ends the episode if it is small, and the third starts the next one.
    """

    name = "Lottery"
    observation_shape = (1,)
    num_actions = 3
    num_uniforms = 3
    max_episode_steps = 100

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


@dataclasses.dataclass(frozen=True)
class ReinforceConfig(OnPolicyConfig):
    """Of `Reinforce`."""

    num_environments: int = 4
    rollout_steps: int = 15
    total_timesteps: int = 60 * 8


class Reinforce(OnPolicyLearner):
    """The policy gradient with the rewards to go of a rollout; no critic."""

    trainer = "reinforce"

    def learn(self, state, rollout, index, rate, made):
        to_go = tf.cumsum(rollout.reward, axis=0, reverse=True)
        columns = (rollout.observation, rollout.action, to_go - tf.reduce_mean(to_go, 0))
        data = [by_member(x) for x in columns]

        def loss(data):
            observation, action, gain = data
            parameters = self.networks["actor"](observation)
            log_prob = self.env.action_distribution.log_prob(parameters, action)
            value = -tf.reduce_mean(log_prob * gain)
            return value, value

        gradients, value = self.population.gradients(loss, state.weights, data)
        count = tf.cast(made + 1, tf.float32)
        weights, adam = self.step(state.weights, state.adam, gradients, count, rate)
        return weights, adam, {"loss": value}
