"""Names, paths, loading, and all that can be wrong with the files."""

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import zoo_cases

from tf_equirl import publishing, zoo

NAME = "cartpole-ppo-gcnn"
TRANSITION_NAME = "cartpole-transition-gcnn"
ROOT = Path(__file__).parents[2]


def flip_a_byte(file, at=0.5):
    content = bytearray(file.read_bytes())
    content[int(at * len(content))] ^= 1
    file.write_bytes(content)


def sha256(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


def edit_index(folder, change):
    index = json.loads((folder / "index.json").read_text())
    change(index)
    (folder / "index.json").write_text(json.dumps(index))


def test_names_and_paths(folder):
    assert zoo.list(folder) == [NAME, "catch-ppo-mlp"]
    assert zoo.path(NAME, folder) == folder / NAME
    assert zoo.path(NAME, str(folder)) == folder / NAME


def test_a_loaded_model_is_the_saved_one(folder):
    entry = zoo.load(NAME, folder)
    golden = np.load(folder / NAME / "golden.npz")
    assert (entry.name, entry.path) == (NAME, folder / NAME)
    np.testing.assert_array_equal(entry.actor(golden["observations"]), golden["logits"])
    np.testing.assert_array_equal(entry.critic(golden["observations"]), golden["values"])
    assert entry.card == zoo_cases.read_card(folder / NAME) == zoo.card(NAME, folder)
    assert entry.transition_model is None


def test_a_loaded_transition_model_is_the_saved_one(mixed):
    entry = zoo.load(TRANSITION_NAME, mixed)
    assert entry.actor is None and entry.critic is None
    golden = np.load(mixed / TRANSITION_NAME / "golden.npz")
    inputs = [golden["observations"], golden["actions"]]
    file = mixed / TRANSITION_NAME / "transition.keras"
    for model in (entry.transition_model, zoo.load_model(TRANSITION_NAME, mixed)):
        np.testing.assert_array_equal(model(inputs), golden["outputs"])
    np.testing.assert_array_equal(zoo.load_model(file)(inputs), golden["outputs"])
    zoo.verify(TRANSITION_NAME, mixed)
    flip_a_byte(file)
    for call in (zoo.load, zoo.load_model, zoo.verify):
        with pytest.raises(ValueError, match="transition.keras must have the SHA-256"):
            call(TRANSITION_NAME, mixed)


@pytest.mark.parametrize("call", [zoo.load, zoo.load_model])
def test_a_model_of_the_other_type_is_refused_where_only_one_will_do(mixed, call):
    assert call(NAME, mixed, must_be="policy")
    assert call(TRANSITION_NAME, mixed, must_be="transition model")
    message = (
        f"must be the name of a policy. Received: name='{TRANSITION_NAME}', which is a transition "
        "model for CartPole"
    )
    with pytest.raises(ValueError, match=message):
        call(TRANSITION_NAME, mixed, must_be="policy")
    with pytest.raises(ValueError, match=f"a transition model. .*'{NAME}', which is a policy"):
        call(NAME, mixed, must_be="transition model")


def test_load_model_takes_a_name_or_a_path(folder):
    golden = np.load(folder / NAME / "golden.npz")
    file = folder / NAME / "actor.keras"
    for given in (file, str(file)):
        np.testing.assert_array_equal(
            zoo.load_model(given)(golden["observations"]), golden["logits"]
        )
    by_name = zoo.load_model(NAME, folder)
    np.testing.assert_array_equal(by_name(golden["observations"]), golden["logits"])


def test_a_name_is_a_name_also_where_a_file_is_called_the_same(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / NAME).write_bytes(b"something else")
    assert zoo.load_model(NAME, folder).output_shape == (None, 2)


@pytest.mark.parametrize("call", [zoo.load, zoo.card, zoo.path, zoo.verify, zoo.load_model])
@pytest.mark.parametrize("wrong", ["cartpole-ppo-gcn", "CartPole-PPO-gcnn"])
def test_an_unknown_name_suggests_near_ones(folder, call, wrong):
    with pytest.raises(ValueError, match=f"Did you mean {NAME}") as error:
        call(wrong, folder)
    assert str(error.value).endswith(f"Received: name={wrong!r}")


@pytest.mark.parametrize("call", [zoo.load, zoo.card, zoo.path, zoo.verify])
@pytest.mark.parametrize(
    "trick", ["", ".", "..", "../zoo", f"../zoo/{NAME}", f"./{NAME}", f"{NAME}/", f"{NAME}\0", None]
)
def test_names_that_are_paths_are_refused(folder, call, trick):
    with pytest.raises(ValueError, match="`name` must be one of"):
        call(trick, folder)
    absolute = str(folder / NAME)
    with pytest.raises(ValueError, match="`name` must be one of"):
        call(absolute, folder)


@pytest.mark.parametrize("name", ["..", "../outside", "/etc", "a/b", "", ".hidden", "A b"])
def test_an_index_cannot_lead_out_of_the_zoo(folder, name):
    edit_index(folder, lambda i: i["models"].update({name: i["models"][NAME]}))
    with pytest.raises(ValueError, match="names such as my-model") as error:
        zoo.list(folder)
    assert str(error.value).endswith(f"Received: name={name!r}")


@pytest.mark.parametrize("file", ["../index.json", "/etc/passwd", "..", "a/b", ".hidden", ""])
def test_neither_can_a_file_of_an_index_or_card(folder, file):
    place = folder / NAME
    card = zoo_cases.read_card(place)
    card["files"][file] = card["files"]["actor.keras"]
    (place / "card.json").write_text(json.dumps(card))
    edit_index(
        folder,
        lambda i: i["models"][NAME]["files"].update(
            {"card.json": zoo_cases.file_record(place / "card.json")}
        ),
    )
    with pytest.raises(ValueError, match="must list plain file names"):
        zoo.load(NAME, folder)
    edit_index(folder, lambda i: i["models"][NAME]["files"].update({file: {}}))
    with pytest.raises(ValueError, match="must list plain file names"):
        zoo.list(folder)


@pytest.mark.parametrize("file", ["actor.keras", "critic.keras", "card.json"])
@pytest.mark.parametrize("at", [0.0, 0.5, 0.999])
def test_a_flipped_byte_is_named_with_both_sums(folder, file, at):
    before = sha256(folder / NAME / file)
    flip_a_byte(folder / NAME / file, at)
    for call in (zoo.load, zoo.verify):
        with pytest.raises(ValueError) as error:
            call(NAME, folder)
        message = str(error.value)
        assert f"{NAME}/{file} must have the SHA-256 that index.json gives" in message
        assert before in message and sha256(folder / NAME / file) in message


@pytest.mark.parametrize("file", ["README.md", "golden.npz", "learning_curve.png", "episode.gif"])
def test_verify_sees_a_flipped_byte_in_every_file(folder, file):
    flip_a_byte(folder / NAME / file)
    with pytest.raises(ValueError, match=f"{NAME}/{file} must have the SHA-256"):
        zoo.verify(NAME, folder)
    assert zoo.verify("catch-ppo-mlp", folder)


@pytest.mark.parametrize("file", ["actor.keras", "critic.keras", "card.json"])
def test_a_missing_file_is_named(folder, file):
    (folder / NAME / file).unlink()
    with pytest.raises(ValueError, match=f"{NAME}/{file} must exist"):
        zoo.load(NAME, folder)
    with pytest.raises(ValueError, match=f"{NAME}/{file} must exist"):
        zoo.verify(NAME, folder)


def test_a_missing_folder_is_named(folder):
    (folder / NAME).rename(folder / "elsewhere")
    with pytest.raises(ValueError, match=f"{NAME} must exist"):
        zoo.path(NAME, folder)
    with pytest.raises(ValueError, match=f"{NAME}/card.json must exist"):
        zoo.load(NAME, folder)


def test_a_card_that_lies_about_a_checksum_is_caught(folder):
    place = folder / NAME
    card, truth = zoo_cases.read_card(place), sha256(place / "actor.keras")
    card["files"]["actor.keras"]["sha256"] = lie = "0" * 64
    zoo_cases.write_card(place, card, with_checksums=False)
    # Somebody who changes a card can change the index, too; the file itself tells.
    records = {file: zoo_cases.file_record(place / file) for file in ("card.json", "README.md")}
    edit_index(folder, lambda i: i["models"][NAME]["files"].update(records))
    for call in (zoo.load, zoo.load_model, zoo.verify):
        with pytest.raises(ValueError, match="actor.keras must have .* that card.json gives") as e:
            call(NAME, folder)
        assert truth in str(e.value) and lie in str(e.value)
    with pytest.raises(ValueError, match="actor.keras must have the SHA-256"):
        publishing.write_index(folder)


def test_a_card_that_lies_about_a_size_is_caught(folder):
    edit_index(folder, lambda i: i["models"][NAME]["files"]["actor.keras"].update(bytes=7))
    with pytest.raises(ValueError, match="actor.keras must have the size .* 7 bytes"):
        zoo.load(NAME, folder)


def test_a_card_of_another_model_is_caught(folder):
    other = (folder / "catch-ppo-mlp" / "card.json").read_bytes()
    (folder / NAME / "card.json").write_bytes(other)
    record = zoo_cases.file_record(folder / NAME / "card.json")
    edit_index(folder, lambda i: i["models"][NAME]["files"].update({"card.json": record}))
    with pytest.raises(ValueError, match=f"must be the card of {NAME}"):
        zoo.load(NAME, folder)


def test_a_file_that_nobody_lists_is_caught(folder):
    (folder / NAME / "extra.pkl").write_bytes(b"")
    with pytest.raises(ValueError, match=r"only files that index.json lists.*extra.pkl"):
        zoo.verify(NAME, folder)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"format": 1}',
        b'{"format": 1, "models": []}',
        b'{"format": 2, "models": {}}',
        b'{"format": NaN, "models": {}}',
        b'{"format": 1, "models": {"a": null}}',
        b'{"format": 1, "models": {"a": {}}}',
        b'{"format": 1, "models": {"a": {"files": {"card.json": {"sha256": "0", "bytes": 1}}}}}',
    ],
)
def test_a_damaged_index_is_named(folder, content):
    (folder / "index.json").write_bytes(content)
    for call in (lambda: zoo.list(folder), lambda: zoo.load("a", folder)):
        with pytest.raises(ValueError, match="index.json") as error:
            call()
        assert len(str(error.value)) < 1000


def test_an_index_without_the_card_is_named(folder):
    edit_index(folder, lambda i: i["models"][NAME]["files"].pop("card.json"))
    with pytest.raises(ValueError, match="index.json must list .*card.json"):
        zoo.load(NAME, folder)


def test_a_folder_without_an_index_is_no_zoo(tmp_path):
    with pytest.raises(ValueError, match="index.json must exist"):
        zoo.list(tmp_path)


@keras.saving.register_keras_serializable(package="test_zoo_store")
def known_function(x):
    return 2 * x


def save_lambda(file, function):
    inputs = keras.Input((4,))
    inner = keras.Sequential([keras.layers.Dense(2), keras.layers.Lambda(function)])
    keras.Model(inputs, inner(inputs)).save(file)


@pytest.mark.parametrize(
    ("function", "keras_loads_it"), [(lambda x: 2 * x, False), (known_function, True)]
)
def test_a_lambda_layer_is_refused(folder, function, keras_loads_it):
    place = folder / NAME
    save_lambda(place / "actor.keras", function)
    if keras_loads_it:
        keras.models.load_model(place / "actor.keras", safe_mode=True)
    with pytest.raises(ValueError, match="actor.keras must hold no Lambda layer"):
        zoo.load_model(place / "actor.keras")
    # Also where card and index say that the file is right.
    zoo_cases.write_card(place, zoo_cases.read_card(place))
    publishing.write_index(folder)
    for call in (zoo.load, zoo.load_model):
        with pytest.raises(ValueError, match="actor.keras must hold no Lambda layer"):
            call(NAME, folder)


@pytest.mark.parametrize("at", [0.0, 0.3, 0.6, 0.9])
def test_a_damaged_file_outside_of_the_zoo_is_refused(folder, tmp_path, at):
    content = (folder / NAME / "actor.keras").read_bytes()
    (tmp_path / "cut.keras").write_bytes(content[: int(at * len(content))])
    with pytest.raises(ValueError, match="cut.keras must be a whole .keras file"):
        zoo.load_model(tmp_path / "cut.keras")


@pytest.mark.filterwarnings("ignore:Skipping nested container")
def test_a_file_with_other_weights_or_an_unknown_layer_is_refused(folder, tmp_path):
    source = zipfile.ZipFile(folder / NAME / "actor.keras")
    with zipfile.ZipFile(tmp_path / "unknown.keras", "w") as archive:
        for name in source.namelist():
            archive.writestr(name, source.read(name).replace(b"GroupDense", b"NobodysDense"))
    with pytest.raises(ValueError, match="unknown.keras must be a model that Keras can read"):
        zoo.load_model(tmp_path / "unknown.keras")
    with h5py.File(tmp_path / "empty.h5", "w"):
        pass
    with zipfile.ZipFile(tmp_path / "weightless.keras", "w") as archive:
        for name in source.namelist():
            weights = name.endswith(".h5")
            archive.writestr(
                name, (tmp_path / "empty.h5").read_bytes() if weights else source.read(name)
            )
    with pytest.raises(ValueError, match="weightless.keras must be a model that Keras can read"):
        zoo.load_model(tmp_path / "weightless.keras")


def rewrite(source, target, **changes):
    """Copies a model file; `metadata` and `config` are functions of the text of those parts."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            change = changes.get(name.partition(".")[0])
            new.writestr(name, change(content.decode()) if change else content)
    return target


def written_by(version):
    return lambda text: text.replace(keras.__version__, version)


def with_new_argument(text):
    return text.replace('"units": ', '"folding": 2, "units": ')


def with_new_class(text):
    return text.replace('"class_name": "InputLayer"', '"class_name": "FoldingLayer"')


@pytest.mark.parametrize("change", [with_new_argument, with_new_class])
def test_what_only_a_newer_keras_knows_ends_in_one_sentence(folder, tmp_path, change):
    source = folder / "catch-ppo-mlp" / "actor.keras"
    parts = {"metadata": written_by("99.1.0"), "config": change}
    file = rewrite(source, tmp_path / "newer.keras", **parts)
    with pytest.raises(ValueError) as caught:
        zoo.load_model(file)
    assert str(caught.value) == (
        f"{file} holds something that only a newer Keras knows: Keras 99.1.0 wrote it, and it "
        f"needs that version or a later one. Received: Keras {keras.__version__}"
    )


def test_a_file_of_a_newer_keras_that_needs_nothing_new_is_read(folder, tmp_path):
    source = folder / "catch-ppo-mlp" / "actor.keras"
    file = rewrite(source, tmp_path / "newer.keras", metadata=written_by("99.1.0"))
    observations = np.ones((2, 50), np.float32)
    expected = zoo.load_model(source)(observations)
    np.testing.assert_array_equal(zoo.load_model(file)(observations), expected)


@pytest.mark.parametrize("version", ["3.0.1", keras.__version__])
def test_another_fault_is_not_put_down_to_the_version(folder, tmp_path, version):
    source = folder / "catch-ppo-mlp" / "actor.keras"
    parts = {"metadata": written_by(version), "config": with_new_argument}
    file = rewrite(source, tmp_path / "odd.keras", **parts)
    with pytest.raises(ValueError, match="odd.keras must be a model that Keras can read.*folding"):
        zoo.load_model(file)


def test_nor_is_a_layer_that_nobody_registered(folder, tmp_path):
    parts = {
        "metadata": written_by("99.1.0"),
        "config": lambda text: text.replace("GroupDense", "NobodysDense"),
    }
    file = rewrite(folder / NAME / "actor.keras", tmp_path / "unknown.keras", **parts)
    with pytest.raises(ValueError, match="unknown.keras must be a model that Keras can read"):
        zoo.load_model(file)


@pytest.mark.parametrize("metadata", ["", "[]", "3", '{"saved": 1}'])
def test_a_file_that_does_not_say_who_wrote_it_is_refused(folder, tmp_path, metadata):
    source = folder / NAME / "actor.keras"
    file = rewrite(source, tmp_path / "odd.keras", metadata=lambda text: metadata)
    with pytest.raises(ValueError, match="odd.keras must be a whole .keras file"):
        zoo.load_model(file)


@pytest.mark.parametrize("given", ["nothing.keras", "./nothing", "model.h5/x", Path("a/b.h5")])
def test_a_path_that_is_no_model_is_named(folder, given):
    with pytest.raises(ValueError, match="must be a .keras file that exists") as error:
        zoo.load_model(given, folder)
    assert str(Path(given)) in str(error.value)


def test_it_loads_in_a_process_without_tf_agents_and_gymnasium(mixed):
    code = """
import importlib.abc, sys
class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"tf_agents", "tensorflow_probability", "gym", "gymnasium"}:
            raise ModuleNotFoundError(name)
        if name.split(".")[0] == "matplotlib":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing())
from tf_equirl import zoo
for name in zoo.list(sys.argv[1]):
    print(*[network.output_shape for network in zoo.load(name, sys.argv[1]).networks.values()])
    zoo.verify(name, sys.argv[1]), zoo.verify_outputs(name, sys.argv[1])
print({"tf_equirl.envs", "tf_equirl.dyna"} & set(sys.modules))
"""
    result = subprocess.run(
        [sys.executable, "-c", code, str(mixed)],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if not k.startswith(("TF_", "_TF_", "KERAS"))},
        capture_output=True,
        text=True,
        timeout=120,
    )
    shapes = ["(None, 2) (None, 1)", "(None, 4)", "(None, 3) (None, 1)"]
    assert result.stdout.splitlines() == [*shapes, "set()"], result.stderr
