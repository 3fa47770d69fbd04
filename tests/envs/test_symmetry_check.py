"""A true symmetry passes, a false one is found out."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
import tensorflow as tf

from tf_equirl import envs
from tf_equirl.groups import (
    Symmetry,
    cyclic_group,
    permutation_representation,
    signed_permutation_representation,
    trivial_representation,
)

C2 = cyclic_group(2)
MIRROR = signed_permutation_representation(C2, [[0, 1, 2, 3]] * 2, [[1, 1, 1, 1], [-1, -1, -1, -1]])
SWAP = permutation_representation(C2, [[0, 1], [1, 0]])
KEEP = permutation_representation(C2, [[0, 1], [0, 1]])

ENVIRONMENTS = {
    "functional": envs.CartPole,
    "adapter": lambda: gymnasium.make("tf_equirl/CartPole-v1"),
    "gymnasium": lambda: gymnasium.make("CartPole-v1"),
}
parametrize = pytest.mark.parametrize("make", ENVIRONMENTS.values(), ids=ENVIRONMENTS.keys())


@parametrize
def test_the_mirror_is_a_symmetry_of_cartpole(make):
    report = envs.check_symmetry(make(), Symmetry(C2, MIRROR, SWAP), samples=500)
    assert report.samples == 500
    assert len(report.next_state) == len(report.reward) == len(report.terminated) == 2
    assert report.worst < 1e-6


@pytest.mark.parametrize("name", envs.names())
def test_every_environment_has_the_symmetry_that_it_declares(name):
    assert envs.check_symmetry(envs.make(name)).worst < 1e-6


@parametrize
def test_without_the_swap_it_is_not(make):
    """The wrong push changes the velocity by 2 * 0.02 s * 9.8 m/s^2 or so."""
    report = envs.check_symmetry(make(), Symmetry(C2, MIRROR, KEEP), samples=500)
    assert report.next_state[0] < 1e-6  # the identity
    assert report.next_state[1] > 0.3
    assert report.worst == report.next_state[1]


def test_without_the_mirror_it_is_not():
    report = envs.check_symmetry(envs.CartPole(), Symmetry(C2, trivial_representation(C2, 4), SWAP))
    assert report.next_state[1] > 0.3


def test_a_broken_reward_and_termination_are_found():
    class Crooked(envs.CartPole):
        def transition(self, state, action, uniforms):
            following, reward, terminated = super().transition(state, action, uniforms)
            right = state.physics[..., 0] > 0
            return following, reward + 0.25 * tf.cast(right, tf.float32), terminated | right

    report = envs.check_symmetry(Crooked())
    assert report.next_state[1] < 1e-6
    np.testing.assert_allclose(report.reward[1], 0.25)
    assert report.terminated[1] > 0.5


def test_the_seed_decides():
    claim = Symmetry(C2, permutation_representation(C2, [[0, 1, 2, 3], [1, 0, 2, 3]]), KEEP)
    reports = [envs.check_symmetry(envs.CartPole(), claim, 50, seed) for seed in (1, 1, 2)]
    assert reports[0] == reports[1] != reports[2]


def test_random_dynamics_is_refused():
    class Windy(envs.CartPole):
        def transition(self, state, action, uniforms):
            following, reward, terminated = super().transition(state, action, uniforms)
            return following._replace(physics=following.physics + uniforms), reward, terminated

    with pytest.raises(ValueError, match="must have deterministic dynamics"):
        envs.check_symmetry(Windy())


@parametrize
@pytest.mark.parametrize(
    "symmetry",
    [
        Symmetry(C2, trivial_representation(C2, 3), SWAP),
        Symmetry(C2, MIRROR, trivial_representation(C2, 3)),
        Symmetry(
            C2, MIRROR, signed_permutation_representation(C2, [[0, 1]] * 2, [[1, 1], [-1, 1]])
        ),
    ],
    ids=["states", "actions", "signs"],
)
def test_a_symmetry_of_other_dimensions(make, symmetry):
    with pytest.raises(ValueError, match=r"`symmetry\.(state|action)` must .*Received: symmetry\."):
        envs.check_symmetry(make(), symmetry, samples=3)


class Opaque(gymnasium.Env):
    """A gymnasium environment that hides its state."""

    observation_space = gymnasium.spaces.Box(-1, 1, (4,))
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        return np.zeros(4, np.float32), {}

    def step(self, action):
        return np.zeros(4, np.float32), 0.0, False, False, {}


class ReadOnly(Opaque):
    """One whose state can only be read."""

    state = property(lambda self: np.zeros(4))


@pytest.mark.parametrize("make", [Opaque, ReadOnly])
def test_a_state_that_cannot_be_set(make):
    report = envs.check_symmetry(make(), Symmetry(C2, MIRROR, SWAP), samples=3)
    assert isinstance(report, envs.TwoSampleReport)
    assert report.verdict == "not rejected"  # nothing ever moves
    with pytest.raises(ValueError, match="`states` must be None: the state of .* cannot be set"):
        envs.check_symmetry(make(), Symmetry(C2, MIRROR, SWAP), states=np.zeros([3, 4]))


def test_wrong_arguments():
    with pytest.raises(ValueError, match="`symmetry` must be given: none is declared"):
        envs.check_symmetry(gymnasium.make("FrozenLake-v1"), samples=3)
    with pytest.raises(ValueError, match="`samples` must be a positive integer"):
        envs.check_symmetry(envs.CartPole(), samples=0)
    with pytest.raises(ValueError, match="`env` must be"):
        envs.check_symmetry("CartPool")
    with pytest.raises(ValueError, match=r"`symmetry\.action` must act on actions of 1 numbers"):
        envs.check_symmetry("Pendulum-v1", Symmetry(C2, trivial_representation(C2, 3), SWAP))
    with pytest.raises(ValueError, match="`policy` must be callable"):
        envs.check_symmetry("CartPole", policy=3)
    for states, rule in (([[1.0, 2.0]], "4 numbers each"), ([[np.nan] * 4], "finite")):
        with pytest.raises(ValueError, match=f"`states` must .*{rule}"):
            envs.check_symmetry("CartPole", states=states)
