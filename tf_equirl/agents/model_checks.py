"""What a Keras model must be to be trained by the compiled programs."""

from __future__ import annotations

from typing import Any

import keras

from tf_equirl.layers import SymmetrizerDense


def check_model(
    name: str, model: keras.Model, takes: str, input_shape: Any, gives: str, output_shape: Any
) -> None:
    """Checks the shapes and the variables of a model.

    Args:
      name: what messages call the model.
      model: the model.
      takes: what its inputs are, in words.
      input_shape: as Keras states it.
      gives: what its outputs are, in words.
      output_shape: as Keras states it.

    Raises:
      ValueError: unless the model has these shapes, and no variables that are not trained (batch
        statistics, dropout seeds; the constant bases of `SymmetrizerDense` layers are allowed).
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
    # Bases are the same for every seed, and stay so.
    bases = {id(v) for v in _sampled_bases(model)}
    others = [v.path for v in model.non_trainable_variables if id(v) not in bases]
    if others:
        raise ValueError(
            f"{name} must have trainable variables only. Received: {name} with {others}"
        )


def _sampled_bases(model: keras.Model) -> list[keras.Variable]:
    layers = [x for x in model._flatten_layers() if isinstance(x, SymmetrizerDense)]
    return [variable for layer in layers for variable in layer.basis_variables]
