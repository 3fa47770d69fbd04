"""Evaluations against slow loops, known returns and known distributions."""

from __future__ import annotations

import math
from typing import NamedTuple

import gymnasium
import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tf_equirl import envs
from tf_equirl.evaluation import Evaluation, evaluate
from tf_equirl.groups import Symmetry, cyclic_group, trivial_representation
from tf_equirl.training.episodes import BLOCK

pytestmark = pytest.mark.usefixtures("without_xla")


def linear(kernel, bias=None):
    """A policy with logits `observation @ kernel + bias`."""
    kernel = np.asarray(kernel, np.float32)
    layer = keras.layers.Dense(kernel.shape[1])
    model = keras.Sequential([keras.Input([kernel.shape[0]]), layer])
    layer.set_weights([kernel, np.zeros(kernel.shape[1]) if bias is None else np.asarray(bias)])
    return model


def pushing_towards(weights):
    """CartPole's policy that pushes right where `weights @ observation` is positive."""
    return linear(np.stack([-np.array(weights), np.array(weights)], axis=-1))


def constant(env, logits):
    return linear(np.zeros([math.prod(env.observation_shape), len(logits)]), logits)


class CoinState(NamedTuple):
    seen: tf.Tensor
    steps: tf.Tensor


class Coins(envs.Environment):
    """Ten steps, rewarded by the step's own random number; action 1 adds a hundred."""

    name = "Coins"
    observation_shape = (1,)
    num_actions = 2
    num_uniforms = 2
    max_episode_steps = 10

    def __init__(self):
        group = cyclic_group(1)
        self.symmetry = Symmetry(
            group, trivial_representation(group), trivial_representation(group, 2)
        )

    def initial_state(self, uniforms):
        return CoinState(uniforms[..., 1], tf.zeros(uniforms.shape[:-1], tf.int32))

    def observe(self, state):
        return state.seen[..., None]

    def transition(self, state, action, uniforms):
        reward = uniforms[..., 0] + 100 * tf.cast(action, tf.float32)
        return state, reward, tf.zeros_like(reward, tf.bool)


def test_it_plays_the_episodes_that_gymnasium_plays():
    """Gymnasium's own CartPole-v1, seeded once, with the same policy in NumPy."""
    model = pushing_towards([0, 0, 1, 0])  # one term, so that no order of a sum matters
    found = evaluate(model, envs.CartPole(dtype="float64"), episodes=40, seed=5)
    env = gymnasium.make("CartPole-v1")
    expected = []
    for episode in range(40):
        observation, _ = env.reset(seed=5 if episode == 0 else None)
        total, ended = 0.0, False
        while not ended:
            observation, reward, terminated, truncated, _ = env.step(int(observation[2] > 0))
            total += reward
            ended = terminated or truncated
        expected.append(total)
    assert len(set(expected)) > 5
    assert found.returns.tolist() == expected
    assert found.lengths.tolist() == expected  # a reward of 1 each step


@pytest.mark.parametrize(("rows", "columns"), [(10, 5), (4, 7)])
def test_standing_still_catches_the_balls_of_the_middle_column(rows, columns):
    env = envs.Catch(rows, columns)
    found = evaluate(constant(env, [0, 1, 0]), env, episodes=300, seed=2)
    board = envs.GymnasiumVectorEnv(env, 300).reset(seed=2)[0].reshape(300, rows, columns)
    in_the_middle = board[:, 0, columns // 2] == 1
    assert 0 < in_the_middle.mean() < 1
    assert found.returns.tolist() == np.where(in_the_middle, 1.0, -1.0).tolist()
    assert set(found.lengths.tolist()) == {rows - 1}
    assert found.success_rate(1.0) == in_the_middle.mean()


@pytest.mark.parametrize("limit", [500, 37])
def test_a_balanced_pole_gets_the_time_limit(limit):
    model = pushing_towards([0.2, 0.5, 3, 1])
    found = evaluate(model, envs.CartPole(max_episode_steps=limit), episodes=300)
    assert set(found.returns.tolist()) == {float(limit)}
    assert (found.success_rate(limit), found.success_rate(limit + 1)) == (1.0, 0.0)
    assert (found.mean, found.standard_error, found.minimum, found.maximum) == (limit, 0) + (
        limit,
        limit,
    )


def test_drawn_actions_have_the_softmax_probabilities():
    """On a board of two rows one action decides: column a is reached by action a."""
    env = envs.Catch(2, 3)
    probabilities = np.array([0.6, 0.1, 0.3])
    model = constant(env, np.log(probabilities) + 5)
    episodes = 6000
    found = evaluate(model, env, episodes, greedy=False, seed=3)
    boards = envs.GymnasiumVectorEnv(env, episodes).reset(seed=3)[0].reshape(episodes, 2, 3)
    for column, probability in enumerate(probabilities):
        caught = found.returns[boards[:, 0, column] == 1] == 1
        deviation = math.sqrt(probability * (1 - probability) / len(caught))
        assert abs(caught.mean() - probability) < 4.5 * deviation
    greedy = evaluate(model, env, episodes, seed=3)
    assert greedy.returns.tolist() == np.where(boards[:, 0, 0] == 1, 1.0, -1.0).tolist()


def test_random_transitions_are_fresh_every_step_and_independent_of_the_actions():
    found = evaluate(linear([[0, 0]]), Coins(), 6000, greedy=False)
    ones, sums = np.divmod(found.returns, 100)
    assert set(found.lengths.tolist()) == {10}
    # Means and variances of ten uniform numbers and ten fair coins; 4.5 standard errors of each.
    # One number for a whole episode would have ten times the variance.
    for values, mean, variance in ((sums, 5, 10 / 12), (ones, 5, 10 / 4)):
        assert abs(values.mean() - mean) < 4.5 * math.sqrt(variance / 6000)
        assert abs(values.var() / variance - 1) < 4.5 * math.sqrt(2 / 6000)
    assert abs(np.corrcoef(sums, ones)[0, 1]) < 4.5 / math.sqrt(6000)
    # Episodes of one block, and of two, share no numbers.
    assert len(set(sums.tolist())) > 5900


@pytest.mark.parametrize("greedy", [True, False])
def test_fewer_episodes_are_the_first_of_more(greedy):
    model = pushing_towards([0.02, 0.03, 1, 0])
    many = evaluate(model, "CartPole", 2 * BLOCK, greedy, seed=7)
    assert len(many.returns) == len(many.lengths) == 2 * BLOCK
    assert not np.array_equal(many.returns[:BLOCK], many.returns[BLOCK:])
    for episodes in (1, BLOCK + 1):
        some = evaluate(model, "CartPole", episodes, greedy, seed=7)
        assert some.returns.tolist() == many.returns[:episodes].tolist()
        assert some.lengths.tolist() == many.lengths[:episodes].tolist()


def test_seeds_and_policies_make_a_difference():
    model = pushing_towards([0.02, 0.03, 1, 0])
    results = {
        tuple(evaluate(model, "CartPole", 50, greedy, seed).returns)
        for greedy, seed in ((True, 0), (True, 1), (False, 0))
    }
    assert len(results) == 3


def test_an_observation_that_is_a_board():
    env = envs.Catch(observation="board")
    flat = constant(envs.Catch(), [0, 1, 0])
    board = keras.Sequential([keras.Input([10, 5, 1]), keras.layers.Flatten(), *flat.layers])
    expected = evaluate(flat, "Catch", 20).returns
    assert evaluate(board, env, 20).returns.tolist() == expected.tolist()


def test_statistics():
    returns = np.random.default_rng(0).normal(size=30)
    found = Evaluation(returns, np.ones(30, np.int64))
    assert found.mean == pytest.approx(returns.mean())
    assert found.standard_error == pytest.approx(stats.sem(returns))
    assert (found.minimum, found.maximum) == (returns.min(), returns.max())
    assert found.success_rate(returns[3]) == pytest.approx(np.mean(returns >= returns[3]))
    assert math.isnan(Evaluation(returns[:1], np.ones(1, np.int64)).standard_error)


def test_wrong_arguments():
    model = pushing_towards([0, 0, 1, 0])
    for episodes in (0, -1, 2.5):
        with pytest.raises(ValueError, match="`episodes` must be a positive int.*Received: epis"):
            evaluate(model, "CartPole", episodes)
    for seed in (-1, 2**31, 0.5, True, "0"):
        with pytest.raises(ValueError, match=r"`seed` must be an integer in \[0, 2.31\). Received"):
            evaluate(model, "CartPole", seed=seed)
    with pytest.raises(
        ValueError, match=r"\(None, 50\) of Catch.*\(None, 3\). Received: model=.*4"
    ):
        evaluate(model, "Catch")
    with pytest.raises(ValueError, match="must be a Keras model. Received: model=<function"):
        evaluate(lambda x: x, "CartPole")
    critic = linear(np.zeros([4, 1]))
    with pytest.raises(ValueError, match=r"to logits \(None, 2\). Received.*\(None, 1\)"):
        evaluate(critic, "CartPole")
    unbuilt = keras.Sequential([keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="Received: model=Sequential '.*', None to None"):
        evaluate(unbuilt, "CartPole")
    with pytest.raises(ValueError, match="Did you mean CartPole"):
        evaluate(model, "CartPool")


def test_logits_that_are_no_numbers():
    with pytest.raises(ValueError, match="must give numbers. Received: a logit that is NaN"):
        evaluate(pushing_towards([0, 0, np.nan, 0]), "CartPole", 10)


def test_a_model_that_shares_shapes_with_a_fixed_batch_is_refused():
    inputs = keras.Input(batch_shape=[1, 4])
    model = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    with pytest.raises(ValueError, match=r"Received: model=Functional .*\(1, 4\)"):
        evaluate(model, "CartPole")
