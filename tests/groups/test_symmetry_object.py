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
