"""Tables, for the terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table
from tabulate import tabulate

from tf_equirl.agents import TrainingResult
from tf_equirl.experiments.metrics import return_at, worst_tenth
from tf_equirl.experiments.statistics import decimals_for, mean_and_error, rounded


def default_timesteps(total_timesteps: int) -> list[int]:
    """The timesteps that a table shows: 10,000, 100,000 and so on within the run, and its end."""
    ends = [10_000, 100_000, 500_000, 1_000_000]
    return [t for t in ends if t < 0.99 * total_timesteps] + [total_timesteps]


def returns_table(
    results: Mapping[str, TrainingResult], timesteps: Sequence[int], title: str | None = None
) -> Table:
    """Mean return with two standard errors over seeds, a column for each result.

    Args:
      results: training results by label.
      timesteps: the rows.
      title: text above the table.

    Returns:
      A `rich` table; print it with `rich.print`.

    Raises:
      ValueError: if a timestep lies outside of a run.
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


def markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as GitHub reads it; the texts are taken as they are."""
    return tabulate(rows, headings, tablefmt="github", disable_numparse=True)
