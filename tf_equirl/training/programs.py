"""Compiled programs that are kept, so that the next call of the same shapes need not compile."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import keras

from tf_equirl._portable import architecture, nameless

LIMIT = 64
"""Programs that are kept; the one that was not used for longest goes first."""

_kept: OrderedDict[Hashable, Any] = OrderedDict()


def cached(key: Hashable, make: Callable[[], Any]) -> Any:
    """What `make` gave when it was first called with this key.

    Args:
      key: everything that decides what the program computes, but its arguments. It is kept as long
        as the program, so that objects in it that are equal to none but themselves may stand for
        what they are.
      make: makes a compiled function. It may close over Keras models for their architecture, but
        not over weights or data: those of the first caller would be used by all others.
    """
    if key not in _kept:
        program = make()
        while len(_kept) >= LIMIT:
            _kept.popitem(last=False)
        _kept[key] = program
    _kept.move_to_end(key)
    return _kept[key]


def clear() -> None:
    """Forgets all programs, and frees what they hold in Python.

    TensorFlow itself keeps what XLA compiled until the process ends.
    """
    _kept.clear()


def model_key(model: keras.Model | None) -> Hashable:
    """What decides what a Keras model computes, its weights left out.

    Models of one architecture have equal keys if their classes and activation functions are the
    same objects. A model that cannot be described, such as one with a Lambda layer, is equal to
    none but itself.
    """
    if model is None:
        return None
    layers = model._flatten_layers()
    if any(isinstance(layer, keras.layers.Lambda) for layer in layers):
        return _Itself(model)
    try:
        text = json.dumps(nameless(architecture(model)), sort_keys=True)
    except (TypeError, ValueError, NotImplementedError):
        return _Itself(model)
    code = tuple((type(layer), getattr(layer, "activation", None)) for layer in layers)
    return text, code, tuple(v.trainable for v in model.variables)


class _Itself:
    """Equal to what wraps the same object."""

    def __init__(self, value: Any):
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)
