"""Regular features of a whole picture by pooling over its pixels."""

from __future__ import annotations

from typing import Any

import keras

from tf_equirl._checks import one_of
from tf_equirl.layers.base import layer_arguments
from tf_equirl.layers.pooling.group_pooling import MODES


@keras.saving.register_keras_serializable(package="tf_equirl")
class SpatialPooling(keras.layers.Layer):
    """Pools regular features over the pixels of a picture, channel by channel.

    Law, for every g in G, with `(L_g y)[x, h] = y[g^-1 x, g^-1 h]`, and without x on the right:
    `pool(L_g y) = L_g pool(y)`. What comes out is what `GroupDense` and `EquivariantReadout` take.

    Cohen & Welling, "Group Equivariant Convolutional Networks" (2016), sec. 6.3.

    Input shape: `[..., height, width, n, C]`.
    Output shape: `[..., n, C]`.

    Args:
        mode: `"mean"`, `"max"` or `"sum"`.
        **kwargs: Of `keras.layers.Layer`, such as `name` and `dtype`.

    Raises:
        ValueError: If `mode` is none of these, or the input has fewer than four axes.

    Example:
        >>> import numpy as np
        >>> SpatialPooling("max")(np.ones([1, 9, 9, 4, 2], "float32")).shape
        TensorShape([1, 4, 2])
    """

    def __init__(self, mode: str = "mean", **kwargs: Any) -> None:
        """Checks and keeps the arguments."""
        super().__init__(**layer_arguments(kwargs))
        self.mode = one_of("mode", mode, MODES)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Checks that there are pixels to pool over.

        Raises:
            ValueError: If the input has fewer than four axes.
        """
        self.compute_output_shape(input_shape)

    def call(self, inputs: Any) -> Any:
        """Pools `inputs` over height and width."""
        return MODES[self.mode](inputs, axis=(-4, -3))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the input's shape without height and width.

        Raises:
            ValueError: If the input has fewer than four axes.
        """
        if len(input_shape) < 4:
            raise ValueError(
                f"The input of SpatialPooling '{self.name}' must have shape [..., height, width, "
                f"n, channels]. Received: input_shape={tuple(input_shape)}"
            )
        return (*input_shape[:-4], *input_shape[-2:])

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as plain JSON values."""
        config: dict[str, Any] = super().get_config()
        config["mode"] = self.mode
        return config
