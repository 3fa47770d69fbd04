"""What a check of a symmetry found where transitions are random, in numbers and in words."""

from __future__ import annotations

from dataclasses import dataclass

from tf_equirl.envs.symmetries.report import RARE, percent, vector_text

_LONGEST = 12  # elements that are printed


@dataclass(frozen=True)
class OutcomeCase:
    """The outcome whose probability is furthest off.

    Attributes:
        element: The index of g.
        state: s [d].
        action: a, [1].
        moved_state: g s.
        moved_action: g a.
        next_state: [d] g s', or what was found in the place of one.
        reward: The reward of this outcome.
        terminated: Whether it is terminal.
        expected: The probability of s' after (s, a).
        found: That of g s' after (g s, g a).
    """

    element: int
    state: tuple[float, ...]
    action: tuple[float, ...]
    moved_state: tuple[float, ...]
    moved_action: tuple[float, ...]
    next_state: tuple[float, ...]
    reward: float
    terminated: bool
    expected: float
    found: float

    def text(self) -> str:
        """Three lines."""
        end = ", terminal" if self.terminated else ""
        return (
            f"outcome under element {self.element}: expected with probability "
            f"{self.expected:.4g}, found with {self.found:.4g}\n"
            f"  s = {vector_text(self.state)}, a = {vector_text(self.action)}; g s = "
            f"{vector_text(self.moved_state)}, g a = {vector_text(self.moved_action)}\n"
            f"  g s' = {vector_text(self.next_state)}, reward {self.reward:.6g}{end}"
        )


@dataclass(frozen=True)
class OutcomeReport:
    """How far the random outcomes of an environment are from a symmetry, for each element g.

    Compared are the outcomes (s', r, terminated) of (s, a), each s' moved to g s', with those of
    (g s, g a), by the total variation of their distributions: half the sum of the differences of
    the probabilities, 0 where they are equal and 1 where they have nothing in common.

    Attributes:
        total_variation: [n] the largest over the samples.
        mean_variation: [n] the mean.
        broken_share: [n] share of the samples in which it is more than `tolerance`.
        samples: Number of pairs (s, a) compared.
        most_outcomes: The largest number of outcomes that a pair had.
        env: The name of the environment.
        group: The name of the group.
        case: The outcome that is furthest off; None if all are where they should be.
        explored_by: Where the states come from: "random actions", "policy" or "states".
        tolerance: Total variation up to which the symmetry is exact, from rounding.
    """

    total_variation: tuple[float, ...]
    mean_variation: tuple[float, ...]
    broken_share: tuple[float, ...]
    samples: int
    most_outcomes: int
    env: str
    group: str
    case: OutcomeCase | None
    explored_by: str
    tolerance: float

    @property
    def worst(self) -> float:
        """The largest total variation; 0, up to rounding, for an exact symmetry."""
        return max(self.total_variation)

    @property
    def verdict(self) -> str:
        """ "exact", "approximate" or "broken".

        Exact: no total variation above `tolerance`. Approximate: none above `RARE`.
        """
        if self.worst <= self.tolerance:
            return "exact"
        return "approximate" if self.worst <= RARE else "broken"

    @property
    def verdict_in_words(self) -> str:
        """The verdict with its numbers, in one line."""
        if self.verdict == "exact":
            return f"exact to rounding: a total variation of at most {self.worst:.1e}"
        return (
            f"{self.verdict}: a total variation of up to {self.worst:.2g}, in "
            f"{percent(max(self.broken_share))}"
        )

    def text(self) -> str:
        """All of it, compactly."""
        order = sorted(range(1, len(self.mean_variation)), key=lambda g: -self.total_variation[g])
        rows = [
            f"element {g}: total variation {self.total_variation[g]:.2g} at most, "
            f"{self.mean_variation[g]:.2g} in the mean, beyond rounding in "
            f"{percent(self.broken_share[g])}"
            for g in order[:_LONGEST]
        ]
        more = len(order) - _LONGEST
        lines = [
            f"{self.env} under {self.group}: {self.verdict_in_words}",
            "",
            *rows,
            *([f"and {more} elements with smaller ones"] if more > 0 else []),
            "",
            *([f"worst {self.case.text()}", ""] if self.case is not None else []),
            f"The distributions of what follows {self.samples:,} states and actions, up to "
            f"{self.most_outcomes:,} outcomes each, were compared.",
        ]
        if self.explored_by == "random actions":
            lines.append(
                "They are those that random actions visit. What a trained policy comes to beyond "
                "them was not seen; `policy` or `states` shows it."
            )
        return "\n".join(lines)

    __str__ = text
