"""A trained vector that the group leaves as it is."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from tf_equirl._checks import number
from tf_equirl.groups import Representation, intertwiner_basis, trivial_representation
from tf_equirl.layers.base import layer_arguments, object_of


@keras.saving.register_keras_serializable(package="tf_equirl")
class InvariantVector(keras.layers.Layer):
    """Gives the same trained vector b for every input, with rho(g) b = b for every g.

    Standard deviations of a Gaussian policy that do not depend on the state are such a vector
    (`groups.deviation_representation`). The stored weights are its coordinates in a basis of the
    vectors that the group fixes, none of which depends on the group's size.

    Input shape: `[..., anything]`.
    Output shape: `[..., d]`, the dimension of the representation.

    Args:
        representation: How the group acts on the vector; a `Representation` or its config.
        value: What every coordinate starts from, projected on the fixed vectors.
        **kwargs: Of `keras.layers.Layer`, such as `name` and `dtype`.

    Raises:
        ValueError: If an argument is not one of those.

    Example:
        >>> import numpy as np
        >>> from tf_equirl.groups import cyclic_group, regular_representation
        >>> from tf_equirl.layers import InvariantVector
        >>> layer = InvariantVector(regular_representation(cyclic_group(3)), value=0.5)
        >>> layer(np.zeros([1, 4])).numpy().round(3)
        array([[0.5, 0.5, 0.5]], dtype=float32)
    """

    def __init__(
        self, representation: Representation | dict[str, Any], value: float = 0.0, **kwargs: Any
    ) -> None:
        """Finds the fixed vectors."""
        super().__init__(**layer_arguments(kwargs))
        self.representation = object_of(Representation, representation, "representation")
        self.value = number("value", value, "a number", lambda x: True)
        trivial = trivial_representation(self.representation.group)
        self._fixed = intertwiner_basis(trivial, self.representation)[..., 0]  # orthonormal rows

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates the coordinates.

        Raises:
            ValueError: If the input has no last axis, in whose place the vector comes.
        """
        if not input_shape:
            raise ValueError(
                f"The input of {type(self).__name__} '{self.name}' must have shape "
                f"[..., anything]. Received: input_shape={tuple(input_shape)}"
            )
        start = self._fixed @ np.full(self.representation.dim, self.value)
        self.coordinates = self.add_weight(
            name="coordinates",
            shape=(len(self._fixed),),
            initializer=lambda shape, dtype=None: ops.cast(start, dtype),
        )

    def vector(self) -> Any:
        """The vector `[d]`."""
        coordinates = ops.convert_to_tensor(self.coordinates)
        return ops.matmul(coordinates, ops.cast(self._fixed, coordinates.dtype))

    def call(self, inputs: Any) -> Any:
        """Returns the vector, over any leading dimensions."""
        return ops.broadcast_to(self.vector(), (*ops.shape(inputs)[:-1], self.representation.dim))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the output's shape, leading dimensions unchanged."""
        return (*input_shape[:-1], self.representation.dim)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as plain JSON values."""
        config: dict[str, Any] = super().get_config()
        config.update(representation=self.representation.get_config(), value=self.value)
        return config
