"""How far a layer can be from its law, whatever its input."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from tf_equirl.groups import Representation
from tf_equirl.layers.grid.geometry import Geometry


class EquivarianceCertificate(NamedTuple):
    """A bound on the equivariance error of a layer's linear part, for every element g and input x:

        ||f(g x) - g f(x)|| <= slope * ||x|| + constant.

    An activation whose slope is at most 1, such as ReLU, tanh or ELU, keeps it where g permutes
    outputs. Norms are Euclidean, over all axes of one input or output.

    Attributes:
        slope: See above; 0 for a layer that is equivariant.
        constant: Likewise; of a bias that is not invariant.
    """

    slope: float
    constant: float = 0.0


def largest_norm(representation: Representation) -> float:
    """Returns the largest spectral norm of a representation's matrices; 1 if it is orthogonal."""
    if representation.signs is not None:
        return 1.0
    return float(np.linalg.norm(np.asarray(representation.matrices), 2, axis=(1, 2)).max())


def cover(geometry: Geometry) -> float:
    """Returns the square root of how many windows hold a pixel at most.

    A convolution's spectral norm is at most that of the matrix of one window, times this: the
    squares of what all windows hold add up to so many times those of the picture at most.
    """
    sizes = zip(geometry.kernel_size, geometry.strides, strict=True)
    return math.sqrt(math.prod(-(-size // stride) for size, stride in sizes))
