"""Hyperparameters of networks that look at pictures."""

from __future__ import annotations

import dataclasses

from tf_equirl.models import Convolutions
from tf_equirl.training.config import Config


@dataclasses.dataclass(frozen=True, kw_only=True)
class PictureConfig(Config):
    """The convolutions of an agent's networks, where the state is a picture.

    Attributes:
        filters: Channels of each convolution, per group element; empty for convolutions whose
            number, windows and strides fit the size of the picture.
        kernel_sizes: Rows and columns of each one's windows; empty for 3.
        strides: Pixels from one window to the next; empty for 1.
        padding: Of all convolutions: valid (none), same (zeros) or circular (the picture is a
            torus).
        pooling: One of flatten, mean and max. Flatten keeps what every place of the last picture
            has, max and mean keep the largest and the mean over all places.
        picture_scale: What the numbers of a picture are multiplied by first.
    """

    filters: tuple[int, ...] = ()
    kernel_sizes: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()
    padding: str = "same"
    pooling: str = "flatten"
    picture_scale: float = 1.0

    def check_pictures(self) -> None:
        """Validates the fields of this class.

        Raises:
            ValueError: Naming the first field that breaks its rule.
        """
        for field in ("filters", "kernel_sizes", "strides"):
            value = getattr(self, field)
            if not isinstance(value, (list, tuple)):
                self._reject(field, "a sequence of positive integers, or empty")
        # As they are read from JSON: of Python's own numbers, and lists in them are tuples.
        found = self._described()
        for field in ("filters", "kernel_sizes", "strides"):
            object.__setattr__(self, field, getattr(found, field) or ())
        object.__setattr__(self, "picture_scale", found.picture_scale)

    def convolutions(self) -> Convolutions | None:
        """What the fields describe; None where all are as by default.

        Raises:
            ValueError: If they describe none.
        """
        found = self._described()
        return None if found == Convolutions() else found

    def _described(self) -> Convolutions:
        return Convolutions(
            self.filters or None,
            self.kernel_sizes or None,
            self.strides or None,
            self.padding,
            self.pooling,
            self.picture_scale,
        )
