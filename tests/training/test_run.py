"""The host's side of training: run folder, resume, interruption, failure, bad input."""

import dataclasses
import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from training_cases import Stop, Walk, WalkConfig, dense_network, events_of

from tf_equirl._files import LOCK
from tf_equirl.envs.cartpole import CartPole
from tf_equirl.training import programs
from tf_equirl.training.run import train
from tf_equirl.training.run_folder import identity, read_any_description
from tf_equirl.training.saved import read_run

CONFIG = WalkConfig()
SEEDS = (5, 0, 3, 9, 2)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return train(Walk(), SEEDS, tmp_path_factory.mktemp("runs") / "whole")


def assert_same(a, b):
    np.testing.assert_array_equal(a.sizes, b.sizes)
    for x, y in zip(a.weights["network"], b.weights["network"], strict=True):
        np.testing.assert_array_equal(x, y)


def test_a_member_does_not_depend_on_the_others(finished):
    alone = train(Walk(), [7, 3, 1])
    np.testing.assert_array_equal(alone.sizes[:, 1], finished.sizes[:, SEEDS.index(3)])
    many = train(Walk(), range(40))  # blocks of 32 and 8
    for column, seed in enumerate(SEEDS):
        np.testing.assert_array_equal(many.sizes[:, seed], finished.sizes[:, column])
    for ours, theirs in zip(finished.weights["network"], many.weights["network"], strict=True):
        np.testing.assert_array_equal(ours, theirs[list(SEEDS)])


def test_the_run_folder_says_what_the_run_is(finished):
    run = json.loads((finished.run_dir / "run.json").read_text())
    assert run == read_any_description(finished.run_dir)
    assert (run["format"], run["trainer"]) == (2, "walk")
    assert WalkConfig.from_json(run["config"]) == CONFIG
    assert (run["environment"], tuple(run["seeds"])) == ("CartPole", SEEDS)
    assert run["versions"]["tensorflow"] == tf.__version__
    network = keras.models.model_from_json(json.dumps(run["models"]["network"]))
    assert network.output_shape == (None, 2)


def test_the_arrays_of_a_checkpoint_are_named_by_their_place(finished):
    arrays = np.load(finished.run_dir / "checkpoint.npz")
    assert set(arrays.files) == {
        "manifest",
        "harms",
        "done/update",
        "seconds/update",
        "reports/update/size",
        "reports/update/finite",
        *(f"weights/network/{i}" for i in range(4)),
        "state/0/seeds",
        *(f"state/0/weights/trained/network/{i}" for i in range(4)),
    }
    assert arrays["state/0/seeds"].shape == (8,)  # with the copies that fill the block
    np.testing.assert_array_equal(arrays["reports/update/size"], finished.sizes)


def test_a_finished_run_is_read_back(finished):
    found = read_run(finished.run_dir, "walk")
    learner = Walk(WalkConfig.from_json(found.description["config"]), found.networks["network"])
    read = learner.result(found.outcome)
    assert_same(read, finished)
    assert (read.seeds, read.updates) == (SEEDS, 12)
    with pytest.raises(ValueError, match="must hold a run of train_ppo.*holds one of walk"):
        read_run(finished.run_dir, "train_ppo")


def test_the_trained_models_are_keras_models_with_the_seeds_weights(finished):
    model = finished.model("network", 3)
    np.testing.assert_array_equal(
        model.trainable_variables[0], finished.weights["network"][0][SEEDS.index(3)]
    )
    with pytest.raises(ValueError, match=r"seed must be one of the run's seeds \(5, 0"):
        finished.model("network", 1)
    with pytest.raises(ValueError, match="role must be one of network. Received: role='actor'"):
        finished.model("actor", 3)


def test_tensorboard_has_every_update(finished):
    steps, values = events_of(finished.run_dir, "training/size")
    assert steps == list(range(1, 13))
    np.testing.assert_allclose(values, finished.sizes.mean(axis=1), rtol=1e-5)


@pytest.mark.parametrize("stops", [(0,), (3,), (1, 5, 5), (12,)], ids=str)
def test_an_interrupted_run_resumes_to_the_identical_result(finished, tmp_path, stops):
    folder = tmp_path / "run"
    for i, after in enumerate(stops):
        with pytest.raises(KeyboardInterrupt):
            train(Walk(), SEEDS, folder, resume=i > 0, on_progress=Stop(after))
    resumed = train(Walk(), SEEDS, folder, resume=True)
    assert_same(resumed, finished)
    assert {file.name for file in folder.iterdir()} == {
        LOCK,
        "run.json",
        "checkpoint.npz",
        "tensorboard",
    }
    assert events_of(folder, "training/size") == events_of(finished.run_dir, "training/size")


def test_resuming_a_finished_run_gives_its_result_without_compiling(finished, monkeypatch):
    monkeypatch.setattr(programs, "cached", None)
    again = train(Walk(), SEEDS, finished.run_dir, resume=True)
    assert_same(again, finished)
    assert again.compile_seconds == 0
    assert again.run_seconds == finished.run_seconds


def edited(run_dir, folder, **changes):
    """A copy of a run folder whose run.json says something else; None takes a field away."""
    shutil.copytree(run_dir, folder)
    description = {**json.loads((folder / "run.json").read_text()), **changes}
    kept = {k: v for k, v in description.items() if v is not None}
    kept = {**kept, "identity": identity(kept)}
    (folder / "run.json").write_text(json.dumps(kept))
    return folder


def test_a_run_of_other_versions_is_still_known(finished, tmp_path):
    folder = edited(finished.run_dir, tmp_path / "old", versions={"keras": "3.0"}, git_commit="a")
    assert_same(train(Walk(), SEEDS, folder, resume=True), finished)


def test_a_run_that_another_version_of_keras_described_is_still_known(finished, tmp_path):
    # As this Keras would, with every argument; the names are those of other layers, too.
    in_full = json.loads(finished.model("network", 3).to_json())
    assert in_full != read_any_description(finished.run_dir)["models"]["network"]
    folder = edited(finished.run_dir, tmp_path / "old", models={"network": in_full})
    assert_same(train(Walk(), SEEDS, folder, resume=True), finished)


@pytest.mark.parametrize("format", [None, 1, 3])
def test_a_folder_of_another_format_is_refused_with_what_reads_it(finished, tmp_path, format):
    folder = edited(finished.run_dir, tmp_path / "old", format=format)
    message = (
        rf"run.json must be of format 2. Received: .* of format {format or 1}. Runs of other "
        "formats are read by the version of tf_equirl that made them"
    )
    for call in (
        lambda: train(Walk(), SEEDS, folder, resume=True),
        lambda: read_run(folder, "walk"),
        lambda: read_any_description(folder),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_a_folder_that_holds_a_run_is_not_overwritten(finished):
    with pytest.raises(ValueError, match="holds this run already"):
        train(Walk(), SEEDS, finished.run_dir)


OTHERS = {
    "config": (
        lambda: Walk(WalkConfig(learning_rate=0.2)),
        SEEDS,
        r"learning_rate \(0.1 there, 0.2 here\)",
    ),
    "seeds": (Walk, (5, 0, 3), r"seeds \(\[5, 0, 3, 9, 2\] there, \[5, 0, 3\] here\)"),
    "activation": (lambda: Walk(network=dense_network("tanh")), SEEDS, "the models"),
    "environment": (
        lambda: Walk(env=CartPole(max_episode_steps=20)),
        SEEDS,
        r"max_episode_steps \(500 there, 20 here\)",
    ),
}


@pytest.mark.parametrize("what", OTHERS)
@pytest.mark.parametrize("resume", [True, False])
def test_a_folder_that_holds_another_run_is_refused(finished, what, resume):
    make, seeds, difference = OTHERS[what]
    before = sorted((p.name, p.stat().st_mtime_ns) for p in finished.run_dir.iterdir())
    with pytest.raises(ValueError, match=f"holds another run.*{difference}"):
        train(make(), seeds, finished.run_dir, resume=resume)
    after = sorted((p.name, p.stat().st_mtime_ns) for p in finished.run_dir.iterdir())
    assert before == after


def test_a_folder_tells_apart_models_that_differ_only_in_wiring(tmp_path):
    def network(skip):
        inputs = keras.Input((4,))
        first = keras.layers.Dense(8)(inputs)
        second = keras.layers.Dense(8)(first)
        third = keras.layers.Dense(8)(second)
        joined = keras.layers.Add()([(first, second)[skip], third])
        return keras.Model(inputs, keras.layers.Dense(2)(joined))

    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(Walk(network=network(0)), SEEDS, folder, on_progress=Stop(0))
    with pytest.raises(ValueError, match="differs in the models"):
        train(Walk(network=network(1)), SEEDS, folder, resume=True)
    with pytest.raises(KeyboardInterrupt):  # the same model under other names goes on
        train(Walk(network=network(0)), SEEDS, folder, resume=True, on_progress=Stop(0))


@pytest.mark.parametrize("content", [b"[]", b"null", b"{}", b"{", b"\xff\xfe"])
def test_a_damaged_description_is_named(tmp_path, content):
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(ValueError, match="run.json must"):
        train(Walk(), SEEDS, tmp_path, resume=True)


def test_a_description_that_lacks_something_is_named(finished, tmp_path):
    folder = edited(finished.run_dir, tmp_path / "run", seeds=None)
    with pytest.raises(ValueError, match=r"must describe a run.*without \['seeds'\]"):
        train(Walk(), SEEDS, folder, resume=True)


def test_a_truncated_checkpoint_is_named(finished, tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(Walk(), SEEDS, folder, on_progress=Stop(2))
    checkpoint = folder / "checkpoint.npz"
    whole = checkpoint.read_bytes()
    for damaged in (whole[: len(whole) // 2], b""):
        checkpoint.write_bytes(damaged)
        with pytest.raises(ValueError, match="checkpoint.npz, which is damaged .* Delete it"):
            train(Walk(), SEEDS, folder, resume=True)
    checkpoint.unlink()
    assert_same(train(Walk(), SEEDS, folder, resume=True), finished)


def test_a_folder_of_other_things_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("irreplaceable")
    with pytest.raises(ValueError, match="new or empty folder"):
        train(Walk(), SEEDS, tmp_path)
    with pytest.raises(ValueError, match="a run to resume"):
        train(Walk(), SEEDS, tmp_path / "nothing", resume=True)
    with pytest.raises(ValueError, match="run_dir=None"):
        train(Walk(), SEEDS, resume=True)


def test_progress_is_reported_before_and_after_every_call():
    programs.clear()
    seen = []
    train(Walk(), range(4), on_progress=seen.append)
    assert [p.updates for p in seen[:2]] == [0, 0]
    assert seen[0].compile_seconds == 0 < seen[1].compile_seconds
    assert [p.updates for p in seen] == sorted(p.updates for p in seen)
    assert (seen[0].done, seen[-1].done) == (0, 1)
    assert seen[-1].updates == seen[-1].num_updates == CONFIG.num_updates
    assert seen[-1].steps_per_second > 0


@pytest.mark.parametrize("seeds", [[], [1, 1], [-1], 3, [2**31], [1.5], [True]], ids=str)
def test_bad_seeds_are_refused_before_any_work(tmp_path, seeds):
    with pytest.raises(ValueError, match="`seeds` must be distinct integers from 0"):
        train(Walk(), seeds, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_is_settled_is_not_computed_but_reported(monkeypatch):
    """As of a stage whose later steps would change nothing."""
    whole = train(Walk(), SEEDS)
    monkeypatch.setattr(Walk, "settled", lambda self, stage, reports: True)
    settled = train(Walk(dataclasses.replace(CONFIG)), SEEDS)
    assert settled.updates == CONFIG.num_updates
    np.testing.assert_array_equal(settled.sizes[0], whole.sizes[0])
    np.testing.assert_array_equal(settled.sizes, np.repeat(whole.sizes[:1], 12, axis=0))
