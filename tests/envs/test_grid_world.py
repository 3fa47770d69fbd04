"""The grid world as it was published: its pictures, its dynamics, its symmetry, its optimum."""

from __future__ import annotations

import collections

import numpy as np
import pytest
import tensorflow as tf

from tf_equirl import envs
from tf_equirl.envs import GridWorld, GridWorldState

MOVES = {0: (0, 0), 1: (1, 0), 2: (0, 1), 3: (-1, 0), 4: (0, -1)}  # rows, columns
EVERYWHERE = [(row, column) for row in range(7) for column in range(7)]
UNIFORM = np.full([49, 5], 0.2)


@pytest.fixture(scope="module")
def env():
    return GridWorld()


def state(row, column):
    return GridWorldState(*(tf.constant(x) for x in (row, column, 0)))


def every_pair(env):
    """The 245 pairs of a state and an action."""
    states = tf.nest.map_structure(lambda x: tf.repeat(x, 5), env.all_states())
    return states, tf.tile(tf.range(5), [49])


def by_hand(choose):
    """The mean return by dynamic programming in plain Python, from the rules alone."""
    values = dict.fromkeys(EVERYWHERE, 0.0)
    for _ in range(100):
        before, values = values, {}
        for row, column in EVERYWHERE:
            of_actions = []
            for down, right in MOVES.values():
                total = 0.0
                for prey, (prey_down, prey_right) in MOVES.items():
                    probability = 0.0375 if prey else 0.85
                    place = (row - down + prey_down) % 7, (column - right + prey_right) % 7
                    total += probability * (1.0 if place == (0, 0) else before[place] - 0.1)
                of_actions.append(total)
            values[row, column] = choose(of_actions)
    return np.mean(list(values.values()))


def test_exact_returns_of_the_best_the_uniform_and_the_steady_policy(env):
    """The numbers 0.7315, -4.97 and -5.80 decide what the paper's text leaves open."""
    assert env.max_episode_steps == 100
    best = envs.optimal_return(env)
    uniform, steady = (
        float(envs.exact_returns(env, policy))
        for policy in (UNIFORM, np.tile(np.eye(5)[1], [49, 1]))
    )
    assert (round(best, 4), round(uniform, 2), round(steady, 2)) == (0.7315, -4.97, -5.80)
    expected = [by_hand(max), by_hand(np.mean), by_hand(lambda values: values[1])]
    np.testing.assert_allclose([best, uniform, steady], expected, rtol=1e-6)


def test_many_policies_at_once_and_those_of_the_group(env):
    """A policy and its images have the same return, as the start distribution is symmetric."""
    policy = np.random.default_rng(0).dirichlet(np.ones(5), size=49)
    observations = np.reshape(env.observe(env.all_states()), [49, -1])
    rows = {row.tobytes(): i for i, row in enumerate(observations)}
    images = np.empty([8, 49, 5])
    for g in env.symmetry.group.elements:
        moved = env.symmetry.move_states(g, observations)
        places = [rows[row.tobytes()] for row in moved]
        images[g][np.ix_(places, env.symmetry.move_actions(g, np.arange(5)))] = policy
    returns = envs.exact_returns(env, images)
    assert returns.shape == (8,) and np.ptp(images, axis=0).max() > 0.5
    np.testing.assert_allclose(returns, envs.exact_returns(env, policy), rtol=1e-6)


def test_returns_of_episodes_are_the_exact_ones(env):
    """4,000 episodes under random actions; the standard error is 0.06."""
    uniforms = env.draw_uniforms([1, 2], [101, 4_000])
    actions = tf.random.stateless_uniform([100, 4_000], [3, 4], 0, 5, tf.int32)

    @tf.function(jit_compile=True, autograph=False)
    def play():
        def step(i, state, alive, total):
            state, _, reward, terminated, _ = env.step_with_uniforms(state, actions[i], uniforms[i])
            total += tf.where(alive, reward, 0.0)
            return i + 1, state, alive & ~terminated, total

        start = env.initial_state(uniforms[-1])
        return tf.while_loop(
            lambda i, *_: i < 100, step, (0, start, tf.fill([4_000], True), tf.zeros([4_000]))
        )[-1]

    returns = play().numpy()
    error = returns.std() / np.sqrt(len(returns))
    assert 0.04 < error < 0.08
    assert abs(returns.mean() - envs.exact_returns(env, UNIFORM)) < 4 * error


def test_pictures(env):
    pictures = env.observe(env.all_states()).numpy()
    assert pictures.shape == (49, 21, 21, 1) and pictures.dtype == np.float32
    assert set(np.unique(pictures)) == {0.0, 1.0}
    assert len({picture.tobytes() for picture in pictures}) == 49
    cross, plus = [[1, 0, 1], [0, 1, 0], [1, 0, 1]], [[0, 1, 0], [1, 1, 1], [0, 1, 0]]
    for (row, column), picture in zip(EVERYWHERE, pictures[..., 0], strict=True):
        np.testing.assert_array_equal(picture[9:12, 9:12], cross)  # drawn last
        top, left = 3 * ((row + 3) % 7), 3 * ((column + 3) % 7)
        if (row, column) != (0, 0):
            np.testing.assert_array_equal(picture[top : top + 3, left : left + 3], plus)
            assert picture.sum() == 10
    assert pictures[0].sum() == 5


def test_observations_tell_the_state(env):
    states = env.all_states()
    again = env.state_from_observation(env.observe(states))
    for x, y in zip(states, again, strict=True):
        np.testing.assert_array_equal(x, y)
        assert y.dtype == tf.int32


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_prey_moves_after_the_agent(env, dtype):
    """As often as it should, counted over evenly spread numbers."""
    numbers = ((np.arange(4_000) + 0.5) / 4_000).astype(dtype)
    uniforms = tf.stack([numbers, np.zeros_like(numbers)], axis=1)
    start = tf.nest.map_structure(lambda x: tf.fill([4_000], x), state(1, 2))
    for action, (down, right) in MOVES.items():
        following, reward, terminated = env.transition(start, tf.fill([4_000], action), uniforms)
        counts = collections.Counter(
            zip(following.row.numpy(), following.column.numpy(), strict=True)
        )
        row, column = 1 - down, 2 - right
        expected = {(row % 7, column % 7): 3400}
        for prey_down, prey_right in list(MOVES.values())[1:]:
            expected[(row + prey_down) % 7, (column + prey_right) % 7] = 150
        assert counts == expected
        assert not np.any(terminated) and np.all(reward == np.float32(-0.1))
    last = np.array([[np.nextafter(dtype(1), dtype(0)), 0], [1, 1]], dtype)
    for uniform in last:
        (row,) = env.transition(state(3, 3), tf.constant(0), tf.constant(uniform))[0].row[None]
        assert row == 3  # to the left


def test_catching_and_being_caught(env):
    """Where both are thereafter decides, not where they met or passed each other."""
    stays, down, up = 0.5, 0.86, 0.93  # what the prey does
    for place, action, prey, caught in (
        ((1, 0), 1, stays, True),  # one below, and the agent moves down
        ((0, 6), 4, stays, True),  # one to the left
        ((1, 0), 1, down, False),  # it flees in the last moment
        ((1, 0), 1, up, False),  # they pass each other
        ((2, 0), 1, up, True),  # they meet
        ((6, 0), 0, down, True),  # it runs into the agent
        ((0, 0), 0, stays, True),  # together from the start, and at rest
        ((0, 0), 2, stays, False),
        ((3, 3), 1, stays, False),
    ):
        _, reward, terminated = env.transition(
            state(*place), tf.constant(action), tf.constant([prey, 0.5])
        )
        assert bool(terminated) == caught
        assert float(reward) == (1.0 if caught else np.float32(-0.1))


def test_every_place_is_as_likely_at_the_start(env):
    uniforms = tf.stack([tf.zeros([4_900]), (tf.range(4_900.0) + 0.5) / 4_900], axis=1)
    start = env.initial_state(uniforms)
    assert collections.Counter(
        zip(start.row.numpy(), start.column.numpy(), strict=True)
    ) == dict.fromkeys(EVERYWHERE, 100)
    assert not np.any(start.steps)
    last = env.initial_state(tf.constant([[0.0, 1.0]]))
    assert (int(last.row[0]), int(last.column[0])) == (6, 6)


def test_a_quarter_turn_sends_the_moves_round(env):
    """As `np.rot90` turns pictures."""
    turn, mirror = env.symmetry.action.permutations[[1, 4]]
    assert turn.tolist() == [0, 2, 3, 4, 1] and mirror.tolist() == [0, 1, 4, 3, 2]
    picture = env.observe(state(1, 0)).numpy()
    turned = env.symmetry.state.act(1, picture.reshape(-1)).reshape(21, 21, 1)
    np.testing.assert_array_equal(turned, np.rot90(picture))
    np.testing.assert_array_equal(turned, env.observe(state(0, 1)))


@pytest.mark.parametrize("group", ["D4", "C4", "C2"])
def test_the_law_for_every_state_action_and_element(group):
    """Distributions of (picture, reward, terminated), as dicts of exact bytes."""
    env = GridWorld(group)
    symmetry = env.symmetry
    assert symmetry.group.order == {"D4": 8, "C4": 4, "C2": 2}[group]

    def distributions(states, actions, g=0):
        probability, following, reward, terminated = env.outcomes(states, actions)
        flat = np.reshape(env.observe(following), [245 * 5, -1])
        pictures = symmetry.move_states(g, flat).reshape([245, 5, -1])
        tables = [collections.Counter() for _ in range(245)]
        chances, rewards, ends = (x.numpy().tolist() for x in (probability, reward, terminated))
        for i, k in np.ndindex(245, 5):
            tables[i][pictures[i, k].tobytes(), rewards[i][k], ends[i][k]] += chances[i][k]
        return tables

    states, actions = every_pair(env)
    observations = np.reshape(env.observe(states), [245, -1])
    for g in symmetry.group.elements:
        images = tf.reshape(symmetry.move_states(g, observations), [245, 21, 21, 1])
        moved = env.state_from_observation(images)
        np.testing.assert_array_equal(env.observe(moved), images)
        assert distributions(states, actions, g) == distributions(
            moved, tf.constant(symmetry.move_actions(g, actions.numpy()))
        )


def test_a_compiled_rollout_equals_the_eager_one(env):
    uniforms = env.draw_uniforms([7, 8], [41, 16])
    actions = tf.random.stateless_uniform([40, 16], [1, 1], 0, 5, tf.int32)

    def step(i, state, sums):
        state, observation, reward, terminated, truncated = env.step_with_uniforms(
            state, actions[i], uniforms[i]
        )
        weights = tf.reshape(tf.range(441.0), observation.shape[1:])
        ends = tf.cast(terminated, tf.float32) + 10 * tf.cast(truncated, tf.float32)
        return state, sums + tf.stack(
            [tf.reduce_sum(weights * observation, axis=[1, 2, 3]), reward, ends]
        )

    start = env.initial_state(uniforms[-1])
    start = start._replace(steps=tf.range(60, 92, 2))  # some are truncated
    zeros = tf.zeros([3, 16])

    @tf.function(jit_compile=True, autograph=False)
    def rollout():
        return tf.while_loop(
            lambda i, *_: i < 40,
            lambda i, state, sums: (i + 1, *step(i, state, sums)),
            (0, start, zeros),
        )[1:]

    state, sums = start, zeros
    for i in range(40):
        state, sums = step(i, state, sums)
    assert np.any(sums[2] % 10 > 0) and np.any(sums[2] >= 10)
    for x, y in zip(tf.nest.flatten(rollout()), tf.nest.flatten((state, sums)), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-6)


def test_any_leading_dimensions(env):
    states = tf.nest.map_structure(lambda x: tf.reshape(x, [7, 7]), env.all_states())
    actions, uniforms = tf.ones([7, 7], tf.int64), env.draw_uniforms([1, 2], [7, 7])
    mapped = tf.vectorized_map(
        lambda arguments: env.step_with_uniforms(*arguments),
        (states, actions, uniforms),
        fallback_to_while_loop=False,
    )
    expected = env.step_with_uniforms(states, actions, uniforms)
    probability, following, _, _ = env.outcomes(states, actions)
    assert probability.shape == following.row.shape == following.steps.shape == [7, 7, 5]
    for x, y in zip(tf.nest.flatten(mapped), tf.nest.flatten(expected), strict=True):
        np.testing.assert_array_equal(x, y)


def test_pictures_for_people(env):
    text = env.render(state(1, 5), "ansi")
    assert text == "\n".join(["......."] * 3 + ["...x..."] + [".+....."] + ["......."] * 2)
    assert env.render(state(0, 0), "ansi").split("\n")[3] == "...@..."
    for row, column in EVERYWHERE:
        frame = env.render(state(row, column), "rgb_array")
        assert frame.shape == (336, 336, 3) and frame.dtype == np.uint8
        drawn = np.any(frame[8::16, 8::16] != 250, axis=-1)
        observed = env.observe(state(row, column))[..., 0] > 0
        if (row, column) == (0, 0):
            assert drawn[9:12, 9:12].all() and drawn.sum() == 9  # both can be seen
        else:
            np.testing.assert_array_equal(drawn, observed)
    turned = env.render(state(0, 1), "rgb_array")
    np.testing.assert_array_equal(turned, np.rot90(env.render(state(1, 0), "rgb_array")))


def test_config_words_and_key():
    env = envs.make("GridWorld", group="C4", max_episode_steps=7)
    assert env.get_config() == {
        "observation_shape": [21, 21, 1],
        "num_actions": 5,
        "max_episode_steps": 7,
        "group": "C4",
    }
    assert env.symmetry_in_words["state"] == "the board is turned by quarters"
    assert env.program_key() == GridWorld("C4", 7).program_key() != GridWorld().program_key()
    following = env.step_with_uniforms(
        state(3, 3)._replace(steps=tf.constant(6)), tf.constant(0), tf.constant([0.5, 0.0])
    )
    assert bool(following[-1]) and int(following[0].row) == 0


@pytest.mark.parametrize(
    "arguments",
    [{"group": "S3"}, {"group": 4}, {"max_episode_steps": 0}, {"max_episode_steps": 1.5}],
)
def test_wrong_arguments(arguments):
    ((name, value),) = arguments.items()
    with pytest.raises(ValueError, match=f"`{name}` must be .*Received: {name}={value!r}"):
        GridWorld(**arguments)


@pytest.mark.parametrize("action", [5, -1, 0.5, [0, 1], True])
def test_wrong_actions(env, action):
    with pytest.raises(ValueError, match=r"`action` .*Received: action="):
        env.step(env.reset([0, 0]), action, [0, 0])


@pytest.mark.parametrize(
    "policies",
    [
        np.full([48, 5], 0.2),
        np.full([49, 5], 0.3),
        np.tile([1.5, -0.5, 0, 0, 0], [49, 1]),
        np.full([49, 5], np.nan),
        [[0.5], [0.5, 0.5]],
        "uniform",
        None,
    ],
)
def test_wrong_policies(env, policies):
    with pytest.raises(ValueError, match=r"`policies` must be probabilities \[\.\.\., 49, 5\]"):
        envs.exact_returns(env, policies)
