"""Tables of approximate equivariance by name."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tf_equirl._files import write_text_atomically
from tf_equirl.agents import TrainingResult
from tf_equirl.experiments.reports import to_csv
from tf_equirl.experiments.tuning import Tuned
from tf_equirl.reproductions.approximate.cells import Cell, Cells
from tf_equirl.reproductions.approximate.cells_report import cell_rows, cells_markdown
from tf_equirl.reproductions.approximate.control import TASKS, Control, ControlCell, Measured
from tf_equirl.reproductions.approximate.control_rates import (
    ControlRates,
    rate_rows,
    rates_markdown,
)
from tf_equirl.reproductions.approximate.control_report import control_markdown, control_rows
from tf_equirl.reproductions.approximate.estimates import (
    Estimates,
    estimate_rows,
    estimates_markdown,
)
from tf_equirl.reproductions.approximate.pixels import (
    FoundFromPixels,
    FromPixels,
    pixels_markdown,
    pixels_rows,
)
from tf_equirl.reproductions.approximate.plots import plot_cells, plot_control, plot_theory
from tf_equirl.reproductions.approximate.stocks import Stocks
from tf_equirl.reproductions.approximate.stocks_report import (
    stock_rows,
    stocks_markdown,
    weight_rows,
)
from tf_equirl.reproductions.approximate.theory import Theory, theory_markdown, theory_rows
from tf_equirl.reproductions.thesis.outputs import Output, Shown, Work

APPROXIMATE = "approximate equivariance"


class Found(NamedTuple):
    """Agents of all cells, and how they were tuned, by kind of breaking."""

    results: Mapping[Cell, Mapping[str, TrainingResult]]
    tuned: Mapping[str, Mapping[str, Tuned]]


def run_cells(cells: Cells, work: Work) -> Found:
    """Tunes and trains whatever is missing."""
    tuned = cells.tuned(work.folder, work.call)
    results = cells.run(tuned, work.folder, work.num_seeds, work.seeds_per_chunk, work.call)
    return Found(results, tuned)


def write_cells(cells: Cells, found: Found, file: Path) -> Shown:
    """Writes the page, the numbers and the figure; yields what a user should read."""
    rows = cell_rows(cells, found.results)
    plot_cells(rows, file.with_name(file.name + ".png"))
    yield from _write(cells_markdown(rows, found.tuned), rows, file, figure=True)


def run_estimates(estimates: Estimates, work: Work) -> Mapping[Cell, TrainingResult]:
    """Trains whatever is missing."""
    return estimates.run(work.folder, work.num_seeds, work.seeds_per_chunk, work.call)


def write_estimates(estimates: Estimates, found: Any, file: Path) -> Shown:
    """Writes the page and the numbers; yields what a user should read."""
    rows = estimate_rows(found)
    yield from _write(estimates_markdown(rows), rows, file)


def write_theory(theory: Theory, found: Any, file: Path) -> Shown:
    """Writes the page, the numbers and the figure of what is computed."""
    rows = theory_rows(found)
    plot_theory(rows, file.with_name(file.name + ".png"))
    yield from _write(theory_markdown(rows), rows, file, figure=True)


class FoundControl(NamedTuple):
    """Agents of all cells, and the areas under the curve by which learning rates were found."""

    measured: Mapping[ControlCell, Mapping[str, Measured]]
    rates: Mapping[str, Mapping[float, float]]


def run_control(control: Control, work: Work) -> FoundControl:
    """Finds learning rates, trains and measures whatever is missing."""
    rates = control.found_rates(work.folder, work.call)
    measured = control.run(rates, work.folder, work.num_seeds, work.seeds_per_chunk, work.call)
    return FoundControl(measured, rates)


def write_control(control: Control, found: FoundControl, file: Path) -> Shown:
    """The same of control tasks."""
    rows = control_rows(found.measured)
    plot_control(rows, control.shares, file.with_name(file.name + ".png"))
    yield from _write(control_markdown(control, rows, found.rates), rows, file, figure=True)


def write_rates(study: ControlRates, found: Any, file: Path) -> Shown:
    """The same of their learning rates, without a figure."""
    rows = rate_rows(found)
    yield from _write(rates_markdown(study, rows), rows, file)


def write_stocks(stocks: Stocks, found: Any, file: Path) -> Shown:
    """The same of traders, without a figure."""
    rows = stock_rows(stocks, found)
    page = stocks_markdown(stocks, rows, weight_rows(stocks, found))
    yield from _write(page, rows, file)


def write_pixels(study: FromPixels, found: FoundFromPixels, file: Path) -> Shown:
    """The same of agents that see pictures, without a figure."""
    rows = pixels_rows(found)
    yield from _write(pixels_markdown(study, rows, found.rates), rows, file)


def _write(page: str, rows: list[dict[str, Any]], file: Path, figure: bool = False) -> Shown:
    for suffix, text in ((".md", page), (".csv", to_csv(rows))):
        write_text_atomically(file.with_name(file.name + suffix), text)
    yield page
    yield f"table: {file}.md, {file}.csv" + f"\nfigure: {file}.png" * figure


TABLES: dict[str, Output] = {
    "approximate-catch": Output(
        APPROXIMATE, Theory, lambda theory, work: theory.gaps(), write_theory
    ),
    "approximate-cartpole": Output(APPROXIMATE, Cells, run_cells, write_cells),
    "approximate-estimates": Output(APPROXIMATE, Estimates, run_estimates, write_estimates),
    "approximate-control": Output(APPROXIMATE, Control, run_control, write_control),
    **{
        f"approximate-control-{task.lower()}": Output(
            APPROXIMATE, functools.partial(Control, tasks=(task,)), run_control, write_control
        )
        for task in TASKS
    },
    "approximate-control-rates": Output(
        APPROXIMATE,
        ControlRates,
        lambda study, work: study.run(work.folder, work.call),
        write_rates,
    ),
    "approximate-stocks": Output(
        APPROXIMATE,
        Stocks,
        lambda stocks, work: stocks.run(
            work.folder, work.num_seeds, work.seeds_per_chunk, work.call
        ),
        write_stocks,
    ),
    "approximate-pixels": Output(
        APPROXIMATE,
        FromPixels,
        lambda study, work: study.run(work.folder, work.num_seeds, work.seeds_per_chunk, work.call),
        write_pixels,
    ),
}
