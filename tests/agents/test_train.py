"""The host's side of training: run folder, resume, interruption, failure, bad input."""

import csv
import dataclasses
import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_equirl import envs, models
from tf_equirl.agents import NonFiniteError, PPOConfig, train_ppo
from tf_equirl.agents.ppo.learner import PopulationProgram
from tf_equirl.groups import intertwiner_basis
from tf_equirl.layers import symmetrizer_dense

CONFIG = PPOConfig(
    actor="odd", hidden_units=(8,), num_environments=4, rollout_steps=16, total_timesteps=64 * 12
)
SEEDS = (5, 0, 3, 9, 2)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return train_ppo("CartPole", CONFIG, SEEDS, tmp_path_factory.mktemp("runs") / "whole")


def assert_same(a, b):
    np.testing.assert_array_equal(a.returns, b.returns)
    np.testing.assert_array_equal(a.first_returns, b.first_returns)
    for name, values in a.metrics.items():
        np.testing.assert_array_equal(values, b.metrics[name])
    for x, y in zip(a.weights, b.weights, strict=True):
        np.testing.assert_array_equal(x, y)


class Stop:
    """Interrupts a run as Ctrl-C does, once it has made some updates."""

    def __init__(self, after):
        self.after = after

    def __call__(self, progress):
        if progress.updates >= self.after:
            raise KeyboardInterrupt


def test_the_run_folder_says_what_the_run_is(finished):
    run = json.loads((finished.run_dir / "run.json").read_text())
    assert PPOConfig.from_json(run["config"]) == CONFIG
    assert (run["environment"], tuple(run["seeds"])) == ("CartPole", SEEDS)
    assert run["versions"]["tensorflow"] == tf.__version__
    actor = keras.models.model_from_json(json.dumps(run["models"]["actor"]))
    assert actor.output_shape == (None, 2)


def test_the_results_are_tidy(finished):
    with (finished.run_dir / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(SEEDS) * CONFIG.num_updates
    row = next(r for r in rows if r["seed"] == "3" and r["update"] == "11")
    assert row["timestep"] == str(64 * 12)
    last_update = finished.returns[SEEDS.index(3), -16:]
    np.testing.assert_allclose(float(row["mean_return"]), last_update.mean(), rtol=1e-5)
    saved = np.load(finished.run_dir / "returns.npz")
    np.testing.assert_array_equal(saved["returns"].reshape(-1, len(SEEDS)).T, finished.returns)
    assert list(finished.timesteps[:2]) == [4, 8]
    assert finished.timesteps[-1] == CONFIG.total_timesteps


def test_tensorboard_has_every_update(finished):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(finished.run_dir / "tensorboard"), {"tensors": 0})  # keep all
    events.Reload()
    steps = [event.step for event in events.Tensors("return/mean")]
    assert steps == [64 * (i + 1) for i in range(CONFIG.num_updates)]
    value = tf.make_ndarray(events.Tensors("return/mean")[-1].tensor_proto)
    np.testing.assert_allclose(value, finished.returns[:, -16:].mean(), rtol=1e-5)


def test_the_trained_models_are_keras_models_with_the_seeds_weights(finished, tmp_path):
    actor = finished.actor(3)
    np.testing.assert_array_equal(actor.trainable_variables[0], finished.weights[0][2])
    actor.save(tmp_path / "actor.keras")
    states = np.random.default_rng(0).normal(size=(7, 4)).astype("float32")
    reloaded = keras.models.load_model(tmp_path / "actor.keras")
    np.testing.assert_array_equal(reloaded(states), actor(states))
    assert finished.critic(0)(states).shape == (7, 1)
    with pytest.raises(ValueError, match="seed must be one of"):
        finished.actor(1)


@pytest.mark.parametrize("stops", [(0,), (3,), (1, 5, 5)], ids=str)
def test_an_interrupted_run_resumes_to_the_identical_result(finished, tmp_path, stops):
    folder = tmp_path / "run"
    for i, after in enumerate(stops):
        with pytest.raises(KeyboardInterrupt):
            train_ppo("CartPole", CONFIG, SEEDS, folder, resume=i > 0, on_progress=Stop(after))
    resumed = train_ppo("CartPole", CONFIG, SEEDS, folder, resume=True)
    assert_same(resumed, finished)
    assert not list(folder.glob(".*")), "no partial files stay behind"


def test_resuming_a_finished_run_gives_its_result_without_compiling(finished):
    again = train_ppo("CartPole", CONFIG, SEEDS, finished.run_dir, resume=True)
    assert_same(again, finished)
    assert again.compile_seconds == 0
    assert again.run_seconds == finished.run_seconds


def test_a_run_from_before_a_field_of_the_config_existed_is_still_known(finished, tmp_path):
    folder = shutil.copytree(finished.run_dir, tmp_path / "old")
    description = json.loads((folder / "run.json").read_text())
    del description["config"]["actor_initializer"]
    (folder / "run.json").write_text(json.dumps(description))
    assert_same(train_ppo("CartPole", CONFIG, SEEDS, folder, resume=True), finished)


def test_a_run_that_another_version_of_keras_described_is_still_known(finished, tmp_path):
    folder = shutil.copytree(finished.run_dir, tmp_path / "old")
    description = json.loads((folder / "run.json").read_text())
    models_then = {"actor": finished.actor(3), "critic": finished.critic(3)}
    for role, model in models_then.items():
        # As this Keras would, with every argument; the names are those of other layers, too.
        in_full = json.loads(model.to_json())
        assert in_full != description["models"][role]
        description["models"][role] = in_full
    (folder / "run.json").write_text(json.dumps(description))
    assert_same(train_ppo("CartPole", CONFIG, SEEDS, folder, resume=True), finished)


def test_a_folder_that_holds_a_run_is_not_overwritten(finished):
    with pytest.raises(ValueError, match="holds this run already"):
        train_ppo("CartPole", CONFIG, SEEDS, finished.run_dir)


@pytest.mark.parametrize(
    ("config", "seeds", "difference"),
    [
        ({"learning_rate": 1e-3}, SEEDS, r"learning_rate \(0.00035 there, 0.001 here\)"),
        ({"hidden_units": (9,)}, SEEDS, r"hidden_units .* the models"),
        ({}, (5, 0, 3), r"seeds \(\[5, 0, 3, 9, 2\] there, \[5, 0, 3\] here\)"),
    ],
)
@pytest.mark.parametrize("resume", [True, False])
def test_a_folder_that_holds_another_run_is_refused(finished, config, seeds, difference, resume):
    import dataclasses

    other = dataclasses.replace(CONFIG, **config)
    before = sorted((p.name, p.stat().st_mtime_ns) for p in finished.run_dir.iterdir())
    with pytest.raises(ValueError, match=f"holds another run.*{difference}"):
        train_ppo("CartPole", other, seeds, finished.run_dir, resume=resume)
    after = sorted((p.name, p.stat().st_mtime_ns) for p in finished.run_dir.iterdir())
    assert before == after


def test_another_activation_or_environment_makes_another_run(tmp_path):
    def actor(activation):
        layers = [keras.Input((4,)), keras.layers.Dense(8, activation), keras.layers.Dense(2)]
        return keras.Sequential(layers)

    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train_ppo("CartPole", CONFIG, SEEDS, folder, actor=actor("relu"), on_progress=Stop(0))
    with pytest.raises(ValueError, match="holds another run; it differs in the models"):
        train_ppo("CartPole", CONFIG, SEEDS, folder, actor=actor("tanh"), resume=True)
    shorter = envs.make("CartPole", max_episode_steps=20)
    with pytest.raises(ValueError, match=r"differs in max_episode_steps \(500 there, 20 here\)"):
        train_ppo(shorter, CONFIG, SEEDS, folder, actor=actor("relu"), resume=True)
    # The same model under other names goes on.
    with pytest.raises(KeyboardInterrupt):
        train_ppo(
            "CartPole", CONFIG, SEEDS, folder, actor=actor("relu"), resume=True, on_progress=Stop(0)
        )


def test_a_folder_tells_apart_models_that_differ_only_in_wiring(tmp_path):
    def actor(skip):
        inputs = keras.Input((4,))
        first = keras.layers.Dense(8)(inputs)
        second = keras.layers.Dense(8)(first)
        third = keras.layers.Dense(8)(second)
        joined = keras.layers.Add()([(first, second)[skip], third])
        return keras.Model(inputs, keras.layers.Dense(2)(joined))

    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train_ppo("CartPole", CONFIG, SEEDS, folder, actor=actor(0), on_progress=Stop(0))
    with pytest.raises(ValueError, match="differs in the models"):
        train_ppo("CartPole", CONFIG, SEEDS, folder, actor=actor(1), resume=True)


@pytest.mark.parametrize("content", [b"[]", b"null", b"{}", b"{", b"\xff\xfe"])
def test_a_damaged_description_is_named(tmp_path, content):
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(ValueError, match="run.json must"):
        train_ppo("CartPole", CONFIG, SEEDS, tmp_path, resume=True)


def test_a_checkpoint_of_other_arrays_is_named(tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train_ppo("CartPole", CONFIG, SEEDS, folder, on_progress=Stop(0))
    np.savez(folder / "checkpoint.npz", weights=np.zeros(3))
    with pytest.raises(ValueError, match="checkpoint must be one of this run"):
        train_ppo("CartPole", CONFIG, SEEDS, folder, resume=True)


def test_a_folder_of_other_things_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("irreplaceable")
    with pytest.raises(ValueError, match="new or empty folder"):
        train_ppo("CartPole", CONFIG, SEEDS, tmp_path)
    with pytest.raises(ValueError, match="a run to resume"):
        train_ppo("CartPole", CONFIG, SEEDS, tmp_path / "nothing", resume=True)
    with pytest.raises(ValueError, match="run_dir=None"):
        train_ppo("CartPole", CONFIG, SEEDS, resume=True)


def test_a_truncated_checkpoint_is_named(tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train_ppo("CartPole", CONFIG, SEEDS, folder, on_progress=Stop(2))
    checkpoint = folder / "checkpoint.npz"
    whole = checkpoint.read_bytes()
    for damaged in (whole[: len(whole) // 2], b""):
        checkpoint.write_bytes(damaged)
        with pytest.raises(ValueError, match="checkpoint.npz, which is damaged .* Delete it"):
            train_ppo("CartPole", CONFIG, SEEDS, folder, resume=True)
    checkpoint.unlink()
    train_ppo("CartPole", CONFIG, SEEDS, folder, resume=True)


def test_a_seed_that_becomes_non_finite_stops_the_run_and_costs_only_itself(
    finished, tmp_path, monkeypatch
):
    start = PopulationProgram.start

    def poisoned(self, seeds, fresh):
        carry = start(self, seeds, fresh)
        row = tf.one_hot(SEEDS.index(9), len(seeds))
        huge = carry.weights[-1] + row[:, None] * 1e30  # the critic's last bias, squared: infinite
        return carry._replace(weights=[*carry.weights[:-1], huge])

    monkeypatch.setattr(PopulationProgram, "start", poisoned)
    with pytest.raises(NonFiniteError, match=r"seed 9 .* update 0, timestep 64") as error:
        train_ppo("CartPole", CONFIG, SEEDS, tmp_path / "run")
    assert (error.value.seed, error.value.update) == (9, 0)
    result = error.value.result
    done = result.returns.shape[1]
    for row, seed in enumerate(SEEDS):
        if seed == 9:
            assert np.isnan(result.returns[row]).all()
        else:
            np.testing.assert_array_equal(result.returns[row], finished.returns[row, :done])
    with (tmp_path / "run" / "results.csv").open() as file:
        assert {row["seed"] for row in csv.DictReader(file)} == {"5", "0", "3", "2"}


def test_any_keras_models_of_the_right_shapes_are_trained():
    actor = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(8, "silu"), keras.layers.Dense(2)]
    )
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(8, "tanh")(inputs)
    both = keras.layers.Concatenate()([inputs, hidden])
    critic = keras.Model(inputs, keras.layers.Dense(1)(both))
    before = [w.copy() for w in actor.get_weights()]
    result = train_ppo("CartPole", CONFIG, range(4), actor=actor, critic=critic)
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
        ({"env": object()}, "must be one of: CartPole"),
        ({"actor": "gcnn"}, "actor must be a Keras 3 model. Received: actor of type str"),
        (
            {"actor": _stack(keras.layers.BatchNormalization(), keras.layers.Dense(2))},
            "actor must have trainable variables only",
        ),
        (
            {"actor": _stack(keras.layers.Dense(2, kernel_regularizer="l2"))},
            "actor must have no regularizers and no constraints.*with a regularizer of .*kernel",
        ),
        (
            {"critic": _stack(keras.layers.Dense(1, bias_constraint="non_neg"))},
            "critic must have no regularizers and no.*critic with a constraint of .*/bias",
        ),
        (
            {"actor": _stack(keras.layers.Dense(2, activity_regularizer="l1", name="active"))},
            "actor with an activity_regularizer of active",
        ),
        ({"seeds": []}, "seeds must be distinct integers"),
        ({"seeds": [1, 1]}, "seeds must be distinct integers"),
        ({"seeds": [-1]}, "seeds must be distinct integers"),
        ({"seeds": 3}, "seeds must be distinct integers"),
        ({"seeds": [2**31]}, "seeds must be distinct integers"),
        ({"config": {"actor": "mlp"}}, "config must be a PPOConfig"),
        ({"env": "CartPool"}, "CartPole"),
    ],
)
def test_bad_arguments_are_refused_before_any_work(tmp_path, arguments, message):
    arguments = {"env": "CartPole", "config": CONFIG, "seeds": [0], **arguments}
    with pytest.raises(ValueError, match=message):
        train_ppo(run_dir=tmp_path / "run", **arguments)
    assert not (tmp_path / "run").exists()


def test_progress_is_reported_before_and_after_every_call():
    seen = []
    train_ppo("CartPole", CONFIG, range(4), on_progress=seen.append)
    assert [p.updates for p in seen[:2]] == [0, 0]
    assert seen[0].compile_seconds == 0 < seen[1].compile_seconds
    assert [p.updates for p in seen] == sorted(p.updates for p in seen)
    assert seen[-1].updates == seen[-1].num_updates == CONFIG.num_updates
    assert seen[-1].timesteps == CONFIG.total_timesteps
    assert seen[-1].steps_per_second > 0 and np.isfinite(seen[-1].mean_return)


def test_an_equivariant_agent_learns_and_stays_equivariant():
    env = envs.make("CartPole")
    result = train_ppo(env, PPOConfig(actor="gcnn", total_timesteps=20_480), seeds=range(8))
    first, last = result.returns[:, 128:256].mean(), result.returns[:, -256:].mean()
    # A random policy stays near 22; 20,000 steps bring the mean of eight seeds past 100.
    assert first < 40 and last > 70
    actor, symmetry = result.actor(4), env.symmetry
    states = np.random.default_rng(1).normal(size=(100, 4)).astype("float32")
    logits = actor(states).numpy()
    for state_matrix, action_matrix in zip(
        symmetry.state.matrices, symmetry.action.matrices, strict=True
    ):
        moved = actor((states @ state_matrix.T).astype("float32")).numpy()
        error = np.abs(moved - logits @ action_matrix.T).max() / np.abs(logits).max()
        assert error < 1e-5


def test_sampled_bases_stay_those_of_the_model_that_was_trained(tmp_path, monkeypatch):
    """Also where a copy, or the process that resumes, would compute other ones."""
    config = dataclasses.replace(CONFIG, actor="symmetrizer-sampled")
    actor = models.actor(envs.make("CartPole").symmetry, "symmetrizer-sampled", (8,))
    bases = [v.numpy() for v in actor.non_trainable_variables]
    assert len(bases) == 4
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
    for trained in (whole.actor(9), resumed.actor(9)):
        for variable, basis in zip(trained.non_trainable_variables, bases, strict=True):
            np.testing.assert_array_equal(variable.numpy(), basis)
        for variable, stacked in zip(trained.trainable_variables, whole.weights, strict=False):
            np.testing.assert_array_equal(variable.numpy(), stacked[SEEDS.index(9)])
    started = models.fresh_weights([actor], 9)
    assert np.abs(whole.weights[0][SEEDS.index(9)] - started[0]).max() > 1e-3


def test_a_frozen_kernel_is_no_basis():
    actor = models.actor(envs.make("CartPole").symmetry, "symmetrizer-sampled", (8,))
    actor.layers[2].trainable = False
    with pytest.raises(ValueError, match="trainable variables only. Received: .*/kernel'"):
        train_ppo("CartPole", CONFIG, [0], actor=actor)


def test_models_are_built_from_the_config():
    config = PPOConfig(actor="gcnn", critic="invariant", match_parameters=4610)
    from tf_equirl.agents.ppo.tf_agents_ppo import make_models

    actor, critic = make_models(envs.make("CartPole"), config)
    assert abs(actor.count_params() / 4610 - 1) < 0.01
    expected = models.critic(envs.make("CartPole").symmetry, "invariant", (64, 64))
    assert critic.count_params() == expected.count_params()
    config = dataclasses.replace(config, match_critic_parameters=1500, actor_initializer="ones")
    actor, critic = make_models(envs.make("CartPole"), config)
    assert np.all(actor.layers[1].kernel.numpy() == 1)
    assert abs(critic.count_params() / 1500 - 1) < 0.03
