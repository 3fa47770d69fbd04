from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from tf_equirl.groups import (
    Representation,
    Symmetry,
    cyclic_group,
    permutation_representation,
    regular_representation,
    symmetric_group,
)


def cartpole():
    c2 = cyclic_group(2)
    return Symmetry(
        c2,
        state=Representation(c2, [np.eye(4), -np.eye(4)]),
        action=permutation_representation(c2, [[0, 1], [1, 0]]),
    )


def test_config_round_trip_through_json(cases):
    for symmetry in (
        cartpole(),
        Symmetry(
            cases["D4"]["square"].group,
            state=cases["D4"]["turned"],
            action=cases["D4"]["permutation"],
        ),
    ):
        copy = Symmetry.from_config(json.loads(json.dumps(symmetry.get_config())))
        assert copy == symmetry
        assert hash(copy) == hash(symmetry)


def test_from_config_validates_again():
    config = cartpole().get_config()
    config["action"] = regular_representation(cyclic_group(3)).get_config()
    with pytest.raises(ValueError, match="`action` must be a representation of C2"):
        Symmetry.from_config(config)
    del config["action"]
    with pytest.raises(ValueError, match="'action'"):
        Symmetry.from_config(config)


def test_it_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        cartpole().group = cyclic_group(3)


@pytest.mark.parametrize("field", ["state", "action"])
def test_a_representation_of_another_group_is_refused(field):
    c6, s3 = cyclic_group(6), symmetric_group(3)
    fields = {"state": regular_representation(c6), "action": regular_representation(c6)}
    fields[field] = regular_representation(s3)
    with pytest.raises(ValueError, match=f"`{field}` must be a representation of C6.*one of S3"):
        Symmetry(c6, **fields)


def test_wrong_types_are_refused():
    c2 = cyclic_group(2)
    rho = regular_representation(c2)
    with pytest.raises(ValueError, match="`group` must be a FiniteGroup. Received: group='C2'"):
        Symmetry("C2", state=rho, action=rho)
    with pytest.raises(ValueError, match="`state` must be a Representation. Received: state="):
        Symmetry(c2, state=rho.matrices, action=rho)
    with pytest.raises(ValueError, match="`action` must be a Representation. Received: action=2"):
        Symmetry(c2, state=rho, action=2)


def about(cases, center=(1.0, -2.0)):
    """D4 turns the plane about a point; its actions are the corners of a square."""
    case = cases["D4"]
    plane = Representation.from_generators(
        case["square"].group, {1: [[0, -1], [1, 0]], 4: [[1, 0], [0, -1]]}
    )
    return Symmetry(plane.group, plane, permutation_representation(plane.group), center)


def test_a_center_stays_in_place_and_the_law_of_the_group_holds_about_it(cases):
    symmetry = about(cases)
    states = np.random.default_rng(0).normal(size=(7, 2))
    corners = np.arange(4)
    for g in symmetry.group.elements:
        np.testing.assert_array_equal(symmetry.move_states(g, [1.0, -2.0]), [1.0, -2.0])
        moved = symmetry.move_states(g, states)
        expected = symmetry.state.matrices[g] @ (states - [1, -2])[..., None]
        np.testing.assert_allclose(moved, expected[..., 0] + [1, -2], atol=1e-12)
        for h in symmetry.group.elements:
            product = symmetry.group.table[g, h]
            twice = symmetry.move_states(g, symmetry.move_states(h, states))
            np.testing.assert_allclose(twice, symmetry.move_states(product, states), atol=1e-12)
            np.testing.assert_array_equal(
                symmetry.move_actions(g, symmetry.move_actions(h, corners)),
                symmetry.move_actions(product, corners),
            )


def test_actions_move_as_indices_and_as_vectors(cases):
    symmetry = about(cases)
    one_hot = np.eye(4)
    for g in symmetry.group.elements:
        indices = symmetry.move_actions(g, np.arange(4))
        np.testing.assert_array_equal(symmetry.move_actions(g, one_hot), one_hot[indices])
    with pytest.raises(ValueError, match="`actions` must be .* integers from 0 to 3"):
        symmetry.move_actions(1, [4])
    signed = Symmetry(symmetry.group, symmetry.state, symmetry.state)
    with pytest.raises(ValueError, match="`action` must permute discrete actions"):
        signed.move_actions(1, [0])


def test_a_center_is_in_the_config_only_where_there_is_one(cases):
    assert set(cartpole().get_config()) == {"group", "state", "action"}
    symmetry = about(cases, np.array([1, -2]))
    assert symmetry.center == (1.0, -2.0)
    copy = Symmetry.from_config(json.loads(json.dumps(symmetry.get_config())))
    assert copy == symmetry and hash(copy) == hash(symmetry)
    assert copy != dataclasses.replace(symmetry, center=None)


@pytest.mark.parametrize(
    ("center", "rule"),
    [
        ([1.0], "`center` must have 2 numbers"),
        ([1.0, np.nan], "`center` must be finite"),
        (3.0, "`center` must have 1 dimensions"),
        ("ab", "`center` must have 1 dimensions"),
    ],
)
def test_a_wrong_center_is_refused(cases, center, rule):
    with pytest.raises(ValueError, match=rule):
        about(cases, center)
