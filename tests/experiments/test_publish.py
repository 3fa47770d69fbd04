import dataclasses
import json
import shutil
import zipfile

import keras
import numpy as np
import pytest
from PIL import Image

from tf_equirl import envs, evaluation, publishing, zoo
from tf_equirl._portable import portable_config
from tf_equirl.agents import PPOConfig, load_result, train_ppo
from tf_equirl.publishing.policy import training_command
from tf_equirl.training.run_folder import RunFolder, read_any_description

pytestmark = pytest.mark.usefixtures("without_xla")

CONFIG = PPOConfig(
    actor="gcnn", hidden_units=(6,), rollout_steps=10, num_minibatches=2, total_timesteps=400
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "catch"
    return folder, train_ppo("Catch", CONFIG, seeds=range(4), run_dir=folder)


@pytest.fixture(scope="module")
def published(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("publish") / "zoo"
    return folder, publishing.publish(run[0], "catch-small", 1, folder, episodes=50)


def test_a_result_comes_back_from_its_folder(run):
    folder, result = run
    loaded = load_result(folder)
    np.testing.assert_array_equal(loaded.returns, result.returns)
    board = np.zeros((1, 50), np.float32)
    np.testing.assert_array_equal(loaded.actor(2)(board), result.actor(2)(board))
    np.testing.assert_array_equal(loaded.critic(2)(board), result.critic(2)(board))


def test_a_run_of_which_nothing_was_saved(run, tmp_path):
    def stop(progress):  # before anything is compiled
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_ppo("Catch", CONFIG, [0], tmp_path / "run", on_progress=stop)
    begun = load_result(tmp_path / "run")
    assert not begun.finished and begun.returns.shape[1] == 0
    (tmp_path / "run" / "checkpoint.npz").unlink()  # killed before it was written
    with pytest.raises(ValueError, match="something was saved; resume it first"):
        load_result(tmp_path / "run")
    with pytest.raises(ValueError, match="environment of the run .* environment_config"):
        load_result(run[0], envs.make("Catch", rows=5))


def test_what_is_published_loads_and_is_what_its_card_says(run, published):
    folder, place = published
    assert place == folder / "catch-small" and zoo.list(folder) == ["catch-small"]
    zoo.verify("catch-small", folder)
    zoo.verify_outputs("catch-small", folder)
    entry = zoo.load("catch-small", folder)
    result, seed = run[1], entry.card["training"]["kept_seed"]
    board = evaluation.visited_observations("Catch", 20)
    for role in ("actor", "critic"):
        ours = getattr(result, role)(seed)(board)
        np.testing.assert_array_equal(getattr(entry, role)(board), ours)
        with zipfile.ZipFile(place / f"{role}.keras") as archive:
            config = json.loads(archive.read("config.json"))
        assert portable_config(config) == config
    scores = entry.card["evaluation"]["sampled"]
    again = evaluation.evaluate(entry.actor, "Catch", 50, False, scores["seed"])
    assert scores["mean"] == again.mean and scores["success_rate"] == again.success_rate(1)
    assert entry.card["equivariance"]["actor"]["max"] < 1e-5
    assert entry.card["config"] == CONFIG.to_json()
    assert entry.card["symmetry"]["action"] == "left and right change places, stay stays"
    with Image.open(place / "episode.gif") as film:
        assert film.n_frames >= 10
    assert (place / "README.md").read_text() == publishing.card_to_markdown(entry.card)


def test_publishing_again_replaces_the_model(run, published):
    folder, place = published
    (place / "stray.txt").write_text("left over")
    publishing.publish(run[0], "catch-small", 1, folder, episodes=10, limits=["It is tiny."])
    assert not (place / "stray.txt").exists()
    card = json.loads((place / "card.json").read_text())
    assert card["evaluation"]["greedy"]["episodes"] == 10 and card["limits"][-1] == "It is tiny."
    zoo.verify("catch-small", folder)
    assert [f.name for f in folder.iterdir() if f.name.startswith(".")] == [".lock"]


def test_the_best_seed_ends_highest_and_among_equals_learned_fastest(run):
    returns = np.ones((4, 100), np.float32)
    returns[0, :60] = -1
    returns[1, :50] = -1
    returns[2, :70] = -1
    returns[3, 95:] = 0.9
    result = dataclasses.replace(run[1], returns=returns)
    assert result.best_seed == result.seeds[1]


def test_the_command_names_what_is_not_default():
    config = PPOConfig(
        actor="symmetrizer",
        hidden_units=(32, 16),
        match_parameters=4610,
        anneal_learning_rate=True,
        learning_rate=1e-3,
    )
    assert training_command(envs.make("CartPole"), config, range(8, 40), "runs/x") == (
        "python -m launchers.train_ppo --env=CartPole --num_seeds=32 --first_seed=8 "
        "--learning_rate=0.001 --anneal_learning_rate --actor=symmetrizer --hidden_units=32,16 "
        "--match_parameters=4610 --run_dir=runs/x"
    )
    with pytest.raises(ValueError, match="consecutive"):
        training_command(envs.make("CartPole"), config, [1, 3], "runs/x")


def test_networks_that_the_configuration_does_not_describe_are_not_published(run, tmp_path):
    """A run whose networks are of the same shapes but have another activation."""
    file = shutil.copytree(run[0], tmp_path / "run") / "run.json"
    description = json.loads(file.read_text())
    actor = json.dumps(description["models"]["actor"])
    other = actor.replace('"activation": "relu"', '"activation": "tanh"')
    assert other != actor
    description["models"]["actor"] = json.loads(other)
    with RunFolder(run[0], read_any_description(run[0])).saved() as checkpoint:
        arrays = checkpoint.read_all(lambda name: True)
    file.unlink()
    RunFolder(tmp_path / "run", description).save_checkpoint(arrays)
    load_result(tmp_path / "run")  # can be read
    with pytest.raises(ValueError, match="a run with another actor"):
        publishing.publish(tmp_path / "run", "catch-own", 1, tmp_path / "zoo")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"limits": "abc"}, "must be a list of sentences"),
        ({"success": "500"}, "`success` must be a finite number"),
        ({"name": "Not_A_Name"}, "lower-case words joined by hyphens"),
        ({"name": "../x"}, "lower-case words joined by hyphens"),
        ({"episodes": 0}, "`episodes` must be a positive integer"),
        ({"success": float("nan")}, "`success` must be a finite number"),
        ({"run_dir": "nowhere"}, "must hold a run"),
    ],
)
def test_bad_arguments_are_refused_before_any_work(run, arguments, message, tmp_path):
    arguments = {"run_dir": run[0], "name": "x", "success": 1.0, **arguments}
    with pytest.raises(ValueError, match=message):
        publishing.publish(zoo_dir=tmp_path / "zoo", **arguments)
    assert not (tmp_path / "zoo").exists()


@pytest.mark.thorough
def test_training_goes_on_from_a_published_model(run, published, monkeypatch, tmp_path):
    folder, place = published
    monkeypatch.setattr(zoo.store, "default_folder", lambda: folder)
    config = dataclasses.replace(CONFIG, total_timesteps=80, learning_rate=1e-12)
    result = train_ppo("Catch", config, [3, 4], tmp_path / "run", start_from="catch-small")
    actor = keras.models.load_model(place / "actor.keras")
    for stacked, variable in zip(result.weights["actor"], actor.trainable_variables, strict=True):
        # A step of 1e-12 is far below half a unit in the last place of any weight but zero.
        for member in stacked:
            np.testing.assert_allclose(member, variable.numpy(), atol=1e-9)
    assert not np.array_equal(result.returns[0], result.returns[1])
    description = json.loads((tmp_path / "run" / "run.json").read_text())
    assert description["start_from"] == "catch-small"
    loaded = load_result(tmp_path / "run")
    np.testing.assert_array_equal(loaded.weights["actor"][0], result.weights["actor"][0])
    further = publishing.publish(tmp_path / "run", "catch-further", 1, folder, episodes=10)
    card = json.loads((further / "card.json").read_text())
    assert card["training"]["start_from"] == "catch-small"
    assert "--start_from=catch-small" in card["training"]["command"]
    assert card["networks"]["actor"]["kind"] == "gcnn"
    with pytest.raises(ValueError, match="not both"):
        train_ppo("Catch", config, [3], start_from="catch-small", actor=actor)
    with pytest.raises(ValueError, match="Did you mean catch-small"):
        train_ppo("Catch", config, [3], start_from="catch-smal")
