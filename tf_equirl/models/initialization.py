"""Reproducible initial weights for any Keras model."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within it, Keras initialisers that were given no seed of their own draw theirs from `seed`.

    Keras takes the default seed of an initialiser from Python's `random`; its state is put back
    afterwards, so that building a model disturbs nobody else's random numbers.
    """
    state = random.getstate()
    random.seed(int(seed))
    try:
        yield
    finally:
        random.setstate(state)


def fresh_weights(model: keras.Model, seed: int) -> list[np.ndarray]:
    """Weights that `model` would start with under `seed`; the model itself is left as it is.

    Args:
      model: a Keras model whose layers serialise. An initialiser that was given a fixed seed gives
        the same values for every `seed`.
      seed: any Python int.

    Returns:
      One array per entry of `model.trainable_variables`, in that order.

    Raises:
      ValueError: if the model cannot be built anew from its configuration.
    """
    try:
        with seeded(seed):
            copy = keras.models.clone_model(model)
    except (TypeError, NotImplementedError) as error:
        raise ValueError(
            "model must be rebuildable from its configuration (get_config), so that every seed "
            f"can start from its own weights. Received: model={model.name!r} ({error})"
        ) from error
    return [np.asarray(keras.ops.convert_to_numpy(v)) for v in copy.trainable_variables]
