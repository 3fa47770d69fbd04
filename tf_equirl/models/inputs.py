"""What every model builder checks and starts with."""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras

from tf_equirl.groups import Symmetry


def check_symmetry_argument(symmetry: Symmetry) -> None:
    """Raises a ValueError unless `symmetry` is a `Symmetry`."""
    if not isinstance(symmetry, Symmetry):
        raise ValueError(
            "symmetry must be a tf_equirl.groups.Symmetry. "
            f"Received: symmetry={symmetry!r} of type {type(symmetry).__name__}"
        )


def check_kind(kind: str, kinds: tuple[str, ...]) -> None:
    """Raises a ValueError unless `kind` is one of `kinds`."""
    if kind not in kinds:
        raise ValueError(f"kind must be one of {', '.join(kinds)}. Received: kind={kind!r}")


def observation_input(
    symmetry: Symmetry, shape: Sequence[int] | None = None
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """The symbolic input `[batch, *shape]` of a model, and the same flat, `[batch, d_state]`.

    Raises:
      ValueError: unless `shape` is None or has as many numbers as the state's representation.
    """
    dim = symmetry.state.dim
    shape = (dim,) if shape is None else tuple(shape)
    if math.prod(shape) != dim:
        raise ValueError(
            f"observation_shape must have as many numbers as the group acts on, {dim}. "
            f"Received: observation_shape={shape}"
        )
    observation = keras.Input(shape, name="observation")
    flat = observation if shape == (dim,) else keras.layers.Reshape((dim,))(observation)
    return observation, flat
