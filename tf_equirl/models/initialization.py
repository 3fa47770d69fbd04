"""Reproducible initial weights for any Keras model."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
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


def fresh_weights(models: Sequence[keras.Model], seed: int) -> list[np.ndarray]:
    """Weights that `models` would start with under `seed`; the models themselves stay as they are.

    All of them draw from one sequence of random numbers, so that two models of the same shape start
    from different weights.

    Args:
      models: Keras models whose layers serialise. An initialiser that was given a fixed seed gives
        the same values for every `seed`.
      seed: any Python int.

    Returns:
      One array per trainable variable, model by model, in the order of `trainable_variables`.

    Raises:
      ValueError: if a model cannot be built anew from its configuration.
    """
    weights = []
    with seeded(seed):
        for model in models:
            try:
                copy = keras.models.clone_model(model)
            except (TypeError, NotImplementedError) as error:
                raise ValueError(
                    "models must be rebuildable from their configuration (get_config), so that "
                    "every seed can start from its own weights. "
                    f"Received: model {model.name!r} ({error})"
                ) from error
            weights += [keras.ops.convert_to_numpy(v) for v in copy.trainable_variables]
    return weights
