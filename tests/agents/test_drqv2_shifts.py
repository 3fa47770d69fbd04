"""Shifts of pictures: what they do, their law, and that the law commutes with the group."""

import numpy as np
import tensorflow as tf

from tf_equirl.agents.drqv2.shifts import drawn_shifts, shifted


def pictures(rng, members=2, rows=3, side=5):
    return rng.standard_normal([members, rows, side, side, 2]).astype(np.float32)


def test_shifts_are_windows_of_pictures_padded_by_their_edges():
    rng = np.random.default_rng(0)
    x, most = pictures(rng), 2
    shifts = rng.integers(-most, most + 1, [2, 3, 2]).astype(np.int32)
    found = shifted(tf.constant(x), tf.constant(shifts)).numpy()
    padded = np.pad(x, [(0, 0), (0, 0), (most, most), (most, most), (0, 0)], mode="edge")
    for member in range(2):
        for row in range(3):
            down, right = most + shifts[member, row]
            expected = padded[member, row, down : down + 5, right : right + 5]
            np.testing.assert_array_equal(found[member, row], expected)
    none = shifted(tf.constant(x), tf.zeros([2, 3, 2], tf.int32))
    np.testing.assert_array_equal(none, x)


def test_a_flip_of_a_shifted_picture_is_the_flipped_one_shifted_the_other_way():
    rng = np.random.default_rng(1)
    x = pictures(rng)
    shifts = rng.integers(-3, 4, [2, 3, 2]).astype(np.int32)
    for axis, coordinate in ((2, 0), (3, 1)):
        mirrored = shifts.copy()
        mirrored[..., coordinate] *= -1
        one = shifted(tf.constant(np.flip(x, axis).copy()), tf.constant(mirrored))
        np.testing.assert_array_equal(one, np.flip(shifted(x, tf.constant(shifts)), axis))


def test_all_shifts_are_as_likely_as_their_mirror_images():
    """Exactly: the numbers that give a shift of k are as many as those that give -k."""
    step = 2**-16
    uniforms = tf.constant(np.arange(0, 1, step, dtype=np.float32) + np.float32(step / 2))
    for most in (1, 2, 4):
        values, counts = np.unique(drawn_shifts(uniforms, most), return_counts=True)
        np.testing.assert_array_equal(values, np.arange(-most, most + 1))
        np.testing.assert_allclose(counts, counts[::-1], atol=1)
        assert counts.max() - counts.min() <= 1
    last = tf.constant(np.nextafter(np.float32(1), np.float32(0)))
    assert drawn_shifts(last, 4) == 4 and drawn_shifts(tf.constant(0.0), 4) == -4
