"""The models that come with the package are what their cards say."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from tf_equirl import envs, evaluation, groups, zoo
from tf_equirl.agents import PPOConfig

ROOT = Path(__file__).parents[2]
# These are promised: without them the tests fail, also where there is no zoo at all.
PROMISED = [
    f"{environment}-ppo-{kind}"
    for environment in ("cartpole", "catch")
    for kind in ("gcnn", "mlp", "symmetrizer")
]
BEST_RETURN = {"CartPole": 500.0, "Catch": 1.0}
MAXIMUM_BYTES = 20_000_000


def published():
    try:
        return zoo.list()
    except ValueError:
        return []


NAMES = sorted({*PROMISED, *published()})
every_model = pytest.mark.parametrize("name", NAMES)


def test_the_promised_models_are_there():
    assert set(PROMISED) <= set(zoo.list())
    assert zoo.default_folder() == ROOT / "zoo"


def test_the_zoo_is_small():
    sizes = [f.stat().st_size for f in zoo.default_folder().rglob("*") if f.is_file()]
    assert len(sizes) > 6 * len(PROMISED)
    assert sum(sizes) < MAXIMUM_BYTES


@every_model
def test_the_files_are_those_of_index_and_card(name):
    files = zoo.verify(name)
    pictures = {"learning_curve.png": b"\x89PNG\r\n", "episode.gif": b"GIF8"}
    assert {*pictures, "actor.keras", "critic.keras", "golden.npz", "README.md"} <= set(files)
    for picture, start in pictures.items():
        assert (zoo.path(name) / picture).read_bytes().startswith(start)


@every_model
def test_the_page_is_that_of_the_card(name):
    page = (zoo.path(name) / "README.md").read_text(encoding="utf-8")
    assert page == zoo.card_to_markdown(zoo.card(name))


@every_model
def test_no_file_holds_a_lambda_layer_or_a_pickle(name):
    for role in ("actor", "critic"):
        with zipfile.ZipFile(zoo.path(name) / f"{role}.keras") as archive:
            assert set(archive.namelist()) == {"metadata.json", "config.json", "model.weights.h5"}
            config = archive.read("config.json")
        assert b"Lambda" not in config and b"__lambda__" not in config
    with np.load(zoo.path(name) / "golden.npz", allow_pickle=False) as golden:
        shapes = {key: golden[key].shape for key in golden.files}
    networks = zoo.card(name)["networks"]
    assert shapes == {
        "observations": (64, *networks["actor"]["input_shape"]),
        "logits": (64, *networks["actor"]["output_shape"]),
        "values": (64, 1),
    }


@every_model
def test_the_card_describes_the_networks_and_the_environment(name):
    entry = zoo.load(name)
    for role, network in (("actor", entry.actor), ("critic", entry.critic)):
        described = entry.card["networks"][role]
        trained = sum(weight.shape.num_elements() for weight in network.trainable_weights)
        assert described["parameters"] in (trained, network.count_params())
        assert described["input_shape"] == list(network.input_shape[1:])
        assert described["output_shape"] == list(network.output_shape[1:])
        assert described["kind"] == entry.card["config"][role]
    environment = envs.make(entry.card["environment"]["name"])
    assert environment.get_config() == entry.card["environment"]["config"]
    symmetry = groups.Symmetry.from_config(entry.card["symmetry"]["data"])
    assert symmetry == environment.symmetry
    assert entry.card["symmetry"]["group"] == symmetry.group.name
    config = PPOConfig.from_json(entry.card["config"])
    assert json.loads(json.dumps(config.to_json())) == entry.card["config"]


@every_model
def test_the_networks_obey_the_law_that_the_card_measured(name):
    entry = zoo.load(name)
    for role, network in (("actor", entry.actor), ("critic", entry.critic)):
        claimed = entry.card["equivariance"][role]["max"]
        found = evaluation.model_equivariance_error(network, entry.card["environment"]["name"]).max
        if entry.card["networks"][role]["kind"] == "mlp":
            assert claimed > 1e-4, "an MLP obeys no law"
            assert 0.1 < found / claimed < 10
        else:
            assert max(claimed, found) < 1e-5  # float32 rounding


@every_model
def test_the_score_of_the_card_is_reached(name):
    assert set(zoo.verify_score(name)) == {"greedy", "sampled"}


@pytest.mark.parametrize("name", PROMISED)
def test_the_promised_models_are_experts(name):
    card = zoo.card(name)
    best = BEST_RETURN[card["environment"]["name"]]
    for kind in ("greedy", "sampled"):
        assert card["evaluation"][kind]["episodes"] >= 1000
        assert card["evaluation"][kind]["success"] == f"return of at least {best:g}"
    assert card["evaluation"]["greedy"]["mean"] == best


# What somebody with Keras does: no function of the zoo, and no environment.
FRESH = """
import json, sys
import keras, numpy
import tf_equirl

found = {}
for folder in sys.argv[1:]:
    golden = numpy.load(folder + "/golden.npz", allow_pickle=False)
    for role, key in (("actor", "logits"), ("critic", "values")):
        model = keras.models.load_model(f"{folder}/{role}.keras", safe_mode=True)
        outputs = numpy.asarray(model.predict(golden["observations"], verbose=0))
        assert outputs.shape == golden[key].shape
        difference = numpy.abs(outputs - golden[key]).max() / numpy.abs(golden[key]).max()
        found[folder.rpartition("/")[2] + " " + role] = float(difference)
assert not {"tf_agents", "gymnasium", "tf_equirl.zoo", "tf_equirl.envs"} & set(sys.modules)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def reloaded():
    """Differences from the stored outputs, of every network in a fresh process."""
    result = subprocess.run(
        [sys.executable, "-c", FRESH, *(str(zoo.path(name)) for name in zoo.list())],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if not k.startswith(("TF_", "_TF_", "KERAS"))},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@every_model
def test_a_fresh_process_computes_the_stored_outputs(name, reloaded):
    for role in ("actor", "critic"):
        assert reloaded[f"{name} {role}"] < 1e-5  # float32 rounding


@every_model
def test_the_zoo_s_own_check_of_outputs_agrees(name):
    assert zoo.verify_outputs(name) < 1e-5


def test_the_index_is_what_the_command_writes(tmp_path):
    copy = shutil.copytree(zoo.default_folder(), tmp_path / "zoo")
    committed = (copy / "index.json").read_bytes()
    assert zoo.write_index(copy).read_bytes() == committed


def test_the_table_of_the_page_is_what_the_command_writes(tmp_path):
    page = shutil.copy(ROOT / "docs" / "zoo.md", tmp_path)
    committed = Path(page).read_text(encoding="utf-8")
    assert zoo.write_table(page, [zoo.card(name) for name in zoo.list()]) == committed
    linked = re.findall(r"\]\(\.\./zoo/([^/)]+)/README\.md\)", committed)
    assert set(linked) >= set(zoo.list())


@pytest.mark.parametrize("role", ["actor", "critic"])
def test_a_network_can_be_saved_and_trained_further(role, tmp_path):
    name = PROMISED[0]
    network = getattr(zoo.load(name), role)
    network.save(tmp_path / "again.keras")
    again = keras.models.load_model(tmp_path / "again.keras", safe_mode=True)
    observations = np.load(zoo.path(name) / "golden.npz")["observations"]
    np.testing.assert_array_equal(again(observations), network(observations))
    again.compile(keras.optimizers.Adam(1e-4), "mse")  # critics give large numbers
    before = again.evaluate(observations, network(observations) + 1, verbose=0)
    again.fit(observations, network(observations) + 1, epochs=3, verbose=0)
    assert again.evaluate(observations, network(observations) + 1, verbose=0) < before
