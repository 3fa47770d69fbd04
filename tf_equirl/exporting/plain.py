"""From equivariant layers to ordinary ones: every shared weight is written out once."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tf_equirl._checks import shown
from tf_equirl.layers import (
    EquivariantLinear,
    GroupPooling,
    InputNormalization,
    InvariantVector,
    ResidualPathway,
    SpatialPooling,
)
from tf_equirl.layers.base import is_pointwise
from tf_equirl.layers.grid.on_grid import OnGrid

_ELEMENTWISE_LAYERS = (
    keras.layers.Activation,
    keras.layers.ReLU,
    keras.layers.LeakyReLU,
    keras.layers.ELU,
    keras.layers.Add,
    keras.layers.Subtract,
    keras.layers.Multiply,
    keras.layers.Average,
    keras.layers.Maximum,
    keras.layers.Minimum,
)
# Built into Keras, but not loadable from a file alone.
_NOT_PORTABLE = (keras.layers.Lambda, keras.layers.TFSMLayer)


def to_plain(model: keras.Model) -> keras.Model:
    """The same function as a model of Keras' own layers, which loads without tf_equirl.

    Every `EquivariantLinear` layer, a relaxed one too, becomes a `Dense` layer of its name whose
    kernel is `expanded_kernel()`; where `x` is flat,

        flat(layer(x)) = activation(flat(x) @ expanded_kernel() + flat(expanded_bias())).

    A convolution of pictures becomes a `Conv2D` of that kernel, with the group's elements among its
    channels, after a `ZeroPadding2D`, or cuttings that go on around a torus, if it has padding. A
    `GroupPooling` or `SpatialPooling` becomes Keras' pooling; an `InputNormalization` two of
    `Rescaling` by what it has learned, whose bound is made of a `ReLU`; an `InvariantVector` the
    bias of a `Dense` layer whose kernel is 0. All other layers are copied. A tensor changes its
    shape only where somebody needs the other shape: layers in a row share the row-major order of
    `[rows, channels]`, so that a stack of equivariant layers becomes a stack of `Dense` layers.

    Args:
        model: A functional or `Sequential` model, with any branches and nested models.

    Returns:
        A functional model with the inputs, outputs and names of `model`, not compiled. It shares
        no weights with `model`. Regularizers and constraints of equivariant layers are dropped:
        they are about the shared weights.

    Raises:
        ValueError: If `model` is neither functional nor `Sequential`, or holds a layer that plain
            Keras could not load (the message names it).
    """
    return keras.models.clone_model(
        _functional(model),
        clone_function=lambda layer: layer,
        call_function=_Conversion(model).call,
    )


def _functional(model: keras.Model) -> keras.Model:
    """A functional model of the same layers, not compiled."""
    kind = type(model)
    if isinstance(model, keras.Sequential):
        if not model.built or not model.inputs:
            raise ValueError(
                "`model` must be built: call it once, or give it an Input. "
                f"Received: model={model.name!r}, which is not"
            )
        return keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    # A subclass may compute anything in its `call`.
    if not isinstance(model, keras.Model) or not kind.__module__.endswith("models.functional"):
        raise ValueError(
            "`model` must be a functional or Sequential model of Keras 3. "
            f"Received: model={shown(model)} of type {kind.__module__}.{kind.__name__}"
        )
    return keras.Model(model.input, model.output, name=model.name)


class _Conversion:
    """The plain layers of one model, and what is known about the shapes of its tensors."""

    def __init__(self, model: keras.Model) -> None:
        self._names = {operation.name for operation in _functional(model).operations}
        self._plain: dict[int, Any] = {}
        self._written: set[int] = set()
        # Tensor id to (tensor, base): the tensor holds the numbers of base in row-major order. The
        # tensor is kept so that its id stays its own.
        self._bases: dict[int, tuple[Any, Any]] = {}
        self._views: dict[tuple[int, tuple[int | None, ...]], Any] = {}

    def call(self, layer: Any, *args: Any, **kwargs: Any) -> Any:
        """Applies the plain form of `layer` to symbolic tensors."""
        tensors = [x for x in keras.tree.flatten((args, kwargs)) if keras.utils.is_keras_tensor(x)]
        grid = layer.layer if isinstance(layer, ResidualPathway) else layer
        if isinstance(grid, OnGrid):
            return self._convolution(layer, grid, *tensors)
        if isinstance(layer, EquivariantLinear):
            return self._linear(layer, *tensors)
        if type(layer) is SpatialPooling:
            return self._spatial_pooling(layer, *tensors)
        if type(layer) is GroupPooling:
            return self._pooling(layer, *tensors)
        if type(layer) is InputNormalization:
            return self._normalization(layer, *tensors)
        if type(layer) is InvariantVector:
            return self._vector(layer, *tensors)
        if type(layer) is keras.layers.Reshape or (
            type(layer) is keras.layers.Flatten and layer.data_format == "channels_last"
        ):
            x = tensors[0]
            return self._view(layer, x, layer.compute_output_shape(x.shape)[1:])
        if isinstance(layer, keras.Model):
            if id(layer) not in self._plain:
                self._plain[id(layer)] = to_plain(layer)
            return self._plain[id(layer)](*args, **kwargs)
        bases = [self._base(x) for x in tensors]
        if _is_elementwise(layer) and _one_shape(tensors) and _one_shape(bases):
            args, kwargs = keras.tree.map_structure(self._base, (args, kwargs))
            return self._view(layer, self._copy(layer, args, kwargs), tensors[0].shape[1:])
        return self._copy(layer, args, kwargs)

    def _linear(self, layer: EquivariantLinear, x: Any) -> Any:
        if type(layer).call is not EquivariantLinear.call:
            raise _unsupported(layer, "it has a `call` of its own")
        axes, output_axes = layer.input_axes, layer.output_axes()
        _check_batch_axis(layer, x, axes)
        leading, size = x.shape[1:-axes], int(np.prod(x.shape[-axes:]))

        def make(units: int, options: dict[str, Any]) -> Any:
            return keras.layers.Dense(units, **options)

        dense = self._once(layer, lambda: self._plain_linear(layer, make))
        outputs = dense(self._view(layer, x, (*leading, size)))
        self._set_weights(layer, dense)
        return self._activated(layer, self._view(layer, outputs, (*leading, *output_axes)))

    def _convolution(self, layer: EquivariantLinear, grid: OnGrid, x: Any) -> Any:
        """The plain form of `layer`, which looks at pictures as `grid` does."""
        axes, geometry = grid.input_axes, grid.geometry
        _check_batch_axis(layer, x, axes)
        if len(x.shape) > 1 + axes:
            raise _unsupported(
                layer, f"Keras convolves [batch, height, width, channels], not {x.shape}"
            )
        height, width, *pixel = x.shape[1:]
        size = grid.output_size(height, width)
        x = self._view(layer, x, (height, width, int(np.prod(pixel))))

        def make(units: int, options: dict[str, Any]) -> Any:
            return keras.layers.Conv2D(
                units,
                geometry.kernel_size,
                geometry.strides,
                data_format="channels_last",
                **options,
            )

        plain = self._once(layer, lambda: self._plain_linear(layer, make))
        outputs = plain(self._padded(grid, x))
        self._set_weights(layer, plain)
        return self._activated(layer, self._view(layer, outputs, (*size, *layer.output_axes())))

    def _padded(self, layer: OnGrid, x: Any) -> Any:
        """A picture with the padding of a convolution, which may be used more than once."""
        geometry = layer.geometry
        pads = geometry.pads(0, x.shape[1]), geometry.pads(1, x.shape[2])
        if not any(map(sum, pads)):
            return x
        options = {"dtype": layer.dtype_policy, "data_format": "channels_last"}
        if geometry.padding != "circular":
            name = self._new_name(layer, "padding")
            return keras.layers.ZeroPadding2D(pads, name=name, **options)(x)
        for axis, (before, after) in enumerate(pads, start=1):
            if not before:
                continue
            parts = [x]
            for place, cut, ending in (
                (0, (x.shape[axis] - before, 0), "last"),
                (2, (0, x.shape[axis] - after), "first"),
            ):
                cuts = (cut, (0, 0)) if axis == 1 else ((0, 0), cut)
                name = self._new_name(layer, f"{ending}_{axis}")
                parts.insert(place, keras.layers.Cropping2D(cuts, name=name, **options)(x))
            name = self._new_name(layer, f"around_{axis}")
            x = keras.layers.Concatenate(axis, dtype=layer.dtype_policy, name=name)(parts)
        return x

    def _plain_linear(self, layer: EquivariantLinear, make: Any) -> Any:
        """The `Dense` or `Conv2D` layer that stands for `layer`, without its numbers yet."""
        options = {
            "activation": layer.activation if is_pointwise(layer.activation) else None,
            "use_bias": layer.bias is not None,
            "dtype": layer.dtype_policy,
            "trainable": layer.trainable,
            "name": layer.name,
        }
        return make(int(np.prod(layer.output_axes())), options)

    def _set_weights(self, layer: EquivariantLinear, plain: Any) -> None:
        """Writes the shared weights out, once."""
        if id(layer) in self._written:
            return
        self._written.add(id(layer))
        weights = [keras.ops.reshape(layer.expanded_kernel(), plain.kernel.shape)]
        if layer.bias is not None:
            bias = keras.ops.broadcast_to(layer.expanded_bias(), layer.output_axes())
            weights.append(keras.ops.reshape(bias, (-1,)))
        plain.set_weights([keras.ops.convert_to_numpy(w) for w in weights])

    def _activated(self, layer: EquivariantLinear, outputs: Any) -> Any:
        """What the activation makes of the outputs, if the plain layer did not apply it."""
        if is_pointwise(layer.activation):
            return outputs
        activation = keras.layers.Activation(
            layer.activation, dtype=layer.dtype_policy, name=self._new_name(layer, "activation")
        )
        return _portable_copy(activation, layer)(outputs)

    def _spatial_pooling(self, layer: SpatialPooling, x: Any) -> Any:
        _check_batch_axis(layer, x, 4)
        if len(x.shape) > 5:
            raise _unsupported(
                layer, f"Keras pools [batch, height, width, channels], not {x.shape}"
            )
        height, width, *features = x.shape[1:]
        x = self._view(layer, x, (height, width, int(np.prod(features))))
        mean = keras.layers.GlobalAveragePooling2D
        kind = keras.layers.GlobalMaxPooling2D if layer.mode == "max" else mean
        options = {"dtype": layer.dtype_policy}

        def make() -> list[Any]:
            name = layer.name if layer.mode != "sum" else self._new_name(layer, "mean")
            layers = [kind(data_format="channels_last", name=name, **options)]
            if layer.mode == "sum":
                name = self._new_name(layer, "sum")
                layers.append(keras.layers.Rescaling(float(height * width), name=name, **options))
            return layers

        for plain in self._once(layer, make):
            x = plain(x)
        return self._view(layer, x, features)

    def _pooling(self, layer: GroupPooling, x: Any) -> Any:
        _check_batch_axis(layer, x, 2)
        if len(x.shape) > 3:
            raise _unsupported(layer, f"Keras pools [batch, n, channels] only, not {x.shape}")
        mean = keras.layers.GlobalAveragePooling1D
        kind = keras.layers.GlobalMaxPooling1D if layer.mode == "max" else mean
        options = {"dtype": layer.dtype_policy, "name": layer.name}
        if layer.mode != "sum":
            return self._once(layer, lambda: kind(data_format="channels_last", **options))(x)
        if x.shape[1] is None:
            raise _unsupported(layer, f"the sum needs a known number of rows, not {x.shape}")
        options["name"] = self._new_name(layer, "mean")
        pooled = kind(data_format="channels_last", **options)(x)
        options["name"] = self._new_name(layer, "sum")
        return keras.layers.Rescaling(float(x.shape[1]), **options)(pooled)

    def _normalization(self, layer: InputNormalization, x: Any) -> Any:
        def make() -> Any:
            mean, variance = layer.applied()
            shift, scale = (
                keras.ops.convert_to_numpy(v).tolist() for v in (-mean, keras.ops.rsqrt(variance))
            )
            options = {"dtype": layer.dtype_policy}
            # Keras' `Normalization` holds tensors that are no weights, which ONNX cannot have.
            # First the mean: of a product and a sum little would be left where it is large.
            layers = [
                keras.layers.Rescaling(
                    1.0, offset=shift, name=self._new_name(layer, "shift"), **options
                ),
                keras.layers.Rescaling(scale, name=layer.name, **options),
            ]
            if layer.bound is not None:
                up, cut, down = (self._new_name(layer, x) for x in ("up", "cut", "down"))
                layers += [
                    keras.layers.Rescaling(1.0, offset=layer.bound, name=up, **options),
                    keras.layers.ReLU(max_value=2 * layer.bound, name=cut, **options),
                    keras.layers.Rescaling(1.0, offset=-layer.bound, name=down, **options),
                ]
            return layers

        for plain in self._once(layer, make):
            x = plain(x)
        return x

    def _vector(self, layer: InvariantVector, x: Any) -> Any:
        def make() -> Any:
            bias = keras.ops.convert_to_numpy(layer.vector())
            dense = keras.layers.Dense(len(bias), dtype=layer.dtype_policy, name=layer.name)
            dense.build(x.shape)
            dense.set_weights([np.zeros([x.shape[-1], len(bias)], np.float32), bias])
            return dense

        if x.shape[-1] is None:
            raise _unsupported(layer, f"a Dense layer needs a known last axis, not {x.shape}")
        return self._once(layer, make)(x)

    def _copy(self, layer: Any, args: Any, kwargs: Any) -> Any:
        """Applies a copy of a layer (or of a function of `keras.ops`) with the same weights."""
        known = id(layer) in self._plain
        copy = self._once(layer, lambda: _portable_copy(layer, layer))
        outputs = copy(*args, **kwargs)
        if not known and isinstance(layer, keras.layers.Layer):
            copy.set_weights(layer.get_weights())
        return outputs

    def _once(self, layer: Any, make: Any) -> Any:
        """The plain layer that stands for `layer`; a layer that is used twice stays one."""
        if id(layer) not in self._plain:
            self._plain[id(layer)] = make()
        return self._plain[id(layer)]

    def _base(self, tensor: Any) -> Any:
        return self._bases.get(id(tensor), (tensor, tensor))[1]

    def _view(self, layer: Any, tensor: Any, shape: tuple[int | None, ...]) -> Any:
        """The numbers of `tensor` in another shape (without the batch axis), for `layer`.

        A `Reshape` that nobody uses afterwards is no part of the model.
        """
        shape = tuple(shape)
        base = self._base(tensor)
        if tensor.shape[1:] == shape:
            return tensor
        # Of one unknown axis the length follows from the others.
        if base.shape[1:] == shape and shape.count(None) < 2:
            return base
        if (id(base), shape) not in self._views:
            if shape.count(None) > 1:
                raise _unsupported(layer, f"a Reshape to {(None, *shape)} has two unknown axes")
            target = tuple(-1 if axis is None else axis for axis in shape)
            name = self._new_name(layer, "reshape")
            view = keras.layers.Reshape(target, dtype=base.dtype, name=name)(base)
            self._views[id(base), shape] = view
            self._bases[id(base)] = (base, base)
            self._bases[id(view)] = (view, base)
        return self._views[id(base), shape]

    def _new_name(self, layer: Any, ending: str) -> str:
        name = f"{layer.name}_{ending}"
        while name in self._names:
            name += "_"
        self._names.add(name)
        return name


def _is_elementwise(layer: Any) -> bool:
    if type(layer) is keras.layers.Activation:
        return is_pointwise(layer.activation)
    return type(layer) in _ELEMENTWISE_LAYERS


def _one_shape(tensors: list[Any]) -> bool:
    shape = tensors[0].shape
    return all(x.shape == shape for x in tensors) and shape[1:].count(None) < 2


def _check_batch_axis(layer: Any, x: Any, axes: int) -> None:
    if len(x.shape) <= axes:
        raise _unsupported(layer, f"its input {x.shape} has no batch axis before its own axes")


def _portable_copy(plain: Any, layer: Any) -> Any:
    """Builds `plain` anew from its config; a ValueError names `layer` if Keras alone could not."""
    if isinstance(plain, _NOT_PORTABLE):
        raise _unsupported(layer, "it does not load from a file alone")
    try:
        foreign = _foreign(keras.saving.serialize_keras_object(plain))
        if foreign is None:
            return type(plain).from_config(plain.get_config())
    except Exception as error:  # a class without `get_config`, a lambda
        raise _unsupported(layer, "it cannot be built from its config") from error
    raise _unsupported(layer, f"{foreign} is no part of Keras")


def _foreign(config: Any) -> str | None:
    """The name of the first object in a serialised config that Keras does not bring along."""
    if isinstance(config, (list, tuple)):
        return next((name for name in map(_foreign, config) if name is not None), None)
    if not isinstance(config, dict):
        return None
    kind, module = config.get("class_name"), str(config.get("module"))
    # Keras writes numbers, tensors and the like as classes such as __numpy__.
    if kind is not None and not str(kind).startswith("__") and module.split(".")[0] != "keras":
        return f"{config['config'] if kind == 'function' else kind}"
    return _foreign(list(config.values()))


def _unsupported(layer: Any, reason: str) -> ValueError:
    return ValueError(
        f"every layer must have a plain form, and {type(layer).__name__} '{layer.name}' has none: "
        f"{reason}. Received: layer={layer.name!r}"
    )
