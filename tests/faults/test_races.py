"""Several processes that open one run folder at the same moment: one gets it."""

import contextlib
import shutil
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
from training_cases import Stop, Walk, WalkConfig, events_of

from tf_equirl.training import train

pytestmark = pytest.mark.faults

RACES = 300
RACERS = 3


def test_one_process_gets_the_folder(tmp_path, counted):
    begun = tmp_path / "begun"
    with pytest.raises(KeyboardInterrupt):
        train(Walk(WalkConfig(num_updates=6)), range(4), begun, on_progress=Stop(1))

    command = [sys.executable, str(Path(__file__).with_name("racer.py"))]
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with contextlib.ExitStack() as stack:
        racers = [stack.enter_context(subprocess.Popen(command, **pipes)) for _ in range(RACERS)]
        assert [racer.stdout.readline() for racer in racers] == ["ready\n"] * RACERS
        refused = 0
        for i in range(RACES):
            folder, resume = tmp_path / str(i), bool(i % 2)
            if resume:
                shutil.copytree(begun, folder)
            for racer in racers:
                racer.stdin.write(f"{time.time() + 0.02} {resume} {folder}\n")
                racer.stdin.flush()
            said = [racer.stdout.readline().strip() for racer in racers]
            times = sorted(what.split()[1:] for what in said if what.startswith("trained"))
            # Where a process is late, it finds the run finished: it resumes it, and does nothing,
            # or finds a run where it wanted to begin one.
            assert len(times) == 1 or (resume and times), said
            assert all(float(one[1]) <= float(next_[0]) for one, next_ in pairwise(times)), said
            assert said.count("in use") + said.count("held") * (not resume) + len(times) == RACERS
            refused += said.count("in use")
            assert events_of(folder, "training/size")[0] == list(range(1, 7))
            assert not list(folder.glob(".*.partial"))
        for racer in racers:
            racer.stdin.close()
    counted(
        f"{RACES} races of {RACERS} processes for a run folder, every other one a resumed run: "
        f"never did two have it at once; {refused} times it was in use, "
        f"{RACES * (RACERS - 1) - refused} times a process was so late that it was finished"
    )
