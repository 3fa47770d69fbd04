"""Tables of approximate equivariance by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tf_equirl._files import write_text_atomically
from tf_equirl.agents import TrainingResult
from tf_equirl.experiments.reports import to_csv
from tf_equirl.experiments.tuning import Tuned
from tf_equirl.reproductions.approximate.cells import (
    Cell,
    Cells,
    cell_rows,
    cells_markdown,
)
from tf_equirl.reproductions.approximate.pixels import (
    FromPixels,
    pixels_markdown,
    pixels_rows,
)
from tf_equirl.reproductions.approximate.plots import plot_cells, plot_theory
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
    yield from _write(cells_markdown(rows, found.tuned), rows, file)


def write_theory(theory: Theory, found: Any, file: Path) -> Shown:
    """The same of what is computed."""
    rows = theory_rows(found)
    plot_theory(rows, file.with_name(file.name + ".png"))
    yield from _write(theory_markdown(rows), rows, file)


def write_pixels(study: FromPixels, found: Any, file: Path) -> Shown:
    """The same of agents that see pictures, without a figure."""
    rows = pixels_rows(found)
    page = pixels_markdown(rows)
    for suffix, text in ((".md", page), (".csv", to_csv(rows))):
        write_text_atomically(file.with_name(file.name + suffix), text)
    yield page
    yield f"table: {file}.md, {file}.csv"


def _write(page: str, rows: list[dict[str, Any]], file: Path) -> Shown:
    for suffix, text in ((".md", page), (".csv", to_csv(rows))):
        write_text_atomically(file.with_name(file.name + suffix), text)
    yield page
    yield f"table: {file}.md, {file}.csv\nfigure: {file}.png"


TABLES: dict[str, Output] = {
    "approximate-catch": Output(
        APPROXIMATE, Theory, lambda theory, work: theory.gaps(), write_theory
    ),
    "approximate-cartpole": Output(APPROXIMATE, Cells, run_cells, write_cells),
    "approximate-pixels": Output(
        APPROXIMATE,
        FromPixels,
        lambda study, work: study.run(work.folder, work.num_seeds, work.seeds_per_chunk, work.call),
        write_pixels,
    ),
}
