from __future__ import annotations

import numpy as np
import pytest
from layer_cases import GROUPS, skew

from tf_equirl.groups import regular_representation
from tf_equirl.layers import GroupDense, TransitionImages


@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS.keys())
def test_row_i_is_turned_by_element_i(group):
    rho = skew(group)
    features = np.random.default_rng(0).normal(size=(5, group.order, rho.dim)).astype("float32")
    expected = np.einsum("gde,bge->bgd", rho.matrices, features)
    np.testing.assert_allclose(TransitionImages(rho)(features), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS.keys())
def test_rows_are_permuted_and_each_is_moved(group):
    """`images(f(g x))[i] = rho(g) images(f(x))[g^-1 i]`, behind a group convolution f."""
    rho = skew(group)
    convolution, images = GroupDense(rho.dim, group), TransitionImages(rho)
    features = np.random.default_rng(0).normal(size=(group.order, 3)).astype("float32")
    expected = images(convolution(features)).numpy()
    for element, permute in enumerate(regular_representation(group).matrices.astype("float32")):
        received = images(convolution(permute @ features))
        moved = expected[group.table[group.inverse(element)]] @ rho.matrices[element].T
        np.testing.assert_allclose(received, moved, rtol=1e-4, atol=1e-4)


def test_wrong_arguments_and_shapes():
    rho = skew(GROUPS["S3"])
    with pytest.raises(ValueError, match="`representation` must be a Representation"):
        TransitionImages("S3")
    layer = TransitionImages(rho)
    for shape in [(None, 5, 6), (None, 6, 5), (6,)]:
        with pytest.raises(ValueError, match=r"must have shape \[\.\.\., 6, 6\].*input_shape="):
            layer.build(shape)
    layer.build((None, 6, 6))
    # A row for all elements would broadcast.
    with pytest.raises(ValueError, match="incompatible"):
        layer(np.zeros((2, 1, 6), "float32"))
