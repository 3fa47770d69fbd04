"""The replay buffer as a data structure; what a run puts into it stands in test_dyna_program."""

import numpy as np
import pytest
import tensorflow as tf
from dyna_cases import CupsState, assert_equal

from tf_equirl.training.replay import (
    HELD_OUT,
    ReplayBuffer,
    any_rows,
    append,
    empty_buffer,
    held_out_rows,
    take,
    training_rows,
)

MEMBERS, COUNT = 3, 4


def rows(update):
    """Rows that say member, update and place in it."""
    numbers = 1000 * np.arange(MEMBERS)[:, None] + 10 * update + np.arange(COUNT)
    numbers = tf.constant(numbers, tf.int32)
    level = tf.cast(tf.stack([numbers] * 3, axis=-1), tf.float32)
    state = CupsState(level, numbers)
    return ReplayBuffer(state, numbers % 3, state._replace(level=level + 0.5, steps=numbers + 1))


def empty(capacity):
    like = CupsState(tf.zeros([MEMBERS, 2, 3]), tf.zeros([MEMBERS, 2], tf.int32))
    return empty_buffer(like, capacity)


def test_a_full_buffer_holds_the_newest_updates_of_every_member():
    buffer = empty(3 * COUNT)
    assert buffer.state.level.shape == (MEMBERS, 12, 3) and buffer.action.dtype == tf.int32
    for update in range(8):
        append(buffer, rows(update), update)
        newest = range(max(0, update - 2), update + 1)
        expected = [rows(u) for u in sorted(newest, key=lambda u: u % 3)]
        expected = tf.nest.map_structure(lambda *x: tf.concat(x, axis=1), *expected)
        count = len(newest) * COUNT
        held = tf.nest.map_structure(lambda x, count=count: x[:, :count], buffer)
        assert_equal(held, expected)


def test_members_take_their_own_rows():
    buffer = empty(COUNT)
    append(buffer, rows(0), 0)
    taken = take(buffer, tf.constant([[3, 0], [1, 1], [2, 3]]))
    assert taken.state.steps.numpy().tolist() == [[3, 0], [1001, 1001], [2002, 2003]]
    assert taken.next_state.level.shape == (MEMBERS, 2, 3)
    numbers = taken.state.steps.numpy()
    np.testing.assert_array_equal(taken.next_state.level[..., 2], numbers + 0.5)
    np.testing.assert_array_equal(taken.action, numbers % 3)


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
