"""`launchers.play`."""

import contextlib
import os
import pty

import keras
import numpy as np
import pytest
from in_process import run_here
from PIL import Image

from tf_equirl.evaluation import record

pytestmark = pytest.mark.usefixtures("without_xla")


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    """Catch's policy that always goes to the left."""
    layer = keras.layers.Dense(3)
    model = keras.Sequential([keras.Input([50]), layer])
    layer.set_weights([np.zeros([50, 3]), np.array([1, 0, 0.0])])
    file = tmp_path_factory.mktemp("play") / "model.keras"
    model.save(file)
    return file


def test_without_a_terminal_the_frames_stand_one_below_the_other(model_file):
    result = run_here("play", f"--model={model_file}", "--seed=2")
    assert (result.returncode, result.stderr) == (0, "")
    frames, episode_return = record(
        keras.models.load_model(model_file), "Catch", seed=2, mode="ansi"
    )
    expected = "".join(f"{frame}\n\n" for frame in frames)
    assert result.stdout == f"{expected}return: {episode_return:g} in 9 steps\n"


def test_in_a_terminal_each_frame_replaces_the_one_before(model_file):
    reader, terminal = pty.openpty()
    shown = b""
    with os.fdopen(terminal, "w") as stdout:
        # The terminal's buffer holds all ten frames.
        flags = (f"--model={model_file}", "--fps=200", "--env=Catch")
        result = run_here("play", *flags, stdout=stdout)
        assert result.returncode == 0, result.stderr
        os.set_blocking(reader, False)
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(reader, 4096):
                shown += chunk
    os.close(reader)
    frames = shown.decode().replace("\r\n", "\n").split("\x1b[H\x1b[J")
    assert len(frames) == 11 and frames[0] == ""
    assert frames[1].startswith("...") or "o" in frames[1].split("\n")[0]
    assert all(frame.count("\n") == 10 for frame in frames[1:-1])
    assert "return: " in frames[-1]


def test_a_film(model_file, tmp_path):
    film = tmp_path / "film.GIF"
    flags = (f"--model={model_file}", f"--output={film}", "--policy=sampled")
    result = run_here("play", *flags)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"film: {film}\nreturn: ")
    with Image.open(film) as image:
        assert image.size == (160, 320)
        assert image.n_frames == 10  # the ball moves every step
        assert image.info["duration"] == 250  # the frames per second of Catch


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--output=film.avi"], "output must end in .gif or .mp4. Received: output=film.avi"),
        (["--output=/nowhere/film.gif"], "/nowhere/"),
        (["--fps=0"], "fps must be a positive number"),
        (["--model=/nowhere/model.keras"], "/nowhere/model.keras"),
    ],
)
def test_bad_flags_give_one_clear_line(model_file, flags, message):
    result = run_here("play", f"--model={model_file}", *flags)
    assert result.returncode != 0 and message in result.stderr
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
