"""Candidates: which there are, those of pictures, and the group that some of them generate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tf_equirl.envs.symmetries.discovery.trials import Moves, Trials
from tf_equirl.groups import (
    FiniteGroup,
    cyclic_group,
    dihedral_group,
    direct_product,
    image_representation,
)

LARGEST_GROUP = 1_000
"""Elements of a group that is reported."""


def allowed_images(
    trials: Trials, kept: NDArray[np.int64], ranks: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """[N, N, 2] images (v, sign) that a point may have before any transition is looked at.

    Coordinates go to coordinates and actions to actions; points that are kept stay; the bounds of a
    box of actions are those of the image; of discrete actions that do the same the order is kept.
    """
    d, k = trials.states_dim, trials.actions_dim
    allowed = np.zeros([d + k, d + k, 2], bool)
    allowed[:d, :d] = True
    if trials.discrete:
        allowed[d:, d:, 0] = ranks[:, None] == ranks
    else:
        low, high = trials.dynamics.actions.low, trials.dynamics.actions.high
        for sign, (lower, upper) in enumerate([(low, high), (-high, -low)]):  # type: ignore[operator]
            allowed[d:, d:, sign] = (low == lower[:, None]) & (high == upper[:, None])  # type: ignore[index]
    allowed[kept] = allowed[:, kept] = False
    allowed[kept, kept, 0] = True
    return allowed


def all_candidates(allowed: NDArray[np.bool_], most: int) -> Moves | None:
    """Every signed permutation that `allowed` leaves, without the identity; None beyond `most`."""
    rows = [(np.zeros([1, 0], np.int64), np.zeros([1, 0], np.int64))]
    for point in range(len(allowed)):
        points, signs = rows.pop()
        choices = np.argwhere(allowed[point])
        free = ~(points[:, None, :] == choices[None, :, :1]).any(axis=2)
        row, choice = np.nonzero(free)
        if len(row) > most:
            return None
        points = np.concatenate([points[row], choices[choice, :1]], axis=1)
        signs = np.concatenate([signs[row], 1 - 2 * choices[choice, 1:]], axis=1)
        rows.append((points, signs))
    points, signs = rows.pop()
    moved = (points != np.arange(points.shape[1])).any(axis=1) | (signs < 0).any(axis=1)
    return Moves(points[moved], signs[moved])


def pictures(shape: tuple[int, ...], allowed: NDArray[np.bool_], most: int) -> Moves | None:
    """Turns and mirrorings of a picture [height, width, ...] with every permutation of actions.

    Args:
        shape: Of an observation.
        allowed: [N, N, 2], see `allowed_images`.
        most: Candidates at which they are too many.

    Returns:
        The candidates without the identity; None where they are too many.
    """
    height, width, channels = shape[0], shape[1], int(np.prod(shape[2:]))
    if height == width:
        motions = image_representation(dihedral_group(4), height, width, channels)
    else:
        group = direct_product(cyclic_group(2), cyclic_group(2))
        motions = image_representation(
            group, height, width, channels, turns=[0, 0, 2, 2], flips=[False, True, False, True]
        )
    parts, d = [], motions.dim
    for motion in motions.signed_permutations:  # type: ignore[union-attr]
        fixed = allowed.copy()
        fixed[:d] = False
        fixed[np.arange(d), motion, 0] = allowed[np.arange(d), motion, 0]
        part = all_candidates(fixed, most)
        if part is None:
            return None
        parts.append(part)
    return Moves(*(np.concatenate(x) for x in zip(*parts, strict=True)))


def closed(moves: Sequence[Moves], points: int) -> tuple[Moves, FiniteGroup, bool]:
    """The group that candidates generate.

    Args:
        moves: One candidate each.
        points: Number N of points.

    Returns:
        Its elements, the identity first; the group; and whether all candidates are in it. One that
        would make it larger than `LARGEST_GROUP` is left out.
    """
    elements = Moves(np.arange(points)[None], np.ones([1, points], np.int64))
    group, fits = cyclic_group(1), True
    generators: list[NDArray[np.int64]] = []
    inside = {_signed(elements)[0].tobytes()}
    for move in moves:
        signed = _signed(move)[0]
        if signed.tobytes() in inside:
            continue
        try:
            group = FiniteGroup.from_permutations([*generators, signed], max_order=LARGEST_GROUP)
        except ValueError:
            fits = False
            continue
        generators.append(signed)
        inside = {row.tobytes() for row in group.permutations}  # type: ignore[union-attr]
        images = group.permutations[:, ::2]  # type: ignore[index]
        elements = Moves(images // 2, 1 - 2 * (images % 2))
    return elements, group, fits


def _signed(moves: Moves) -> NDArray[np.int64]:
    """[c, 2 N] as permutations of the points u with sign +, at 2 u, and with sign -, at 2 u + 1."""
    down = moves.signs < 0
    images = np.stack([2 * moves.points + down, 2 * moves.points + ~down], axis=2)
    return images.reshape(len(images), -1)
