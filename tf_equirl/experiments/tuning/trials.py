"""What a search tried, and what came out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.table import Table

from tf_equirl.experiments.statistics import mean_and_error, rounded
from tf_equirl.training.config import field_text


@dataclasses.dataclass(frozen=True)
class Trial:
    """Some hyperparameters, and how good they were.

    Attributes:
        number: Of the trial, from 0.
        rung: How often it went on to a longer run (successive halving), from 0.
        values: The hyperparameters that were searched.
        timesteps: Environment steps of a seed.
        scores: The objective of every seed; None for one that became infinite or NaN.
        environment_steps: Of all seeds together, this rung's.
        gradient_steps: Likewise, planned ones and those of models included.
        seconds: Of training, its share of a run that it shared with others.
    """

    number: int
    rung: int
    values: Mapping[str, Any]
    timesteps: int
    scores: tuple[float | None, ...]
    environment_steps: int
    gradient_steps: int
    seconds: float

    @property
    def failed(self) -> bool:
        """Whether a seed became infinite or NaN, or finished no episode."""
        return None in self.scores

    @property
    def score(self) -> float:
        """Mean over seeds; minus infinity for a trial that failed."""
        return -np.inf if self.failed else float(np.mean(self.scores))  # type: ignore[arg-type]

    @property
    def error(self) -> float:
        """Two standard errors of it over seeds; NaN for a trial that failed."""
        return np.nan if self.failed else mean_and_error(np.array(self.scores, float))[1]


@dataclasses.dataclass(frozen=True)
class Tuned:
    """What a search found.

    Attributes:
        trials: All of them, in the order of their numbers and, of one number, of their rungs.
        best_config: The config of the best trial.
    """

    trials: tuple[Trial, ...]
    best_config: Any

    @property
    def best(self) -> Trial:
        """See `best_trial`."""
        return best_trial(self.trials)

    @property
    def environment_steps(self) -> int:
        """Of all trials and seeds."""
        return sum(t.environment_steps for t in self.trials)

    @property
    def gradient_steps(self) -> int:
        """Of all trials and seeds."""
        return sum(t.gradient_steps for t in self.trials)

    def ranked(self) -> list[Trial]:
        """The last rung of every trial: longer runs first, then better ones."""
        last = {t.number: t for t in self.trials}
        return sorted(last.values(), key=lambda t: (-t.timesteps, -t.score, t.number))


def best_trial(trials: Sequence[Trial]) -> Trial:
    """The best trial of the longest runs, of equal ones the first.

    Raises:
        ValueError: If all of these failed.
    """
    longest = max(t.timesteps for t in trials)
    best = max((t for t in trials if t.timesteps == longest), key=lambda t: t.score)
    if best.failed:
        raise ValueError(
            "at least one trial must keep finite numbers. Received: a search in which each of "
            f"{len(trials)} became infinite or NaN, or finished no episode"
        )
    return best


def trials_table(tuned: Tuned, count: int = 10, title: str | None = None) -> Table:
    """The best trials, for the terminal."""
    table = Table(title=title, title_justify="left")
    names = list(tuned.best.values)
    for name in ("trial", "timesteps", "score", *names):
        table.add_column(name.replace("_", " "), justify="right")
    for trial in tuned.ranked()[:count]:
        score = "failed" if trial.failed else rounded(trial.score, trial.error)
        values = [short_text(trial.values[name]) for name in names]
        table.add_row(str(trial.number), f"{trial.timesteps:,}", score, *values)
    return table


def trial_rows(tuned: Tuned) -> list[dict[str, Any]]:
    """A row for each trial and rung, for a CSV file."""
    return [
        {
            "trial": t.number,
            "rung": t.rung,
            "timesteps": t.timesteps,
            **{name: field_text(value) for name, value in t.values.items()},
            "score": t.score,
            "score_error": t.error,
            "seeds": len(t.scores),
            "environment_steps": t.environment_steps,
            "gradient_steps": t.gradient_steps,
            "seconds": round(t.seconds, 3),
        }
        for t in tuned.trials
    ]


def short_text(value: Any) -> str:
    """A value with three digits."""
    return f"{value:.3g}" if isinstance(value, float) else field_text(value)
