"""States that are set behave as those that episodes come to."""

from __future__ import annotations

import importlib.util

import gymnasium
import numpy as np
import pytest

from tf_equirl import envs
from tf_equirl.envs.symmetries import dynamics_of

SETTABLE = {  # id: largest difference between a step in an episode and from the state set
    "CartPole": 0.0,
    "Catch": 0.0,
    "CartPole-v1": 0.0,
    "MountainCar-v0": 0.0,
    # Angles go through sines and cosines.
    "Acrobot-v1": 1e-13,
    "Pendulum-v1": 1e-13,
    "MountainCarContinuous-v0": 1e-7,  # a state in float32
}
MUJOCO = {  # the root's position is left out; the solver starts elsewhere
    "InvertedPendulum-v5": 1e-10,
    "InvertedDoublePendulum-v5": 1e-10,
    "Reacher-v5": 1e-10,
    "Swimmer-v5": 1e-10,
    "Hopper-v5": 1e-10,
    "HalfCheetah-v5": 1e-8,
}
NO_MUJOCO = pytest.mark.skipif(
    importlib.util.find_spec("mujoco") is None, reason="needs the extra `mujoco`"
)
CASES = [
    *SETTABLE.items(),
    *(pytest.param(*case, marks=NO_MUJOCO) for case in MUJOCO.items()),
]


@pytest.mark.parametrize(("name", "tolerance"), CASES)
def test_a_state_that_is_set_goes_on_as_in_an_episode(name, tolerance):
    dynamics = dynamics_of(name)
    steps = dynamics.collect(60, np.random.default_rng(0))
    assert steps.states.shape == (60, dynamics.observation_dim)
    assert dynamics.low.shape == dynamics.high.shape == (dynamics.observation_dim,)
    assert steps.states.dtype == steps.next_states.dtype == steps.rewards.dtype == np.float64
    order = np.random.default_rng(1).permutation(60)  # nothing is left of the episode
    following, rewards, terminated = dynamics.step(steps.states[order], steps.actions[order])
    np.testing.assert_allclose(following, steps.next_states[order], rtol=0, atol=tolerance)
    np.testing.assert_allclose(rewards, steps.rewards[order], rtol=0, atol=tolerance)
    np.testing.assert_array_equal(terminated, steps.terminated[order])


def test_visits_follow_the_seed_and_the_policy():
    dynamics = dynamics_of("Pendulum-v1")

    def policy(observations):
        assert observations.shape == (1, 3)
        return 0.5 * observations[:, :1]

    first, again, other = (
        dynamics.visit(20, np.random.default_rng(seed), policy) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first[0], again[0])
    assert not np.array_equal(first[0], other[0])
    np.testing.assert_allclose(first[1], 0.5 * first[0][:, :1])


@pytest.mark.parametrize(
    ("name", "actions"), [("CartPole", [2] * 32), ("CartPole-v1", [0.5]), ("Pendulum-v1", [1.0])]
)
def test_a_policy_that_returns_something_else(name, actions):
    with pytest.raises(ValueError, match=r"`policy\(observations\)` must be .*Received"):
        dynamics_of(name).visit(40, np.random.default_rng(0), lambda observations: actions)


class Hidden(gymnasium.Env):
    """One number that is moved by a box of two; known from outside by nothing but observations."""

    observation_space = gymnasium.spaces.Dict(
        {"place": gymnasium.spaces.Box(-1, 1, (1,), np.float64)}
    )
    action_space = gymnasium.spaces.Box(-1, 1, (2, 1))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = self.np_random.uniform(-1, 1, 1)
        return {"place": self.place.copy()}, {}

    def step(self, action):
        self.place += action[0] + 2 * action[1]
        return {"place": self.place.copy()}, float(self.place[0]), False, False, {}


def test_a_state_that_cannot_be_set_needs_restore():
    hidden = dynamics_of(Hidden())
    states, actions = hidden.visit(3, np.random.default_rng(0))
    assert states.shape == (3, 1) and actions.shape == (3, 2) and not hidden.can_step
    with pytest.raises(ValueError, match="whose state can be set"):
        hidden.step(states, actions)
    dynamics = dynamics_of(Hidden(), lambda env, observation: setattr(env, "place", observation))
    following, rewards, _ = dynamics.step(states, actions)
    expected = states + actions[:, :1] + 2 * actions[:, 1:]
    np.testing.assert_allclose(following, expected, rtol=1e-12)
    np.testing.assert_allclose(rewards, expected[:, 0], rtol=1e-12)


def test_wrappers_that_change_observations_close_the_way_to_the_state():
    env = gymnasium.make("CartPole-v1")
    scaled = gymnasium.wrappers.RescaleObservation(
        gymnasium.wrappers.TransformObservation(
            env, lambda x: np.clip(x, -9, 9), gymnasium.spaces.Box(-9, 9, (4,))
        ),
        np.float32(-1),
        np.float32(1),
    )
    assert dynamics_of(env).can_step and not dynamics_of(scaled).can_step


def test_wrong_arguments():
    for wrong, rule in {
        "CartPole-v9": f"`env` must be one of {', '.join(envs.names())}, or an id of gymnasium's",
        3: "`env` must be an environment of tf_equirl's or gymnasium's, or a name or id of one",
    }.items():
        with pytest.raises(ValueError, match=rule):
            dynamics_of(wrong)
    with pytest.raises(ValueError, match="`restore` must be callable"):
        dynamics_of("CartPole-v1", restore=3)
    with pytest.raises(ValueError, match="`restore` must be None for a tf_equirl Environment"):
        dynamics_of(envs.CartPole(), restore=print)
    with pytest.raises(ValueError, match=r"`env\.action_space` must be a Discrete or a Box"):
        env = Hidden()
        env.action_space = gymnasium.spaces.MultiBinary(3)
        dynamics_of(env)
