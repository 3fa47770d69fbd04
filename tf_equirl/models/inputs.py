"""What every model builder checks and starts with."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

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


def check_initializer(initializer: Any) -> keras.initializers.Initializer:
    """The Keras initialiser that a name, a configuration or an initialiser stands for.

    Raises:
      ValueError: if it stands for none.
    """
    try:
        found = keras.initializers.get(initializer)
    except (ValueError, TypeError):
        found = None
    if not isinstance(found, keras.initializers.Initializer):
        raise ValueError(
            "kernel_initializer must be a Keras initialiser, its name or its configuration. "
            f"Received: kernel_initializer={initializer!r}"
        )
    return found


def observation_input(
    symmetry: Symmetry, shape: Sequence[int] | None = None
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """The symbolic input `[batch, *shape]` of a model, and the same flat, `[batch, d_state]`.

    Raises:
      ValueError: unless `shape` is None or has as many numbers as the state's representation.
    """
    dim = symmetry.state.dim
    try:
        axes = (dim,) if shape is None else tuple(operator.index(axis) for axis in shape)
    except TypeError:
        axes = ()
    if math.prod(axes) != dim or min(axes, default=0) < 1:
        raise ValueError(
            f"observation_shape must be positive integers whose product is the dimension of "
            f"symmetry.state, {dim}. Received: observation_shape={shape}"
        )
    shape = axes
    observation = keras.Input(shape, name="observation")
    flat = observation if shape == (dim,) else keras.layers.Reshape((dim,))(observation)
    return observation, flat
