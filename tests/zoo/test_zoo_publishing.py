"""Publishing that is killed, interrupted, or done by several at once."""

import shutil
import sys
import threading

import pytest
import zoo_cases

from tf_equirl import models, publishing, zoo
from tf_equirl._files import LOCK, locked
from tf_equirl.publishing import changes, policy, transition_model
from tf_equirl.publishing.entry import write_entry

NAME, OTHER = "cartpole-ppo-gcnn", "catch-ppo-mlp"
OLD, NEW = "The old one.", "The new one."


@pytest.fixture(scope="module")
def source(pristine, tmp_path_factory):
    """A zoo of two models, of which one is to be published anew."""
    folder = shutil.copytree(pristine, tmp_path_factory.mktemp("source") / "zoo")
    card = zoo_cases.read_card(folder / NAME)
    zoo_cases.write_card(folder / NAME, {**card, "description": OLD})
    publishing.write_index(folder)
    (folder / LOCK).unlink()
    return folder


@pytest.fixture
def folder(source, tmp_path):
    return shutil.copytree(source, tmp_path / "zoo")


def publish(source, folder, name=NAME, description=NEW):
    """Publishes a copy of a model under a name."""

    def write(place):
        card = zoo_cases.read_card(source / NAME)
        for file in card["files"]:
            shutil.copy(source / NAME / file, place)
        del card["files"]
        return {**card, "name": name, "description": description}

    return write_entry(folder, name, write)


def read(folder):
    """The description of the model that the zoo has, all of whose files are checked."""
    assert zoo.list(folder) == [NAME, OTHER]
    zoo.verify(OTHER, folder)
    zoo.verify(NAME, folder)
    assert zoo.path(NAME, folder).is_dir()
    return zoo.card(NAME, folder)["description"]


def hidden(folder):
    return [file.name for file in folder.iterdir() if file.name.startswith(".")]


class Killed(BaseException):
    pass


class Stop:
    """Ends a call at the n-th line of `changes.py` that it comes to.

    An exception stands for the end: `Killed` for that of a process, after which nothing is removed.
    """

    def __init__(self, at, kind, monkeypatch):
        self.left, self.kind = at, kind
        self.came = False
        if kind is Killed:
            remove = shutil.rmtree

            def unless_dead(*arguments, **options):
                if not self.came:
                    remove(*arguments, **options)

            monkeypatch.setattr(shutil, "rmtree", unless_dead)

    def trace(self, frame, event, argument):
        if frame.f_code.co_filename != changes.__file__:
            return None
        if event == "line":
            self.left -= 1
            if self.left < 0:
                self.came = True
                raise self.kind
        return self.trace

    def __call__(self, function, *arguments):
        before = sys.gettrace()
        sys.settrace(self.trace)
        try:
            function(*arguments)
        except self.kind:
            pass
        finally:
            sys.settrace(before)
        return self.came


@pytest.mark.thorough
@pytest.mark.parametrize("kind", [KeyboardInterrupt, Killed])
def test_it_can_end_at_every_line(source, tmp_path, kind, monkeypatch):
    found = []
    for at in range(1000):
        folder = shutil.copytree(source, tmp_path / str(at))
        with monkeypatch.context() as patch:
            stopped = Stop(at, kind, patch)(publish, source, folder)
        found.append(read(folder))
        assert found[-1] in (OLD, NEW)
        # Whoever changes the zoo next ends or removes what was begun.
        publishing.write_index(folder)
        assert read(folder) == found[-1] and hidden(folder) == [LOCK]
        shutil.rmtree(folder)
        if not stopped:
            break
    assert found == sorted(found, reverse=True)  # once it is published, it stays
    assert found.count(OLD) > 10 and found.count(NEW) > 10


def test_of_many_at_once_all_are_published(source, folder):
    names = [NAME, *(f"new-{i}" for i in range(3)), NAME]
    threads = [threading.Thread(target=publish, args=(source, folder, name)) for name in names]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        for name in zoo.list(folder):
            zoo.verify(name, folder)
    assert zoo.list(folder) == sorted({NAME, OTHER, *names})
    for name in zoo.list(folder):
        zoo.verify(name, folder)
    before = (folder / "index.json").read_bytes()
    assert publishing.write_index(folder).read_bytes() == before and hidden(folder) == [LOCK]


def test_a_zoo_that_another_process_changes_is_left_alone(source, folder, monkeypatch):
    monkeypatch.setattr(changes, "SECONDS", 0.0)
    with locked(folder, "zoo_dir"):
        for change in (lambda: publish(source, folder), lambda: publishing.write_index(folder)):
            with pytest.raises(ValueError, match="zoo_dir must not be in use by another process"):
                change()
    assert read(folder) == OLD and hidden(folder) == [LOCK]


def test_a_model_that_is_being_made_is_not_removed(source, folder):
    with changes.new_model(folder, "slow-one") as place:
        publish(source, folder)
        assert place.is_dir()
    assert read(folder) == NEW and hidden(folder) == [LOCK]


def test_parts_of_files_that_killed_processes_left_are_removed(folder):
    for part in (folder / ".index.json.0.partial", folder / NAME / ".README.md.0.partial"):
        part.write_text("{")
    publishing.write_index(folder)
    assert not list(folder.rglob("*.partial")) and read(folder) == OLD


def test_every_kind_of_network_can_be_described():
    assert set(policy._KINDS) == set(models.ACTOR_KINDS)
    assert set(transition_model._KINDS) == set(models.TRANSITION_KINDS)
