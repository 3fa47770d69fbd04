"""Films, read back."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from PIL import Image, ImageSequence

from tf_equirl.evaluation import write_gif, write_mp4


def random_frames(count, colours, shape=(12, 20)):
    generator = np.random.default_rng(0)
    palette = generator.integers(256, size=(colours, 3), dtype=np.uint8)
    return [palette[generator.integers(colours, size=shape)] for _ in range(count)]


def read(path):
    with Image.open(path) as film:
        images = [np.array(image.convert("RGB")) for image in ImageSequence.Iterator(film)]
        durations = [image.info["duration"] for image in ImageSequence.Iterator(film)]
        return images, durations, film.info.get("loop")


@pytest.mark.parametrize("colours", [2, 200])
def test_a_gif_keeps_every_pixel(tmp_path, colours):
    frames = random_frames(7, colours)
    write_gif(frames, tmp_path / "film.gif", fps=50)
    images, durations, loop = read(tmp_path / "film.gif")
    np.testing.assert_array_equal(images, frames)
    assert durations == [20] * 7
    assert loop == 0  # for ever
    assert [p.name for p in tmp_path.iterdir()] == ["film.gif"]


@pytest.mark.parametrize("fps", [1, 4, 24, 30, 33.3])
def test_a_gif_lasts_as_long_as_it_should(tmp_path, fps):
    write_gif(random_frames(50, 8), tmp_path / "film.gif", fps)
    _, durations, _ = read(tmp_path / "film.gif")
    assert sum(durations) == pytest.approx(50_000 / fps, abs=5)  # half a hundredth of a second


def test_equal_frames_last_longer(tmp_path):
    a, b = random_frames(2, 8)
    write_gif([a, a, a, b], tmp_path / "film.gif", fps=10)
    images, durations, _ = read(tmp_path / "film.gif")
    np.testing.assert_array_equal(images, [a, b])
    assert durations == [300, 100]


def test_more_colours_than_a_palette_holds_are_approximated(tmp_path):
    down, right = np.mgrid[:64, :64].astype(np.uint8)
    frames = [np.stack([4 * down, 4 * right, 0 * down + 50 * i], axis=-1) for i in range(3)]
    write_gif(frames, tmp_path / "film.gif", fps=10)
    images, _, _ = read(tmp_path / "film.gif")
    error = np.abs(np.subtract(images, frames, dtype=np.float64))
    assert 0 < error.mean() < 6  # of 255; 256 of 4,096 shades, 8 from the nearest at most


def test_a_single_frame(tmp_path):
    (frame,) = random_frames(1, 8)
    write_gif([frame], str(tmp_path / "film.gif"), fps=10)
    np.testing.assert_array_equal(read(tmp_path / "film.gif")[0], [frame])


@pytest.mark.parametrize("write", [write_gif, write_mp4])
def test_wrong_arguments(tmp_path, write):
    frames = random_frames(2, 8)
    file = tmp_path / "film"
    bad = [[], [*frames, frames[0][:-1]], [frames[0][..., 0]], [f / 255 for f in frames], ["text"]]
    for wrong in bad:
        with pytest.raises(ValueError, match="`frames` must be at least one array.* Received: "):
            write(wrong, file, 10)
    for fps in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="`fps` must be a positive number. Received: fps="):
            write(frames, file, fps)
    assert not list(tmp_path.iterdir())


def test_a_gif_is_not_faster_than_viewers_are(tmp_path):
    with pytest.raises(ValueError, match="at most 50. Received: fps=60"):
        write_gif(random_frames(2, 8), tmp_path / "film.gif", 60)


def test_without_an_encoder_the_error_says_what_to_install(tmp_path, monkeypatch):
    for name in ("imageio", "imageio.v3", "imageio_ffmpeg"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r'pip install "imageio\[ffmpeg\]"'):
        write_mp4(random_frames(2, 8), tmp_path / "film.mp4", 10)
    assert not list(tmp_path.iterdir())


def test_an_mp4(tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    imageio = pytest.importorskip("imageio.v3")
    frames = [np.full([61, 81, 3], 10 * i, np.uint8) for i in range(20)]
    write_mp4(frames, tmp_path / "film.mp4", 25)
    film = imageio.imread(tmp_path / "film.mp4", plugin="FFMPEG")
    assert film.shape == (20, 60, 80, 3)
    assert np.abs(film.mean(axis=(1, 2, 3)) - 10 * np.arange(20)).max() < 5  # lossy
    assert imageio.immeta(tmp_path / "film.mp4", plugin="FFMPEG")["fps"] == 25
