"""Drawings of Catch, from the environment itself and through gymnasium."""

from __future__ import annotations

import warnings

import gymnasium
import numpy as np
import pytest
import tensorflow as tf

from tf_equirl import envs
from tf_equirl.envs.catch import BALL, CELL, PADDLE

ID = "tf_equirl/Catch-v0"


@pytest.fixture(autouse=True)
def no_warnings_of_gymnasium():
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        yield


def state(ball_column, ball_row, paddle_column):
    return envs.CatchState(*(tf.constant(x) for x in (ball_column, ball_row, paddle_column, 0)))


def cells(frame, colour):
    """The cells [row, column] in which a frame has the colour."""
    found = np.argwhere(np.all(frame == np.array(colour, np.uint8), axis=-1))
    return np.unique(found // CELL, axis=0).tolist()


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ((2, 0, 1), "..o\n...\n.=."),
        ((0, 1, 2), "...\no..\n..="),
        ((2, 2, 0), "...\n...\n=.o"),
        ((1, 2, 1), "...\n...\n.@."),
    ],
    ids=["start", "falling", "missed", "caught"],
)
def test_text(fields, text):
    assert envs.Catch(3, 3).render(state(*fields), "ansi") == text


def test_frames_show_ball_and_paddle_where_they_are():
    env = envs.Catch(4, 5)
    for row in range(4):
        for ball in range(5):
            for paddle in range(5):
                frame = env.render(state(ball, row, paddle), "rgb_array")
                assert frame.shape == (4 * CELL, 5 * CELL, 3)
                assert frame.dtype == np.uint8
                assert cells(frame, BALL) == [[row, ball]]
                assert cells(frame, PADDLE) == [[3, paddle]]


def test_mirrored_states_have_mirrored_texts():
    env = envs.Catch(3, 5)
    text = env.render(state(1, 1, 4), "ansi")
    mirrored = env.render(state(3, 1, 0), "ansi")
    assert [line[::-1] for line in text.split("\n")] == mirrored.split("\n")


def test_wrong_arguments():
    env = envs.Catch()
    with pytest.raises(ValueError, match="modes of Catch: ansi, rgb_array. Received: .*'human'"):
        env.render(env.reset([0, 0]), "human")
    with pytest.raises(ValueError, match="`state` must be one state.*Received: state="):
        env.render(env.reset([0, 0], [1]), "ansi")
    for constructor in (envs.GymnasiumEnv, envs.GymnasiumVectorEnv):
        with pytest.raises(ValueError, match="`render_mode` must be one of .*Received: render_mod"):
            constructor("Catch", render_mode="human")


def test_gymnasium_renders_from_the_reset_to_the_terminal_board():
    env = gymnasium.make(ID, render_mode="ansi", rows=3, columns=3)
    assert env.metadata["render_modes"] == ["ansi", "rgb_array"]
    assert env.metadata["render_fps"] > 0
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.render()
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.unwrapped.render()
    env.reset(seed=0, options={"ball_column": 0})
    assert env.render() == env.render() == "o..\n...\n.=."
    env.step(2)
    assert env.render() == "...\no..\n..="
    assert env.step(0)[2]
    assert env.render() == "...\n...\no=."
    env.reset(seed=0, options={"ball_column": 2})
    assert env.render() == "..o\n...\n.=."


@pytest.mark.parametrize("mode", ["ansi", "rgb_array"])
def test_lists_of_frames(mode):
    env = gymnasium.wrappers.RecordEpisodeStatistics(gymnasium.make(ID, render_mode=f"{mode}_list"))
    env.reset(seed=0)
    for _ in range(9):
        _, _, terminated, _, info = env.step(1)
    assert terminated and info["episode"]["l"] == 9
    frames = env.render()
    assert len(frames) == 10
    for one, next_one in zip(frames[:-1], frames[1:], strict=True):
        assert not np.array_equal(one, next_one)


@pytest.mark.parametrize("mode", ["ansi", "rgb_array"])
def test_vector_environments_render_every_copy(mode):
    """The same observations give the frames of single environments, also after a reset."""
    env = gymnasium.make_vec(ID, num_envs=3, render_mode=mode, rows=3)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.render()
    core = envs.Catch(rows=3)
    observations, _ = env.reset(seed=1)
    for actions in ([0, 1, 2], [0, 1, 2], [2, 2, 0]):
        frames = env.render()
        assert isinstance(frames, tuple)
        states = core.state_from_observation(tf.constant(observations))
        for i, frame in enumerate(frames):
            single = tf.nest.map_structure(lambda x, i=i: x[i], states)
            np.testing.assert_array_equal(frame, core.render(single, mode))
        observations = env.step(actions)[0]


def test_without_a_mode_nothing_is_drawn():
    for make in (gymnasium.make, gymnasium.make_vec):
        env = make(ID)
        env.reset(seed=0)
        with pytest.warns(UserWarning, match="without a render mode"):
            assert env.render() is None


def test_an_environment_that_does_not_define_draw_says_so():
    class Undrawn(envs.CartPole):
        draw = envs.Environment.draw

    with pytest.raises(NotImplementedError, match="does not define `draw`"):
        Undrawn().render(Undrawn().reset([0, 0]), "ansi")
