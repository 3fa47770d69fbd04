"""An environment that is seen through noise."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tf_equirl import envs, evaluation, models
from tf_equirl.envs.checks import check_environment
from tf_equirl.groups import Representation, Symmetry, cyclic_group, trivial_representation

STEPS = 6
COUNT = 2048


def course(env, seed=3, count=COUNT, own=None):
    """Random actions from random starts: observations, rewards, terminated, truncated."""
    rng = np.random.default_rng(seed)
    noise = np.random.default_rng(seed + 1)

    def numbers():
        mine = rng.random([count, own or env.num_uniforms], np.float32)
        further = noise.random([count, env.num_uniforms - mine.shape[1]], np.float32)
        return tf.constant(np.concatenate([mine, further], axis=1))

    state = env.initial_state(numbers())
    found = [[env.observe(state).numpy()]]
    for _ in range(STEPS):
        if env.num_actions:
            action = tf.constant(rng.integers(env.num_actions, size=count), tf.int32)
        else:
            shape = [count, *env.action_distribution.action_shape]
            action = tf.constant(rng.uniform(-1, 1, shape), tf.float32)
        state, *step = env.step_with_uniforms(state, action, numbers())
        found.append([env.observe(state).numpy(), *(x.numpy() for x in step)])
    return found


def bits(array):
    return array.view(np.int32) if array.dtype == np.float32 else array


@pytest.mark.parametrize("name", ["Acrobot", "Reacher", "CartPole", "Catch", "Snake"])
def test_without_deviation_it_is_the_environment_to_the_last_bit(name):
    short = {} if name in ("Catch", "Snake") else {"max_episode_steps": 4}
    env = envs.make(name, **short)
    noisy = envs.NoisyObservations(env, 0)
    check_environment(noisy)
    expected = course(env, count=64)
    found = course(noisy, count=64, own=env.num_uniforms)
    for x, y in zip(expected, found, strict=True):
        for of_env, of_noisy in zip(x, y, strict=True):
            np.testing.assert_array_equal(bits(of_env), bits(of_noisy))


def test_noise_changes_what_is_seen_and_nothing_else():
    env = envs.make("Acrobot", max_episode_steps=4)
    deviation = [0.1, 0.1, 0.2, 0.2, 1.5, 0.7]
    noisy = envs.NoisyObservations(env, deviation)
    check_environment(noisy)
    seen = []
    for plain, found in zip(course(env), course(noisy, own=env.num_uniforms), strict=True):
        for x, y in zip(plain[2:], found[2:], strict=True):  # rewards, ends
            np.testing.assert_array_equal(x, y)
        seen.append(found[0] - plain[0])
        if len(plain) > 1:
            ended = plain[-1] | plain[-2]
            following = found[1] - plain[1]
            # What is seen of the next state is what the next step is chosen by.
            np.testing.assert_array_equal(following[~ended], seen[-1][~ended])
            if ended.all():
                seen.append(following)
    assert len(seen) == STEPS + 2  # the last state of an episode, and the first of the next one
    standard = np.concatenate(seen, axis=1) / np.tile(deviation, len(seen))
    for column in standard.T:
        assert stats.kstest(column, "norm").pvalue > 1e-4  # of 48 columns
    # Independent by number and by step: 2048 draws give correlations of 0.022, and 4.5 of those
    # are exceeded once in 150,000 pairs.
    correlation = np.corrcoef(standard, rowvar=False) - np.eye(standard.shape[1])
    assert np.abs(correlation).max() < 0.1


@pytest.mark.parametrize("end", [0.0, np.nextafter(np.float32(1), np.float32(0))])
def test_noise_is_finite_and_symmetric_at_the_ends(end):
    noisy = envs.NoisyObservations(envs.make("Acrobot"), 1.0)
    noise = noisy.initial_state(tf.fill([noisy.num_uniforms], np.float32(end)))[-1].numpy()
    assert np.isfinite(noise).all() and abs(abs(noise[0]) - 5.3) < 0.2


def test_it_compiles_and_what_is_equal_shares_programs():
    env = envs.make("Reacher")
    noisy, same = (envs.NoisyObservations(env, 0.1) for _ in range(2))
    assert noisy.program_key() == same.program_key()
    assert noisy.program_key() != envs.NoisyObservations(env, 0.2).program_key()
    assert noisy.program_key() != env.program_key()
    assert noisy.get_config() != envs.NoisyObservations(env, 0.2).get_config()
    other = envs.NoisyObservations(envs.make("Reacher", breaking="repeat"), 0.1)
    assert noisy.program_key() != other.program_key()
    state, action = same.reset([0, 1], [8]), tf.fill([8, 2], 0.5)
    numbers = same.draw_uniforms([2, 3], [8])
    compiled = tf.function(noisy.step_with_uniforms, jit_compile=True, autograph=False)
    eager = noisy.step_with_uniforms(noisy.reset([0, 1], [8]), action, numbers)
    found = compiled(state, action, numbers)  # a state of the other, equal one
    for x, y in zip(tf.nest.flatten(found), tf.nest.flatten(eager), strict=True):
        np.testing.assert_allclose(x, y, atol=1e-5)  # rounding of the two compilers


class Noted(NamedTuple):
    noise: tf.Tensor
    steps: tf.Tensor


class HasNoise(envs.Environment):
    """Has a field of the name that noise would have."""

    name = "HasNoise"
    observation_shape = (2,)
    num_actions = 1
    num_uniforms = 2
    max_episode_steps = 3
    random_transitions = False

    def __init__(self, turned):
        group = cyclic_group(2)
        self.symmetry = Symmetry(
            group, Representation(group, [np.eye(2), turned]), trivial_representation(group)
        )

    def initial_state(self, uniforms):
        return Noted(uniforms, tf.zeros(uniforms.shape[:-1], tf.int32))

    def observe(self, state):
        return state.noise

    def transition(self, state, action, uniforms):
        never = tf.zeros_like(state.steps, tf.bool)
        return state, tf.zeros_like(state.noise[..., 0]), never


SWAP, FLIP = np.array([[0.0, 1], [1, 0]]), np.diag([1.0, -1])
MIXED = np.array([[0.6, 0.8], [0.8, -0.6]])
SKEW = np.array([[1.0, 1], [0, -1]])


def test_names_of_fields_do_not_collide():
    noisy = envs.NoisyObservations(HasNoise(FLIP), 1.0)
    twice = envs.NoisyObservations(noisy, 2.0)
    check_environment(twice)
    assert twice.reset([0, 1])._fields == ("noise", "steps", "noise_", "noise__")
    seen = course(twice)[0][0]
    # Uniform numbers of variance 1 / 12, and noise of both.
    np.testing.assert_allclose(seen.var(axis=0), 1 / 12 + 1 + 4, rtol=0.15)


@pytest.mark.parametrize(
    ("turned", "deviation", "right"),
    [
        (FLIP, [0.1, 0.2], True),
        (SWAP, [0.1, 0.2], False),
        (SWAP, [0.2, 0.2], True),
        (MIXED, [0.1, 0.2], False),
        (MIXED, 0.1, True),
        (SKEW, 0.1, False),
        (SKEW, 0.0, True),
    ],
)
def test_noise_is_as_symmetric_as_the_environment_or_refused(turned, deviation, right):
    env = HasNoise(turned)
    if not right:
        with pytest.raises(ValueError, match="noise is as symmetric .* element 1 .* deviation="):
            envs.NoisyObservations(env, deviation)
        return
    noisy = envs.NoisyObservations(env, deviation)
    noise = course(noisy, own=2)[0][0] - course(env)[0][0]
    moved = np.cov(noise @ turned.T, rowvar=False)
    # 2048 draws know a variance of 0.04 to 0.0013.
    np.testing.assert_allclose(moved, np.cov(noise, rowvar=False), atol=0.006)


@pytest.mark.thorough
def test_a_policy_is_evaluated_on_the_same_episodes_with_more_and_more_noise():
    env = envs.make("Acrobot", policy="squashed_gaussian", max_episode_steps=20)
    actor = models.actor(
        env.symmetry,
        "gcnn",
        (4,),
        observation_shape=env.observation_shape,
        standard_deviation="state",
    )
    for weight in actor.trainable_weights:
        weight.assign(np.random.default_rng(0).normal(size=weight.shape))

    def returns(deviation):
        noisy = envs.NoisyObservations(env, deviation)
        return evaluation.evaluate(actor, noisy, episodes=32).returns

    plain = returns(0.0)
    np.testing.assert_array_equal(plain, returns(0.0))
    distances = [np.abs(returns(d) - plain).mean() for d in (1e-6, 1e-3, 1.0)]
    assert 0 < distances[0] < distances[1] < distances[2]


@pytest.mark.parametrize("deviation", [-0.1, "1", None, True, [0.1], [0.1] * 5 + [-1.0], [[0.1]]])
def test_bad_deviations(deviation):
    with pytest.raises(ValueError, match="`deviation` must be a number from 0 .* deviation="):
        envs.NoisyObservations(envs.make("Acrobot"), deviation)


def test_only_environments_of_tensors():
    with pytest.raises(ValueError, match="`env` must be an environment of functions of tensors"):
        envs.NoisyObservations(envs.make("Pendulum-v1"), 0.1)
