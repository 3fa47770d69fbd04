"""The tables and figures of transition models that `launchers.reproduce` writes.

Each is a function of the folder and the number of seeds; those of one environment share their runs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tf_equirl import experiments
from tf_equirl._files import write_text_atomically
from tf_equirl.dyna import TransitionResult
from tf_equirl.experiments import Report, ResultsByCell, TransitionExperiment

from . import common

NUM_SEEDS = 16


def _fit_below(folder: Path) -> Callable[..., TransitionResult]:
    """`fit_transition_model` with a progress bar that names the run."""

    def fit(env, data, config, seeds, run_dir, *, validation, resume):
        label = str(run_dir.relative_to(folder))
        return common.fit_with_progress(
            env, data, config, seeds, run_dir, validation=validation, resume=resume, label=label
        )

    return fit


def _train(experiment: TransitionExperiment, folder: Path, num_seeds: int) -> ResultsByCell:
    return experiment.train(folder, num_seeds, fit=_fit_below(folder))


def _cartpole_table(folder: Path, num_seeds: int) -> None:
    experiment = experiments.cartpole_transitions()
    results = _train(experiment, folder, num_seeds)
    _write(experiments.cartpole_report(experiment, results), folder / "table_transitions-cartpole")


def _catch_table(folder: Path, num_seeds: int) -> None:
    experiment = experiments.catch_transitions()
    results = _train(experiment, folder, num_seeds)
    _write(experiments.catch_report(experiment, results), folder / "table_transitions-catch")


def _equivariance_table(folder: Path, num_seeds: int) -> None:
    both = (experiments.catch_transitions(), experiments.cartpole_transitions())
    trained = [(experiment, _train(experiment, folder, num_seeds)) for experiment in both]
    _write(experiments.equivariance_report(trained), folder / "table_transitions-equivariance")


def _sizes_table(folder: Path, num_seeds: int) -> None:
    experiment = experiments.cartpole_transitions()
    results = experiment.train_sizes(folder, num_seeds, fit=_fit_below(folder))
    file = folder / "table_transitions-sizes"
    _write(experiments.sizes_report(experiment, results), file)
    image = folder / "figure_transitions-sizes.png"
    experiments.plot_sizes(experiment, results, image)
    print(f"figure: {image}")


def _correlation_figure(folder: Path, num_seeds: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    image = folder / "figure_4.5.png"
    experiments.plot_image_correlation(experiments.catch_transitions(), image)
    print(f"figure: {image}")


def _cartpole_figure(folder: Path, num_seeds: int) -> None:
    experiment = experiments.cartpole_transitions()
    image = folder / "figure_4.6.png"
    experiments.plot_cartpole_errors(experiment, _train(experiment, folder, num_seeds), image)
    print(f"figure: {image}")


def _angle_figure(folder: Path, num_seeds: int) -> None:
    experiment = experiments.cartpole_transitions()
    rows = experiments.errors_by_angle(experiment, _train(experiment, folder, num_seeds))
    image = folder / "figure_4.7.png"
    experiments.plot_errors_by_angle(experiment, rows, image)
    write_text_atomically(image.with_suffix(".csv"), experiments.to_csv(rows))
    print(f"figure: {image}, numbers: {image.with_suffix('.csv')}")


def _catch_figure(folder: Path, num_seeds: int) -> None:
    experiment = experiments.catch_transitions()
    image = folder / "figure_4.9.png"
    experiments.plot_catch_errors(experiment, _train(experiment, folder, num_seeds), image)
    print(f"figure: {image}")


def _write(report: Report, file: Path) -> None:
    write_text_atomically(file.with_name(file.name + ".md"), report.markdown)
    write_text_atomically(file.with_name(file.name + ".csv"), experiments.to_csv(report.rows))
    print(report.markdown)
    print(f"table: {file}.md, {file}.csv")


Writer = Callable[[Path, int], None]
TABLES: dict[str, Writer] = {
    "transitions-cartpole": _cartpole_table,
    "transitions-catch": _catch_table,
    "transitions-equivariance": _equivariance_table,
    "transitions-sizes": _sizes_table,
}
FIGURES: dict[str, Writer] = {
    "4.5": _correlation_figure,
    "4.6": _cartpole_figure,
    "4.7": _angle_figure,
    "4.9": _catch_figure,
}
