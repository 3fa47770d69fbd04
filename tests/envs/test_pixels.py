"""Control tasks that a camera sees: pictures, the mirror, held actions, stacked frames."""

import numpy as np
import pytest
import tensorflow as tf

from tf_equirl import envs
from tf_equirl.envs.control.camera import Shape, photograph
from tf_equirl.envs.pixels import TASKS
from tf_equirl.envs.registry import from_recipe, recipe
from tf_equirl.groups import Symmetry, cyclic_group, picture_of, trivial_representation

UNIT = 1.0 / 9  # m of a pixel of the pictures of 18 pixels below


def after(env, steps, count=3, seed=0):
    """States after some random steps."""
    state = env.reset([seed, 1], [count])
    rng = np.random.default_rng(seed)
    for k in range(steps):
        action = rng.uniform(-1, 1, [count, env.symmetry.action.dim]).astype(np.float32)
        state = env.step(state, action, [seed, k])[0]
    return state


def test_a_shape_covers_what_is_inside_and_shares_of_its_edge():
    disc = Shape((0.0, 0.0), (0.0, 0.0), 4.0 * UNIT, 1.0)
    picture = photograph([disc], 18, 1.0).numpy()
    # The covered area, of a disc with a radius of 4 pixels, each edge pixel by its share.
    assert abs((picture + 0.5).sum() - np.pi * 16) < 0.5
    assert picture.min() == -0.5 and picture.max() == 0.5
    bar = Shape((-1.0, 0.5 * UNIT), (1.0, 0.5 * UNIT), 1.0 * UNIT, 0.5)
    rows = photograph([disc, bar], 18, 1.0).numpy()[:, 9]
    # Its middle is that of row 8: rows 7 to 9 are covered, half of it at its edges.
    np.testing.assert_allclose(rows[8], 0.0, atol=1e-6)
    np.testing.assert_allclose(rows[7], 0.5 * rows[8] + 0.5 * 0.5, atol=1e-6)
    np.testing.assert_allclose(rows[5], picture[5, 9], atol=1e-6)


def test_shapes_are_seen_where_they_are():
    """Right is right, and up is up."""
    picture = photograph([Shape((0.5, 0.5), (0.5, 0.5), 0.1, 1.0)], 18, 1.0).numpy()
    row, column = np.unravel_index(picture.argmax(), picture.shape)
    assert row < 9 <= column


@pytest.mark.parametrize("task", TASKS)
def test_images_of_states_have_the_images_of_pictures_to_the_bit(task):
    env = envs.Pixels(task, size=21)
    state = after(env, 5)
    pictures = env.observe(state).numpy().reshape(3, -1)
    assert pictures.std(axis=0).max() > 0.02
    for element in env.symmetry.group.elements:
        moved = env.observe(env.moved(element, state)).numpy().reshape(3, -1)
        np.testing.assert_array_equal(moved, env.symmetry.move_states(element, pictures))
        assert element == 0 or not np.array_equal(moved, pictures)


def test_the_mirror_flips_left_to_right():
    env = envs.Pixels(size=21)
    state = after(env, 9)
    mirrored = env.observe(env.moved(1, state)).numpy()
    np.testing.assert_array_equal(mirrored, env.observe(state).numpy()[:, :, ::-1])
    flips = picture_of(envs.Pixels("Reacher", size=21).symmetry.state)
    assert (flips.turns, flips.flips) == ((0, 2, 2, 0), (0, 0, 1, 1))


@pytest.mark.parametrize("task", TASKS)
def test_the_declared_symmetry_is_exact_and_broken_ones_are_found(task):
    assert envs.check_symmetry(envs.Pixels(task, size=21), samples=96).verdict == "exact"
    broken = envs.Pixels(task, size=21, breaking="gain")
    assert envs.check_symmetry(broken, samples=96).verdict == "broken"


def test_a_claim_whose_states_are_unknown_is_refused():
    env, group = envs.Pixels(size=9), cyclic_group(2)
    claim = Symmetry(group, trivial_representation(group, 9 * 9 * 3), env.symmetry.action)
    assert envs.check_symmetry(env, claim, samples=32).verdict == "broken"
    with pytest.raises(ValueError, match="`states` must be pictures of CartPoleSwingupPixels"):
        envs.check_symmetry(env, states=np.zeros([1, 9 * 9 * 3]))


def test_an_action_is_held_and_its_rewards_are_added_up():
    env, task = envs.Pixels(action_repeat=3, size=9), envs.CartPoleSwingup()
    state = after(env, 4)
    action = tf.constant([[0.5], [-1.0], [0.2]])
    following, reward, over = env.transition(state, action, tf.zeros([3, 4]))
    now, total = task.state_from_observation(state.seen[:, -1]), 0.0
    for _ in range(3):
        now, part, _ = task.transition(now, action, tf.zeros([3, 4]))
        total += part
    np.testing.assert_allclose(reward, total, rtol=1e-6)
    np.testing.assert_allclose(following.seen[:, -1], task.observe(now), rtol=1e-6)
    np.testing.assert_array_equal(following.seen[:, :-1], state.seen[:, 1:])
    assert not over.numpy().any()


def test_frames_are_the_last_ones_newest_last():
    env = envs.Pixels(size=13, frames=2)
    state = env.reset([0, 1], [2])
    first = env.observe(state).numpy()
    np.testing.assert_array_equal(first[..., 0], first[..., 1])
    for k in range(6):
        state = env.step(state, tf.ones([2, 1]), [0, k])[0]
        pictures = env.observe(state).numpy()
        np.testing.assert_array_equal(pictures[..., 0], first[..., 1])
        assert not np.array_equal(pictures[..., 1], first[..., 1])
        first = pictures


def test_episodes_have_a_thousand_control_steps_unless_told_otherwise():
    assert envs.Pixels().max_episode_steps == 500
    assert envs.Pixels(action_repeat=3).max_episode_steps == 334
    env = envs.Pixels(size=9, max_episode_steps=2)
    state = env.reset([0, 1], [1])
    ends = [env.step(state, tf.ones([1, 1]), [0, 0])[4].numpy()[0]]
    state = env.step(state, tf.ones([1, 1]), [0, 0])[0]
    ends.append(env.step(state, tf.ones([1, 1]), [0, 0])[4].numpy()[0])
    assert ends == [False, True]


def test_it_is_told_apart_and_made_again():
    env = envs.Pixels("Acrobot", size=37, breaking="reflect", kappa=0.5, policy="squashed_gaussian")
    again = from_recipe(recipe(env))
    assert again.get_config() == env.get_config() and again.name == "AcrobotPixels"
    assert again.program_key() == env.program_key()
    assert env.program_key() != envs.Pixels("Acrobot", size=37).program_key()
    assert env.get_config() != envs.Pixels("Acrobot", size=37).get_config()
    assert env.task.breaking.kappa == 0.5
    envs.check_environment(env)
    assert env.render(env.reset([0, 0]), "rgb_array").shape[-1] == 3


@pytest.mark.parametrize(
    ("argument", "value", "rule"),
    [
        ("task", "Pendulum", "one of Acrobot, CartPoleSwingup, Reacher"),
        ("size", 7, "an integer from 8 to 512"),
        ("frames", 0, "an integer from 1 to 16"),
        ("action_repeat", 0, "a positive integer"),
        ("max_episode_steps", 0, "a positive integer"),
        ("breaking", "wind", "one of none, gain"),
        ("kappa", -1.0, "a number from 0"),
        ("policy", "beta", "one of gaussian, squashed_gaussian"),
    ],
)
def test_bad_arguments(argument, value, rule):
    with pytest.raises(ValueError, match=f"`{argument}` must be {rule}.*Received: {argument}="):
        envs.Pixels(**{argument: value})
