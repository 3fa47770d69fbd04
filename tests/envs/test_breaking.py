"""Environments whose symmetry is broken by degrees: not at all at 0, as published at 1."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tf_equirl import envs
from tf_equirl.envs.breaking import BREAKINGS, Breaking, checked_breaking

NAMES = ("CartPole", "CartPoleSwingup", "Acrobot", "Reacher")
KINDS = BREAKINGS[1:]
EACH = [(name, kind) for name in NAMES for kind in KINDS if (name, kind) != ("Reacher", "gravity")]
COUNT = 512


def random_states(env, seed=0):
    """States all over the place, inside of the regions and outside."""
    rng = np.random.default_rng(seed)
    scale = np.array([1.0 if env.name == "CartPoleSwingup" else 3.2, 2.6, 2.0, 6.0])
    if env.name == "CartPole":  # position, velocity, angle, angular velocity
        scale = np.array([2.0, 2.0, 0.2, 2.0])
    state = env.reset([seed, 2], [COUNT])
    return state._replace(physics=tf.constant(rng.uniform(-scale, scale, [COUNT, 4]), env.dtype))


def random_actions(env, seed=1):
    rng = np.random.default_rng(seed)
    if env.action_bounds is None:
        return tf.constant(rng.integers(2, size=COUNT), tf.int32)
    return tf.constant(
        rng.uniform(-1, 1, [COUNT, *env.action_distribution.action_shape]), tf.float32
    )


def step(env, action=None, state=None, compiled=False):
    state = random_states(env) if state is None else state
    action = random_actions(env) if action is None else action
    function = env.transition
    if compiled:
        function = tf.function(function, autograph=False, jit_compile=True)
    moved, reward, terminated = function(state, action, tf.zeros([COUNT, env.num_uniforms]))
    return moved.physics.numpy(), reward.numpy(), terminated.numpy()


def inside(env, kind, states):
    """The regions, by their definition in the reference."""
    angle = states.physics.numpy()[
        :, 2 if env.name == "CartPole" else 1 if "Cart" in env.name else 0
    ]
    degrees = np.degrees(angle) % 360
    if env.name == "Reacher" and kind == "reflect":
        return (degrees >= 90) & (degrees <= 180)
    if env.name == "Acrobot":
        return (degrees > 90) & (degrees < 180)  # clockwise from upright: down and to the right
    return degrees <= (45 if kind == "reflect" else 90)


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.thorough)])
@pytest.mark.parametrize("name", NAMES)
def test_at_zero_nothing_changes_to_the_last_bit(name, compiled):
    plain = envs.make(name)
    expected = step(plain, compiled=compiled)
    for kind in (kind for of, kind in EACH if of == name):
        env = envs.make(name, breaking=kind, kappa=0)
        assert env.program_key() == plain.program_key()
        for x, y in zip(step(env, compiled=compiled), expected, strict=True):
            np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize(("name", "kind"), EACH)
def test_it_grows_from_zero(name, kind):
    """A little changes next states in proportion."""
    start = step(envs.make(name, dtype="float64"))[0]
    small, twice = (
        np.abs(step(envs.make(name, dtype="float64", breaking=kind, kappa=kappa))[0] - start)
        for kappa in (1e-4, 2e-4)
    )
    assert 0 < small.max() < 0.02
    np.testing.assert_allclose(twice, 2 * small, rtol=0.01, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_gain_is_of_one_sign(name):
    env, plain = envs.make(name, breaking="gain", kappa=0.5), envs.make(name)
    action = random_actions(env)
    positive = (action.numpy() > 0).reshape(COUNT, -1).any(axis=1)
    changed = np.any(step(env)[0] != step(plain)[0], axis=1)
    np.testing.assert_array_equal(changed, positive)
    if env.action_bounds is not None:
        weak = tf.where(action > 0, action / 1.5, action)
        np.testing.assert_allclose(step(env, weak)[0], step(plain, action)[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_reflected_actions(name):
    """As published the action is reversed in the region, and as it is elsewhere."""
    env, plain = envs.make(name, breaking="reflect"), envs.make(name)
    states, action = random_states(env), random_actions(env)
    reversed_action = 1 - action if env.action_bounds is None else -action
    region = inside(env, "reflect", states)
    assert 0.05 < region.mean() < 0.95
    expected = np.where(region[:, None], step(plain, reversed_action)[0], step(plain, action)[0])
    np.testing.assert_array_equal(step(env, action)[0], expected)
    doubled = step(envs.make(name, breaking="reflect", kappa=2.0), action)[0]
    assert np.abs(doubled - expected)[region].max() > 1e-3
    np.testing.assert_array_equal(doubled[~region], expected[~region])


@pytest.mark.parametrize("kappa", [1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_repeated_actions(name, kappa):
    """In the region several control steps, whose rewards are averaged."""
    env, plain = envs.make(name, breaking="repeat", kappa=kappa), envs.make(name)
    state, action = random_states(env), random_actions(env)
    region = inside(env, "repeat", state)
    assert 0.05 < region.mean() < 0.95
    moved, rewards = [], []
    for _ in range(kappa + 1):
        state, reward, _ = plain.transition(state, action, tf.zeros([COUNT, 4]))
        moved.append(state.physics.numpy())
        rewards.append(reward.numpy())
    physics, reward, terminated = step(env)
    np.testing.assert_array_equal(physics, np.where(region[:, None], moved[-1], moved[0]))
    np.testing.assert_allclose(
        reward, np.where(region, np.mean(rewards, axis=0), rewards[0]), rtol=1e-6
    )
    if name == "CartPole":
        np.testing.assert_array_equal(terminated, env.is_terminal(envs.CartPoleState(physics, 0)))


def test_lengths_of_repetitions():
    for kappa in (0.1, 1.0, 1.5, 3.0):
        lengths = Breaking("repeat", kappa).repeats()
        assert max(lengths) <= 1
        assert sum(lengths) == pytest.approx(kappa)
    assert Breaking("gain", 1.0).repeats() == []


def test_gravity_of_cartpole_moves_the_cart_alone():
    """Both parts of a frame that falls sideways accelerate alike."""
    states = random_states(envs.CartPole())
    change = step(envs.CartPole(breaking="gravity", kappa=3.0))[0] - step(envs.CartPole())[0]
    expected = np.tile([0, 0.02 * 3 * 0.2, 0, 0], [len(states.physics), 1])
    np.testing.assert_allclose(change, expected, atol=1e-6)


@pytest.mark.parametrize(("name", "kind"), EACH)
def test_the_declared_symmetry_is_broken(name, kind):
    """Where the states lie that are told: random actions never lift the cart's pole."""
    env = envs.make(name, breaking=kind)
    states = env.observe(random_states(env)).numpy()
    report = envs.check_symmetry(env, states=states)
    assert report.verdict in ("approximate", "broken")
    assert report.worst > 1e-3
    assert envs.check_symmetry(envs.make(name), states=states).worst < 1e-6


def test_it_is_kept_with_runs():
    assert "breaking" not in envs.CartPole().get_config()
    assert envs.CartPole(breaking="gain", kappa=0).get_config() == envs.CartPole().get_config()
    config = envs.CartPole(breaking="gain", kappa=0.5).get_config()
    assert (config["breaking"], config["kappa"]) == ("gain", 0.5)
    keys = {envs.CartPole(breaking=kind).program_key() for kind in BREAKINGS}
    assert len(keys) == len(BREAKINGS)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("wind", 1.0), "breaking"),
        (("gravity", 1.0, ("none", "gain")), "breaking"),
        ((None, 1.0), "breaking"),
        (("gain", -0.1), "kappa"),
        (("gain", float("nan")), "kappa"),
        (("gain", 101), "kappa"),
        (("gain", "much"), "kappa"),
    ],
)
def test_wrong_arguments_are_named(arguments, name):
    with pytest.raises(ValueError, match=f"`{name}` must be .* Received: {name}="):
        checked_breaking(*arguments)
