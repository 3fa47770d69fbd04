"""The report of a reproduced table: one tidy CSV, one Markdown page for people."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from rich.table import Table

from tf_equirl.agents import TrainingResult
from tf_equirl.experiments.experiment import Column, Experiment
from tf_equirl.experiments.metrics import (
    area_under_curve,
    common_part,
    first_timestep_reaching,
    return_at,
    single_environment_return_at,
    worst_tenth,
)
from tf_equirl.experiments.statistics import (
    Difference,
    decimals_for,
    interquartile_mean,
    mean_and_error,
    paired_difference,
    rounded,
)
from tf_equirl.experiments.tables import markdown_table
from tf_equirl.models.widths import trained_parameters

Results = Mapping[Column, TrainingResult]

_COLUMNS_IN_TERMINAL = 3  # with errors beside the means and not below them


def summary_table(experiment: Experiment, results: Results) -> Table:
    """Mean returns with two standard errors and numbers of weights; a row for each agent.

    Args:
        experiment: The experiment.
        results: As `Experiment.train` returns them.

    Returns:
        A `rich` table that fits a terminal.
    """
    seeds = len(next(iter(results.values())).seeds)
    table = Table(title=f"{experiment.title}, {seeds} seeds (in brackets: the thesis)")
    table.add_column("agent")
    for timestep in experiment.timesteps:
        table.add_column(f"at {timestep:,}", justify="right", no_wrap=True)
    for column, result in results.items():
        thesis = experiment.thesis(column)
        cells = [rounded(*mean_and_error(return_at(result, t))) for t in experiment.timesteps]
        if len(cells) > _COLUMNS_IN_TERMINAL:
            cells = [cell.replace(" ±", "\n±") for cell in cells]
        cells = [
            f"{cell}\n({_as_printed(*thesis[t])})" if t in thesis else cell
            for t, cell in zip(experiment.timesteps, cells, strict=True)
        ]
        size = f"{sum(parameter_counts(result)):,} weights"
        table.add_row(f"{column.label}\n[dim]{size}[/dim]", *cells, end_section=True)
    return table


def tidy_rows(experiment: Experiment, results: Results) -> list[dict[str, object]]:
    """All statistics, one row for each agent and timestep.

    Args:
        experiment: The experiment.
        results: As `Experiment.train` returns them.

    Returns:
        Dictionaries with equal keys. Errors are two standard errors, `_low` and `_high` the ends of
        95 % intervals, `thesis_reading` the mean of `single_environment_return_at`, and
        `minus_baseline` the paired difference to the first agent.
    """
    full, results = results, _common(results)
    cut = any(full[column] is not results[column] for column in results)
    baseline = results[experiment.columns[0]]
    span = f"first {baseline.timesteps[-1]:,} steps" if cut else "whole run"
    rows: list[dict[str, object]] = []
    for timestep in (*experiment.timesteps, None):
        for column, result in results.items():
            read = _reader(timestep)
            values = read(result)
            mean, error = mean_and_error(values)
            middle = interquartile_mean(values)
            difference = paired_difference(values, read(baseline))
            thesis: tuple = (None, None)
            reading: tuple = (None, None)
            if timestep is not None:
                reading = mean_and_error(single_environment_return_at(result, timestep))
                thesis = experiment.thesis(column).get(timestep, thesis)
            rows.append(
                {
                    "timestep": span if timestep is None else timestep,
                    "agent": column.label,
                    "seeds": len(values),
                    "thesis": thesis[0],
                    "thesis_error": thesis[1],
                    "thesis_reading": reading[0],
                    "thesis_reading_error": reading[1],
                    "mean": mean,
                    "error": error,
                    "interquartile_mean": middle.value,
                    "interquartile_mean_low": middle.low,
                    "interquartile_mean_high": middle.high,
                    "worst_tenth": float(values[worst_tenth(result)].mean()),
                    "minus_baseline": difference.mean,
                    "minus_baseline_low": difference.low,
                    "minus_baseline_high": difference.high,
                    "minus_baseline_standard_errors": difference.standard_errors,
                }
            )
    return rows


def to_csv(rows: Sequence[Mapping[str, object]]) -> str:
    """The rows as CSV with a heading."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def to_markdown(experiment: Experiment, results: Results, rows: Sequence[Mapping[str, Any]]) -> str:
    """The report: returns, differences, first timesteps, sizes and costs, as Markdown tables.

    Args:
        experiment: The experiment.
        results: As `Experiment.train` returns them.
        rows: What `tidy_rows` makes of both.
    """
    seeds = len(next(iter(results.values())).seeds)
    labels = [column.label for column in results]
    span = rows[-1]["timestep"]
    of_thesis = ""
    if any(column.thesis for column in results):
        of_thesis = (
            ", *thesis* what the thesis prints, *one instant* our runs read as the thesis reads "
            "its own (± two standard errors)"
        )
    parts = [
        f"**{experiment.title}, {seeds} seeds.** Return at a timestep; *mean* ± two standard "
        "errors over seeds, *IQM* interquartile mean [95 % bootstrap interval], *worst tenth* mean "
        f"over the seeds with the least area under their curve{of_thesis}.",
        markdown_table(["timestep", "", *labels], _return_rows(rows)),
        "**Differences over the same seeds**: mean [95 % interval], and in standard errors.",
        markdown_table(
            ["", *(f"{timestep:,}" for timestep in experiment.timesteps), f"{span} (area)"],
            _difference_rows(experiment, results),
        ),
        "**First timestep** at which the mean over seeds, averaged over 512 steps, reaches a "
        "level.",
        markdown_table(["level", *labels], _level_rows(experiment, results)),
        "**Parameters** (in brackets: against the first column) and **cost**.",
        markdown_table(["", *labels], _size_rows(results)),
    ]
    return "\n\n".join(parts) + "\n"


def parameter_counts(result: TrainingResult) -> tuple[int, int]:
    """Numbers of trained parameters of what acts, and of the critic; 0 where there is none."""
    seed = result.seeds[0]
    critic = trained_parameters(result.critic(seed)) if "critic" in result.networks else 0
    return trained_parameters(result.actor(seed)), critic


def _reader(timestep: int | None) -> Callable[[TrainingResult], np.ndarray]:
    """What gives every seed's number: the return at a timestep, or the area under the curve."""
    if timestep is None:
        return area_under_curve
    return lambda result: return_at(result, timestep)


def _common(results: Results) -> dict[Column, TrainingResult]:
    """The results, cut to the length of the shortest."""
    return dict(zip(results, common_part(list(results.values())), strict=True))


def _return_rows(tidy: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    rows = []
    for row in _grouped(tidy):
        timestep = row[0]["timestep"]
        heading = f"{timestep:,}" if isinstance(timestep, int) else f"{timestep} (area)"
        if isinstance(timestep, int) and any(cell["thesis"] is not None for cell in row):
            thesis = [
                "" if cell["thesis"] is None else _as_printed(cell["thesis"], cell["thesis_error"])
                for cell in row
            ]
            rows.append([heading, "thesis", *thesis])
            reading = [
                rounded(cell["thesis_reading"], cell["thesis_reading_error"]) for cell in row
            ]
            rows.append(["", "one instant", *reading])
            heading = ""
        rows.append([heading, "mean", *(f"**{rounded(c['mean'], c['error'])}**" for c in row)])
        rows.append(["", "IQM", *(_with_interval(c) for c in row)])
        worst = [f"{c['worst_tenth']:.{decimals_for(c['error'])}f}" for c in row]
        rows.append(["", "worst tenth", *worst])
    return rows


def _as_printed(mean: float, error: float) -> str:
    """Both with the decimals of the longer one."""
    decimals = max(len(f"{number:g}".partition(".")[2]) for number in (mean, error))
    return f"{mean:.{decimals}f} ± {error:.{decimals}f}"


def _grouped(rows: Sequence[Mapping]) -> list[list[Mapping]]:
    timesteps = list(dict.fromkeys(row["timestep"] for row in rows))
    return [[row for row in rows if row["timestep"] == timestep] for timestep in timesteps]


def _with_interval(cell: Mapping) -> str:
    decimals = decimals_for(cell["error"])
    ends = (cell["interquartile_mean_low"], cell["interquartile_mean_high"])
    low, high = (f"{end:.{decimals}f}" for end in ends)
    return f"{cell['interquartile_mean']:.{decimals}f} [{low}, {high}]"


def _pairs(experiment: Experiment, results: Results) -> list[tuple[Column, Column]]:
    """Every agent against the baseline, then the experiment's further comparisons."""
    first, *others = results
    by_name = {column.name: column for column in results}
    further = [
        (by_name[a], by_name[b]) for a, b in experiment.comparisons if {a, b} <= set(by_name)
    ]
    return [(column, first) for column in others] + further


def _difference_rows(experiment: Experiment, results: Results) -> list[list[str]]:
    results = _common(results)
    return [
        [
            f"{column.label} − {other.label}",
            *(
                difference_text(paired_difference(read(results[column]), read(results[other])))
                for read in map(_reader, (*experiment.timesteps, None))
            ),
        ]
        for column, other in _pairs(experiment, results)
    ]


def difference_text(difference: Difference) -> str:
    """ "+86 [+60, +113] +6.4 SE": mean, 95 % interval, and the mean in standard errors."""
    mean, low, high, standard_error = difference
    if mean == standard_error == 0:
        return "equal in every seed"
    decimals = decimals_for(2 * standard_error)
    interval = f"[{low:+.{decimals}f}, {high:+.{decimals}f}]"
    return f"{mean:+.{decimals}f} {interval} {difference.standard_errors:+.1f} SE"


def _level_rows(experiment: Experiment, results: Results) -> list[list[str]]:
    def cell(result: TrainingResult, level: float) -> str:
        timestep = first_timestep_reaching(result, level)
        return "never" if timestep is None else f"{timestep:,}"

    return [
        [f"{level:g}", *(cell(result, level) for result in results.values())]
        for level in experiment.levels
    ]


def _size_rows(results: Results) -> list[list[str]]:
    counts = np.array([parameter_counts(result) for result in results.values()])
    both = np.column_stack([counts, counts.sum(axis=1)])
    rows = []
    for name, numbers in zip(("actor", "critic", "both"), both.T, strict=True):
        first, *others = (int(n) for n in numbers)
        compared = [f" ({100 * (n / first - 1):+.1f} %)" if first and n else "" for n in others]
        counted = [f"{n:,}" if n else "none" for n in (first, *others)]
        both_said = [text + change for text, change in zip(counted, ["", *compared], strict=True)]
        rows.append([f"parameters, {name}", *both_said])
    seconds = [f"{math.ceil(result.run_seconds)}" for result in results.values()]
    speeds = [f"{result.steps_per_second:,.0f}" for result in results.values()]
    return [*rows, ["training time, s", *seconds], ["steps/s over all seeds", *speeds]]
