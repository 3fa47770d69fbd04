"""Should networks be exactly equivariant, nearly so, or free? An answer from the dynamics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from tf_equirl._checks import LARGEST_SAMPLE, LARGEST_SEED, integer, positive_integer, shown
from tf_equirl.envs.base import BaseEnvironment
from tf_equirl.envs.environment import Environment
from tf_equirl.envs.symmetries.check import claimed, name_of
from tf_equirl.envs.symmetries.compare import sizes_of
from tf_equirl.envs.symmetries.gaps import SymmetryGaps, symmetry_gaps
from tf_equirl.envs.symmetries.interface import Dynamics
from tf_equirl.groups import Symmetry

CHOICES = ("exact", "relaxed", "free")
"""Kinds of networks: exactly equivariant; equivariant at the start, relaxed or with free layers
beside the equivariant ones; without a symmetry."""
SMALL_LOSS, LARGE_LOSS = 0.01, 0.5
"""Loss up to which exact networks are recommended, and from which free ones are, see
`SymmetryGaps.loss`."""
SMALL_RATIO = 0.1
"""Ratio of gap and influence up to which exact networks are recommended."""
SMALL_SHARE, LARGE_SHARE = 0.01, 0.25
"""Share of samples in which a choice is turned, up to which exact networks may be recommended, and
from which free ones are."""


@dataclass(frozen=True)
class Recommendation:
    """What to use where a symmetry may be only approximately true, and why.

    Attributes:
        choice: One of `CHOICES`.
        env: The name of the environment.
        group: The name of the group.
        samples: Pairs (s, a) that were compared; 0 where the states are listed.
        gap_ratio: The mean gap by the mean influence: how far what follows (g s, g a) is from the
            image of what follows (s, a), the largest over elements, in units of how far apart two
            actions lead in s. NaN where the states are listed.
        turned_share: Share of them in which two actions lead apart the other way, or not at all, in
            g s; NaN where states are listed.
        gaps: What is known exactly where the states are listed; else None.
    """

    choice: str
    env: str
    group: str
    samples: int
    gap_ratio: float
    turned_share: float
    gaps: SymmetryGaps | None = None

    def __str__(self) -> str:
        """The choice, and the numbers behind it."""
        networks = {
            "exact": 'exactly equivariant networks ("gcnn", "invariant")',
            "relaxed": 'networks that begin equivariant ("relaxed", "rpp")',
            "free": 'networks without this symmetry ("mlp", "cnn")',
        }[self.choice]
        head = f"{self.env}, {self.group}: {self.choice}, {networks}"
        if self.gaps is None:
            return (
                f"{head}\n  what follows images is off by {self.gap_ratio:.2g} of what an action "
                f"decides; of two actions another one leads further in "
                f"{100 * self.turned_share:.1f} % of {self.samples:,} samples"
            )
        gaps = self.gaps
        return (
            f"{head}\n  an exactly equivariant policy gives up {100 * gaps.loss:.1f} % of what "
            f"there is to learn ({gaps.symmetric:.4g} instead of {gaps.optimal:.4g}; random "
            f"actions {gaps.uniform:.4g}); an exactly invariant critic errs by {gaps.price:.3g} "
            "somewhere"
        )


def recommend(
    env: BaseEnvironment | gymnasium.Env | str,
    symmetry: Symmetry | None = None,
    samples: int = 1000,
    seed: int = 0,
) -> Recommendation:
    """Exactly equivariant networks, relaxed ones, or free ones?

    Where an environment lists its states, what exactness costs is computed (`symmetry_gaps`):
    "exact" up to a loss of 0.01, "free" from 0.5 on, "relaxed" between. An exactly invariant critic
    errs by at least half of |Q*(g s, g a) - Q*(s, a)|, which turns a choice where it is more than
    half of the difference between two actions.

    Elsewhere that is estimated from single steps, at states that random actions lead to. Where
    values are smooth, what one of two actions has over the other is their slope along the
    difference d of what they lead to. Where d at g s is not the image of d at s but points the
    other way, the choice there is another one. "free" where that is so in a quarter of the samples;
    "exact" where it is in one of a hundred at most, and the gap |g s' - s'_g| is at most a tenth of
    |d|; "relaxed" between. Numbers are compared in steps, see `SymmetryReport`, rewards too.

    That is a rule of thumb: how far it can be trusted was measured (docs/approximate_symmetry.md).

    Args:
        env: See `check_symmetry`; its states can be set, and transitions are deterministic, or
            listed with all states.
        symmetry: Likewise.
        samples: Pairs (s, a), at most 10^8.
        seed: An integer in [0, 2^64), which seeds the exploration.

    Raises:
        ValueError: As `check_symmetry` does, or where states cannot be set.

    Example:
        >>> from tf_equirl import envs
        >>> envs.recommend(envs.make("CartPole"), samples=100).choice
        'exact'
    """
    samples = positive_integer("samples", samples, LARGEST_SAMPLE)
    rng = np.random.default_rng(integer("seed", seed, 0, LARGEST_SEED))
    env, symmetry, dynamics = claimed(env, symmetry)
    name, group = name_of(env), symmetry.group.name
    if isinstance(env, Environment) and _lists_states(env):
        gaps = symmetry_gaps(env, symmetry)
        return Recommendation(_by_loss(gaps.loss), name, group, 0, np.nan, np.nan, gaps)
    if not dynamics.can_step or dynamics.lists_outcomes:
        raise ValueError(
            "`env` must be one whose states can be set and whose transitions are deterministic, or "
            f"that lists all its states. Received: env={shown(env)}"
        )
    ratio, share = _estimates(dynamics, symmetry, samples, rng)
    if share >= LARGE_SHARE:
        choice = "free"
    else:
        choice = "exact" if share <= SMALL_SHARE and ratio <= SMALL_RATIO else "relaxed"
    return Recommendation(choice, name, group, samples, ratio, share)


def _by_loss(loss: float) -> str:
    if loss >= LARGE_LOSS:
        return "free"
    return "exact" if loss <= SMALL_LOSS else "relaxed"


def _lists_states(env: Environment) -> bool:
    try:
        env.all_states(), env.starts()
    except ValueError:
        return False
    return True


def _estimates(
    dynamics: Dynamics, symmetry: Symmetry, samples: int, rng: np.random.Generator
) -> tuple[float, float]:
    """`gap_ratio` and `turned_share`."""
    steps = dynamics.collect(samples, rng, None)
    states, actions = steps.states, steps.actions
    others = dynamics.actions.draw(len(states), rng)
    if dynamics.actions.count is not None:  # any but the same one
        draw = rng.integers(1, dynamics.actions.count, size=len(states))
        others = (actions + draw) % dynamics.actions.count

    def follow(states: NDArray[Any], actions: NDArray[Any]) -> NDArray[np.float64]:
        """[n, d + 1] next states and rewards."""
        following, rewards, _ = dynamics.step(states, actions)
        return np.column_stack([following, rewards])

    def image(element: int, following: NDArray[np.float64]) -> NDArray[np.float64]:
        moved = symmetry.move_states(element, following[:, :-1])
        return np.column_stack([moved, following[:, -1:]])

    first, second = follow(states, actions), follow(states, others)
    change = np.sqrt(np.mean((first[:, :-1] - states) ** 2, axis=0))
    sizes = np.append(sizes_of(change, states), sizes_of(np.std(first[:, -1]), first[:, -1]))
    influence = np.linalg.norm((second - first) / sizes, axis=1)
    gap, turned = np.zeros(len(states)), np.zeros(len(states), bool)
    for element in symmetry.group.elements[1:]:
        moved = symmetry.move_states(element, states)
        found = [follow(moved, symmetry.move_actions(element, a)) for a in (actions, others)]
        expected = image(element, first), image(element, second)
        gap = np.maximum(gap, np.linalg.norm((found[0] - expected[0]) / sizes, axis=1))
        along = [(b - a) / sizes for a, b in (expected, found)]
        agreement = np.sum(along[0] * along[1], axis=1)
        # What is 0 up to rounding decides nothing here, and may decide something there.
        turned |= (agreement <= 1e-6 * influence**2) & (influence > 0)
    least = max(float(influence.mean()), np.finfo(np.float64).tiny)
    return float(gap.mean()) / least, float(turned.mean())
