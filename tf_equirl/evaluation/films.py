"""Frames to files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tf_equirl._files import write_atomically

GIF_MAXIMUM_FPS = 50.0
_COLOURS = 256


def write_gif(frames: Sequence[NDArray[np.uint8]], path: str | os.PathLike, fps: float) -> None:
    """Writes an animated GIF that plays over and over.

    The format counts time in hundredths of a second, and a frame that equals the one before only
    lengthens it. Up to 256 colours in all frames together are kept as they are.

    Args:
        frames: Frames of one shape [height, width, 3] uint8.
        path: The file; an existing one is replaced.
        fps: Frames per second, at most 50: many viewers play faster ones slowly.

    Raises:
        ValueError: If an argument is not one of those.
    """
    frames = _checked(frames, fps)
    if fps > GIF_MAXIMUM_FPS:
        raise ValueError(f"`fps` of a GIF must be at most 50. Received: fps={fps!r}")
    images = _with_one_palette(frames)
    # Rounded so that the whole film, not each frame, has the right length.
    ends = np.rint(np.arange(len(images) + 1) * 100 / fps).astype(int)
    durations = [int(10 * hundredths) for hundredths in np.diff(ends)]
    write_atomically(
        Path(path),
        lambda stream: images[0].save(
            stream,
            format="GIF",
            save_all=True,
            append_images=images[1:],
            duration=durations,
            loop=0,
        ),
    )


def write_mp4(frames: Sequence[NDArray[np.uint8]], path: str | os.PathLike, fps: float) -> None:
    """Writes an MP4 film (H.264), with the optional package `imageio[ffmpeg]`.

    Args:
        frames: Frames of one shape [height, width, 3] uint8; a last odd row or column is left out.
        path: The file; an existing one is replaced.
        fps: Frames per second.

    Raises:
        ImportError: If the package is missing; the message says how to install it.
        ValueError: If an argument is not one of those.
    """
    frames = _checked(frames, fps)
    try:
        import imageio.v3 as imageio
        import imageio_ffmpeg  # noqa: F401 # the encoder, which imageio loads when it is used
    except ImportError as error:
        raise ImportError(
            'MP4 files need an encoder: pip install "imageio[ffmpeg]". GIF files need none.'
        ) from error
    even = [frame[: len(frame) // 2 * 2, : frame.shape[1] // 2 * 2] for frame in frames]
    film = imageio.imwrite(
        "<bytes>", even, extension=".mp4", plugin="FFMPEG", fps=fps, macro_block_size=2
    )
    write_atomically(Path(path), lambda stream: stream.write(film))


def _checked(frames: Sequence[Any], fps: float) -> list[NDArray[np.uint8]]:
    arrays = [np.asarray(frame) for frame in frames]
    shapes = sorted({array.shape for array in arrays})
    kinds = sorted({array.dtype.name for array in arrays})
    if len(shapes) != 1 or len(shapes[0]) != 3 or shapes[0][2] != 3 or kinds != ["uint8"]:
        raise ValueError(
            "`frames` must be at least one array, all of one shape [height, width, 3] and uint8. "
            f"Received: {len(arrays)} of shapes {shapes} and types {kinds}"
        )
    if not 0 < fps < float("inf"):
        raise ValueError(f"`fps` must be a positive number. Received: fps={fps!r}")
    return arrays


def _with_one_palette(frames: list[NDArray[np.uint8]]) -> list[Image.Image]:
    """Images with the exact colours of the frames, where all of them fit into one palette."""
    used = np.zeros(2**24, np.bool_)
    for frame in frames:
        used[_packed(frame)] = True
    colours = np.flatnonzero(used)
    if len(colours) > _COLOURS:
        return [Image.fromarray(frame).quantize(_COLOURS) for frame in frames]
    palette = np.stack([colours >> 16, colours >> 8 & 255, colours & 255], axis=-1)
    numbers = np.zeros(2**24, np.uint8)
    numbers[colours] = np.arange(len(colours))
    images = []
    for frame in frames:
        image = Image.fromarray(numbers[_packed(frame)])
        image.putpalette(palette.astype(np.uint8).tobytes())
        images.append(image)
    return images


def _packed(frame: NDArray[np.uint8]) -> NDArray[np.int32]:
    wide = frame.astype(np.int32)
    return wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]
