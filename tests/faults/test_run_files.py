"""Damage to the files of a run: it is refused in a sentence, or changes no number."""

import json
import re
import shutil
import time
import tracemalloc
import zipfile

import numpy as np
import pytest
from damage import damaged, damages, paths, replaced, thorough, values
from hypothesis import given
from hypothesis import strategies as st
from training_cases import Stop, Walk

from tf_equirl.training import train
from tf_equirl.training.checkpoint import write_checkpoint
from tf_equirl.training.run_folder import read_any_description
from tf_equirl.training.saved import read_run

pytestmark = pytest.mark.faults

EXAMPLES = 3_000
NOT_NUMBERS = ("versions", "git_commit")  # records, which nothing is computed from


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    with pytest.raises(KeyboardInterrupt):
        train(Walk(), (5, 0, 3), folder, on_progress=Stop(3))
    return folder


class Reader:
    """Reads a run, and counts what came of it."""

    def __init__(self, folder):
        self.folder = folder
        self.wanted = self.read()
        self.refused = self.harmless = 0

    def read(self):
        saved = read_run(self.folder, "walk")
        described = {k: v for k, v in saved.description.items() if k not in NOT_NUMBERS}
        # Keras numbers the names of layers anew in every process.
        described["models"] = re.sub(r'_\d+"', '"', json.dumps(described["models"]))
        outcome = saved.outcome
        arrays = [*outcome.weights["network"], *outcome.history["update"].values()]
        numbers = [(a.dtype.str, a.shape, a.tobytes()) for a in arrays]
        return json.dumps(described), outcome.seeds, outcome.done, outcome.harms, numbers

    def try_it(self):
        try:
            found = self.read()
        except ValueError as error:
            assert str(self.folder) in str(error)
            assert len(str(error)) < 2_000
            self.refused += 1
            return
        assert found == self.wanted
        self.harmless += 1

    def sentence(self, what):
        return (
            f"{self.refused + self.harmless} {what}: {self.refused} refused in a sentence that "
            f"names the file, {self.harmless} changed no number, 0 else"
        )


@pytest.mark.parametrize("name", ["run.json", "checkpoint.npz"])
def test_damaged_bytes(run, tmp_path, counted, name):
    folder = shutil.copytree(run, tmp_path / "run")
    whole = (folder / name).read_bytes()
    reader = Reader(folder)

    @thorough(EXAMPLES)
    @given(damages)
    def damage(what):
        (folder / name).write_bytes(damaged(whole, what))
        reader.try_it()

    damage()
    counted(reader.sentence(f"files {name} with damaged bytes"))
    assert reader.refused > EXAMPLES / 2


def test_other_values_in_the_description(run, tmp_path, counted):
    folder = shutil.copytree(run, tmp_path / "run")
    file = folder / "run.json"
    whole = json.loads(file.read_text())
    reader = Reader(folder)

    @thorough(EXAMPLES)
    @given(st.sampled_from(list(paths(whole))), values)
    def replace(path, value):
        file.write_text(json.dumps(replaced(whole, path, value)))
        reader.try_it()

    replace()
    counted(reader.sentence("descriptions with another value in a random place"))
    assert reader.refused > EXAMPLES / 2


arrays_of_any_kind = st.builds(
    lambda dtype, shape, seed: np.random.default_rng(seed).integers(0, 100, shape).astype(dtype),
    st.sampled_from(["?", "i1", "i4", "i8", "f2", "f4", "f8", "c8", "U3", "S2", ">f4"]),
    st.lists(st.integers(0, 9), max_size=4),
    st.integers(0, 100),
)


def test_arrays_of_another_kind_with_a_list_that_agrees(run, tmp_path, counted):
    """Forged checkpoints: what is in the list is in the file, but it is not what a run has."""
    folder = shutil.copytree(run, tmp_path / "run")
    file = folder / "checkpoint.npz"
    identity = read_any_description(folder)["identity"]
    with np.load(file) as old:
        whole = {name: array for name, array in old.items() if name != "manifest"}
    forged, learner = [], Walk()
    names = [name for name in sorted(whole) if name.startswith(("state/", "done/", "harms"))]

    @thorough(EXAMPLES // 10)
    @given(
        st.sampled_from(names),
        st.sampled_from(["replaced", "dropped", "renamed", "added"]),
        st.text("abcdefgh/0123456789", min_size=1, max_size=12),
        arrays_of_any_kind,
    )
    def forge(name, what, other, array):
        arrays = dict(whole)
        if what == "replaced":
            old, arrays[name] = arrays[name], array
            if (array.dtype, array.shape) == (old.dtype, old.shape) or np.array_equal(array, old):
                return  # other numbers by design, which nothing can tell, or the same
        elif what == "added":
            arrays[other] = array
        else:
            taken = arrays.pop(name)
            if what == "renamed":
                arrays[other] = taken
        write_checkpoint(file, identity, arrays)
        with pytest.raises(ValueError, match="checkpoint"):
            train(learner, (5, 0, 3), folder, resume=True)
        forged.append(name)

    forge()
    counted(f"{len(forged)} checkpoints with other arrays and a list that agrees: none resumed")


@pytest.mark.parametrize("compressed", [True, False])
def test_bombs_take_neither_memory_nor_time(run, tmp_path, counted, compressed):
    folder = shutil.copytree(run, tmp_path / "run")
    file, gigabytes = folder / "checkpoint.npz", 2
    kind = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with (
        zipfile.ZipFile(file, "a", kind, allowZip64=True) as archive,
        archive.open("more.npy", "w", force_zip64=True) as stream,
    ):
        array = np.lib.stride_tricks.as_strided(np.zeros(1), [2**27 * gigabytes], [0])
        np.lib.format.write_array_header_1_0(
            stream, np.lib.format.header_data_from_array_1_0(array)
        )
        for _ in range(8 * gigabytes):
            stream.write(bytes(2**27))
    tracemalloc.start()
    started = time.monotonic()
    with pytest.raises(ValueError, match="checkpoint"):
        train(Walk(), (5, 0, 3), folder, resume=True)
    seconds = time.monotonic() - started
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    counted(
        f"a checkpoint with {gigabytes} GiB more, {file.stat().st_size / 2**20:.0f} MiB as a file: "
        f"refused in {seconds:.2f} s with {most / 2**20:.0f} MiB of memory"
    )
    assert most < 64 * 2**20
