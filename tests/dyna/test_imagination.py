"""What planning acts in, apart from updates: imagined steps, starts and ends."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from dyna_cases import Cups, assert_equal, compiled, exact_model, program_of

from tf_equirl import envs
from tf_equirl.dyna import DynaConfig
from tf_equirl.dyna.imagination import ImaginedEnvironment
from tf_equirl.dyna.learner import _mean_of_known
from tf_equirl.dyna.model_population import ModelPopulation
from tf_equirl.training.collect import start_acting
from tf_equirl.training.replay import ReplayBuffer

MEMBERS, ENVS, STEPS = 4, 3, 12
CONFIG = DynaConfig(
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


def rollouts(program, carry):
    """In what the program plans in, and in the true environment, from the same states."""

    @compiled
    def run(carry):
        env = program.env
        imagined = program._imagined(carry, tf.constant(FILLED))
        shape = [MEMBERS, ENVS, env.num_uniforms]
        acting = start_acting(imagined, tf.random.stateless_uniform(shape, [1, 2]))
        start = carry.ppo._replace(acting=acting)
        # The true one's own dynamics and, where they differ, the starts and the limit of planning.
        if imagined._starts is not None:
            limit = imagined.max_episode_steps
            env = ImaginedEnvironment(env, program._true_dynamics, imagined._starts, limit)
        collect = program.ppo.collect
        return [collect(start, KEY, e, with_states=True) for e in (imagined, env)]

    return run(carry)


def filled_buffer(env):
    """States that say whose they are: member m's levels lie between m / 10 and (m + 1) / 10."""
    rng = np.random.default_rng(0)
    level = (np.arange(MEMBERS)[:, None, None] + rng.random([MEMBERS, FILLED, 3])) / 10
    steps = tf.constant(rng.integers(9, size=[MEMBERS, FILLED]), tf.int32)
    state = env.state_from_observation(tf.constant(level, tf.float32))._replace(steps=steps)
    return ReplayBuffer(state, tf.zeros([MEMBERS, FILLED], tf.int32), state)


@pytest.mark.parametrize("name", ["CartPole", "Catch"])
def test_planning_in_the_environment_itself_is_acting_in_it(name):
    program = program_of(envs.make(name), CONFIG)
    imagined, true = rollouts(program, program.start(range(MEMBERS)))
    assert_equal(imagined, true)
    assert np.any(true[1].terminated)


@pytest.fixture(scope="module")
def exact():
    """Rollouts in a model that is the environment, and in the environment."""
    fields = {"planning_starts": "buffer", "model_rollout_steps": 4}
    program = program_of(Cups(), config(**fields))
    program.models = ModelPopulation(Cups(), config(**fields), exact_model())
    carry = program.start(range(MEMBERS))
    carry = carry._replace(buffer=filled_buffer(program.env))
    return carry, *rollouts(program, carry)


def test_an_exact_model_is_as_good_as_the_environment(exact):
    _, imagined, true = exact
    assert_equal(imagined, true)
    assert np.any(true[1].terminated) and np.any(true[1].truncated)
    moved = np.abs(true[1].next_state.level - true[1].state.level)
    assert moved.max() > 0.1


def test_episodes_start_in_the_members_own_states_of_the_buffer(exact):
    carry, (_, rows), _ = exact
    first = np.asarray(rows.state.steps) == 0
    assert first[0].all() and 0 < first[1:].mean() < 1
    for member in range(MEMBERS):
        starts = rows.state.level.numpy()[:, member][first[:, member]]
        held = carry.buffer.state.level[member].numpy()
        where = (starts[:, None] == held).all(axis=-1)
        assert where.any(axis=1).all()
        assert len(set(where.argmax(axis=1))) > 5  # not always the same one


class FixedStart(Cups):
    """Cups that draw nothing."""

    num_uniforms = 0

    def initial_state(self, uniforms):
        return super().initial_state(tf.zeros([*uniforms.shape[:-1], 3]))


def test_episodes_start_in_the_buffer_even_where_the_environment_draws_nothing():
    program = program_of(FixedStart(), config(planning_starts="buffer"))
    carry = program.start(range(MEMBERS))._replace(buffer=filled_buffer(program.env))
    begun, _ = program.begin_planning(carry, KEY, tf.constant(FILLED), tf.constant(1))
    level = np.floor(10 * begun.planning.acting.env.level)
    np.testing.assert_array_equal(level, np.arange(MEMBERS)[:, None, None] + np.zeros([ENVS, 3]))
    assert np.isnan(begun.planning.imagined_return).all()
    zero, one = tf.constant(0), tf.constant(1)
    after = program.plan(begun, zero, one, one, tf.constant(FILLED))
    assert after.made.numpy().all()
    # The imagined return is that of the last episodes that ended; one does for every member here.
    last = np.asarray(after.planning.acting.last_return)
    np.testing.assert_allclose(after.planning.imagined_return, np.nanmean(last, -1), rtol=1e-6)


def test_nothing_is_kept_where_nothing_needs_it():
    starts = {False: "reset", True: "buffer"}
    for kept, planning_starts in starts.items():
        program = program_of(Cups(), config(planning_starts=planning_starts))
        carry = program.start(range(MEMBERS))
        assert carry.buffer.action.shape[1] == (program.config.capacity if kept else 0)


def test_a_mean_leaves_out_what_is_not_known():
    some = np.array([[np.nan, 2, 4], [1, 2, 3], [np.nan] * 3], "float32")
    np.testing.assert_array_equal(_mean_of_known(some), [3, 2, np.nan])


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
    program = program_of(Cups(), config(model_rollout_steps=1000))
    imagined = program._imagined(program.start(range(MEMBERS)), tf.constant(FILLED))
    assert imagined.max_episode_steps == Cups.max_episode_steps
    program = program_of(Cups(), CONFIG)
    imagined = program._imagined(program.start(range(MEMBERS)), tf.constant(FILLED))
    assert imagined.max_episode_steps == Cups.max_episode_steps


def test_episodes_are_cut_off_where_the_models_of_an_ensemble_disagree():
    """One model is exact, the other fills cups to 1 + 0.2 (m + 1) for member m."""
    fields = {"ensemble_size": 2, "max_disagreement": 0.15, "model_kind": "mlp"}
    program = program_of(Cups(), config(**fields))
    program.models = ModelPopulation(Cups(), config(**fields), exact_model())
    fills = [fill for m in range(MEMBERS) for fill in (1.0, 1.2 + 0.2 * m)]
    kernels = np.stack([exact_model(fill).get_weights()[0] for fill in fills])
    carry = program.start(range(MEMBERS))._replace(model=[tf.constant(kernels)])
    (_, rows), _ = rollouts(program, carry)
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
