"""Compiled programs that are kept, so that the next call of the same shapes need not compile."""

from __future__ import annotations

import contextlib
import json
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import keras

from tf_equirl._portable import architecture, nameless

LIMIT = 64
"""Programs that are kept; the one that was not used for longest goes first."""

_kept: OrderedDict[Hashable, Any] = OrderedDict()

_RESERVE = 8_000
"""Maps of memory; a program of the trainers takes about a thousand."""


class ProcessFullError(RuntimeError):
    """The process has no room for another compiled program; a new one goes on with the run."""


def check_room() -> None:
    """Looks whether another program can be compiled; only Linux says so.

    What XLA compiled stays, in a thousand maps of memory a program, until the process ends. The
    kernel allows 65,530 of them; beyond that XLA kills the process.

    Raises:
        ProcessFullError: If it cannot.
    """
    with contextlib.suppress(OSError, ValueError):
        most = int(Path("/proc/sys/vm/max_map_count").read_text())
        maps = Path("/proc/self/maps").read_bytes().count(b"\n")
        if maps > most - _RESERVE:
            raise ProcessFullError(
                f"this process holds {maps:,} maps of memory, mostly of compiled programs, of "
                f"{most:,} that the system allows (vm.max_map_count), and has no room for another "
                "program. Go on in a new process: resume the run."
            )


def cached(key: Hashable, make: Callable[[], Any]) -> Any:
    """What `make` gave when it was first called with this key.

    Args:
        key: Everything that decides what the program computes, but its arguments. It is kept as
            long as the program, so that objects in it that are equal to none but themselves may
            stand for what they are.
        make: Makes a compiled function. It may close over Keras models for their architecture, but
            not over weights or data: those of the first caller would be used by all others.

    Raises:
        ProcessFullError: If the process has no room for another program.
    """
    if key not in _kept:
        check_room()
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
