"""The mean of transition images."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from tf_equirl.layers.base import layer_arguments


@keras.saving.register_keras_serializable(package="tf_equirl")
class GroupAveraging(keras.layers.Layer):
    """The mean of the transition images over the group.

        average(rows) = 1/n sum_i rows[i]

    Law, for every g in G: rows that transform as `rows[i] -> rho(g) rows[g^-1 i]`, as the output
    of `TransitionImages` does, have a mean that transforms as `average -> rho(g) average`. It is
    exactly equivariant and needs no distance (the Reynolds operator applied to a function).

    Input shape: `[..., n, d]`.
    Output shape: `[..., d]`.

    Args:
        **kwargs: Of `keras.layers.Layer`, such as `name` and `dtype`.

    Raises:
        ValueError: If an argument is wrong, or the input has fewer than two axes.
    """

    def __init__(self, **kwargs: Any) -> None:
        """Checks the arguments."""
        super().__init__(**layer_arguments(kwargs))

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Checks that there is a group axis.

        Raises:
            ValueError: If the input has fewer than two axes.
        """
        self.compute_output_shape(input_shape)

    def call(self, inputs: Any) -> Any:
        """Averages `inputs` over their second-to-last axis."""
        return ops.mean(inputs, axis=-2)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the input's shape without its second-to-last axis.

        Raises:
            ValueError: If the input has fewer than two axes.
        """
        if len(input_shape) < 2:
            raise ValueError(
                f"The input of GroupAveraging '{self.name}' must have shape [..., n, d]. "
                f"Received: input_shape={tuple(input_shape)}"
            )
        return (*input_shape[:-2], input_shape[-1])
