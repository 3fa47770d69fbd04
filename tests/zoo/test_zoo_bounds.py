"""Files that ask for more memory than they have bytes, or that end in other errors than one."""

import io
import json
import time
import tracemalloc
import zipfile

import h5py
import numpy as np
import pytest
import zoo_cases

from tf_equirl import publishing, zoo
from tf_equirl.zoo.records import MAXIMUM_JSON

NAME, MLP = "cartpole-ppo-gcnn", "catch-ppo-mlp"
MEGABYTE = 2**20


def rewrite(source, target, **parts):
    """Copies a model file with other parts: bytes, or functions of the bytes that are there."""
    with (
        zipfile.ZipFile(source) as old,
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            part = parts.get(name.partition(".")[0], old.read(name))
            new.writestr(name, part(old.read(name)) if callable(part) else part)
    return target


def most_memory(call):
    """Megabytes that Python and NumPy took for a call."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1] / MEGABYTE
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("part", ["config", "metadata", "model"])
def test_a_small_file_does_not_unpack_to_a_large_one(folder, tmp_path, part):
    size = 64 * MEGABYTE
    file = rewrite(folder / MLP / "actor.keras", tmp_path / "bomb.keras", **{part: bytes(size)})
    assert file.stat().st_size < MEGABYTE / 8

    def read():
        with pytest.raises(ValueError, match="bomb.keras must be a whole .keras file.*too many"):
            zoo.load_model(file)

    assert most_memory(read) < 4


def test_parts_that_nobody_reads_may_be_there(folder, tmp_path):
    source = folder / MLP / "actor.keras"
    file = rewrite(source, tmp_path / "more.keras")
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("notes.txt", bytes(64 * MEGABYTE))
    board = np.ones((2, 50), np.float32)
    np.testing.assert_array_equal(zoo.load_model(file)(board), zoo.load_model(source)(board))


@pytest.mark.parametrize("name", [NAME, MLP])
@pytest.mark.parametrize("units", [300_000_000, 10**15, 10**400])
def test_a_layer_without_its_weights_in_the_file_is_not_built(folder, tmp_path, name, units):
    def config(text):
        return text.replace(b'"units": 4', b'"units": %d' % units, 1)

    file = rewrite(folder / name / "actor.keras", tmp_path / "wide.keras", config=config)
    began = time.monotonic()
    with pytest.raises(ValueError, match="wide.keras must be a model that Keras can read"):
        zoo.load_model(file)
    assert time.monotonic() - began < 5


def compressed(file):
    file.create_dataset("zeros", (MEGABYTE, 100), "f4", chunks=(1024, 100), compression="gzip")


def linked(file):
    file["elsewhere"] = h5py.ExternalLink("/etc/passwd", "/")


def of_another_file(file):
    file.create_dataset("raw", (100,), "i1", external=[("/etc/passwd", 0, 100)])


def of_texts(file):
    file["texts"] = np.array(["a" * 100], dtype=h5py.string_dtype())


@pytest.mark.parametrize("damage", [compressed, linked, of_another_file, of_texts])
def test_weights_are_plain_arrays_of_the_file(folder, tmp_path, damage):
    def weights(content):
        stream = io.BytesIO(content)
        with h5py.File(stream, "a") as file:
            damage(file)
        return stream.getvalue()

    source = folder / MLP / "actor.keras"
    file = rewrite(source, tmp_path / "odd.keras", model=weights)
    with pytest.raises(ValueError, match="odd.keras must be a whole .keras file"):
        zoo.load_model(file)


def nested(depth):
    return b'{"a": ' * depth + b"1" + b"}" * depth


CONFIGS = [
    b"",
    b"null",
    b"[]",
    b"3",
    b'"text"',
    b"{}",
    nested(50_000),
    b'{"class_name": null}',
    b'{"class_name": "Functional", "config": null}',
    b'{"class_name": "Functional", "config": {"layers": [], "input_layers": [[]]}}',
    b'{"module": "keras", "class_name": "Sequential", "config": {"layers": [null]}}',
    b'{"module": "keras.layers", "class_name": "Dense", "config": {"units": 4}}',
    b'{"module": "os", "class_name": "system", "config": {}}',
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config[:60].decode() or "empty")
def test_a_config_that_is_none_ends_in_one_sentence(folder, tmp_path, config):
    file = rewrite(folder / MLP / "actor.keras", tmp_path / "odd.keras", config=config)
    with pytest.raises(ValueError, match="odd.keras must be a .*Received: ") as error:
        zoo.load_model(file)
    assert len(str(error.value)) < 3000 and str(error.value).isprintable()


def test_a_config_in_which_the_layers_are_nested_deeply(folder, tmp_path):
    def config(text):
        inner = json.loads(text)
        for _ in range(300):
            inner = {**json.loads(text), "config": {"layers": [inner]}, "class_name": "Sequential"}
        return json.dumps(inner)

    file = rewrite(folder / MLP / "actor.keras", tmp_path / "deep.keras", config=config)
    with pytest.raises(ValueError, match="deep.keras must be a model that Keras can read"):
        zoo.load_model(file)


def set_card(folder, content):
    """Puts a card there, of which the index knows."""
    file = folder / NAME / "card.json"
    file.write_bytes(content)
    index = json.loads((folder / "index.json").read_bytes())
    index["models"][NAME]["files"]["card.json"] = zoo_cases.file_record(file)
    (folder / "index.json").write_text(json.dumps(index))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        nested(200),
        nested(50_000),
        b"[" * 1_000_000,
        b'{"format": ' + b"9" * 5000 + b"}",
        b'{"format": "\xff"}',
        b'{"format": "\\ud800"}',
        b" " * (MAXIMUM_JSON + 1),
    ],
    ids=range(10),
)
def test_a_damaged_card_or_index_ends_in_one_sentence(folder, content):
    set_card(folder, content)
    for call in (zoo.card, zoo.load, zoo.verify, zoo.verify_outputs, publishing.verify_score):
        with pytest.raises(ValueError, match=f"{NAME}/card.json must") as error:
            call(NAME, folder)
        assert len(str(error.value)) < 1000
    with pytest.raises(ValueError, match=f"{NAME}/card.json must"):
        publishing.write_index(folder)
    (folder / "index.json").write_bytes(content)
    with pytest.raises(ValueError, match="index.json must") as error:
        zoo.list(folder)
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize("number", [10**400, -(10**400), 2**63])
@pytest.mark.parametrize(
    "place", ["evaluation.greedy.mean", "training.mean_return", "networks.actor.parameters"]
)
def test_numbers_that_nothing_can_hold_are_refused(pristine, place, number):
    card = inner = zoo_cases.read_card(pristine / NAME)
    *path, last = place.split(".")
    for field in path:
        inner = inner[field]
    inner[last] = number
    with pytest.raises(ValueError, match=f"`{place}` must be"):
        zoo.validate_card(card)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 2)}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (64, 2)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (64, 2",
        "[" * 200,
    ],
)
def test_stored_outputs_do_not_ask_for_memory(folder, header):
    place = folder / NAME
    with np.load(place / "golden.npz") as golden:
        arrays = dict(golden)
    np.savez(place / "golden.npz", **{k: v for k, v in arrays.items() if k != "logits"})
    with zipfile.ZipFile(place / "golden.npz", "a") as archive:
        start = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little")
        archive.writestr("logits.npy", start + header.encode() + bytes(512))
    zoo_cases.write_card(place, zoo_cases.read_card(place))
    publishing.write_index(folder)
    with pytest.raises(ValueError, match="golden.npz must hold observations, logits, values"):
        zoo.verify_outputs(NAME, folder)


def test_a_file_of_another_size_is_not_read(folder):
    with (folder / NAME / "actor.keras").open("r+b") as stream:
        stream.truncate(2**36)  # takes no room on the disk
    with pytest.raises(ValueError, match="actor.keras must have the size .*68719476736 bytes"):
        zoo.load(NAME, folder)
