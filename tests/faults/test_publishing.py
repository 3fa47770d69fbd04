"""Processes that publish are killed at random moments, and race each other."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "zoo"))

import publisher
import zoo_cases

from tf_equirl import publishing, zoo
from tf_equirl._files import LOCK

pytestmark = pytest.mark.faults

NAME, OTHER = "cartpole-ppo-gcnn", "catch-ppo-mlp"
TEXTS = ("The first of two.", "The second of two.")
KILLS = 300  # with each signal
RACES = 300


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return zoo_cases.make_zoo(tmp_path_factory.mktemp("source") / "zoo")


class Publishers:
    """Processes that publish; forks of one that has imported everything."""

    def __init__(self, server, source):
        self.server, self.source = server, source
        assert server.stdout.readline() == "ready\n"

    def start(self, folder, name, descriptions, moment=0.0, for_ever=False):
        """The number of a new process."""
        return self._answer(
            {
                "moment": moment,
                "source": str(self.source),
                "folder": str(folder),
                "name": name,
                "descriptions": descriptions,
                "for_ever": for_ever,
            }
        )

    def end(self, process, kind):
        """The exit code of a process that is sent a signal."""
        return self._answer({"end": process, "kind": kind})

    def wait(self, process):
        """The exit code of a process, once it has one."""
        return self._answer({"wait": process})

    def _answer(self, order):
        self.server.stdin.write(json.dumps(order) + "\n")
        self.server.stdin.flush()
        return int(self.server.stdout.readline())


@pytest.fixture(scope="module")
def publishers(source):
    command = [sys.executable, str(Path(__file__).with_name("publisher.py"))]
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with subprocess.Popen(command, **pipes) as server:
        yield Publishers(server, source / NAME)
        server.stdin.close()


def read(folder):
    """What the zoo says of the model, all of whose files are checked."""
    for name in zoo.list(folder):
        zoo.verify(name, folder)
    return zoo.card(NAME, folder)["description"]


def hidden(folder):
    return sorted(file.name for file in folder.iterdir() if file.name.startswith("."))


@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGINT], ids=lambda kind: kind.name)
def test_whoever_is_ended_leaves_a_whole_zoo(source, publishers, tmp_path, counted, kind):
    folder = shutil.copytree(source, tmp_path / "zoo")
    publisher.publish(source / NAME, folder, NAME, TEXTS[0])
    before = TEXTS[0]
    left = {"nothing": 0, "what was being made": 0, "what was being put in place": 0}
    for _ in range(KILLS):
        # What is there already is not published first: that it changes tells that it was reached.
        texts = TEXTS[::-1] if before == TEXTS[0] else TEXTS
        process = publishers.start(folder, NAME, texts, for_ever=True)
        time.sleep(random.uniform(0.0, 0.1))
        assert publishers.end(process, kind) in (-kind, 1)
        found = read(folder)
        assert found in TEXTS and zoo.list(folder) == [NAME, OTHER]
        rest = hidden(folder)
        left[
            "what was being put in place"
            if ".publishing" in rest
            else "what was being made"
            if rest != [LOCK]
            else "nothing"
        ] += 1
        index = publishing.write_index(folder).read_bytes()  # the next that changes the zoo
        assert read(folder) == found and hidden(folder) == [LOCK]
        assert publishing.write_index(folder).read_bytes() == index
        before = found
    shutil.rmtree(folder)
    counted(
        f"{KILLS} processes ended by {kind.name} while they published: the zoo was whole each "
        f"time, with the model before or the one after. They left "
        + ", ".join(f"{text}: {count}" for text, count in left.items())
        + "; the next change of the zoo left no trace of it"
    )
    if kind == signal.SIGKILL:
        assert left["what was being made"] > KILLS / 20


def test_of_several_at_once_all_publish(source, publishers, tmp_path, counted):
    folder = shutil.copytree(source, tmp_path / "zoo")
    publisher.publish(source / NAME, folder, NAME, TEXTS[0])
    reads = 0
    for i in range(RACES):
        names = (NAME, NAME) if i % 2 else (NAME, f"model-{i % 8}")
        moment = time.time() + 0.02
        racers = [
            publishers.start(folder, name, [f"{i}, racer {k}."], moment)
            for k, name in enumerate(names)
        ]
        late = moment + 0.1
        while time.time() < late:
            read(folder)
            reads += 1
        assert [publishers.wait(racer) for racer in racers] == [0, 0]
        found = read(folder)
        assert found in {f"{i}, racer {k}." for k in range(2) if names[k] == NAME}
        assert {*names, OTHER} <= set(zoo.list(folder)) and hidden(folder) == [LOCK]
        index = (folder / "index.json").read_bytes()
        assert publishing.write_index(folder).read_bytes() == index
    counted(
        f"{RACES} races of two publications, every other one of one name: both were published, one "
        f"after the other, and {reads} reads of the whole zoo meanwhile found it whole"
    )
