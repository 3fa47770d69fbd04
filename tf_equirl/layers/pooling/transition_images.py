"""Candidate next states out of regular features."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from tf_equirl.groups import Representation
from tf_equirl.layers.base import acts_by_index, inverse_indices, layer_arguments, object_of


@keras.saving.register_keras_serializable(package="tf_equirl")
class TransitionImages(keras.layers.Layer):
    """Turns row i of regular features by `rho(g_i)`, so that every row is a candidate next state.

        images(h)[i] = rho(g_i) h[i]

    Law, for every g in G, with `(L_g h)[i] = h[g^-1 i]`:
    `images(L_g h)[i] = rho(g) images(h)[g^-1 i]`: the rows are permuted *and* each is transformed,
    which is the representation `regular * rho` of the flattened rows.

    Where `h[i] = f(g_i^-1 x)`, the rows are the predictions `rho(g_i) f(g_i^-1 x)` that the same
    function makes of the input in every pose: the transition images of the thesis ("Exploiting
    Symmetries With Equivariant Transition Models", University College London, 2023, equation 4.25).

    Input shape: `[..., n, d]`, with `n` the order of the group.
    Output shape: the same.

    Args:
        representation: How the group acts on a state; a `Representation` or its config.
        **kwargs: Of `keras.layers.Layer`, such as `name` and `dtype`.

    Raises:
        ValueError: If `representation` is none, or the input does not end in `[n, d]`.
    """

    def __init__(self, representation: Representation | dict[str, Any], **kwargs: Any) -> None:
        """Checks and keeps the arguments."""
        super().__init__(**layer_arguments(kwargs))
        self.representation = object_of(Representation, representation, "representation")
        self._by_index = acts_by_index(self.representation)
        if self._by_index:
            index, self._sign = inverse_indices(self.representation)
            # Into all rows, one after the other.
            self._index = np.arange(len(index))[:, None] * self.representation.dim + index
            return
        # Applied from the right, to rows.
        self._transposed = np.asarray(self.representation.matrices).transpose(0, 2, 1)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Checks the shape of the input, now and from now on.

        Raises:
            ValueError: If it does not end in `[n, d]`.
        """
        self.compute_output_shape(input_shape)
        self.input_spec = rows_spec(self.representation)

    def call(self, inputs: Any) -> Any:
        """Applies `rho(g_i)` to row i of `inputs`, over any leading dimensions."""
        if self._by_index:
            shape = ops.shape(inputs)
            flat = ops.reshape(inputs, (*shape[:-2], self._index.size))
            turned = ops.reshape(ops.take(flat, self._index.reshape(-1), axis=-1), shape)
            return turned if self._sign is None else turned * ops.cast(self._sign, inputs.dtype)
        turned = ops.matmul(ops.expand_dims(inputs, -2), ops.cast(self._transposed, inputs.dtype))
        return ops.squeeze(turned, -2)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the input's shape.

        Raises:
            ValueError: If it does not end in `[n, d]`.
        """
        check_rows(self, tuple(input_shape), self.representation)
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as plain JSON values."""
        config: dict[str, Any] = super().get_config()
        config["representation"] = self.representation.get_config()
        return config


def check_rows(
    layer: keras.layers.Layer, shape: tuple[int | None, ...], representation: Representation
) -> None:
    """Checks that a shape is that of one vector of `representation` per group element.

    Raises:
        ValueError: If it is not; the message names the layer.
    """
    rows = (representation.group.order, representation.dim)
    if len(shape) < 2 or tuple(shape[-2:]) != rows:
        raise ValueError(
            f"The images of {type(layer).__name__} '{layer.name}' must have shape "
            f"[..., {rows[0]}, {rows[1]}]: a vector of `representation` for each element of the "
            f"group. Received: input_shape={shape}"
        )


def rows_spec(representation: Representation) -> keras.layers.InputSpec:
    """What Keras checks at every call: the axes `[n, d]` after any leading ones."""
    axes = {-2: representation.group.order, -1: representation.dim}
    return keras.layers.InputSpec(min_ndim=2, axes=axes)
