"""What every model builder checks and starts with."""

from __future__ import annotations

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


def observation_input(symmetry: Symmetry) -> keras.KerasTensor:
    """The symbolic input `[batch, d_state]` of a model."""
    return keras.Input((symmetry.state.dim,), name="observation")
