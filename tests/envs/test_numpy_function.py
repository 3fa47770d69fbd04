"""Functions of tensors computed by NumPy equal TensorFlow's."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import tensorflow as tf

from tf_equirl import envs
from tf_equirl.envs.adapters.numpy_function import numpy_function
from tf_equirl.envs.adapters.numpy_operations import OPERATIONS

SHAPES = [(), (3,), (2, 3)]
TABLE = tf.constant(np.random.default_rng(2).normal(size=[4, 3]), tf.float32)
PLACES = [[0, 2], [1, 0]]


def raw(name):
    """An operation that takes keywords only."""
    operation = getattr(tf.raw_ops, name)
    keys = list(inspect.signature(operation).parameters)
    return lambda *tensors: operation(**dict(zip(keys, tensors, strict=False)))


UNARY = [
    *(tf.abs, tf.cos, tf.sin, tf.tan, tf.cosh, tf.sinh, tf.tanh, tf.exp, tf.math.expm1, tf.sqrt),
    *(tf.math.log, tf.math.log1p, tf.floor, tf.math.ceil, tf.round, tf.math.rint, tf.sign),
    *(tf.math.is_nan, tf.math.is_inf, tf.math.is_finite, tf.negative, tf.square, tf.sigmoid),
    *(tf.nn.relu, tf.math.rsqrt, tf.math.reciprocal, tf.acos, tf.asin, tf.atan, tf.math.acosh),
    *(tf.math.asinh, tf.math.atanh, raw("ZerosLike"), raw("OnesLike"), tf.stop_gradient),
    *(raw("PreventGradient"), raw("Snapshot"), tf.identity),
]
BINARY = [
    *(tf.add, raw("Add"), tf.subtract, tf.multiply, tf.divide, tf.maximum, tf.minimum),
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
    lambda x: tf.cumsum(x),
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
    lambda x: tf.cumsum(tf.cast(x > 0, tf.int32), axis=1),
    lambda x: tf.cumsum(x, axis=0),
    lambda x: tf.reshape(x, [3, -1]),
    lambda x: tf.reduce_sum(x, 1) + tf.reduce_prod(x, 1) + tf.reduce_min(x, 1),
    lambda x: tf.reduce_max(x, 0, keepdims=True),
    lambda x: tf.reduce_any(x > 0, 0) & tf.reduce_all(x < 1, 0),
    lambda x: tf.reduce_mean(x, 0),
    lambda x: tf.argmax(x, 1, tf.int32),
    lambda x: tf.raw_ops.Range(start=0, limit=3, delta=1) + tf.raw_ops.Shape(input=x)[1],
]
seen: set[str] = set()


def is_translated(call):
    """Whether NumPy computes it."""
    return call.__code__.co_filename == "<string>"


def check(function, *cases, rtol=0.0):
    """Compares with TensorFlow for several arguments; twice, as a call may change nothing."""

    def traced(*tensors):
        result = function(*tensors)
        seen.update(op.type for op in result.graph.get_operations())
        return result

    call, structure = numpy_function(traced, *(tf.TensorSpec(x.shape, x.dtype) for x in cases[0]))
    assert is_translated(call)
    for arrays in [*cases, cases[0]]:
        expected = function(*map(tf.constant, arrays))
        (received,) = call(*(x[()] for x in arrays))
        assert isinstance(received, np.ndarray if expected.shape.rank else np.generic)
        assert received.dtype == expected.dtype.as_numpy_dtype == structure.dtype.as_numpy_dtype
        assert received.shape == expected.shape
        np.testing.assert_allclose(received, expected.numpy(), rtol=rtol, atol=rtol)
        if received.shape:
            received[...] = 0  # it is the caller's own


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_functions_of_real_numbers(shape, dtype):
    """Transcendental functions may differ in the last bits, which is all that `rtol` allows."""
    rng = np.random.default_rng(0)
    special, zeros = np.resize([np.inf, np.nan, -np.inf], shape), np.zeros(shape)
    x, y = np.asarray(rng.normal(size=shape) * 3), np.asarray(rng.normal(size=shape) * 3)
    halves, tenths = (np.round(x) / 2, np.round(y) / 2), (np.round(x) + 1, np.full(shape, 0.1))

    def typed(*cases):
        return [tuple(np.asarray(x, dtype) for x in case) for case in cases]

    for function in UNARY:
        check(function, *typed((special,), (zeros,), (x,)), rtol=4 * np.finfo(dtype).eps)
    for function in BINARY:
        check(
            function, *typed((special, zeros), (x, y), halves, tenths), rtol=4 * np.finfo(dtype).eps
        )


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_functions_of_integers(shape):
    """The second number is never 0, by which integers cannot be divided."""
    rng = np.random.default_rng(1)
    x, y = rng.integers(-5, 5, [2, 6, *shape]).astype(np.int32)
    y[y == 0] = 3
    for function in OF_INTEGERS:
        check(function, *((np.asarray(a), np.asarray(b)) for a, b in zip(x, y, strict=True)))


def test_functions_of_vectors_and_matrices():
    """Sums of a few numbers may be made in another order."""
    rng = np.random.default_rng(1)
    for function in OF_A_VECTOR:
        check(function, [rng.normal(size=3).astype("float32")], rtol=1e-6)
    for function in OF_A_MATRIX:
        check(function, [rng.normal(size=[2, 3]).astype("float32")], rtol=1e-6)


def test_every_operation_of_the_table_is_tested():
    """The last test that adds to `seen`."""
    if len(seen) < 5:
        pytest.skip("needs the tests above")
    assert set(OPERATIONS) <= seen


@tf.function
def doubled(x):
    return 2 * x


def halved_until_small(x):
    return tf.while_loop(lambda x: tf.reduce_any(x > 1), lambda x: [x / 2], [x])[0]


VARIABLE = tf.Variable([1.0, 2.0, 3.0])
NOT_TRANSLATED = {
    "calls of functions": doubled,
    "loops": halved_until_small,
    "random numbers": lambda x: tf.random.stateless_uniform([3], [1, 2]) + x,
    "variables": lambda x: x + VARIABLE,
    "computed shapes": lambda x: tf.reduce_sum(tf.boolean_mask(x, x > 0), keepdims=True),
    "sums that run backwards": lambda x: tf.cumsum(x, reverse=True),
    "computed arguments": lambda x: tf.roll(x, tf.cast(x[0], tf.int32), 0),
    "types of few bits": lambda x: tf.cast(tf.cast(x, tf.float16) * 3, tf.float32),
}


@pytest.mark.parametrize("case", NOT_TRANSLATED)
def test_what_is_not_translated_is_executed_by_tensorflow(case):
    function = NOT_TRANSLATED[case]
    call, structure = numpy_function(function, tf.TensorSpec([3]))
    assert not is_translated(call)
    x = np.array([2.0, 5.0, -0.5], np.float32)
    (received,) = call(x)
    np.testing.assert_array_equal(received, function(tf.constant(x)))
    assert structure.shape in ([3], [1]) and structure.dtype == tf.float32


def test_a_changed_variable_is_seen():
    call, _ = numpy_function(NOT_TRANSLATED["variables"], tf.TensorSpec([3]))
    before = call(np.zeros(3, np.float32))[0]
    VARIABLE.assign_add([1.0, 1.0, 1.0])
    np.testing.assert_array_equal(call(np.zeros(3, np.float32))[0], before + 1)


def test_effects_are_kept():
    """A check within a function is an effect, too: NumPy would leave it out."""

    def checked(x):
        with tf.control_dependencies([tf.debugging.Assert(x > 0, [x])]):
            return x + 1.0

    call, _ = numpy_function(checked, tf.TensorSpec([]))
    assert call(np.float32(1))[0] == 2
    with pytest.raises(tf.errors.InvalidArgumentError):
        call(np.float32(-1))


def test_indices_out_of_range_are_refused():
    """NumPy would count negative ones from the end."""
    for function in (lambda i: tf.gather(TABLE, i), lambda i: tf.gather_nd(TABLE, i[None])):
        call, _ = numpy_function(function, tf.TensorSpec([], tf.int32))
        np.testing.assert_array_equal(call(np.int32(3))[0], TABLE[3])
        for wrong in (-1, 4):
            with pytest.raises(IndexError, match="0 .. 3. Received"):
                call(np.int32(wrong))


def test_results_are_the_callers_own():
    """No views of arguments, constants and each other."""
    call, structure = numpy_function(
        lambda x, y: {"x": x, "constant": TABLE, "twice": (y, y[0])}, *[tf.TensorSpec([2, 2])] * 2
    )
    arrays = [np.zeros([2, 2], np.float32), np.ones([2, 2], np.float32)]
    first = call(*arrays)
    for received in first:
        received += 5
    np.testing.assert_array_equal(arrays[0], 0)
    np.testing.assert_array_equal(arrays[1], 1)
    again = tf.nest.pack_sequence_as(structure, call(*arrays))
    np.testing.assert_array_equal(again["constant"], TABLE)
    np.testing.assert_array_equal(again["twice"][1], [1, 1])


def test_what_is_put_together_is_returned_as_it_is_and_once():
    def stacked(x, y):
        both = tf.stack([x, y, x + y])
        return both, tf.identity(both), both[..., 1], both[-1], both[0:1], tf.reshape(both, [3, 1])

    call, _ = numpy_function(stacked, *[tf.TensorSpec([])] * 2)
    numbers = np.float32(3), np.float32(4)
    for received, expected in zip(call(*numbers), stacked(*numbers), strict=True):
        np.testing.assert_array_equal(received, expected)
        assert isinstance(received, np.ndarray if expected.shape.rank else np.generic)
    arrays = [x for x in call(*numbers) if x.shape]
    for i, array in enumerate(arrays):
        array[...] = i
    assert [int(x.reshape(-1)[0]) for x in arrays] == [0, 1, 2, 3]


class Looping(envs.CartPole):
    """Of operations that NumPy is not taught."""

    def transition(self, state, action, uniforms):
        state, reward, over = super().transition(state, action, uniforms)
        _, reward = tf.while_loop(
            lambda i, r: i < 3, lambda i, r: (i + 1, r + 1.0), [tf.constant(0), reward]
        )
        return state, reward - 3.0, over


@pytest.mark.parametrize("batch", [None, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_environments_behave_alike_either_way(batch, dtype):
    """The same episodes by NumPy and by TensorFlow, whose graph optimiser may round otherwise."""
    steps = []
    for constructor in (envs.CartPole, Looping):
        env = constructor(dtype)
        adapter = envs.GymnasiumVectorEnv(env, batch) if batch else envs.GymnasiumEnv(env)
        assert is_translated(adapter._advance) == (constructor is envs.CartPole)
        observations = [adapter.reset(seed=1)[0]]
        for t in range(8):
            action = np.full(batch, t % 2) if batch else t % 2
            observations.append(np.hstack([np.ravel(x) for x in adapter.step(action)[:4]]))
        steps.append(np.hstack([x.ravel() for x in observations]))
    np.testing.assert_allclose(*steps, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", envs.names())
def test_environments_of_the_library_are_translated(name):
    for adapter in (envs.GymnasiumEnv(name), envs.GymnasiumVectorEnv(name, 2)):
        assert is_translated(adapter._start) and is_translated(adapter._advance)
