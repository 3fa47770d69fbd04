"""Recordings of single episodes."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tf_equirl import envs
from tf_equirl.evaluation import evaluate, record


def cartpole_policy(*weights):
    layer = keras.layers.Dense(2, use_bias=False)
    model = keras.Sequential([keras.Input([4]), layer])
    layer.set_weights([np.stack([-np.array(weights), np.array(weights)], axis=-1)])
    return model


def catch_policy(*logits):
    layer = keras.layers.Dense(3)
    model = keras.Sequential([keras.Input([50]), layer])
    layer.set_weights([np.zeros([50, 3]), np.array(logits)])
    return model


@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_first_episode_of_an_evaluation(seed):
    model = cartpole_policy(0, 0, 1, 0)
    first = evaluate(model, "CartPole", 1, seed=seed)
    recording = record(model, "CartPole", seed=seed, mode="ansi")
    assert recording.episode_return == first.returns[0]
    assert len(recording.frames) == first.lengths[0] + 1  # also the state before the first step
    for step, frame in enumerate(recording.frames):
        assert frame.endswith(f"step {step}")


def test_a_game_of_catch():
    frames, episode_return = record(catch_policy(0, 0, 1), "Catch", seed=1, mode="ansi")
    boards = [frame.split("\n") for frame in frames]
    assert len(boards) == 10
    column = boards[0][0].index("o")
    for row, board in enumerate(boards[:-1]):
        assert board[row][column] == "o"
        assert board[-1][min(2 + row, 4)] == "="  # always to the right, up to the wall
    assert episode_return == (1 if column == 4 else -1)
    assert ("@" in boards[-1][-1]) == (episode_return == 1)


def test_frames_are_pictures():
    frames, _ = record(cartpole_policy(0, 0, 1, 0), "CartPole")
    assert all(frame.shape == (180, 520, 3) and frame.dtype == np.uint8 for frame in frames)
    assert not np.array_equal(frames[0], frames[-1])


def test_the_time_limit_ends_it():
    env = envs.CartPole(max_episode_steps=20)
    recording = record(cartpole_policy(0.2, 0.5, 3, 1), env, mode="ansi")
    assert (len(recording.frames), recording.episode_return) == (21, 20.0)


def test_drawn_actions_depend_on_the_seed_alone():
    model = catch_policy(0, 0, 0)
    games = [
        record(model, "Catch", seed, greedy=False, mode="ansi").frames for seed in (0, 0, 1, 2)
    ]
    assert games[0] == games[1]
    paths = {tuple(f.split("\n")[-1] for f in game[:-1]) for game in games}
    assert len(paths) == 3


def test_wrong_arguments():
    model = catch_policy(0, 0, 0)
    with pytest.raises(ValueError, match="modes of Catch: ansi, rgb_array. Received"):
        record(model, "Catch", mode="human")
    with pytest.raises(ValueError, match="`model` must map observations"):
        record(model, "CartPole")
    with pytest.raises(ValueError, match="`seed` must be an integer"):
        record(model, "Catch", seed=-1)
