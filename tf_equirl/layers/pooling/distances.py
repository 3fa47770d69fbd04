"""Distances between states and predicted states, for `ProximalPooling`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from tf_equirl._checks import refuse, shown


@keras.saving.register_keras_serializable(package="tf_equirl")
def l1(state: Any, image: Any) -> Any:
    """Sum of absolute differences over the last axis."""
    return ops.sum(ops.abs(image - state), axis=-1)


@keras.saving.register_keras_serializable(package="tf_equirl")
def l2(state: Any, image: Any) -> Any:
    """Euclidean distance over the last axis."""
    square = ops.sum(ops.square(image - state), axis=-1)
    # The root's slope is infinite at 0, where its gradient would be NaN.
    positive = ops.where(square > 0, square, ops.ones_like(square))
    return ops.where(square > 0, ops.sqrt(positive), ops.zeros_like(square))


DISTANCES = {"l1": l1, "l2": l2}


@keras.saving.register_keras_serializable(package="tf_equirl")
class ModeDistance:
    """Weighted L1 distance between the most likely categories of factored distributions.

        d(s, s') = sum_f weight_f |x_f(mode s_f) - x_f(mode s'_f)|_1

    with `x_f` the position of a category, or the mean of the positions where several categories are
    most likely. The thesis' equation 4.33 is the case of two factors, the cells of
    ball and paddle, with weights 1 and 0.13 ("Exploiting Symmetries With Equivariant Transition
    Models", University College London, 2023).

    Law: `d(P s, P s') = d(s, s')` for every permutation P of the categories that moves their
    positions by an affine isometry of L1, such as the reflection of a board.

    Vectors are concatenations of the factors' logits, probabilities or one-hot vectors. Nothing
    flows back through it: a most likely category has no gradient.

    Args:
        coordinates: For each factor the positions [categories, k] of its categories.
        weights: One number of at least 0 for each factor.

    Raises:
        ValueError: If an argument is not one of those.
    """

    def __init__(self, coordinates: Sequence[ArrayLike], weights: Sequence[float]) -> None:
        """Checks and keeps the arguments."""
        self.coordinates = _matrices(coordinates)
        if not self.coordinates:
            raise ValueError(
                "`coordinates` must hold a matrix [categories, k] of finite numbers for each "
                f"factor. Received: coordinates={shown(coordinates)}"
            )
        count = len(self.coordinates)
        numbers = _numbers(weights, np.float64)
        if numbers.shape != (count,) or numbers.min() < 0:
            raise ValueError(
                f"`weights` must hold {count} finite numbers of at least 0, one for each factor. "
                f"Received: weights={shown(weights)}"
            )
        self.weights: list[float] = numbers.tolist()

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of categories of each factor."""
        return tuple(len(positions) for positions in self.coordinates)

    def __call__(self, state: Any, image: Any) -> Any:
        """The distance over the last axis; the other axes broadcast.

        Raises:
            ValueError: If a vector is not as long as the categories are many.
        """
        distance: Any = 0.0
        modes = zip(self._modes(state), self._modes(image), self.weights, strict=True)
        for a, b, weight in modes:
            distance = distance + weight * ops.sum(ops.abs(b - a), axis=-1)
        return distance

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as plain JSON values."""
        coordinates = [positions.tolist() for positions in self.coordinates]
        return {"coordinates": coordinates, "weights": list(self.weights)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ModeDistance:
        """The distance that `get_config` described."""
        return cls(**config)

    def split(self, vectors: Any) -> list[Any]:
        """The factors' parts [..., categories] of vectors [..., d].

        Raises:
            ValueError: If a vector is not as long as the categories are many.
        """
        if vectors.shape[-1] != sum(self.sizes):
            raise ValueError(
                f"ModeDistance compares vectors of {sum(self.sizes)} numbers, one for each "
                f"category. Received: a vector of shape {tuple(vectors.shape)}"
            )
        ends = np.cumsum(self.sizes).tolist()
        return [vectors[..., end - size : end] for end, size in zip(ends, self.sizes, strict=True)]

    def _modes(self, vectors: Any) -> list[Any]:
        """For each factor the positions [..., k] of the most likely categories."""
        modes = []
        for part, positions in zip(self.split(vectors), self.coordinates, strict=True):
            most = ops.cast(ops.equal(part, ops.max(part, axis=-1, keepdims=True)), part.dtype)
            total = ops.matmul(most, ops.cast(positions, part.dtype))
            modes.append(total / ops.sum(most, axis=-1, keepdims=True))
        return modes


def _matrices(coordinates: Any) -> list[np.ndarray]:
    """Matrices of float32; none where it is no list of matrices."""
    if isinstance(coordinates, np.ndarray):
        coordinates = list(np.atleast_1d(coordinates))
    if not isinstance(coordinates, (list, tuple)):
        return []
    found = []
    for positions in coordinates:
        found.append(_numbers(positions, np.float32))
        if found[-1].ndim != 2:
            return []
    return found


def _numbers(values: Any, dtype: Any) -> np.ndarray:
    """An array of finite numbers; an empty vector where it is something else."""
    none = np.zeros(0, dtype)
    try:
        array = np.asarray(values)
        real = array.dtype.kind in "iuf" and array.size
        array = array.astype(dtype) if real else none
    except Exception:  # ragged, or too large; or what an object's own conversion raises
        return none
    return array if np.isfinite(array).all() else none


def get_distance(distance: Any) -> Callable[[Any, Any], Any]:
    """The function that a name, a configuration or a function stands for.

    Args:
        distance: "l1", "l2", the dict that Keras serialised a distance to, or a function
            `distance(state [..., d], image [..., d]) -> [...]` whose leading axes broadcast.

    Raises:
        ValueError: If it is none of these.
    """
    found = distance
    if isinstance(distance, dict):
        with contextlib.suppress(Exception):  # several kinds, and none of them names the argument
            found = keras.saving.deserialize_keras_object(distance)
    if isinstance(found, str) and found in DISTANCES:
        return DISTANCES[found]
    if not callable(found) or isinstance(found, type):
        rule = f"{' or '.join(map(repr, DISTANCES))} or a function of two vectors"
        refuse("distance", rule, distance)
    return found
