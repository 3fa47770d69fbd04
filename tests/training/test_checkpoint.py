"""Checkpoints that are damaged, forged or another run's: none is taken for what it is not."""

import json
import shutil
import zipfile

import numpy as np
import pytest
from training_cases import Stop, Walk, WalkConfig

from tf_equirl.training.checkpoint import FORMAT, open_checkpoint, write_checkpoint
from tf_equirl.training.run import train
from tf_equirl.training.run_folder import read_any_description
from tf_equirl.training.saved import read_run

SEEDS = (5, 0, 3, 9, 2)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return train(Walk(), SEEDS, tmp_path_factory.mktemp("runs") / "whole")


def read(file, identity):
    with open_checkpoint(file, identity) as checkpoint:
        return checkpoint.read_all(lambda name: True)


def test_arrays_come_back_as_they_were(tmp_path):
    arrays = {
        "a/b": np.arange(6.0).reshape(2, 3),
        "column order": np.asfortranarray(np.arange(6, dtype=np.int32).reshape(2, 3)),
        "none": np.zeros([0, 3], np.float32),
        "one": np.array(True),
        "text": np.array("é"),
        "nan": np.array([np.nan, -0.0, np.inf], np.float32),
    }
    write_checkpoint(tmp_path / "c.npz", "id", arrays)
    found = read(tmp_path / "c.npz", "id")
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].tobytes() == array.tobytes()
    with pytest.raises(ValueError, match="which is another run's"):
        read(tmp_path / "c.npz", "other")


def rewritten(finished, folder, change, listed):
    """A copy of a run whose checkpoint's arrays were changed; `listed` forges the list, too."""
    shutil.copytree(finished.run_dir, folder)
    file = folder / "checkpoint.npz"
    with np.load(file) as old:
        arrays = dict(old)
    manifest = arrays.pop("manifest")
    arrays = {name: array for name, array in change(arrays).items() if array is not None}
    if listed:
        write_checkpoint(file, read_any_description(folder)["identity"], arrays)
    else:
        np.savez(file, **arrays, manifest=manifest)
    return folder


def with_array(name, make):
    return lambda arrays: {**arrays, name: make(arrays.get(name))}


def nan(array):
    return np.full_like(array, np.nan)


def swapped(arrays):
    one, other = "weights/network/0", "weights/network/1"
    return {**arrays, one: arrays[other], other: arrays[one]}


def longer(arrays):
    """Of a run with 20 updates, though it has 12."""
    twenty = {
        name: np.concatenate([a, a[:8]]) for name, a in arrays.items() if name.startswith("reports")
    }
    return {**arrays, **twenty, "done/update": np.array(20)}


CHANGES = {
    "a tensor is missing": (with_array("state/0/seeds", lambda _: None), "state/0/seeds"),
    "another tensor": (with_array("state/0/more", lambda _: np.zeros(3)), "state/0/more"),
    "another shape": (
        with_array("state/0/seeds", lambda x: x[:3]),
        r"state/0/seeds \[3\] of int32",
    ),
    "another type": (with_array("state/0/seeds", np.float32), r"state/0/seeds \[8\] of float32"),
    "float64": (
        with_array("state/0/weights/trained/network/0", np.float64),
        r"state/0/weights/trained/network/0 \[8, 4, 3\] of float64",
    ),
    "weights are NaN": (with_array("weights/network/1", nan), "weights/network/1.*not finite"),
    "weights of other seeds": (
        with_array("weights/network/1", lambda x: x[:4]),
        r"weights/network/1 \[4",
    ),
    "a history of five rows": (
        with_array("reports/update/size", lambda x: x[:5]),
        r"reports/update/size \[5, 5",
    ),
    "other lengths": (with_array("done/update", lambda _: np.array(7)), r"update/\w+ \[12, 5"),
    "more updates than the run has": (longer, "more than the run has.*update 20"),
    "another stage": (
        lambda arrays: {**arrays, "done/fit": np.array(0), "seconds/fit": np.array(0.0)},
        "the stages update, fit",
    ),
    "a stage without a time": (
        with_array("done/fit", lambda _: np.array(0)),
        "counts of update, fit, times of update",
    ),
    "what nobody wrote": (with_array("gigabyte", lambda _: np.zeros(9)), "gigabyte"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_forged_checkpoint_of_other_arrays_is_named(finished, tmp_path, what):
    change, message = CHANGES[what]
    folder = rewritten(finished, tmp_path / "run", change, listed=True)
    with pytest.raises(ValueError, match=f"checkpoint must be one of this run.*{message}"):
        train(Walk(), SEEDS, folder, resume=True)


@pytest.mark.parametrize("what", [*CHANGES, "reordered fields"])
def test_a_checkpoint_whose_arrays_were_changed_is_refused(finished, tmp_path, what):
    change = swapped if what == "reordered fields" else CHANGES[what][0]
    folder = rewritten(finished, tmp_path / "run", change, listed=False)
    message = "(not those of its list|is not the array that was written|of this run)"
    with pytest.raises(ValueError, match=f"checkpoint must be.*{message}"):
        train(Walk(), SEEDS, folder, resume=True)
    if what == "reordered fields" or "state/" not in CHANGES[what][1]:
        with pytest.raises(ValueError, match=f"checkpoint must be.*{message}"):
            load(folder)


def load(folder):
    found = read_run(folder, "walk")
    config = WalkConfig.from_json(found.description["config"])
    return found.result(Walk(config, found.networks["network"]))


@pytest.mark.parametrize("damage", ["another format", "no list", "old names"])
def test_another_format_is_named(finished, tmp_path, damage):
    folder = shutil.copytree(finished.run_dir, tmp_path / "run")
    with np.load(folder / "checkpoint.npz") as old:
        arrays = dict(old)
    manifest = {**json.loads(str(arrays.pop("manifest"))), "format": FORMAT + 1}
    made = {
        "another format": {**arrays, "manifest": np.array(json.dumps(manifest))},
        "no list": arrays,
        "old names": {"weights": np.zeros(3)},
    }
    np.savez(folder / "checkpoint.npz", **made[damage])
    with pytest.raises(ValueError, match="one of this run, of format 2.*another format"):
        train(Walk(), SEEDS, folder, resume=True)


def test_the_checkpoint_of_other_seeds_is_refused(finished, tmp_path):
    others, folder = (6, 1, 4, 10, 3), tmp_path / "run"
    train(Walk(), others, folder)
    before = (folder / "run.json").read_bytes()
    shutil.copy(finished.run_dir / "checkpoint.npz", folder)
    for call in (lambda: train(Walk(), others, folder, resume=True), lambda: load(folder)):
        with pytest.raises(ValueError, match="which is another run's"):
            call()
    assert (folder / "run.json").read_bytes() == before


@pytest.mark.parametrize(
    "old, new",
    [
        ('"seeds": [\n    5,', '"seeds": [\n    6,'),
        ('"learning_rate": 0.1', '"learning_rate": 0.2'),
    ],
    ids=["seeds", "learning rate"],
)
def test_an_edited_description_is_refused(finished, tmp_path, old, new):
    folder = shutil.copytree(finished.run_dir, tmp_path / "run")
    text = (folder / "run.json").read_text()
    assert old in text
    (folder / "run.json").write_text(text.replace(old, new))
    with pytest.raises(ValueError, match="run.json must be as it was written"):
        load(folder)


def test_what_is_not_wanted_is_not_read(finished, monkeypatch):
    """Loading a result leaves the states alone, which may take gigabytes."""
    from tf_equirl.training import checkpoint

    names, real = [], checkpoint._read

    def reading(archive, name):
        names.append(name)
        return real(archive, name)

    monkeypatch.setattr(checkpoint, "_read", reading)
    load(finished.run_dir)
    assert "done/update" in names
    assert not [name for name in names if name.startswith("state/")]


def test_a_file_that_unpacks_to_more_than_it_holds_is_not_unpacked(finished, tmp_path):
    folder = shutil.copytree(finished.run_dir, tmp_path / "run")
    zeros = np.zeros(2**24, np.uint8)
    np.savez_compressed(folder / "checkpoint.npz", zeros=zeros)
    assert (folder / "checkpoint.npz").stat().st_size < zeros.nbytes / 100
    with pytest.raises(ValueError, match=r"checkpoint.npz, which is damaged \(it is compressed"):
        load(folder)


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,), }",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (3,",
        b"{'descr': '|O', 'fortran_order': False, 'shape': (3,), }",
        b"[" * 90,
    ],
    ids=["a tebibyte", "cut", "objects", "nested"],
)
def test_a_header_that_lies_is_refused_before_memory_is_taken(finished, tmp_path, header):
    folder = shutil.copytree(finished.run_dir, tmp_path / "run")
    file = folder / "checkpoint.npz"
    with zipfile.ZipFile(file) as old:
        entries = {name: old.read(name) for name in old.namelist()}
    text = header.ljust(117) + b"\n"
    entries["done/update.npy"] = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
    with zipfile.ZipFile(file, "w") as new:
        for name, content in entries.items():
            new.writestr(name, content)
    with pytest.raises(ValueError, match="checkpoint.npz, which is damaged"):
        load(folder)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.999])
def test_a_truncated_checkpoint_is_named(finished, tmp_path, share):
    folder = shutil.copytree(finished.run_dir, tmp_path / "run")
    whole = (folder / "checkpoint.npz").read_bytes()
    (folder / "checkpoint.npz").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match="checkpoint.npz, which is damaged .* Delete it"):
        train(Walk(), SEEDS, folder, resume=True)


def test_flipped_bits_are_refused_or_change_nothing(finished, tmp_path):
    folder = shutil.copytree(finished.run_dir, tmp_path / "run")
    file = folder / "checkpoint.npz"
    whole = file.read_bytes()
    identity = read_any_description(folder)["identity"]
    expected = read(file, identity)
    random, refused = np.random.default_rng(0), 0
    for position in random.integers(0, 8 * len(whole), 300):
        damaged = bytearray(whole)
        damaged[position // 8] ^= 1 << (position % 8)
        file.write_bytes(damaged)
        try:
            found = read(file, identity)
        except ValueError:
            refused += 1
            continue
        assert {k: v.tobytes() for k, v in found.items()} == {
            k: v.tobytes() for k, v in expected.items()
        }
    assert refused > 200


def test_an_unfinished_run_loads_as_such(finished, tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(Walk(), SEEDS, folder, on_progress=Stop(1))
    files = {file: file.stat().st_mtime_ns for file in folder.rglob("*")}
    loaded = load(folder)
    assert not loaded.finished
    assert 1 <= loaded.updates < 12
    np.testing.assert_array_equal(loaded.sizes, finished.sizes[: loaded.updates])
    assert files == {file: file.stat().st_mtime_ns for file in folder.rglob("*")}
    assert load(finished.run_dir).finished
