"""Norms of convolutions."""

from __future__ import annotations

import math

from tf_equirl.layers.grid.geometry import Geometry


def cover(geometry: Geometry) -> float:
    """Returns the square root of how many windows hold a pixel at most.

    A convolution's spectral norm is at most that of the matrix of one window, times this: the
    squares of what all windows hold add up to so many times those of the picture at most.
    """
    sizes = zip(geometry.kernel_size, geometry.strides, strict=True)
    return math.sqrt(math.prod(-(-size // stride) for size, stride in sizes))
