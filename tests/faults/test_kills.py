"""Runs that are killed at random moments, and resumed, come to the numbers of one that was not."""

import random
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from tf_equirl._files import LOCK

pytestmark = pytest.mark.faults

KILLS = 34  # of each kind
VICTIM = Path(__file__).with_name("victim.py")


def start(kind, folder):
    command = [sys.executable, str(VICTIM), kind, str(folder), f"{folder}.npz"]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
    )


def wait_until(is_so, process, seconds=300.0):
    """Whether something came true before the process ended."""
    late = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < late:
        if is_so():
            return True
        time.sleep(0.002)
    return False


def kill_once(kind, folder, moment):
    """Starts a victim and kills it; what there was to see, or None where it came to its end."""
    process = start(kind, folder)
    lines, errors = [], []
    readers = [
        threading.Thread(target=lambda s=s, to=to: to.extend(s), daemon=True)
        for s, to in ((process.stdout, lines), (process.stderr, errors))
    ]
    for reader in readers:
        reader.start()
    if moment == "any":
        time.sleep(random.uniform(0.0, 12.0))
    else:
        wait_until(lambda: lines, process)
        time.sleep(random.uniform(0.0, 2.0))
        if moment == "write":
            wait_until(lambda: list(folder.glob(".checkpoint.npz.*.partial")), process)
            time.sleep(random.choice([0.0, 0.001, 0.005]))
    process.kill()
    code = process.wait()
    for reader in readers:
        reader.join()
    assert code in (0, -9), "".join(errors)
    return None if code == 0 else ("trained" if lines else "not yet")


def names(folder):
    """Files of a run, whatever TensorBoard calls its own."""
    found = (str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
    return {re.sub(r"events\.out.*", "events", name) for name in found}


def assert_same(folder, whole):
    with np.load(f"{folder}.npz") as found, np.load(f"{whole}.npz") as wanted:
        assert set(found) == set(wanted)
        for name in wanted:
            assert found[name].tobytes() == wanted[name].tobytes(), name
    assert names(folder) == names(whole)
    for file in whole.glob("*.csv"):
        assert (folder / file.name).read_bytes() == file.read_bytes()


@pytest.mark.parametrize("kind", ["train_ppo", "fit_transition_model", "train_dyna"])
def test_killed_runs_come_to_the_same_numbers(kind, tmp_path, counted):
    random.seed(kind)
    whole = tmp_path / "whole"
    process = start(kind, whole)
    assert process.wait() == 0, process.stderr.read()
    assert names(whole) >= {LOCK, "run.json", "checkpoint.npz", "results.csv"}

    kills, at_work, at_writes, runs = 0, 0, 0, 0
    folder = tmp_path / "0"
    while kills < KILLS:
        moment = random.choice(["any", "training", "training", "write", "write"])
        seen = kill_once(kind, folder, moment)
        if seen is None:  # it came to its end before it was to be killed
            assert_same(folder, whole)
            runs += 1
            folder = tmp_path / str(runs)
            continue
        kills += 1
        at_work += seen == "trained"
        at_writes += bool(list(folder.glob(".*.partial")))
    process = start(kind, folder)
    assert process.wait() == 0, process.stderr.read()
    assert_same(folder, whole)
    counted(
        f"{kind}: {kills} kills, {at_work} of them while it trained, {at_writes} in the middle of "
        f"a write; {kills} resumed in {runs + 1} runs, all equal to the bit, no file left over"
    )
    assert at_work >= KILLS // 2
    assert at_writes >= KILLS // 8
