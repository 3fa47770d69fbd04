"""Drawings of CartPole, from the environment itself and through gymnasium."""

from __future__ import annotations

import math

import gymnasium
import numpy as np
import pytest
import tensorflow as tf

from tf_equirl import envs
from tf_equirl.envs.cartpole import BACKGROUND, CART, HEIGHT, POLE, SCALE, WIDTH

ID = "tf_equirl/CartPole-v1"
ENV = envs.CartPole(dtype="float64")
POSES = [(0.0, 0.0), (-1.3, 0.15), (0.7, -0.2), (2.39, 0.02), (0.123, -0.0321)]


def state(position, angle, velocity=0.0, angular_velocity=0.0, steps=0):
    physics = tf.constant([position, velocity, angle, angular_velocity], tf.float64)
    return envs.CartPoleState(physics, tf.constant(steps))


def pixels(frame, colour):
    """Centres of the pixels of a colour: metres from the middle and upwards from the lower edge."""
    rows, columns = np.nonzero(np.all(frame == np.array(colour, np.uint8), axis=-1))
    return (columns + 0.5 - WIDTH / 2) / SCALE, (HEIGHT - rows - 0.5) / SCALE


@pytest.mark.parametrize(("position", "angle"), POSES)
def test_frames_show_the_cart_where_it_is_and_the_pole_as_it_leans(position, angle):
    frame = ENV.render(state(position, angle), "rgb_array")
    assert frame.shape == (HEIGHT, WIDTH, 3) and frame.dtype == np.uint8
    x, y = pixels(frame, CART)
    # Half a pixel of rounding, and the cart may touch the picture's edge.
    assert min(x) == pytest.approx(max(position - 0.28, -2.6), abs=0.016)
    assert max(x) == pytest.approx(min(position + 0.28, 2.6), abs=0.016)
    joint_height = max(y)
    x, y = pixels(frame, POLE)
    above = y > joint_height + 0.2  # clear of the cart and of the joint
    lean = np.arctan2(x[above] - position, y[above] - joint_height)
    weights = y[above] - joint_height
    assert np.average(lean, weights=weights) == pytest.approx(angle, abs=0.005)
    tip = np.max(np.hypot(x[above] - position, y[above] - joint_height))
    assert tip == pytest.approx(1.05, abs=0.02)  # a metre, and the rounded end of the rod


@pytest.mark.parametrize(("position", "angle"), [*POSES, (2.5, 0.25), (40.0, 3.0), (-2.55, 1.7)])
def test_mirrored_states_have_mirrored_pictures(position, angle):
    here, there = state(position, angle), state(-position, -angle)
    frames = [ENV.render(s, "rgb_array") for s in (here, there)]
    np.testing.assert_array_equal(frames[0][:, ::-1], frames[1])
    texts = [ENV.render(s, "ansi").split("\n")[:5] for s in (here, there)]
    width = 57
    swapped = str.maketrans("/\\[]", "\\/][")
    mirrored = [line.ljust(width)[::-1].translate(swapped).rstrip() for line in texts[0]]
    assert mirrored == texts[1]


def test_poses_have_different_frames_of_few_colours():
    frames = [ENV.render(state(*pose), "rgb_array") for pose in POSES]
    assert len({frame.tobytes() for frame in frames}) == len(POSES)
    colours = np.unique(np.concatenate(frames).reshape(-1, 3), axis=0)
    assert len(colours) <= 64  # one palette of a GIF holds them
    assert (frames[0][0] == BACKGROUND).all()


def test_text():
    drawn = ENV.render(state(-1.2, math.radians(6), 0.25, -0.5, 7), "ansi")
    assert drawn.split("\n") == [
        "                 /",
        "                 /",
        "                /",
        "               /",
        "  |          [===]                                    |",
        "position -1.20 m   velocity +0.25 m/s",
        "angle +6.00 deg   angular velocity -28.6 deg/s   step 7",
    ]


def test_text_of_an_upright_pole_and_of_one_at_the_limit():
    upright = ENV.render(state(0, 0), "ansi").split("\n")
    assert {line.strip() for line in upright[:4]} == {"|"}
    assert upright[4].index("[===]") + 2 == upright[0].index("|") == 28
    limit = ENV.render(state(2.4, -math.radians(12)), "ansi").split("\n")
    assert [line.index("\\") for line in limit[:4]] == [50, 51, 52, 53]
    assert limit[4].index("[===]") + 2 == 54  # on the mark of the limit


@pytest.mark.parametrize("mode", ["ansi", "rgb_array"])
def test_gymnasium_renders_from_the_reset_to_the_final_state(mode):
    env = gymnasium.make(ID, render_mode=mode)
    assert env.metadata["render_modes"] == ["ansi", "rgb_array"]
    assert env.metadata["render_fps"] == 50  # of steps of 0.02 s
    observation, _ = env.reset(seed=1)
    for _ in range(3):
        for steps in range(20):
            expected = ENV.state_from_observation(tf.constant(observation))
            drawn = ENV.render(expected._replace(steps=tf.constant(steps)), mode)
            if mode == "ansi":
                assert env.render() == drawn
            else:  # the observation is a rounded state
                assert np.mean(env.render() != drawn) < 1e-3
            observation, _, terminated, _, _ = env.step(1)
            if terminated:
                break
        observation, _ = env.reset()


def test_frame_rates_are_those_of_the_environments():
    for adapter in (envs.GymnasiumEnv, envs.GymnasiumVectorEnv):
        assert adapter("CartPole").metadata["render_fps"] == 50
        assert adapter("Catch").metadata["render_fps"] == 4


def test_vector_environments_render_every_copy():
    env = gymnasium.make_vec(ID, num_envs=2, render_mode="rgb_array")
    env.reset(seed=0)
    first, second = env.render()
    assert first.shape == second.shape == (HEIGHT, WIDTH, 3)
    assert not np.array_equal(first, second)
