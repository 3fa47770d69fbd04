"""Reproduces a table or a figure of the thesis: trains what is missing, then writes the report.

    python -m launchers.reproduce --table=4.2

Interrupted, the same command goes on where it was. What it writes is explained in
docs/reproduction.md.
"""

from __future__ import annotations

from pathlib import Path

import rich
from absl import flags

from tf_equirl import experiments
from tf_equirl._files import write_text_atomically
from tf_equirl.agents import TrainingResult

from . import common

_TABLES = {"4.2": experiments.cartpole, "4.4": experiments.catch}
_FIGURES = {"4.3": experiments.cartpole, "4.4": experiments.catch}

_TABLE = flags.DEFINE_enum(
    "table", None, list(_TABLES), "table of the thesis: 4.2 is CartPole, 4.4 is Catch"
)
_FIGURE = flags.DEFINE_enum(
    "figure", None, list(_FIGURES), "figure of the thesis: 4.3 is CartPole, 4.4 is Catch"
)
_SCHEDULE = flags.DEFINE_enum(
    "schedule",
    None,
    list(experiments.SCHEDULES),
    "learning rate (default: what the thesis' numbers agree with, annealed for CartPole, constant "
    "for Catch)",
)
_NUM_SEEDS = flags.DEFINE_integer("num_seeds", 128, "agents of each kind")
_SEEDS_PER_CHUNK = flags.DEFINE_integer(
    "seeds_per_chunk", 32, "agents trained side by side and kept as one run folder"
)
_OUT_DIR = flags.DEFINE_string("out_dir", "runs/reproduce", "folder for runs, tables and figures")


def main() -> None:
    """Trains, then writes the table and the figure that were asked for."""
    wanted = [
        (kind, number, experiments_of[number])
        for kind, number, experiments_of in (
            ("table", _TABLE.value, _TABLES),
            ("figure", _FIGURE.value, _FIGURES),
        )
        if number is not None
    ]
    if not wanted:
        raise ValueError("--table or --figure must be given. Received: neither")
    folder = Path(_OUT_DIR.value)
    for kind, number, make in wanted:
        experiment = make(_SCHEDULE.value) if _SCHEDULE.value else make()
        suffix = "" if experiment == make() else f"_{_SCHEDULE.value}"
        file = folder / f"{kind}_{number}{suffix}"
        results = experiment.train(folder, _NUM_SEEDS.value, _SEEDS_PER_CHUNK.value, _train)
        if kind == "table":
            _write_table(experiment, results, file)
        else:
            _draw_figure(experiment, results, file)


def run() -> None:
    """Entry point of the console script."""
    common.launch(main, lambda: "What was trained is saved: run the same command to go on.")


def _train(env, config, seeds, run_dir, *, resume) -> TrainingResult:
    label = f"{run_dir.parent.parent.name}/{run_dir.parent.name} {run_dir.name}"
    return common.train_with_progress(env, config, seeds, run_dir, resume, label)


def _write_table(experiment, results, file: Path) -> None:
    rows = experiments.tidy_rows(experiment, results)
    report = experiments.to_markdown(experiment, results, rows)
    write_text_atomically(file.with_name(file.name + ".md"), report)
    write_text_atomically(file.with_name(file.name + ".csv"), experiments.to_csv(rows))
    rich.print(experiments.summary_table(experiment, results))
    print(f"table: {file}.md, {file}.csv")


def _draw_figure(experiment, results, file: Path) -> None:
    image = file.with_name(file.name + ".png")
    by_label = {column.label: result for column, result in results.items()}
    thesis = {
        column.label: [(t, *point) for t, point in experiment.thesis(column).items()]
        for column in results
    }
    experiments.plot_learning_curves(by_label, image, experiment.title, thesis)
    print(f"figure: {image}")


if __name__ == "__main__":
    run()
