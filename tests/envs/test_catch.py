"""Catch equals bsuite's Catch, step for step, and has the mirror symmetry exactly."""

from __future__ import annotations

import importlib.util
import sys
import types
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf

from tf_equirl import envs
from tf_equirl.envs import Catch, CatchState
from tf_equirl.groups import Symmetry, trivial_representation

SIZES = [(10, 5), (7, 3), (5, 7), (2, 3)]
FORMS = ["flat", "board"]


@pytest.fixture(scope="module")
def reference():
    """bsuite's module of Catch.

    `import bsuite` itself loads all of its experiments, and pandas, plotnine and scikit-image with
    them; an empty package in its place leaves the import of this module with dm_env alone.
    """
    package = types.ModuleType("bsuite")
    spec = importlib.util.find_spec("bsuite")
    package.__path__ = list(spec.submodule_search_locations) if spec else []
    with mock.patch.dict(sys.modules, {"bsuite": package}):
        return pytest.importorskip(
            "bsuite.environments.catch",
            reason="parity with bsuite needs: pip install dm-env && pip install --no-deps bsuite",
        )


def every_state(env, rows):
    """All states whose ball is in one of `rows`, as a batch."""
    ball_row, ball, paddle = np.meshgrid(rows, *2 * [range(env.columns)], indexing="ij")
    fields = [tf.constant(x.ravel(), tf.int32) for x in (ball, ball_row, paddle)]
    return CatchState(*fields, steps=tf.zeros_like(fields[0]))


def assert_equal(a, b):
    for x, y in zip(tf.nest.flatten(a), tf.nest.flatten(b), strict=True):
        np.testing.assert_array_equal(x, y)


def draw(shape, seed=0):
    return tf.random.stateless_uniform([*shape, 1], [seed, 0])


def test_every_trajectory_equals_bsuite(reference):
    """All 5 * 3^9 action sequences of the 10 x 5 board, as a tree of their prefixes.

    bsuite is put back to the state in which it was after a prefix and makes one more step.
    """
    env, theirs = Catch(), reference.Catch()
    step = tf.function(env.step_with_uniforms, autograph=False)
    theirs.reset()
    nodes = [(column, theirs._paddle_x) for column in range(5)]
    state = tf.nest.map_structure(
        lambda *x: tf.stack(x),
        *[env.initial_state(tf.constant([0.0]), column) for column in range(5)],
    )
    for depth in range(1, 10):
        children, boards, rewards, lasts = [], [], [], []
        for ball, paddle in nodes:
            for action in range(3):
                theirs._ball_x, theirs._ball_y, theirs._paddle_x = ball, depth - 1, paddle
                theirs._reset_next_step = False
                expected = theirs.step(action)
                children.append((ball, theirs._paddle_x))
                boards.append(expected.observation)
                rewards.append(expected.reward)
                lasts.append(expected.last())
        nodes = children
        state = tf.nest.map_structure(lambda x: tf.repeat(x, 3), state)
        actions = tf.tile([0, 1, 2], [len(nodes) // 3])
        state, observation, reward, terminated, truncated = step(state, actions, draw([len(nodes)]))
        np.testing.assert_array_equal(observation, np.reshape(boards, [len(nodes), 50]))
        np.testing.assert_array_equal(reward, np.array(rewards, np.float32))
        np.testing.assert_array_equal(terminated, lasts)
        assert not np.any(truncated)
        assert observation.dtype == tf.float32 and boards[0].dtype == np.float32
    assert len(nodes) == 5 * 3**9
    assert all(lasts)


@pytest.mark.parametrize("size", SIZES)
def test_random_play_equals_bsuite(reference, size):
    """40 episodes with resets, from the first board to the last."""
    env, theirs = Catch(*size, observation="board"), reference.Catch(*size, seed=3)
    step = tf.function(env.step_with_uniforms, autograph=False)
    rng = np.random.default_rng(4)
    rewards = set()
    for _ in range(40):
        expected = theirs.reset()
        state = env.initial_state(tf.constant([0.0]), int(theirs._ball_x))
        np.testing.assert_array_equal(env.observe(state)[..., 0], expected.observation)
        while not expected.last():
            action = rng.integers(3)
            expected = theirs.step(action)
            state, board, reward, terminated, truncated = step(
                state, tf.constant(action), tf.constant([0.5])
            )
            np.testing.assert_array_equal(board[..., 0], expected.observation)
            assert (float(reward), bool(terminated)) == (expected.reward, expected.last())
            assert not truncated
            rewards.add(float(reward))
    assert {-1.0, 1.0} <= rewards


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("columns", [3, 5, 7, 51])
def test_the_ball_starts_in_every_column_equally_often(columns, dtype):
    env = Catch(4, columns)
    uniforms = (np.arange(100 * columns) + 0.5) / (100 * columns)  # evenly spread over [0, 1)
    state = env.initial_state(tf.constant(uniforms[:, np.newaxis].astype(dtype)))
    assert np.bincount(state.ball_column).tolist() == [100] * columns
    assert np.unique(state.paddle_column).tolist() == [columns // 2]
    assert not np.any(state.ball_row) and not np.any(state.steps)
    largest = np.array([[np.nextafter(dtype(1), dtype(0))], [1]], dtype)
    assert env.initial_state(tf.constant(largest)).ball_column.numpy().tolist() == [columns - 1] * 2


def test_seeded_starts_are_uniform():
    """Of 10000 balls each column gets 2000, with a standard deviation of 40."""
    counts = np.bincount(Catch().reset([1, 2], [10000]).ball_column)
    np.testing.assert_allclose(counts, 2000, atol=160)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", SIZES)
def test_observations_determine_the_state(size, form):
    env = Catch(*size, observation=form)
    states = every_state(env, range(env.rows - 1))
    assert_equal(env.state_from_observation(env.observe(states)), states)
    ended = every_state(env, [env.rows - 1])
    again = env.state_from_observation(env.observe(ended))
    assert_equal(env.observe(again), env.observe(ended))
    caught = ended.ball_column == ended.paddle_column
    assert_equal(again.paddle_column[caught], ended.paddle_column[caught])
    assert_equal(again.ball_column == again.paddle_column, caught)
    low, high = env.observation_bounds()
    assert low.shape == high.shape == env.observation_shape == env.observe(states).shape[1:]
    assert (low.min(), low.max(), high.min(), high.max()) == (0, 0, 1, 1)
    assert set(np.unique(env.observe(states))) == {0.0, 1.0}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("rows", "pairs"), [(range(9), 675), ([9], 75)], ids=["running", "ended"])
def test_the_mirror_is_an_exact_symmetry(form, rows, pairs):
    """P(g s' | g s, g a) = P(s' | s, a) for every state and action."""
    env = Catch(observation=form)
    states = tf.nest.map_structure(lambda x: tf.repeat(x, 3), every_state(env, rows))
    actions = np.tile([0, 1, 2], len(states.steps) // 3)
    assert len(actions) == pairs

    def step(state, action):
        following, reward, terminated = env.transition(state, tf.constant(action), draw([pairs]))
        return env.observe(following), reward, terminated

    def mirror(observation):
        flat = np.reshape(observation, [pairs, -1]) @ env.symmetry.state.matrices[1].T
        return np.reshape(flat, observation.shape)

    following, reward, terminated = step(states, actions)
    image = env.state_from_observation(tf.constant(mirror(env.observe(states)), tf.float32))
    assert_equal(
        image.paddle_column + image.ball_column, 8 - (states.paddle_column + states.ball_column)
    )
    mirrored = step(image, env.symmetry.action.permutations[1][actions])
    np.testing.assert_array_equal(mirrored[0], mirror(following))
    np.testing.assert_array_equal(mirrored[1], reward)
    np.testing.assert_array_equal(mirrored[2], terminated)


def test_the_mirror_reverses_the_columns_of_the_board():
    env = Catch(4, 7, observation="board")
    board = np.random.default_rng(0).random([4, 7])
    image = env.symmetry.state.matrices[1] @ board.ravel()
    np.testing.assert_array_equal(image.reshape(4, 7), board[:, ::-1])
    assert env.symmetry.group.order == 2


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", SIZES)
def test_check_symmetry_accepts_it_and_finds_wrong_ones(size, form):
    env = Catch(*size, observation=form)
    assert envs.check_symmetry(env, samples=500).worst == 0.0
    group, state, action = env.symmetry.group, env.symmetry.state, env.symmetry.action
    for wrong in (
        Symmetry(group, state, trivial_representation(group, 3)),
        Symmetry(group, trivial_representation(group, state.dim), action),
    ):
        report = envs.check_symmetry(env, wrong, samples=500)
        assert (report.next_state[0], report.reward[0]) == (0.0, 0.0)  # the identity
        assert (report.next_state[1], report.reward[1]) == (1.0, 2.0)


def test_an_ended_game_is_absorbing():
    env = Catch()
    states = every_state(env, [9])
    for action in range(3):
        following, reward, terminated = env.transition(states, tf.fill([25], action), draw([25]))
        assert_equal(following, states)
        assert not np.any(reward)
        assert np.all(terminated)


@pytest.mark.parametrize("size", SIZES)
def test_an_episode_ends_after_rows_minus_one_steps_and_starts_again(size):
    env = Catch(*size)
    rows, columns = size
    step = tf.function(env.step_with_uniforms, autograph=False)
    state = env.reset([5, 6], [40])
    rewards = []
    for t in range(1, 3 * (rows - 1) + 1):
        # Follows the ball, which catches it if there is the time.
        action = 1 + tf.sign(state.ball_column - state.paddle_column)
        uniforms = draw([40], t)
        before = state
        state, observation, reward, terminated, truncated = step(state, action, uniforms)
        ended = t % (rows - 1) == 0
        assert terminated.numpy().tolist() == [ended] * 40
        assert not np.any(truncated)
        # The observation is the true next one, also where the state is a fresh episode's.
        assert_equal(observation, env.observe(env.transition(before, action, uniforms)[0]))
        if ended:
            assert_equal(state, env.initial_state(uniforms))
            assert len(np.unique(state.ball_column)) == columns  # members differ
            rewards.append(reward.numpy())
        else:
            assert not np.any(reward)
            assert state.steps.numpy().tolist() == [t % (rows - 1)] * 40
    assert np.all(np.array(rewards) == 1.0)


@pytest.mark.parametrize("form", FORMS)
def test_a_compiled_rollout_equals_the_eager_one(form):
    """60 steps in one XLA loop, from the same uniform numbers, over two leading dimensions."""
    env = Catch(6, 7, observation=form)
    uniforms = env.draw_uniforms([7, 8], [61, 4, 3])
    actions = tf.constant(np.random.default_rng(9).integers(3, size=[60, 4, 3]), tf.int32)

    def step(i, state, sums):
        state, observation, reward, terminated, _ = env.step_with_uniforms(
            state, actions[i], uniforms[i]
        )
        again = env.state_from_observation(observation)
        weight = tf.cast(i + 1, tf.float32)
        return state, (
            sums[0] + weight * observation,
            sums[1] + weight * reward,
            sums[2] + tf.cast(terminated, tf.int32) * (again.ball_column + again.paddle_column),
        )

    start = env.initial_state(uniforms[-1])
    zeros = (tf.zeros([4, 3, *env.observation_shape]), tf.zeros([4, 3]), tf.zeros([4, 3], tf.int32))

    @tf.function(jit_compile=True, autograph=False)
    def rollout():
        return tf.while_loop(
            lambda i, *_: i < 60,
            lambda i, state, sums: (i + 1, *step(i, state, sums)),
            (0, start, zeros),
            maximum_iterations=60,
        )[1:]

    state, sums = start, zeros
    for i in range(60):
        state, sums = step(i, state, sums)
    assert_equal(rollout(), (state, sums))


@pytest.mark.parametrize("form", FORMS)
def test_vectorizes_without_fallback(form):
    env = Catch(observation=form)
    state = env.reset([1, 1], [5, 2])
    arguments = (state, tf.ones([5, 2], tf.int32), env.draw_uniforms([1, 2], [5, 2]))
    mapped = tf.vectorized_map(
        lambda args: env.step_with_uniforms(*args), arguments, fallback_to_while_loop=False
    )
    assert_equal(mapped, env.step_with_uniforms(*arguments))


@pytest.mark.parametrize("dtype", [tf.uint8, tf.int32, tf.int64])
def test_actions_of_any_integer_type(dtype):
    state = Catch().reset([0, 0], [3])
    following = Catch().step(state, tf.constant([0, 1, 2], dtype), [0, 0])[0]
    assert following.paddle_column.numpy().tolist() == [1, 2, 3]
    assert following.paddle_column.dtype == tf.int32


def test_config():
    assert envs.make("Catch", rows=4, columns=3, observation="board").get_config() == {
        "observation_shape": [4, 3, 1],
        "num_actions": 3,
        "max_episode_steps": 4,
        "rows": 4,
        "columns": 3,
        "observation": "board",
    }
    assert Catch().get_config()["observation_shape"] == [50]


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"rows": 0}, "an integer of at least 2"),
        ({"rows": 1}, "an integer of at least 2"),
        ({"rows": True}, "an integer of at least 2"),
        ({"rows": 10.0}, "an integer of at least 2"),
        ({"rows": "10"}, "an integer of at least 2"),
        ({"columns": 4}, "an even board has no middle column"),
        ({"columns": 1}, "on a single column there is nothing to choose"),
        ({"columns": True}, "an odd integer of at least 3"),
        ({"columns": -5}, "an odd integer of at least 3"),
        ({"columns": None}, "an odd integer of at least 3"),
        ({"observation": "pixels"}, "one of flat, board"),
        ({"observation": None}, "one of flat, board"),
    ],
)
def test_wrong_arguments(arguments, rule):
    ((name, value),) = arguments.items()
    with pytest.raises(ValueError, match=f"`{name}` must be .*Received: {name}=") as error:
        Catch(**arguments)
    assert rule in str(error.value)
    assert str(error.value).endswith(f"Received: {name}={value!r}")


@pytest.mark.parametrize("action", [3, -1, 0.5, [0, 1], True])
def test_wrong_actions(action):
    with pytest.raises(ValueError, match=r"`action` .*Received: action="):
        Catch().step(Catch().reset([0, 0]), action, [0, 0])
