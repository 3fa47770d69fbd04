"""What planning acts in, apart from updates: imagined steps, starts and ends."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from dyna_cases import (
    CUPS,
    Cups,
    assert_equal,
    compiled,
    exact_model,
    learner_of,
    number,
    with_model,
)

from tf_equirl import envs
from tf_equirl.dyna import DynaConfig
from tf_equirl.dyna.imagination import ImaginedEnvironment
from tf_equirl.dyna.learner import DynaLearner
from tf_equirl.dyna.model_population import Kept
from tf_equirl.training.collect import mean_of_known, start_acting

MEMBERS, ENVS, STEPS = 4, 3, 12
CONFIG = DynaConfig.from_flat(
    actor="mlp",
    critic="mlp",
    hidden_units=(8,),
    num_environments=ENVS,
    rollout_steps=STEPS,
    total_timesteps=ENVS * STEPS,
    num_minibatches=2,
    dyna_iterations=1,
    model_kind="environment",
)
KEY = tf.constant(-1)
FILLED = 20


def config(**fields):
    return dataclasses.replace(CONFIG, **fields)


def modelled(**fields):
    """A learner that plans in an exact model of the cups."""
    known = config(**fields)
    return DynaLearner(known.agent.learner(CUPS), known, exact_model(), "exact")


def rollouts(learner, state):
    """In what the learner plans in, and in the true environment, from the same states."""

    @compiled
    def run(state):
        env = learner.env
        imagined = learner._imagined(state, [], tf.constant(FILLED))
        shape = [MEMBERS, ENVS, env.num_uniforms]
        acting = start_acting(imagined, tf.random.stateless_uniform(shape, [1, 2]))
        start = state.agent._replace(acting=acting)
        # The true one's own dynamics and, where they differ, the starts and the limit of planning.
        if imagined._starts is not None:
            limit = imagined.max_episode_steps
            env = ImaginedEnvironment(env, learner._true_dynamics, imagined._starts, limit)
        collect = learner.agent.collect
        return [collect(start, KEY, e, with_states=True) for e in (imagined, env)]

    return run(state)


def filled_buffer(env):
    """States that say whose they are: member m's levels lie between m / 10 and (m + 1) / 10."""
    rng = np.random.default_rng(0)
    level = (np.arange(MEMBERS)[:, None, None] + rng.random([MEMBERS, FILLED, 3])) / 10
    steps = tf.constant(rng.integers(9, size=[MEMBERS, FILLED]), tf.int32)
    state = env.state_from_observation(tf.constant(level, tf.float32))._replace(steps=steps)
    return Kept(state, tf.zeros([MEMBERS, FILLED], tf.int32), state)


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["CartPole", "Catch"])
def test_planning_in_the_environment_itself_is_acting_in_it(name):
    learner = learner_of(envs.make(name), CONFIG)
    imagined, true = rollouts(learner, learner.start(range(MEMBERS)))
    assert_equal(imagined, true)
    assert np.any(true[1].terminated)


@pytest.fixture(scope="module")
def exact():
    """Rollouts in a model that is the environment, and in the environment."""
    learner = modelled(planning_starts="buffer", model_rollout_steps=4)
    state = learner.start(range(MEMBERS))._replace(buffer=filled_buffer(CUPS))
    return state, *rollouts(learner, state)


def test_an_exact_model_is_as_good_as_the_environment(exact):
    _, imagined, true = exact
    assert_equal(imagined, true)
    assert np.any(true[1].terminated) and np.any(true[1].truncated)
    moved = np.abs(true[1].next_state.level - true[1].state.level)
    assert moved.max() > 0.1


def test_episodes_start_in_the_members_own_states_of_the_buffer(exact):
    state, (_, rows), _ = exact
    first = np.asarray(rows.state.steps) == 0
    assert first[0].all() and 0 < first[1:].mean() < 1
    for member in range(MEMBERS):
        starts = rows.state.level.numpy()[:, member][first[:, member]]
        held = state.buffer.state.level[member].numpy()
        where = (starts[:, None] == held).all(axis=-1)
        assert where.any(axis=1).all()
        assert len(set(where.argmax(axis=1))) > 5  # not always the same one


class FixedStart(Cups):
    """Cups that draw nothing."""

    num_uniforms = 0

    def initial_state(self, uniforms):
        return super().initial_state(tf.zeros([*uniforms.shape[:-1], 3]))


def test_episodes_start_in_the_buffer_even_where_the_environment_draws_nothing():
    learner = learner_of(FixedStart(), config(planning_starts="buffer"))
    state = learner.start(range(MEMBERS))._replace(buffer=filled_buffer(CUPS))
    planning, _ = learner.begin_planning(state, KEY, number(FILLED), number(1))
    level = np.floor(10 * planning.acting.env.level)
    np.testing.assert_array_equal(level, np.arange(MEMBERS)[:, None, None] + np.zeros([ENVS, 3]))


def test_nothing_is_kept_where_nothing_needs_it():
    starts = {False: "reset", True: "buffer"}
    for kept, planning_starts in starts.items():
        learner = learner_of(CUPS, config(planning_starts=planning_starts))
        state = learner.start(range(MEMBERS))
        assert state.buffer.action.shape[1] == (learner.config.capacity if kept else 0)


def test_a_mean_leaves_out_what_is_not_known():
    some = np.array([[np.nan, 2, 4], [1, 2, 3], [np.nan] * 3], "float32")
    np.testing.assert_array_equal(mean_of_known(tf.constant(some)), [3, 2, np.nan])


def test_an_imagined_episode_that_reaches_the_limit_is_cut_off_and_not_over(exact):
    _, (acting, rows), _ = exact
    steps = np.asarray(rows.next_state.steps)
    assert steps.max() == 4
    np.testing.assert_array_equal(rows.truncated, steps == 4)
    over = (np.asarray(rows.next_state.level) > 1.7).any(axis=-1)
    np.testing.assert_array_equal(rows.terminated, over)
    assert (rows.truncated & ~rows.terminated).numpy().any()
    # What follows a cut is a start, and the critic sees the state before it.
    ended = over | (steps == 4)
    np.testing.assert_array_equal(np.asarray(rows.state.steps)[1:] == 0, ended[:-1])
    np.testing.assert_array_equal(rows.next_observation, rows.next_state.level)
    np.testing.assert_array_equal(np.asarray(acting.env.steps) == 0, ended[-1])


def test_the_environments_own_limit_holds_where_the_models_is_longer():
    for limited in (CONFIG, config(model_rollout_steps=1000)):
        learner = learner_of(CUPS, limited)
        imagined = learner._imagined(learner.start(range(MEMBERS)), [], number(FILLED))
        assert imagined.max_episode_steps == Cups.max_episode_steps


def test_episodes_are_cut_off_where_the_models_of_an_ensemble_disagree():
    """One model is exact, the other fills cups to 1 + 0.2 (m + 1) for member m."""
    learner = modelled(ensemble_size=2, max_disagreement=0.15)
    fills = [fill for m in range(MEMBERS) for fill in (1.0, 1.2 + 0.2 * m)]
    kernels = np.stack([exact_model(fill).get_weights()[0] for fill in fills])
    (_, rows), _ = rollouts(learner, with_model(learner.start(range(MEMBERS)), [kernels]))
    # Models of member m differ by 0.2 (m + 1) in one coordinate of three.
    spread = 0.1 * (1 + np.arange(MEMBERS)) / np.sqrt(3)
    steps = np.asarray(rows.next_state.steps)
    for member in range(MEMBERS):
        cut = np.asarray(rows.truncated)[:, member]
        if spread[member] > 0.15:
            assert cut.all()
            assert not np.asarray(rows.terminated)[:, member].all()
        else:
            np.testing.assert_array_equal(cut, steps[:, member] == Cups.max_episode_steps)
        # They act in the mean of the two.
        step = rows.next_state.level[:, member] - 0.5 * rows.state.level[:, member]
        fill = 1 + 0.1 * (1 + member)
        expected = fill * tf.one_hot(rows.action[:, member], 3)
        np.testing.assert_allclose(step, expected, atol=1e-6)
    assert (spread > 0.15).tolist() == [False, False, True, True]


@pytest.mark.parametrize("name", ["CartPole", "Catch"])
def test_the_imagined_environment_speaks_of_states_as_the_true_one_does(name):
    env = envs.make(name)
    imagined = ImaginedEnvironment(env, None, None, 9)
    ours, theirs = imagined.transition_head, env.transition_head
    assert type(ours) is type(theirs) and ours.representation == theirs.representation
    state = env.reset([1, 2], [5])
    encoding = imagined.encode(state)
    np.testing.assert_array_equal(encoding, env.encode(state))
    for ours, theirs in zip(imagined.decode(encoding), env.decode(encoding), strict=True):
        np.testing.assert_array_equal(ours, theirs)
