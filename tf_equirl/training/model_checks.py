"""What a Keras model must be to be trained by the compiled programs."""

from __future__ import annotations

from typing import Any

import keras

from tf_equirl.layers import InputNormalization, SymmetrizerDense

_CONVOLUTIONS = tuple(
    getattr(keras.layers, f"{kind}{dim}D{ending}")
    for kind, dims, ending in (
        ("Conv", (1, 2, 3), ""),
        ("Conv", (1, 2, 3), "Transpose"),
        ("DepthwiseConv", (1, 2), ""),
        ("SeparableConv", (1, 2), ""),
    )
    for dim in dims
)


def convolutions_of_keras(model: keras.Model) -> list[str]:
    """Names of the layers of a model that are Keras' own convolutions."""
    return [layer.name for layer in model._flatten_layers() if isinstance(layer, _CONVOLUTIONS)]


def check_model(
    name: str,
    model: keras.Model,
    takes: str,
    input_shape: Any,
    gives: str,
    output_shape: Any,
    trained: bool = True,
) -> None:
    """Checks the shapes and the variables of a model.

    Args:
        name: What messages call the model.
        model: The model.
        takes: What its inputs are, in words.
        input_shape: As Keras states it.
        gives: What its outputs are, in words.
        output_shape: As Keras states it.
        trained: Whether it is to be trained, not only called.

    Raises:
        ValueError: Unless the model has these shapes, no variables that are not trained (batch
            statistics, dropout seeds; the constant bases of `SymmetrizerDense` layers and the
            running statistics of `InputNormalization` are allowed), and no constraints and no
            regularizers of outputs if it is to be trained: the compiled programs would not apply
            them. Regularizers of weights they do.
    """
    if not isinstance(model, keras.Model):
        raise ValueError(
            f"{name} must be a Keras 3 model. Received: {name} of type {type(model).__name__}"
        )
    if not hasattr(model, "input_shape") or not model.built:
        raise ValueError(
            f"{name} must be a functional or Sequential model that knows its input shape. "
            f"Received: {name}={model.name!r} of type {type(model).__name__}"
        )
    if model.input_shape != input_shape:
        raise ValueError(
            f"{name} must take {takes}, shape {input_shape}. "
            f"Received: {name} with input shape {model.input_shape}"
        )
    if model.output_shape != output_shape:
        raise ValueError(
            f"{name} must give {gives}, shape {output_shape}. "
            f"Received: {name} with output shape {model.output_shape}"
        )
    # Bases are the same for every seed, and stay so; statistics are kept for each.
    known = {id(v) for v in _known(model)}
    others = [v.path for v in model.non_trainable_variables if id(v) not in known]
    if others:
        raise ValueError(
            f"{name} must have trainable variables only. Received: {name} with {others}"
        )
    ignored = [*of_variables(model, "constraint"), *_of_outputs(model)]
    if trained and ignored:
        raise ValueError(
            f"{name} must have no constraints and no regularizers of outputs, because training "
            f"would ignore them. Received: {name} with {', '.join(ignored)}"
        )


def of_variables(model: keras.Model, kind: str) -> list[str]:
    """In words, the regularizers or constraints of a model's trained variables.

    Args:
        model: The model.
        kind: "regularizer" or "constraint".
    """
    return [
        f"a {kind} of {variable.path}"
        for variable in model.trainable_variables
        if getattr(variable, kind) is not None
    ]


def _of_outputs(model: keras.Model) -> list[str]:
    return [
        f"an activity_regularizer of {layer.name}"
        for layer in model._flatten_layers()
        if getattr(layer, "activity_regularizer", None) is not None
    ]


def _known(model: keras.Model) -> list[keras.Variable]:
    layers = list(model._flatten_layers())
    kept = [x.non_trainable_variables for x in layers if isinstance(x, InputNormalization)]
    kept += [x.basis_variables for x in layers if isinstance(x, SymmetrizerDense)]
    return [variable for variables in kept for variable in variables]
