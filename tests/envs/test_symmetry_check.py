"""A true symmetry passes, a false one is found out."""

from __future__ import annotations

import dataclasses

import gymnasium
import numpy as np
import pytest
import tensorflow as tf

from tf_equirl import envs
from tf_equirl.groups import (
    Representation,
    Symmetry,
    cyclic_group,
    permutation_representation,
    signed_permutation_representation,
    trivial_representation,
)

C2 = cyclic_group(2)
MIRROR = signed_permutation_representation(C2, [[0, 1, 2, 3]] * 2, [[1, 1, 1, 1], [-1, -1, -1, -1]])
SWAP = permutation_representation(C2, [[0, 1], [1, 0]])
SIGN = signed_permutation_representation(C2, [[0], [0]], [[1], [-1]])
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


def test_an_environment_on_the_host_is_checked_with_its_own_symmetry():
    right = envs.HostEnvironment("CartPole-v1", Symmetry(C2, MIRROR, SWAP))
    wrong = envs.HostEnvironment("CartPole-v1", Symmetry(C2, MIRROR, KEEP))
    assert envs.check_symmetry(right, samples=50).verdict == "exact"
    assert envs.check_symmetry(wrong, samples=50).verdict == "broken"


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


def test_a_broken_termination_alone_is_found():
    class Cliff(envs.CartPole):
        def transition(self, state, action, uniforms):
            following, reward, terminated = super().transition(state, action, uniforms)
            return following, reward, terminated | (state.physics[..., 0] > 0)

    report = envs.check_symmetry(Cliff())
    assert report.verdict == "broken" and report.relative < 1e-4
    assert report.broken_share[1] == report.terminated[1] > 0.5
    (case,) = (case for case in report.cases if case.kind == "terminated")
    assert (case.error, {*case.expected, *case.found}) == (1.0, {0.0, 1.0})


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


@pytest.mark.parametrize("angle", [0.5, np.pi / 2])
def test_only_turns_that_map_the_box_of_actions_to_itself(angle):
    """A square is mapped to itself by quarter turns, and by no other ones."""
    order = round(2 * np.pi / angle) if angle != 0.5 else 8
    group = cyclic_group(order)
    angles = 2 * np.pi / order * np.arange(order)
    turns = np.moveaxis(
        np.array([[np.cos(angles), -np.sin(angles)], [np.sin(angles), np.cos(angles)]]), 2, 0
    )
    turn = Representation(group, turns)

    class Plane(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(-9, 9, (2,), np.float64)
        action_space = gymnasium.spaces.Box(-1, 1, (2,), np.float64)
        low = -1.0

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            self.state = self.np_random.normal(size=2)
            return self.state, {}

        def step(self, action):
            self.state = self.state + action
            far = np.linalg.norm(self.state)
            return self.state, -far, bool(far > 8), False, {}

    claim = Symmetry(group, turn, turn)
    if order == 4:
        assert envs.check_symmetry(Plane(), claim, samples=100).verdict == "exact"
        lopsided = Plane()
        lopsided.action_space = gymnasium.spaces.Box(np.float32([-1, -2]), np.float32([1, 2]))
        with pytest.raises(
            ValueError,
            match=r"element 1 takes the bounds \[-1, 1\] x \[-2, 2\] to \[-2, 2\] x \[-1, 1\]",
        ):
            envs.check_symmetry(lopsided, claim)
    else:
        with pytest.raises(ValueError, match=r"element 1 takes .* to \[-1\.41421, 1\.41421\]"):
            envs.check_symmetry(Plane(), claim)


class Slope(gymnasium.Env):
    """A point on a line with friction that differs between the two directions, at high speed."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float64)
    action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float64)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state = self.np_random.uniform(-1, 1, 2)
        self.steps = 0
        return self.state, {}

    def step(self, action):
        place, speed = self.state
        speed = speed + 0.1 * action[0]
        if speed > 5:
            speed = 5 + 0.2 * (speed - 5)
        self.state = np.array([place + 0.1 * speed, speed])
        self.steps += 1
        return self.state, -abs(place), False, self.steps == 100, {}


FLIP = Symmetry(
    C2,
    *(
        signed_permutation_representation(C2, [p, p], [[1] * len(p), [-1] * len(p)])
        for p in ([0, 1], [0])
    ),
)


def test_a_policy_sees_what_random_actions_do_not():
    report = envs.check_symmetry(Slope(), FLIP)
    assert report.verdict == "exact" and report.explored_by == "random actions"
    assert "What a trained policy comes to beyond them was not seen" in str(report)

    def fast(observations):
        return np.sign(observations[:, 1:])

    report = envs.check_symmetry(Slope(), FLIP, policy=fast)
    assert report.verdict == "broken" and "random actions" not in report.text()
    case = next(case for case in report.cases if case.kind == "next state")
    assert (case.coordinate, case.element) == ("s[1]", 1)
    speed = max(abs(case.state[1]), abs(case.next_state[1]))
    assert speed > 5 and case.moved_state == tuple(-x for x in case.state)
    # Only samples that pass the speed of 5, in either direction, differ.
    states = np.array([[0.0, 3.0], [0.0, -3.0], [0.0, 7.0], [1.0, -7.0]])
    report = envs.check_symmetry(Slope(), FLIP, states=states)
    assert report.broken_share == (0.0, 0.5) and report.samples == 4
    assert report.explored_by == "states" and report.replayed is None


def test_a_restore_of_the_user_and_of_less_than_the_state():
    def restore(env, observation):
        env.state = observation

    assert envs.check_symmetry(Slope(), FLIP, restore=restore).verdict == "exact"

    class Blind(Slope):
        """Observes the place alone."""

        observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float64)

        def reset(self, **options):
            state, info = super().reset(**options)
            return state[:1], info

        def step(self, action):
            state, *others = super().step(action)
            return state[:1], *others

    def guess(env, observation):
        env.state = np.array([observation[0], 0.0])

    mirror = Symmetry(C2, FLIP.action, FLIP.action)
    report = envs.check_symmetry(Blind(), mirror, restore=guess)
    assert report.verdict == "exact" and report.replayed > 0.1
    assert "Observations do not tell the whole state" in report.text()
    # As before: the claim may be about a state of another dimension than the observation.
    assert envs.check_symmetry(Blind(), FLIP, samples=100).verdict == "exact"


def test_a_restore_that_does_not_is_found_out():
    with pytest.raises(ValueError, match="must have deterministic dynamics"):
        envs.check_symmetry(Slope(), FLIP, samples=20, restore=lambda env, observation: None)


def test_the_text_has_the_numbers():
    report = envs.check_symmetry(envs.CartPole(), Symmetry(C2, MIRROR, KEEP), samples=200)
    text = str(report)
    assert text.startswith("CartPole under C2: broken: next states by up to 2 times a step (")
    assert "worst next state" in text and "beyond 10 % in 100 %" in text
    assert f"200 states and actions were tried: x {report.low[0]:.3g}" in text
    quantiles = np.array(report.next_state_quantiles)
    assert np.all(np.diff(quantiles, axis=1) >= 0) and quantiles[1, -1] == report.relative


def test_verdicts_by_their_bounds():
    report = envs.check_symmetry(envs.CartPole(), samples=20)

    def verdict(error=0.0, ends=0.0):
        rows = ((0.0,) * 4, (0.0, 0.0, 0.0, error))
        return dataclasses.replace(
            report, next_state_quantiles=rows, terminated=(0.0, ends)
        ).verdict

    assert [verdict(e) for e in (1e-4, 2e-4, 0.1, 0.11)] == [
        *("exact", "approximate", "approximate", "broken")
    ]
    assert [verdict(0.0, ends) for ends in (0.01, 0.02)] == ["approximate", "broken"]


class Stronger(gymnasium.Env):
    """s' = s / 2 + a push, of 1 to the left and of 1 + kappa to the right; reward -|s|."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float64)
    action_space = gymnasium.spaces.Discrete(2)
    kappa = 0.2

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state, self.count = self.np_random.uniform(-2, 2, 1), 0
        return self.state, {}

    def step(self, action):
        reward = -abs(self.state[0])
        self.state = self.state / 2 + (1 + self.kappa if action else -1)
        self.count += 1
        return self.state, reward, False, self.count == 10, {}


def test_no_orbit_gap_is_larger_than_its_bound():
    discount, places = 0.6, np.linspace(-4, 4, 1601)
    value = np.zeros_like(places)  # V*, linear between places, which errs little
    for _ in range(60):
        following = places[:, None] / 2 + [-1, 1 + Stronger.kappa]
        q_values = -np.abs(places)[:, None] + discount * np.interp(following, places, value)
        value = q_values.max(axis=-1)
    reached = np.abs(places) <= 2
    gaps = np.abs(q_values[::-1, ::-1] - q_values)[reached]
    report = envs.check_symmetry(Stronger(), Symmetry(C2, SIGN, SWAP))
    assert report.next_state[1] == pytest.approx(Stronger.kappa)
    # The same actions halve a difference of states at every step.
    lipschitz = 1 / (1 - discount / 2)
    bounds = report.orbit_gap_bounds(lipschitz, discount)
    assert bounds[0] == 0 and gaps.max() <= bounds[1] <= 5 * gaps.max()
    assert bounds[1] == pytest.approx(discount * lipschitz * Stronger.kappa / (1 - discount))
    assert report.orbit_gap_bounds(lipschitz, discount, 0.1) == (0.0, 0.1)


def test_terminations_that_disagree_cost_all_there_is():
    report = envs.check_symmetry(envs.make("CartPole"), samples=50)
    uneven = dataclasses.replace(report, terminated=(0.0, 0.01))
    assert uneven.orbit_gap_bounds(1.0, 0.9) == (0.0, np.inf)
    assert uneven.orbit_gap_bounds(1.0, 0.0)[1] < 1e-5  # there is nothing to come
    assert uneven.orbit_gap_bounds(1.0, 0.9, 50.0) == (0.0, 50.0)
    for name, arguments in (
        ("lipschitz", (-1.0, 0.9)),
        ("discount", (1.0, 1.0)),
        ("value_range", (1.0, 0.9, 0.0)),
    ):
        with pytest.raises(ValueError, match=f"`{name}` must be"):
            report.orbit_gap_bounds(*arguments)
