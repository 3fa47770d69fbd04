"""What environments tell transition models: encodings, heads, terminal states, valid states."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tf_equirl.envs import CartPole, CartPoleState, Catch, CatchState, Environment
from tf_equirl.models.heads import CategoricalHead, RealHead

SIZES = [(10, 5), (7, 3), (2, 5)]
each_size = pytest.mark.parametrize("size", SIZES)
each_form = pytest.mark.parametrize("form", ["flat", "board"])


def assert_equal(a, b):
    for x, y in zip(tf.nest.flatten(a), tf.nest.flatten(b), strict=True):
        np.testing.assert_array_equal(x, y)


def every_state(env: Catch) -> CatchState:
    """Also those whose ball is in the last row."""
    ranges = range(env.columns), range(env.rows), range(env.columns)
    fields = [tf.constant(x.ravel(), tf.int32) for x in np.meshgrid(*ranges)]
    return CatchState(*fields, tf.zeros_like(fields[0]))


def cartpole_states(count: int = 50, dtype: str = "float32") -> CartPoleState:
    """About half of them terminal."""
    numbers = np.random.default_rng(0).normal(size=(count, 4)) * [2, 1, 0.3, 1]
    return CartPoleState(tf.constant(numbers, dtype), tf.zeros([count], tf.int32))


class Square(CartPole):
    """Observations that are not flat."""

    observation_shape = (2, 2)

    def observe(self, state):
        return tf.reshape(super().observe(state), [*state.steps.shape, 2, 2])

    def state_from_observation(self, observation):
        return super().state_from_observation(tf.reshape(observation, [*observation.shape[:-2], 4]))


@each_form
@each_size
def test_catch_encodes_every_state_and_decodes_it_again(size, form):
    env = Catch(*size, observation=form)
    states = every_state(env)
    assert len(states.steps) == env.rows * env.columns**2
    encoding = env.encode(states)
    assert encoding.shape == (len(states.steps), (env.rows + 1) * env.columns)
    assert encoding.dtype == tf.float32
    assert_equal(env.decode(encoding), states)
    assert_equal(env.decode(3.0 * encoding - 7.0), states)  # logits as well
    assert all(field.dtype == tf.int32 for field in env.decode(encoding))
    ball, paddle = env.transition_head.split(encoding)
    assert np.all(np.sum(ball, axis=1) == 1) and np.all(np.sum(paddle, axis=1) == 1)
    assert len(np.unique(encoding, axis=0)) == len(states.steps)


@each_size
def test_the_group_moves_encodings_as_it_moves_states(size):
    env = Catch(*size)
    head, states = env.transition_head, every_state(env)
    assert isinstance(head, CategoricalHead)
    mirrored = states._replace(
        ball_column=env.columns - 1 - states.ball_column,
        paddle_column=env.columns - 1 - states.paddle_column,
    )
    expected = env.encode(states) @ head.representation.matrices[1].T.astype("float32")
    np.testing.assert_array_equal(env.encode(mirrored), expected)
    distances = head.distance(env.encode(states)[:, None], env.encode(states))
    moved = head.distance(env.encode(mirrored)[:, None], env.encode(mirrored))
    np.testing.assert_allclose(moved, distances, rtol=1e-6)


@each_size
def test_the_reading_encodes_observations_of_running_games(size):
    env = Catch(*size)
    reading = env.transition_head.reading
    running = env.all_states()
    np.testing.assert_array_equal(env.observe(running).numpy() @ reading, env.encode(running))


@each_size
def test_catch_lists_the_states_that_are_not_terminal(size):
    env = Catch(*size)
    listed, states = env.all_states(), every_state(env)
    assert len(listed.steps) == (env.rows - 1) * env.columns**2
    assert not np.any(env.is_terminal(listed)) and not np.any(listed.steps)
    running = tf.boolean_mask(env.encode(states), ~env.is_terminal(states))
    assert {row.tobytes() for row in env.encode(listed).numpy()} == {
        row.tobytes() for row in running.numpy()
    }


def test_leading_dimensions_and_compilation():
    env = Catch()
    states = tf.nest.map_structure(lambda x: tf.reshape(x, [2, 5, 25]), every_state(env))
    encode = tf.function(env.encode, jit_compile=True, autograph=False)
    assert encode(states).shape == (2, 5, 25, 55)
    assert_equal(env.decode(encode(states)), states)
    single = tf.nest.map_structure(lambda x: x[1, 2, 3], states)
    assert_equal(env.decode(env.encode(single)), single)


@pytest.mark.parametrize(
    "env", [CartPole(), CartPole("float64"), Square()], ids=["float32", "float64", "Square"]
)
def test_cartpole_encodes_what_it_observes(env):
    states = cartpole_states(dtype=env.dtype.name)
    encoding = env.encode(states)
    assert encoding.dtype == tf.float32
    np.testing.assert_array_equal(encoding, tf.cast(states.physics, tf.float32))
    again = env.decode(encoding)
    assert again.physics.dtype == env.dtype
    np.testing.assert_allclose(again.physics, states.physics, rtol=1e-6)
    head = env.transition_head
    assert isinstance(head, RealHead) and head.reading is None
    mirrored = env.encode(states._replace(physics=-states.physics))
    expected = encoding @ head.representation.matrices[1].T.astype("float32")
    np.testing.assert_array_equal(mirrored, expected)
    single = tf.nest.map_structure(lambda x: x[7], states)
    np.testing.assert_array_equal(env.encode(single), encoding[7])


@pytest.mark.parametrize("env", [CartPole(), Catch()], ids=["CartPole", "Catch"])
def test_an_episode_ends_where_the_next_state_is_terminal(env):
    states = cartpole_states() if env.name == "CartPole" else env.all_states()
    count = len(states.steps)
    for action in range(env.num_actions):
        following, _, terminated = env.transition(
            states, tf.fill([count], action), tf.zeros([count, env.num_uniforms])
        )
        assert 0 < np.mean(terminated) < 1
        np.testing.assert_array_equal(env.is_terminal(following), terminated)


@pytest.mark.parametrize("env", [CartPole(), Catch()], ids=["CartPole", "Catch"])
def test_the_reward_is_a_function_of_the_states_before_and_after(env):
    states = cartpole_states() if env.name == "CartPole" else env.all_states()
    count, seen = len(states.steps), set()
    for action in range(env.num_actions):
        actions = tf.fill([count], action)
        following, reward, _ = env.transition(states, actions, tf.zeros([count, env.num_uniforms]))
        # Of a model nothing but the encoding of the next state is known.
        imagined = env.decode(env.encode(following))
        again = env.reward(states, actions, imagined)
        assert again.dtype == tf.float32
        np.testing.assert_array_equal(again, reward)
        one = tf.nest.map_structure(lambda x: x[3], (states, imagined))
        np.testing.assert_array_equal(env.reward(one[0], action, one[1]), reward[3])
        seen |= set(reward.numpy())
    assert seen == ({1.0} if env.name == "CartPole" else {-1.0, 0.0, 1.0})


def test_a_ball_that_has_landed_already_is_not_rewarded_again():
    env = Catch()
    landed = CatchState(*(tf.constant(x) for x in (2, env.rows - 1, 2, 9)))
    assert float(env.reward(landed, 1, landed)) == 0


def test_a_pole_has_fallen_beyond_its_limits():
    physics = [[2.4, 9, 0.2, 9], [2.5, 0, 0, 0], [-2.5, 0, 0, 0], [0, 0, 0.21, 0], [0, 0, -0.21, 0]]
    state = CartPoleState(tf.constant(physics), tf.zeros([5], tf.int32))
    assert CartPole().is_terminal(state).numpy().tolist() == [False, True, True, True, True]


def test_what_an_environment_does_not_say():
    with pytest.raises(ValueError, match="states of CartPole cannot be listed"):
        CartPole().all_states()
    with pytest.raises(ValueError, match="CartPole must define `is_terminal`"):
        Environment.is_terminal(CartPole(), cartpole_states())
    with pytest.raises(ValueError, match="CartPole must define `reward` for planning"):
        Environment.reward(CartPole(), cartpole_states(), 0, cartpole_states())


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(number):
    physics = np.zeros([6, 4])
    state = CartPoleState(physics, np.zeros(6, int))
    CartPole().validate_states(state)
    physics[4, 2] = number
    message = f"`next_state` must hold finite.*Received: next_state.physics={number} in row 4$"
    with pytest.raises(ValueError, match=message):
        CartPole().validate_states(state, "next_state")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("ball_row", 10, r"`state.ball_row` .* 0 to 9: .*Received: state.ball_row=10.0 in row 3$"),
        ("ball_column", -1, r"`state.ball_column` .* 0 to 4: the board has 10 rows and 5 columns"),
        (
            "paddle_column",
            5,
            r"`state.paddle_column` .*Received: state.paddle_column=5.0 in row 3$",
        ),
        ("paddle_column", 0.5, r"must hold integers .*Received: state.paddle_column=0.5 in row 3$"),
        ("steps", np.nan, r"must hold finite numbers.*state.steps=nan in row 3$"),
    ],
)
def test_states_off_the_board_are_refused(field, value, message):
    env = Catch()
    state = CatchState(*(np.asarray(x, np.float64) for x in every_state(env)))
    env.validate_states(state)
    getattr(state, field)[3] = value
    with pytest.raises(ValueError, match=message):
        env.validate_states(state)


def test_a_single_state_is_checked_too():
    with pytest.raises(ValueError, match="Received: state.ball_row=10$"):
        Catch().validate_states(CatchState(0, 10, 0, 0))
