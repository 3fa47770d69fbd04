"""TensorFlow's operations as NumPy expressions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tf_equirl.envs.adapters.numpy_node import Node, NotTranslatable

Translation = Callable[[Node], str]

# Ufuncs of the same name, in lower case, and those that NumPy calls arc....
_SAME_NAMES = (
    "Cos Sin Tan Cosh Sinh Tanh Exp Expm1 Log Log1p Sqrt Floor Ceil Rint Sign IsNan IsInf IsFinite"
)
_ARC_NAMES = "cos sin tan cosh sinh tanh"
_TEMPLATES = {
    "Abs": "abs({0})",
    "Add": "{0} + {1}",
    "AddV2": "{0} + {1}",
    "BiasAdd": "{0} + {1}",
    "Sub": "{0} - {1}",
    "Mul": "{0} * {1}",
    "RealDiv": "{0} / {1}",
    "FloorMod": "{0} % {1}",
    "Neg": "-{0}",
    "Square": "{0} * {0}",
    "SquaredDifference": "({0} - {1}) * ({0} - {1})",
    "Pow": "{0} ** {1}",
    "Equal": "{0} == {1}",
    "NotEqual": "{0} != {1}",
    "Less": "{0} < {1}",
    "LessEqual": "{0} <= {1}",
    "Greater": "{0} > {1}",
    "GreaterEqual": "{0} >= {1}",
    "LogicalAnd": "{0} & {1}",
    "LogicalOr": "{0} | {1}",
    "BitwiseAnd": "{0} & {1}",
    "BitwiseOr": "{0} | {1}",
    "BitwiseXor": "{0} ^ {1}",
    "Invert": "~{0}",
    "Sigmoid": "{type}(1) / ({type}(1) + np.exp(-{0}))",
    "Relu": "np.maximum({0}, {type}(0))",
    "Rsqrt": "{type}(1) / np.sqrt({0})",
    "Reciprocal": "{type}(1) / {0}",
    "Atan2": "np.arctan2({0}, {1})",
    "Round": "np.rint({0})",
    "ZerosLike": "np.zeros_like({0})[()]",
    "OnesLike": "np.ones_like({0})[()]",
    "Range": "np.arange({0}, {1}, {2}, dtype={type})",
}


def _elementwise(template: str) -> Translation:
    """NumPy's operators and ufuncs make scalars of scalars, as they come, and broadcast."""
    return lambda node: template.format(*node.inputs, type=node.type)


def _structural(code: Translation) -> Translation:
    """What may make an array without dimensions, which is to be a scalar, too."""

    def scalar(node: Node) -> str:
        made = code(node)
        return made if node.rank or made.isidentifier() else f"({made})[()]"

    return scalar


def _floor_division(node: Node) -> str:
    """Of real numbers the floor of the rounded quotient, which NumPy's // is not."""
    x, y = node.inputs
    return f"np.floor({x} / {y})" if node.op.outputs[0].dtype.is_floating else f"{x} // {y}"


def _alias(node: Node) -> str:
    return node.inputs[0]


def _constant(node: Node) -> str:
    return node.keep(tf.make_ndarray(node.attribute("value")))


def _cast(node: Node) -> str:
    if node.op.inputs[0].dtype == node.op.outputs[0].dtype:
        return node.inputs[0]
    return f"{node.inputs[0]}.astype({node.type})"


def _reshape(node: Node) -> str:
    if node.shape == node.shapes[0]:
        return node.inputs[0]
    return f"{node.inputs[0]}.reshape({node.shape})"


def _extremum(function: str, sign: str) -> Translation:
    """Of two integers Python finds it sooner; of real numbers NaN is one."""

    def code(node: Node) -> str:
        x, y = node.inputs
        if node.shapes == [(), ()] and node.op.outputs[0].dtype.is_integer:
            return f"({x} if {x} {sign} {y} else {y})"
        return f"np.{function}({x}, {y})"

    return code


def _select(node: Node) -> str:
    condition, chosen, otherwise = node.inputs
    if node.shapes == [(), node.shape, node.shape]:
        return f"({chosen} if {condition} else {otherwise})"
    return f"np.where({condition}, {chosen}, {otherwise})"


def _where_nonzero(template: str) -> Translation:
    """`multiply_no_nan`, `divide_no_nan`: 0 where the second number is."""

    def code(node: Node) -> str:
        x, y = node.inputs
        zero, result = f"{node.type}(0)", template.format(x, y)
        if node.is_constant(1) and np.all(node.constant(1)):
            return result
        if node.rank == 0:
            return f"({result} if {y} else {zero})"
        return f"np.where({y} == 0, {zero}, {result})"

    return code


def _strided_slice(node: Node) -> str:
    """`x[...]` with its masks, bit i of which is about the i-th entry."""
    begin, end, strides = (node.axes(i) for i in (1, 2, 3))

    def has(mask: str, i: int) -> bool:
        return bool(node.attribute(f"{mask}_mask") >> i & 1)

    entries: list[str] = []
    taken = sum(not has("new_axis", i) and not has("ellipsis", i) for i in range(len(begin)))
    for i, (first, last, stride) in enumerate(zip(begin, end, strides, strict=True)):
        if has("ellipsis", i):
            entries += [":"] * (len(node.shapes[0]) - taken)
        elif has("new_axis", i):
            entries.append("None")
        elif has("shrink_axis", i):
            entries.append(str(first))
        else:
            start = "" if has("begin", i) else first
            entries.append(f"{start}:{'' if has('end', i) else last}:{stride}")
    return f"{node.inputs[0]}[{', '.join(entries)}]" if entries else node.inputs[0]


def _reduction(ufunc: str) -> Translation:
    def code(node: Node) -> str:
        keep = node.attribute("keep_dims")
        return f"np.{ufunc}.reduce({node.inputs[0]}, {node.axes(1)}, {node.type}, None, {keep})"

    return _structural(code)


def _mean(node: Node) -> str:
    if not node.op.outputs[0].dtype.is_floating:
        raise NotTranslatable("Mean of integers")
    keep = node.attribute("keep_dims")
    return f"np.mean({node.inputs[0]}, {node.axes(1)}, keepdims={keep})"


def _argument(function: str) -> Translation:
    return lambda node: (
        f"np.{function}({node.inputs[0]}, {int(node.constant(1))}).astype({node.type})"
    )


def _one_hot(node: Node) -> str:
    indices, _, on, off = node.inputs
    node.attribute("axis", -1, len(node.shapes[0]))
    depth = int(node.constant(1))
    if node.shapes[0] == () and node.is_constant(3):
        row = node.keep(np.full(depth, node.constant(3)))
        return f"{node.keep(_with_entry)}({row}, {indices}, {on})"
    return f"np.where({indices}[..., None] == {node.keep(np.arange(depth))}, {on}, {off})"


def _with_entry(row: Any, index: Any, value: Any) -> Any:
    row = row.copy()
    if 0 <= index < len(row):
        row[index] = value
    return row


def _pack(node: Node) -> str:
    parts = ", ".join(node.inputs)
    if node.rank == 1:
        return f"np.array([{parts}])"
    return f"np.stack([{parts}], {node.attribute('axis')})"


def _unpack(node: Node) -> str:
    """Of one axis into as many outputs; iterating over a vector gives scalars."""
    if len(node.op.outputs) == 1:
        return f"{node.inputs[0]}.reshape({node.shape})[()]"
    axis = node.attribute("axis")
    return node.inputs[0] if node.rank == 0 else f"np.moveaxis({node.inputs[0]}, {axis}, 0)"


def _running_sum(node: Node) -> str:
    node.attribute("exclusive", False)
    node.attribute("reverse", False)
    return f"np.cumsum({node.inputs[0]}, {int(node.constant(1))}, {node.type})"


def _concatenate(node: Node) -> str:
    return f"np.concatenate([{', '.join(node.inputs[:-1])}], {int(node.constant(-1))})"


def _split(value: int, axis: int) -> Translation:
    """Into the sizes of the outputs."""

    def code(node: Node) -> str:
        x, along = node.inputs[value], int(node.constant(axis))
        if len(node.op.outputs) == 1:
            return x
        sizes = [x.shape.as_list()[along] for x in node.op.outputs]
        return f"np.split({x}, {np.cumsum(sizes)[:-1].tolist()}, {along})"

    return code


def _gather(node: Node) -> str:
    node.attribute("batch_dims", 0)
    axis = int(node.constant(2)) % len(node.shapes[0])
    size = node.shapes[0][axis]
    return f"np.take({node.inputs[0]}, {_in_range(node, node.inputs[1], size)}, {axis})"


def _gather_nd(node: Node) -> str:
    return f"{node.inputs[0]}[{_columns(node)}]"


def _columns(node: Node) -> str:
    """The index that the last axis of the second input is, for NumPy."""
    return "".join(
        f"{_in_range(node, f'{node.inputs[1]}[..., {i}]', node.shapes[0][i])},"
        for i in range(node.shapes[1][-1])
    )


def _in_range(node: Node, indices: str, size: int) -> str:
    """Indices that are counted from the front only, as TensorFlow does."""
    return f"{node.keep(_checked)}({indices}, {size})"


def _scatter(node: Node) -> str:
    x, _, updates = node.inputs
    return f"{node.keep(_written)}({x}, ({_columns(node)}), {updates})"


def _written(x: Any, indices: tuple[Any, ...], updates: Any) -> Any:
    x = x.copy()
    x[indices] = updates
    return x


def _checked(indices: Any, size: int) -> Any:
    if np.any(indices < 0) or np.any(indices >= size):
        raise IndexError(f"indices must be in 0 .. {size - 1}. Received: indices={indices!r}")
    return indices


def _product(first: str, second: str) -> Translation:
    """A matrix product; the attributes say whether a factor is transposed."""

    def code(node: Node) -> str:
        factors = [
            f"np.swapaxes({x}, -1, -2)" if node.attribute(name) else x
            for x, name in zip(node.inputs, (first, second), strict=True)
        ]
        return " @ ".join(factors)

    return code


def _einsum(node: Node) -> str:
    equation = node.attribute("equation").decode()
    return f"np.einsum({equation!r}, {', '.join(node.inputs)})"


def _function(template: str, *indices: int) -> Translation:
    """A call with constant inputs written out, `indices` of them."""
    return _structural(
        lambda node: template.format(*node.inputs, *(node.axes(index) for index in indices))
    )


OPERATIONS: dict[str, Translation] = {
    "Const": _constant,
    **dict.fromkeys(("Identity", "StopGradient", "PreventGradient", "Snapshot"), _alias),
    **{name: _elementwise(f"np.{name.lower()}({{0}})") for name in _SAME_NAMES.split()},
    **{f"A{name}": _elementwise(f"np.arc{name}({{0}})") for name in _ARC_NAMES.split()},
    **{name: _elementwise(template) for name, template in _TEMPLATES.items()},
    "AddN": lambda node: " + ".join(node.inputs),
    "FloorDiv": _floor_division,
    "LogicalNot": lambda node: (
        f"~{node.inputs[0]}" if node.rank else f"np.bool_(not {node.inputs[0]})"
    ),
    "Maximum": _extremum("maximum", ">"),
    "Minimum": _extremum("minimum", "<"),
    "MulNoNan": _where_nonzero("{0} * {1}"),
    "DivNoNan": _where_nonzero("{0} / {1}"),
    "Cast": _cast,
    "SelectV2": _select,
    **dict.fromkeys(("Reshape", "ExpandDims", "Squeeze"), _structural(_reshape)),
    "Shape": lambda node: node.keep(np.array(node.shapes[0], node.op.outputs[0].dtype.name)),
    "StridedSlice": _strided_slice,
    "Sum": _reduction("add"),
    "Prod": _reduction("multiply"),
    "Max": _reduction("maximum"),
    "Min": _reduction("minimum"),
    "All": _reduction("logical_and"),
    "Any": _reduction("logical_or"),
    "Mean": _structural(_mean),
    "ArgMax": _argument("argmax"),
    "ArgMin": _argument("argmin"),
    "Cumsum": _running_sum,
    "OneHot": _one_hot,
    "Pack": _pack,
    "Unpack": _unpack,
    "ConcatV2": _concatenate,
    "Split": _split(1, 0),
    "SplitV": _split(0, 2),
    "GatherV2": _structural(_gather),
    "GatherNd": _structural(_gather_nd),
    "TensorScatterUpdate": _scatter,
    "MatMul": _product("transpose_a", "transpose_b"),
    "BatchMatMulV2": _product("adj_x", "adj_y"),
    "Einsum": _structural(_einsum),
    "Transpose": _function("np.transpose({0}, {2})", 1),
    "Tile": _function("np.tile({0}, {2})", 1),
    "BroadcastTo": _function("np.broadcast_to({0}, {2})", 1),
    "Fill": _function("np.full({2}, {1})", 0),
    "ReverseV2": _function("np.flip({0}, {2})", 1),
    "Roll": _function("np.roll({0}, {3}, {4})", 1, 2),
}
