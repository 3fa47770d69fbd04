"""What a check of a symmetry found, in numbers and in words."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tf_equirl._checks import number

LEVELS = (0.5, 0.9, 0.99, 1.0)
"""Quantiles of errors over the samples; the last one is the largest error."""

APPROXIMATE = 0.1
"""Of the size of a step: a symmetry with a larger error somewhere is broken. An error that goes one
way adds up to a whole step within ten."""

RARE = 0.01
"""Share of the samples in which terminations may disagree, near the bounds of the states, under a
symmetry that is approximate."""

KINDS = ("next state", "reward", "terminated")
"""What is compared."""

_LONGEST = 12  # numbers of a state or action, coordinates or elements that are printed


@dataclass(frozen=True)
class Case:
    """One sample: what followed (s, a) and what followed (g s, g a).

    Attributes:
        kind: "next state", "reward" or "terminated", in which the two differ.
        element: The index of g.
        state: s [d].
        action: a, [1] or [k].
        moved_state: g s.
        moved_action: g a.
        next_state: s'.
        expected: g s'; the reward, or 1.0 for terminated, of kind "reward" or "terminated".
        found: What did follow (g s, g a).
        coordinate: The name of the coordinate that is furthest off, in steps; else the kind.
        error: How far.
        relative: That, in the size of a step.
    """

    kind: str
    element: int
    state: tuple[float, ...]
    action: tuple[float, ...]
    moved_state: tuple[float, ...]
    moved_action: tuple[float, ...]
    next_state: tuple[float, ...]
    expected: tuple[float, ...]
    found: tuple[float, ...]
    coordinate: str
    error: float
    relative: float

    def text(self) -> str:
        """Two lines."""
        what = "" if self.kind == self.coordinate else f", {self.coordinate}"
        size = "" if self.kind == "terminated" else f", {in_steps(self.relative, self.kind)}"
        return (
            f"{self.kind}{what}: off by {self.error:.3g}{size}, under element {self.element}\n"
            f"  s = {vector_text(self.state)}, a = {vector_text(self.action)}; s' = "
            f"{vector_text(self.next_state)}\n"
            f"  g s = {vector_text(self.moved_state)}, g a = {vector_text(self.moved_action)}; "
            f"expected {vector_text(self.expected)}, found {vector_text(self.found)}"
        )


@dataclass(frozen=True)
class SymmetryReport:
    """How far an environment is from a symmetry, for each group element g.

    Errors "in steps" are relative to the size of a step: of a coordinate the root mean square of
    its change in one step; of the reward its standard deviation over the samples. What does not
    change at all is measured against its largest size, or 1 if that is smaller.

    Attributes:
        next_state: [n] max |g s' - s'_g| over samples and coordinates, in the state's scale, where
            s' follows (s, a) and s'_g follows (g s, g a).
        reward: [n] max |R(g s, g a) - R(s, a)| over samples.
        terminated: [n] share of the samples where one of the two terminates and the other does not.
        samples: Number of pairs (s, a) compared.
        env: The name of the environment.
        group: The name of the group.
        names: [d] the names of the coordinates of states.
        step_sizes: [d] the size of a step of every coordinate.
        next_state_quantiles: [n, 4] of a sample's largest error in steps, at `LEVELS`.
        reward_quantiles: [n, 4] of the error of the reward in steps, at `LEVELS`.
        coordinate_errors: [d] the largest error of every coordinate in steps, over samples and
            elements.
        broken_share: [n] share of the samples in which next state or reward is off by more than
            `APPROXIMATE` of a step or terminations disagree.
        cases: The worst sample of each kind of error that there is.
        low: [d] the smallest number of the states tried.
        high: [d] the largest.
        bounds: [d] pairs of bounds that the environment declares, infinite where there are none.
        explored_by: Where the states come from: "random actions", "policy" or "states".
        replayed: Largest difference in steps between what followed the states where they were
            visited and what follows them where they are set; None for states that were given.
        tolerance: Errors in steps up to which the symmetry is exact, from the precision of states.
    """

    next_state: tuple[float, ...]
    reward: tuple[float, ...]
    terminated: tuple[float, ...]
    samples: int
    env: str
    group: str
    names: tuple[str, ...]
    step_sizes: tuple[float, ...]
    next_state_quantiles: tuple[tuple[float, ...], ...]
    reward_quantiles: tuple[tuple[float, ...], ...]
    coordinate_errors: tuple[float, ...]
    broken_share: tuple[float, ...]
    cases: tuple[Case, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    bounds: tuple[tuple[float, float], ...]
    explored_by: str
    replayed: float | None
    tolerance: float

    @property
    def worst(self) -> float:
        """The largest of `next_state`, `reward` and `terminated`; 0 for an exact symmetry."""
        return max(self.next_state + self.reward + self.terminated)

    @property
    def relative(self) -> float:
        """The largest error of next states and rewards, in steps."""
        return max(row[-1] for row in self.next_state_quantiles + self.reward_quantiles)

    @property
    def verdict(self) -> str:
        """ "exact", "approximate" or "broken".

        Exact: no error above `tolerance`, no termination that disagrees. Approximate: no error
        above `APPROXIMATE` of a step, and no more than `RARE` of the terminations disagree.
        """
        if self.relative <= self.tolerance and max(self.terminated) == 0.0:
            return "exact"
        approximate = self.relative <= APPROXIMATE and max(self.terminated) <= RARE
        return "approximate" if approximate else "broken"

    @property
    def verdict_in_words(self) -> str:
        """The verdict with its numbers, in one line."""
        steps = max(row[-1] for row in self.next_state_quantiles)
        rewards = max(row[-1] for row in self.reward_quantiles)
        if self.verdict == "exact":
            return f"exact to rounding: at most {max(steps, rewards):.1e} of a step"
        place = self.names[max(range(len(self.names)), key=self.coordinate_errors.__getitem__)]
        parts = [
            f"next states by up to {in_steps(steps)} ({place})" if steps else "",
            f"rewards by up to {in_steps(rewards, 'reward')}" if rewards else "",
            f"terminations in {percent(max(self.terminated))}" if max(self.terminated) else "",
        ]
        words = f"{self.verdict}: {', '.join(filter(None, parts))}"
        if self.verdict == "approximate":
            return words
        return f"{words}; beyond {percent(APPROXIMATE)} in {percent(max(self.broken_share))}"

    def orbit_gap_bounds(
        self, lipschitz: float, discount: float, value_range: float = math.inf
    ) -> tuple[float, ...]:
        """[n] bounds on the orbit gap |Q*(g s, g a) - Q*(s, a)| from the errors that were measured.

        With eps_R and eps_S the largest errors of the reward and of a coordinate of the next state,

            alpha = (eps_R + discount * lipschitz * eps_S) / (1 - discount):

        what follows the image differs from the image of what follows by eps_S, and the rest of the
        way is bounded by alpha itself. That is proposition 3 of Park et al. ("Approximate
        equivariance in reinforcement learning", 2025) with the distance that Lipschitz functions
        tell, where transitions are deterministic. `symmetry_gaps` has a tighter one, of total
        variation, where states are listed. Violations that no sample met are not in it.

        Args:
            lipschitz: By how much V* changes at most, for a change of 1 of every coordinate.
            discount: Gamma, in [0, 1).
            value_range: How far apart two values are at most. It bounds the gap, and what it costs
                that one of the two terminates and the other does not: without it the bound of an
                element for which that happens is infinite.

        Raises:
            ValueError: If an argument is not such a number.

        Example:
            >>> from tf_equirl import envs
            >>> tilted = envs.make("CartPole", breaking="gravity", kappa=0.1)
            >>> bounds = envs.check_symmetry(tilted).orbit_gap_bounds(10.0, 0.99, 100.0)
            >>> [round(bound, 2) for bound in bounds]
            [0.0, 0.79]
        """
        rule = "a number of at least 0"
        lipschitz = number("lipschitz", lipschitz, rule, lambda x: x >= 0)
        discount = number("discount", discount, "a number in [0, 1)", lambda x: 0 <= x < 1)
        if value_range != math.inf:
            rule = "a positive number, or infinity"
            value_range = number("value_range", value_range, rule, lambda x: x > 0)

        def bound(reward: float, next_state: float, terminated: float) -> float:
            following = lipschitz * next_state
            if terminated:
                following = max(following, value_range)
            later = discount * following if discount else 0.0  # 0 times infinity is no number
            return min(value_range, (reward + later) / (1 - discount))

        return tuple(map(bound, self.reward, self.next_state, self.terminated))

    def text(self) -> str:
        """All of it, compactly."""
        lines = [f"{self.env} under {self.group}: {self.verdict_in_words}", ""]
        lines += [*self._elements(), "", *self._coordinates()]
        for case in self.cases if self.verdict != "exact" else ():
            lines += ["", f"worst {case.text()}"]
        return "\n".join([*lines, "", *self._coverage()])

    __str__ = text

    def _elements(self) -> list[str]:
        """A table with a row for the identity's others, the worst first."""
        order = sorted(
            range(1, len(self.reward)), key=lambda g: (-self.broken_share[g], -self._largest(g), g)
        )
        rows = [
            ["element", "next state, in steps: 50 %", *("90 %", "99 %", "max")]
            + ["reward: 50 %", "90 %", "99 %", "max", "terminations"]
        ]
        for g in order[:_LONGEST]:
            errors = self.next_state_quantiles[g] + self.reward_quantiles[g]
            rows.append([str(g), *(f"{e:.2g}" for e in errors), percent(self.terminated[g])])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(map(str.rjust, row, widths)) for row in rows]
        more = len(order) - _LONGEST
        return lines + ([f"and {more} elements with smaller errors"] if more > 0 else [])

    def _largest(self, g: int) -> float:
        return max(self.next_state_quantiles[g][-1], self.reward_quantiles[g][-1])

    def _coordinates(self) -> list[str]:
        """The errors of the coordinates, the largest first."""
        order = sorted(range(len(self.names)), key=lambda i: -self.coordinate_errors[i])
        shown = [f"{self.names[i]} {self.coordinate_errors[i]:.2g}" for i in order[:_LONGEST]]
        more = f", and {len(order) - _LONGEST} more" if len(order) > _LONGEST else ""
        return [f"largest error of each coordinate, in steps: {', '.join(shown)}{more}"]

    def _coverage(self) -> list[str]:
        places, bounded = [], 0
        for name, low, high, (least, most) in zip(
            self.names, self.low, self.high, self.bounds, strict=True
        ):
            part = ""
            if -1e30 < least < most < 1e30:  # some declare the largest float for "no bound"
                bounded += 1
                part = f" ({percent((high - low) / (most - least))} of the space declared)"
            places.append(f"{name} {low:.3g} .. {high:.3g}{part}")
        more = f", and {len(places) - _LONGEST} more" if len(places) > _LONGEST else ""
        lines = [
            f"{self.samples:,} states and actions were tried: {', '.join(places[:_LONGEST])}{more}"
        ]
        if self.explored_by == "random actions":
            lines.append(
                "They are those that random actions visit. What a trained policy comes to beyond "
                "them was not seen; `policy` or `states` shows it."
            )
        if self.replayed is not None and self.replayed > self.tolerance:
            lines.append(
                "Observations do not tell the whole state: a step from a state that is set differs "
                f"from the episode's by up to {in_steps(self.replayed)}."
            )
        return lines


@dataclass(frozen=True)
class TwoSampleReport:
    """Whether transitions and their images look alike, where states cannot be set.

    Attributes:
        p_values: [n] for each group element the probability of such a difference under the
            symmetry; 1 for the identity.
        differences: [n] the moment of transitions that differs most from that of their images, and
            the two, in words; "" for the identity.
        samples: Number of transitions.
        episodes: From how many episodes they are.
        error_rate: Probability with which a symmetry that is true is rejected.
        env: The name of the environment.
        group: The name of the group.
        explored_by: "random actions" or "policy".
    """

    p_values: tuple[float, ...]
    differences: tuple[str, ...]
    samples: int
    episodes: int
    error_rate: float
    env: str
    group: str
    explored_by: str

    @property
    def corrected(self) -> tuple[float, ...]:
        """The p-values after Holm's correction (1979) over the elements beside the identity."""
        order = sorted(range(1, len(self.p_values)), key=self.p_values.__getitem__)
        corrected, largest = [1.0] * len(self.p_values), 0.0
        for rank, g in enumerate(order):
            largest = max(largest, min(1.0, (len(order) - rank) * self.p_values[g]))
            corrected[g] = largest
        return tuple(corrected)

    @property
    def verdict(self) -> str:
        """ "broken" if some element is rejected at `error_rate`, else "not rejected"."""
        return "broken" if min(self.corrected) <= self.error_rate else "not rejected"

    @property
    def verdict_in_words(self) -> str:
        """The verdict with its numbers, in one line."""
        return f"{self.verdict}: p = {min(self.corrected):.2g}"

    def text(self) -> str:
        """All of it, compactly."""
        order = sorted(range(1, len(self.p_values)), key=self.corrected.__getitem__)
        rows = [
            f"element {g}: p = {self.p_values[g]:.2g}, corrected {self.corrected[g]:.2g}; furthest "
            f"apart: {self.differences[g]}"
            for g in order[:_LONGEST]
        ]
        more = len(order) - _LONGEST
        exploration = "the policy" if self.explored_by == "policy" else "random actions"
        return "\n".join(
            [
                f"{self.env} under {self.group}: {self.verdict_in_words}",
                "",
                *rows,
                *([f"and {more} elements with larger p-values"] if more > 0 else []),
                "",
                "The state cannot be set: no single steps were compared. The means and products of "
                f"{self.samples:,} transitions (s, a, r, s' - s, terminated) of {self.episodes:,} "
                "episodes were compared with those of their images, by a permutation test over the "
                "episodes, Holm-corrected over the elements. A true symmetry is rejected with "
                f"probability {percent(self.error_rate)}.",
                "The test sees the distribution of visited states along with the dynamics: where "
                f"episodes start and {exploration} must be symmetric, too. It does not see what is "
                "small, what is rare, what was not visited, nor what leaves means and products as "
                "they are.",
            ]
        )

    __str__ = text


def in_steps(relative: float, kind: str = "next state") -> str:
    """An error relative to the size of a step, in words."""
    of = "its spread" if kind == "reward" else "a step"
    if relative >= 1:
        return f"{relative:.2g} times {of}"
    return f"{percent(relative)} of {of}" if relative >= 1e-4 else f"{relative:.1e} of {of}"


def percent(share: float) -> str:
    """A share in words, of two digits."""
    percent = 100 * share
    digits = f"{percent:.2g}" if percent < 99.5 else f"{percent:.0f}"
    return f"{digits} %"


def vector_text(values: tuple[float, ...]) -> str:
    """A vector; of a long one, how long it is."""
    if len(values) > _LONGEST:
        return f"[{len(values)} numbers]"
    return f"[{', '.join(f'{value:.6g}' for value in values)}]"
