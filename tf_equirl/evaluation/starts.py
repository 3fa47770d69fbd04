"""Where evaluated episodes start."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def start_uniforms(seed: int, episodes: int, num_uniforms: int) -> NDArray[np.float32]:
    """The numbers [episodes, num_uniforms] in [0, 1) that episodes start from.

    They are those that gymnasium's generator of this seed gives, in the trainer's precision; fewer
    episodes get the first of them.
    """
    numbers = np.random.default_rng(seed).random((episodes, num_uniforms))
    below_one = np.nextafter(np.float32(1), np.float32(0))  # rounding may give 1, which is not
    return np.minimum(numbers.astype(np.float32), below_one)
