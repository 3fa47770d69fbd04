"""Acting: which random numbers go where, and what is known of returns."""

import numpy as np
import pytest
import tensorflow as tf
from training_cases import Lottery

from tf_equirl import envs
from tf_equirl.training.collect import by_member, collect, mean_of_known, num_uniforms, start_acting
from tf_equirl.training.randomness import Purpose, member_uniforms

STEPS, MEMBERS, ENVS = 12, 2, 3


def collected(env, logits, compiled):
    """A rollout, its last state and the numbers that it was made of."""

    def run(seeds):
        shape = [STEPS, ENVS, num_uniforms(env)]
        uniforms = tf.transpose(member_uniforms(seeds, Purpose.ROLLOUT, 0, shape), [1, 0, 2, 3])
        start = start_acting(env, tf.zeros([MEMBERS, ENVS, env.num_uniforms]))

        def policy(observation):
            return tf.broadcast_to(logits, [*observation.shape[:-1], len(logits)])

        return collect(env, policy, start, uniforms), uniforms

    run = tf.function(run, jit_compile=compiled, autograph=False)
    (state, rollout), uniforms = run(tf.constant([5, 9]))
    return state, rollout, uniforms.numpy()


@pytest.fixture(scope="module")
def lottery():
    return collected(Lottery(), tf.constant([0.5, 0.0, -1.0]), compiled=True)


def test_transitions_get_the_numbers_after_the_actions(lottery):
    """XLA forgets the 1 of `uniforms[i, ..., 1:]` inside a loop: they got the action's."""
    _, rollout, uniforms = lottery
    np.testing.assert_array_equal(rollout.next_observation[..., 0], uniforms[..., 1])
    np.testing.assert_array_equal(rollout.reward, uniforms[..., 1])
    ended = uniforms[..., 2] < np.float32(0.2)
    np.testing.assert_array_equal(rollout.terminated, ended)
    # An episode starts with the last number of the step that ended the one before.
    following = np.where(ended, uniforms[..., 3], uniforms[..., 1])
    np.testing.assert_array_equal(rollout.observation[1:, ..., 0], following[:-1])
    assert 0 < ended.sum() < ended.size


def test_actions_are_drawn_from_the_first_number(lottery):
    _, rollout, uniforms = lottery
    reached = np.cumsum(tf.nn.softmax([0.5, 0.0, -1.0]))
    expected = (uniforms[..., :1] >= reached[:-1]).sum(-1)
    np.testing.assert_array_equal(rollout.action, expected)
    assert set(np.unique(expected)) == {0, 1, 2}


def test_the_compiled_loop_does_what_single_steps_do(lottery):
    env = Lottery()
    _, rollout, uniforms = lottery
    state = env.initial_state(tf.zeros([MEMBERS, ENVS, env.num_uniforms]))
    for i in range(STEPS):
        np.testing.assert_array_equal(rollout.observation[i], env.observe(state))
        state, seen, reward, terminated, truncated = env.step_with_uniforms(
            state, rollout.action[i], tf.constant(uniforms[i, ..., 1:])
        )
        np.testing.assert_array_equal(rollout.next_observation[i], seen)
        np.testing.assert_array_equal(rollout.reward[i], reward)
        np.testing.assert_array_equal(rollout.terminated[i], terminated)
        np.testing.assert_array_equal(rollout.truncated[i], truncated)


def test_the_last_return_is_unknown_before_the_first_episode_has_ended(lottery):
    state, rollout, _ = lottery
    running = np.zeros([MEMBERS, ENVS])
    last = np.full([MEMBERS, ENVS], np.nan)
    for i in range(STEPS):
        running += rollout.reward[i]
        last = np.where(rollout.terminated[i], running, last)
        np.testing.assert_allclose(rollout.last_return[i], last, rtol=1e-5)
        running = np.where(rollout.terminated[i], 0, running)
    np.testing.assert_allclose(state.last_return, last, rtol=1e-5)
    np.testing.assert_allclose(state.episode_return, running, rtol=1e-5)
    assert np.isnan(rollout.last_return[0]).any() and not np.isnan(last).all()


def test_where_resets_alone_are_random_they_have_the_first_numbers():
    """With the action's, as learning curves were made."""

    class Short(envs.make("CartPole").__class__):
        def transition(self, state, action, uniforms):
            following, reward, _ = super().transition(state, action, uniforms)
            return following, reward, tf.ones_like(reward, tf.bool)

    env = Short()
    _, rollout, uniforms = collected(env, tf.constant([0.0, 0.0]), compiled=True)
    started = env.observe(env.initial_state(tf.constant(uniforms[..., :4])))
    np.testing.assert_allclose(rollout.observation[1:], started[:-1], atol=1e-7)


def test_the_mean_is_over_what_is_known():
    x = tf.constant([[1.0, np.nan, 3.0], [np.nan] * 3, [1.0, 2.0, 6.0]])
    np.testing.assert_array_equal(mean_of_known(x), [2.0, np.nan, 3.0])


def test_rows_of_a_member_are_ordered_by_step_then_environment():
    x = tf.reshape(tf.range(2 * 3 * 4 * 5), [2, 3, 4, 5])
    flat = by_member(x)
    assert flat.shape == (3, 8, 5)
    np.testing.assert_array_equal(flat[1, 4 + 2], x[1, 1, 2])
