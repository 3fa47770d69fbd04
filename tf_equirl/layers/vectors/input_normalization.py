"""Observations brought to a common scale, without breaking a symmetry."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from tf_equirl._checks import refuse
from tf_equirl.groups import Representation, deviation_representation
from tf_equirl.layers.base import layer_arguments, object_of

_EPSILON = 1e-8
_LARGEST = 10.0  # standard deviations, as in OpenAI Baselines and Stable-Baselines3
_NO_DATA = 1e-4  # rows that the initial mean 0 and variance 1 count for
_MOST = 2048  # coordinates: projections are matrices of this size


@keras.saving.register_keras_serializable(package="tf_equirl")
class InputNormalization(keras.layers.Layer):
    r"""Subtracts a mean and divides by a standard deviation, both of which the group respects.

    Of the data that it has seen the layer keeps mean m, variance v and number of rows. It applies
    those of the data *and all its images under the group*:

    $$ \bar m = \frac1n \sum_g \rho(g) m, \qquad
       \bar v = \text{average of } v + (m - \bar m)^2 \text{ over coordinates that the group joins},
       \qquad y = (x - \bar m) / \sqrt{\bar v + 10^{-8}}. $$

    So y obeys the law that x does, `normalize(rho(g) x) = rho(g) normalize(x)`, whatever the data
    were. Where the group acts by signed permutations y is cut off at 10 standard deviations.

    The three are weights that are not trained: trainers that know the layer update them
    (`training.normalization`), and a saved model contains them.

    Input and output shape: `[..., d]`.

    Args:
        representation: How the group acts on the input, by orthogonal matrices, of dimension d at
            most 2,048; a `Representation` or its config.
        **kwargs: Of `keras.layers.Layer`, such as `name` and `dtype`.

    Raises:
        ValueError: If an argument is not one of those.

    Example:
        >>> import numpy as np
        >>> from tf_equirl.groups import cyclic_group, regular_representation
        >>> from tf_equirl.layers import InputNormalization
        >>> layer = InputNormalization(regular_representation(cyclic_group(2)))
        >>> layer.build((None, 2))
        >>> _ = layer.mean.assign([1.0, 3.0]), layer.variance.assign([0.0, 3.0])
        >>> layer(np.array([[2.0, 4.0]])).numpy().round(3)  # mean 2, variance (0 + 1 + 3 + 1) / 2
        array([[0.   , 1.265]], dtype=float32)
    """

    def __init__(self, representation: Representation | dict[str, Any], **kwargs: Any) -> None:
        """Finds the projections."""
        super().__init__(**layer_arguments(kwargs))
        self.representation = object_of(Representation, representation, "representation")
        if self.representation.dim > _MOST:
            refuse("representation", f"of dimension {_MOST:,} at most", self.representation)
        deviations, index = deviation_representation(self.representation)
        # Transposed: they act on rows. Coordinates that share a deviation, or whose deviations the
        # group permutes, have one variance.
        self._of_mean = self.representation.matrices.mean(axis=0).T
        shared = np.eye(deviations.dim)[index]
        average = shared @ deviations.matrices.mean(axis=0) @ shared.T
        self._of_variance = (average / average.sum(axis=1, keepdims=True)).T
        self.bound = _LARGEST if self.representation.signs is not None else None

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates mean, variance and count.

        Raises:
            ValueError: If the last axis has not the dimension of the representation.
        """
        dim = self.representation.dim
        if not input_shape or input_shape[-1] != dim:
            raise ValueError(
                f"The input of {type(self).__name__} '{self.name}' must have shape [..., {dim}]. "
                f"Received: input_shape={tuple(input_shape)}"
            )
        count = keras.initializers.Constant(_NO_DATA)
        own = {"trainable": False}
        self.mean = self.add_weight(name="mean", shape=(dim,), initializer="zeros", **own)
        self.variance = self.add_weight(name="variance", shape=(dim,), initializer="ones", **own)
        self.count = self.add_weight(name="count", shape=(), initializer=count, **own)

    def statistics(self) -> tuple[Any, Any]:
        """The mean and the variance `[d]` of the data and all their images."""
        mean, variance = (ops.convert_to_tensor(x) for x in (self.mean, self.variance))
        projected = ops.matmul(mean, ops.cast(self._of_mean, mean.dtype))
        spread = ops.add(variance, ops.square(ops.subtract(mean, projected)))
        return projected, ops.matmul(spread, ops.cast(self._of_variance, mean.dtype))

    def applied(self) -> tuple[Any, Any]:
        """The mean and the variance `[d]` that are applied, the latter never 0."""
        mean, variance = self.statistics()
        return mean, ops.add(variance, _EPSILON)

    def call(self, inputs: Any) -> Any:
        """Normalises `inputs`, over any leading dimensions."""
        mean, variance = self.applied()
        outputs = ops.multiply(ops.subtract(inputs, mean), ops.rsqrt(variance))
        return outputs if self.bound is None else ops.clip(outputs, -self.bound, self.bound)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the input's shape."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as plain JSON values."""
        return {**super().get_config(), "representation": self.representation.get_config()}
