"""The compiled functions of Dyna against plain references, on an environment of group S3."""

import dataclasses
import functools
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from dyna_cases import (
    CUPS,
    assert_equal,
    begin_planning,
    compiled,
    exact_model,
    fit,
    learner_of,
    model_weights,
    number,
    plan,
    update,
    with_model,
)

from tf_equirl.dyna import DynaConfig
from tf_equirl.dyna.learner import READ, DynaLearner
from tf_equirl.dyna.model_population import STEPS_PER_CALL
from tf_equirl.dyna.train import transition_model
from tf_equirl.training.randomness import Purpose, member_uniforms
from tf_equirl.training.replay import held_out_rows, training_rows

SEEDS = [4, 9, 4, 1]
CONFIG = DynaConfig.from_flat(
    actor="mlp",
    critic="mlp",
    hidden_units=(8,),
    num_environments=2,
    rollout_steps=15,
    num_epochs=2,
    num_minibatches=1,
    total_timesteps=30 * 7,
    planning_ratio=2.0,
    dyna_iterations=7,
    learning_rate=5e-3,
    max_policy_change=0.02,
    max_model_error=0.05,
    high_error="shrink",
    ensemble_size=2,
    buffer_size=99,  # three updates and a bit
    augment=True,
    model_kind="mlp",
    model_hidden_units=(6,),
    model_batch_size=16,
    model_learning_rate=1e-2,
)
BATCH = CONFIG.agent.batch_size
MODEL = CONFIG.model
UPDATES = 5


@pytest.fixture(scope="module")
def learner():
    return learner_of(CUPS, CONFIG)


@pytest.fixture(scope="module")
def acted(learner):
    """The state after each update in the environment, with the buffer as it was then."""

    def kept(state):
        copy = functools.partial(tf.Variable, trainable=False)
        return state._replace(buffer=tf.nest.map_structure(copy, state.buffer))

    state = learner.start(SEEDS)
    states = [kept(state)]
    for index in range(UPDATES):
        state = update(learner, state, index)
        states.append(kept(state))
    return states


@pytest.fixture(scope="module")
def planning(learner, acted):
    state, metrics = begin_planning(learner, acted[-1], 3, 90, 4)
    # Whatever the error is, these tests want to plan.
    limit = number([4, 1, 4, 0])
    return state._replace(planning=state.planning._replace(limit=limit)), metrics


def planned(learner, state, updates=1, index=3):
    return plan(learner, state, index, updates, UPDATES, 90)


def actor(state):
    return state.agent.weights.trained["actor"]


def member_of(structure, member, size=1):
    return tf.nest.map_structure(lambda x: x[size * member : size * (member + 1)], structure)


# Acting


def test_the_buffer_holds_the_true_transitions_of_the_whole_run(learner, acted):
    env = learner.env
    assert CONFIG.capacity == 3 * BATCH
    rows = acted[3].buffer
    following, _, over = env.transition(rows.state, rows.action, tf.zeros([4, 90, 3]))
    np.testing.assert_array_equal(rows.next_state.level, following.level)
    np.testing.assert_array_equal(rows.next_state.steps, rows.state.steps + 1)
    assert not env.is_terminal(rows.state).numpy().any()
    # Episodes end by either kind of end within the run, and start anew.
    limit = np.asarray(rows.next_state.steps) == env.max_episode_steps
    assert over.numpy().any(axis=1).all() and (limit & ~over.numpy()).any()
    assert len(np.unique(rows.action)) == 3
    ended = over.numpy() | limit
    for member in range(4):
        for copy in range(2):  # row step * 2 + copy
            level = rows.state.level[member, copy::2].numpy()
            after = rows.next_state.level[member, copy::2].numpy()
            goes_on = (level[1:] == after[:-1]).all(axis=-1)
            np.testing.assert_array_equal(goes_on, ~ended[member, copy::2][:-1])
            assert not np.asarray(rows.state.steps)[member, copy::2][1:][~goes_on].any()


def test_the_newest_updates_replace_the_oldest(acted):
    third, fourth, fifth = (c.buffer for c in acted[3:])
    for old, middle, new in zip(*map(tf.nest.flatten, (third, fourth, fifth)), strict=True):
        np.testing.assert_array_equal(middle[:, BATCH:], old[:, BATCH:])
        np.testing.assert_array_equal(new[:, :BATCH], middle[:, :BATCH])
        np.testing.assert_array_equal(new[:, 2 * BATCH :], old[:, 2 * BATCH :])
    for index, place in ((3, 0), (4, 1)):
        before, after = acted[index].agent.acting.env, acted[index + 1].buffer
        # The first rows of an update are the states in which it began.
        first = after.state.level[:, place * BATCH : place * BATCH + 2]
        np.testing.assert_array_equal(first, before.level)


def test_updates_in_the_environment_leave_the_models_alone(acted):
    for field in ("model", "model_adam", "planning"):
        assert_equal(getattr(acted[-1], field), getattr(acted[0], field))
    assert acted[-1].made.numpy().tolist() == [UPDATES] * 4


# Fitting


def test_members_and_models_start_apart_but_equal_seeds_start_equally(acted):
    for weights in model_weights(acted[0])[::2]:  # kernels
        assert weights.shape[0] == 2 * len(SEEDS)
        np.testing.assert_array_equal(weights[:2], weights[4:6])
        for other in (1, 2, 3, 6, 7):
            assert np.abs(weights[0] - weights[other]).max() > 0.01


def draws(carry, first):
    """Rows and group elements of `fit`, drawn as it says; XLA's generator is not the eager one."""

    @compiled
    def draw(seeds):
        seeds = tf.repeat(-1 - seeds, 2)
        keys = 2 * first + tf.tile([0, 1], [4])
        shape = [STEPS_PER_CALL, MODEL.batch_size, 2]
        uniforms = member_uniforms(seeds, Purpose.SHUFFLE, keys, shape)
        return training_rows(uniforms[..., 0], number(90)), uniforms[..., 1]

    rows, uniforms = draw(carry.agent.seeds)
    return rows.numpy(), np.minimum(np.floor(6 * uniforms.numpy()), 5).astype(int)


def test_every_model_follows_keras_adam_on_moved_rows_of_its_members_buffer(learner, acted):
    env, begin = learner.env, acted[-1]
    middle = fit(learner, begin, 0, 2, 90)
    after = fit(learner, middle, 2, 3, 90)
    matrices = env.symmetry.state.matrices
    batches = [draws(begin, 0), draws(begin, 2)]
    steps = [(batches[0], 0), (batches[0], 1), (batches[1], 0), (batches[1], 1), (batches[1], 2)]
    for member, index in ((0, 0), (0, 1), (3, 1)):
        row = 2 * member + index
        model = keras.models.clone_model(learner.model)
        for variable, stacked in zip(model.trainable_variables, model_weights(begin), strict=True):
            variable.assign(stacked[row])
        optimizer = keras.optimizers.Adam(MODEL.learning_rate)
        buffer = tf.nest.map_structure(lambda x, m=member: x[m].numpy(), begin.buffer)
        for count, ((rows, elements), i) in enumerate(steps, start=1):
            numbers, g = rows[row, i], matrices[elements[row, i]]
            state = np.einsum("rij,rj->ri", g, buffer.state.level[numbers])
            action = np.einsum("rij,rj->ri", g, np.eye(3)[buffer.action[numbers]])
            target = np.einsum("rij,rj->ri", g, buffer.next_state.level[numbers])
            with tf.GradientTape() as tape:
                outputs = model([state.astype("float32"), action.astype("float32")])
                loss = tf.reduce_mean((outputs - target.astype("float32")) ** 2)
            gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
            # Keras adds epsilon before it corrects the second moment.
            optimizer.epsilon = 1e-8 * np.sqrt(1 - 0.999**count)
            optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        for variable, stacked in zip(model.trainable_variables, model_weights(after), strict=True):
            np.testing.assert_allclose(stacked[row], variable, atol=1e-5)
    assert (
        max(
            np.abs(a - b).max()
            for a, b in zip(model_weights(after), model_weights(begin), strict=True)
        )
        > 1e-2
    )
    assert len(np.unique(batches[0][1])) == 6
    for field in ("agent", "made", "buffer", "planning"):
        assert_equal(getattr(after, field), getattr(begin, field))


def test_moved_transitions_are_transitions(learner, acted):
    """P(g s' | g s, g a) = P(s' | s, a), for every element of S3."""
    env, order = learner.env, 6
    rows = tf.tile(number(np.arange(3, 33))[None], [8, 1])
    batch = learner.models.batch(acted[-1].buffer, rows)
    seen = []
    for g in range(order):
        moved = learner.models.moved(batch, tf.fill([8, 30], g))
        state = env.state_from_observation(moved.observation)
        action = tf.argmax(moved.action, axis=-1, output_type=tf.int32)
        np.testing.assert_array_equal(tf.one_hot(action, 3), moved.action)
        following, *_ = env.transition(state, action, tf.zeros([8, 30, 3]))
        np.testing.assert_array_equal(following.level, moved.target)
        seen.append(moved.observation.numpy())
    np.testing.assert_array_equal(seen[0], batch.observation)
    assert all(np.any(seen[a] != seen[b]) for a in range(order) for b in range(a))
    mixed = learner.models.moved(batch, tf.tile(number(np.arange(30) % order)[None], [8, 1]))
    for row in range(30):
        np.testing.assert_array_equal(mixed.observation[:, row], seen[row % order][:, row])


# Measuring


def test_models_are_measured_on_rows_that_they_never_see(learner, planning, acted):
    carry, metrics = planning
    assert list(metrics) == ["mean_square", "finite"]
    numbers = held_out_rows(number(90)).numpy()
    for member in (0, 1, 3):
        rows = tf.nest.map_structure(lambda x, m=member: x[m].numpy()[numbers], carry.buffer)
        errors = []
        for index in (0, 1):
            for variable, stacked in zip(
                learner.model.trainable_variables, model_weights(carry), strict=True
            ):
                variable.assign(stacked[2 * member + index])
            outputs = learner.model([tf.constant(rows.state.level), tf.one_hot(rows.action, 3)])
            errors.append(np.mean((outputs - rows.next_state.level) ** 2))
        np.testing.assert_allclose(metrics["mean_square"][member], np.mean(errors), rtol=1e-4)


@pytest.mark.parametrize("updates", [1, 7, 1000])
def test_a_larger_error_shrinks_the_planning(learner, acted, planning, updates):
    carry, metrics = begin_planning(learner, acted[-1], 0, 90, updates)
    error = metrics["mean_square"].numpy()
    assert error.min() > CONFIG.max_model_error  # random models
    expected = np.floor(updates * CONFIG.max_model_error / error)
    np.testing.assert_array_equal(carry.planning.limit, expected)
    assert carry.planning.made.numpy().tolist() == [0] * 4
    for field in ("agent", "made", "buffer", "model", "model_adam"):
        assert_equal(getattr(carry, field), getattr(acted[-1], field))


def test_planning_begins_in_fresh_episodes_of_its_own(learner, acted, planning):
    acting = planning[0].planning.acting
    assert not acting.env.steps.numpy().any() and not acting.episode_return.numpy().any()
    again, _ = begin_planning(learner, acted[-1], 4, 90, 4)
    assert np.abs(again.planning.acting.env.level - acting.env.level).max() > 0.01
    assert np.abs(acted[0].agent.acting.env.level - acting.env.level).max() > 0.01


# Planning


@pytest.mark.thorough
def test_a_member_that_may_plan_no_more_stays_as_it_was(learner, planning):
    begin, _ = planning
    # Nothing is far from the reference here: the bound on the policy's change is never reached.
    after, reports = planned(learner, begin, 2)
    made = after.planning.made.numpy()
    assert made[1] == 1 and made[3] == 0 and made[0] == made[2] >= 1
    np.testing.assert_array_equal(after.made, UPDATES + made)
    learned = ("weights", "adam")
    for field in learned:
        assert_equal(*(member_of(getattr(c.agent, field), 3) for c in (after, begin)))
        one, _ = planned(learner, begin, 1)
        assert_equal(*(member_of(getattr(c.agent, field), 1) for c in (after, one)))
    assert_equal(member_of(after.planning.acting, 3), member_of(begin.planning.acting, 3))
    # The imagined return is that of the last episodes that ended, of the environments with one.
    assert np.isnan(begin.planning.acting.last_return).all()
    last = after.planning.acting.last_return.numpy()[:3]
    assert not np.isnan(last).all(axis=-1).any()
    expected = np.nanmean(last, axis=-1)
    np.testing.assert_allclose(reports["imagined_return"][:3], expected, rtol=1e-6)
    assert np.isnan(reports["imagined_return"][3])  # no episode of it ended
    assert np.abs(actor(after)[0][0] - actor(begin)[0][0]).max() > 1e-4
    # Acting goes on where it was, and planning touches neither the buffer nor the model.
    assert_equal(after.agent.acting, begin.agent.acting)
    for field in ("buffer", "model", "model_adam"):
        assert_equal(getattr(after, field), getattr(begin, field))


@pytest.fixture(scope="module")
def imagine(learner):
    """The rollout of a planned update, compiled: XLA's random numbers are not the eager ones."""

    @compiled
    def rollout(carry, index):
        env = learner._imagined(carry, carry.planning.bounds, number(90))
        start = carry.agent._replace(acting=carry.planning.acting)
        return learner.agent.collect(start, -1 - index, env, with_states=True)

    return rollout


def test_a_planned_update_is_an_update_on_what_the_model_imagines(learner, planning, imagine):
    begin, _ = planning
    acting, rows = imagine(begin, number(3))
    after, _ = planned(learner, begin)
    assert after.planning.made.numpy().tolist() == [1, 1, 1, 0]
    # With one minibatch the order of the rows, drawn eagerly here, does not matter.
    rate = tf.constant(CONFIG.agent.learning_rate)
    learned, *_ = learner.agent.learn(begin.agent, rows, number(0), rate, begin.made)
    for ours, theirs in zip(*map(tf.nest.flatten, (after.agent.weights, learned)), strict=True):
        np.testing.assert_allclose(ours[:3], theirs[:3], atol=1e-4)
    assert np.abs(actor(after)[0] - actor(begin)[0])[:3].max() > 1e-3  # ten times as much
    assert_equal(
        *(tf.nest.map_structure(lambda x: x[:3], x) for x in (after.planning.acting, acting))
    )
    # The rollout obeys the mean of the member's two models, and ends where that leaves the states
    # that the buffer has seen.
    left = []
    for member in (0, 1):
        outputs = 0
        level, action = rows.state.level[:, member], rows.action[:, member]
        for index in (0, 1):
            for variable, stacked in zip(
                learner.model.trainable_variables, model_weights(begin), strict=True
            ):
                variable.assign(stacked[2 * member + index])
            flat = [tf.reshape(level, [-1, 3]), tf.reshape(tf.one_hot(action, 3), [-1, 3])]
            outputs += learner.model(flat).numpy() / 2
        next_level = np.reshape(rows.next_state.level[:, member], [-1, 3])
        low, high = (x[member].numpy() for x in begin.planning.bounds)
        np.testing.assert_allclose(next_level, np.clip(outputs, low, high), atol=1e-5)
        clear = (np.abs(outputs - low) > 1e-4) & (np.abs(outputs - high) > 1e-4)
        outside = ((outputs < low) | (outputs > high)).any(axis=-1)
        truncated = np.reshape(rows.truncated[:, member], [-1])
        limit = np.reshape(rows.next_state.steps[:, member], [-1]) == CUPS.max_episode_steps
        np.testing.assert_array_equal(truncated[clear.all(-1)], (outside | limit)[clear.all(-1)])
        left.append(outside)
    assert 0.05 < np.mean(left) < 0.95


def divergence(learner, before, after, observation):
    """Mean of KL(before || after) at one member's observations, with NumPy."""
    network = learner.networks["actor"]

    def log_probs(weights):
        for variable, w in zip(network.trainable_variables, weights, strict=True):
            variable.assign(w)
        logits = network(observation).numpy().astype(float)
        return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))

    old, new = log_probs(before), log_probs(after)
    return np.mean(np.sum(np.exp(old) * (old - new), axis=-1))


def test_planning_ends_before_the_policy_changes_too_much(learner, planning, imagine):
    """Update after update: kept ones are within the bound, the first beyond it is undone."""
    carry, _ = planning
    carry = carry._replace(planning=carry.planning._replace(limit=number([99] * 4)))
    reference = [w.numpy() for w in actor(carry)]
    ended, bound = np.zeros(4, bool), CONFIG.max_policy_change
    largest = 0.0
    for index in range(3, 33):
        _, rows = imagine(carry, number(index))
        # From one update to the next the policy changes by far less than the bound: nothing is
        # undone where that is all that is asked.
        near = carry.planning._replace(reference=actor(carry))
        near = near._replace(made=number([0] * 4), limit=number([1] * 4))
        tried, _ = planned(learner, carry._replace(planning=near), 1, index)
        assert tried.planning.made.numpy().tolist() == [1] * 4
        changes = np.array(
            [
                divergence(
                    learner,
                    [w[m] for w in reference],
                    [w[m] for w in actor(tried)],
                    np.reshape(rows.observation[:, m], [-1, 3]),
                )
                for m in range(4)
            ]
        )
        after, _ = planned(learner, carry, 1, index)
        kept = (after.planning.made - carry.planning.made).numpy()
        clear = np.abs(changes - bound) > 1e-4
        np.testing.assert_array_equal(kept[clear], ((changes <= bound) & ~ended)[clear])
        ended |= kept == 0
        largest = max(largest, changes[kept == 1].max(initial=0))
        carry = after
        if ended.all():
            break
    assert ended.sum() >= 2 and 0.2 * bound < largest <= bound + 1e-4
    planning = carry.planning
    assert planning.made.numpy().min() > 0
    np.testing.assert_array_equal((planning.limit == planning.made), ended)


def test_a_number_that_is_not_finite_is_noticed_only_where_it_counts(learner, planning):
    carry, _ = planning
    for member, expected in ((1, [True, False, True, True]), (3, [True] * 4)):
        broken = [w.numpy() for w in model_weights(carry)]
        broken[-1][2 * member] = np.nan
        broken = with_model(carry, broken)
        after, reports = planned(learner, broken)
        assert reports["finite"].tolist() == after.planning.finite.numpy().tolist() == expected
        # And the weights stay as they were.
        assert all(np.isfinite(w).all() for w in tf.nest.flatten(after.agent.weights))
        measured, metrics = begin_planning(learner, broken, 3, 90, 4)
        np.testing.assert_array_equal(metrics["finite"], np.arange(4) != member)
        np.testing.assert_array_equal(measured.planning.finite, metrics["finite"])
        assert measured.planning.limit[member] == 0


def test_the_split_into_calls_changes_nothing_and_equal_seeds_give_equal_members(learner, planning):
    begin, _ = planning
    at_once, _ = planned(learner, begin, 3)
    parts, _ = planned(learner, planned(learner, begin, 1)[0], 2, index=4)
    assert_equal(at_once, parts)
    run = update(learner, learner.start(SEEDS), 0, UPDATES)
    step = learner.start(SEEDS)
    for first, count in ((0, 2), (2, 3)):
        step = update(learner, step, first, count)
    assert_equal(run, step)
    for x in tf.nest.flatten((run.agent, run.buffer)):
        np.testing.assert_array_equal(x[0], x[2])
    for w in model_weights(fit(learner, run, 0, 5, 90)):
        np.testing.assert_array_equal(w[:2], w[4:6])
    for name in ("update", "fit", "measure", "plan"):
        assert learner._program(name, None).experimental_get_tracing_count() == 1


# A bound of 0


@pytest.fixture(scope="module")
def strict():
    """A model without any error, which no bound forbids; a policy that may not change at all."""
    fields = {"max_policy_change": 0.0, "max_model_error": 0.0, "ensemble_size": 1}
    config = dataclasses.replace(CONFIG, **fields)
    return learner_of(CUPS, config, exact_model())


def test_an_error_of_zero_is_within_a_bound_of_zero(strict, acted):
    state = strict.start(SEEDS)._replace(buffer=acted[-1].buffer)
    begun, metrics = begin_planning(strict, state, 0, BATCH, 3)
    assert not metrics["mean_square"].numpy().any()
    assert begun.planning.limit.numpy().tolist() == [3] * 4
    assert begun.planning.finite.numpy().all()


def test_a_policy_that_may_not_change_at_all_stays_as_it_was(strict, monkeypatch):
    """Of members 0 and 2 the update changes the actor, of 1 and 3 the critic alone."""
    agent = strict.agent

    def moved(weights, members):
        return [weights[0] + 0.1 * np.reshape(members, [4, 1, 1]), *weights[1:]]

    def learned(state, acting, *_):
        trained = state.weights.trained
        trained = {
            "actor": moved(trained["actor"], [1.0, 0, 1, 0]),
            "critic": moved(trained["critic"], [0.0, 1, 0, 1]),
        }
        weights = state.weights._replace(trained=trained)
        after = state._replace(weights=weights, acting=acting)
        return after, {"finite": tf.ones([4], tf.bool)}

    observation = tf.random.stateless_uniform([15, 4, 2, 3], [0, 0])
    rollout = SimpleNamespace(observation=observation)
    monkeypatch.setattr(agent, "learned", learned)
    monkeypatch.setattr(agent, "collect", lambda state, *_: (state.acting, rollout))
    state = strict.start(SEEDS)
    planning = state.planning._replace(limit=number([3] * 4))
    after, made, planning = strict._planned_update(
        state.agent, state.made, planning, strict.env, number(-1), tf.constant(1e-3)
    )
    assert made.numpy().tolist() == [0, 1, 0, 1]
    assert planning.limit.numpy().tolist() == [0, 3, 0, 3]
    before, after = (x.weights.trained for x in (state.agent, after))
    for member, kept in enumerate([False, True, False, True]):
        # What was undone is so to the last bit; of the rest the critic has moved.
        pairs = zip(*map(tf.nest.flatten, (before, after)), strict=True)
        assert kept or not any(np.any(a[member] != b[member]) for a, b in pairs)
        change = np.abs(after["critic"][0][member] - before["critic"][0][member]).max()
        assert change == pytest.approx(0.1 * kept)


# Programs that are kept


def test_what_is_kept_serves_every_learner_that_computes_the_same_and_no_other(learner):
    """Runs that differ in planning share acting; a class of one's own shares nothing."""

    class Shifted(DynaLearner):
        """Computes something else under the same config."""

    def kept(other):
        return {name: other._program(name, lambda: None) for name in READ}

    known = kept(learner)
    model, frozen = transition_model(CUPS, CONFIG)
    agent = CONFIG.agent.learner(CUPS)
    for fields, shared in (
        ({"planning_ratio": 3.0, "dyna_iterations": 2, "buffer_size": None}, set(READ)),
        ({"max_policy_change": None}, {"update", "fit"}),
        ({"model_rollout_steps": 3}, {"update", "fit"}),
        ({"max_model_error": 0.1}, {"update", "fit", "plan"}),
        ({"augment": not CONFIG.augment}, {"update", "measure", "plan"}),
        ({"model": dataclasses.replace(CONFIG.model, learning_rate=0.5)}, {*READ}),
        ({"model": dataclasses.replace(CONFIG.model, max_gradient_norm=0.5)}, {*READ} - {"fit"}),
        ({"model": dataclasses.replace(CONFIG.model, batch_size=17)}, {*READ} - {"fit"}),
        ({"agent": dataclasses.replace(CONFIG.agent, learning_rate=0.5)}, {*READ}),
        ({"agent": dataclasses.replace(CONFIG.agent, num_epochs=1)}, {"fit"}),
        ({"planning_ratio": 0.0}, set()),  # which keeps no transitions
    ):
        other = learner_of(CUPS, dataclasses.replace(CONFIG, **fields))
        assert {name for name, p in kept(other).items() if p is known[name]} == shared
    shifted = kept(Shifted(agent, CONFIG, model, frozen))
    assert not any(program is known[name] for name, program in shifted.items())


def test_the_programs_read_of_a_config_what_their_keys_hold(acted):
    """Or two runs would share a program that computes something else for one of them."""

    class Watched:
        def __init__(self, config):
            self.config, self.read = config, set()

        def __getattr__(self, name):
            self.read.add(name)
            return getattr(self.config, name)

    strict = dataclasses.replace(CONFIG, max_model_error=0.1, planning_starts="buffer")
    other = learner_of(CUPS, strict)
    watched, optimizer = Watched(strict), Watched(strict.model)
    other.config = other.models._config = watched
    other.models._optimizer = optimizer
    state, n, filled = acted[-1], number(1), number(16)
    calls = {
        "update": lambda: other.act_and_learn(state.agent, state.made, n, n),
        "fit": lambda: other.models.fit(
            state.agent.seeds, state.buffer, state.model, state.model_adam, n, n, filled
        ),
        "measure": lambda: other.begin_planning(state, n, filled, n),
        "plan": lambda: other.plan(state, n, n, n, filled),
    }
    for name, call in calls.items():
        watched.read.clear()
        optimizer.read.clear()
        tf.function(call, autograph=False).get_concrete_function()
        found = watched.read | ({"model"} if optimizer.read else set())
        assert optimizer.read <= {"batch_size"}  # the rest may differ from member to member
        assert found - {"agent"} == set(READ[name]) - {"ensemble_size"}, name
