"""Tables and figures of networks for pictures by name."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tf_equirl._files import write_text_atomically
from tf_equirl.experiments.experiment import Experiment
from tf_equirl.experiments.plots import plot_learning_curves
from tf_equirl.experiments.reports import summary_table, tidy_rows, to_csv, to_markdown
from tf_equirl.reproductions.pictures.grid_world import grid_world, grid_world_markdown
from tf_equirl.reproductions.pictures.pong import pong, pong_markdown
from tf_equirl.reproductions.pictures.snake import snake, snake_markdown
from tf_equirl.reproductions.thesis.outputs import Output, Shown, Work

PICTURES = "networks for pictures"


def train(experiment: Experiment, work: Work) -> Any:
    """Trains whatever is missing."""
    return experiment.train(work.folder, work.num_seeds, work.seeds_per_chunk, work.call)


def write(
    further_markdown: Callable[..., str], experiment: Experiment, results: Any, file: Path
) -> Shown:
    """Writes the page, the numbers and the figure; yields what a user should read."""
    rows = tidy_rows(experiment, results)
    further = further_markdown(experiment, results)
    page = to_markdown(experiment, results, rows) + "\n" + further + "\n"
    write_text_atomically(file.with_name(file.name + ".md"), page)
    write_text_atomically(file.with_name(file.name + ".csv"), to_csv(rows))
    by_label = {column.label: result for column, result in results.items()}
    plot_learning_curves(by_label, file.with_name(file.name + ".png"), experiment.title)
    yield summary_table(experiment, results)
    yield further
    yield f"table: {file}.md, {file}.csv\nfigure: {file}.png"


_write_grid_world = functools.partial(write, grid_world_markdown)

TABLES: dict[str, Output] = {
    "gridworld": Output(PICTURES, grid_world, train, _write_grid_world),
    "gridworld-255": Output(PICTURES, lambda: grid_world(1 / 255), train, _write_grid_world),
    "pong": Output(PICTURES, pong, train, functools.partial(write, pong_markdown)),
    "snake": Output(PICTURES, snake, train, functools.partial(write, snake_markdown)),
}
