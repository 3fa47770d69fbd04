"""Measures and checks of equivariance, for layers, models and environments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from tf_equirl.envs import check_symmetry, discover_symmetries, recommend
from tf_equirl.groups import Representation

__all__ = [
    "EquivarianceError",
    "check_layer_equivariance",
    "check_symmetry",
    "discover_symmetries",
    "equivariance_error",
    "recommend",
]


@dataclass(frozen=True, eq=False)
class EquivarianceError:
    """How far a map is from equivariant, in the scale of its output.

    Attributes:
        per_element: `[n]`, for each group element g the relative error
            `||rho_out(g) f(x) - f(rho_in(g) x)|| / ||f(x)||`, norms over the whole batch.
            Where f(x) is zero throughout, the error is absolute.
    """

    per_element: np.ndarray

    @property
    def max(self) -> float:
        """The largest error over the group; NaN if any is NaN."""
        return float(np.max(self.per_element))

    @property
    def mean(self) -> float:
        """The mean error over the group."""
        return float(np.mean(self.per_element))


def equivariance_error(
    function: Callable[[Any], Any],
    inputs: Any,
    input_representation: Representation,
    output_representation: Representation,
    input_axis: int = -1,
    output_axis: int = -1,
) -> EquivarianceError:
    """Measures the violation of `f(rho_in(g) x) = rho_out(g) f(x)` for every element g.

    For regular features, `[..., n, C]`, pass `regular_representation(group)` and axis -2; for
    an invariant output pass `trivial_representation(group, dim)`.

    Args:
        function: The map f: a layer, a model or any function of one array.
        inputs: The batch x, any array with `input_representation.dim` entries on `input_axis`.
        input_representation: rho_in.
        output_representation: rho_out.
        input_axis: The axis of x that rho_in acts on.
        output_axis: The axis of f(x) that rho_out acts on.

    Returns:
        The relative error of every element.

    Raises:
        ValueError: If the two representations belong to different groups, or an axis has not
            the dimension of its representation.
    """
    if input_representation.group != output_representation.group:
        raise ValueError(
            "`input_representation` and `output_representation` must be of the same group. "
            f"Received: input_representation={input_representation!r}, "
            f"output_representation={output_representation!r}"
        )
    inputs = np.asarray(inputs)
    _check_axis("inputs", inputs, input_representation, input_axis)
    outputs = _evaluate(function, inputs)
    _check_axis("function(inputs)", outputs, output_representation, output_axis)
    scale = float(np.linalg.norm(outputs)) or 1.0
    errors = []
    for element in input_representation.group.elements:
        moved = _act(input_representation, element, inputs, input_axis)
        expected = _act(output_representation, element, outputs, output_axis)
        received = _evaluate(function, moved.astype(inputs.dtype))
        errors.append(np.linalg.norm(expected - received) / scale)
    return EquivarianceError(np.array(errors))


def check_layer_equivariance(
    layer: Callable[[Any], Any],
    inputs: Any,
    input_representation: Representation,
    output_representation: Representation,
    tolerance: float = 1e-5,
    input_axis: int = -1,
    output_axis: int = -1,
) -> EquivarianceError:
    """Checks that a layer, a model or a function is equivariant under every group element.

    Biases that start at zero cannot break the law: give them random values first.

    Args:
        layer: The map to check.
        inputs: See `equivariance_error`.
        input_representation: See `equivariance_error`.
        output_representation: See `equivariance_error`.
        tolerance: The largest relative error allowed; 1e-5 leaves float32 rounding some room.
        input_axis: See `equivariance_error`.
        output_axis: See `equivariance_error`.

    Returns:
        The errors, all within `tolerance`.

    Raises:
        AssertionError: If an element's error exceeds `tolerance` or is not a number; the
            message names the layer, the worst element and its error.
        ValueError: See `equivariance_error`.
    """
    error = equivariance_error(
        layer, inputs, input_representation, output_representation, input_axis, output_axis
    )
    if not error.max <= tolerance:  # also true when the error is NaN
        name = getattr(layer, "name", None) or getattr(layer, "__name__", None) or repr(layer)
        raise AssertionError(
            f"{type(layer).__name__} '{name}' is not equivariant: element "
            f"{int(np.argmax(error.per_element))} of {input_representation.group!r} has relative "
            f"error {error.max:.3g}, above the tolerance {tolerance:.3g}."
        )
    return error


def _evaluate(function: Callable[[Any], Any], inputs: np.ndarray) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(function(inputs)), dtype=np.float64)


def _act(representation: Representation, element: int, values: np.ndarray, axis: int) -> np.ndarray:
    return np.moveaxis(representation.act(element, np.moveaxis(values, axis, -1)), -1, axis)


def _check_axis(name: str, values: np.ndarray, representation: Representation, axis: int) -> None:
    if not -values.ndim <= axis < values.ndim or values.shape[axis] != representation.dim:
        raise ValueError(
            f"Axis {axis} of `{name}` must have the dimension {representation.dim} of its "
            f"representation. Received: shape={values.shape}"
        )
