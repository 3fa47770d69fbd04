"""One operation of a graph, for its translation into NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

_TYPES = {
    tf.bool: "np.bool_",
    **{
        tf.as_dtype(name): f"np.{name}"
        for name in ("float32", "float64", "int8", "int16", "int32", "int64", "uint8")
    },
}


class NotTranslatable(Exception):
    """A graph has what NumPy does not compute here; the text says what."""


class Node:
    """An operation of a graph and the code of its inputs.

    Attributes:
        inputs: The names of its inputs in the code.
        shapes: The shapes of its inputs.
        shape: The shape of its first output.
        rank: Its length.
        type: The NumPy type of the first output, as code.
    """

    def __init__(
        self,
        op: tf.Operation,
        inputs: list[str],
        constants: dict[str, Any],
        keep: Callable[[Any], str],
    ) -> None:
        """Reads shapes and types, and refuses those that the table is not meant for."""
        self.op, self.inputs, self._constants, self.keep = op, inputs, constants, keep
        self.shapes = [tuple(x.shape.as_list()) for x in op.inputs]
        self.shape = tuple(op.outputs[0].shape.as_list())
        self.rank = len(self.shape)
        for x in op.outputs:
            if x.dtype not in _TYPES:
                raise NotTranslatable(f"the type {x.dtype.name}")
        self.type = _TYPES[op.outputs[0].dtype]

    def is_constant(self, index: int) -> bool:
        """Whether the value of an input is known."""
        return self.inputs[index] in self._constants

    def constant(self, index: int) -> Any:
        """The value of an input that the code is to contain as it is.

        Raises:
            NotTranslatable: If it is known only when the graph is executed.
        """
        if not self.is_constant(index):
            raise NotTranslatable(f"{self.op.type} of a computed argument")
        return self._constants[self.inputs[index]]

    def attribute(self, name: str, *supported: Any) -> Any:
        """An attribute; where values are given, it must be one of them.

        Raises:
            NotTranslatable: If it is not.
        """
        value = self.op.get_attr(name)
        if supported and value not in supported:
            raise NotTranslatable(f"{self.op.type} with {name}={value}")
        return value

    def axes(self, index: int) -> tuple[int, ...]:
        """A constant input of axes."""
        return tuple(int(x) for x in np.atleast_1d(self.constant(index)))
