"""Symmetries of square boards, on which an agent moves from cell to cell."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tf_equirl.groups import (
    FiniteGroup,
    Symmetry,
    cyclic_group,
    dihedral_group,
    image_representation,
    permutation_representation,
)

GROUPS: dict[str, FiniteGroup] = {
    "D4": dihedral_group(4),
    "C4": cyclic_group(4),
    "C2": cyclic_group(2),
}
"""Of the turns and mirrorings of a square, of its turns, and of one mirroring, left to right."""

_WORDS = {
    "D4": ("is turned by quarters and mirrored", "are turned and mirrored with it"),
    "C4": ("is turned by quarters", "are turned with it"),
    "C2": ("is mirrored left to right", "to the left and to the right change places"),
}


def board_symmetry(
    group: str, height: int, width: int, channels: int, moves: ArrayLike
) -> Symmetry:
    """How a group acts on pictures of a board and on moves.

    The pictures are turned and mirrored as `image_representation` says: one quarter turn is
    `np.rot90`, counter-clockwise, and sends a move (r, c) to (-c, r).

    Args:
        group: One of `GROUPS`.
        height: Rows of pixels.
        width: Columns of pixels.
        channels: Numbers of a pixel, which the group leaves as they are.
        moves: [actions, 2] rows down and columns to the right that each action moves by, -1, 0 or
            1 each; the group permutes them.
    """
    made = GROUPS[group]
    # A move is the cell of a board of 3 x 3 that it leads to from the middle.
    cells = (np.asarray(moves) + 1) @ (3, 1)
    board, square = np.full(9, -1), image_representation(made, 3, 3)
    board[cells] = np.arange(len(cells))
    # What lies on the cell of a move now is the move that went there.
    permutations = [np.argsort(square.act(element, board)[cells]) for element in made.elements]
    return Symmetry(
        made,
        state=image_representation(made, height, width, channels),
        action=permutation_representation(made, permutations),
    )


def board_symmetry_in_words(group: str) -> dict[str, str]:
    """For `Environment.symmetry_in_words`."""
    board, moves = _WORDS[group]
    return {"state": f"the board {board}", "action": f"moves {moves}"}
