"""Invariant features by pooling over the group."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from tf_equirl._checks import one_of
from tf_equirl.layers.base import layer_arguments

MODES = {"mean": ops.mean, "max": ops.max, "sum": ops.sum}


@keras.saving.register_keras_serializable(package="tf_equirl")
class GroupPooling(keras.layers.Layer):
    """Pools regular features over the group, channel by channel.

    Law, for every g in G, with `(L_g h)[i] = h[g^-1 i]`: `pool(L_g h) = pool(h)`. It holds for
    the rows of any permutation representation.

    Cohen & Welling, "Group Equivariant Convolutional Networks" (2016), sec. 6.3.

    Input shape: `[..., n, C]`.
    Output shape: `[..., C]`.

    Args:
        mode: `"mean"`, `"max"` or `"sum"`.
        **kwargs: Of `keras.layers.Layer`, such as `name` and `dtype`.

    Raises:
        ValueError: If `mode` is none of these, or the input has fewer than two axes.
    """

    def __init__(self, mode: str = "mean", **kwargs: Any) -> None:
        """Checks and keeps the arguments."""
        super().__init__(**layer_arguments(kwargs))
        self.mode = one_of("mode", mode, MODES)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Checks that there is a group axis to pool over.

        Raises:
            ValueError: If the input has fewer than two axes.
        """
        self.compute_output_shape(input_shape)

    def call(self, inputs: Any) -> Any:
        """Pools `inputs` over their second-to-last axis."""
        return MODES[self.mode](inputs, axis=-2)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the input's shape without its second-to-last axis.

        Raises:
            ValueError: If the input has fewer than two axes.
        """
        if len(input_shape) < 2:
            raise ValueError(
                f"The input of GroupPooling '{self.name}' must have shape [..., n, channels]. "
                f"Received: input_shape={tuple(input_shape)}"
            )
        return (*input_shape[:-2], input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as plain JSON values."""
        config: dict[str, Any] = super().get_config()
        config["mode"] = self.mode
        return config
