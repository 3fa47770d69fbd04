"""A symmetry of random transitions is one of distributions; a false one is found out."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tf_equirl import envs
from tf_equirl.groups import Symmetry, permutation_representation

SQUARE = envs.GridWorld().symmetry


def claim(symmetry, action):
    """A symmetry with other permutations of the actions."""
    return Symmetry(
        symmetry.group, symmetry.state, permutation_representation(symmetry.group, action)
    )


@pytest.mark.parametrize("name", ["GridWorld", "Snake"])
@pytest.mark.parametrize("group", ["D4", "C4", "C2"])
def test_random_outcomes_are_compared_as_distributions(name, group):
    env = envs.make(name, group=group)
    report = envs.check_symmetry(env, samples=200)
    assert isinstance(report, envs.OutcomeReport)
    assert report.verdict == "exact" and report.case is None
    assert report.total_variation == (0.0,) * env.symmetry.group.order
    assert (report.samples, report.env, report.group) == (200, name, group)
    assert str(report).startswith(f"{name} under {group}: exact to rounding: a total variation of")
    assert "What a trained policy comes to beyond them was not seen" in str(report)


def test_wrong_permutations_of_the_moves_are_found():
    """Under a mirror that forgets the moves, and under turns in the wrong direction."""
    env = envs.GridWorld()
    keep = claim(SQUARE, [[0, 1, 2, 3, 4]] * 8)
    report = envs.check_symmetry(env, keep, samples=200)
    assert report.verdict == "broken" and report.total_variation[0] == 0
    assert all(0.9 < variation <= 1 for variation in report.total_variation[1:])
    # A move is one of two, or of four, that the element changes, and one in five stays.
    changed = [4 / 5, 4 / 5, 4 / 5, 2 / 5, 4 / 5, 2 / 5, 4 / 5]
    np.testing.assert_allclose(report.broken_share[1:], changed, atol=0.15)
    assert report.verdict_in_words.startswith("broken: a total variation of up to 0.96, in ")
    case = report.case
    assert case.action != (0.0,) and case.action == case.moved_action
    assert len(case.state) == len(case.next_state) == 441
    text = str(report)
    assert "worst outcome under element" in text and "s = [441 numbers]" in text
    wrong_way = claim(SQUARE, np.array(SQUARE.action.permutations)[[0, 3, 2, 1, 4, 7, 6, 5]])
    report = envs.check_symmetry(env, wrong_way, samples=200)
    broken = [variation > 0 for variation in report.total_variation]
    assert broken == [False, True, False, True, False, True, False, True]


def test_a_prey_that_prefers_a_direction_is_found():
    class Homesick(envs.GridWorld):
        """It goes down with probability 0.075, elsewhere with 0.025."""

        def outcomes(self, state, action):
            probability, *others = super().outcomes(state, action)
            return tf.constant([0.85, 0.075, 0.025, 0.025, 0.025]) + 0 * probability, *others

    report = envs.check_symmetry(Homesick(), samples=100)
    assert report.verdict == "broken"
    # Elements that leave "down" where it is: the identity, and the mirror of left and right.
    assert [round(x, 6) for x in report.total_variation] == [0, *[0.05] * 3, 0, *[0.05] * 3]
    np.testing.assert_allclose(report.mean_variation, report.total_variation, rtol=1e-5)
    assert report.broken_share[1:4] == (1.0,) * 3
    assert {round(report.case.expected, 6), round(report.case.found, 6)} == {0.075, 0.025}
    assert not report.case.terminated or report.case.reward == 1.0


def test_a_small_preference_is_approximate():
    class Leaning(envs.GridWorld):
        def outcomes(self, state, action):
            probability, *others = super().outcomes(state, action)
            return probability + tf.constant([0.0, 0.004, -0.004, 0.0, 0.0]), *others

    report = envs.check_symmetry(Leaning(), samples=50)
    assert report.verdict == "approximate"
    np.testing.assert_allclose(report.worst, 0.008, rtol=1e-4)


class Windy(envs.Snake):
    """A wind from the left: to go to the left leads nowhere."""

    def _moved(self, state, action):
        return super()._moved(state, tf.where(action == 3, state.direction, action))


def test_a_wind_is_found():
    report = envs.check_symmetry(Windy(), samples=200)
    assert report.verdict == "broken" and report.worst == pytest.approx(1.0)
    # Up and down change places under one mirror alone, r^2 s, which leaves left where it is.
    assert [x > 0 for x in report.total_variation] == [False, *[True] * 5, False, True]


def test_food_that_prefers_a_half_is_found():
    class Uneven(envs.Snake):
        """Twice as often in the left half."""

        def outcomes(self, state, action):
            probability, following, *others = super().outcomes(state, action)
            probability *= tf.where(following.food % 9 < 4, 2.0, 1.0)
            return (
                probability / tf.reduce_sum(probability, axis=-1, keepdims=True),
                following,
                *others,
            )

    env = Uneven()
    state = env.initial_state(tf.random.stateless_uniform([12, 3], [1, 2]))
    delta = tf.gather(tf.constant([-9, 1, 9, -1]), state.direction)
    observations = np.reshape(env.observe(state._replace(food=state.head + delta)), [12, -1])

    def straight_on(observations):
        return env.state_from_observation(
            tf.reshape(tf.constant(observations, tf.float32), [-1, 9, 9, 4])
        ).direction.numpy()

    report = envs.check_symmetry(env, states=observations, policy=straight_on)
    assert report.most_outcomes == 77 and report.broken_share[1:4] == (1.0,) * 3
    assert [x > 0.05 for x in report.total_variation] == [False, *[True] * 5, False, True]
    report = envs.check_symmetry("Snake", states=observations, policy=straight_on)
    assert report.verdict == "exact" and report.explored_by == "states"


def test_rewards_and_ends_are_outcomes():
    class Crooked(envs.GridWorld):
        def _moved(self, state, action, flight):
            following, reward, caught = super()._moved(state, action, flight)
            return following, reward + self.bonus * tf.cast(action == 2, tf.float32), caught

    class Cliff(envs.GridWorld):
        def _moved(self, state, action, flight):
            following, reward, caught = super()._moved(state, action, flight)
            return following, reward, caught | (following.row == 3)

    Crooked.bonus = 0.25
    assert envs.check_symmetry(Crooked(), samples=100).worst == pytest.approx(1.0)
    Crooked.bonus = 1e-6  # rounding
    assert envs.check_symmetry(Crooked(), samples=100).verdict == "exact"
    report = envs.check_symmetry(Cliff(), samples=200)
    assert report.verdict == "broken" and report.broken_share[4] == 0.0 < report.broken_share[1]


def test_outcomes_that_are_none_are_refused():
    class Doubled(envs.GridWorld):
        def outcomes(self, state, action):
            probability, *others = super().outcomes(state, action)
            return 2 * probability, *others

    with pytest.raises(ValueError, match="probabilities that sum to 1. Received: env=GridWorld"):
        envs.check_symmetry(Doubled(), samples=10)

    class Hasty(envs.GridWorld):
        """Its prey is faster than what it lists."""

        def transition(self, state, action, uniforms):
            return super().transition(state, action, 0.5 * uniforms + 0.5)

    class Generous(envs.GridWorld):
        def transition(self, state, action, uniforms):
            following, reward, caught = super().transition(state, action, uniforms)
            return following, reward + 0.5, caught

    assert envs.check_symmetry(Hasty(), samples=100).verdict == "exact"  # it does happen
    with pytest.raises(ValueError, match="100 of 100 visited transitions are not listed"):
        envs.check_symmetry(Generous(), samples=100)


def test_outcomes_of_real_numbers_are_matched_up_to_rounding():
    """A cart that a gust pushes to either side, or to one of them alone."""

    class Gusty(envs.CartPole):
        num_uniforms = 5
        random_transitions = True
        chances = (0.25, 0.5, 0.25)

        def initial_state(self, uniforms):
            return super().initial_state(uniforms[..., 1:])

        def transition(self, state, action, uniforms):
            first, second = np.cumsum(self.chances)[:2]
            u = uniforms[..., 0]
            return self._blown(
                state, action, tf.where(u < first, -1.0, tf.where(u < second, 0.0, 1.0))
            )

        def outcomes(self, state, action):
            states = state._replace(
                physics=tf.repeat(state.physics[..., None, :], 3, -2),
                steps=tf.repeat(state.steps[..., None], 3, -1),
            )
            gust = tf.constant([-1.0, 0.0, 1.0]) + tf.zeros(states.steps.shape)
            probability = tf.constant(self.chances) + tf.zeros(states.steps.shape)
            return probability, *self._blown(states, action[..., None], gust)

        def _blown(self, state, action, gust):
            following, reward, over = super().transition(state, action, None)
            push = gust[..., None] * tf.constant([0.0, 0.1, 0.0, 0.0])
            return following._replace(physics=following.physics + push), reward, over

    assert envs.check_symmetry(Gusty(), samples=300).verdict == "exact"
    Gusty.chances = (0.375, 0.5, 0.125)
    report = envs.check_symmetry(Gusty(), samples=300)
    assert report.verdict == "broken"
    np.testing.assert_allclose(report.total_variation, [0, 0.25])
