"""Damage to the files of a zoo: it is refused in a sentence, or changes no number."""

import dataclasses
import json
import resource
import shutil
import sys
import time
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from damage import damaged, damages, paths, replaced, thorough, values
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

sys.path.append(str(Path(__file__).parents[1] / "zoo"))

import zoo_cases

from tf_equirl import envs, publishing, zoo
from tf_equirl.publishing.card_facts import verify_facts

pytestmark = pytest.mark.faults

NAME, TRANSITION_NAME = "cartpole-ppo-gcnn", "cartpole-transition-gcnn"
FAST, SLOW = 3_000, 600  # examples, where Keras seldom reads a file, and where it often does
CONFIG, WEIGHTS = "config.json", "model.weights.h5"


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = zoo_cases.make_zoo(tmp_path_factory.mktemp("source") / "zoo")
    zoo_cases.make_transition_entry(folder)
    publishing.write_index(folder)
    return folder


@pytest.fixture
def folder(source, tmp_path):
    return shutil.copytree(source, tmp_path / "zoo")


class Tried:
    """Calls a function with what is damaged, and counts what came of it."""

    def __init__(self, place, what, wanted=None):
        self.place, self.what, self.wanted = str(place), what, wanted
        self.refused = self.taken = 0

    def __call__(self, call):
        """What the call returns, or None where it is refused."""
        try:
            found = call()
        except ValueError as error:
            message = str(error)
            assert self.place in message and len(message) < 3_000, message
            assert message.isprintable(), message
            self.refused += 1
            return None
        if self.wanted is not None:
            assert found == self.wanted
        self.taken += 1
        return found

    def sentence(self, of_taken="changed no number"):
        return (
            f"{self.refused + self.taken} {self.what}: {self.refused} refused in a sentence that "
            f"names the file, {self.taken} {of_taken}, 0 else"
        )


@pytest.mark.parametrize("file", ["index.json", "card.json", "actor.keras", "golden.npz"])
def test_damaged_bytes_in_a_zoo(folder, counted, file):
    path = folder / file if file == "index.json" else folder / NAME / file
    whole = path.read_bytes()

    def read():
        return zoo.list(folder), zoo.card(NAME, folder), zoo.verify(NAME, folder)

    listed, card, records = read()
    tried = Tried("", f"damaged files {file} of a zoo")

    @thorough(FAST)
    @given(damages)
    def damage(what):
        path.write_bytes(damaged(whole, what))
        found = tried(read)
        if found is not None:  # other models of a damaged index may be gone
            assert found[1:] == (card, records) and set(found[0]) <= set(listed)

    damage()
    counted(tried.sentence())
    assert tried.refused > FAST / 2


def outputs(model):
    return np.asarray(model(np.linspace(-1, 1, 20, dtype=np.float32).reshape(5, 4))).tobytes()


def with_part(source, target, name, content):
    """A model file with another part, which its checksum agrees with."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for part in old.namelist():
            new.writestr(part, content if part == name else old.read(part))


def test_damaged_bytes_in_a_model_file(folder, tmp_path, counted):
    whole = (folder / NAME / "actor.keras").read_bytes()
    file = tmp_path / "damaged.keras"
    wanted = outputs(zoo.load_model(folder / NAME / "actor.keras"))
    tried = Tried(file, "damaged model files without a zoo", wanted)

    @thorough(FAST)
    @given(damages)
    def damage(what):
        file.write_bytes(damaged(whole, what))
        tried(lambda: outputs(zoo.load_model(file)))

    damage()
    counted(tried.sentence())
    assert tried.refused > FAST / 2


def test_other_values_in_a_model_s_config(folder, tmp_path, counted):
    model, file = folder / NAME / "actor.keras", tmp_path / "forged.keras"
    with zipfile.ZipFile(model) as archive:
        whole = json.loads(archive.read(CONFIG))
    tried = Tried(file, f"forged {CONFIG} of model files")

    @thorough(SLOW)
    @given(st.sampled_from(list(paths(whole))), values)
    def forge(path, value):
        with_part(model, file, CONFIG, json.dumps(replaced(whole, path, value)))
        found = tried(lambda: zoo.load_model(file))
        assert found is None or isinstance(found, keras.Model)

    forge()
    counted(tried.sentence("made a model"))
    assert tried.refused > SLOW / 4


def test_damaged_weights_with_a_checksum_that_agrees(folder, tmp_path, counted):
    model, file = folder / NAME / "actor.keras", tmp_path / "forged.keras"
    with zipfile.ZipFile(model) as archive:
        whole = archive.read(WEIGHTS)
    tried = Tried(file, f"forged {WEIGHTS} of model files")

    @thorough(SLOW)
    @given(damages)
    def forge(what):
        with_part(model, file, WEIGHTS, damaged(whole, what))
        tried(lambda: zoo.load_model(file))

    forge()
    counted(tried.sentence("made a model, maybe of other numbers, which nothing can tell"))


def holds_html(page):
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(page)
    parts = [part for token in tokens for part in (token, *(token.children or ()))]
    return any(part.type in ("html_block", "html_inline") for part in parts)


@pytest.mark.parametrize("name", [NAME, TRANSITION_NAME])
def test_other_values_in_a_card(folder, counted, name):
    """The index agrees, as that of someone who forges cards does."""
    place = folder / name
    index = json.loads((folder / "index.json").read_text())
    whole = zoo_cases.read_card(place)
    tried, written = Tried(place, "forged cards"), 0

    @thorough(FAST)
    @given(st.sampled_from(list(paths(whole))), values)
    def forge(path, value):
        nonlocal written
        (place / "card.json").write_text(json.dumps(replaced(whole, path, value)))
        record = zoo_cases.file_record(place / "card.json")
        index["models"][name]["files"]["card.json"] = record
        (folder / "index.json").write_text(json.dumps(index))
        card = tried(lambda: zoo.card(name, folder))
        if card is not None:
            page = publishing.card_to_markdown(card) + publishing.table([card])
            assert page.replace("\n", " ").isprintable() and not holds_html(page)
            written += 1

    forge()
    counted(tried.sentence("broke no rule, and pages were written of them"))
    assert tried.refused > FAST / 4 and written == tried.taken


def test_cards_that_break_no_rule_but_say_something_else(folder, counted):
    zoo_cases.measure(folder, NAME)
    entry, env = zoo.load(NAME, folder), envs.make("CartPole")
    verify_facts(entry, env)
    tried = Tried(NAME, "forged cards that break no rule, held against the model")

    @thorough(FAST)
    @given(st.sampled_from([path for path in paths(entry.card) if path]), values)
    def forge(path, value):
        card = replaced(entry.card, path, value)
        try:
            zoo.validate_card(card)
        except ValueError:
            return
        tried(lambda: verify_facts(dataclasses.replace(entry, card=card), env) or "taken")

    forge()
    counted(tried.sentence("say nothing else about what is recomputed"))
    assert tried.refused and tried.taken


def megabytes():
    """The most memory that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def test_small_files_that_ask_for_gigabytes(folder, tmp_path, counted):
    model, bomb, wide = (
        folder / "catch-ppo-mlp" / "actor.keras",
        tmp_path / "bomb.keras",
        tmp_path / "wide.keras",
    )
    with zipfile.ZipFile(model) as old, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as new:
        config = old.read(CONFIG)
        for part in old.namelist():
            with new.open(part, "w", force_zip64=True) as stream:
                for _ in range(128 if part == CONFIG else 0):
                    stream.write(b" " * 2**24)
                stream.write(old.read(part))
    with_part(model, wide, CONFIG, config.replace(b'"units": 4', b'"units": 300000000', 1))
    for file, what in ((bomb, "a config of 2 GiB"), (wide, "layers of 300,000,000 units")):
        before, began = megabytes(), time.monotonic()
        with pytest.raises(ValueError, match=f"{file.name} must be a"):
            zoo.load_model(file)
        seconds, more = time.monotonic() - began, megabytes() - before
        counted(
            f"a model file of {file.stat().st_size / 1000:,.0f} kB with {what}: refused in "
            f"{seconds:.2f} s, with {more:.0f} MiB of memory more than before"
        )
        assert more < 64 and seconds < 10
