"""The compiled update of DQN against an eager, unvectorised reference, and its promises."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from adam_reference import Adam
from compiling import compiles
from dqn_cases import SMALL, Lottery
from off_policy_reference import clone, rows_of, state_at, window_of

from tf_equirl import envs
from tf_equirl.agents.dqn.gradient_steps import LOSSES, ROLE
from tf_equirl.training import programs
from tf_equirl.training.randomness import Purpose, member_uniforms

# Members at once: a block that `train_dqn` uses, and another number than that of environments.
MEMBERS = 8
# No action is drawn at random from the third update on, and each update has a step size of its own.
GREEDY = dataclasses.replace(
    SMALL, epsilon_end=0.0, epsilon_steps=80, anneal_learning_rate=True, max_gradient_norm=0.5
)


@pytest.fixture(scope="module")
def learner():
    return GREEDY.learner(envs.make("CartPole"))


def run(learner, state, first, number):
    """So many updates, in the program that `train_dqn` uses."""
    return learner.stages["update"].run(state, first, number)


def goals_of(env, windows, online, target):
    """What the values of windows are learned towards."""
    reward, weight, states = zip(*windows, strict=True)
    observation = env.observe(tf.nest.map_structure(lambda *x: tf.stack(x), *states))
    best = np.argmax(online(observation), axis=1)
    values = target(observation).numpy()[np.arange(len(best)), best]
    return np.array(reward) + np.array(weight) * values


def reference(learner, before, buffer, draws, index, member):
    """Update `index` of one member: eager, row by row, with plain Keras variables."""
    c, env = learner.config, learner.env
    online = clone(learner.networks[ROLE], before.weights.trained[ROLE], member)
    target = clone(learner.networks[ROLE], before.target, member)
    adam = Adam(c, before.adam, member)
    rate = c.learning_rate * (1 - index / c.num_updates)
    rows = rows_of(learner, buffer, index + 1, member)
    count = max(0, index * c.phases - c.first_phase) * c.gradient_steps
    found = []
    for phase in range(c.phases):
        end = index * c.rollout_steps + (phase + 1) * c.phase_steps
        last = slice(end - c.phase_steps, end)
        values = online(tf.reshape(env.observe(state_at(rows, last)), [-1, 4]))
        np.testing.assert_array_equal(np.argmax(values, -1), rows.action[last].ravel())  # greedy
        oldest = max(0, end - c.buffer_size // c.num_environments)
        filled = (end - oldest) * c.num_environments
        for step in range(c.gradient_steps):
            numbers = np.int32(draws[member, phase, step] * np.float32(filled))
            starts = [(oldest + n // c.num_environments, n % c.num_environments) for n in numbers]
            goal = goals_of(env, [window_of(learner, rows, x, end) for x in starts], online, target)
            observation = tf.stack([env.observe(state_at(rows, start)) for start in starts])
            action = [rows.action[start] for start in starts]
            with tf.GradientTape() as tape:
                value = tf.gather(online(observation), action, batch_dims=1)
                loss = keras.losses.Huber(c.huber_delta)(goal[:, None], value[:, None])
            gradients = tape.gradient(loss, [v.value for v in online.trainable_variables])
            count += 1
            norm = adam.step(online.trainable_variables, gradients, count, rate)
            if count % c.target_update_period == 0:
                target.set_weights(online.get_weights())
            found.append((float(loss), float(tf.reduce_mean(value)), norm))
    return online, target, dict(zip(LOSSES, np.mean(found, axis=0), strict=True))


def test_an_update_equals_the_eager_unvectorised_reference(learner):
    c, index = learner.config, 4
    state, _ = run(learner, learner.start(range(MEMBERS)), 0, index)
    # The next call writes to the buffer of this state, but no row that was written before.
    after, reports = run(learner, state, index, 1)
    drawing = tf.function(
        lambda seeds: member_uniforms(
            seeds, Purpose.SHUFFLE, index, [c.phases, c.gradient_steps, c.batch_size]
        ),
        jit_compile=True,
    )
    draws = drawing(state.seeds).numpy()
    for member in (0, 7):
        online, target, losses = reference(learner, state, after.buffer, draws, index, member)
        for model, weights in ((online, after.weights.trained[ROLE]), (target, after.target)):
            for variable, ours in zip(model.trainable_variables, weights, strict=True):
                np.testing.assert_allclose(ours[member], variable, atol=1e-5)
        for name, value in losses.items():
            np.testing.assert_allclose(reports[name][0, member], value, rtol=1e-4, atol=1e-5)
    assert reports["gradient_norm"][0].numpy().max() > 0.5  # and so was bounded
    ends = rows_of(learner, after.buffer, index + 1, 0)
    assert ends.terminated.any()
    moved = [np.abs(a - b).max() for a, b in zip(after.target, state.target, strict=True)]
    assert max(moved) > 1e-4  # ten times the tolerance: the target network was replaced


def test_it_compiles_once_for_all_seeds_states_and_numbers_of_updates(learner):
    """Nor silently, which the count of traces misses."""
    run(learner, learner.start(range(MEMBERS)), 0, 0)
    states = {first: learner.start(range(first, first + MEMBERS)) for first in (10, 20, 30)}
    program = programs.cached(("update", learner.key), None)
    traces = program.experimental_get_tracing_count()  # other tests have blocks of other sizes

    def calls():
        for (first, state), number in zip(states.items(), (1, 3, 0), strict=True):
            run(learner, state, first, number)[1]["finite"].numpy()

    assert not compiles(calls)
    assert program.experimental_get_tracing_count() == traces
    # Another length, and an epsilon, rate and discount of its own, which are data.
    fields = {"total_timesteps": 4000, "epsilon_end": 0.1, "learning_rate": 0.1, "discount": 0.5}
    other = dataclasses.replace(GREEDY, **fields).learner(learner.env)
    assert other.key == learner.key
    assert dataclasses.replace(GREEDY, n_steps=2).learner(learner.env).key != learner.key


def test_the_split_into_calls_changes_nothing_and_equal_seeds_give_equal_members(learner):
    seeds = [4, 9, 4, 1, 0, 2, 3, 5]
    at_once, reports = run(learner, learner.start(seeds), 0, 6)
    state, parts = learner.start(seeds), []
    # One call is made twice, as when a seed is lost in it, and the second time goes less far.
    for first, number in ((0, 1), (1, 5), (1, 3), (4, 2)):
        if (first, number) == (1, 5):
            run(learner, state, first, number)
            continue
        state, rows = run(learner, state, first, number)
        parts.append(rows["returns"][:number])
    for a, b in zip(tf.nest.flatten(at_once), tf.nest.flatten(state), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(reports["returns"][:6], np.concatenate(parts))
    for w in at_once.weights.trained[ROLE]:
        np.testing.assert_array_equal(w[0], w[2])
        assert not np.array_equal(w[0], w[1])


def test_what_is_reported(learner):
    _, reports = run(learner, learner.start(range(MEMBERS)), 0, 3)
    c = learner.config
    for name in LOSSES:  # the second update is the first one that learns
        assert np.isnan(reports[name][0]).all() and np.isfinite(reports[name][1:3]).all()
    expected = [c.epsilon(40 * (i + 1)) for i in range(3)]
    np.testing.assert_allclose(reports["epsilon"][:3, 5], expected, rtol=1e-6)
    assert reports["returns"].shape[1:] == (c.rollout_steps, MEMBERS)
    assert reports["finite"][:3].numpy().all()


def test_random_transitions_and_actions_are_kept_as_they_were():
    """Outside of XLA, and with every action drawn at random."""
    config = dataclasses.replace(
        SMALL, q_function="mlp", epsilon_end=1.0, double=False, loss="squared", n_steps=1
    )
    learner = config.learner(Lottery())
    start = learner.start([3, 1])
    after, reports = learner.learn(start._replace(buffer=()), start.buffer, tf.constant(0))
    rows = rows_of(learner, start.buffer, 1, 0)
    np.testing.assert_array_equal(rows.uniforms[..., 0], rows.reward)
    going_on = ~(rows.terminated | rows.truncated)[:-1]
    np.testing.assert_array_equal(rows.reward[:-1][going_on], rows.state.number[1:][going_on])
    fresh = rows.uniforms[:-1, :, 2][~going_on]
    np.testing.assert_array_equal(fresh, rows.state.number[1:][~going_on])
    np.testing.assert_array_equal(rows.uniforms[..., 1] < 0.2, rows.terminated)
    assert {*rows.action.ravel()} == {0, 1, 2}
    assert reports["finite"].numpy().all() and after.acting.env.number.shape == (2, 4)


class Broken(Lottery):
    """Whose rewards are no numbers from 0.3 on."""

    name = "Broken"

    def transition(self, state, action, uniforms):
        following, reward, ended = super().transition(state, action, uniforms)
        return following, tf.where(reward < 0.3, reward, np.nan), ended


def test_of_what_is_not_finite_the_environment_is_told_apart(learner):
    state, _ = run(learner, learner.start(range(MEMBERS)), 0, 2)
    assert learner.trouble("update", 2, state, 3).what.startswith("a loss, gradient or weight")
    broken = dataclasses.replace(SMALL, q_function="mlp").learner(Broken())
    start = broken.start([3, 1])
    _, reports = broken.learn(start._replace(buffer=()), start.buffer, tf.constant(0))
    assert reports["finite"].numpy().all()  # nothing was learned yet
    found = broken.trouble("update", 1, start, 1)
    assert found.what == "a reward of the environment Broken is infinite or NaN"
    assert (found.update, found.where) == (1, "in update 1, timestep 80")
    assert "mended there" in found.advice
