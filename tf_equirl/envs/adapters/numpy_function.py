"""Functions of tensors as functions of NumPy arrays, for callers that make single small steps."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_equirl.envs.adapters.numpy_node import Node, NotTranslatable
from tf_equirl.envs.adapters.numpy_operations import OPERATIONS

Flat = Callable[..., Sequence[Any]]
_logger = logging.getLogger(__name__)
# Operations whose results share no memory with anything else.
_FRESH = frozenset({"Pack", "ConcatV2", "Cast", "AddV2", "Sub", "Mul", "RealDiv"})


def numpy_function(function: Callable[..., Any], *arguments: Any) -> tuple[Flat, Any]:
    """Turns a function of tensors into one of NumPy arrays, for shapes and types that are fixed.

    Calling a `tf.function` costs some hundred microseconds however little it computes, which is
    most of the time of a step of one small environment. So the function is traced once, and its
    graph is written as a straight line of NumPy expressions, `OPERATIONS`, which compute what the
    function says, operation by operation. Results equal TensorFlow's but for the last bits of
    transcendental functions and sums; TensorFlow's own differ that much between processors, and
    between its executors.

    A graph with an operation that is not in the table (loops, variables, random numbers, calls of
    other `tf.function`s, side effects) or with unknown shapes is executed by TensorFlow.

    Args:
        function: Takes and returns nested structures of tensors.
        *arguments: A `tf.TensorSpec`, or a nested structure of them, for each of its arguments.

    Returns:
        call: Takes the flattened arguments and returns the flattened results: arrays that are the
            caller's own, and NumPy scalars for those without dimensions, in both directions.
        results: The structure of the results, of `tf.TensorSpec`.
    """
    results = None

    def flat(*tensors: tf.Tensor) -> list[tf.Tensor]:
        nonlocal results
        returned = function(*tf.nest.pack_sequence_as(arguments, tensors))
        returned = tf.nest.map_structure(tf.convert_to_tensor, returned)
        results = tf.nest.map_structure(lambda x: tf.TensorSpec(x.shape, x.dtype), returned)
        return tf.nest.flatten(returned)

    specs = tf.nest.flatten(arguments)
    program = tf.function(flat, autograph=False).get_concrete_function(*specs)
    try:
        return _translated(program), results
    except NotTranslatable as reason:
        _logger.info("TensorFlow executes %s, which has %s.", function, reason)
        return _executed(program, specs), results


def _executed(program: Any, specs: Sequence[tf.TensorSpec]) -> Flat:
    """The program, executed by TensorFlow."""
    types = [spec.dtype for spec in specs]

    def call(*arrays: Any) -> Sequence[Any]:
        tensors = [tf.constant(x, dtype) for x, dtype in zip(arrays, types, strict=True)]
        return [x.numpy() for x in program(*tensors)]

    return call


def _translated(program: Any) -> Flat:
    """The program, written in NumPy.

    Raises:
        NotTranslatable: If it cannot be.
    """
    graph = program.graph
    names: dict[str, str] = {}  # of tensors, in the code
    parts: dict[str, Sequence[str]] = {}  # of vectors that are put together, by name
    fresh: set[str] = set()  # arrays that may be returned as they are, once
    constants: dict[str, Any] = {"np": np}  # of the code, by name

    def keep(value: Any) -> str:
        name = f"c{len(constants)}"
        constants[name] = value if callable(value) else np.asarray(value)[()]  # maybe a scalar
        return name

    captured = program.captured_inputs
    own = graph.inputs[: len(graph.inputs) - len(captured)]
    for i, tensor in enumerate(own):
        names[tensor.name] = f"a{i}"
    for tensor, value in zip(graph.inputs[len(own) :], captured, strict=True):
        if value.dtype in (tf.resource, tf.variant):
            raise NotTranslatable("variables")
        names[tensor.name] = keep(value.numpy())

    lines = []
    for op in _needed(graph):
        if op.type == "Placeholder":
            continue
        node = Node(op, [names[x.name] for x in op.inputs], constants, keep)
        if op.type not in OPERATIONS:
            raise NotTranslatable(f"the operation {op.type}")
        code = _entry(node, parts) or OPERATIONS[op.type](node)
        first, *others = (x.name for x in op.outputs)
        if others:
            outputs = [f"t{len(names) + i}" for i in range(len(op.outputs))]
            names.update(zip([first, *others], outputs, strict=True))
            lines.append(f"{', '.join(outputs)} = {code}")
        elif code.isidentifier():  # an input under another name, or a constant
            names[first] = code
        elif all(name in constants for name in node.inputs):
            with np.errstate(all="ignore"):
                names[first] = keep(eval(code, constants))
        else:
            names[first] = f"t{len(names)}"
            lines.append(f"{names[first]} = {code}")
            if op.type in _FRESH:
                fresh.add(names[first])
            if op.type == "Pack" and node.rank == 1:
                parts[names[first]] = node.inputs
    # What is returned is no view of a constant, an argument or another result.
    returned = []
    for x in graph.outputs:
        name = names[x.name]
        returned.append(name if name in fresh or not x.shape.rank else f"{name}.copy()")
        fresh.discard(name)
    lines.append(f"return ({', '.join(returned)},)")
    body = "\n        ".join(["with np.errstate(all='ignore'):", *(f"    {x}" for x in lines)])
    arguments = ", ".join(f"a{i}" for i in range(len(own)))
    exec(f"def call({arguments}):\n        {body}", constants)
    return constants["call"]


def _entry(node: Node, parts: Mapping[str, Sequence[str]]) -> str | None:
    """The name of the entry that a node takes out of a vector, if it was put together of entries.

    Environments stack a state for its observation and take it apart again.
    """
    if node.op.type != "StridedSlice" or node.rank or node.inputs[0] not in parts:
        return None
    shrunk = int(node.attribute("shrink_axis_mask"))
    (index,) = (x for i, x in enumerate(node.axes(1)) if shrunk >> i & 1)
    return parts[node.inputs[0]][index]


def _needed(graph: Any) -> list[tf.Operation]:
    """The operations that the outputs of a graph depend on, in order.

    Raises:
        NotTranslatable: If one has an effect besides its outputs, or outputs of unknown shapes.
    """
    operations = graph.get_operations()
    for op in operations:
        if op.op_def.is_stateful:
            raise NotTranslatable(f"the operation {op.type}")
    needed = {x.op.name for x in graph.outputs}
    for op in reversed(operations):
        if op.name in needed:
            needed.update(x.op.name for x in op.inputs)
    kept = [op for op in operations if op.name in needed]
    for op in kept:
        if any(not x.shape.is_fully_defined() for x in op.outputs):
            raise NotTranslatable("shapes that are not fixed")
    return kept
