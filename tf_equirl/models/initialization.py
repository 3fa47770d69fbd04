"""Reproducible initial weights for any Keras model."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import keras
import numpy as np

# The largest seed that Keras draws for an initialiser that was given none.
_LARGEST_DEFAULT_SEED = int(1e9)
_MOST_DRAWS = 1000
_NOBODYS_SEED = 2**64


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
        models: Keras models whose layers serialise. An initialiser that was given a fixed seed
            gives the same values for every `seed`.
        seed: Any Python int.

    Returns:
        One array per trainable variable, model by model, in the order of `trainable_variables`.

    Raises:
        ValueError: If a model cannot be built anew from its configuration.
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


def stacked_fresh_weights(models: Sequence[keras.Model], seeds: Sequence[int]) -> list[np.ndarray]:
    """`fresh_weights` of many seeds, number for number, in a tenth of the time.

    The models are cloned once. For each seed the clones' initialisers get the seeds that they
    would have drawn, and are called again. That the result is the same is checked for the last
    seed; a model for which it is not, such as one whose layers make initialisers while they are
    built, is cloned for every seed.

    Args:
        models: See `fresh_weights`.
        seeds: Any Python ints, at least one.

    Returns:
        One array `[seeds, ...]` per trainable variable, in the order of `fresh_weights`.

    Raises:
        ValueError: If there are no seeds, or a model cannot be built anew from its configuration.
    """
    seeds = list(seeds)
    if not seeds:
        raise ValueError(f"seeds must hold at least one. Received: seeds={seeds!r}")
    expected = fresh_weights(models, seeds[-1])
    # Variables made in such a scope have no value but an initialiser, called whenever it is read.
    with keras.StatelessScope():
        with seeded(_NOBODYS_SEED):
            copies = [keras.models.clone_model(model) for model in models]
        number = {seed: k for k, seed in enumerate(_default_seeds(_NOBODYS_SEED))}
        initializers = [
            (value, number[value.seed])
            for copy in copies
            for layer in copy._flatten_layers()
            for value in vars(layer).values()
            if isinstance(value, keras.initializers.Initializer)
            and getattr(value, "seed", None) in number
        ]
        variables = [v for copy in copies for v in copy.trainable_variables]

        def values(seed: int) -> list[np.ndarray]:
            draws = _default_seeds(seed)
            for initializer, k in initializers:
                initializer.seed = draws[k]
            return [keras.ops.convert_to_numpy(v.value) for v in variables]

        found = values(seeds[-1])
        same = all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))
        members = [values(seed) for seed in seeds] if same else []
    if not same:
        members = [fresh_weights(models, seed) for seed in seeds]
    return [np.stack(variable) for variable in zip(*members, strict=True)]


def _default_seeds(seed: int) -> list[int]:
    """The first seeds that Keras draws for initialisers within `seeded(seed)`."""
    with seeded(seed):
        return [random.randint(1, _LARGEST_DEFAULT_SEED) for _ in range(_MOST_DRAWS)]
