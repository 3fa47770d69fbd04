"""One next state out of many transition images: the one close to the present state."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
from keras import ops

from tf_equirl._checks import flag, number, one_of, shown
from tf_equirl.groups import Representation
from tf_equirl.layers.base import layer_arguments, object_of
from tf_equirl.layers.pooling.distances import get_distance
from tf_equirl.layers.pooling.transition_images import check_rows, rows_spec

SELECTIONS = ("hard", "soft")
# Of the check of invariance: random states, and the change allowed, as a share of the largest
# distance. Rounding changes a sum of absolute values by some 1e-7 of it.
_SAMPLES = 64
_TOLERANCE = 1e-4


@keras.saving.register_keras_serializable(package="tf_equirl")
class ProximalPooling(keras.layers.Layer):
    """Pools transition images by their distance from the state that they follow.

    `"hard"` takes the closest row, and the mean of the closest ones where several tie; `"soft"`
    weights all rows by `softmax(-distance / temperature)`.

    Law, for every g in G: if state and rows transform as `s -> rho(g) s` and
    `rows[i] -> rho(g) rows[g^-1 i]`, as the output of `TransitionImages` does, and the distance is
    invariant, `d(rho(g) s, rho(g) x) = d(s, x)`, then `pool -> rho(g) pool`. With a bare argmin
    that holds only where the minimum is unique: "Exploiting Symmetries With Equivariant Transition
    Models" (University College London, 2023, equation 4.28), whose Catch model lost equivariance
    by it. The mean of tied rows restores it, because ties are permuted among themselves. A row
    that is farther than the closest one by up to `tie` of the mean distance has a share in the
    mean, which falls to 0 continuously: rounding moves the output a little, where with a bare
    argmin it exchanges rows. A distance that jumps itself, as `ModeDistance` does where two
    categories are equally likely up to rounding, still jumps.

    With `"hard"` gradients flow through the selected rows only, and not through the distance.
    Distances are computed in float32 at least, whatever the layer's precision.

    Input: a list of two tensors, the state `[..., d]` and the images `[..., n, d]`.
    Output shape: `[..., d]`.

    Args:
        distance: `"l1"`, `"l2"`, a `ModeDistance`, or any function
            `distance(state [..., d], image [..., d]) -> [...]` of `keras.ops` whose leading axes
            broadcast. A saved model finds its own function again if it was registered with
            `keras.saving.register_keras_serializable`.
        selection: `"hard"` or `"soft"`.
        representation: How the group acts on a state; a `Representation` or its config. The layer
            checks on random vectors, when it is built, that the distance is invariant under it.
        temperature: Of the soft selection, in units of the distance; positive.
        average_ties: Whether the hard selection averages tied rows. Without it the first of them is
            taken, as the thesis does, and the law does not hold for them.
        tie: Rows tie when their distances differ by less than this share of the mean distance;
            positive. Rounding in the layers before moves distances by some 1e-6 of it; spread over
            a band of 2 % it moves the output of untrained models by up to 5e-5 in its scale, and
            never exchanges two rows.
        allow_noninvariant: Whether to go on with a distance that is not invariant. The law does not
            hold then.
        **kwargs: Of `keras.layers.Layer`, such as `name` and `dtype`.

    Raises:
        ValueError: If an argument is not one of those, the shapes do not fit, or the distance is
            not invariant; the message names the offending element.
    """

    def __init__(
        self,
        distance: str | Callable[[Any, Any], Any] = "l1",
        selection: str = "hard",
        *,
        representation: Representation | dict[str, Any],
        temperature: float = 1.0,
        average_ties: bool = True,
        tie: float = 0.02,
        allow_noninvariant: bool = False,
        **kwargs: Any,
    ) -> None:
        """Checks and keeps the arguments."""
        super().__init__(**layer_arguments(kwargs))
        self.distance = get_distance(distance)
        self.selection = one_of("selection", selection, SELECTIONS)
        self.representation = object_of(Representation, representation, "representation")
        self.temperature = number("temperature", temperature)
        self.average_ties = flag("average_ties", average_ties)
        self.tie = number("tie", tie)
        self.allow_noninvariant = flag("allow_noninvariant", allow_noninvariant)

    def build(self, input_shape: Any) -> None:
        """Checks the shapes, and that the distance is invariant.

        Raises:
            ValueError: If one of them is wrong.
        """
        self.compute_output_shape(input_shape)
        state = keras.layers.InputSpec(min_ndim=1, axes={-1: self.representation.dim})
        self.input_spec = [state, rows_spec(self.representation)]
        if not self.allow_noninvariant:
            # The layer may be built while a function is being traced, where nothing has a value.
            # Tracing is a matter of one thread: in another one the check computes.
            with ThreadPoolExecutor(1) as thread:
                thread.submit(self._check_invariance).result()

    def call(self, inputs: Any) -> Any:
        """Pools `inputs`, the pair of state and images."""
        state, images = inputs
        dtype = keras.backend.result_type(images.dtype, "float32")
        distances = self.distance(
            ops.expand_dims(ops.cast(state, dtype), -2), ops.cast(images, dtype)
        )
        weights = ops.expand_dims(ops.cast(self._weights(distances), images.dtype), -1)
        return ops.sum(weights * images, axis=-2)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Returns the shape of the state.

        Raises:
            ValueError: If the input is no pair `[..., d]`, `[..., n, d]`.
        """
        shapes = [tuple(shape) if isinstance(shape, (list, tuple)) else () for shape in input_shape]
        dim = self.representation.dim
        if len(shapes) != 2 or shapes[0][-1:] != (dim,):
            raise ValueError(
                f"The state of ProximalPooling '{self.name}' must have shape [..., {dim}], and a "
                f"second input holds its images. Received: input_shape={input_shape}"
            )
        check_rows(self, shapes[1], self.representation)
        state, images = shapes[0][:-1], shapes[1][:-2]
        if len(state) != len(images) or any(
            None not in pair and pair[0] != pair[1] for pair in zip(state, images, strict=True)
        ):
            raise ValueError(
                f"State and images of ProximalPooling '{self.name}' must have the same leading "
                f"axes. Received: input_shape={input_shape}"
            )
        return shapes[0]

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as plain JSON values."""
        config: dict[str, Any] = super().get_config()
        config.update(
            distance=keras.saving.serialize_keras_object(self.distance),
            selection=self.selection,
            representation=self.representation.get_config(),
            temperature=self.temperature,
            average_ties=self.average_ties,
            tie=self.tie,
            allow_noninvariant=self.allow_noninvariant,
        )
        return config

    def _weights(self, distances: Any) -> Any:
        """The rows' shares in the output, `[..., n]`."""
        if self.selection == "soft":
            return ops.softmax(-distances / self.temperature, axis=-1)
        distances = ops.stop_gradient(distances)
        if self.average_ties:
            return _shares_of_least(distances, self.tie)
        closest = ops.argmin(distances, axis=-1)
        return ops.one_hot(closest, distances.shape[-1], dtype=distances.dtype)

    def _check_invariance(self) -> None:
        """Raises a ValueError that names an element under which the distance changes."""
        group, dim = self.representation.group, self.representation.dim
        random = np.random.default_rng(0)
        state = random.normal(size=(_SAMPLES, 1, dim))
        images = random.normal(size=(_SAMPLES, group.order, dim))
        expected = self._evaluate(state, images)
        if expected.shape != images.shape[:-1]:
            raise ValueError(
                "`distance` must map two vectors [..., d] to [...], their leading axes broadcast. "
                f"Received: distance={shown(self.distance)}, which maps {state.shape} and "
                f"{images.shape} to {expected.shape}"
            )
        act = self.representation.act
        for element in group.elements:
            found = self._evaluate(act(element, state), act(element, images))
            error = np.abs(found - expected)
            if not error.max() <= _TOLERANCE * np.abs(expected).max():  # also where one is NaN
                worst = np.unravel_index(np.argmax(error), error.shape)
                raise ValueError(
                    "`distance` must be invariant under the group, d(rho(g) s, rho(g) x) = "
                    "d(s, x), or pooling is not equivariant; ProximalPooling(..., "
                    "allow_noninvariant=True) goes on nevertheless. Received: "
                    f"distance={shown(self.distance)}, which element {element} of {group.name} "
                    f"changes from {expected[worst]:.6g} to {found[worst]:.6g}"
                )

    def _evaluate(self, state: np.ndarray, images: np.ndarray) -> np.ndarray:
        state, images = (ops.convert_to_tensor(x, "float32") for x in (state, images))
        return np.asarray(ops.convert_to_numpy(self.distance(state, images)))


def _shares_of_least(values: Any, tie: float) -> Any:
    """Weights that pick the least number, or share 1 among the least ones where several tie.

    They are continuous in the numbers: beyond the least one the weight falls to 0 at a gap of
    `tie` times the mean of |values|, as the square of the distance from there. Rounding moves them
    a little, where with a bare argmin it exchanges two that are nearly equal.

    Args:
        values: [..., n].
        tie: Positive.

    Returns:
        [..., n], at least 0 and with sum 1.
    """
    gaps = values - ops.min(values, axis=-1, keepdims=True)
    band = tie * ops.mean(ops.abs(values), axis=-1, keepdims=True)
    band = ops.where(band > 0, band, ops.ones_like(band))
    shares = ops.square(ops.relu(1.0 - gaps / band))
    return shares / ops.sum(shares, axis=-1, keepdims=True)
