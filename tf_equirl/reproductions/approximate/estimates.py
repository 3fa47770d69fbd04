"""Catch, broken by degrees: orbit gaps as trained critics estimate them, beside the true ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from tf_equirl import envs
from tf_equirl.agents import DQNConfig, TrainingResult
from tf_equirl.evaluation import ValueGaps, value_gaps, visited_observations
from tf_equirl.experiments.calls import Call, call_trainer
from tf_equirl.experiments.experiment import Column, Experiment
from tf_equirl.experiments.metrics import return_at
from tf_equirl.experiments.tables import markdown_table
from tf_equirl.reproductions.approximate.cells import Cell

STRENGTHS: Mapping[str, tuple[float, ...]] = {
    kind: (0.25, 1.0) for kind in ("gain", "gravity", "reflect", "repeat")
}
STATES = 1000
"""Observations that random actions lead to, of which each is taken once."""


@dataclasses.dataclass(frozen=True)
class Estimates:
    """Critics that know nothing of the symmetry, trained on Catch as its symmetry is broken.

    Attributes:
        strengths: By kind of breaking.
        config: How critics are trained; their returns are not discounted, as the true ones are not.
        num_seeds: How many critics.
    """

    strengths: Mapping[str, tuple[float, ...]] = dataclasses.field(
        default_factory=lambda: STRENGTHS
    )
    config: DQNConfig = dataclasses.replace(DQNConfig.preset("catch-mlp"), discount=1.0)
    num_seeds: int = 16

    def cells(self) -> Iterator[Cell]:
        """The one that is not broken, and all others."""
        yield Cell("none", 0.0)
        for kind, strengths in self.strengths.items():
            for kappa in strengths:
                yield Cell(kind, kappa)

    def run(
        self,
        folder: Path,
        num_seeds: int | None = None,
        seeds_per_chunk: int = 32,
        call: Call = call_trainer,
    ) -> dict[Cell, TrainingResult]:
        """Trains whatever is missing below `folder`; see `Experiment.train`."""
        found = {}
        for cell in self.cells():
            column = Column("critic", cell.name, self.config, arguments=cell.arguments)
            place = f"approximate-estimates/{cell.name}"
            experiment = Experiment(place, place, "Catch", (), (), (column,))
            seeds = self.num_seeds if num_seeds is None else num_seeds
            found[cell] = experiment.train(folder, seeds, seeds_per_chunk, call)[column]
        return found


def estimate_rows(found: Mapping[Cell, TrainingResult]) -> list[dict[str, Any]]:
    """A row for each cell: the truth, and what one critic and the mean of all say."""
    rows = []
    for cell, result in found.items():
        env = envs.Catch(**dict(cell.arguments))
        seen = np.unique(visited_observations(env, STATES), axis=0)
        true = _true_gaps(env, seen)
        critics = [result.model("q_function", seed) for seed in result.seeds]
        one, all_of_them = (
            value_gaps(models, env, observations=seen) for models in (critics[:1], critics)
        )
        rows.append(
            {
                "breaking": cell.kind,
                "kappa": cell.kappa,
                "critics": len(critics),
                "states": len(seen),
                "return": float(return_at(result, int(result.timesteps[-1])).mean()),
                "true_mean": float(true.mean()),
                "one_mean": one.mean,
                "mean": all_of_them.mean,
                "true_rms": float(np.sqrt(np.mean(true**2))),
                "one_rms": one.rms,
                "rms": all_of_them.rms,
                "rank_correlation": _correlation(true, all_of_them),
                "true_price": float(true.max()) / 2,
                "price": all_of_them.price,
            }
        )
    return rows


def estimates_markdown(rows: list[dict[str, Any]]) -> str:
    """The page."""
    cells = [
        [
            row["breaking"],
            f"{row['kappa']:g}",
            f"{row['return']:.2f}",
            *(f"{row[name]:.3f}" for name in ("true_rms", "rms", "one_rms")),
            *(f"{row[name]:.3f}" for name in ("true_mean", "mean", "one_mean")),
            "–" if np.isnan(row["rank_correlation"]) else f"{row['rank_correlation']:.2f}",
            *(f"{row[name]:.2f}" for name in ("true_price", "price")),
        ]
        for row in rows
    ]
    head = ["broken by", "kappa", "return", "true rms", "estimated", "by one critic"]
    head += ["true mean", "estimated", "by one critic", "rank correlation"]
    head += ["true price", "estimated"]
    return (
        "**Orbit gaps |Q(g s, g a) - Q(s, a)| on Catch, true and estimated** by "
        f"{rows[0]['critics']} critics without the symmetry (DQN, not discounted), over all "
        "actions in the states that random actions lead to. *Return*: of the exploring policies at "
        "the end. *Rms*: root of "
        "the mean square, of several critics the product of the gaps of two of them; *mean*, "
        "*price* (half of the largest) and *rank correlation* (Spearman's, over states and "
        "actions): of the mean of the critics.\n\n" + markdown_table(head, cells) + "\n"
    )


def _true_gaps(env: envs.Catch, seen: np.ndarray) -> np.ndarray:
    """[states, actions] of observations, by dynamic programming."""
    known = np.asarray(env.observe(env.all_states()))
    places = {row.tobytes(): k for k, row in enumerate(known)}
    return envs.symmetry_gaps(env).orbit_gaps[[places[row.tobytes()] for row in seen]]


def _correlation(true: np.ndarray, estimated: ValueGaps) -> float:
    """Spearman's; NaN where the true gaps are all alike."""
    if np.ptp(true) < 1e-9:
        return float("nan")
    return float(spearmanr(true.ravel(), estimated.gaps.max(axis=0).ravel()).statistic)
