"""What greedy episodes during a run gave."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

FILE = "evaluations.csv"
HEADER = ("seed", "update", "timestep", "episodes", "mean_return")
"""Of the table in a run folder; `update` is the number of those made before."""


def _none() -> Any:
    return np.zeros([0], np.int64)


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluations:
    """Greedy episodes that were played while a run went on.

    Attributes:
        returns: `[seeds, evaluations]`, a seed's mean return over its episodes, not discounted; NaN
            from the update on in which the seed became non-finite, and where its network gave NaN.
        updates: `[evaluations]`, updates that were made before each.
        timesteps: `[evaluations]`, environment steps of a seed before each.
        episodes: `[evaluations]`, how many each seed played.
    """

    returns: NDArray[np.float64] = dataclasses.field(default_factory=lambda: np.zeros([0, 0]))
    updates: NDArray[np.int64] = dataclasses.field(default_factory=_none)
    timesteps: NDArray[np.int64] = dataclasses.field(default_factory=_none)
    episodes: NDArray[np.int64] = dataclasses.field(default_factory=_none)

    @classmethod
    def none(cls, seeds: int) -> Evaluations:
        """Of a run of so many seeds that was not evaluated."""
        return cls(np.zeros([seeds, 0]))

    @property
    def last_update(self) -> int:
        """Updates that were made before the last one; 0 where there is none."""
        return int(self.updates[-1]) if len(self.updates) else 0

    def and_one(
        self, returns: NDArray[np.floating], update: int, timestep: int, episodes: int
    ) -> Evaluations:
        """These and one more, of returns `[seeds]`."""
        return Evaluations(
            np.concatenate([self.returns, np.asarray(returns, np.float64)[:, np.newaxis]], axis=1),
            np.append(self.updates, update),
            np.append(self.timesteps, timestep),
            np.append(self.episodes, episodes),
        )

    def of(self, seeds: slice | Sequence[int]) -> Evaluations:
        """Those of some rows of seeds."""
        return dataclasses.replace(self, returns=self.returns[seeds])

    def rows(self, seeds: Sequence[int]) -> list[list[Any]]:
        """Those of the table: one for each seed and evaluation that is known of it."""
        when = list(zip(self.updates, self.timesteps, self.episodes, strict=True))
        return [
            [seed, *when[column], f"{value:.6g}"]
            for seed, of_seed in zip(seeds, self.returns, strict=True)
            for column, value in enumerate(of_seed)
            if not np.isnan(value)
        ]


def joined(parts: Sequence[Evaluations]) -> Evaluations:
    """The evaluations that all parts have, of the seeds of all of them, one after the other."""
    keys = [list(zip(p.updates, p.timesteps, p.episodes, strict=True)) for p in parts]
    shared = [key for key in keys[0] if all(key in of_part for of_part in keys)]
    columns = [[of_part.index(key) for key in shared] for of_part in keys]
    first = parts[0]
    return Evaluations(
        np.concatenate([p.returns[:, c] for p, c in zip(parts, columns, strict=True)]),
        first.updates[columns[0]],
        first.timesteps[columns[0]],
        first.episodes[columns[0]],
    )
