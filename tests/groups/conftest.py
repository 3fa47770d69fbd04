"""The groups, and representations of each, on which the laws are tested."""

from __future__ import annotations

import numpy as np
import pytest

from tf_equirl.groups import (
    FiniteGroup,
    Representation,
    cyclic_group,
    dihedral_group,
    permutation_representation,
    quaternion_group,
    regular_representation,
    signed_permutation_representation,
    symmetric_group,
    trivial_representation,
)

GROUPS = {
    "C2": lambda: cyclic_group(2),
    "C4": lambda: cyclic_group(4),
    "S3": lambda: symmetric_group(3),
    "D4": lambda: dihedral_group(4),
    "Q8": quaternion_group,
}


def rotation(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s], [s, c]])


def sign_representation(group: FiniteGroup, signs: list[int]) -> Representation:
    """The one-dimensional representation g -> signs[g]."""
    column = np.array(signs)[:, None]
    return signed_permutation_representation(group, np.zeros_like(column), column)


def _representations(name: str, group: FiniteGroup) -> dict[str, Representation]:
    result = {
        "trivial": trivial_representation(group),
        "trivial3": trivial_representation(group, 3),
        "regular": regular_representation(group),
    }
    if group.permutations is not None:
        result["permutation"] = permutation_representation(group)
    if name in ("C2", "C4"):
        result["sign"] = sign_representation(group, [(-1) ** k for k in group.elements])
    if name == "C2":
        result["cartpole"] = Representation(group, [np.eye(4), -np.eye(4)])
        # Not orthogonal, so the Reynolds projector is oblique.
        result["oblique"] = Representation(group, [np.eye(2), [[1, 3], [0, -1]]])
    elif name == "C4":
        result["rotation"] = Representation.from_generators(group, {1: rotation(np.pi / 2)})
        change = np.array([[1.0, 0.7], [0.0, 0.5]])
        result["oblique"] = Representation.from_generators(
            group, {1: change @ rotation(np.pi / 2) @ np.linalg.inv(change)}
        )
    elif name == "S3":
        # The corners of a triangle: the permutation of the corners is a linear map of the plane.
        corners = np.array([[np.cos(a), np.sin(a)] for a in 2 * np.pi * np.arange(3) / 3]).T
        result["triangle"] = Representation(
            group, [corners[:, p] @ np.linalg.pinv(corners) for p in group.permutations]
        )
        dets = np.rint(np.linalg.det(result["permutation"].matrices)).astype(int)
        result["sign"] = sign_representation(group, dets.tolist())
    elif name == "D4":
        mirror = np.diag([1.0, -1.0])
        result["square"] = Representation.from_generators(
            group, {1: rotation(np.pi / 2), 4: mirror}
        )
        # The same representation with the corners off the axes: not a signed permutation.
        turn = rotation(0.3)
        result["turned"] = Representation(group, turn @ result["square"].matrices @ turn.T)
        dets = np.rint(np.linalg.det(result["square"].matrices)).astype(int)
        result["sign"] = sign_representation(group, dets.tolist())
    elif name == "Q8":
        result["quaternions"] = Representation(group, group.matrices)
        skew = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
        result["turned"] = Representation(group, skew @ group.matrices @ skew.T)
    return result


CASES = {name: _representations(name, build()) for name, build in GROUPS.items()}
PAIRS = [
    pytest.param(inputs, outputs, id=f"{group}-{i}-{o}")
    for group, named in CASES.items()
    for i, inputs in named.items()
    for o, outputs in named.items()
]
SIGNED_PAIRS = [p for p in PAIRS if all(rep.signs is not None for rep in p.values)]
ALL = [
    pytest.param(representation, id=f"{group}-{name}")
    for group, named in CASES.items()
    for name, representation in named.items()
]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs a test on every `representation`, or every pair `inputs`, `outputs` of one group.

    `signed_inputs`, `signed_outputs` are the pairs of (signed) permutation representations.
    """
    if "inputs" in metafunc.fixturenames:
        metafunc.parametrize(("inputs", "outputs"), PAIRS)
    if "signed_inputs" in metafunc.fixturenames:
        metafunc.parametrize(("signed_inputs", "signed_outputs"), SIGNED_PAIRS)
    if "representation" in metafunc.fixturenames:
        metafunc.parametrize("representation", ALL)


@pytest.fixture
def cases() -> dict[str, dict[str, Representation]]:
    """{group name: {representation name: representation}}."""
    return CASES
