"""The replay buffer as a data structure; what Dyna puts into it stands in test_dyna_learner."""

from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from tf_equirl.training.replay import (
    HELD_OUT,
    any_rows,
    append,
    empty_buffer,
    held_out_rows,
    take,
    training_rows,
)

MEMBERS, COUNT = 3, 4


class State(NamedTuple):
    level: tf.Tensor
    steps: tf.Tensor


class Row(NamedTuple):
    state: State
    action: tf.Tensor
    next_state: State


def states(numbers):
    level = tf.cast(tf.stack([numbers] * 3, axis=-1), tf.float32)
    return Row(
        State(level, numbers), numbers % 3, State(level + 0.5, tf.cast(numbers + 1, tf.int32))
    )


def nested(numbers):
    """Rewards, discounts, pictures: dicts, tuples and lists of several types and shapes."""
    scalar = tf.cast(numbers, tf.float32)
    return {
        "observation": {
            "picture": tf.cast(numbers[..., None, None] % 256, tf.uint8) + np.ones([2, 5], np.uint8)
        },
        "reward": scalar / 8,
        "discount": tf.cast(scalar, tf.float64) * 0.5,
        "ended": (numbers % 2 == 0, [numbers, tf.cast(numbers, tf.int64)]),
    }


def alone(numbers):
    return tf.cast(numbers, tf.float32)


KINDS = {"named tuples": states, "dicts, tuples and lists": nested, "one tensor": alone}


def rows(update, kind=states):
    """Rows that say member, update and place in it."""
    numbers = 1000 * np.arange(MEMBERS)[:, None] + 10 * update + np.arange(COUNT)
    return kind(tf.constant(numbers, tf.int32))


def empty(capacity, kind=states):
    one_of_each = tf.nest.map_structure(lambda x: x[:, 0], rows(0, kind))
    return empty_buffer(one_of_each, capacity)


def assert_equal(a, b):
    tf.nest.assert_same_structure(a, b)
    for x, y in zip(tf.nest.flatten(a), tf.nest.flatten(b), strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_full_buffer_holds_the_newest_updates_of_every_member(kind):
    buffer = empty(3 * COUNT, kind)
    for variable, row in zip(tf.nest.flatten(buffer), tf.nest.flatten(rows(0, kind)), strict=True):
        assert isinstance(variable, tf.Variable) and not variable.trainable
        assert variable.shape == (MEMBERS, 12, *row.shape[2:]) and variable.dtype == row.dtype
        assert not np.any(variable)
    for update in range(8):
        append(buffer, rows(update, kind), update)
        newest = range(max(0, update - 2), update + 1)
        # Update u stands at place u mod 3: the newest has replaced the oldest.
        expected = [rows(u, kind) for u in sorted(newest, key=lambda u: u % 3)]
        expected = tf.nest.map_structure(lambda *x: tf.concat(x, axis=1), *expected)
        count = len(newest) * COUNT
        held = tf.nest.map_structure(lambda x, count=count: x[:, :count], buffer)
        assert_equal(held, expected)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("compiled", [False, True])
def test_members_take_their_own_rows(kind, compiled):
    buffer = empty(2 * COUNT, kind)
    for update in range(3):  # the last one in the place of the first
        append(buffer, rows(update, kind), update)
    numbers = tf.constant([[3, 0, 5], [1, 1, 4], [2, 3, 7]])
    taking = tf.function(lambda n: take(buffer, n), jit_compile=True) if compiled else None
    taken = (taking or (lambda n: take(buffer, n)))(numbers)
    # Rows 0 to 3 are those of update 2, rows 4 to 7 those of update 1.
    held = np.array([20, 21, 22, 23, 10, 11, 12, 13])
    expected = kind(tf.constant(1000 * np.arange(MEMBERS)[:, None] + held[numbers], tf.int32))
    assert_equal(taken, expected)


def test_rows_of_another_structure_are_refused():
    buffer = empty(2 * COUNT, nested)
    with pytest.raises(ValueError):
        append(buffer, rows(0, states), 0)


# The least there is, one that is no multiple of ten, and one of more rows than are measured.
@pytest.mark.parametrize("filled", [10, 64, 200, 8000])
def test_the_model_is_fitted_to_all_rows_but_those_that_it_is_measured_on(filled):
    every = tf.constant(np.linspace(0, 1, 20 * filled, endpoint=False), tf.float32)
    whole = filled // HELD_OUT * HELD_OUT
    trained, counts = np.unique(training_rows(every, tf.constant(filled)), return_counts=True)
    last = np.arange(filled) % HELD_OUT == HELD_OUT - 1
    np.testing.assert_array_equal(trained, np.flatnonzero(~last[:whole]))
    assert np.ptp(counts) <= 2  # uniformly, but for rounding
    measured = held_out_rows(tf.constant(filled)).numpy()
    assert measured.shape == (512,)
    assert set(measured) <= set(np.flatnonzero(last))
    if filled <= 5000:
        assert set(measured) == set(np.flatnonzero(last))
    else:  # spread over all of the buffer
        gaps = np.diff([0, *measured, filled])
        assert gaps.min() >= 1 and gaps.max() <= 2 * filled / 512 + HELD_OUT
    np.testing.assert_array_equal(np.unique(any_rows(every, tf.constant(filled))), range(filled))


def test_the_largest_number_below_one_is_no_row_too_far():
    below = tf.constant([np.nextafter(np.float32(1), np.float32(0))])
    filled = 1_000_003  # times that number rounds up
    assert int(any_rows(below, tf.constant(filled))[0]) == filled - 1
    assert int(training_rows(below, tf.constant(filled))[0]) == 999_998
