"""Drawing of environments: shapes with smooth edges, in pixels and in metres."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]
Point = tuple[float, float]

# Colours that also the colour-blind tell apart (Okabe and Ito).
BACKGROUND = (250, 250, 250)
GREY = (150, 150, 150)
BLUE = (0, 114, 178)
ORANGE = (213, 94, 0)


def paint(frame: NDArray[np.uint8], distance: NDArray[np.floating], colour: Colour) -> None:
    """Fills where a distance to an edge, in pixels, is negative; edges in nine shades.

    Args:
        frame: [height, width, 3], which is painted on.
        distance: [height, width].
        colour: Red, green and blue, 0 to 255.
    """
    inside = distance < 0.5
    cover = np.rint(np.minimum(0.5 - distance[inside], 1) * 8)[:, None] / 8
    frame[inside] = np.rint(frame[inside] * (1 - cover) + np.array(colour) * cover)


class Picture:
    """A part of a vertical or horizontal plane, with the origin in its middle.

    Args:
        half_width: Of what is seen, in m.
        half_height: Likewise.
        scale: Pixels to the metre.
    """

    def __init__(self, half_width: float, half_height: float, scale: float) -> None:
        rows, columns = round(2 * half_height * scale), round(2 * half_width * scale)
        self.frame = np.full([rows, columns, 3], BACKGROUND, np.uint8)
        self._scale = scale
        # Centres of the pixels. x has each number with both signs, so that mirrored states have
        # mirrored frames to the pixel.
        self._x = (np.arange(columns) + 0.5 - columns / 2)[None, :] / scale
        self._y = (rows / 2 - np.arange(rows) - 0.5)[:, None] / scale

    def capsule(self, start: Point, end: Point, radius: float, colour: Colour) -> None:
        """Paints what is within `radius` of the line between two points; of one point, a disc."""
        (x, y), along = start, (end[0] - start[0], end[1] - start[1])
        square = along[0] ** 2 + along[1] ** 2
        share = (self._x - x) * along[0] + (self._y - y) * along[1]
        share = np.clip(share / square, 0, 1) if square else 0 * share
        distance = np.hypot(self._x - x - share * along[0], self._y - y - share * along[1])
        paint(self.frame, (distance - radius) * self._scale, colour)

    def box(self, middle: Point, half_width: float, half_height: float, colour: Colour) -> None:
        """Paints a rectangle."""
        distance = np.maximum(
            np.abs(self._x - middle[0]) - half_width, np.abs(self._y - middle[1]) - half_height
        )
        paint(self.frame, distance * self._scale, colour)
