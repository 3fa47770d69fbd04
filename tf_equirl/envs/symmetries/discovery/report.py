"""What was discovered, in words and as code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tf_equirl.groups import Symmetry

SHOWN = 8
"""Elements that are printed; generators come first."""


@dataclass(frozen=True)
class NearMiss:
    """A candidate that almost holds, and what breaks it.

    Attributes:
        element: What it does, in words.
        error: Root mean square over transitions of the worst output's error, in its scale: the
            size of a step, the spread of rewards, or the share of wrong terminations.
        output: That output: a coordinate, "reward" or "termination".
        share: Share of transitions on which it does not hold within the tolerance.
    """

    element: str
    error: float
    output: str
    share: float

    def __str__(self) -> str:
        """One line."""
        return (
            f"{self.element}: fails on {self.share:.1%} of the pairs, {self.output} is off by "
            f"{self.error:.2g}"
        )


@dataclass(frozen=True)
class Discovery:
    """The symmetry that was found, and how far it can be relied on.

    Attributes:
        symmetry: The group that the found candidates generate, on states and actions.
        elements: What its elements do, in words, the identity left out.
        approximate: Candidates that almost hold, the best first.
        kept: Coordinates and actions that no candidate moves: they are constant on what was
            visited, or have no influence on reward, termination and what actions change.
        method: How candidates were found: "all states", "all candidates", "pruned" or "pictures".
        complete: Whether the search came to its end.
        search_space: Signed permutations of coordinates, times (signed) permutations of actions.
        candidates_tried: How many of these met transitions.
        transitions: Transitions of the environment, in all.
        samples: Held-out pairs (s, a) on which every element held; of "all states", all there are.
        worst: The largest error on these, in the scale of `NearMiss.error`.
        level: Significance level of `failing_share`.
        seconds: Time that it took.
    """

    symmetry: Symmetry
    elements: tuple[str, ...]
    approximate: tuple[NearMiss, ...]
    kept: tuple[str, ...]
    method: str
    complete: bool
    search_space: int
    candidates_tried: int
    transitions: int
    samples: int
    worst: float
    level: float
    seconds: float

    @property
    def failing_share(self) -> float:
        """Upper confidence bound on the share of (s, a), as visited, where an element fails.

        An element that failed on a share p would have passed m independent pairs with probability
        (1 - p)^m, so that p < 1 - level^(1/m); at level 0.05 about 3/m, the rule of three (Hanley
        and Lippman-Hand, "If nothing goes wrong, is everything all right?", 1983). It says nothing
        of states that were not visited. 0 where all states were listed.
        """
        return 0.0 if self.method == "all states" else 1 - self.level ** (1 / self.samples)

    def code(self) -> str:
        """Python that builds the symmetry."""
        state, action = (
            "Representation.from_signed_permutations("
            f"group, {np.array(x.signed_permutations).tolist()}, {np.array(x.signs).tolist()})"
            for x in (self.symmetry.state, self.symmetry.action)
        )
        group, center = self.symmetry.group, self.symmetry.center
        rest = "" if center is None else f", {center}"
        return (
            "from tf_equirl.groups import FiniteGroup, Representation, Symmetry\n"
            f"group = FiniteGroup({group.table.tolist()}, {group.name!r})\n"
            f"symmetry = Symmetry(group, {state}, {action}{rest})"
        )

    def __str__(self) -> str:
        """A few lines."""
        group = self.symmetry.group
        lines = [f"{group.name}, {group.order} elements" if self.elements else "no symmetry found"]
        lines += [f"  {element}" for element in self.elements[:SHOWN]]
        if len(self.elements) > SHOWN:
            lines.append(f"  and {len(self.elements) - SHOWN} others")
        if self.elements and self.method == "all states":
            lines.append(f"holds on all {self.samples:,} pairs of a state and an action")
        elif self.elements:
            lines.append(
                f"held on {self.samples:,} held-out pairs (largest error {self.worst:.2g}): fails "
                f"on less than {self.failing_share:.2%} of what is visited, at level {self.level:g}"
            )
        if self.kept:
            lines.append(f"left as they are, constant or without influence: {', '.join(self.kept)}")
        lines += [f"almost: {near}" for near in self.approximate]
        stopped = "" if self.complete else ", stopped early"
        lines.append(
            f"{self.candidates_tried:,} candidates tried of {_short(self.search_space)} "
            f"({self.method}{stopped}), {self.transitions:,} transitions, {self.seconds:.1f} s"
        )
        return "\n".join(lines)


def in_words(
    points: NDArray[np.integer], signs: NDArray[np.integer], names: Sequence[str], states_dim: int
) -> str:
    """A signed permutation as cycles: "x -> -x, v -> -v; action 0 <-> action 1".

    Args:
        points: [N] where each point goes.
        signs: [N] with which sign.
        names: [N] of the points.
        states_dim: How many of them are coordinates.
    """
    parts = []
    for first, last in ((0, states_dim), (states_dim, len(names))):
        cycles, seen = [], set()
        for start in range(first, last):
            if start in seen or (points[start] == start and signs[start] > 0):
                continue
            chain, point, sign = [], start, 1
            while point not in seen:
                seen.add(point)
                chain.append(("" if sign > 0 else "-") + names[point])
                point, sign = int(points[point]), sign * int(signs[point])
            chain.append(("" if sign > 0 else "-") + names[start])
            swap = len(chain) == 3 and sign > 0
            cycles.append(" <-> ".join(chain[:2]) if swap else " -> ".join(chain))
        parts.append(", ".join(cycles) or ("states stay" if first == 0 else "actions stay"))
    return "; ".join(parts)


def name_of(table: NDArray[np.integer]) -> str:
    """The usual name of a small group: C4, D3, C2xC2, Q8; else "group_of_order_<n>"."""
    n = len(table)
    orders = []
    for g in range(n):
        power, order = g, 1
        while power:
            power, order = int(table[power, g]), order + 1
        orders.append(order)
    if max(orders) == n:
        return f"C{n}"
    if max(orders) == 2:
        return "x".join(["C2"] * int(np.log2(n)))
    abelian = np.array_equal(table, table.T)
    if not abelian and n % 2 == 0 and n // 2 in orders:
        # Of a group with a cyclic half, all others are reflections in the dihedral group alone.
        rotation = orders.index(n // 2)
        powers, power = {0}, rotation
        while power:
            powers.add(power)
            power = int(table[power, rotation])
        if all(orders[g] == 2 for g in range(n) if g not in powers):
            return f"D{n // 2}"
    if n == 8 and orders.count(4) == 6:
        return "Q8"
    return f"group_of_order_{n}"


def _short(number: int) -> str:
    return (
        f"{number:,}"
        if number < 10**7
        else f"{float(number):.1e}"
        if number < 10**300
        else (f"10^{len(str(number)) - 1}")
    )
