"""The compiled update of SAC against an eager, unvectorised reference, and its promises."""

import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf
from adam_reference import Adam
from compiling import compiles
from off_policy_reference import clone, rows_of
from sac_cases import SMALL, Puck

from tf_equirl.agents.sac.gradient_steps import ACTOR, CRITICS, LOSSES
from tf_equirl.agents.sac.learner import anywhere
from tf_equirl.training import programs
from tf_equirl.training.randomness import Purpose, member_uniforms

# Members at once: a block that `train_sac` uses, and another number than that of environments.
MEMBERS = 8
BOUNDED = dataclasses.replace(SMALL, anneal_learning_rate=True, max_gradient_norm=0.5)


@pytest.fixture(scope="module")
def learner():
    return BOUNDED.learner(Puck())


def run(learner, state, first, number):
    """So many updates, in the program that `train_sac` uses."""
    return learner.stages["update"].run(state, first, number)


def drawn(actor, observation, uniforms):
    """Squashed actions and their log-probabilities, as the paper writes them (appendix C)."""
    means, logs = tf.split(actor(observation), 2, axis=-1)
    noise = tf.math.ndtri(uniforms + 2.0**-24)
    x = means + tf.exp(logs) * noise
    normal = -0.5 * noise**2 - logs - 0.5 * math.log(2 * math.pi)
    return tf.tanh(x), tf.reduce_sum(normal - tf.math.log(1 - tf.tanh(x) ** 2), axis=-1)


def least(critics, observation, action):
    return tf.minimum(*(critic([observation, action])[:, 0] for critic in critics))


def reference(learner, before, buffer, rows, noise, index, member):
    """Update `index` of one member: eager, with plain Keras variables."""
    c, env = learner.config, learner.env
    weights = before.weights.trained
    actor = clone(learner.networks[ACTOR], weights[ACTOR], member)
    critics = [clone(learner.networks[role], weights[role], member) for role in CRITICS]
    targets = [clone(learner.networks[role], before.target[role], member) for role in CRITICS]
    adam = {name: Adam(c, state, member) for name, state in before.adam.items()}
    temperature = tf.Variable(before.log_temperature[member])
    annealed = 1 - index / c.num_updates
    rate, of_actor = c.learning_rate * annealed, c.actor_learning_rate * annealed
    kept = rows_of(learner, buffer, index + 1, member)
    count = max(0, index * c.phases - c.first_phase) * c.gradient_steps
    found = []
    for phase in range(c.phases):
        filled = index * c.update_timesteps + (phase + 1) * c.train_every
        for step in range(c.gradient_steps):
            count += 1
            numbers = np.int32(rows[member, phase, step] * np.float32(filled))
            place = numbers // c.num_environments, numbers % c.num_environments
            batch = tf.nest.map_structure(lambda x, p=place: tf.constant(x[p]), kept)
            executed = env.action_distribution.executed(batch.action)
            moved = env.advance(batch.state, executed, tf.zeros([c.batch_size, 2]))[1]
            seen, then = env.observe(batch.state), env.observe(moved)
            own = noise(count)[member]
            alpha = tf.exp(temperature)
            action, log_prob = drawn(actor, then, own[0])
            alive = 1 - tf.cast(batch.terminated, tf.float32)
            value = least(targets, then, action) - alpha * log_prob
            goal = batch.reward + c.discount * alive * value
            variables = [v.value for m in critics for v in m.trainable_variables]
            with tf.GradientTape() as tape:
                values = [m([seen, tf.tanh(batch.action)])[:, 0] for m in critics]
                loss = sum(tf.reduce_mean((q - goal) ** 2) for q in values) / 2
            adam["critics"].step(variables, tape.gradient(loss, variables), count, rate)
            row = [float(loss), None, float(tf.reduce_mean(values[0])), None]
            variables = [v.value for v in actor.trainable_variables]
            with tf.GradientTape() as tape:
                action, log_prob = drawn(actor, seen, own[1])
                loss = tf.reduce_mean(alpha * log_prob - least(critics, seen, action))
            adam["actor"].step(variables, tape.gradient(loss, variables), count, of_actor)
            row[1], row[3] = float(loss), -float(tf.reduce_mean(log_prob))
            gradient = -(tf.reduce_mean(log_prob) - 2.0)  # the entropy is to be -2
            adam["temperature"].step([temperature], [gradient], count, rate)
            for target, critic in zip(targets, critics, strict=True):
                for old, new in zip(target.variables, critic.variables, strict=True):
                    old.assign((1 - c.tau) * old + c.tau * new)
            found.append(row)
    models = {ACTOR: actor, **dict(zip(CRITICS, critics, strict=True))}
    losses = dict(zip(LOSSES, np.mean(found, axis=0), strict=True))
    return models, dict(zip(CRITICS, targets, strict=True)), temperature, losses


@pytest.mark.thorough
def test_an_update_equals_the_eager_unvectorised_reference(learner):
    c, index = learner.config, 4
    state, _ = run(learner, learner.start(range(MEMBERS)), 0, index)
    # The next call writes to the buffer of this state, but no row that was written before.
    after, reports = run(learner, state, index, 1)

    @tf.function(jit_compile=True)
    def rows(seeds):
        return learner.numbers(seeds, tf.constant(index)).rows

    @tf.function(jit_compile=True)
    def noise(count):
        shape = [2, c.batch_size, 2]
        return member_uniforms(state.seeds, Purpose.LEARNING, count, shape)

    drawn_rows = rows(state.seeds).numpy()
    for member in (0, 7):
        models, targets, temperature, losses = reference(
            learner,
            state,
            after.buffer,
            drawn_rows,
            lambda count: noise(tf.constant(count)),
            index,
            member,
        )
        for found, expected in ((after.weights.trained, models), (after.target, targets)):
            for role, weights in found.items():
                variables = expected[role].trainable_variables
                for ours, variable in zip(weights, variables, strict=True):
                    # Adam's steps are a thousandth each, whatever rounding makes of a gradient.
                    np.testing.assert_allclose(ours[member], variable, atol=1e-4)
        np.testing.assert_allclose(after.log_temperature[member], temperature, rtol=1e-4)
        for name, value in losses.items():
            np.testing.assert_allclose(reports[name][0, member], value, rtol=1e-3, atol=1e-4)
    moved = [
        np.abs(a - b).max()
        for a, b in zip(
            tf.nest.flatten((after.weights.trained, after.target)),
            tf.nest.flatten((state.weights.trained, state.target)),
            strict=True,
        )
    ]
    assert max(moved) > 3e-3 and rows_of(learner, after.buffer, index + 1, 0).terminated.any()


def test_it_compiles_once_for_all_seeds_states_and_numbers_of_updates(learner):
    """Nor silently, which the count of traces misses."""
    run(learner, learner.start(range(MEMBERS)), 0, 0)
    states = {first: learner.start(range(first, first + MEMBERS)) for first in (10, 20, 30)}
    program = programs.cached(("update", learner.key), None)
    traces = program.experimental_get_tracing_count()

    def calls():
        for (first, state), number in zip(states.items(), (1, 3, 0), strict=True):
            run(learner, state, first, number)[1]["finite"].numpy()

    assert not compiles(calls)
    assert program.experimental_get_tracing_count() == traces
    # What is data of the program.
    other = dataclasses.replace(
        BOUNDED,
        total_timesteps=4000,
        learning_rate=1e-2,
        actor_learning_rate=None,
        tau=0.5,
        discount=0.5,
        target_entropy=3.0,
        initial_temperature=0.1,
    )
    assert other.learner(Puck()).key == learner.key
    for change in ({"batch_size": 34}, {"learn_temperature": False}, {"hidden_units": (5, 7)}):
        assert dataclasses.replace(BOUNDED, **change).learner(Puck()).key != learner.key


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
    for w in tf.nest.flatten(at_once.weights.trained):
        np.testing.assert_array_equal(w[0], w[2])
    assert not np.array_equal(*(at_once.weights.trained[role][0] for role in CRITICS))


def test_what_is_reported(learner):
    _, reports = run(learner, learner.start(range(MEMBERS)), 0, 3)
    for name in LOSSES:  # the second update is the first one that learns
        assert np.isnan(reports[name][0]).all() and np.isfinite(reports[name][1:3]).all()
    np.testing.assert_array_equal(reports["temperature"][0], 1.0)
    assert (reports["temperature"][2].numpy() < 1.0).all()
    assert reports["returns"].shape[1:] == (learner.config.rollout_steps, MEMBERS)
    assert reports["finite"][:3].numpy().all()


def test_actions_are_uniform_before_the_first_gradient_step_and_the_policys_then(learner):
    state, _ = run(learner, learner.start(range(MEMBERS)), 0, 3)
    actions = np.tanh([rows_of(learner, state.buffer, 3, m).action for m in range(MEMBERS)])
    first = actions[:, :20].ravel()  # 80 steps of a member, of four environments
    assert abs(first.mean()) < 4 / math.sqrt(3 * first.size)
    # Of a uniform distribution each tenth has a tenth, within four standard errors.
    shares = np.histogram(first, 10, (-1, 1))[0] / first.size
    assert np.abs(shares - 0.1).max() < 4 * math.sqrt(0.1 * 0.9 / first.size)
    edges = anywhere(None, tf.constant([0.0, 0.5, np.nextafter(np.float32(1), np.float32(0))]))
    assert np.isfinite(edges).all() and abs(edges[1]) < 1e-6
    np.testing.assert_allclose(edges[0], -edges[2], rtol=0.1)
    # The steps of the next phase, by the actor that there is before it.
    after, _ = run(learner, state, 3, 1)
    numbers = tf.function(lambda seeds: learner.numbers(seeds, tf.constant(3)), jit_compile=True)
    uniforms = numbers(state.seeds).acting[0, :, 5, :, :2]
    kept = tf.nest.map_structure(lambda x: x[30:35], rows_of(learner, after.buffer, 4, 5))
    actor = clone(learner.networks[ACTOR], state.weights.trained[ACTOR], 5)
    seen = learner.env.observe(tf.nest.map_structure(tf.constant, kept.state))
    parameters = tf.reshape(actor(tf.reshape(seen, [-1, 4])), [5, 4, -1])
    expected = learner.env.action_distribution.sample(parameters, uniforms)
    np.testing.assert_allclose(kept.action, expected, atol=1e-4)


def test_a_temperature_that_is_not_learned_stays():
    """Outside of XLA, and with images of what was seen."""
    fixed = dataclasses.replace(
        SMALL,
        actor="mlp",
        q_function="mlp",
        learn_temperature=False,
        initial_temperature=0.25,
        augmentation="random",
    )
    learner = fixed.learner(Puck())
    state = learner.start([3, 1])
    learn = tf.function(learner.learn, autograph=False)
    for index in range(3):
        after, reports = learn(state._replace(buffer=()), state.buffer, tf.constant(index))
        state = after._replace(buffer=state.buffer)
    np.testing.assert_allclose(reports["temperature"], 0.25, rtol=1e-6)
    assert np.isfinite(reports["critic_loss"]).all()


class Broken(Puck):
    """Whose rewards are no numbers in a corner."""

    name = "Broken"

    def transition(self, state, action, uniforms):
        following, reward, ended = super().transition(state, action, uniforms)
        corner = tf.reduce_all(state.place > 0.2, axis=-1)
        return following, tf.where(corner, np.nan, reward), ended


def test_of_what_is_not_finite_the_environment_is_told_apart(learner):
    state, _ = run(learner, learner.start(range(MEMBERS)), 0, 2)
    assert learner.trouble("update", 2, state, 3).what.startswith("a loss, gradient or weight")
    small = dataclasses.replace(SMALL, actor="mlp", q_function="mlp")
    broken = small.learner(Broken())
    start = broken.start([3, 1])
    broken.learn(start._replace(buffer=()), start.buffer, tf.constant(0))
    found = broken.trouble("update", 1, start, 1)
    assert found.what == "a reward of the environment Broken is infinite or NaN"
