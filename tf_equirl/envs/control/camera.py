"""A small camera: grey pictures of shapes with smooth edges, as functions of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

BACKGROUND = -0.5
"""What a picture holds where nothing is seen; the brightest shape is 0.5 (DrQ-v2's scale)."""


class Shape(NamedTuple):
    """All that is within a radius of the line between two points, in m: a capsule, or a disc.

    Attributes:
        start: x and y, [...] each or numbers; x to the right and y up.
        end: Likewise; equal to `start` for a disc.
        radius: In m.
        brightness: From 0, as the background is, to 1.
    """

    start: tuple[tf.Tensor, tf.Tensor]
    end: tuple[tf.Tensor, tf.Tensor]
    radius: float
    brightness: float


def photograph(shapes: Sequence[Shape], size: int, half_width: float) -> tf.Tensor:
    """A picture of shapes, of which later ones cover earlier ones.

    A pixel is covered by as much as its middle is inside, from half a pixel outside of the edge to
    half a pixel inside. The origin is in the middle of the picture, and each coordinate of a pixel
    is there with both signs: shapes that are mirrored make the mirrored picture, to the bit but for
    what a compiler rounds otherwise.

    Args:
        shapes: What is seen, of the same leading dimensions [...].
        size: Rows and columns of pixels.
        half_width: Of what is seen, in m.

    Returns:
        [..., size, size] float32 from -0.5 to 0.5.
    """
    scale = size / (2 * half_width)
    middle = ((np.arange(size) + 0.5 - size / 2) / scale).astype(np.float32)
    across, up = tf.constant(middle[None, :]), tf.constant(-middle[:, None])

    def placed(number: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.convert_to_tensor(number), tf.float32)[..., tf.newaxis, tf.newaxis]

    picture = tf.constant(np.float32(BACKGROUND))
    for shape in shapes:
        (x, y), (end_x, end_y) = map(placed, shape.start), map(placed, shape.end)
        # From the middle, so that it makes no difference which end is which.
        along_x, along_y = 0.5 * (end_x - x), 0.5 * (end_y - y)
        beside_x, beside_y = across - 0.5 * (x + end_x), up - 0.5 * (y + end_y)
        square = tf.maximum(tf.square(along_x) + tf.square(along_y), 1e-12)  # of a disc, too
        share = (beside_x * along_x + beside_y * along_y) / square
        share = tf.minimum(tf.maximum(share, -1.0), 1.0)
        beside_x, beside_y = beside_x - share * along_x, beside_y - share * along_y
        distance = tf.sqrt(tf.square(beside_x) + tf.square(beside_y))
        cover = tf.minimum(tf.maximum(0.5 - (distance - shape.radius) * scale, 0.0), 1.0)
        picture = picture * (1.0 - cover) + (BACKGROUND + shape.brightness) * cover
    return picture
