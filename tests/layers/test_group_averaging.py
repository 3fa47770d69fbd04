from __future__ import annotations

import numpy as np
import pytest
from layer_cases import GROUPS, skew

from tf_equirl.layers import GroupAveraging, TransitionImages


def test_is_the_mean_over_the_group():
    rows = np.random.default_rng(0).normal(size=(5, 4, 3)).astype("float32")
    np.testing.assert_allclose(GroupAveraging()(rows), rows.mean(axis=1), rtol=1e-5)


@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS.keys())
def test_of_equal_predictions_it_leaves_what_the_group_fixes(group):
    """Reynolds operator: of one vector in every pose only the fixed part is left."""
    rho = skew(group)
    vector = np.random.default_rng(0).normal(size=rho.dim).astype("float32")
    rows = np.broadcast_to(vector, (group.order, rho.dim))
    fixed = GroupAveraging()(TransitionImages(rho)(rows)).numpy()
    assert np.linalg.norm(fixed) > 1e-2
    np.testing.assert_allclose(rho.matrices @ fixed, np.tile(fixed, (group.order, 1)), atol=1e-5)


def test_input_needs_a_group_axis():
    with pytest.raises(ValueError, match=r"must have shape \[\.\.\., n, d\]. Received"):
        GroupAveraging().build((3,))
