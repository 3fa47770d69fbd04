"""What the convolutions of pictures share."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from tf_equirl._checks import LARGEST_UNITS, one_of, positive_integer, within
from tf_equirl.groups import FiniteGroup, Picture, Representation, image_representation, picture_of
from tf_equirl.layers.base import (
    EquivariantLinear,
    gather_kernel,
    inverse_indices,
    weights_are_bound,
)
from tf_equirl.layers.grid.geometry import Geometry

ALGORITHMS = ("auto", "slices", "convolution")


class OnGrid(EquivariantLinear):
    """Base class of equivariant convolutions: a linear map of every window of a picture.

    From pictures, or fields of features, to regular features at every window. The kernel that is
    stored is that of the identity, and the other elements see it turned:

        y[x, g] = activation(sum_u psi(u) . (g^-1 f)(g^-1 x + u) + b).

    A subclass calls `set_windows` and says what its inputs look like.

    Args:
        **kwargs: See `EquivariantLinear`.
    """

    def set_windows(
        self,
        filters: int,
        group: FiniteGroup,
        pixel: int | Representation,
        motions: tuple[Any, Any],
        geometry: Geometry,
        algorithm: str,
    ) -> None:
        """Checks and keeps what is computed at each window.

        Args:
            filters: Number of output channels, at most 2^20.
            group: The group.
            pixel: How it acts on what is at one pixel.
            motions: Turns and flips of its elements, see `image_representation`.
            geometry: How windows lie in a picture.
            algorithm: One of `ALGORITHMS`.

        Raises:
            ValueError: If an argument is wrong.
        """
        self.filters = positive_integer("filters", filters, LARGEST_UNITS)
        self.algorithm = one_of("algorithm", algorithm, ALGORITHMS)
        self.geometry = geometry
        with within("kernel_size"):
            self.window = image_representation(group, *geometry.kernel_size, pixel, *motions)
        self.picture: Picture = picture_of(self.window)  # type: ignore[assignment]
        geometry.check_motions(self.picture)

    def output_axes(self) -> tuple[int, ...]:
        """Returns `(n, filters)`, the axes at each window."""
        return (self.window.group.order, self.filters)

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Returns rows and columns of the output for those of the input.

        Raises:
            ValueError: If the windows break the symmetry, see `Geometry.output_size`.
        """
        return self.geometry.output_size((height, width), self.picture)

    def initial_kernel(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        """Returns psi, drawn as the matrix that feeds the outputs of one element."""
        fan_in = math.prod(shape[:-1])
        return ops.reshape(self.kernel_initializer((fan_in, shape[-1]), dtype=dtype), shape)

    def expand(self, kernel: Any) -> Any:
        """Returns the matrix `[numbers of a window, n * filters]`."""
        dim = self.window.dim
        if self.window.signs is not None:
            index, sign = inverse_indices(self.window)
            return gather_kernel(ops.reshape(kernel, (dim, -1, self.filters)), index, sign)
        inverses = np.asarray(self.window.inverse_matrices)
        # Row (d, i) of this constant times the kernel is row d of the block of element i.
        spread = ops.cast(inverses.transpose(2, 0, 1).reshape(-1, dim), kernel.dtype)
        channels = math.prod(kernel.shape) // (dim * self.filters)
        blocks = ops.matmul(spread, ops.reshape(kernel, (dim, -1)))
        blocks = ops.reshape(blocks, (dim, -1, channels, self.filters))
        return ops.reshape(ops.transpose(blocks, (0, 2, 1, 3)), (dim * channels, -1))

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates the weights for pictures of a known size.

        Raises:
            ValueError: If `input_shape` does not end in the axes that the layer needs, or the
                windows break the symmetry of such pictures.
        """
        self.compute_output_shape(input_shape)
        super().build(input_shape)
        shape = tuple(input_shape)
        axes = {i: shape[i] for i in range(-self.input_axes, 0)}
        self.input_spec = keras.layers.InputSpec(min_ndim=len(axes), axes=axes)

    def chosen_algorithm(self) -> str:
        """Returns "slices" or "convolution": how the layer computes where this is called.

        "auto" is Keras' convolution, except where the weights are those of one of many members:
        `tf.vectorized_map` cannot map that over kernels.
        """
        if self.algorithm != "auto":
            return self.algorithm
        return "slices" if weights_are_bound() else "convolution"

    def apply(self, inputs: Any, prepared: Any) -> Any:
        """Returns `activation(K x + b)` at every window for what `prepare` made of the weights."""
        matrix, bias = prepared
        has_bias = not isinstance(bias, tuple)
        leading = self.leading_shape(inputs)
        height, width, *pixel = inputs.shape[len(inputs.shape) - self.input_axes :]
        flat = ops.reshape(inputs, (-1, height, width, math.prod(pixel)))
        flat = ops.cast(flat, self.compute_dtype)  # Keras casts reals only, and no bytes
        if self.chosen_algorithm() == "slices":
            outputs = self.geometry.correlated(flat, matrix)
        else:
            outputs = self.geometry.convolved(flat, matrix)
        if has_bias and len(bias.shape) > 1:
            outputs = ops.add(outputs, ops.reshape(bias, (-1,)))
        shape = (*leading, *self.output_size(height, width), *self.output_axes())
        outputs = ops.reshape(outputs, shape)
        if has_bias and len(bias.shape) == 1:
            outputs = ops.add(outputs, bias)
        return self.activation(outputs)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns `[..., height', width', n, filters]`.

        Raises:
            ValueError: See `build`.
        """
        self._channels(input_shape)
        shape, axes = tuple(input_shape), self.input_axes
        height, width = shape[-axes : 2 - axes]
        size = self.output_size(height, width)  # type: ignore[arg-type]
        return (*shape[:-axes], *size, *self.output_axes())

    def _channels(self, input_shape: tuple[int | None, ...]) -> int:
        """Returns the number of input channels, after checking the whole shape."""
        shape, axes = tuple(input_shape), self.input_axes
        names, of_pixel = ["height", "width"], self.picture.channels.dim
        names += [str(of_pixel)] if axes == 3 else [str(of_pixel), "channels"]
        own = shape[-axes:]
        if len(shape) < axes or None in own or own[2] != of_pixel:
            raise ValueError(
                f"The input of {type(self).__name__} '{self.name}' must have shape "
                f"[..., {', '.join(names)}], with a known height and width; channels come last. "
                f"Received: input_shape={shape}"
            )
        return own[-1]  # type: ignore[return-value]

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as plain JSON values."""
        config = super().get_config()
        config.update(filters=self.filters, **self.geometry.get_config())
        if self.algorithm != "auto":
            config["algorithm"] = self.algorithm
        return config
