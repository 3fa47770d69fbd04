"""The functional contract: reset inside the step, batching, determinism, compilation."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tf_equirl.envs import CartPole, CartPoleState, Environment


@pytest.fixture
def env():
    return CartPole()


def flat(structure):
    return [x.numpy() for x in tf.nest.flatten(structure)]


def assert_equal(a, b):
    for x, y in zip(flat(a), flat(b), strict=True):
        np.testing.assert_array_equal(x, y)


def test_step_resets_where_an_episode_ends(env):
    uniforms = tf.random.stateless_uniform([3, 4], [1, 2])
    going, falling, late = [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.2, 3.0], [0.01, 0.0, 0.0, 0.0]
    state = CartPoleState(tf.constant([going, falling, late]), tf.constant([7, 7, 499]))
    action = tf.constant([1, 1, 0])
    after, observation, reward, terminated, truncated = env.step_with_uniforms(
        state, action, uniforms
    )
    assert terminated.numpy().tolist() == [False, True, False]
    assert truncated.numpy().tolist() == [False, False, True]
    assert reward.numpy().tolist() == [1.0, 1.0, 1.0]
    # The observation is the true one of every transition ...
    np.testing.assert_array_equal(
        observation, env.transition(state, action, uniforms)[0].physics.numpy()
    )
    # ... the state is the fresh episode's where one ended.
    fresh = env.initial_state(uniforms)
    np.testing.assert_array_equal(env.observe(after)[0], observation[0])
    np.testing.assert_array_equal(env.observe(after)[1:], env.observe(fresh)[1:])
    assert after.steps.numpy().tolist() == [8, 0, 0]


def test_truncation_comes_after_exactly_max_episode_steps():
    env = CartPole(max_episode_steps=5)
    state = env.reset([0, 0])
    flags = []
    for t in range(12):
        state, *_, terminated, truncated = env.step(state, t % 2, [0, t])
        assert not terminated
        flags.append(bool(truncated))
    assert [t for t, flag in enumerate(flags, 1) if flag] == [5, 10]


@pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
def test_batching_over_any_leading_dimensions(env, batch):
    """A batch steps as its members do alone."""
    state = env.reset([5, 6], batch)
    action = tf.constant(np.random.default_rng(0).integers(2, size=batch), tf.int32)
    uniforms = env.draw_uniforms([7, 8], batch)
    result = env.step_with_uniforms(state, action, uniforms)
    assert result[1].shape == (*batch, 4)
    for index in np.ndindex(batch):
        single = env.step_with_uniforms(
            tf.nest.map_structure(lambda x, i=index: x[i], state), action[index], uniforms[index]
        )
        # Vectorised sines differ from scalar ones in the last bit.
        for x, y in zip(flat(result), flat(single), strict=True):
            np.testing.assert_allclose(x[index], y, rtol=1e-6, atol=1e-7)


def test_the_seed_decides(env):
    assert_equal(env.reset([1, 2], [8]), env.reset([1, 2], [8]))
    assert np.all(env.reset([1, 2], [8]).physics != env.reset([1, 3], [8]).physics)
    state = CartPoleState(tf.zeros([8, 4]), tf.fill([8], 499))  # all are reset
    action = tf.zeros([8], tf.int32)
    assert_equal(env.step(state, action, [1, 2]), env.step(state, action, [1, 2]))
    one, other = env.step(state, action, [1, 2])[0], env.step(state, action, [1, 3])[0]
    assert np.all(one.physics != other.physics)
    assert len(np.unique(one.physics)) == 32  # members of a batch differ


def test_a_compiled_rollout_equals_the_eager_one(env):
    """120 steps of 16 copies in one XLA loop, traced once, from the same uniform numbers."""
    traces = []
    actions = tf.constant(np.random.default_rng(8).integers(2, size=[120, 16]), tf.int32)

    def step(i, state, uniforms, totals):
        state, _, reward, terminated, truncated = env.step_with_uniforms(
            state, actions[i], uniforms[i]
        )
        return state, totals + tf.stack(
            [reward, tf.cast(terminated, tf.float32), tf.cast(truncated, tf.float32)]
        )

    @tf.function(jit_compile=True, autograph=False)
    def rollout(uniforms):
        traces.append(uniforms)
        return tf.while_loop(
            lambda i, *_: i < 120,
            lambda i, state, totals: (i + 1, *step(i, state, uniforms, totals)),
            (0, env.initial_state(uniforms[-1]), tf.zeros([3, 16])),
            maximum_iterations=120,
        )[1:]

    for number in range(2):
        uniforms = env.draw_uniforms([9, number], [121, 16])
        state, totals = env.initial_state(uniforms[-1]), tf.zeros([3, 16])
        for i in range(120):
            state, totals = step(i, state, uniforms, totals)
        compiled_state, compiled_totals = rollout(uniforms)
        np.testing.assert_array_equal(compiled_totals, totals)
        np.testing.assert_array_equal(compiled_state.steps, state.steps)
        # XLA fuses multiply-adds; the fall of a pole amplifies the change of 1e-7 that this is.
        np.testing.assert_allclose(compiled_state.physics, state.physics, atol=1e-5)
    assert totals[1].numpy().sum() > 16  # every copy was reset several times
    assert len(traces) == 1


def test_seeded_steps_compile(env):
    """The numbers are others than eager ones, but stay within the law and the seed."""
    reset = tf.function(lambda seed: env.reset(seed, [100]), jit_compile=True)
    physics = reset(tf.constant([1, 2])).physics.numpy()
    assert np.all(np.abs(physics) <= 0.05)
    assert len(np.unique(physics)) == 400
    np.testing.assert_array_equal(reset(tf.constant([1, 2])).physics, physics)
    assert np.all(reset(tf.constant([1, 3])).physics != physics)


def test_vectorizes_without_fallback(env):
    state = env.reset([1, 1], [5, 2])
    uniforms = env.draw_uniforms([1, 2], [5, 2])
    action = tf.ones([5, 2], tf.int32)
    mapped = tf.vectorized_map(
        lambda args: env.step_with_uniforms(*args),
        (state, action, uniforms),
        fallback_to_while_loop=False,
    )
    for x, y in zip(
        flat(mapped), flat(env.step_with_uniforms(state, action, uniforms)), strict=True
    ):
        np.testing.assert_allclose(x, y, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("action", [2, -1, 0.5, [0, 1], True])
def test_wrong_actions(env, action):
    with pytest.raises(ValueError, match=r"`action` .*Received: action="):
        env.step(env.reset([0, 0]), action, [0, 0])


@pytest.mark.parametrize("dtype_and_shape", [(tf.float32, [3]), (tf.int32, [2])])
def test_wrong_actions_while_tracing(env, dtype_and_shape):
    dtype, shape = dtype_and_shape
    step = tf.function(env.step_with_uniforms, autograph=False)
    with pytest.raises(ValueError, match="`action` must hold integers"):
        step(env.reset([0, 0], [3]), tf.zeros(shape, dtype), tf.zeros([3, 4]))


@pytest.mark.parametrize("seed", [3, [1, 2, 3], [0.5, 0.5]])
def test_wrong_seeds(env, seed):
    with pytest.raises(ValueError, match=r"`seed` must be two integers.*Received: seed="):
        env.reset(seed)


def test_an_environment_without_settable_state_says_so():
    class Hidden(CartPole):
        state_from_observation = Environment.state_from_observation

    with pytest.raises(ValueError, match="state of CartPole cannot be set"):
        Hidden().state_from_observation(tf.zeros([4]))
