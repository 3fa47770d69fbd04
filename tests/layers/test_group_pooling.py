from __future__ import annotations

import numpy as np
import pytest

from tf_equirl.layers import GroupPooling


@pytest.mark.parametrize("mode", ["mean", "max", "sum"])
def test_pools_each_channel_over_the_group(mode):
    inputs = np.random.default_rng(0).normal(size=(5, 4, 3)).astype("float32")
    expected = getattr(np, mode)(inputs, axis=1)
    np.testing.assert_allclose(np.array(GroupPooling(mode)(inputs)), expected, rtol=1e-5)


def test_mode_must_be_known():
    with pytest.raises(ValueError, match="`mode` must be one of mean, max, sum. Received"):
        GroupPooling("median")


def test_input_needs_a_group_axis():
    with pytest.raises(ValueError, match=r"must have shape \[\.\.\., n, channels\]"):
        GroupPooling().build((3,))
