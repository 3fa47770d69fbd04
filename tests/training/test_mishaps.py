"""What may befall a run: signals, errors, full disks, seeds that are lost, other processes."""

import functools
import os
import shutil
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from training_cases import Lottery, Reinforce, ReinforceConfig, Stop, Walk, events_of

from tf_equirl._files import LOCK, InUseError
from tf_equirl.training import run as host
from tf_equirl.training import run_folder
from tf_equirl.training.interrupts import Interrupts, Terminated
from tf_equirl.training.on_policy import make_networks
from tf_equirl.training.progress import NonFiniteError
from tf_equirl.training.run import train
from tf_equirl.training.saved import read_run

SEEDS = (5, 0, 3, 9, 2)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return train(Walk(), SEEDS, tmp_path_factory.mktemp("runs") / "whole")


@pytest.fixture
def default_handlers():
    """As in a terminal: what starts the tests may ignore signals."""
    own = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    old = {number: signal.signal(number, handler) for number, handler in own.items()}
    yield
    assert {number: signal.getsignal(number) for number in own} == own, "they are given back"
    for number, handler in old.items():
        signal.signal(number, handler)


def assert_same(a, b):
    np.testing.assert_array_equal(a.sizes, b.sizes)
    for x, y in zip(a.weights["network"], b.weights["network"], strict=True):
        np.testing.assert_array_equal(x, y)


def steps_of(folder):
    return events_of(folder, "training/size")[0]


# Signals and errors.


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_leaves_a_checkpoint_and_all_events(finished, tmp_path, default_handlers, name):
    number = getattr(signal, name)

    def interrupt(progress):
        if progress.updates:
            for _ in range(1 if name == "SIGINT" else 3):  # schedulers are not content with one
                os.kill(os.getpid(), number)

    with pytest.raises(KeyboardInterrupt) as error:
        train(Walk(), SEEDS, tmp_path / "run", on_progress=interrupt)
    assert isinstance(error.value, Terminated) == (name != "SIGINT")
    done = read_run(tmp_path / "run", "walk").outcome.done["update"]
    assert 0 < done < 12
    assert steps_of(tmp_path / "run") == list(range(1, done + 1))
    assert_same(train(Walk(), SEEDS, tmp_path / "run", resume=True), finished)
    assert steps_of(tmp_path / "run") == list(range(1, 13))


def test_signals_wait_while_two_things_belong_together(default_handlers):
    made = []
    with pytest.raises(Terminated), Interrupts() as interrupts:
        with interrupts.held():
            os.kill(os.getpid(), signal.SIGTERM)
            made.append("one")
            with interrupts.held():
                made.append("other")
            made.append("the rest")
        made.append("never")
    assert made == ["one", "other", "the rest"]


def test_a_programs_own_handlers_stay(default_handlers):
    heard = []
    signal.signal(signal.SIGTERM, lambda *_: heard.append("mine"))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup
    with Interrupts():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGHUP)
    assert heard == ["mine"]
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def test_other_threads_leave_signals_alone():
    results = []
    thread = threading.Thread(target=lambda: results.append(train(Walk(), SEEDS)))
    thread.start()
    thread.join()
    assert results[0].updates == 12


def test_an_error_of_on_progress_loses_nothing(finished, tmp_path):
    def fail(progress):
        if progress.updates:
            raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        train(Walk(), SEEDS, tmp_path / "run", on_progress=fail)
    assert read_run(tmp_path / "run", "walk").outcome.done["update"] > 0
    assert_same(train(Walk(), SEEDS, tmp_path / "run", resume=True), finished)


# TensorBoard.


class Killed(BaseException):
    """Stands for a SIGKILL: nothing is saved any more."""


@pytest.fixture
def killable(monkeypatch):
    def killed(progress):
        if progress.updates:
            monkeypatch.setattr(host.Run, "save", lambda self: None)
            monkeypatch.setattr(host.Run, "finish", lambda self: None)
            raise Killed

    return killed


def test_after_a_kill_tensorboard_has_every_step_once(finished, tmp_path, killable, monkeypatch):
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(Walk(), SEEDS, folder, on_progress=Stop(1))
    saved = read_run(folder, "walk").outcome.done["update"]
    with pytest.raises(Killed):
        train(Walk(), SEEDS, folder, resume=True, on_progress=killable)
    monkeypatch.undo()
    assert read_run(folder, "walk").outcome.done["update"] == saved
    assert_same(train(Walk(), SEEDS, folder, resume=True), finished)
    assert events_of(folder, "training/size") == events_of(finished.run_dir, "training/size")


def test_where_tensorboard_cannot_be_written_training_goes_on(finished, tmp_path):
    def spoil(progress):
        folder = tmp_path / "run" / "tensorboard"
        if not progress.updates and not folder.exists():
            folder.write_text("a file where the folder should be")

    with pytest.warns(RuntimeWarning, match="TensorBoard's events cannot be written to .*board"):
        result = train(Walk(), SEEDS, tmp_path / "run", on_progress=spoil)
    assert_same(result, finished)


# Disks.


def test_a_deleted_folder_costs_nothing(finished, tmp_path):
    def delete(progress):
        if progress.updates and progress.done < 1:
            shutil.rmtree(tmp_path / "run")

    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        assert_same(train(Walk(), SEEDS, tmp_path / "run", on_progress=delete), finished)
    assert_same(train(Walk(), SEEDS, tmp_path / "run", resume=True), finished)


@pytest.mark.parametrize("mended", [True, False])
def test_a_full_disk_is_told_tried_again_and_costs_no_result(
    finished, tmp_path, monkeypatch, mended
):
    real, tries = run_folder.write_checkpoint, []
    monkeypatch.setattr(host, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    monkeypatch.setattr(host, "_SHARE_OF_CHECKPOINTS", 1.0)

    def full(file, *arguments):
        tries.append(file)
        if mended and len(tries) > 1:
            return real(file, *arguments)
        raise OSError(28, "No space left on device", str(file))

    monkeypatch.setattr(run_folder, "write_checkpoint", full)
    with pytest.warns(RuntimeWarning, match=r"checkpoint.npz could not be written \(.*No space"):
        result = train(Walk(), SEEDS, tmp_path / "run")
    assert_same(result, finished)
    assert len(tries) > 1
    assert not list((tmp_path / "run").glob("*.partial"))
    monkeypatch.undo()
    if mended:
        read_run(tmp_path / "run", "walk")
    assert_same(train(Walk(), SEEDS, tmp_path / "run", resume=True), finished)


def test_what_killed_processes_left_is_removed(finished, tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(Walk(), SEEDS, folder, on_progress=Stop(0))
    (folder / ".checkpoint.npz.0123456789abcdef.partial").write_bytes(b"half")
    assert_same(train(Walk(), SEEDS, folder, resume=True), finished)
    assert [file.name for file in folder.glob(".*")] == [LOCK]


def test_a_run_that_was_killed_before_it_was_written_down_is_begun(finished, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / LOCK).touch()
    (folder / ".run.json.0123456789abcdef.partial").write_bytes(b"{")
    assert_same(train(Walk(), SEEDS, folder), finished)
    assert [file.name for file in folder.glob(".*")] == [LOCK]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / ".mine").touch()
    with pytest.raises(ValueError, match="new or empty folder"):
        train(Walk(), SEEDS, tmp_path / "other")


_KILLED = """
import os, sys, signal
sys.path.append(sys.argv[1])
from training_cases import Walk
from tf_equirl import _files
from tf_equirl.training import run, train
run._SECONDS_BETWEEN_CHECKPOINTS = 0.0
def write_half(file, write, before=_files.write_atomically):
    def half(stream):
        write(stream)
        if made:
            stream.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    before(file, half if file.name == "checkpoint.npz" else write)
made = []
from tf_equirl.training import checkpoint
checkpoint.write_atomically = write_half
def tell(progress):
    made.extend([None] * (progress.updates > 2))
train(Walk(), (5, 0, 3, 9, 2), sys.argv[2], on_progress=tell)
"""


def test_a_run_that_was_killed_in_the_middle_of_a_checkpoint_goes_on(finished, tmp_path):
    folder = tmp_path / "run"
    command = [sys.executable, "-c", _KILLED, str(Path(__file__).parent), str(folder)]
    assert subprocess.run(command, check=False, capture_output=True).returncode == -signal.SIGKILL
    assert len(list(folder.glob(".checkpoint.npz.*.partial"))) == 1
    assert 0 < read_run(folder, "walk").outcome.done["update"] < 12
    assert_same(train(Walk(), SEEDS, folder, resume=True), finished)
    assert [file.name for file in folder.glob(".*")] == [LOCK]
    assert steps_of(folder) == list(range(1, 13))


# Seeds that are lost.


def test_a_seed_that_becomes_non_finite_is_frozen_and_the_others_go_on(finished, tmp_path):
    with (
        pytest.warns(RuntimeWarning, match=r"seed 9 became non-finite .* the others go on"),
        pytest.raises(
            NonFiniteError, match=r"seed 9 .* update 2, timestep 3.*4 of 5 seeds are unharmed"
        ) as error,
    ):
        train(Walk(explodes=9), SEEDS, tmp_path / "run")
    assert (error.value.seed, error.value.seeds, error.value.update) == (9, (9,), 2)
    assert str(tmp_path / "run") in str(error.value)
    result = error.value.result
    assert result.finished
    assert result.updates == 12
    for column, seed in enumerate(SEEDS):
        last = 2 if seed == 9 else 12
        np.testing.assert_array_equal(result.sizes[:last, column], finished.sizes[:last, column])
        assert np.isnan(result.sizes[last:, column]).all()
    # The weights are those before the update that did it: the size of the second update's.
    kernel = result.weights["network"][0][SEEDS.index(9)]
    np.testing.assert_allclose((kernel**2).mean(), finished.sizes[1, SEEDS.index(9)], rtol=1e-6)
    for ours, theirs in zip(result.weights["network"], finished.weights["network"], strict=True):
        sound = [column for column, seed in enumerate(SEEDS) if seed != 9]
        np.testing.assert_array_equal(ours[sound], theirs[sound])
    with pytest.raises(NonFiniteError) as again:  # from the checkpoint, and nothing is repeated
        train(Walk(explodes=9), SEEDS, tmp_path / "run", resume=True)
    assert str(again.value) == str(error.value)
    np.testing.assert_array_equal(again.value.result.sizes, result.sizes)


class Hiccup(Walk):
    """Seed 9 is not finite in update 2, and would be in every other."""

    def __init__(self, most):
        super().__init__()
        self.most = most

    @functools.cached_property
    def stages(self):
        return {name: stage._replace(most=self.most) for name, stage in super().stages.items()}

    def update(self, state, index):
        after, reports = super().update(state, index)
        sound = ~((state.seeds == 9) & (index == 2))
        return after, {**reports, "finite": reports["finite"] & sound}


@pytest.mark.filterwarnings("ignore:seed")
@pytest.mark.parametrize("most", [1, 32], ids=["by itself", "in a call of many"])
def test_a_seed_that_would_be_sound_again_stays_lost(finished, most):
    with pytest.raises(NonFiniteError) as error:
        train(Hiccup(most), SEEDS)
    result = error.value.result
    column = SEEDS.index(9)
    np.testing.assert_array_equal(result.sizes[:2], finished.sizes[:2])
    assert np.isnan(result.sizes[2:, column]).all()
    kernel = result.weights["network"][0][column]
    np.testing.assert_allclose((kernel**2).mean(), finished.sizes[1, column], rtol=1e-6)


@pytest.mark.filterwarnings("ignore:seed")
def test_a_frozen_seed_is_the_same_however_the_run_was_cut(tmp_path, monkeypatch):
    with pytest.raises(NonFiniteError) as whole:
        train(Walk(explodes=5), SEEDS)
    for after in (1, 2, 3):
        folder = tmp_path / str(after)
        monkeypatch.setattr(host.Run, "call", _one_step(host.Run.call))
        with pytest.raises(KeyboardInterrupt):
            train(Walk(explodes=5), SEEDS, folder, on_progress=Stop(after))
        monkeypatch.undo()
        with pytest.raises(NonFiniteError) as cut:
            train(Walk(explodes=5), SEEDS, folder, resume=True)
        assert cut.value.seeds == whole.value.seeds == (5, 9)
        np.testing.assert_array_equal(cut.value.result.sizes, whole.value.result.sizes)
        for a, b in zip(
            cut.value.result.weights["network"], whole.value.result.weights["network"], strict=True
        ):
            np.testing.assert_array_equal(a, b)


def _one_step(call):
    return lambda self, stage, number, wanted: call(self, stage, 1, wanted)


@pytest.mark.filterwarnings("ignore:seed")
def test_where_every_seed_is_lost_the_run_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(host.Run, "call", _one_step(host.Run.call))
    with pytest.raises(NonFiniteError, match="and 2 more.*No seed is left") as error:
        train(Walk(explodes=0), SEEDS, tmp_path / "run")
    assert not error.value.result.finished
    with pytest.raises(NonFiniteError):
        train(Walk(explodes=0), SEEDS, tmp_path / "run", resume=True)


class Spoilt(Lottery):
    """Some rewards are NaN."""

    name = "Spoilt"

    def transition(self, state, action, uniforms):
        following, reward, terminated = super().transition(state, action, uniforms)
        return following, tf.where(reward > 0.999, np.nan, reward), terminated


def test_an_environment_that_is_not_finite_is_said_to_be_it():
    env = Spoilt()
    actor, critic = make_networks(env, hidden_units=(4,))
    del critic
    learner = Reinforce(env, ReinforceConfig(), actor)
    with (
        pytest.warns(RuntimeWarning, match="a reward of the environment Spoilt is infinite or NaN"),
        pytest.raises(NonFiniteError, match="a reward of the environment Spoilt") as error,
    ):
        train(learner, SEEDS)
    assert "learning_rate" not in str(error.value)
    assert "has to be mended there" in str(error.value)


# Other processes.


def test_a_folder_in_use_is_refused_and_says_by_whom(tmp_path):
    said = []

    def second(progress):
        if progress.updates and not said:
            for resume in (True, False):
                with pytest.raises(ValueError, match="run_dir must") as error:
                    train(Walk(), SEEDS, tmp_path / "run", resume=resume)
                said.append(error)

    train(Walk(), SEEDS, tmp_path / "run", on_progress=second)
    assert said[0].type is InUseError
    assert f"in use by process {os.getpid()} on" in str(said[0].value)
    assert steps_of(tmp_path / "run") == list(range(1, 13))


_CLAIM = """
import sys, time
from pathlib import Path
from tf_equirl.training.run_folder import RunFolder
from tf_equirl.training.config import Config
print("ready", flush=True)
for folder in sys.stdin:
    run = RunFolder(folder.strip(), {"trainer": "none", "config": {}, "models": {}, "format": 2,
        "environment": "", "seeds": [], "environment_config": {}, "symmetry": {}, "versions": {}})
    try:
        with run.claimed(False):
            time.sleep(0.05)
            print("claimed", flush=True)
    except ValueError as error:
        print("refused" if "run_dir must" in str(error) else repr(error), flush=True)
"""


@pytest.mark.thorough
def test_of_two_processes_one_gets_the_folder(tmp_path):
    command = [sys.executable, "-c", _CLAIM]
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with (
        subprocess.Popen(command, **pipes) as one,
        subprocess.Popen(command, **pipes) as other,
    ):
        both = one, other
        assert [process.stdout.readline() for process in both] == ["ready\n"] * 2
        for i in range(20):
            for process in both:
                process.stdin.write(f"{tmp_path / str(i)}\n")
                process.stdin.flush()
            said = sorted(process.stdout.readline() for process in both)
            assert said == ["claimed\n", "refused\n"]
        for process in both:
            process.stdin.close()
    left = {file.name for file in Path(tmp_path).rglob("*") if file.is_file()}
    assert left == {LOCK, "run.json"}
