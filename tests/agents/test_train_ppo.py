"""`train_ppo` and `load_result`, as a user calls them; `tests/training` tries the host's side."""

import csv
import dataclasses
import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from agent_cases import SEEDS, SMALL, Stop, assert_same
from compiling import compiles, uncompiled

from tf_equirl import envs, models, publishing
from tf_equirl.agents import NonFiniteError, PPOConfig, load_result, train_ppo
from tf_equirl.agents.ppo.learner import PPOLearner
from tf_equirl.envs.cartpole import CartPole
from tf_equirl.groups import intertwiner_basis
from tf_equirl.layers.dense import symmetrizer_dense
from tf_equirl.training import programs
from tf_equirl.training.checkpoint import open_checkpoint, write_checkpoint
from tf_equirl.training.run_folder import identity


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return train_ppo("CartPole", SMALL, SEEDS, tmp_path_factory.mktemp("runs") / "whole")


def test_the_run_folder_says_what_the_run_is(finished):
    run = json.loads((finished.run_dir / "run.json").read_text())
    assert PPOConfig.from_json(run["config"]) == SMALL
    assert (run["trainer"], run["environment"]) == ("train_ppo", "CartPole")
    assert (tuple(run["seeds"]), run["start_from"]) == (SEEDS, None)
    actor = keras.models.model_from_json(json.dumps(run["models"]["actor"]))
    assert actor.output_shape == (None, 2)


def test_the_results_are_tidy(finished):
    with (finished.run_dir / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(SEEDS) * SMALL.num_updates
    row = next(r for r in rows if r["seed"] == "3" and r["update"] == "11")
    assert row["timestep"] == str(60 * 12)
    last_update = finished.returns[SEEDS.index(3), -15:]
    np.testing.assert_allclose(float(row["mean_return"]), last_update.mean(), rtol=1e-5)
    saved = np.load(finished.run_dir / "returns.npz")
    np.testing.assert_array_equal(saved["returns"].reshape(-1, len(SEEDS)).T, finished.returns)
    assert list(finished.timesteps[:2]) == [4, 8]
    assert finished.timesteps[-1] == SMALL.total_timesteps
    assert np.isnan(finished.returns[:, 0]).all()  # nothing has ended yet
    first = next(r for r in rows if r["seed"] == "3" and r["update"] == "0")
    known = finished.returns[SEEDS.index(3), :15]
    np.testing.assert_allclose(float(first["mean_return"]), np.nanmean(known), rtol=1e-5)


def test_tensorboard_has_every_update(finished):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(finished.run_dir / "tensorboard"), {"tensors": 0})  # keep all
    events.Reload()
    steps = [event.step for event in events.Tensors("return/mean")]
    # Nothing is told of updates during which no seed knew a return from the start.
    by_update = finished.returns.reshape(len(SEEDS), -1, 15)
    told = ~np.isnan(by_update).any(axis=-1).all(axis=0)
    assert steps == [60 * (i + 1) for i in np.flatnonzero(told)] and told[-6:].all()
    value = tf.make_ndarray(events.Tensors("return/mean")[-1].tensor_proto)
    np.testing.assert_allclose(value, finished.returns[:, -15:].mean(), rtol=1e-5)


def test_the_trained_models_are_keras_models_with_the_seeds_weights(finished, tmp_path):
    actor = finished.actor(3)
    np.testing.assert_array_equal(actor.trainable_variables[0], finished.weights["actor"][0][2])
    actor.save(tmp_path / "actor.keras")
    states = np.random.default_rng(0).normal(size=(7, 4)).astype("float32")
    reloaded = keras.models.load_model(tmp_path / "actor.keras")
    np.testing.assert_array_equal(reloaded(states), actor(states))
    assert finished.critic(0)(states).shape == (7, 1)
    with pytest.raises(ValueError, match="seed must be one of"):
        finished.actor(1)


def test_an_interrupted_run_resumes_to_the_identical_result(finished, tmp_path):
    for i, after in enumerate((1, 5, 5)):
        with pytest.raises(KeyboardInterrupt):
            train_ppo(
                "CartPole", SMALL, SEEDS, tmp_path / "run", resume=i > 0, on_progress=Stop(after)
            )
    assert_same(train_ppo("CartPole", SMALL, SEEDS, tmp_path / "run", resume=True), finished)


def test_a_second_call_compiles_nothing_and_gives_the_same_bits(finished):
    kept, results = dict(programs._kept), []
    programs_of_it = [p for p in kept.values() if hasattr(p, "experimental_get_tracing_count")]
    traces = [p.experimental_get_tracing_count() for p in programs_of_it]

    def again():
        results.append(train_ppo("CartPole", SMALL, SEEDS))
        # Other seeds, another length, and the same networks as models.
        longer = dataclasses.replace(SMALL, total_timesteps=60 * 14)
        models = {"actor": finished.actor(3), "critic": finished.critic(3)}
        results.append(train_ppo("CartPole", longer, [8, 3, 1, 7, 6, 4], **models))

    # Fresh weights are drawn by operations that are compiled, or not, as TensorFlow likes.
    assert not compiles(again)
    assert dict(programs._kept) == kept
    assert [p.experimental_get_tracing_count() for p in programs_of_it] == traces
    assert_same(results[0], finished)
    shared = finished.returns.shape[1]
    np.testing.assert_array_equal(results[1].returns[1, :shared], finished.returns[2])


def test_a_seed_has_the_same_curve_whatever_the_others_are(finished):
    """In a block of four and in one of eight."""
    few = train_ppo("CartPole", SMALL, seeds=[3, 7, 8])
    np.testing.assert_array_equal(few.returns[0], finished.returns[2])
    for role, weights in few.weights.items():
        for ours, theirs in zip(weights, finished.weights[role], strict=True):
            np.testing.assert_array_equal(ours[0], theirs[2])
    assert not np.array_equal(finished.returns[0], finished.returns[2])


@pytest.mark.slow
@pytest.mark.parametrize("env", ["CartPole", "Catch"])
def test_a_seed_has_the_same_curve_in_a_block_of_any_size(env):
    config = dataclasses.replace(SMALL, actor="gcnn", critic="mlp")
    many = train_ppo(env, config, seeds=range(38))  # blocks of 32 and of 6, filled up to 8
    for seeds in (range(22, 35), range(30, 33)):  # filled up to 16, and to 4
        few = train_ppo(env, config, seeds=seeds)
        np.testing.assert_array_equal(few.returns, many.returns[seeds])
        for role, weights in few.weights.items():
            for ours, theirs in zip(weights, many.weights[role], strict=True):
                np.testing.assert_array_equal(ours, theirs[seeds])


def test_a_result_is_read_back_and_nothing_is_trained_or_written(finished, tmp_path, monkeypatch):
    folder = shutil.copytree(finished.run_dir, tmp_path / "run")
    files = [*folder.rglob("*"), folder]
    before = {p: p.stat().st_mtime_ns for p in files}
    for path in files:
        path.chmod(0o555 if path.is_dir() else 0o444)
    for owner, name in ((PPOLearner, "start"), (PPOLearner, "update"), (programs, "cached")):
        monkeypatch.setattr(owner, name, None)
    try:
        read = load_result(folder)
    finally:
        for path in files:
            path.chmod(0o755)
    assert_same(read, finished)
    assert (read.seeds, read.config, read.run_dir) == (SEEDS, SMALL, folder)
    assert (read.environment, read.run_seconds) == ("CartPole", finished.run_seconds)
    np.testing.assert_array_equal(read.timesteps, finished.timesteps)
    states = np.random.default_rng(0).normal(size=(7, 4)).astype("float32")
    for role in ("actor", "critic"):
        ours, theirs = read.model(role, 9)(states), finished.model(role, 9)(states)
        np.testing.assert_array_equal(ours, theirs)
    assert {p: p.stat().st_mtime_ns for p in [*folder.rglob("*"), folder]} == before


@pytest.mark.parametrize(
    "change",
    [
        {"seeds": [5, 0, 3, 9, 4]},
        {"seeds": [5, 0, 3]},
        {"config": {**SMALL.to_json(), "learning_rate": 0.1}},
        {"start_from": "cartpole-ppo-mlp"},
    ],
    ids=["seeds", "fewer seeds", "config", "start_from"],
)
def test_a_result_whose_description_was_edited_is_refused(finished, tmp_path, change):
    folder = shutil.copytree(finished.run_dir, tmp_path / "run")
    description = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**description, **change}))
    with pytest.raises(ValueError, match="run.json must be as it was written"):
        load_result(folder)
    edited = {**description, **change}
    (folder / "run.json").write_text(json.dumps({**edited, "identity": identity(edited)}))
    with pytest.raises(ValueError, match="the checkpoint must be one of this run"):
        load_result(folder)


def test_a_result_of_another_format_or_environment_is_refused(finished, tmp_path):
    with pytest.raises(ValueError, match="env must be the environment of the run"):
        load_result(finished.run_dir, CartPole(max_episode_steps=20))
    folder = shutil.copytree(finished.run_dir, tmp_path / "old")
    description = json.loads((folder / "run.json").read_text())
    del description["format"], description["trainer"]
    (folder / "run.json").write_text(json.dumps(description))
    with pytest.raises(ValueError, match="format 1.*read by the version of tf_equirl that made"):
        load_result(folder)
    with pytest.raises(ValueError, match="must hold a run"):
        load_result(tmp_path / "nothing")


def test_an_unfinished_run_loads_as_such(finished, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train_ppo("CartPole", SMALL, SEEDS, tmp_path / "run", on_progress=Stop(1))
    loaded = load_result(tmp_path / "run")
    assert (loaded.finished, finished.finished) == (False, True)
    steps = loaded.returns.shape[1]
    assert 0 < steps < finished.returns.shape[1]
    np.testing.assert_array_equal(loaded.returns, finished.returns[:, :steps])
    with pytest.raises(ValueError, match="must hold a finished run; resume it first"):
        publishing.publish(tmp_path / "run", "half-trained", 1, tmp_path / "zoo")


def test_a_run_from_before_a_field_of_the_config_existed_is_still_known(finished, tmp_path):
    folder = shutil.copytree(finished.run_dir, tmp_path / "old")
    description = json.loads((folder / "run.json").read_text())
    added = "actor_initializer", "activation", "augmentation", "consistency_coefficient"
    for field in added:
        del description["config"][field]
    then = identity(description)
    (folder / "run.json").write_text(json.dumps({**description, "identity": then}))
    # The checkpoint as it would have been then.
    with open_checkpoint(folder / "checkpoint.npz", description["identity"]) as checkpoint:
        arrays = checkpoint.read_all(lambda name: True)
    write_checkpoint(folder / "checkpoint.npz", then, arrays)
    assert_same(train_ppo("CartPole", SMALL, SEEDS, folder, resume=True), finished)
    assert_same(load_result(folder), finished)


def test_a_seed_that_becomes_non_finite_costs_only_itself(finished, tmp_path, monkeypatch):
    start = PPOLearner.start

    def poisoned(self, seeds):
        state = start(self, seeds)
        row = tf.one_hot(SEEDS.index(9), len(seeds))
        *others, bias = state.weights.trained["critic"]
        huge = bias + row[:, None] * 1e30  # the critic's last bias, squared: infinite
        trained = {**state.weights.trained, "critic": [*others, huge]}
        return state._replace(weights=state.weights._replace(trained=trained))

    monkeypatch.setattr(PPOLearner, "start", poisoned)
    warned = pytest.warns(RuntimeWarning, match="seed 9 .* the others go on")
    with warned, pytest.raises(NonFiniteError, match=r"seed 9 .* update 0, timestep 60") as error:
        train_ppo("CartPole", SMALL, SEEDS, tmp_path / "run")
    assert (error.value.seed, error.value.update) == (9, 0)
    assert "learning_rate" in str(error.value)  # it was not the environment
    result = error.value.result
    for row, seed in enumerate(SEEDS):
        if seed == 9:
            assert np.isnan(result.returns[row]).all()
        else:
            np.testing.assert_array_equal(result.returns[row], finished.returns[row])
    with (tmp_path / "run" / "results.csv").open() as file:
        assert {row["seed"] for row in csv.DictReader(file)} == {"5", "0", "3", "2"}


@uncompiled()
def test_any_keras_models_of_the_right_shapes_are_trained():
    actor = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(8, "silu"), keras.layers.Dense(2)]
    )
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(8, "tanh")(inputs)
    both = keras.layers.Concatenate()([inputs, hidden])
    critic = keras.Model(inputs, keras.layers.Dense(1)(both))
    before = [w.copy() for w in actor.get_weights()]
    result = train_ppo("CartPole", SMALL, range(4), actor=actor, critic=critic)
    assert np.abs(result.actor(0).get_weights()[0] - result.actor(1).get_weights()[0]).max() > 0.01
    for old, new in zip(before, actor.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def _stack(*layers):
    return keras.Sequential([keras.Input((4,)), *layers])


def _sharing():
    inputs = keras.Input((4,))
    trunk = keras.layers.Dense(8, "relu")(inputs)
    heads = [keras.layers.Dense(n)(trunk) for n in (2, 1)]
    return [keras.Model(inputs, head) for head in heads]


_SHARED = _sharing()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"actor": _stack(keras.layers.Dense(3))}, r"actor must give one logit .*\(None, 3\)"),
        ({"critic": _stack(keras.layers.Dense(2))}, r"critic must give one value.*\(None, 2\)"),
        (
            {"actor": keras.Sequential([keras.Input((5,)), keras.layers.Dense(2)])},
            r"actor must take observations of CartPole, shape \(None, 4\).*\(None, 5\)",
        ),
        (
            {"actor": keras.Sequential([keras.layers.Dense(2)])},
            "actor must be a functional or Sequential model that knows its input shape",
        ),
        ({"actor": _SHARED[0], "critic": _SHARED[1]}, "actor and critic must not share variables"),
        ({"env": object()}, "must be one of: Acrobot, CartPole"),
        ({"actor": "gcnn"}, "actor must be a Keras 3 model. Received: actor of type str"),
        (
            {"actor": _stack(keras.layers.BatchNormalization(), keras.layers.Dense(2))},
            "actor must have trainable variables only",
        ),
        (
            {"critic": _stack(keras.layers.Dense(1, bias_constraint="non_neg"))},
            "critic must have no constraints.*critic with a constraint of .*/bias",
        ),
        (
            {"actor": _stack(keras.layers.Dense(2, activity_regularizer="l1", name="active"))},
            "actor with an activity_regularizer of active",
        ),
        ({"seeds": []}, "`seeds` must be distinct integers"),
        ({"seeds": [1, 1]}, "`seeds` must be distinct integers"),
        ({"seeds": [-1]}, "`seeds` must be distinct integers"),
        ({"seeds": 3}, "`seeds` must be distinct integers"),
        ({"seeds": [2**31]}, "`seeds` must be distinct integers"),
        ({"config": {"actor": "mlp"}}, "`config` must be a PPOConfig"),
        ({"env": "CartPool"}, "CartPole"),
    ],
)
def test_bad_arguments_are_refused_before_any_work(tmp_path, arguments, message):
    arguments = {"env": "CartPole", "config": SMALL, "seeds": [0], **arguments}
    with pytest.raises(ValueError, match=message):
        train_ppo(run_dir=tmp_path / "run", **arguments)
    assert not (tmp_path / "run").exists()


def test_progress_is_reported_before_and_after_every_call():
    seen = []
    train_ppo("CartPole", SMALL, SEEDS, on_progress=seen.append)
    assert [p.updates for p in seen[:2]] == [0, 0]
    assert seen[0].compile_seconds == 0 < seen[1].compile_seconds
    assert [p.updates for p in seen] == sorted(p.updates for p in seen)
    assert seen[-1].updates == seen[-1].num_updates == SMALL.num_updates
    assert seen[-1].timesteps == SMALL.total_timesteps
    assert seen[-1].steps_per_second > 0 and np.isfinite(seen[-1].mean_return)


def test_an_equivariant_agent_learns_and_stays_equivariant():
    env = envs.make("CartPole")
    config = dataclasses.replace(SMALL, learning_rate=3e-3, total_timesteps=60 * 341)
    result = train_ppo(env, config, seeds=range(8))
    first, last = result.returns[:, 64:128].mean(), result.returns[:, -256:].mean()
    # A random policy stays near 22; 20,000 steps bring the mean of eight seeds to some 360.
    assert first < 40 and last > 150
    actor, symmetry = result.actor(4), env.symmetry
    states = np.random.default_rng(1).normal(size=(100, 4)).astype("float32")
    logits = actor(states).numpy()
    for state_matrix, action_matrix in zip(
        symmetry.state.matrices, symmetry.action.matrices, strict=True
    ):
        moved = actor((states @ state_matrix.T).astype("float32")).numpy()
        error = np.abs(moved - logits @ action_matrix.T).max() / np.abs(logits).max()
        assert error < 1e-5


@pytest.mark.thorough
@uncompiled()
def test_sampled_bases_stay_those_of_the_model_that_was_trained(tmp_path, monkeypatch):
    """Also where a copy, or the process that resumes or reads, would compute other ones."""
    config = dataclasses.replace(SMALL, actor="symmetrizer-sampled")
    actor = models.actor(envs.make("CartPole").symmetry, "symmetrizer-sampled", (7, 5))
    count = len(actor.trainable_variables)
    bases = [v.numpy() for v in actor.non_trainable_variables]
    assert len(bases) == 6
    whole = train_ppo("CartPole", config, SEEDS, actor=actor)
    with pytest.raises(KeyboardInterrupt):
        train_ppo(
            "CartPole", config, SEEDS, tmp_path / "run", actor=actor, on_progress=Stop(after=3)
        )

    def turned(inputs, outputs, seed):
        basis = intertwiner_basis(inputs, outputs)
        noise = np.random.default_rng(7).normal(size=(len(basis), len(basis)))
        return np.tensordot(np.linalg.qr(noise)[0], basis, axes=1)

    monkeypatch.setattr(symmetrizer_dense, "_sampled_basis", turned)
    other = keras.models.clone_model(actor)
    assert np.abs(other.non_trainable_variables[0].numpy() - bases[0]).max() > 0.01
    resumed = train_ppo("CartPole", config, SEEDS, tmp_path / "run", actor=other, resume=True)
    assert_same(resumed, whole)
    for result in (whole, resumed, load_result(tmp_path / "run")):
        trained = result.actor(9)
        for variable, basis in zip(trained.non_trainable_variables, bases, strict=True):
            np.testing.assert_array_equal(variable.numpy(), basis)
        weights = whole.weights["actor"][:count]
        for variable, stacked in zip(trained.trainable_variables, weights, strict=True):
            np.testing.assert_array_equal(variable.numpy(), stacked[SEEDS.index(9)])
    started = models.fresh_weights([actor], 9)
    assert np.abs(whole.weights["actor"][0][SEEDS.index(9)] - started[0]).max() > 1e-3


def test_a_frozen_kernel_is_no_basis():
    actor = models.actor(envs.make("CartPole").symmetry, "symmetrizer-sampled", (8,))
    actor.layers[2].trainable = False
    with pytest.raises(ValueError, match="trainable variables only. Received: .*/kernel'"):
        train_ppo("CartPole", SMALL, [0], actor=actor)


def test_models_are_built_from_the_config():
    config = PPOConfig(actor="gcnn", critic="invariant", match_parameters=4610)
    actor, critic = config.networks(envs.make("CartPole"))
    assert abs(actor.count_params() / 4610 - 1) < 0.01
    expected = models.critic(envs.make("CartPole").symmetry, "invariant", (64, 64))
    assert critic.count_params() == expected.count_params()
    config = dataclasses.replace(config, match_critic_parameters=1500, actor_initializer="ones")
    actor, critic = config.networks(envs.make("CartPole"))
    assert np.all(actor.layers[1].kernel.numpy() == 1)
    assert abs(critic.count_params() / 1500 - 1) < 0.03
