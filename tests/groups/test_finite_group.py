from __future__ import annotations

import itertools
import json
import re

import numpy as np
import pytest

from tf_equirl.groups import (
    FiniteGroup,
    cyclic_group,
    dihedral_group,
    direct_product,
    quaternion_group,
    symmetric_group,
)

GROUPS = [
    pytest.param(group, id=group.name)
    for group in (
        cyclic_group(1),
        cyclic_group(2),
        cyclic_group(4),
        symmetric_group(3),
        dihedral_group(4),
        quaternion_group(),
        symmetric_group(4),
        direct_product(cyclic_group(2), cyclic_group(3)),
        direct_product(symmetric_group(3), cyclic_group(2)),
    )
]
# A Latin square with identity and inverses (every element is its own) that is not associative.
LOOP = [
    [0, 1, 2, 3, 4],
    [1, 0, 3, 4, 2],
    [2, 4, 0, 1, 3],
    [3, 2, 4, 0, 1],
    [4, 3, 1, 2, 0],
]


@pytest.mark.parametrize("group", GROUPS)
def test_axioms_hold_for_every_triple(group):
    for i, j, k in itertools.product(group.elements, repeat=3):
        left = group.multiply(group.multiply(i, j), k)
        assert left == group.multiply(i, group.multiply(j, k))
    for i in group.elements:
        assert group.multiply(0, i) == group.multiply(i, 0) == i
        assert group.multiply(i, group.inverse(i)) == group.multiply(group.inverse(i), i) == 0
        assert group.inverses[i] == group.inverse(i)


@pytest.mark.parametrize("group", GROUPS)
def test_generators_are_few_and_generate(group):
    assert 2 ** len(group.generators) <= group.order
    reached = {0}
    while True:
        larger = reached | {group.multiply(g, s) for g in reached for s in group.generators}
        if larger == reached:
            break
        reached = larger
    assert reached == set(group.elements)


@pytest.mark.parametrize("group", GROUPS)
def test_permutations_and_matrices_compose_like_the_elements(group):
    for i, j in itertools.product(group.elements, repeat=2):
        ij = group.multiply(i, j)
        if group.permutations is not None:
            composed = [group.permutations[i][k] for k in group.permutations[j]]
            np.testing.assert_array_equal(composed, group.permutations[ij])
        if group.matrices is not None:
            np.testing.assert_allclose(group.matrices[i] @ group.matrices[j], group.matrices[ij])


@pytest.mark.parametrize("group", GROUPS)
def test_config_round_trip_through_json(group):
    copy = FiniteGroup.from_config(json.loads(json.dumps(group.get_config())))
    assert copy == group
    assert hash(copy) == hash(group)
    assert copy.name == group.name
    for attribute in ("permutations", "matrices"):
        ours, theirs = getattr(group, attribute), getattr(copy, attribute)
        assert (ours is None) == (theirs is None)
        if ours is not None:
            np.testing.assert_array_equal(ours, theirs)


def test_from_config_validates_again():
    config = cyclic_group(3).get_config()
    config["table"][1][1] = 1
    with pytest.raises(ValueError):
        FiniteGroup.from_config(config)
    with pytest.raises(ValueError, match="'table'"):
        FiniteGroup.from_config({"name": "C3"})
    wrong_action = cyclic_group(3).get_config() | {"permutations": [[0, 1], [1, 0], [0, 1]]}
    with pytest.raises(ValueError, match=r"pair \(1, 2\) fails"):
        FiniteGroup.from_config(wrong_action)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([[0, 1], [1, 2]], r"not closed.*g_1 g_1.*multiplication_table\[1, 1\]=2$"),
        ([[0, 1], [1, -1]], r"not closed.*g_1 g_1.*multiplication_table\[1, 1\]=-1$"),
        ([[1, 0], [0, 1]], r"element 0 .*identity.*g_0 g_0 = g_1"),
        ([[0, 1, 2], [1, 2, 0], [1, 0, 1]], r"identity.*g_2 g_0 = g_1"),
        ([[0, 1, 2], [1, 1, 2], [2, 2, 0]], r"g_1 .*no inverse.*multiplication_table\[1\]="),
        # Right inverses alone do not count: g_1 g_2 = g_0 but g_2 g_1 = g_1.
        ([[0, 1, 2], [1, 2, 0], [2, 1, 1]], r"g_1 .*no inverse"),
        (LOOP, r"not associative: \(g_\d g_\d\) g_\d = g_\d but"),
        ([[0, 1, 2], [1, 2, 0]], r"square.*shape=\(2, 3\)$"),
        ([[0, 1], [1]], "rectangular"),
        ([0, 1], r"2 dimensions"),
        ([[]], "empty"),
        ([[0.0, 1.0], [1.0, 0.0]], r"integers.*dtype=float64$"),
    ],
)
def test_violated_axiom_is_named(table, message):
    with pytest.raises(ValueError, match=message):
        FiniteGroup(table)


def test_the_named_triple_is_not_associative():
    with pytest.raises(ValueError, match="not associative") as error:
        FiniteGroup(LOOP)
    x, a, y = (int(k) for k in re.findall(r"g_(\d)", str(error.value))[:3])
    assert LOOP[LOOP[x][a]][y] != LOOP[x][LOOP[a][y]]


def test_every_single_wrong_entry_is_refused():
    table = symmetric_group(3).table
    for i, j, wrong in itertools.product(range(6), repeat=3):
        if wrong != table[i, j]:
            changed = table.copy()
            changed[i, j] = wrong
            with pytest.raises(ValueError):
                FiniteGroup(changed)


@pytest.mark.parametrize("index", [-1, 3, 1.0, "1", None])
def test_index_out_of_range(index):
    group = cyclic_group(3)
    with pytest.raises(ValueError, match=r"from 0 to 2\. Received: i="):
        group.inverse(index)
    with pytest.raises(ValueError, match="Received: i="):
        group.multiply(index, 0)
    with pytest.raises(ValueError, match="Received: j="):
        group.multiply(0, index)


def test_arrays_are_read_only_copies():
    table = np.array([[0, 1], [1, 0]])
    group = FiniteGroup(table)
    table[1, 1] = 1
    assert group.multiply(1, 1) == 0
    for array in (group.table, group.inverses, cyclic_group(2).permutations):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_equality_is_by_table():
    assert cyclic_group(2) == FiniteGroup([[0, 1], [1, 0]], "another name")
    assert cyclic_group(4) != direct_product(cyclic_group(2), cyclic_group(2))
    assert cyclic_group(2) != "C2"


def test_from_permutations_closes_the_generators():
    group = FiniteGroup.from_permutations([[1, 2, 3, 0], [0, 3, 2, 1]], "square")
    assert (group.order, group.name) == (8, "square")
    assert len({tuple(p) for p in group.permutations}) == 8
    np.testing.assert_array_equal(group.permutations[0], range(4))
    np.testing.assert_array_equal(group.permutations[1], [1, 2, 3, 0])


def test_from_permutations_keeps_the_order_of_a_complete_list():
    expected = symmetric_group(4)
    group = FiniteGroup.from_permutations(expected.permutations)
    assert group == expected
    np.testing.assert_array_equal(group.permutations, expected.permutations)


def test_from_permutations_of_the_identity_is_trivial():
    assert FiniteGroup.from_permutations([[0, 1, 2]]).order == 1


@pytest.mark.parametrize(
    ("generators", "message"),
    [
        ([[0, 1, 2], [0, 0, 2]], r"permutation of range\(3\).*generators\[1\]=\[0, 0, 2\]"),
        ([[1, 2, 3]], r"generators\[0\]=\[1, 2, 3\]"),
        ([0, 1], "2 dimensions"),
        ([], "2 dimensions"),
        ([[0, 1], [0]], "rectangular"),
    ],
)
def test_from_permutations_refuses(generators, message):
    with pytest.raises(ValueError, match=message):
        FiniteGroup.from_permutations(generators)


def test_max_order_is_inclusive():
    rotation = [[1, 2, 3, 4, 0]]
    assert FiniteGroup.from_permutations(rotation, max_order=5).order == 5
    with pytest.raises(ValueError, match=r"max_order=4$"):
        FiniteGroup.from_permutations(rotation, max_order=4)


def rotation(angle):
    return [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]


def test_from_matrices_closes_the_generators():
    group = FiniteGroup.from_matrices([rotation(2 * np.pi / 3), [[1, 0], [0, -1]]], "triangle")
    assert (group.order, group.name) == (6, "triangle")
    assert sorted(orders(group)) == sorted(orders(symmetric_group(3)))
    np.testing.assert_array_equal(group.matrices[0], np.eye(2))


def orders(group):
    """The order of every element."""
    result = []
    for g in group.elements:
        power, count = g, 1
        while power:
            power, count = group.multiply(power, g), count + 1
        result.append(count)
    return result


def test_from_matrices_closes_a_large_and_a_single_precision_group():
    assert FiniteGroup.from_matrices([rotation(2 * np.pi / 500)]).order == 500
    single = np.array([rotation(2 * np.pi / 7)], dtype=np.float32)
    assert FiniteGroup.from_matrices(single).order == 7


def test_from_matrices_closes_a_group_that_is_not_orthogonal():
    change = np.array([[1.0, 0.7], [0.0, 0.5]])
    inverse = np.linalg.inv(change)
    generators = [change @ rotation(np.pi / 2) @ inverse, change @ np.diag([1, -1]) @ inverse]
    assert FiniteGroup.from_matrices(generators).order == 8


@pytest.mark.parametrize(
    ("generators", "message"),
    [
        ([[[1, 0], [0, 0]]], r"generator 0 is singular.*generators\[0\]=\[\[1.0, 0.0\]"),
        ([np.eye(2), 2 * np.eye(2)], r"generator 1 has infinite order.*\|det\| = 4"),
        ([[[0.5, 0], [0, 0.5]]], "generator 0 has infinite order"),
        ([[[2, 0], [0, 0.5]]], "finite group.*trace 2.5"),
        ([rotation(1.0)], r"infinite.*max_order=300$"),
        ([[[1, 1], [0, 1]]], r"infinite.*max_order=300$"),
        ([[[1, np.nan], [0, 1]]], r"finite.*generators\[0, 0, 1\]=nan$"),
        ([[[1, 0], [0, 1j]]], r"real numbers.*complex128$"),
        ([[[1, 0, 0], [0, 1, 0]]], "square"),
        ([[1, 0], [0, 1]], "3 dimensions"),
    ],
)
def test_from_matrices_refuses(generators, message):
    with pytest.raises(ValueError, match=message):
        FiniteGroup.from_matrices(generators, max_order=300)


def test_an_infinite_group_ends_at_the_default_limit():
    with pytest.raises(ValueError, match=r"max_order=10000$"):
        FiniteGroup.from_matrices([rotation(1.0)])
