"""The models that come with the package are what their cards say."""

import contextlib
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
from compiling import uncompiled

from tf_equirl import envs, evaluation, groups, publishing, zoo
from tf_equirl.agents import PPOConfig
from tf_equirl.dyna import TransitionModelConfig
from tf_equirl.envs.registry import from_recipe

ROOT = Path(__file__).parents[2]
# These are promised: without them the tests fail, also where there is no zoo at all.
PROMISED = [
    f"{environment}-ppo-{kind}"
    for environment in ("cartpole", "catch")
    for kind in ("gcnn", "mlp", "symmetrizer")
]
PROMISED_TRANSITION_MODELS = [
    f"{environment}-transition-{kind}"
    for environment in ("cartpole", "catch")
    for kind in ("gcnn", "mlp")
]
BEST_RETURN = {"CartPole": 500.0, "Catch": 1.0}
MAXIMUM_BYTES = 20_000_000


def published():
    try:
        return zoo.list()
    except ValueError:
        return []


def is_policy(name):
    return zoo.type_of(zoo.card(name)) == zoo.POLICY


def environment_of(entry):
    """The environment of a card; skips the test where what it needs is not installed."""
    environment = entry.card["environment"]
    plain = {"make": environment["name"], "arguments": {}}
    try:
        return from_recipe(environment.get("recipe", plain))
    except ValueError as error:
        if "is not installed" in str(error):
            pytest.skip(str(error))
        raise


def roles(name):
    return zoo.type_of(zoo.card(name)).outputs


NAMES = sorted({*PROMISED, *PROMISED_TRANSITION_MODELS, *published()})
every_model = pytest.mark.parametrize("name", NAMES)


def test_the_promised_models_are_there():
    assert {*PROMISED, *PROMISED_TRANSITION_MODELS} <= set(zoo.list())
    assert zoo.default_folder() == ROOT / "zoo"


def test_the_zoo_is_small():
    sizes = [f.stat().st_size for f in zoo.default_folder().rglob("*") if f.is_file()]
    assert len(sizes) > 6 * len(PROMISED)
    assert sum(sizes) < MAXIMUM_BYTES


@every_model
def test_the_files_are_those_of_index_and_card(name):
    files = zoo.verify(name)
    if is_policy(name):
        pictures = {"learning_curve.png": b"\x89PNG\r\n", "episode.gif": b"GIF8"}
        if name not in PROMISED and "episode.gif" not in files:  # no graphics where it was made
            del pictures["episode.gif"]
    else:
        pictures = {"training_curve.png": b"\x89PNG\r\n"}
    networks = {f"{role}.keras" for role in roles(name)}
    assert {*pictures, *networks, "golden.npz", "README.md"} <= set(files)
    for picture, start in pictures.items():
        assert (zoo.path(name) / picture).read_bytes().startswith(start)


@every_model
def test_the_page_is_that_of_the_card(name):
    page = (zoo.path(name) / "README.md").read_text(encoding="utf-8")
    assert page == publishing.card_to_markdown(zoo.card(name))


@every_model
def test_no_file_holds_a_lambda_layer_or_a_pickle(name):
    for role in roles(name):
        with zipfile.ZipFile(zoo.path(name) / f"{role}.keras") as archive:
            assert set(archive.namelist()) == {"metadata.json", "config.json", "model.weights.h5"}
            config = archive.read("config.json")
        assert b"Lambda" not in config and b"__lambda__" not in config
    with np.load(zoo.path(name) / "golden.npz", allow_pickle=False) as golden:
        shapes = {key: golden[key].shape for key in golden.files}
    networks = zoo.card(name)["networks"]
    if is_policy(name):
        assert shapes == {
            "observations": (64, *networks["actor"]["input_shape"]),
            "logits": (64, *networks["actor"]["output_shape"]),
            "values": (64, 1),
        }
    else:
        observation, action = networks["transition"]["input_shape"]
        assert shapes == {
            "observations": (64, *observation),
            "actions": (64, *action),
            "outputs": (64, *networks["transition"]["output_shape"]),
        }


@every_model
def test_the_card_describes_the_networks_and_the_environment(name):
    entry = zoo.load(name)
    assert list(entry.networks) == list(roles(name))
    for role, network in entry.networks.items():
        described = entry.card["networks"][role]
        trained = sum(weight.shape.num_elements() for weight in network.trainable_weights)
        assert described["parameters"] in (trained, network.count_params())
        inputs = [list(tensor.shape[1:]) for tensor in network.inputs]
        assert described["input_shape"] == (inputs if len(inputs) > 1 else inputs[0])
        assert described["output_shape"] == list(network.output_shape[1:])
        assert described["kind"] == entry.card["config"]["kind" if role == "transition" else role]
    environment = environment_of(entry)
    assert environment.get_config() == entry.card["environment"]["config"]
    symmetry = groups.Symmetry.from_config(entry.card["symmetry"]["data"])
    assert symmetry == environment.symmetry
    assert entry.card["symmetry"]["group"] == symmetry.group.name
    config_class = PPOConfig if is_policy(name) else TransitionModelConfig
    config = config_class.from_json(entry.card["config"])
    # Fields that came later have the values that they had before.
    expected = {**config_class().to_json(), **entry.card["config"]}
    assert json.loads(json.dumps(config.to_json())) == json.loads(json.dumps(expected))


@every_model
def test_the_networks_obey_the_law_that_the_card_measured(name):
    entry = zoo.load(name)
    if not is_policy(name):
        check_law_of_transitions(entry)
        return
    for role, network in (("actor", entry.actor), ("critic", entry.critic)):
        claimed = entry.card["equivariance"][role]["max"]
        found = evaluation.model_equivariance_error(network, environment_of(entry)).max
        if entry.card["networks"][role]["kind"] in ("mlp", "cnn", "relaxed"):
            assert claimed > 1e-4, "it obeys no law"
            assert 0.1 < found / claimed < 10
        else:
            assert max(claimed, found) < 1e-5  # float32 rounding


def check_law_of_transitions(entry):
    symmetry = groups.Symmetry.from_config(entry.card["symmetry"]["data"])
    head = envs.make(entry.card["environment"]["name"]).transition_head
    golden = np.load(entry.path / "golden.npz")
    outputs, errors = golden["outputs"], []
    for g in symmetry.group.elements:
        inputs = golden["observations"] @ symmetry.state.matrices[g].T.astype("f")
        actions = golden["actions"] @ symmetry.action.matrices[g].T.astype("f")
        expected = outputs @ head.representation.matrices[g].T
        found = np.asarray(entry.transition_model([inputs, actions]))
        errors.append(np.abs(found - expected).max() / np.abs(outputs).max())
    claimed = entry.card["equivariance"]
    if entry.card["networks"]["transition"]["kind"] == "mlp":
        assert claimed["share"] < 1 and max(errors) > 1e-4, "an MLP obeys no law"
    else:
        assert claimed["share"] == 1 and max(claimed["max"], *errors) < 1e-5  # float32 rounding


def takes_long(name):
    """Of gymnasium's environments and Snake, more than 10 s each; of pictures is the grid world."""
    of_gymnasium = zoo.card(name)["environment"]["name"] not in envs.names()
    return of_gymnasium or name.startswith("snake")


def marks(name):
    if takes_long(name):
        return pytest.mark.slow
    quick = ("cartpole-ppo-gcnn", "catch-ppo-gcnn", "gridworld-ppo-gcnn")
    return () if name in quick else pytest.mark.thorough


@pytest.mark.parametrize("name", [pytest.param(name, marks=marks(name)) for name in NAMES])
def test_the_score_of_the_card_is_reached(name):
    # Episodes of policies draw few numbers, and score alike with those that XLA draws and others.
    with uncompiled() if is_policy(name) else contextlib.nullcontext():
        found = publishing.verify_score(name)
    if is_policy(name):
        assert set(found) == {"greedy", "sampled"}
    else:
        assert found["transitions"] >= 10_000 and found["rollout"]["errors"]


@pytest.mark.parametrize("name", PROMISED)
def test_the_promised_models_are_experts(name):
    card = zoo.card(name)
    best = BEST_RETURN[card["environment"]["name"]]
    for kind in ("greedy", "sampled"):
        assert card["evaluation"][kind]["episodes"] >= 1000
        assert card["evaluation"][kind]["success"] == f"return of at least {best:g}"
    assert card["evaluation"]["greedy"]["mean"] == best


@pytest.mark.parametrize("name", PROMISED_TRANSITION_MODELS)
def test_the_promised_transition_models_are_good(name):
    scores = zoo.card(name)["evaluation"]
    if "accuracy" in scores["metrics"]:
        assert scores["metrics"]["accuracy"]["mean"] > 0.99
    else:
        assert scores["metrics"]["mean_square"]["mean"] < 3e-4


# What somebody with Keras does: no function of the zoo, and no environment.
FRESH = """
import json, sys
import keras, numpy
import tf_equirl

found = {}
for folder in sys.argv[1:]:
    golden = numpy.load(folder + "/golden.npz", allow_pickle=False)
    for role, key in (("actor", "logits"), ("critic", "values"), ("transition", "outputs")):
        if key not in golden:
            continue
        model = keras.models.load_model(f"{folder}/{role}.keras", safe_mode=True)
        inputs = [golden[name] for name in ("observations", "actions") if name in golden]
        outputs = numpy.asarray(model(inputs if len(inputs) > 1 else inputs[0]))
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
    for role in roles(name):
        assert reloaded[f"{name} {role}"] < 1e-5  # float32 rounding


@every_model
def test_the_zoo_s_own_check_of_outputs_agrees(name):
    assert zoo.verify_outputs(name) < 1e-5


def test_the_index_is_what_the_command_writes(tmp_path):
    copy = shutil.copytree(zoo.default_folder(), tmp_path / "zoo")
    committed = (copy / "index.json").read_bytes()
    assert publishing.write_index(copy).read_bytes() == committed


def test_the_table_of_the_page_is_what_the_command_writes(tmp_path):
    page = shutil.copy(ROOT / "docs" / "zoo.md", tmp_path)
    committed = Path(page).read_text(encoding="utf-8")
    assert publishing.write_table(page, [zoo.card(name) for name in zoo.list()]) == committed
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
