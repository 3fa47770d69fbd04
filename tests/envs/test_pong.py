"""Pong of the Arcade Learning Environment, where ale-py is installed."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from tf_equirl import envs
from tf_equirl.envs.atari import BOTTOM, SIZE, TOP, PongPictures, pong

try:
    import ale_py
except ImportError:
    ale_py = None

needs_atari = pytest.mark.skipif(ale_py is None, reason="needs the extra 'atari' (ale-py)")
UP, DOWN = 1, 2


@pytest.fixture(scope="module")
def game():
    game = PongPictures()
    yield game
    game.close()


def _paddle(picture: np.ndarray) -> np.ndarray:
    """Rows in which our paddle is seen."""
    column = picture[:, 70, -1].astype(int)
    return np.flatnonzero(column != np.bincount(column).argmax())


@needs_atari
def test_it_is_an_environment_of_gymnasium(game):
    check_env(game, skip_render_check=True)
    assert game.observation_space.shape == (SIZE, SIZE, 4)
    assert game.render().shape == (210, 160, 3)


@needs_atari
def test_a_mirrored_screen_gives_the_mirrored_picture(game):
    """To the last bit: pairs of rows are mirrored into pairs of rows."""
    game.reset(seed=0)
    for _ in range(30):
        game.step(UP)
    picture = game._picture()
    kept = [screen.copy() for screen in game._screens]
    for screen, old in zip(game._screens, kept, strict=True):
        screen[TOP:BOTTOM] = old[TOP:BOTTOM][::-1]
    np.testing.assert_array_equal(game._picture(), picture[::-1])
    assert len(np.unique(picture)) > 2 and not np.array_equal(picture, picture[::-1])


@needs_atari
def test_a_smaller_picture_is_the_mean_of_the_larger_one(game):
    small = PongPictures(size=40)
    pictures = []
    for each in (game, small):
        each.reset(seed=0)
        for _ in range(30):
            seen, *_ = each.step(UP)
        pictures.append(seen.astype(float))
    small.close()
    assert pictures[1].shape == (40, 40, 4) == pong(size=40).observation_shape
    means = pictures[0].reshape(40, 2, 40, 2, 4).mean(axis=(1, 3))
    assert np.abs(means - pictures[1]).max() <= 1.0  # each is rounded


@needs_atari
def test_actions_move_the_paddle_up_and_down_alike(game):
    heights = {}
    for action in (0, UP, DOWN):
        game.reset(seed=3)
        for _ in range(4):
            picture, *_ = game.step(action)
        heights[action] = _paddle(picture).mean()
    up, down = heights[0] - heights[UP], heights[DOWN] - heights[0]
    assert up > 5 and down > 5 and abs(up - down) <= 2


@needs_atari
def test_episodes_repeat_with_their_seed_and_differ_without(game):
    def episode(seed):
        seen = [game.reset(seed=seed)[0]]
        actions = np.random.default_rng(0).integers(3, size=60)
        return np.stack([*seen, *(game.step(action)[0] for action in actions)])

    first = episode(5)
    np.testing.assert_array_equal(episode(5), first)
    assert not np.array_equal(episode(6), first)
    # The newest picture is last; the ones before move up.
    np.testing.assert_array_equal(first[1:, ..., 2], first[:-1, ..., 3])


@needs_atari
def test_who_stands_still_loses_21_to_0(game):
    game.reset(seed=1)
    total, steps, terminated = 0.0, 0, False
    while not terminated:
        _, reward, terminated, truncated, _ = game.step(0)
        total, steps = total + reward, steps + 1
        assert not truncated
    assert -21 <= total <= -19 and steps > 300


@needs_atari
def test_the_mirror_exchanges_rows_and_moves():
    env = envs.make("tf_equirl.envs.atari:pong")
    assert isinstance(env, envs.HostEnvironment) and env.name == "Pong"
    picture = np.random.default_rng(0).integers(256, size=(SIZE, SIZE, 4))
    mirrored = env.symmetry.move_states(1, picture.reshape(-1)).reshape(picture.shape)
    np.testing.assert_array_equal(mirrored, picture[::-1])
    np.testing.assert_array_equal(env.symmetry.move_actions(1, np.array([0, 1, 2])), [0, 2, 1])


@needs_atari
@pytest.mark.parametrize(
    "arguments",
    [{"frames": 0}, {"frame_skip": 1.5}, {"most_noops": None}, {"size": 48}, {"size": 0}],
)
def test_bad_arguments_are_named(arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        pong(**arguments)


def test_without_ale_py_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ale_py", None)
    with pytest.raises(ImportError, match=r"pip install 'tf_equirl\[atari\]' \(its licence"):
        PongPictures()
