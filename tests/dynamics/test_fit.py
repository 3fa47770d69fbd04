"""Fitting transition models: against plain Keras, and the promises of a run."""

import csv
import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from compiling import eagerly, uncompiled

from tf_equirl import envs, models
from tf_equirl._files import LOCK
from tf_equirl.agents import NonFiniteError
from tf_equirl.dynamics import (
    TransitionModelConfig,
    Transitions,
    all_transitions,
    collect_transitions,
    fit_transition_model,
    learner,
    load_transition_result,
)
from tf_equirl.dynamics.fit import build_model
from tf_equirl.dynamics.learner import TransitionLearner
from tf_equirl.dynamics.measures import transition_errors
from tf_equirl.dynamics.model_loss import ROLE
from tf_equirl.training import programs
from tf_equirl.training.run_folder import identity

ENVS = {name: envs.make(name) for name in ("CartPole", "Catch")}
DATA = {name: collect_transitions(env, "random", 300, seed=0) for name, env in ENVS.items()}
VALIDATION = {name: collect_transitions(env, "random", 100, seed=1) for name, env in ENVS.items()}
# Compiled programs are kept by config: tests that share one compile less.
CONFIG = TransitionModelConfig(
    kind="mlp", hidden_units=(7,), num_epochs=5, batch_size=32, learning_rate=1e-2
)
SEEDS = (5, 0, 3, 9, 2)


def fit(seeds=SEEDS, run_dir=None, name="CartPole", config=CONFIG, **arguments):
    arguments = {"validation": VALIDATION[name], **arguments}
    return fit_transition_model(ENVS[name], DATA[name], config, seeds, run_dir, **arguments)


def learner_of(name, data=None, validation=None, **fields):
    config = dataclasses.replace(CONFIG, **fields)
    data = DATA[name] if data is None else data
    validation = VALIDATION[name] if validation is None else validation
    model = build_model(ENVS[name], config)
    return TransitionLearner(ENVS[name], config, model, data, validation)


def epoch_of(found, state, epoch=0):
    """A whole epoch: the state after it, and the losses `[steps, members]`."""
    steps = found.steps_per_epoch
    assert steps == found.steps_per_call
    state, reports = found.stages["step"].run(state, epoch * steps, steps)
    return state, reports["loss"].numpy()


def validated(found, state):
    """What is measured of a state, `[members, metrics]`, and whether it is finite."""
    _, reports = found.stages["validate"].run(state, 0, 1)
    metrics = np.stack([reports[name][0] for name in found.metric_names], axis=1)
    return metrics, reports["finite"].numpy()[0]


def trained(state):
    return state.weights.trained[ROLE]


def assert_same(a, b):
    np.testing.assert_array_equal(a.loss, b.loss)
    for name, values in a.validation.items():
        np.testing.assert_array_equal(values, b.validation[name])
    for x, y in zip(a.weights[ROLE], b.weights[ROLE], strict=True):
        np.testing.assert_array_equal(x, y)


class Stop:
    """Interrupts a run as Ctrl-C does, once a share of it is done."""

    def __init__(self, after):
        self.after = after

    def __call__(self, progress):
        if progress.done >= self.after:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return fit(run_dir=tmp_path_factory.mktemp("runs") / "whole")


# The compiled program


PROXIMAL = {"kind": "gcnn-proximal", "predict_change": True, "max_gradient_norm": 0.1}
EQUIVARIANT = [
    ("CartPole", PROXIMAL),
    ("CartPole", {"kind": "gcnn-averaged", "anneal_learning_rate": True}),
    ("Catch", {"kind": "gcnn-readout"}),
]


def each_kind(kinds):
    ids = [f"{name}-{fields['kind']}" for name, fields in kinds]
    return pytest.mark.parametrize(("name", "fields"), kinds, ids=ids)


# Some gradients are zero but for rounding, which a small epsilon would blow up.
EPSILON = {"adam_epsilon": 1e-4}


@each_kind([("CartPole", {"kind": "mlp"}), *EQUIVARIANT])
def test_every_member_follows_keras_adam_on_its_own_rows(name, fields):
    found = learner_of(name, **EPSILON, **fields)
    env, config, data, model = ENVS[name], found.config, DATA[name], found.networks[ROLE]
    seeds = [4, 1, 8, 6]
    begin = found.start(seeds)
    after, total = epoch_of(found, begin)
    assert validated(found, after)[1].all()
    for member in (0, 2):
        for variable, stacked in zip(model.trainable_variables, trained(begin), strict=True):
            variable.assign(stacked[member])
        optimizer = keras.optimizers.Adam(config.learning_rate)
        losses = []
        for i, rows in enumerate(found.order(seeds, 0, found.steps_per_epoch)[member]):
            part = data.take(rows)
            inputs = [env.observe(part.state), tf.one_hot(part.action, env.num_actions)]
            with tf.GradientTape() as tape:
                outputs = model(inputs)
                loss = tf.reduce_mean(
                    env.transition_head.metrics(outputs, env.encode(part.next_state))[0]
                )
            gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
            if config.max_gradient_norm:
                gradients, _ = tf.clip_by_global_norm(gradients, config.max_gradient_norm)
            if config.anneal_learning_rate:
                share = i / found.num_updates
                optimizer.learning_rate = config.learning_rate * (1 - share)
            # Keras adds epsilon before it corrects the second moment.
            optimizer.epsilon = config.adam_epsilon * np.sqrt(1 - config.adam_beta_2 ** (i + 1))
            optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
            losses.append(float(loss))
        np.testing.assert_allclose(total[:, member], losses, rtol=1e-4)
        for variable, stacked in zip(model.trainable_variables, trained(after), strict=True):
            np.testing.assert_allclose(stacked[member], variable, rtol=1e-4, atol=1e-5)


def test_the_compiled_program_equals_its_eager_self():
    found = learner_of("CartPole", **EPSILON, **PROXIMAL)
    seeds, first = [0, 1, 2, 3], 2 * found.steps_per_epoch
    begin = found.start(seeds)
    compiled, reports = found.stages["step"].run(begin, first, 3)
    losses, eager = reports["loss"].numpy(), begin
    for i, numbers in enumerate(np.moveaxis(found.order(seeds, first, 3), 1, 0)):
        count = tf.constant(first + i + 1.0)
        eager, reports = found.step(eager, found.rows, tf.constant(numbers), count)
        np.testing.assert_allclose(losses[i], reports["loss"], rtol=1e-3)
    for a, b in zip(tf.nest.flatten(compiled), tf.nest.flatten(eager), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
    expected = found.measure(eager, found.validation_rows)["mean_square"]
    np.testing.assert_allclose(validated(found, compiled)[0][:, 0], expected, rtol=1e-3)


def test_it_is_compiled_once(monkeypatch):
    """Whatever seeds, epochs and numbers of steps, and in the next run of the same shapes."""
    made, called = {}, {}
    cached = programs.cached

    def spy(key, make):
        program = cached(key, make)
        assert made.setdefault(key[0], program) is program

        def call(*arguments):
            called[key[0]] = arguments
            return program(*arguments)

        return call

    def run(seeds, epoch, number):
        found = learner_of("CartPole", **EPSILON, **PROXIMAL)
        state, steps = found.start(seeds), found.steps_per_epoch
        state, reports = found.stages["step"].run(state, epoch * steps, number)
        assert reports["loss"].shape == (steps, 4)
        validated(found, state)
        return {name: p.experimental_get_tracing_count() for name, p in made.items()}

    monkeypatch.setattr(programs, "cached", spy)
    once = run([0, 1, 2, 3], 0, 3)
    assert set(once) == {"step", "validate"}
    for seeds, epoch, number in (([7, 5, 3, 1], 1, 2), ([0, 1, 2, 9], 7, 0)):
        assert run(seeds, epoch, number) == once
    for name, program in made.items():
        # An input that XLA takes for a constant would be compiled in, anew for each value: a
        # silent compilation, which the count of traces misses. It is no parameter of the program.
        hlo = program.experimental_get_compiler_ir(*called[name])(stage="hlo")
        entry = hlo[hlo.index("ENTRY") :]
        assert entry.count(" parameter(") == len(tf.nest.flatten(called[name]))


@pytest.mark.parametrize("name", ENVS)
@uncompiled()
def test_transitions_from_terminal_states_count_for_nothing(name):
    env, data = ENVS[name], DATA[name].take(slice(40))
    states = {
        "CartPole": lambda s: s._replace(physics=s.physics + np.float32([3, 0, 0, 0])),
        "Catch": lambda s: s._replace(ball_row=np.full_like(s.ball_row, 9)),
    }
    terminal = DATA[name].take(slice(60, 90))
    terminal = dataclasses.replace(terminal, state=states[name](terminal.state))
    assert np.all(env.is_terminal(terminal.state))
    both = tf.nest.map_structure(
        lambda a, b: np.concatenate([a, b]),
        (data.state, data.action, data.next_state),
        (terminal.state, terminal.action, terminal.next_state),
    )
    mixed = dataclasses.replace(data, state=both[0], action=both[1], next_state=both[2])
    seeds, rows = [0, 1, 2, 3], np.tile(np.arange(70), [4, 1])
    results = []
    for part, numbers in ((data, rows[:, :40]), (mixed, rows)):
        one = learner_of(name, part, part, batch_size=70)
        state = one.start(seeds)
        batch = one.batch(one.rows, tf.constant(numbers))
        gradients = one.loss.gradients(state.weights, batch)
        with eagerly():
            results.append([*tf.nest.flatten(gradients), validated(one, state)[0]])
    for alone, among in zip(*results, strict=True):
        np.testing.assert_allclose(among, alone, rtol=1e-4, atol=1e-6)
    # Nor do they move a weight where there is nothing else.
    one = learner_of(name, mixed, batch_size=30)
    state = one.start(seeds)
    last = tf.constant(np.tile(np.arange(40, 70), [4, 1]))
    after, reports = one.step(state, one.rows, last, tf.constant(1.0))
    for before, weights in zip(trained(state), trained(after), strict=True):
        np.testing.assert_array_equal(weights, before)
    np.testing.assert_array_equal(reports["loss"], np.zeros(4))


def test_an_epoch_shows_every_transition_once_in_an_order_of_seed_and_epoch():
    one = learner_of("CartPole", batch_size=60)
    order = one.order([3, 4], 35, 5)  # of epoch 7
    assert order.shape == (2, 5, 60)
    for member in order:
        np.testing.assert_array_equal(np.sort(member.reshape(-1)), np.arange(300))
    assert not np.array_equal(order[0], order[1])
    assert not np.array_equal(order[0], one.order([3], 40, 5)[0])
    np.testing.assert_array_equal(order[1], one.order([4], 35, 5)[0])
    np.testing.assert_array_equal(order[:, 2:4], one.order([3, 4], 37, 2))
    # What remains after the last whole batch is left out.
    np.testing.assert_array_equal(np.unique(learner_of("CartPole").order([3], 0, 9)).size, 9 * 32)


@pytest.mark.parametrize("name", ENVS)
@uncompiled()
def test_validation_is_the_mean_over_all_rows(name, monkeypatch):
    monkeypatch.setattr(learner, "_VALIDATION_ROWS", 30)  # four parts, the last filled up
    data = VALIDATION[name].take(slice(94))
    one = learner_of(name, validation=data)
    state = one.start([0, 1, 2, 3])
    weights = [w.numpy() for w in trained(state)]
    with eagerly():
        errors = transition_errors(ENVS[name], one.networks[ROLE], weights, data)
    found, _ = validated(one, state)
    for i, metric in enumerate(one.metric_names):
        np.testing.assert_allclose(found[:, i], errors[metric].mean(axis=1), rtol=1e-5)


# Members


@pytest.mark.thorough
@each_kind(EQUIVARIANT)  # that of the MLP is the next one
def test_a_seed_has_the_same_numbers_whatever_the_others_are(name, fields):
    config = dataclasses.replace(CONFIG, **EPSILON, **fields)
    many = fit(range(6), None, name, config)  # filled up to 8
    few = fit([3, 7, 8], None, name, config)  # filled up to 4
    np.testing.assert_array_equal(few.loss[0], many.loss[3])
    for metric in few.validation:
        np.testing.assert_array_equal(few.validation[metric][0], many.validation[metric][3])
    for ours, theirs in zip(few.weights[ROLE], many.weights[ROLE], strict=True):
        np.testing.assert_array_equal(ours[0], theirs[3])
    assert len(np.unique(many.loss[:, -1])) == 6


def test_more_seeds_than_a_block_holds_are_trained_in_several():
    config = dataclasses.replace(CONFIG, num_epochs=1)
    many, few = (fit(seeds, config=config, validation=None) for seeds in (range(34), [33, 2]))
    np.testing.assert_array_equal(few.loss, many.loss[[33, 2]])
    for ours, theirs in zip(few.weights[ROLE], many.weights[ROLE], strict=True):
        np.testing.assert_array_equal(ours, theirs[[33, 2]])


def test_members_start_from_fresh_weights_of_their_seed():
    one = learner_of("Catch", kind="gcnn-proximal")
    state = one.start([3, 4, 5, 6])
    expected = models.fresh_weights([one.networks[ROLE]], 5)
    for stacked, weights in zip(trained(state), expected, strict=True):
        np.testing.assert_array_equal(stacked[2], weights)


def test_the_split_of_an_epoch_into_calls_changes_no_weight(finished, monkeypatch):
    monkeypatch.setattr(learner, "STEPS_PER_CALL", 4)
    seen = []
    split = fit(on_progress=seen.append)
    for ours, theirs in zip(split.weights[ROLE], finished.weights[ROLE], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_allclose(split.loss, finished.loss, rtol=1e-5)  # a sum in another order
    assert len(seen) == 2 + CONFIG.num_epochs * (3 + 1)  # and the validation
    shares = [progress.done for progress in seen]
    assert shares == sorted(shares) and shares[-1] == 1


# Runs


def test_the_run_folder_says_what_the_run_is(finished):
    run = json.loads((finished.run_dir / "run.json").read_text())
    assert TransitionModelConfig.from_json(run["config"]) == CONFIG
    assert (run["environment"], tuple(run["seeds"])) == ("CartPole", SEEDS)
    assert run["data"]["num_transitions"] == 300 and len(run["data"]["sha256"]) == 64
    assert run["data_provenance"] == DATA["CartPole"].provenance
    assert run["validation_provenance"] == VALIDATION["CartPole"].provenance
    assert run["versions"]["tensorflow"] == tf.__version__
    with (finished.run_dir / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(SEEDS) * CONFIG.num_epochs
    row = next(r for r in rows if (r["seed"], r["epoch"]) == ("3", "5"))
    np.testing.assert_allclose(float(row["loss"]), finished.loss[2, 4], rtol=1e-5)
    error = finished.validation["mean_square"][2, 4]
    np.testing.assert_allclose(float(row["validation_mean_square"]), error, rtol=1e-5)


def test_tensorboard_has_every_epoch(finished):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(finished.run_dir / "tensorboard"), {"tensors": 0})  # keep all
    events.Reload()
    found = events.Tensors("validation/mean_square")
    assert [event.step for event in found] == [1, 2, 3, 4, 5]
    value = tf.make_ndarray(found[-1].tensor_proto)
    np.testing.assert_allclose(value, finished.validation["mean_square"][:, -1].mean(), rtol=1e-5)
    assert len(events.Tensors("training/loss")) == 5


def test_the_trained_models_have_the_errors_of_the_curves(finished, tmp_path):
    finished.model(3).save(tmp_path / "model.keras")
    model = keras.models.load_model(tmp_path / "model.keras")
    errors = transition_errors(ENVS["CartPole"], model, None, VALIDATION["CartPole"])
    final = finished.validation["mean_square"][2, -1]
    np.testing.assert_allclose(errors["mean_square"].mean(), final, rtol=1e-4)
    with pytest.raises(ValueError, match="seed must be one of"):
        finished.model(1)


@pytest.mark.parametrize("stops", [(0,), (0.2, 0.6)], ids=str)
def test_an_interrupted_run_resumes_to_the_identical_result(finished, tmp_path, stops):
    folder = tmp_path / "run"
    for i, after in enumerate(stops):
        with pytest.raises(KeyboardInterrupt):
            fit(run_dir=folder, resume=i > 0, on_progress=Stop(after))
    assert_same(fit(run_dir=folder, resume=True), finished)
    assert [file.name for file in folder.glob(".*")] == [LOCK], "no partial files stay behind"


def test_an_epoch_that_was_interrupted_is_trained_again(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(learner, "STEPS_PER_CALL", 4)
    with pytest.raises(KeyboardInterrupt):
        fit(run_dir=tmp_path / "run", on_progress=Stop(0.5))
    seen = []
    resumed = fit(run_dir=tmp_path / "run", resume=True, on_progress=seen.append)
    assert seen[0].epochs == 2
    for ours, theirs in zip(resumed.weights[ROLE], finished.weights[ROLE], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_finished_run_is_read_without_compiling(finished):
    again = fit(run_dir=finished.run_dir, resume=True)
    assert_same(again, finished)
    assert (again.compile_seconds, again.run_seconds) == (0, finished.run_seconds)
    read = load_transition_result(finished.run_dir)
    assert_same(read, finished)
    assert (read.config, read.seeds, read.environment) == (CONFIG, SEEDS, "CartPole")
    for ours, theirs in zip(read.model(9).weights, finished.model(9).weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_run_that_cannot_be_read_is_named(finished, tmp_path):
    with pytest.raises(ValueError, match="must hold a run"):
        load_transition_result(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        fit(run_dir=tmp_path / "half", on_progress=Stop(0.4))
    half = load_transition_result(tmp_path / "half")
    assert (half.finished, half.loss.shape) == (False, (5, 2))
    np.testing.assert_array_equal(half.loss, finished.loss[:, :2])
    with pytest.raises(ValueError, match="env must be the environment of the run"):
        load_transition_result(finished.run_dir, envs.make("CartPole", max_episode_steps=7))
    (tmp_path / "half" / "checkpoint.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match="damaged"):
        fit(run_dir=tmp_path / "half", resume=True)
    np.savez(tmp_path / "half" / "checkpoint.npz", loss=np.zeros(3))
    with pytest.raises(ValueError, match="checkpoint must be one of this run"):
        fit(run_dir=tmp_path / "half", resume=True)


def test_a_run_of_the_other_trainer_is_named(finished, tmp_path):
    from tf_equirl.agents import load_result

    with pytest.raises(ValueError, match=r"run_dir must hold a run of train_ppo"):
        load_result(finished.run_dir)
    description = json.loads((finished.run_dir / "run.json").read_text())
    description["trainer"] = "train_ppo"
    description["identity"] = identity(description)
    (tmp_path / "run.json").write_text(json.dumps(description))
    with pytest.raises(ValueError, match="a run of fit_transition_model.*one of train_ppo"):
        load_transition_result(tmp_path)


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"config": dataclasses.replace(CONFIG, learning_rate=1e-3)}, r"learning_rate \(0.01 "),
        ({"seeds": (5, 0, 3)}, "seeds"),
        ({"validation": DATA["CartPole"]}, "validation_data"),
        ({"validation": None}, "validation_data"),
    ],
)
@pytest.mark.parametrize("resume", [True, False])
def test_a_folder_that_holds_another_run_is_refused(finished, changes, difference, resume):
    with pytest.raises(ValueError, match=f"holds another run; it differs in {difference}"):
        fit(**{"run_dir": finished.run_dir, "resume": resume, **changes})


def test_a_single_changed_number_of_the_data_makes_another_run(finished):
    data = DATA["CartPole"]
    physics = data.next_state.physics.copy()
    physics[17, 2] = np.nextafter(physics[17, 2], np.float32(9))
    other = dataclasses.replace(data, next_state=data.next_state._replace(physics=physics))
    with pytest.raises(ValueError, match="holds another run; it differs in data"):
        fit_transition_model(
            ENVS["CartPole"],
            other,
            CONFIG,
            SEEDS,
            finished.run_dir,
            validation=VALIDATION["CartPole"],
            resume=True,
        )


def test_a_seed_that_becomes_non_finite_costs_only_itself(finished, tmp_path, monkeypatch):
    start = TransitionLearner.start

    def poisoned(self, seeds):
        state = start(self, seeds)
        *others, last = trained(state)
        row = tf.one_hot(SEEDS.index(9), len(seeds))
        huge = last + tf.reshape(row, [-1] + [1] * (last.ndim - 1)) * 1e30
        return state._replace(weights=state.weights._replace(trained={ROLE: [*others, huge]}))

    monkeypatch.setattr(TransitionLearner, "start", poisoned)
    warned = pytest.warns(RuntimeWarning, match="seed 9 .* the others go on")
    message = r"seed 9 .* epoch 0\. Results .* 4 of 5"
    with warned, pytest.raises(NonFiniteError, match=message) as error:
        fit(run_dir=tmp_path / "run")
    result = error.value.result
    assert (error.value.seed, error.value.update, result.loss.shape) == (9, 0, (5, 5))
    assert np.isnan(result.loss[3]).all() and np.isnan(result.validation["mean_square"][3]).all()
    others = [0, 1, 2, 4]
    np.testing.assert_array_equal(result.loss[others], finished.loss[others])
    with (tmp_path / "run" / "results.csv").open() as file:
        assert {row["seed"] for row in csv.DictReader(file)} == {"5", "0", "3", "2"}


def test_without_validation_data_there_is_only_the_loss(tmp_path):
    seen = []
    result = fit(run_dir=tmp_path / "run", validation=None, on_progress=seen.append)
    assert result.validation == {} and result.metric_names == ("mean_square",)
    assert seen[-1].validation == {} and np.isfinite(seen[-1].loss)
    assert load_transition_result(tmp_path / "run").validation == {}


def test_progress_is_reported_before_and_after_compilation():
    seen = []
    result = fit(on_progress=seen.append)
    # Nine gradient steps and a validation in each of five epochs.
    shares = [0, 0, *(e / 5 + part for e in range(5) for part in (0.18, 0.2))]
    assert [p.done for p in seen] == pytest.approx(shares)
    assert seen[0].compile_seconds == 0 < seen[1].compile_seconds
    assert np.isnan(seen[1].loss) and seen[-2].steps_per_second > 0
    assert seen[-1].loss == pytest.approx(result.loss[:, -1].mean())
    final = result.validation["mean_square"][:, -1].mean()
    assert seen[-1].validation["mean_square"] == pytest.approx(final)


# Arguments


def _sum(observations=4, actions=2, outputs=4, layer=None):
    inputs = [keras.Input((observations,)), keras.Input((actions,))]
    x = keras.layers.Concatenate()(inputs)
    x = x if layer is None else layer(x)
    return keras.Model(inputs, keras.layers.Dense(outputs)(x))


def _changed(**fields):
    return dataclasses.replace(DATA["CartPole"], **fields)


def _with_nan():
    physics = DATA["CartPole"].state.physics.copy()
    physics[3, 1] = np.nan
    return _changed(state=DATA["CartPole"].state._replace(physics=physics))


def _all_over():
    state = DATA["CartPole"].state
    return _changed(state=state._replace(physics=state.physics + np.float32(3)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data": DATA["Catch"]}, "`data` must be of the environment CartPole"),
        ({"validation": DATA["Catch"]}, "`validation` must be of the environment CartPole"),
        ({"data": DATA["CartPole"].take([])}, "`data` must hold at least one transition"),
        ({"data": _with_nan()}, "`data.state` must hold finite numbers.*nan in row 3"),
        ({"data": _changed(action=DATA["CartPole"].action[:5])}, "data.state.physics"),
        ({"data": _all_over()}, "data must hold transitions from states that are not terminal"),
        ({"data": None}, "`data` must be a Transitions. Received: data=None"),
        ({"data": "joint"}, "`data` must be a Transitions. Received: data='joint'"),
        ({"env": "CartPool"}, "must be one of: Acrobot, CartPole"),
        ({"config": {"kind": "mlp"}}, "`config` must be a TransitionModelConfig"),
        ({"seeds": [1, 1]}, "`seeds` must be distinct integers"),
        ({"model": "mlp"}, "model must be a Keras 3 model"),
        ({"model": _sum(observations=5)}, "model must take a list of observations"),
        ({"model": _sum(outputs=3)}, r"model must give encoded states .*\(None, 3\)"),
        (
            {"model": _sum(layer=keras.layers.BatchNormalization())},
            "model must have trainable variables only",
        ),
        (
            {"model": _sum(layer=keras.layers.Dense(4, kernel_constraint="max_norm"))},
            "model must have no constraints.*a constraint of .*/kernel",
        ),
    ],
)
def test_bad_arguments_are_refused_before_any_work(tmp_path, arguments, message):
    arguments = {
        "env": "CartPole",
        "data": DATA["CartPole"],
        "config": CONFIG,
        "seeds": [0],
        **arguments,
    }
    with pytest.raises(ValueError, match=message):
        fit_transition_model(run_dir=tmp_path / "run", **arguments)
    assert not (tmp_path / "run").exists()


def test_resuming_needs_a_folder_that_holds_the_run(tmp_path):
    with pytest.raises(ValueError, match="run_dir=None"):
        fit(resume=True)
    with pytest.raises(ValueError, match="a run to resume"):
        fit(run_dir=tmp_path / "nothing", resume=True)
    (tmp_path / "thesis.txt").write_text("irreplaceable")
    with pytest.raises(ValueError, match="new or empty folder"):
        fit(run_dir=tmp_path)


def test_a_model_of_ones_own_is_trained_and_left_as_it_was():
    model = _sum()
    before = [w.copy() for w in model.get_weights()]
    result = fit(model=model)
    assert result.loss[:, -1].max() < result.loss[:, 0].min()
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert np.abs(result.weights[ROLE][0][0] - result.weights[ROLE][0][1]).max() > 0.01


def test_fewer_transitions_than_a_batch_are_one_batch():
    config = dataclasses.replace(CONFIG, num_epochs=3)
    data = DATA["CartPole"].take(slice(20))
    result = fit_transition_model(ENVS["CartPole"], data, config, range(4))
    assert (np.diff(result.loss, axis=1) < 0).all()


@uncompiled()
def test_boards_as_observations_are_learned_from_too():
    env = envs.make("Catch", observation="board")
    data = collect_transitions(env, "random", 200, seed=0)
    result = fit_transition_model(env, data, CONFIG, range(4))
    assert (result.loss[:, -1] < result.loss[:, 0]).all()


@uncompiled()
def test_an_equivariant_model_learns_all_of_catch_from_left_and_stay():
    env = ENVS["Catch"]
    pairs = all_transitions(env)
    half: Transitions = pairs.only_actions([0, 1])
    config = TransitionModelConfig(
        hidden_units=(32,), num_epochs=60, batch_size=45, learning_rate=3e-3
    )
    result = fit_transition_model(env, half, config, range(4), validation=pairs)
    accuracy = result.validation["accuracy"]
    # Nothing is learned at first; the mirror tells what right does.
    assert accuracy[:, 0].max() < 0.5 and accuracy[:, -1].min() == 1


@uncompiled()
def test_how_a_model_is_relaxed_is_the_configs_to_say():
    env = envs.make("CartPole", breaking="gain", kappa=2.0)
    data = collect_transitions(env, "random", 300, seed=0)
    config = dataclasses.replace(CONFIG, kind="relaxed", relaxation_banks=2)

    def layers(fields, seed=0):
        found = fit_transition_model(env, data, dataclasses.replace(config, **fields), range(2))
        return found.model(seed).layers

    def spread(fields):
        return max(x.spread() for x in layers(fields) if hasattr(x, "spread"))

    by_price = [spread({"relaxation_rate": 3.0, "spread_penalty": x}) for x in (0.0, 10.0)]
    assert by_price[0] > 0.02 and by_price[1] < by_price[0] / 2
    by_decay = [
        max(
            float(np.abs(x.free_kernel).max())
            for x in layers({"kind": "rpp", "prior_scale": 1.0, "free_decay": decay})
            if hasattr(x, "free_kernel")
        )
        for decay in (0.0, 10.0)
    ]
    assert by_decay[1] < 0.8 * by_decay[0]
    with pytest.raises(ValueError, match="`relaxation` must be of at most 2 banks"):
        build_model(env, dataclasses.replace(config, relaxation_banks=3))


# Hyperparameters


def test_the_defaults_are_the_thesis_hyperparameters():
    config = TransitionModelConfig()
    assert (config.hidden_units, config.batch_size) == ((64, 64, 64, 64), 256)
    assert (config.learning_rate, config.num_epochs) == (1e-4, 100)
    assert (config.adam_beta_1, config.adam_beta_2, config.adam_epsilon) == (0.9, 0.999, 1e-8)


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("kind", "gcnn", "one of mlp, cnn, gcnn-proximal"),
        ("hidden_units", (), "non-empty"),
        ("match_parameters", 0, "a positive integer"),
        ("predict_change", 1, "True or False"),
        ("selection", "softest", "one of hard, soft"),
        ("num_epochs", 0, "a positive integer"),
        ("batch_size", 2.0, "a positive integer"),
        ("learning_rate", float("nan"), "a positive number"),
        ("anneal_learning_rate", None, "True or False"),
        ("adam_beta_1", 1.0, "1 excluded"),
        ("adam_epsilon", 0, "a positive number"),
        ("max_gradient_norm", -1, "a positive number"),
        ("relaxation_banks", 0, "a positive integer"),
        ("prior_scale", -1.0, "a number of at least 0"),
    ],
)
def test_a_bad_field_is_named_with_its_rule_and_value(field, value, rule):
    with pytest.raises(ValueError, match=f"`{field}` must be") as error:
        TransitionModelConfig(**{field: value})
    assert rule in str(error.value)
    assert str(error.value).endswith(f"Received: {field}={value!r}")


def test_it_is_frozen_and_survives_json():
    config = TransitionModelConfig(hidden_units=[8, 4], max_gradient_norm=1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.kind = "mlp"
    assert TransitionModelConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    with pytest.raises(ValueError, match="TransitionModelConfig.*colour"):
        TransitionModelConfig.from_json({**config.to_json(), "colour": "blue"})


def test_configs_of_one_program_give_what_each_gives_alone(tmp_path):
    configs = [
        CONFIG,
        dataclasses.replace(CONFIG, learning_rate=1e-3),
        dataclasses.replace(CONFIG, anneal_learning_rate=True),
        dataclasses.replace(CONFIG, adam_beta_1=0.5),
    ]
    together = fit([4], tmp_path / "run", config=configs)
    for config, found in zip(configs, together, strict=True):
        alone = fit([4], config=config)
        np.testing.assert_array_equal(found.loss, alone.loss)
        for name, values in found.validation.items():
            np.testing.assert_array_equal(values, alone.validation[name])
        for ours, theirs in zip(found.weights[ROLE], alone.weights[ROLE], strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert len({r.weights[ROLE][0].tobytes() for r in together}) == len(configs)
    loaded = load_transition_result(tmp_path / "run")
    assert [r.config for r in loaded] == configs
    np.testing.assert_array_equal(loaded[2].loss, together[2].loss)
