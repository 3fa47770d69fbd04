from __future__ import annotations

import math

import numpy as np
import pytest

from tf_equirl.groups import (
    cyclic_group,
    dihedral_group,
    direct_product,
    quaternion_group,
    symmetric_group,
)


def commutative(group):
    return np.array_equal(group.table, group.table.T)


def number_of_involutions(group):
    return sum(group.multiply(g, g) == 0 for g in group.elements) - 1


@pytest.mark.parametrize("n", [1, 2, 3, 8])
def test_cyclic_group(n):
    group = cyclic_group(n)
    assert (group.order, group.name) == (n, f"C{n}")
    power = 0
    for k in range(n):
        assert power == k
        power = group.multiply(power, 1 % n)
    assert power == 0
    np.testing.assert_array_equal(group.permutations[n - 1], (np.arange(n) - 1) % n)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7])
def test_dihedral_group(n):
    group = dihedral_group(n)
    assert (group.order, group.name) == (2 * n, f"D{n}")
    r, s = 1 % n, n
    assert group.multiply(s, s) == 0
    assert group.multiply(group.multiply(s, r), s) == group.inverse(r)
    assert commutative(group) == (n <= 2)
    for k in range(n):
        assert group.multiply(k, s) == n + k
    np.testing.assert_array_equal(group.permutations[n], -np.arange(n) % n)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_symmetric_group(n):
    group = symmetric_group(n)
    assert (group.order, group.name) == (math.factorial(n), f"S{n}")
    assert group.permutations.tolist() == sorted(group.permutations.tolist())
    assert len({tuple(p) for p in group.permutations}) == group.order
    i, j = group.order // 3, group.order - 1
    product = group.permutations[group.multiply(i, j)]
    np.testing.assert_array_equal(product, group.permutations[i][group.permutations[j]])


def test_quaternion_group():
    group = quaternion_group()
    i, j = 1, 2
    k = group.multiply(i, j)
    minus_one = group.multiply(i, i)
    assert minus_one != 0
    assert group.multiply(j, j) == group.multiply(k, k) == minus_one
    assert group.multiply(k, k) == group.multiply(group.multiply(i, j), k) == minus_one
    assert group.order == 8 and number_of_involutions(group) == 1 and not commutative(group)
    np.testing.assert_array_equal(group.matrices[minus_one], -np.eye(4))


def test_direct_product_multiplies_componentwise():
    a, b = symmetric_group(3), cyclic_group(4)
    product = direct_product(a, b)
    assert (product.order, product.name) == (24, "S3xC4")
    for x in product.elements:
        for y in product.elements:
            first, second = a.multiply(x // 4, y // 4), b.multiply(x % 4, y % 4)
            assert product.multiply(x, y) == first * 4 + second


def test_direct_product_of_c2_and_c3_is_cyclic():
    product = direct_product(cyclic_group(2), cyclic_group(3))
    g = 1 * 3 + 1
    powers = [0]
    while (power := product.multiply(powers[-1], g)) != 0:
        powers.append(power)
    assert sorted(powers) == list(range(6))


@pytest.mark.parametrize("family", [cyclic_group, dihedral_group, symmetric_group])
@pytest.mark.parametrize("n", [0, -1, 2.0, "3", None])
def test_n_must_be_a_positive_integer(family, n):
    with pytest.raises(ValueError, match="`n` must be a positive integer. Received: n="):
        family(n)


@pytest.mark.parametrize(
    ("family", "n"),
    [(cyclic_group, 10_001), (dihedral_group, 5_001), (symmetric_group, 8), (symmetric_group, 999)],
)
def test_too_large(family, n):
    with pytest.raises(ValueError, match=f"too large.*10000. Received: n={n}$"):
        family(n)


def test_direct_product_refuses():
    with pytest.raises(ValueError, match="`b` must be a FiniteGroup. Received: b=3"):
        direct_product(cyclic_group(2), 3)
    with pytest.raises(ValueError, match="too large.*=10200$"):
        direct_product(cyclic_group(102), cyclic_group(100))
