"""Outcomes are what transitions lead to, as often; returns follow from them."""

from __future__ import annotations

import collections
import itertools

import numpy as np
import pytest
import tensorflow as tf

from tf_equirl import envs
from tf_equirl.envs import CartPole, Catch, GridWorld, Snake

SAMPLES = 2_000


def visited(env, steps, copies=16):
    """The states and actions of the last of some random steps."""
    rng = np.random.default_rng(0)
    state = env.initial_state(tf.constant(rng.random([copies, env.num_uniforms], np.float32)))
    for _ in range(steps):
        action = tf.constant(rng.integers(env.num_actions, size=copies))
        uniforms = tf.constant(rng.random([copies, env.num_uniforms], np.float32))
        before, (state, *_) = state, env.step_with_uniforms(state, action, uniforms)
    return before, action


def keys(parts, rows):
    """Of some rows of next states, rewards and terminations, as they are."""
    fields = [np.asarray(x)[rows] for x in tf.nest.flatten(parts)]
    return list(zip(*([x.tobytes() for x in field] for field in fields), strict=True))


def hungry_snakes():
    """Games in which food is eaten now, on a board of few cells."""
    env = Snake(5, 5)
    parts = []
    for direction in range(4):
        start = env.initial_state(tf.constant([[0.0, (direction + 0.5) / 4, 0.5]] * 4))
        ahead = start.head + tf.constant([-5, 1, 5, -1])[direction]
        parts.append(start._replace(food=ahead))
    states = tf.nest.map_structure(lambda *x: tf.concat(x, 0), *parts)
    return env, states, tf.repeat(tf.range(4), 4)


CASES = {
    "GridWorld": lambda: (env := GridWorld(), *visited(env, 20)),
    "Snake": lambda: (env := Snake(6, 6), *visited(env, 20)),
    "Snake, eating": hungry_snakes,
    **{
        f"Catch, {kind}": lambda kind=kind: (
            env := Catch(breaking=kind, kappa=0.4),
            *visited(env, 4),
        )
        for kind in ("gain", "gravity", "reflect", "repeat")
    },
}


@pytest.mark.parametrize("case", CASES)
def test_transitions_are_those_listed_as_often_as_listed(case):
    """Counts of 2,000 are binomial: five standard deviations and one, for some hundred of them."""
    env, states, actions = CASES[case]()
    count = len(actions)
    probability, *listed = env.outcomes(states, actions)
    chances = probability.numpy()
    assert chances.dtype == np.float32 and np.all(chances >= 0)
    np.testing.assert_allclose(chances.sum(axis=1), 1, rtol=1e-6)
    many = tf.nest.map_structure(lambda x: tf.repeat(x, SAMPLES, axis=0), (states, actions))
    uniforms = env.draw_uniforms([1, 2], [count * SAMPLES])
    made = env.transition(*many, uniforms)
    possible = 0
    for i in range(count):
        expected = collections.Counter()
        for key, chance in zip(keys(listed, i), chances[i].tolist(), strict=True):
            expected[key] += chance
        expected = +expected
        found = collections.Counter(keys(made, slice(i * SAMPLES, (i + 1) * SAMPLES)))
        assert set(found) <= set(expected)
        for key, chance in expected.items():
            bound = 5 * np.sqrt(SAMPLES * chance * max(1 - chance, 0)) + 1
            assert abs(found[key] - SAMPLES * chance) <= bound
        possible += len(expected)
    assert possible == {"GridWorld": 5 * 16, "Snake, eating": 21 * 16}.get(case, possible)


@pytest.mark.parametrize("env", [CartPole(), Catch()], ids=["CartPole", "Catch"])
def test_the_only_outcome_of_a_deterministic_transition(env):
    states, actions = visited(env, 5)
    shaped = tf.nest.map_structure(lambda x: tf.reshape(x, [2, 8, *x.shape[1:]]), states)
    actions = tf.reshape(actions, [2, 8])
    probability, *listed = env.outcomes(shaped, actions)
    np.testing.assert_array_equal(probability, np.ones([2, 8, 1]))
    made = env.transition(shaped, actions, tf.fill([2, 8, env.num_uniforms], 0.5))
    for x, y in zip(tf.nest.flatten(listed), tf.nest.flatten(made), strict=True):
        np.testing.assert_array_equal(x[:, :, 0], y)


def test_what_is_not_defined_says_so():
    class Drifting(CartPole):
        random_transitions = True

    env = Drifting()
    with pytest.raises(ValueError, match=r"CartPole must define `outcomes`.*random_transitions"):
        env.outcomes(env.reset([0, 0]), tf.constant(0))
    with pytest.raises(ValueError, match="first states of Snake are not listed"):
        Snake().starts()
    with pytest.raises(ValueError, match="states of Snake cannot be listed"):
        envs.optimal_return("Snake")


@pytest.mark.parametrize("env", [Catch(), GridWorld()], ids=["Catch", "GridWorld"])
def test_starts_are_drawn_as_often_as_listed(env):
    probability, states = env.starts()
    chances = dict(zip(keys(states, slice(None)), probability.numpy().tolist(), strict=True))
    numbers = (np.arange(4_900, dtype=np.float32) + 0.5) / 4_900
    uniforms = np.repeat(numbers[:, None], env.num_uniforms, axis=1)
    drawn = collections.Counter(keys(env.initial_state(tf.constant(uniforms)), slice(None)))
    assert set(drawn) == set(chances)
    for key, chance in chances.items():
        np.testing.assert_allclose(drawn[key] / 4_900, chance, rtol=1e-6)


@pytest.mark.parametrize(("rows", "columns"), [(10, 5), (3, 3), (2, 5), (3, 7)])
def test_returns_of_catch(rows, columns):
    """The best catches what it can reach; of the uniform one all paths are counted."""
    env = Catch(rows, columns)
    reach = rows - 1
    caught = [abs(column - columns // 2) <= reach for column in range(columns)]
    assert envs.optimal_return(env) == pytest.approx(2 * np.mean(caught) - 1)
    states = (rows - 1) * columns**2
    if rows < 10:
        ends = []
        for moves in itertools.product((-1, 0, 1), repeat=reach):
            paddle = columns // 2
            for move in moves:
                paddle = min(max(paddle + move, 0), columns - 1)
            ends.append(paddle)
        share = np.mean([column == end for end in ends for column in range(columns)])
        returns = envs.exact_returns(env, np.full([2, 3, states, 3], 1 / 3))
        np.testing.assert_allclose(returns, np.full([2, 3], 2 * share - 1))


def test_the_time_limit_ends_a_game():
    """By hand for one step, which the prey makes after the agent.

    It stays, with probability 0.85, where the agent has come: to five places. From eight more, two
    cells away straight or around a corner, it comes to the agent with probability 0.0375.
    """
    caught = (5 * 0.85 + 8 * 0.0375) / 49
    one, two, nine = (envs.optimal_return(GridWorld(max_episode_steps=n)) for n in (1, 2, 9))
    assert one == pytest.approx(caught - 0.1 * (1 - caught), rel=1e-6)
    assert one < two < nine < envs.optimal_return("GridWorld")


def test_states_that_are_not_listed():
    class Missing(GridWorld):
        def all_states(self):
            return tf.nest.map_structure(lambda x: x[:-1], super().all_states())

        def starts(self):
            return tf.fill([48], 1 / 48), self.all_states()

    with pytest.raises(ValueError, match=r"`env` must list every state.*whose outcomes have 1 sta"):
        envs.optimal_return(Missing())
