"""Functions of tensors computed by NumPy equal TensorFlow's."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tf_equirl.envs.adapters.numpy_function import numpy_function
from tf_equirl.envs.adapters.numpy_operations import OPERATIONS

SHAPES = [(), (3,), (2, 3)]
TABLE = tf.constant(np.random.default_rng(2).normal(size=[4, 3]), tf.float32)
PLACES = [[0, 2], [1, 0]]

UNARY = [
    *(tf.abs, tf.cos, tf.sin, tf.tan, tf.cosh, tf.sinh, tf.tanh, tf.exp, tf.math.expm1, tf.sqrt),
    *(tf.math.log, tf.math.log1p, tf.floor, tf.math.ceil, tf.round, tf.math.rint, tf.sign),
    *(tf.math.is_nan, tf.math.is_inf, tf.math.is_finite, tf.negative, tf.square, tf.sigmoid),
    *(tf.nn.relu, tf.math.rsqrt, tf.math.reciprocal, tf.acos, tf.asin, tf.atan, tf.math.acosh),
    *(tf.math.asinh, tf.math.atanh, tf.raw_ops.ZerosLike, tf.raw_ops.OnesLike, tf.stop_gradient),
    *(tf.raw_ops.PreventGradient, tf.raw_ops.Snapshot),
]
BINARY = [
    *(tf.add, tf.raw_ops.Add, tf.subtract, tf.multiply, tf.divide, tf.maximum, tf.minimum),
    *(tf.math.floordiv, tf.math.floormod, tf.equal, tf.not_equal, tf.less, tf.less_equal),
    *(tf.greater, tf.greater_equal, tf.math.squared_difference, tf.math.atan2, tf.pow),
    *(tf.math.multiply_no_nan, tf.math.divide_no_nan, lambda x, y: tf.where(x < y, x, 2 * y)),
    lambda x, y: tf.add_n([x, y, x]),
]
OF_INTEGERS = [
    *(tf.add, tf.subtract, tf.multiply, tf.math.floordiv, tf.math.floormod, tf.maximum),
    *(tf.bitwise.bitwise_and, tf.bitwise.bitwise_or, tf.bitwise.bitwise_xor),
    lambda x, y: tf.bitwise.invert(x) - y,
    lambda x, y: tf.cast(x, tf.int64) + tf.cast(y, tf.int64),
    lambda x, y: (x > y) & ~(x == 2) | (y < -3),
    lambda x, y: tf.one_hot(x, 4) + tf.one_hot(y, 4, 2.0, -1.0),
]
OF_A_VECTOR = [
    lambda x: tf.stack([x[2], x[0]]),
    lambda x: sum(tf.unstack(x)),
    lambda x: tf.unstack(x[:1])[0],
    lambda x: x[::-1][0],
    lambda x: tf.gather(x, tf.argmax(x)),
    lambda x: tf.gather_nd(x, [1]),
    lambda x: tf.tensor_scatter_nd_update(x, [[tf.argmin(x)]], [7.0]),
    lambda x: tf.einsum("i,i->", x, x),
    lambda x: tf.fill([2], x[1]),
    lambda x: tf.reshape(x[:1], []),
    lambda x: tf.squeeze(x[:1]),
    lambda x: tf.expand_dims(x[0], 0),
    lambda x: tf.reduce_mean(x),
]
OF_A_MATRIX = [
    lambda x: x[..., 1],
    lambda x: x[:, tf.newaxis, 1:],
    lambda x: x[1, ..., tf.newaxis],
    lambda x: x[-1, ::-2],
    lambda x: x[1, 2],
    lambda x: tf.stack([x, 2 * x], axis=-1),
    lambda x: tf.stack(tf.unstack(x, axis=-1), axis=0),
    lambda x: tf.concat([x, x[:, :1]], axis=1),
    lambda x: tf.split(x, 3, axis=1)[1],
    lambda x: tf.split(x, 1, axis=1)[0],
    lambda x: tf.split(x, [1, -1], axis=1)[1],
    lambda x: tf.gather(x, [2, 0], axis=1),
    lambda x: tf.gather_nd(x, PLACES[1:]),
    lambda x: tf.tensor_scatter_nd_update(x, PLACES, [7.0, 8.0]),
    lambda x: tf.matmul(TABLE, x, transpose_b=True),
    lambda x: tf.matmul(x, x, transpose_a=True),
    lambda x: tf.matmul(x[None], x[None], adjoint_a=True),
    lambda x: tf.nn.bias_add(x, TABLE[0]),
    lambda x: tf.einsum("ij,kj->ik", x, TABLE),
    lambda x: tf.transpose(x),
    lambda x: tf.tile(x, [2, 1]),
    lambda x: tf.broadcast_to(x[:1], [4, 3]),
    lambda x: tf.reverse(x, [1]),
    lambda x: tf.roll(x, [1, 2], [0, 1]),
    lambda x: tf.reshape(x, [3, -1]),
    lambda x: tf.reduce_sum(x, 1) + tf.reduce_prod(x, 1) + tf.reduce_min(x, 1),
    lambda x: tf.reduce_max(x, 0, keepdims=True),
    lambda x: tf.reduce_any(x > 0, 0) & tf.reduce_all(x < 1, 0),
    lambda x: tf.reduce_mean(x, 0),
    lambda x: tf.argmax(x, 1, tf.int32),
    lambda x: tf.raw_ops.Range(start=0, limit=3, delta=1) + tf.raw_ops.Shape(input=x)[1],
]
seen: set[str] = set()


def check(function, *arrays, rtol=0.0):
    """Calls it twice, since nothing may be changed by a call."""
    specs = [tf.TensorSpec(x.shape, x.dtype) for x in arrays]
    call, structure = numpy_function(function, *specs)
    assert call.__name__ == "call" and "c0" in call.__globals__ or call.__code__.co_filename
    graph = tf.function(function, autograph=False).get_concrete_function(*specs).graph
    seen.update(op.type for op in graph.get_operations())
    expected = function(*map(tf.constant, arrays))
    for _ in range(2):
        (received,) = call(*(x[()] for x in arrays))
        assert isinstance(received, np.ndarray if expected.shape.rank else np.generic)
        assert received.dtype == expected.dtype.as_numpy_dtype == structure.dtype.as_numpy_dtype
        assert received.shape == expected.shape
        np.testing.assert_allclose(received, expected.numpy(), rtol=rtol, atol=rtol)
        if received.shape:
            received[...] = 0  # it is the caller's own


def translated(function, *specs):
    """Whether NumPy computes it."""
    return numpy_function(function, *specs)[0].__code__.co_filename == "<string>"


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_functions_of_real_numbers(shape, dtype):
    """Transcendental functions may differ in the last bits, which is all that `rtol` allows."""
    rng = np.random.default_rng(0)
    for function in UNARY:
        check(function, rng.normal(size=shape).astype(dtype) * 2, rtol=4 * np.finfo(dtype).eps)
    special = np.resize([np.inf, np.nan, -np.inf], shape).astype(dtype)
    for function in BINARY:
        x, y = (np.asarray(rng.normal(size=shape) * 3).astype(dtype) for _ in range(2))
        check(function, x, y, rtol=4 * np.finfo(dtype).eps)
        check(function, np.round(x) / 2, np.round(y) / 2, rtol=4 * np.finfo(dtype).eps)
        check(function, special, np.zeros(shape, dtype))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_functions_of_integers(shape):
    """The second number is never 0, by which integers cannot be divided."""
    rng = np.random.default_rng(1)
    for function in OF_INTEGERS:
        for _ in range(5):
            x, y = (np.asarray(rng.integers(-5, 5, shape), np.int32) for _ in range(2))
            check(function, x, np.where(y == 0, 3, y).astype(np.int32))


def test_functions_of_vectors_and_matrices():
    """Sums of a few numbers may be made in another order."""
    rng = np.random.default_rng(1)
    for function in OF_A_VECTOR:
        check(function, rng.normal(size=3).astype("float32"), rtol=1e-6)
    for function in OF_A_MATRIX:
        check(function, rng.normal(size=[2, 3]).astype("float32"), rtol=1e-6)


def test_every_operation_of_the_table_is_tested():
    """The last test that adds to `seen`."""
    if len(seen) < 5:
        pytest.skip("needs the tests above")
    assert set(OPERATIONS) <= seen
