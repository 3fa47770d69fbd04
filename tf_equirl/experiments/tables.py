"""Tables, for the terminal and as Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from rich.table import Table
from tabulate import tabulate

from tf_equirl.agents import TrainingResult
from tf_equirl.dynamics.result import TransitionResult
from tf_equirl.experiments.metrics import return_at, worst_tenth
from tf_equirl.experiments.statistics import decimals_for, mean_and_error, rounded

_STEPS = (1, 5, 10, 20, 50, 100, 200, 500)  # of rollouts, as far as episodes go on


def default_timesteps(total_timesteps: int) -> list[int]:
    """The timesteps that a table shows: 10,000, 100,000 and so on within the run, and its end."""
    ends = [10_000, 100_000, 500_000, 1_000_000]
    return [t for t in ends if t < 0.99 * total_timesteps] + [total_timesteps]


def timesteps_reached(result: TrainingResult, timesteps: Sequence[int]) -> list[int]:
    """Those of some timesteps that a run came to, and its end where it was stopped before one."""
    end = int(result.timesteps[-1]) if result.returns.size else 0
    kept = [t for t in timesteps if result.finished or t <= end]
    return kept if len(kept) == len(timesteps) or end in kept else [*kept, end]


def returns_table(
    results: Mapping[str, TrainingResult], timesteps: Sequence[int], title: str | None = None
) -> Table:
    """Mean return with two standard errors over seeds, a column for each result.

    Args:
        results: Training results by label.
        timesteps: The rows.
        title: Text above the table.

    Returns:
        A `rich` table; print it with `rich.print`.

    Raises:
        ValueError: If a timestep lies outside of a run.
    """
    table = Table(title=title, title_justify="left", min_width=len(title or ""))
    table.add_column("timestep", justify="right")
    for label in results:
        table.add_column(label, justify="right")
        table.add_column("worst tenth", justify="right", style="dim")
    for timestep in timesteps:
        cells = []
        for result in results.values():
            values = return_at(result, timestep)
            mean, error = mean_and_error(values)
            worst = values[worst_tenth(result)].mean()
            cells += [rounded(mean, error), f"{worst:.{decimals_for(error)}f}"]
        table.add_row(f"{timestep:,}", *cells)
    return table


def transition_table(result: TransitionResult, rollouts: np.ndarray, title: str) -> Table:
    """What a run's models are worth: means over seeds with two standard errors.

    Args:
        result: A run with validation data.
        rollouts: `[seeds, steps]`, as `rollout_errors` returns them; shown after 1, 5, 10, ...
            steps and the last one, as long as episodes go on. May have no steps.
        title: Text above the table.

    Returns:
        A `rich` table; print it with `rich.print`.
    """
    table = Table(title=title, title_justify="left", min_width=len(title))
    table.add_column("measure")
    table.add_column("mean", justify="right")
    table.add_column("worst seed", justify="right", style="dim")
    for name, values in result.validation.items():
        worst = np.min if name == "accuracy" else np.max
        final = values[:, -1]
        table.add_row(
            f"{name.replace('_', ' ')}, validation set", _mean(final), _text(worst(final))
        )
    lasting = int((~np.isnan(rollouts)).any(axis=0).sum())  # NaN: all episodes have ended
    kind = "wrong predictions" if "accuracy" in result.metric_names else "mean square"
    for steps in [k for k in _STEPS if k < lasting] + [lasting] * (lasting > 0):
        errors = rollouts[:, steps - 1]
        after = f"after {steps} step{'s' if steps > 1 else ''}"
        table.add_row(f"{kind} {after}", _mean(errors), _text(np.max(errors)))
    return table


def markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as GitHub reads it; the texts are taken as they are."""
    return tabulate(rows, headings, tablefmt="github", disable_numparse=True)


def _mean(values: np.ndarray) -> str:
    mean, error = mean_and_error(values.astype(float))
    return _text(mean) if math.isnan(error) else f"{_text(mean)} ± {error:.2g}"


def _text(value: float) -> str:
    return f"{value:.4g}"
