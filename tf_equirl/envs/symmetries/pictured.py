"""States that are found again by their pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tf_equirl.envs.pixels import Pixels, PixelsState


class StatesOfPictures:
    """The states of an environment of pictures that were visited, and their images.

    No state can be read off a picture. That a picture is one of a state that was visited, or of an
    image of one under the symmetry that is declared, is seen by comparing it.

    Args:
        env: The environment.
    """

    def __init__(self, env: Pixels) -> None:
        self._env = env
        self._rows: dict[bytes, NDArray[np.float32]] = {}

    def keep(self, state: PixelsState) -> None:
        """Takes in states, with one leading dimension."""
        for element in self._env.symmetry.group.elements:
            image = self._env.moved(element, state)
            pictures = np.asarray(self._env.observe(image))
            for key, row in zip(_keys(pictures), np.asarray(image.seen), strict=True):
                self._rows.setdefault(key, row)

    def states(self, pictures: NDArray[np.float32]) -> PixelsState:
        """The states, at step 0, of pictures [n, size, size, frames].

        Raises:
            ValueError: If one is no picture of such a state.
        """
        rows = []
        for i, key in enumerate(_keys(pictures)):
            if key not in self._rows:
                raise ValueError(
                    f"`states` must be pictures of {self._env.name} that were visited, or what "
                    "the symmetry that it declares makes of them: no others show which state they "
                    f"are of. Received: row {i} of {len(pictures)}, which is another one"
                )
            rows.append(self._rows[key])
        return PixelsState(tf.constant(np.stack(rows)), tf.zeros([len(rows)], tf.int32))


def _keys(pictures: NDArray[np.float32]) -> Iterable[bytes]:
    # Pictures of mirrored states are mirrored to the bit, see `photograph`; 0 has one sign only.
    return (hashlib.blake2b((row + 0.0).tobytes(), digest_size=16).digest() for row in pictures)
