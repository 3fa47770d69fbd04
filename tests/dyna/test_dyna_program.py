"""The compiled functions of Dyna against plain references, on an environment of group S3."""

import functools
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from dyna_cases import Cups, assert_equal, compiled, exact_model, program_of

from tf_equirl.agents.ppo.learner import Metrics
from tf_equirl.dyna import DynaConfig
from tf_equirl.training.randomness import Purpose, member_uniforms
from tf_equirl.training.replay import held_out_rows, training_rows

SEEDS = [4, 9, 4, 1]
CONFIG = DynaConfig(
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
BATCH = CONFIG.batch_size
UPDATES = 5


def number(x):
    return tf.constant(x, tf.int32)


@pytest.fixture(scope="module")
def program():
    return program_of(Cups(), CONFIG)


@pytest.fixture(scope="module")
def acted(program):
    """The carry after each update in the environment, with the buffer as it was then."""

    def kept(carry):
        copy = functools.partial(tf.Variable, trainable=False)
        return carry._replace(buffer=tf.nest.map_structure(copy, carry.buffer))

    carry = program.start(SEEDS)
    carries = [kept(carry)]
    for update in range(UPDATES):
        carry, _ = program.run(carry, number(update), number(1))
        carries.append(kept(carry))
    return carries


@pytest.fixture(scope="module")
def planning(program, acted):
    carry, metrics = program.begin_planning(acted[-1], number(3), number(90), number(4))
    # Whatever the error is, these tests want to plan.
    limit = number([4, 1, 4, 0])
    return carry._replace(planning=carry.planning._replace(limit=limit)), metrics


def plan(program, carry, updates=1, index=3, real=UPDATES):
    return program.plan(carry, number(index), number(updates), number(real), number(90))


def member_of(structure, member, size=1):
    return tf.nest.map_structure(lambda x: x[size * member : size * (member + 1)], structure)


# Acting


def test_the_buffer_holds_the_true_transitions_of_the_whole_run(program, acted):
    env = program.env
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
    for update, place in ((3, 0), (4, 1)):
        before, after = acted[update].ppo.acting.env, acted[update + 1].buffer
        # The first rows of an update are the states in which it began.
        first = after.state.level[:, place * BATCH : place * BATCH + 2]
        np.testing.assert_array_equal(first, before.level)


def test_updates_in_the_environment_leave_the_models_alone(acted):
    for field in ("model", "model_adam", "planning"):
        assert_equal(getattr(acted[-1], field), getattr(acted[0], field))
    assert acted[-1].made.numpy().tolist() == [UPDATES] * 4


# Fitting


def test_members_and_models_start_apart_but_equal_seeds_start_equally(acted):
    for weights in acted[0].model[::2]:  # kernels
        assert weights.shape[0] == 2 * len(SEEDS)
        np.testing.assert_array_equal(weights[:2], weights[4:6])
        for other in (1, 2, 3, 6, 7):
            assert np.abs(weights[0] - weights[other]).max() > 0.01


def draws(program, carry, first):
    """Rows and group elements of `fit`, drawn as it says; XLA's generator is not the eager one."""

    @compiled
    def draw(seeds):
        seeds = tf.repeat(-1 - seeds, 2)
        keys = 2 * first + tf.tile([0, 1], [4])
        shape = [program.max_steps, CONFIG.model_batch_size, 2]
        uniforms = member_uniforms(seeds, Purpose.SHUFFLE, keys, shape)
        return training_rows(uniforms[..., 0], number(90)), uniforms[..., 1]

    rows, uniforms = draw(carry.ppo.seeds)
    return rows.numpy(), np.minimum(np.floor(6 * uniforms.numpy()), 5).astype(int)


def test_every_model_follows_keras_adam_on_moved_rows_of_its_members_buffer(program, acted):
    env, begin = program.env, acted[-1]
    middle = program.fit(begin, number(0), number(2), number(90))
    after = program.fit(middle, number(2), number(3), number(90))
    matrices = env.symmetry.state.matrices
    batches = [draws(program, begin, 0), draws(program, begin, 2)]
    steps = [(batches[0], 0), (batches[0], 1), (batches[1], 0), (batches[1], 1), (batches[1], 2)]
    for member, index in ((0, 0), (0, 1), (3, 1)):
        row = 2 * member + index
        model = keras.models.clone_model(program.model)
        for variable, stacked in zip(model.trainable_variables, begin.model, strict=True):
            variable.assign(stacked[row])
        optimizer = keras.optimizers.Adam(CONFIG.model_learning_rate)
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
        for variable, stacked in zip(model.trainable_variables, after.model, strict=True):
            np.testing.assert_allclose(stacked[row], variable, atol=1e-5)
    assert max(np.abs(a - b).max() for a, b in zip(after.model, begin.model, strict=True)) > 1e-2
    assert len(np.unique(batches[0][1])) == 6
    for field in ("ppo", "made", "buffer", "planning"):
        assert_equal(getattr(after, field), getattr(begin, field))


def test_moved_transitions_are_transitions(program, acted):
    """P(g s' | g s, g a) = P(s' | s, a), for every element of S3."""
    env, order = program.env, 6
    rows = tf.tile(number(np.arange(3, 33))[None], [8, 1])
    batch = program.models.batch(acted[-1].buffer, rows)
    seen = []
    for g in range(order):
        moved = program.models.moved(batch, tf.fill([8, 30], g))
        state = env.state_from_observation(moved.observation)
        action = tf.argmax(moved.action, axis=-1, output_type=tf.int32)
        np.testing.assert_array_equal(tf.one_hot(action, 3), moved.action)
        following, *_ = env.transition(state, action, tf.zeros([8, 30, 3]))
        np.testing.assert_array_equal(following.level, moved.target)
        seen.append(moved.observation.numpy())
    np.testing.assert_array_equal(seen[0], batch.observation)
    assert all(np.any(seen[a] != seen[b]) for a in range(order) for b in range(a))
    mixed = program.models.moved(batch, tf.tile(number(np.arange(30) % order)[None], [8, 1]))
    for row in range(30):
        np.testing.assert_array_equal(mixed.observation[:, row], seen[row % order][:, row])


def test_the_number_of_gradient_steps(program):
    # 27 of 30 rows are trained on, 54 of 60, 81 of 90 from then on; ten epochs of batches of 16.
    assert [program.fit_steps(i) for i in range(7)] == [17, 34, 51, 51, 51, 51, 51]


# Measuring


def test_models_are_measured_on_rows_that_they_never_see(program, planning, acted):
    carry, metrics = planning
    assert metrics.shape == (4, 1)
    numbers = held_out_rows(number(90)).numpy()
    for member in (0, 1, 3):
        rows = tf.nest.map_structure(lambda x, m=member: x[m].numpy()[numbers], carry.buffer)
        errors = []
        for index in (0, 1):
            for variable, stacked in zip(
                program.model.trainable_variables, carry.model, strict=True
            ):
                variable.assign(stacked[2 * member + index])
            outputs = program.model([tf.constant(rows.state.level), tf.one_hot(rows.action, 3)])
            errors.append(np.mean((outputs - rows.next_state.level) ** 2))
        np.testing.assert_allclose(metrics[member, 0], np.mean(errors), rtol=1e-4)


@pytest.mark.parametrize("updates", [1, 7, 1000])
def test_a_larger_error_shrinks_the_planning(program, acted, planning, updates):
    carry, metrics = program.begin_planning(acted[-1], number(0), number(90), number(updates))
    error = metrics[:, 0].numpy()
    assert error.min() > CONFIG.max_model_error  # random models
    expected = np.floor(updates * CONFIG.max_model_error / error)
    np.testing.assert_array_equal(carry.planning.limit, expected)
    assert carry.planning.made.numpy().tolist() == [0] * 4
    for field in ("ppo", "made", "buffer", "model", "model_adam"):
        assert_equal(getattr(carry, field), getattr(acted[-1], field))


def test_planning_begins_in_fresh_episodes_of_its_own(program, acted, planning):
    acting = planning[0].planning.acting
    assert not acting.env.steps.numpy().any() and not acting.episode_return.numpy().any()
    again, _ = program.begin_planning(acted[-1], number(4), number(90), number(4))
    assert np.abs(again.planning.acting.env.level - acting.env.level).max() > 0.01
    assert np.abs(acted[0].ppo.acting.env.level - acting.env.level).max() > 0.01


# Planning


def test_a_member_that_may_plan_no_more_stays_as_it_was(program, planning):
    begin, _ = planning
    # Nothing is far from the reference here: the bound on the policy's change is never reached.
    after = plan(program, begin, 2)
    made = after.planning.made.numpy()
    assert made[1] == 1 and made[3] == 0 and made[0] == made[2] >= 1
    np.testing.assert_array_equal(after.made, UPDATES + made)
    learned = ("weights", "adam")
    for field in learned:
        assert_equal(*(member_of(getattr(c.ppo, field), 3) for c in (after, begin)))
        one = plan(program, begin, 1)
        assert_equal(*(member_of(getattr(c.ppo, field), 1) for c in (after, one)))
    assert_equal(member_of(after.planning.acting, 3), member_of(begin.planning.acting, 3))
    assert np.isnan(after.planning.imagined_return[3])  # no episode of it ended
    assert np.abs(after.ppo.weights[0][0] - begin.ppo.weights[0][0]).max() > 1e-4
    # Acting goes on where it was, and planning touches neither the buffer nor the model.
    assert_equal(after.ppo.acting, begin.ppo.acting)
    for field in ("buffer", "model", "model_adam"):
        assert_equal(getattr(after, field), getattr(begin, field))


@pytest.fixture(scope="module")
def imagine(program):
    """The rollout of a planned update, compiled: XLA's random numbers are not the eager ones."""

    @compiled
    def rollout(carry, index):
        env = program._imagined(carry, number(90))
        start = carry.ppo._replace(acting=carry.planning.acting)
        return program.ppo.collect(start, -1 - index, env, with_states=True)

    return rollout


def test_a_planned_update_is_an_update_on_what_the_model_imagines(program, planning, imagine):
    begin, _ = planning
    acting, rows = imagine(begin, number(3))
    after = plan(program, begin)
    assert after.planning.made.numpy().tolist() == [1, 1, 1, 0]
    # With one minibatch the order of the rows, drawn eagerly here, does not matter.
    rate = tf.constant(CONFIG.learning_rate)
    learned, _ = program.ppo.learn(begin.ppo, acting, rows, number(0), rate, begin.made)
    for ours, theirs in zip(after.weights, learned.weights, strict=True):
        np.testing.assert_allclose(ours[:3], theirs[:3], atol=1e-4)
    assert np.abs(after.weights[0] - begin.weights[0])[:3].max() > 1e-3  # ten times as much
    assert_equal(
        *(tf.nest.map_structure(lambda x: x[:3], x) for x in (after.planning.acting, acting))
    )
    # The rollout obeys the mean of the member's two models.
    for member in (0, 1):
        outputs = 0
        level, action = rows.state.level[:, member], rows.action[:, member]
        for index in (0, 1):
            for variable, stacked in zip(
                program.model.trainable_variables, begin.model, strict=True
            ):
                variable.assign(stacked[2 * member + index])
            flat = [tf.reshape(level, [-1, 3]), tf.reshape(tf.one_hot(action, 3), [-1, 3])]
            outputs += program.model(flat).numpy() / 2
        next_level = np.reshape(rows.next_state.level[:, member], [-1, 3])
        np.testing.assert_allclose(next_level, outputs, atol=1e-5)


def divergence(program, before, after, observation):
    """Mean of KL(before || after) at one member's observations, with NumPy."""

    def log_probs(weights):
        for variable, w in zip(program.actor.trainable_variables, weights, strict=False):
            variable.assign(w)
        logits = program.actor(observation).numpy().astype(float)
        return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))

    old, new = log_probs(before), log_probs(after)
    return np.mean(np.sum(np.exp(old) * (old - new), axis=-1))


def test_planning_ends_before_the_policy_changes_too_much(program, planning, imagine):
    """Update after update: kept ones are within the bound, the first beyond it is undone."""
    carry, _ = planning
    carry = carry._replace(planning=carry.planning._replace(limit=number([99] * 4)))
    reference = [w.numpy() for w in carry.weights]
    ended, bound = np.zeros(4, bool), CONFIG.max_policy_change
    largest = 0.0
    for index in range(3, 33):
        _, rows = imagine(carry, number(index))
        # From one update to the next the policy changes by far less than the bound: nothing is
        # undone where that is all that is asked.
        near = carry.planning._replace(reference=program._actor_weights(carry.weights))
        near = near._replace(made=number([0] * 4), limit=number([1] * 4))
        tried = plan(program, carry._replace(planning=near), 1, index)
        assert tried.planning.made.numpy().tolist() == [1] * 4
        changes = np.array(
            [
                divergence(
                    program,
                    [w[m] for w in reference],
                    [w[m] for w in tried.weights],
                    np.reshape(rows.observation[:, m], [-1, 3]),
                )
                for m in range(4)
            ]
        )
        after = plan(program, carry, 1, index)
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


def test_a_number_that_is_not_finite_is_noticed_only_where_it_counts(program, planning):
    carry, _ = planning
    for member, expected in ((1, [True, False, True, True]), (3, [True] * 4)):
        broken = [w.numpy() for w in carry.model]
        broken[-1][2 * member] = np.nan
        after = plan(program, carry._replace(model=[tf.constant(w) for w in broken]))
        assert after.planning.finite.numpy().tolist() == expected
        # And the weights stay as they were.
        assert all(np.isfinite(w).all() for w in after.weights)
        measured, metrics = program.begin_planning(
            carry._replace(model=[tf.constant(w) for w in broken]),
            number(3),
            number(90),
            number(4),
        )
        np.testing.assert_array_equal(measured.planning.finite, np.arange(4) != member)
        assert measured.planning.limit[member] == 0


def test_the_split_into_calls_changes_nothing_and_equal_seeds_give_equal_members(program, planning):
    begin, _ = planning
    at_once = plan(program, begin, 3)
    parts = plan(program, plan(program, begin, 1), 2, index=4)
    assert_equal(at_once, parts)
    run = program.run(program.start(SEEDS), number(0), number(UPDATES))[0]
    step = program.start(SEEDS)
    for first, count in ((0, 2), (2, 3)):
        step = program.run(step, number(first), number(count))[0]
    assert_equal(run, step)
    for x in tf.nest.flatten((run.ppo, run.buffer)):
        np.testing.assert_array_equal(x[0], x[2])
    fitted = program.fit(run, number(0), number(5), number(90))
    for w in fitted.model:
        np.testing.assert_array_equal(w[:2], w[4:6])
    for function in (
        program.compiled_run,
        program.compiled_fit,
        program.compiled_begin,
        program.compiled_plan,
    ):
        assert function.experimental_get_tracing_count() == 1


# A bound of 0


@pytest.fixture(scope="module")
def strict():
    """A model without any error, which no bound forbids; a policy that may not change at all."""
    fields = {"max_policy_change": 0.0, "max_model_error": 0.0, "ensemble_size": 1}
    config = DynaConfig(**{**CONFIG.to_json(), **fields})
    return program_of(Cups(), config, exact_model())


def test_an_error_of_zero_is_within_a_bound_of_zero(strict, acted):
    carry = strict.start(SEEDS)._replace(buffer=acted[-1].buffer)
    begin, metrics = strict.begin_planning(carry, number(0), number(BATCH), number(3))
    assert not metrics.numpy().any()
    assert begin.planning.limit.numpy().tolist() == [3] * 4
    assert begin.planning.finite.numpy().all()


def test_a_policy_that_may_not_change_at_all_stays_as_it_was(strict, monkeypatch):
    """Of members 0 and 2 the update changes the actor, of 1 and 3 the critic alone."""
    ppo = strict.ppo
    nothing = tf.zeros([4])
    returns = tf.zeros([CONFIG.rollout_steps, 4])
    metrics = Metrics(*[nothing] * 5, tf.ones([4], tf.bool), returns, returns)

    def learn(carry, acting, *_):
        first = carry.weights[0] + tf.constant([0.1, 0, 0.1, 0])[:, None, None]
        last = carry.weights[-1] + tf.constant([0, 0.1, 0, 0.1])[:, None]
        return carry._replace(weights=[first, *carry.weights[1:-1], last], acting=acting), metrics

    observation = tf.random.stateless_uniform([15, 4, 2, 3], [0, 0])
    rollout = SimpleNamespace(observation=observation)
    monkeypatch.setattr(ppo, "learn", learn)
    monkeypatch.setattr(ppo, "collect", lambda carry, *_: (carry.acting, rollout))
    carry = strict.start(SEEDS)
    planning = carry.planning._replace(limit=number([3] * 4))
    arguments = (number(-1), tf.constant(1e-3))
    after, made, planning = strict._planned_update(
        carry.ppo, carry.made, planning, strict.env, *arguments
    )
    assert made.numpy().tolist() == [0, 1, 0, 1]
    assert planning.limit.numpy().tolist() == [0, 3, 0, 3]
    for member, kept in enumerate([False, True, False, True]):
        # What was undone is so to the last bit; of the rest the critic has moved.
        assert kept or not any(
            np.any(a[member] != b[member])
            for a, b in zip(after.weights, carry.weights, strict=True)
        )
        moved = np.abs(after.weights[-1][member] - carry.weights[-1][member]).max()
        assert moved == pytest.approx(0.1 * kept)
