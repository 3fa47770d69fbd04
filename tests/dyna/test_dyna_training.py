"""A run of `train_dyna` as a whole: what it equals, what it keeps, how it is interrupted."""

import csv
import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from dyna_cases import CUPS, NoReward, begin_planning, exact_model, learner_of

from tf_equirl import envs, zoo
from tf_equirl.agents import NonFiniteError, PPOConfig, train_ppo
from tf_equirl.dyna import DynaConfig, load_dyna_result, train, train_dyna
from tf_equirl.dyna.learner import DynaLearner
from tf_equirl.dynamics.model_loss import ROLE
from tf_equirl.evaluation.equivariance import model_equivariance_error
from tf_equirl.testing import equivariance_error
from tf_equirl.training.population import Weights
from tf_equirl.training.run_folder import RunFolder, describe

PPO = {
    "actor": "odd",
    "critic": "invariant",
    "hidden_units": (8,),
    "num_environments": 4,
    "rollout_steps": 16,
    "num_epochs": 2,
    "num_minibatches": 2,
    "total_timesteps": 64 * 6,
    "learning_rate": 3e-3,
}
CONFIG = DynaConfig.from_flat(
    **PPO,
    planning_ratio=1.5,
    dyna_iterations=3,
    # As many models and rows as make XLA's rounding depend on how many seeds there are, unless
    # the models of a seed take turns.
    ensemble_size=3,
    buffer_size=64 * 3,
    model_hidden_units=(16,),
    model_epochs=31.0,
    model_batch_size=50,
    model_learning_rate=1e-2,
)
SEEDS = (5, 0, 3, 9, 2)
ITERATIONS = 3


class Record:
    """Keeps what is told; interrupts a run as Ctrl-C does, the nth time that a part is told of."""

    def __init__(self, part=None, times=1):
        self.part, self.left, self.told = part, times, []

    def __call__(self, progress):
        self.told.append(progress)
        self.left -= progress.part == self.part
        if self.part and not self.left:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def progress():
    return Record()


@pytest.fixture(scope="module")
def finished(tmp_path_factory, progress):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    return train_dyna("CartPole", CONFIG, SEEDS, folder, on_progress=progress)


@pytest.fixture(scope="module")
def model_free():
    return train_ppo("CartPole", PPOConfig(**PPO), SEEDS)


def assert_same(a, b, of=slice(None), there=slice(None), rounding=0.0):
    """The seeds `of` the one are those `there` of the other; losses and weights to `rounding`."""

    def check(x, y, atol=rounding):
        np.testing.assert_allclose(x[of], y[there], rtol=0, atol=atol)

    for field in ("returns", "first_returns", "planned_updates", "imagined_returns"):
        check(getattr(a, field), getattr(b, field), atol=0)
    for field in ("metrics", "model_metrics"):
        ours, theirs = getattr(a, field), getattr(b, field)
        assert ours.keys() == theirs.keys()
        for name in ours:
            check(ours[name], theirs[name])
    assert a.weights.keys() == b.weights.keys() == {"actor", "critic", ROLE}
    for role, weights in a.weights.items():
        for x, y in zip(weights, b.weights[role], strict=True):
            check(x, y)
    np.testing.assert_array_equal(a.planning_timesteps, b.planning_timesteps)


# What a run equals


@pytest.mark.parametrize(
    "fields",
    [{"planning_ratio": 0}, pytest.param({"max_model_error": 0.0}, marks=pytest.mark.slow)],
    ids=str,
)
def test_a_run_that_never_plans_is_train_ppo_to_the_last_bit(fields, model_free):
    progress = Record()
    config = dataclasses.replace(CONFIG, **fields)
    result = train_dyna("CartPole", config, SEEDS, on_progress=progress)
    np.testing.assert_array_equal(result.returns, model_free.returns)
    np.testing.assert_array_equal(result.first_returns, model_free.first_returns)
    for name, values in model_free.metrics.items():
        np.testing.assert_array_equal(result.metrics[name], values)
    for role, weights in model_free.weights.items():
        for ours, theirs in zip(result.weights[role], weights, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert not result.planned_updates.any()
    assert np.isnan(result.imagined_returns).all()
    if "max_model_error" in fields:  # planned, and undone
        assert {p.part for p in progress.told} == {"act and update", "fit", "plan"}
        assert (result.model_metrics["mean_square"] > 0).all()
    else:
        assert {p.part for p in progress.told} == {"act and update"}
        assert result.seconds["fit"] == result.seconds["plan"] == 0
        assert np.isnan(result.model_metrics["mean_square"]).all()


@pytest.mark.thorough
def test_planning_makes_a_difference_once_it_has_begun(finished, model_free):
    # The first iteration ends after two updates of 16 steps.
    np.testing.assert_array_equal(finished.returns[:, :32], model_free.returns[:, :32])
    for member in range(len(SEEDS)):
        assert np.any(finished.returns[member, 32:] != model_free.returns[member, 32:])


@pytest.mark.thorough
def test_a_seed_has_the_same_curve_whatever_the_others_are(finished):
    """In a block of four and in one of eight, which round alike on processors with AVX-512."""
    few = train_dyna("CartPole", CONFIG, [3, 7, 8])
    assert_same(few, finished, of=0, there=SEEDS.index(3), rounding=1e-6)
    assert np.any(finished.returns[0] != finished.returns[1])


@pytest.mark.parametrize(
    "stops",
    [
        # Before anything is compiled; in the midst of a fit, and at its end.
        [("act and update", 1), ("fit", 1), ("fit", 1)],
        [("plan", 1), ("act and update", 3), ("plan", 1)],
    ],
    ids=str,
)
def test_an_interrupted_run_resumes_to_the_identical_result(finished, tmp_path, stops):
    folder = tmp_path / "run"
    for i, (part, times) in enumerate(stops):
        stop = Record(part, times)
        with pytest.raises(KeyboardInterrupt):
            train_dyna("CartPole", CONFIG, SEEDS, folder, resume=i > 0, on_progress=stop)
        assert stop.told[-1].part == part and stop.told[-1].done < 1
    resumed = train_dyna("CartPole", CONFIG, SEEDS, folder, resume=True)
    assert_same(resumed, finished)
    for name in ("planning.csv", "results.csv"):
        assert (folder / name).read_text() == (finished.run_dir / name).read_text()
    assert sum(resumed.seconds.values()) == pytest.approx(resumed.run_seconds)


def test_resuming_a_finished_run_gives_its_result_without_compiling(finished):
    again = train_dyna("CartPole", CONFIG, SEEDS, finished.run_dir, resume=True)
    assert_same(again, finished)
    assert again.compile_seconds == 0
    assert (again.run_seconds, again.seconds) == (finished.run_seconds, finished.seconds)


def test_a_result_is_read_back_and_nothing_is_written(finished):
    files = {file: file.stat().st_mtime_ns for file in finished.run_dir.rglob("*")}
    read = load_dyna_result(finished.run_dir)
    assert_same(read, finished)
    assert read.finished
    assert (read.config, read.seeds, read.seconds) == (CONFIG, SEEDS, finished.seconds)
    for index in (0, 1):
        ours, theirs = (r.transition_model(9, index).weights for r in (read, finished))
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a, b)
    assert files == {file: file.stat().st_mtime_ns for file in finished.run_dir.rglob("*")}


# What it keeps


def test_what_is_reported_of_planning(finished):
    assert finished.planning_timesteps.tolist() == [128, 256, 384]
    assert finished.planned_updates.tolist() == [[3] * ITERATIONS] * len(SEEDS)
    assert finished.imagined_returns.shape == (len(SEEDS), ITERATIONS)
    errors = finished.model_metrics["mean_square"]
    assert errors.shape == (len(SEEDS), ITERATIONS) and (errors > 0).all()
    assert (errors[:, -1] < errors[:, 0]).all()  # fits go on where the last one ended
    assert set(finished.seconds) == {"act and update", "fit", "plan"}
    assert sum(finished.seconds.values()) == pytest.approx(finished.run_seconds)


def test_the_folder_holds_the_planning(finished):
    with (finished.run_dir / "planning.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(SEEDS) * ITERATIONS
    row = next(r for r in rows if r["seed"] == "3" and r["timestep"] == "256")
    assert row["planned_timesteps"] == str(3 * 64)
    member = SEEDS.index(3)
    for name, values in (
        ("imagined_return", finished.imagined_returns),
        ("mean_square", finished.model_metrics["mean_square"]),
    ):
        np.testing.assert_allclose(float(row[name]), values[member, 1], rtol=1e-5)
    run = json.loads((finished.run_dir / "run.json").read_text())
    assert DynaConfig.from_json(run["config"]) == CONFIG
    assert run["frozen_model"] is None and set(run["models"]) == {"actor", "critic", ROLE}


def test_progress_is_told_of_every_part(finished, progress):
    told = progress.told
    parts = [p.part for p in told]
    order = [p for i, p in enumerate(parts) if i == 0 or p != parts[i - 1]]
    assert order == ["act and update", "fit", "plan"] * ITERATIONS
    done = [p.done for p in told]
    assert done == sorted(done) and done[0] == 0 and done[-1] == 1
    # 6 real and 9 planned updates.
    fits = [p for p in told if p.part == "fit"]
    np.testing.assert_allclose(sorted({p.done for p in fits}), [2 / 15, 7 / 15, 12 / 15])
    last = told[-1]
    assert (last.timesteps, last.total_timesteps, last.planned_timesteps) == (384, 384, 9 * 64)
    assert np.isnan(told[0].model_error) and np.isnan(told[0].mean_return)
    expected = finished.model_metrics["mean_square"][:, -1].mean()
    assert last.model_error == pytest.approx(expected, rel=1e-5)


def test_every_model_of_an_ensemble_is_one_of_its_own(finished):
    states = np.random.default_rng(0).normal(size=(7, 4)).astype("float32")
    inputs = [tf.constant(states), tf.one_hot([0, 1, 1, 0, 1, 0, 0], 2)]
    outputs = []
    for row, seed in enumerate(SEEDS):
        for index in range(3):
            model = finished.transition_model(seed, index)
            for variable, stacked in zip(
                model.trainable_variables, finished.weights[ROLE], strict=True
            ):
                assert stacked.shape == (len(SEEDS), 3, *variable.shape)
                np.testing.assert_array_equal(variable, stacked[row, index])
            outputs.append(model(inputs).numpy())
    for i, a in enumerate(outputs):
        assert all(np.abs(a - b).max() > 1e-3 for b in outputs[:i])
    np.testing.assert_array_equal(finished.transition_model(0)(inputs), outputs[3])
    with pytest.raises(ValueError, match=r"index must be from 0 to 2\. Received: index=3"):
        finished.transition_model(0, 3)
    with pytest.raises(ValueError, match="seed must be one of"):
        finished.transition_model(1)


def test_networks_and_weights_are_found_by_role(finished):
    roles = ("actor", "critic", ROLE)
    assert tuple(finished.weights) == tuple(finished.networks) == roles
    observations = np.random.default_rng(0).normal(size=(7, 4)).astype("float32")
    pairs = [tf.constant(observations), tf.one_hot([0, 1, 1, 0, 1, 0, 0], 2)]
    for role, alone, inputs in zip(
        roles,
        (finished.actor, finished.critic, finished.transition_model),
        (observations, observations, pairs),
        strict=True,
    ):
        outputs = [finished.model(role, seed)(inputs).numpy() for seed in SEEDS]
        for seed, expected in zip(SEEDS, outputs, strict=True):
            np.testing.assert_array_equal(alone(seed)(inputs), expected)
        assert all(np.any(outputs[i] != outputs[j]) for i in range(5) for j in range(i))
        variables = finished.networks[role].variables
        assert len(finished.weights[role]) == len(variables)
    with pytest.raises(ValueError, match=f"role must be one of {', '.join(roles)}.*'policy'"):
        finished.model("policy", 5)
    perfect = dataclasses.replace(
        finished, networks={role: finished.networks[role] for role in roles[:2]}
    )
    for call in (perfect.transition_model, lambda seed: perfect.model(ROLE, seed)):
        with pytest.raises(ValueError, match="no transition model where planning is done in the"):
            call(5)


def test_what_is_equivariant_stays_so(finished):
    env = envs.make("CartPole")
    symmetry, rng = env.symmetry, np.random.default_rng(0)
    pairs = rng.normal(size=(50, 6)).astype("float32")
    for seed in (5, 2):
        for model in (finished.actor(seed), finished.critic(seed)):
            # float32 rounding
            assert model_equivariance_error(model, env, states=100).max < 1e-5
        for index in range(3):
            model = finished.transition_model(seed, index)
            error = equivariance_error(
                lambda x, m=model: m([tf.constant(x[:, :4]), tf.constant(x[:, 4:])]).numpy(),
                pairs,
                symmetry.state + symmetry.action,
                env.transition_head.representation,
            )
            assert error.max < 1e-5


# What stops it


def test_a_model_that_becomes_non_finite_costs_its_seed_and_is_named(
    finished, tmp_path, monkeypatch
):
    start = DynaLearner.start

    def poisoned(self, seeds):
        state = start(self, seeds)
        *others, last = state.model.trained[ROLE]
        last = last.numpy()
        last[3 * SEEDS.index(9) + 1] = np.nan  # the second model of the seed
        weights = Weights({ROLE: [*others, tf.constant(last)]}, state.model.fixed)
        return state._replace(model=weights)

    monkeypatch.setattr(DynaLearner, "start", poisoned)
    folder = tmp_path / "run"
    warned = pytest.warns(RuntimeWarning, match="seed 9 .* the others go on")
    message = r"seed 9 .*held-out .* timestep 128\..*4 of 5"
    with warned, pytest.raises(NonFiniteError, match=message) as error:
        train_dyna("CartPole", CONFIG, SEEDS, folder)
    assert (error.value.seed, error.value.update) == (9, 2)
    result, lost = error.value.result, SEEDS.index(9)
    others = [row for row in range(len(SEEDS)) if row != lost]
    np.testing.assert_array_equal(result.returns[others], finished.returns[others])
    np.testing.assert_array_equal(result.planned_updates[others], finished.planned_updates[others])
    np.testing.assert_array_equal(result.returns[lost, :32], finished.returns[lost, :32])
    assert np.isnan(result.returns[lost, 32:]).all()
    assert not result.planned_updates[lost].any()
    with (folder / "results.csv").open() as file:
        rows = [row["seed"] for row in csv.DictReader(file)]
    assert rows.count("9") == 2 < rows.count("0")
    loaded = load_dyna_result(folder)
    np.testing.assert_array_equal(loaded.returns, result.returns)


def with_model(**fields):
    return dataclasses.replace(CONFIG, model=dataclasses.replace(CONFIG.model, **fields))


@pytest.mark.parametrize(
    ("env", "arguments", "message"),
    [
        (NoReward(), {}, "Cups must define `reward` for planning"),
        ("CartPole", {"config": PPOConfig()}, "`config` must be a DynaConfig"),
        (
            "CartPole",
            {"frozen_model": "catch-transition-gcnn"},
            "frozen_model must be a model of C",
        ),
        ("CartPole", {"frozen_model": "cartpole-ppo-gcnn"}, "cartpole-ppo-gcnn"),
        (
            "CartPole",
            {"frozen_model": exact_model()},
            "frozen_model must take a list of obs.* CartP",
        ),
        (
            CUPS,
            {"frozen_model": exact_model(), "config": CONFIG},
            "ensemble_size must be 1 with a frozen model. Received: ensemble_size=3",
        ),
        (
            "Catch",
            {"config": with_model(predict_change=True)},
            "`predict_change` must be False",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_bad_arguments_are_refused_before_any_work(tmp_path, env, arguments, message):
    arguments = {"config": dataclasses.replace(CONFIG, ensemble_size=1), **arguments}
    with pytest.raises(ValueError, match=message):
        train_dyna(env, seeds=[0], run_dir=tmp_path / "run", **arguments)
    assert not (tmp_path / "run").exists()


def test_the_environment_itself_needs_no_reward_function():
    config = dataclasses.replace(CONFIG, model=None)
    assert train.transition_model(NoReward(), config) == (None, None)


def test_a_model_of_the_zoo_may_have_layers_named_as_those_of_the_agent(tmp_path):
    """Keras names the agent's by a count, the zoo's have the names that they were saved with."""
    described = describe("train_dyna", envs.make("CartPole"), CONFIG, SEEDS, {})

    def claim(actor, critic, resume):
        models = {"actor": actor, "critic": critic, ROLE: ["dense", "dense_2"]}
        known = {**described, "models": models, "frozen_model": "zoo"}
        with RunFolder(tmp_path / "run", known).claimed(resume):
            pass

    claim(["dense", "dense_1", "dense"], ["dense_2"], resume=False)
    claim(["dense_7", "dense_8", "dense_7"], ["dense_9"], resume=True)
    with pytest.raises(ValueError, match="it differs in the models"):
        claim(["dense_7", "dense_8", "dense_8"], ["dense_9"], resume=True)


def test_a_folder_is_needed_to_resume():
    with pytest.raises(ValueError, match="run_dir=None"):
        train_dyna("CartPole", CONFIG, SEEDS, resume=True)


# A model that is not trained further


SINGLE = dataclasses.replace(
    CONFIG, ensemble_size=1, agent=dataclasses.replace(CONFIG.agent, actor="gcnn")
)


@pytest.mark.parametrize("kind", ["zoo", "keras"])
def test_a_frozen_model_keeps_its_weights(kind):
    env = envs.make("CartPole" if kind == "zoo" else CUPS)
    given = "cartpole-transition-gcnn" if kind == "zoo" else exact_model()
    model, described = train.transition_model(env, SINGLE, given)
    trained = zoo.load(given).transition_model if kind == "zoo" else given
    assert described is not None and (kind == "keras" or given in described)
    learner = DynaLearner(SINGLE.agent.learner(env), SINGLE, model, described)
    assert learner.schedule.fitted == [0] * ITERATIONS and "fit" not in learner.stages
    state = learner.start([3, 4, 5, 6])
    assert not state.model_adam.first
    weights = [*state.model.trained[ROLE], *state.model.fixed[ROLE]]
    variables = [*trained.trainable_variables, *trained.non_trainable_variables]
    for stacked, variable in zip(weights, variables, strict=True):
        np.testing.assert_array_equal(stacked, [variable] * 4)


def unnamed_model(fill):
    """As a user writes one: Keras numbers its name."""
    inputs = [keras.Input((3,)), keras.Input((3,))]
    dense = keras.layers.Dense(3)
    model = keras.Model(inputs, dense(keras.layers.Concatenate()(inputs)))
    dense.kernel.assign(np.full([6, 3], fill))
    return model


def test_the_run_of_a_frozen_model_goes_on_with_that_model_alone(tmp_path):
    def begin(model, resume):
        stop = Record("act and update")
        train_dyna(
            CUPS,
            SINGLE,
            [0],
            tmp_path / "run",
            frozen_model=model,
            resume=resume,
            on_progress=stop,
        )

    with pytest.raises(KeyboardInterrupt):
        begin(unnamed_model(0.5), resume=False)
    with pytest.raises(KeyboardInterrupt):
        begin(unnamed_model(0.5), resume=True)
    with pytest.raises(ValueError, match="it differs in frozen_model"):
        begin(unnamed_model(0.25), resume=True)


def test_planning_in_the_environment_itself_has_no_model(tmp_path):
    """Of its run nothing but the beginning: the rest is tested with models."""
    config = dataclasses.replace(SINGLE, model=None)
    for resume in (False, True):
        with pytest.raises(KeyboardInterrupt):
            stop = Record("act and update")
            train_dyna(CUPS, config, [0], tmp_path / "run", resume=resume, on_progress=stop)
    learner = learner_of(CUPS, config)
    assert learner.schedule.fitted == [0] * ITERATIONS and "fit" not in learner.stages
    state = learner.start([0, 1, 2, 3])
    assert not tf.nest.flatten(state.model)
    state, metrics = begin_planning(learner, state, 0, 64, 3)
    assert list(metrics) == ["finite"] and metrics["finite"].numpy().all()
    assert state.planning.limit.numpy().tolist() == [3] * 4


@pytest.mark.thorough
def test_configs_of_one_program_give_what_each_gives_alone(tmp_path):
    """Ensembles, whose models are members of their own, too."""
    fields = {**CONFIG.flat(), "total_timesteps": 64 * 2, "dyna_iterations": 1, "ensemble_size": 2}
    values = ({}, {"learning_rate": 1e-2, "gae_lambda": 0.5}, {"model_learning_rate": 1e-4})
    configs = [DynaConfig.from_flat(**{**fields, **changed}) for changed in values]
    together = train_dyna("CartPole", configs, [4], tmp_path / "run")
    for config, found in zip(configs, together, strict=True):
        alone = train_dyna("CartPole", config, [4, 1, 2])  # in a block of four, as the others
        assert found.config == config
        assert set(found.weights) == {"actor", "critic", ROLE}
        for role, weights in found.weights.items():
            for ours, theirs in zip(weights, alone.weights[role], strict=True):
                np.testing.assert_array_equal(ours[0], theirs[0])
        for name, values in found.model_metrics.items():
            np.testing.assert_array_equal(values[0], alone.model_metrics[name][0])
    first = [r.weights[ROLE][0].tobytes() for r in together]
    assert first[0] == first[1] != first[2], "the agent's numbers are none of the model's"
    assert [r.config for r in load_dyna_result(tmp_path / "run")] == configs
    with pytest.raises(ValueError, match=r"planning_ratio=1.5 in config\[0\], planning_ratio=3.0"):
        train_dyna(
            "CartPole", [configs[0], dataclasses.replace(configs[0], planning_ratio=3.0)], [4]
        )
