"""The tables and figures of agents that plan, which `launchers.reproduce` writes.

Each is a function of the folder, the number of seeds (None: the experiment's own) and the seeds of
a chunk; a table and a figure of one experiment share their runs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import rich

from tf_equirl import experiments
from tf_equirl._files import write_text_atomically
from tf_equirl.agents import TrainingResult
from tf_equirl.dyna import DynaConfig
from tf_equirl.experiments import Experiment

from . import common

Writer = Callable[[Path, int | None, int], None]


def _train_below(folder: Path) -> Callable[..., TrainingResult]:
    """`train_ppo` or `train_dyna` with a progress bar that names the run."""

    def train(env, config, seeds, run_dir, *, resume, **model: Any) -> TrainingResult:
        label = str(run_dir.relative_to(folder))
        if isinstance(config, DynaConfig):
            return common.dyna_with_progress(env, config, seeds, run_dir, resume, label, **model)
        return common.train_with_progress(env, config, seeds, run_dir, resume, label)

    return train


def _table(make: Callable[[], Experiment], name: str) -> Writer:
    def write(folder: Path, num_seeds: int | None, seeds_per_chunk: int) -> None:
        experiment = make()
        results = experiment.train(folder, num_seeds, seeds_per_chunk, _train_below(folder))
        rows = experiments.tidy_rows(experiment, results)
        report = experiments.to_markdown(experiment, results, rows)
        report += "\n" + experiments.planning_markdown(experiment, results)
        write_text_atomically(folder / f"table_{name}.md", report)
        write_text_atomically(folder / f"table_{name}.csv", experiments.to_csv(rows))
        rich.print(experiments.summary_table(experiment, results))
        print(f"table: {folder / f'table_{name}'}.md, .csv")

    return write


def _curves(make: Callable[[], Experiment], name: str) -> Writer:
    def write(folder: Path, num_seeds: int | None, seeds_per_chunk: int) -> None:
        experiment = make()
        results = experiment.train(folder, num_seeds, seeds_per_chunk, _train_below(folder))
        shown = experiments.common_part(list(results.values()))
        by_label = {c.label: r for c, r in zip(results, shown, strict=True)}
        thesis = {
            c.label: [(t, *point) for t, point in experiment.thesis(c).items()] for c in results
        }
        image = folder / f"figure_{name}.png"
        experiments.plot_learning_curves(by_label, image, experiment.title, thesis)
        print(f"figure: {image}")

    return write


def _drawn(
    make: Callable[[], Experiment], name: str, draw: Callable[[Experiment, Any, Path], None]
) -> Writer:
    def write(folder: Path, num_seeds: int | None, seeds_per_chunk: int) -> None:
        experiment = make()
        results = experiment.train(folder, num_seeds, seeds_per_chunk, _train_below(folder))
        rows = experiments.tidy_rows(experiment, results)
        image = folder / f"figure_{name}.png"
        draw(experiment, results, image)
        write_text_atomically(image.with_suffix(".csv"), experiments.to_csv(rows))
        print(f"figure: {image}, numbers: {image.with_suffix('.csv')}")

    return write


_SUPERVISED = {
    "CartPole": experiments.supervised_cartpole,
    "Catch": experiments.supervised_catch,
}
TABLES: dict[str, Writer] = {
    "4.5": _table(_SUPERVISED["CartPole"], "4.5"),
    "4.6": _table(_SUPERVISED["Catch"], "4.6"),
    "dyna-cartpole": _table(experiments.online_cartpole, "dyna-cartpole"),
    "dyna-catch": _table(experiments.online_catch, "dyna-catch"),
}
FIGURES: dict[str, Writer] = {
    "4.8": _curves(_SUPERVISED["CartPole"], "4.8"),
    "4.10": _curves(_SUPERVISED["Catch"], "4.10"),
    "dyna-cartpole": _curves(experiments.online_cartpole, "dyna-cartpole"),
    "dyna-catch": _curves(experiments.online_catch, "dyna-catch"),
    "5.2": _drawn(
        lambda: experiments.supervised_ratios("CartPole"), "5.2", experiments.plot_ratios
    ),
    "5.7": _drawn(lambda: experiments.supervised_ratios("Catch"), "5.7", experiments.plot_ratios),
    "4.11": _drawn(lambda: experiments.dyna_sweep("CartPole"), "4.11", experiments.plot_sweep),
    "4.12": _drawn(lambda: experiments.dyna_sweep("Catch"), "4.12", experiments.plot_sweep),
}
