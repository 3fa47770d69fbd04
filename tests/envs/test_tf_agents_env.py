"""The TFEnvironment: step types, discounts, resets, and tf-agents' own drivers."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tf_equirl import envs
from tf_equirl._tf_agents import require_tf_agents

require_tf_agents()

from tf_agents.drivers import dynamic_episode_driver, dynamic_step_driver  # noqa: E402
from tf_agents.policies import random_tf_policy  # noqa: E402
from tf_agents.replay_buffers import tf_uniform_replay_buffer  # noqa: E402
from tf_agents.specs import tensor_spec  # noqa: E402
from tf_agents.trajectories import StepType  # noqa: E402

FIRST, MID, LAST = (int(x) for x in (StepType.FIRST, StepType.MID, StepType.LAST))


def actions_for(time_step):
    """The first half balances, the others push right until the pole falls."""
    balancing = time_step.observation[:, 2] + 0.5 * time_step.observation[:, 3] > 0
    count = balancing.shape[0]
    return tf.where(tf.range(count) < count // 2, tf.cast(balancing, tf.int32), 1)


def test_step_types_rewards_discounts_and_true_observations():
    """200 steps of 4 copies against the dynamics alone."""
    core = envs.make("CartPole", max_episode_steps=60)
    env = envs.make_tf_agents(core, batch_size=4, seed=1)
    transition = tf.function(core.transition, autograph=False)
    time_step = env.reset()
    assert time_step.step_type.numpy().tolist() == [FIRST] * 4
    lengths = np.zeros(4, int)
    kinds = set()
    for _ in range(200):
        action = actions_for(time_step)
        before = core.state_from_observation(time_step.observation)
        following, _, fell = transition(before, action, tf.zeros([4, 4]))
        after = env.step(action)
        for i in range(4):
            kind = int(after.step_type[i])
            reward, discount = float(after.reward[i]), float(after.discount[i])
            observation = after.observation[i].numpy()
            if int(time_step.step_type[i]) == LAST:  # the action was ignored
                assert (kind, reward, discount) == (FIRST, 0.0, 1.0)
                assert np.all(np.abs(observation) <= 0.05)
                lengths[i] = 0
                continue
            lengths[i] += 1
            truncated = lengths[i] == 60
            assert kind == (LAST if bool(fell[i]) or truncated else MID)
            assert reward == 1.0
            assert discount == (0.0 if bool(fell[i]) else 1.0)
            np.testing.assert_allclose(
                observation, core.observe(following)[i], rtol=1e-6, atol=1e-6
            )
            kinds.add((kind, discount))
        time_step = after
    assert kinds == {(MID, 1.0), (LAST, 0.0), (LAST, 1.0)}


def test_a_step_before_any_reset_starts_an_episode():
    env = envs.make_tf_agents("CartPole", batch_size=2)
    assert env.step(tf.constant([0, 1])).step_type.numpy().tolist() == [FIRST, FIRST]
    assert env.step(tf.constant([0, 1])).step_type.numpy().tolist() == [MID, MID]


def test_current_time_step_is_the_last_one_returned():
    env = envs.make_tf_agents("CartPole", batch_size=2)
    first = env.current_time_step()
    assert first.step_type.numpy().tolist() == [FIRST, FIRST]
    np.testing.assert_array_equal(env.current_time_step().observation, first.observation)
    following = env.step(tf.constant([0, 1]))
    for x, y in zip(following, env.current_time_step(), strict=True):
        np.testing.assert_array_equal(x, y)
    assert env.reset().step_type.numpy().tolist() == [FIRST, FIRST]


def test_the_seed_decides():
    def run(seed):
        env = envs.make_tf_agents("CartPole", batch_size=3, seed=seed)
        observations = [env.reset().observation.numpy(), env.reset().observation.numpy()]
        for _ in range(30):
            observations.append(env.step(tf.constant([0, 1, 1])).observation.numpy())
        return np.array(observations)

    np.testing.assert_array_equal(run(4), run(4))
    assert np.all(run(4)[0] != run(5)[0])
    assert np.all(run(4)[0] != run(4)[1])  # resets differ


def test_time_steps_match_their_specs():
    env = envs.make_tf_agents("CartPole", batch_size=2)
    assert env.batched
    assert env.batch_size == 2
    for time_step in (env.reset(), env.step(tf.constant([0, 1]))):
        for value, spec in zip(
            tf.nest.flatten(time_step), tf.nest.flatten(env.time_step_spec()), strict=True
        ):
            assert value.shape == (2, *spec.shape)
            assert value.dtype == spec.dtype
    assert tensor_spec.is_bounded(env.action_spec())
    assert (env.action_spec().minimum, env.action_spec().maximum) == (0, 1)


@pytest.mark.thorough
@pytest.mark.parametrize("graph", [False, True])
def test_step_driver_fills_a_replay_buffer(graph):
    env = envs.make_tf_agents("CartPole", batch_size=4, seed=2)
    policy = random_tf_policy.RandomTFPolicy(env.time_step_spec(), env.action_spec())
    buffer = tf_uniform_replay_buffer.TFUniformReplayBuffer(
        policy.trajectory_spec, batch_size=4, max_length=500
    )
    driver = dynamic_step_driver.DynamicStepDriver(
        env, policy, observers=[buffer.add_batch], num_steps=800
    )
    (tf.function(driver.run) if graph else driver.run)()
    data = buffer.gather_all()
    kinds = data.step_type.numpy()
    following = data.next_step_type.numpy()
    assert (kinds != LAST).sum() >= 800
    # Consecutive: what follows a step is the next step of the same copy.
    np.testing.assert_array_equal(following[:, :-1], kinds[:, 1:])
    assert set(zip(kinds.ravel().tolist(), following.ravel().tolist(), strict=True)) == {
        (FIRST, MID),
        (MID, MID),
        (MID, LAST),
        (LAST, FIRST),
    }
    # Random play ends by falling: discount 0 exactly where the next step is LAST.
    np.testing.assert_array_equal(data.discount.numpy() == 0.0, following == LAST)


def test_episode_driver_runs():
    env = envs.make_tf_agents("CartPole", batch_size=2, seed=3)
    policy = random_tf_policy.RandomTFPolicy(env.time_step_spec(), env.action_spec())
    lasts = []
    driver = dynamic_episode_driver.DynamicEpisodeDriver(
        env,
        policy,
        observers=[
            lambda trajectory: lasts.append(
                int(tf.reduce_sum(tf.cast(trajectory.next_step_type == LAST, tf.int32)))
            )
        ],
        num_episodes=5,
    )
    driver.run()
    assert sum(lasts) >= 5


@pytest.mark.parametrize("action", [[0, 2], [0], [0.0, 1.0]])
def test_wrong_actions(action):
    env = envs.make_tf_agents("CartPole", batch_size=2)
    with pytest.raises(ValueError, match=r"`action` .*Received: action="):
        env.step(tf.constant(action))


@pytest.mark.parametrize(
    "arguments",
    [{"batch_size": 0}, {"batch_size": 1.5}, {"seed": 0.5}, {"seed": 2**40}, {"seed": -1}],
)
def test_wrong_arguments(arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"`{name}` must be .*Received: {name}="):
        envs.make_tf_agents("CartPole", **arguments)
