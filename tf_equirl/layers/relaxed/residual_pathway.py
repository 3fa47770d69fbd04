"""An equivariant layer and a free one beside it."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from tf_equirl._checks import instance, number, refuse, within
from tf_equirl._portable import portable_config
from tf_equirl.groups import Representation
from tf_equirl.layers.base import EquivariantLinear, keras_object
from tf_equirl.layers.grid.on_grid import OnGrid
from tf_equirl.layers.relaxed.certificate import EquivarianceCertificate, cover, largest_norm


@keras.saving.register_keras_serializable(package="tf_equirl")
class ResidualPathway(EquivariantLinear):
    """Residual pathway prior: an equivariant layer, and a free one that is added to it.

        y = activation((K + F) x + b + c)

    K and b are those of an equivariant layer, F and c any matrix and any bias of their shapes. F
    begins `prior_scale` times as large as a free layer would, and c at 0: the layer begins within
    that of its law. Regularizers of both say which of the two is to explain the data.

    Finzi, Benton & Wilson, "Residual Pathway Priors for Soft Equivariance Constraints" (2021),
    section 4: a prior of small variance on the free part is an L2 penalty of large weight; their
    code begins it at 1e-3 of the usual scale.

    Input shape, output shape: those of the equivariant layer.

    Args:
        layer: The equivariant layer, not built, or its configuration. Activation, bias and
            initializers are its own; its `kernel_regularizer` is that of K.
        prior_scale: Scale of F at the start, at least 0, in units of a free layer with the kernel
            initializer of `layer`.
        free_regularizer: Regularizer of F and of c, such as `keras.regularizers.L2(1e-6)`.
        **kwargs: Of `keras.layers.Layer`, such as `name` and `dtype`.

    Raises:
        ValueError: If an argument, or the shape of the input, is wrong.

    Example:
        >>> import numpy as np
        >>> from tf_equirl.groups import cyclic_group
        >>> from tf_equirl.layers import GroupDense
        >>> layer = ResidualPathway(GroupDense(4, cyclic_group(3), activation="relu"))
        >>> layer(np.ones([1, 3, 2], "float32")).shape
        TensorShape([1, 3, 4])
    """

    def __init__(
        self,
        layer: EquivariantLinear | dict[str, Any],
        prior_scale: float = 1e-3,
        free_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        """Checks and keeps the arguments."""
        rule = "an EquivariantLinear layer that is not built, or its configuration"
        if isinstance(layer, dict):
            try:
                with within("layer"):
                    layer = keras.saving.deserialize_keras_object(layer)
            except TypeError:  # of a class that Keras does not know
                refuse("layer", rule, layer)
        inner: EquivariantLinear = instance("layer", layer, EquivariantLinear, rule)
        if inner.built:
            refuse("layer", rule, inner)
        kwargs.setdefault("dtype", inner.dtype_policy)
        super().__init__(
            activation=inner.activation,
            use_bias=inner.use_bias,
            kernel_initializer=inner.kernel_initializer,
            **kwargs,
        )
        self.layer = inner
        rule = "a number of at least 0"
        self.prior_scale = number("prior_scale", prior_scale, rule, lambda x: x >= 0)
        self.free_regularizer = keras_object("free_regularizer", free_regularizer)
        # Of its own: called twice, an initializer gives the same numbers.
        self.free_initializer = self.kernel_initializer.clone()
        self.rows = inner.rows

    @property
    def input_axes(self) -> int:
        """The trailing axes of an input that are the layer's own."""
        return self.layer.input_axes

    def output_axes(self) -> tuple[int, ...]:
        """Returns those of the equivariant layer."""
        return self.layer.output_axes()

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates the weights of both parts.

        Raises:
            ValueError: If `input_shape` does not end in the axes that the layer needs.
        """
        self.layer.build(input_shape)
        self.input_spec = self.layer.input_spec
        outputs = math.prod(self.output_axes())
        self.free_kernel = self.add_weight(
            name="free_kernel",
            shape=(self._inputs(tuple(input_shape)), outputs),
            initializer=self._initial,
            regularizer=self.free_regularizer,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="free_bias",
                shape=(outputs,),
                initializer="zeros",
                regularizer=self.free_regularizer,
            )

    def _inputs(self, shape: tuple[int | None, ...]) -> int:
        """Numbers that one output is computed from."""
        own = shape[-self.input_axes :]
        if isinstance(self.layer, OnGrid):
            own = (*self.layer.geometry.kernel_size, *own[2:])
        return math.prod(own)  # type: ignore[arg-type]

    def _initial(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        drawn = self.free_initializer(shape, dtype=dtype)
        return ops.multiply(drawn, ops.cast(self.prior_scale, drawn.dtype))

    def expanded_kernel(self) -> Any:
        """Returns the matrix K + F, `[inputs, outputs]`."""
        return ops.add(self.layer.expanded_kernel(), ops.convert_to_tensor(self.free_kernel))

    def expanded_bias(self) -> Any:
        """Returns b + c, in the shape `output_axes()`."""
        axes, bias = self.output_axes(), ops.convert_to_tensor(self.bias)
        bias = ops.reshape(bias, axes)
        return bias if self.layer.bias is None else ops.add(bias, self.layer.expanded_bias())

    def apply(self, inputs: Any, prepared: Any) -> Any:
        """Returns what the equivariant layer makes of inputs with the weights of both parts."""
        return self.layer.apply(inputs, prepared)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns that of the equivariant layer.

        Raises:
            ValueError: If `input_shape` does not end in the axes that the layer needs.
        """
        return self.layer.compute_output_shape(input_shape)

    def equivariance_certificate(self) -> EquivarianceCertificate:
        """Returns a bound on the equivariance error, see `EquivarianceCertificate`.

        F and c act before and after an element moves something: twice their norms, where elements
        keep lengths. Only for a layer that is built.
        """
        kernel = ops.convert_to_numpy(self.free_kernel).astype(np.float64)
        norm, length = float(np.linalg.norm(kernel, 2)), 0.0
        if self.bias is not None:
            bias = ops.convert_to_numpy(self.bias).astype(np.float64)
            length = float(np.linalg.norm(bias))
        if isinstance(self.layer, OnGrid):
            norm *= cover(self.layer.geometry)
            height, width = (self.input_spec.axes[k - self.input_axes] for k in (0, 1))
            length *= math.sqrt(math.prod(self.layer.output_size(height, width)))
        # Of inputs that are moved the lengths may change, and of outputs.
        moved = [largest_norm(x) for x in _representations(self.layer)]
        largest = math.prod(moved)
        return EquivarianceCertificate(norm * 2 * largest, length * 2 * largest)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as plain JSON values."""
        config = keras.layers.Layer.get_config(self)
        layer = keras.saving.serialize_keras_object(self.layer)
        layer.pop("build_config", None)  # it is built with its pathway
        config.update(
            layer=layer,
            prior_scale=self.prior_scale,
            free_regularizer=keras.regularizers.serialize(self.free_regularizer),
        )
        return portable_config(config)


def _representations(layer: EquivariantLinear) -> list[Representation]:
    """How the group acts on inputs and outputs, where it is not by permutations alone."""
    if isinstance(layer, OnGrid):
        return [layer.picture.channels]
    found = (getattr(layer, name, None) for name in ("representation", "inputs", "outputs"))
    return [x for x in found if isinstance(x, Representation)]
