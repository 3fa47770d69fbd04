"""Seeds, and the blocks in which they are trained."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np

from tf_equirl._checks import integers, refuse

# XLA picks kernels, and with them rounding, by the number of members: 4, 8, 16 and 32 members give
# the same numbers to the last bit, on processors with AVX-512; fewer than 4, more than 32 or odd
# numbers may not. Seeds are therefore trained in blocks of these sizes, filled up with copies that
# are dropped again. Blocks of 32 are also faster than larger ones, whose data outgrow the caches.
_BLOCK_SIZES = (4, 8, 16, 32)
FEWEST = 3
"""A run of fewer members is trained as it is, not filled up: that is faster, and may round
differently."""
_MOST_SEEDS = 2**20

_Member = TypeVar("_Member")


def check_seeds(seeds: Iterable[int]) -> tuple[int, ...]:
    """Returns `seeds` as a tuple of Python ints.

    Raises:
        ValueError: Unless they are distinct integers from 0 to 2**31 - 1, at least one and at most
            2**20 of them.
    """
    rule = "distinct integers from 0 to 2**31 - 1, at least one"
    found = integers("seeds", seeds, rule, least=0, most=2**31 - 1, most_items=_MOST_SEEDS)
    if len(set(found)) < len(found):
        refuse("seeds", rule, seeds)
    return found


def blocks_of(members: Sequence[_Member], of: int | None = None) -> list[list[_Member]]:
    """Splits members into blocks; the last one is filled up with copies of its first member.

    Args:
        members: At least one.
        of: How many the run has that these are a part of; None where they are the whole of it.
    """
    if (len(members) if of is None else of) < FEWEST:
        return [list(members)]
    largest = _BLOCK_SIZES[-1]
    blocks = [list(members[i : i + largest]) for i in range(0, len(members), largest)]
    last = blocks[-1]
    size = next(size for size in _BLOCK_SIZES if size >= len(last))
    last += [last[0]] * (size - len(last))
    return blocks


def join_blocks(of_blocks: list[np.ndarray], count: int, axis: int) -> np.ndarray:
    """Joins what the blocks of `count` members gave along their `axis`, without the copies."""
    joined = np.concatenate(of_blocks, axis)
    return joined.take(np.arange(count), axis)  # copies stand last
