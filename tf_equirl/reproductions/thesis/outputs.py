"""The thesis' tables and figures by number: what is trained for each, and what is written of it.

A table and a figure of one experiment share its runs. What is written is explained in
docs/reproduction.md, docs/transition_models.md and docs/dyna.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from rich.table import Table

from tf_equirl._files import write_text_atomically
from tf_equirl.experiments.calls import Call, call_trainer
from tf_equirl.experiments.experiment import Experiment
from tf_equirl.experiments.metrics import common_part
from tf_equirl.experiments.plots import plot_learning_curves
from tf_equirl.experiments.reports import summary_table, tidy_rows, to_csv, to_markdown
from tf_equirl.reproductions.thesis.equivariance_reports import equivariance_report
from tf_equirl.reproductions.thesis.model_free import cartpole, catch
from tf_equirl.reproductions.thesis.planning import (
    dyna_sweep,
    online_cartpole,
    online_catch,
    supervised_cartpole,
    supervised_catch,
    supervised_ratios,
)
from tf_equirl.reproductions.thesis.planning_figures import plot_ratios, plot_sweep
from tf_equirl.reproductions.thesis.planning_reports import planning_markdown
from tf_equirl.reproductions.thesis.transition_figures import (
    errors_by_angle,
    plot_cartpole_errors,
    plot_catch_errors,
    plot_errors_by_angle,
    plot_image_correlation,
    plot_sizes,
)
from tf_equirl.reproductions.thesis.transition_reports import (
    Report,
    cartpole_report,
    catch_report,
    sizes_report,
)
from tf_equirl.reproductions.thesis.transitions import (
    TransitionExperiment,
    cartpole_transitions,
    catch_transitions,
)

MODEL_FREE = "model-free PPO"
PLANNING = "the experiments with planning"
TRANSITIONS = "transition models"
_NUM_MODELS = 16  # transition models of each kind

Shown = Iterator[str | Table]
Rows = Sequence[Mapping[str, Any]]


class Work(NamedTuple):
    """What is asked for.

    Attributes:
        folder: Holds the runs and what is written.
        num_seeds: Agents or models of each kind; the experiment's own number if None.
        seeds_per_chunk: Agents that are trained side by side and kept as one run folder.
        schedule: Learning rate of model-free PPO; the experiment's own if None.
        call: Calls the trainers, see `Experiment.train`.
        settings: Of the race's agents, which are then not searched.
    """

    folder: Path
    num_seeds: int | None = None
    seeds_per_chunk: int = 32
    schedule: str | None = None
    call: Call = call_trainer
    settings: Mapping[str, Mapping[str, Any]] = MappingProxyType({})


class Output(NamedTuple):
    """A table or a figure.

    Attributes:
        family: `MODEL_FREE`, whose `make` takes a schedule, `PLANNING` or `TRANSITIONS`.
        make: Makes the experiment.
        train: Trains what is missing of it, as far as it is needed.
        write: Called with the experiment, its results and the file's path without a suffix; writes
            and yields what a user should read.
    """

    family: str
    make: Callable[..., Any]
    train: Callable[[Any, Work], Any]
    write: Callable[[Any, Any, Path], Shown]


def produce(output: Output, work: Work, name: str) -> Shown:
    """Trains what is missing, writes the files, and yields what a user should read.

    Args:
        output: The table or figure.
        work: What is asked for.
        name: Of the files, such as "table_4.2"; another schedule than the experiment's own is
            added.

    Raises:
        ValueError: If an argument breaks its rule or a folder holds another run.
    """
    experiment, suffix = output.make(), ""
    if work.schedule is not None:
        other = output.make(work.schedule)
        suffix = "" if other == experiment else f"_{work.schedule}"
        experiment = other
    results = output.train(experiment, work)
    work.folder.mkdir(parents=True, exist_ok=True)
    yield from output.write(experiment, results, work.folder / f"{name}{suffix}")


def _agents(experiment: Experiment, work: Work) -> Any:
    return experiment.train(work.folder, work.num_seeds, work.seeds_per_chunk, work.call)


def _models(experiment: TransitionExperiment, work: Work) -> Any:
    return experiment.train(work.folder, _num_models(work), work.call)


def _models_of_each(experiments: Sequence[TransitionExperiment], work: Work) -> Any:
    return [(experiment, _models(experiment, work)) for experiment in experiments]


def _models_by_size(experiment: TransitionExperiment, work: Work) -> Any:
    return experiment.train_sizes(work.folder, _num_models(work), call=work.call)


def _nothing(experiment: TransitionExperiment, work: Work) -> Any:
    return None


def _num_models(work: Work) -> int:
    return _NUM_MODELS if work.num_seeds is None else work.num_seeds


def _returns(experiment: Experiment, results: Any, file: Path, further: str = "") -> Shown:
    rows = tidy_rows(experiment, results)
    page = to_markdown(experiment, results, rows) + further
    told = _table(file, page, rows)
    yield summary_table(experiment, results)
    yield told


def _returns_and_costs(experiment: Experiment, results: Any, file: Path) -> Shown:
    further = "\n" + planning_markdown(experiment, results)
    return _returns(experiment, results, file, further)


def _curves(experiment: Experiment, results: Any, file: Path) -> Shown:
    shown = common_part(list(results.values()))
    by_label = {column.label: r for column, r in zip(results, shown, strict=True)}
    thesis = {c.label: [(t, *at) for t, at in experiment.thesis(c).items()] for c in results}
    plot_learning_curves(by_label, _suffixed(file, ".png"), experiment.title, thesis)
    yield _figure(file)


def _reported(report: Callable[[Any, Any], Report]) -> Callable[[Any, Any, Path], Shown]:
    def write(experiment: Any, results: Any, file: Path) -> Shown:
        page, rows = report(experiment, results)
        told = _table(file, page, rows)
        yield page
        yield told

    return write


def _drawn(
    draw: Callable[[Any, Any, Path], Any], numbers: Callable[[Any, Any], Rows] | None = None
) -> Callable[[Any, Any, Path], Shown]:
    def write(experiment: Any, results: Any, file: Path) -> Shown:
        draw(experiment, results, _suffixed(file, ".png"))
        yield _figure(file, numbers and numbers(experiment, results))

    return write


def _sizes(experiment: TransitionExperiment, results: Any, file: Path) -> Shown:
    yield from _reported(sizes_report)(experiment, results, file)
    yield from _drawn(plot_sizes)(experiment, results, file.parent / "figure_transitions-sizes")


def _angles(experiment: TransitionExperiment, results: Any, file: Path) -> Shown:
    rows = errors_by_angle(experiment, results)
    plot_errors_by_angle(experiment, rows, _suffixed(file, ".png"))
    yield _figure(file, rows)


def _table(file: Path, page: str, rows: Rows) -> str:
    """Writes a table; returns what is told of it."""
    write_text_atomically(_suffixed(file, ".md"), page)
    write_text_atomically(_suffixed(file, ".csv"), to_csv(rows))
    return f"table: {file}.md, {file}.csv"


def _figure(file: Path, rows: Rows | None = None) -> str:
    """Writes the numbers of a figure, if there are any; returns what is told of it."""
    if rows is None:
        return f"figure: {file}.png"
    write_text_atomically(_suffixed(file, ".csv"), to_csv(rows))
    return f"figure: {file}.png, numbers: {file}.csv"


def _suffixed(file: Path, suffix: str) -> Path:
    return file.with_name(file.name + suffix)  # names have dots themselves


TABLES: dict[str, Output] = {
    "4.2": Output(MODEL_FREE, cartpole, _agents, _returns),
    "4.4": Output(MODEL_FREE, catch, _agents, _returns),
    "transitions-cartpole": Output(
        TRANSITIONS, cartpole_transitions, _models, _reported(cartpole_report)
    ),
    "transitions-catch": Output(TRANSITIONS, catch_transitions, _models, _reported(catch_report)),
    "transitions-equivariance": Output(
        TRANSITIONS,
        lambda: (catch_transitions(), cartpole_transitions()),
        _models_of_each,
        _reported(lambda _, trained: equivariance_report(trained)),
    ),
    "transitions-sizes": Output(TRANSITIONS, cartpole_transitions, _models_by_size, _sizes),
    "4.5": Output(PLANNING, supervised_cartpole, _agents, _returns_and_costs),
    "4.6": Output(PLANNING, supervised_catch, _agents, _returns_and_costs),
    "dyna-cartpole": Output(PLANNING, online_cartpole, _agents, _returns_and_costs),
    "dyna-catch": Output(PLANNING, online_catch, _agents, _returns_and_costs),
}
_RATIOS, _SWEEP = _drawn(plot_ratios, tidy_rows), _drawn(plot_sweep, tidy_rows)
FIGURES: dict[str, Output] = {
    "4.3": Output(MODEL_FREE, cartpole, _agents, _curves),
    "4.4": Output(MODEL_FREE, catch, _agents, _curves),
    "4.5": Output(
        TRANSITIONS,
        catch_transitions,
        _nothing,
        _drawn(lambda experiment, _, path: plot_image_correlation(experiment, path)),
    ),
    "4.6": Output(TRANSITIONS, cartpole_transitions, _models, _drawn(plot_cartpole_errors)),
    "4.7": Output(TRANSITIONS, cartpole_transitions, _models, _angles),
    "4.9": Output(TRANSITIONS, catch_transitions, _models, _drawn(plot_catch_errors)),
    "4.8": Output(PLANNING, supervised_cartpole, _agents, _curves),
    "4.10": Output(PLANNING, supervised_catch, _agents, _curves),
    "dyna-cartpole": Output(PLANNING, online_cartpole, _agents, _curves),
    "dyna-catch": Output(PLANNING, online_catch, _agents, _curves),
    "5.2": Output(PLANNING, lambda: supervised_ratios("CartPole"), _agents, _RATIOS),
    "5.7": Output(PLANNING, lambda: supervised_ratios("Catch"), _agents, _RATIOS),
    "4.11": Output(PLANNING, lambda: dyna_sweep("CartPole"), _agents, _SWEEP),
    "4.12": Output(PLANNING, lambda: dyna_sweep("Catch"), _agents, _SWEEP),
}
