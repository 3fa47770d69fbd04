"""Snake plays as one in plain Python does, and has the symmetry of the square."""

from __future__ import annotations

import collections

import numpy as np
import pytest
import tensorflow as tf
from plain_snake import MOVES, PlainSnake

from tf_equirl import envs
from tf_equirl.envs import Snake, SnakeState

COPIES = 32


@pytest.fixture(scope="module")
def env():
    return Snake()


@pytest.fixture(scope="module")
def step(env):
    """One compiled program for the default board."""
    return tf.function(env.step_with_uniforms, jit_compile=True, autograph=False)


def assert_equal(a, b):
    for x, y in zip(tf.nest.flatten(a), tf.nest.flatten(b), strict=True):
        np.testing.assert_array_equal(x, y)


def of(env, lines, direction):
    """The state that lines of text show: lifetimes, and "*" for the food."""
    board = np.array([list(line) for line in lines])
    lifetimes = np.where(np.char.isdigit(board), board, "0").astype(np.int32).reshape(-1)
    food = np.flatnonzero(board == "*")
    fields = (lifetimes, lifetimes.argmax(), direction, food[0] if len(food) else -1, 0)
    return SnakeState(*(tf.constant(x, tf.int32) for x in fields))


def lines_of(env, state):
    board = np.reshape(state.lifetimes, -1).astype(str)
    board[board == "0"] = "."
    if int(state.food) >= 0:
        board[int(state.food)] = "*"
    return ["".join(row) for row in board.reshape([env.height, env.width])]


def play(env, step, count, copies=COPIES, seed=0):
    """Plays hungrily beside plain games; yields every state and action."""
    rng = np.random.default_rng(seed)
    state = env.initial_state(tf.constant(rng.random([copies, 3], np.float32)))
    games = [PlainSnake(picture) for picture in env.observe(state).numpy()]
    for _ in range(count):
        actions = np.array([game.hungry(rng) for game in games], np.int32)
        yield state, actions
        uniforms = rng.random([copies, 3], np.float32)
        state, pictures, rewards, terminated, truncated = step(
            state, tf.constant(actions), tf.constant(uniforms)
        )
        fresh = env.observe(state).numpy()
        assert not np.any(truncated)
        rows = zip(*(x.numpy() for x in (pictures, rewards, terminated)), strict=True)
        for i, (picture, reward, over) in enumerate(rows):
            assert games[i].step(actions[i], uniforms[i, 0]) == (reward, over)
            np.testing.assert_array_equal(picture, games[i].picture())
            if over:
                games[i] = PlainSnake(fresh[i])


@pytest.fixture(scope="module")
def visited(env, step):
    """9,600 states of games that went as they do in plain Python, and the actions there."""
    parts = list(play(env, step, 300))
    states = tf.nest.map_structure(lambda *x: tf.concat(x, 0), *[state for state, _ in parts])
    return states, np.concatenate([actions for _, actions in parts])


def test_games_go_as_in_plain_python(visited):
    """What `visited` asserts; here, that there was something to see."""
    states, _ = visited
    lengths = states.lifetimes.numpy().max(axis=1)
    assert len(lengths) == 300 * COPIES
    assert lengths.min() == 3 and lengths.max() > 20
    assert np.sum(states.steps == 0) > 50
    assert set(states.direction.numpy()) == {0, 1, 2, 3}


def test_a_filled_board_ends_the_game():
    """A board of 5 x 6 on a path through all cells, which leads back to where it began."""
    env = Snake(5, 6, "C2")
    cycle = [(0, 0), *[(row, column) for column in range(6) for row in _rows(column)]]
    cycle += [(0, column) for column in range(5, 0, -1)]
    following = dict(zip(cycle, [*cycle[1:], cycle[0]], strict=True))
    assert len(following) == 30
    step = tf.function(env.step_with_uniforms, jit_compile=True, autograph=False)
    rng = np.random.default_rng(5)
    while True:  # until it looks along the path
        state = env.initial_state(tf.constant(rng.random(3, np.float32)))
        game = PlainSnake(env.observe(state).numpy())
        if all(following[b] == a for a, b in zip(game.body, list(game.body)[1:], strict=False)):
            break
    total, over = 0.0, False
    while not over:
        head, there = game.body[0], following[game.body[0]]
        action = MOVES.index((there[0] - head[0], there[1] - head[1]))
        uniforms = rng.random(3, np.float32)
        state, picture, reward, terminated, _ = step(
            state, tf.constant(action), tf.constant(uniforms)
        )
        expected, over = game.step(action, uniforms[0])
        assert (float(reward), bool(terminated)) == (expected, over)
        np.testing.assert_array_equal(picture, game.picture())
        total += expected
    assert total == 27 and expected == 1.0 and len(game.body) == 30
    full = env.state_from_observation(picture)
    assert int(full.food) == -1 and np.all(full.lifetimes > 0)


def _rows(column):
    """Down and up again, below the first row."""
    rows = range(1, 5)
    return rows if column % 2 == 0 else reversed(rows)


FAR = [".....", ".....", "....*"]  # the last rows of a board whose food is far away
MOVED = {  # before, direction, action, after
    "straight on": (["123..", "....."], 1, 1, [".123.", "....."]),
    "not back": (["123..", "....."], 1, 3, [".123.", "....."]),
    "a turn": (["123..", "....."], 1, 2, [".12..", "..3.."]),
    "onto the tail": ([".12..", ".43.."], 3, 0, [".41..", ".32.."]),
}
ENDED = {
    "a wall": (["..123", "....."], 1, 1),
    "a wall, by going back": (["..123", "....."], 1, 3),
    "the wall beside it": (["..123", "....."], 1, 0),
    "the other wall": (["321..", "....."], 3, 3),
    "the body": (["123..", ".54.."], 3, 0),
}


@pytest.mark.parametrize("case", MOVED)
def test_a_move(case):
    before, direction, action, after = MOVED[case]
    env = Snake(5, 5)
    state = of(env, before + FAR, direction)
    following, reward, terminated = env.transition(state, tf.constant(action), tf.zeros([3]))
    assert lines_of(env, following) == after + FAR
    assert (float(reward), bool(terminated)) == (0.0, False)


@pytest.mark.parametrize("case", ENDED)
def test_an_end(case):
    before, direction, action = ENDED[case]
    env = Snake(5, 5)
    state = of(env, before + FAR, direction)
    following, reward, terminated = env.transition(state, tf.constant(action), tf.zeros([3]))
    assert_equal(following, state)  # it stays as it was
    assert (float(reward), bool(terminated)) == (-1.0, True)


def test_food():
    """It lies on each free cell as often, counted over evenly spread numbers."""
    env = Snake(5, 5)
    state = of(env, ["123*.", *["....."] * 4], 1)
    states = tf.nest.map_structure(lambda x: tf.repeat(x[None], 2_100, 0), state)
    numbers = (np.arange(2_100, dtype=np.float32) + 0.5) / 2_100
    uniforms = tf.stack([numbers, *2 * [np.zeros_like(numbers)]], axis=1)
    following, reward, terminated = env.transition(states, tf.ones([2_100], tf.int32), uniforms)
    assert np.all(reward == 1) and not np.any(terminated)
    assert lines_of(env, tf.nest.map_structure(lambda x: x[0], following))[0] == "1234*"
    counts = collections.Counter(following.food.numpy().tolist())
    assert counts == dict.fromkeys(range(4, 25), 100)
    last = env.transition(state, tf.constant(1), tf.ones([3]))[0]  # rounded up to 1
    assert int(last.food) == 24


@pytest.mark.parametrize("size", [(5, 5, "D4"), (6, 6, "D4"), (9, 9, "C4"), (5, 8, "C2")])
def test_starts_are_symmetric(size):
    """The same pictures as often, for every element, over evenly spread numbers."""
    env = Snake(*size)
    cells, count = env.height * env.width, 4 * (2 - env.height % 2) * (2 - env.width % 2)
    grid = [(np.arange(n, dtype=np.float32) + 0.5) / n for n in (count, cells - 3)]
    numbers = np.stack(np.meshgrid(*grid), axis=-1).reshape([-1, 2])
    uniforms = np.concatenate([np.zeros([len(numbers), 1], np.float32), numbers], axis=1)
    start = env.initial_state(tf.constant(uniforms))
    pictures = np.reshape(env.observe(start), [len(numbers), -1])
    assert len({picture.tobytes() for picture in pictures}) == len(numbers)
    for g in env.symmetry.group.elements:
        images = {image.tobytes() for image in env.symmetry.move_states(g, pictures)}
        assert images == {picture.tobytes() for picture in pictures}
    lengths = start.lifetimes.numpy()
    assert np.all(np.sort(lengths, axis=1)[:, -4:] == [0, 1, 2, 3])
    assert not np.any(start.steps)
    for i in range(0, len(numbers), 7):
        single = tf.nest.map_structure(lambda x, i=i: x[i], start)
        np.testing.assert_array_equal(
            PlainSnake(env.observe(single).numpy()).picture(), env.observe(single)
        )


def test_observations_tell_the_state(env, visited):
    states, _ = visited
    observations = env.observe(states)
    again = env.state_from_observation(observations)
    assert_equal(again[:-1], states[:-1])
    assert all(x.dtype == tf.int32 for x in again)
    assert observations.dtype == tf.float32
    assert float(tf.reduce_min(observations)) == 0 and float(tf.reduce_max(observations)) == 1
    assert np.all(np.sum(observations.numpy()[..., [0, 1, 3]], axis=(1, 2)) == 1)


def test_the_law_for_every_element(env, visited):
    """Distributions of (picture, reward, terminated) in states of long snakes, too."""
    states, actions = visited
    eats = np.flatnonzero(_next_cells(env, states, actions) == states.food.numpy())[::10]
    chosen = np.concatenate([eats, np.arange(0, len(actions), 20)])
    states = tf.nest.map_structure(lambda x: tf.gather(x, chosen), states)
    actions, symmetry = actions[chosen], env.symmetry
    assert len(eats) > 40 and states.lifetimes.numpy().max() > 15

    def distributions(states, actions, g=0):
        probability, following, reward, terminated = env.outcomes(states, tf.constant(actions))
        possible = np.nonzero(probability.numpy() > 0)
        kept = tf.nest.map_structure(lambda x: tf.constant(x.numpy()[possible]), following)
        pictures = symmetry.move_states(g, np.reshape(env.observe(kept), [len(possible[0]), -1]))
        tables = [collections.Counter() for _ in chosen]
        rest = (x.numpy()[possible].tolist() for x in (probability, reward, terminated))
        for i, picture, chance, *others in zip(possible[0], pictures, *rest, strict=True):
            tables[i][(picture.tobytes(), *others)] += chance
        return tables

    observations = np.reshape(env.observe(states), [len(chosen), -1])
    assert max(map(len, distributions(states, actions))) == 77
    for g in symmetry.group.elements:
        images = tf.reshape(symmetry.move_states(g, observations), [-1, 9, 9, 4])
        moved = env.state_from_observation(images)
        np.testing.assert_array_equal(env.observe(moved), images)
        assert distributions(states, actions, g) == distributions(
            moved, symmetry.move_actions(g, actions)
        )


def _next_cells(env, states, actions):
    """Those that the heads move to, as long as they do not leave the board."""
    direction = states.direction.numpy()
    direction = np.where(actions == (direction + 2) % 4, direction, actions)
    down, right = np.array(MOVES)[direction].T
    return states.head.numpy() + down * env.width + right


def test_a_quarter_turn_sends_the_moves_round(env):
    """As `np.rot90` turns pictures: up goes to left, left to down."""
    turn, mirror = env.symmetry.action.permutations[[1, 4]]
    assert turn.tolist() == [3, 0, 1, 2] and mirror.tolist() == [0, 3, 2, 1]
    picture = env.observe(env.reset([1, 2])).numpy()
    turned = env.symmetry.state.act(1, picture.reshape(-1)).reshape(9, 9, 4)
    np.testing.assert_array_equal(turned, np.rot90(picture))


def test_compiled_steps_equal_eager_ones(env, step, visited):
    states, actions = visited
    states, actions = tf.nest.map_structure(lambda x: x[-COPIES:], (states, actions))
    uniforms = env.draw_uniforms([3, 4], [COPIES])
    compiled = step(states, tf.constant(actions), uniforms)
    assert_equal(compiled, env.step_with_uniforms(states, tf.constant(actions), uniforms))
    listed = tf.function(env.outcomes, jit_compile=True, autograph=False)
    assert_equal(listed(states, actions), env.outcomes(states, tf.constant(actions)))


def test_any_leading_dimensions(env):
    states, actions = env.reset([1, 1], [5, 2]), tf.ones([5, 2], tf.uint8)
    uniforms = env.draw_uniforms([1, 2], [5, 2])
    mapped = tf.vectorized_map(
        lambda arguments: env.step_with_uniforms(*arguments),
        (states, actions, uniforms),
        fallback_to_while_loop=False,
    )
    assert_equal(mapped, env.step_with_uniforms(states, actions, uniforms))
    probability, following, reward, terminated = env.outcomes(states, actions)
    assert probability.shape == reward.shape == terminated.shape == [5, 2, 81]
    assert following.lifetimes.shape == [5, 2, 81, 81] and following.steps.shape == [5, 2, 81]


def test_a_game_is_truncated():
    """Round in a square of four cells."""
    env = Snake(5, 5, max_episode_steps=6)
    state = of(env, [".12..", ".43..", *FAR], 3)
    for t, action in enumerate([0, 1, 2, 3, 0, 1], 1):
        state, _, reward, terminated, truncated = env.step_with_uniforms(
            state, tf.constant(action), tf.fill([3], 0.5)
        )
        assert (float(reward), bool(terminated), bool(truncated)) == (0.0, False, t == 6)
    assert int(state.steps) == 0 and int(tf.reduce_max(state.lifetimes)) == 3


def test_pictures_for_people(env, visited):
    board = Snake(5, 5)
    state = of(board, ["123..", ".....", *FAR], 1)
    assert board.render(state, "ansi").split("\n") == ["oo>..", "....."] + FAR
    states, _ = visited
    for i in range(0, len(states.steps), 2_000):
        state = tf.nest.map_structure(lambda x, i=i: x[i], states)
        frame = env.render(state, "rgb_array")
        assert frame.shape == (288, 288, 3) and frame.dtype == np.uint8
        body = np.any(frame[1::32, 1::32] != 250, axis=-1)
        np.testing.assert_array_equal(body.reshape(-1), state.lifetimes > 0)
        orange = np.argwhere(np.all(frame == [213, 94, 0], axis=-1)) // 32
        assert np.unique(orange @ [9, 1]).tolist() == [int(state.food)]
        picture = np.reshape(env.observe(state), -1)
        for g, turned in ((1, np.rot90(frame)), (4, np.fliplr(frame))):
            image = tf.reshape(env.symmetry.move_states(g, picture), [9, 9, 4])
            np.testing.assert_array_equal(
                env.render(env.state_from_observation(image), "rgb_array"), turned
            )


def test_config_words_and_key():
    env = envs.make("Snake", height=6, width=8, group="C2", max_episode_steps=50)
    assert env.get_config() == {
        "observation_shape": [6, 8, 4],
        "num_actions": 4,
        "max_episode_steps": 50,
        "height": 6,
        "width": 8,
        "group": "C2",
    }
    assert env.symmetry_in_words["action"] == "moves to the left and to the right change places"
    assert env.program_key() == Snake(6, 8, "C2", 50).program_key() != Snake(6, 6).program_key()
    assert Snake(31, 31).symmetry.state.dim == 31 * 31 * 4


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"height": 4}, "`height` must be an integer from 5 to 100. Received: height=4"),
        ({"height": 9.0}, "`height` must be an integer from 5 to 100. Received: height=9.0"),
        ({"width": 101}, "`width` must be an integer from 5 to 100. Received: width=101"),
        ({"width": 8}, "`width` must be equal to `height`, 9, as D4 turns .* Received: width=8"),
        ({"width": 8, "group": "C4"}, "`width` must be equal to `height`, 9, as C4 turns"),
        ({"group": "C8"}, "`group` must be one of D4, C4, C2. Received: group='C8'"),
        ({"max_episode_steps": 0}, "`max_episode_steps` must be a positive integer"),
    ],
)
def test_wrong_arguments(arguments, rule):
    with pytest.raises(ValueError, match=rule):
        Snake(**arguments)


@pytest.mark.parametrize("action", [4, -1, 0.5, [0, 1], True])
def test_wrong_actions(env, action):
    with pytest.raises(ValueError, match=r"`action` .*Received: action="):
        env.step(env.reset([0, 0]), action, [0, 0])
