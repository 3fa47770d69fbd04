"""The reports on transition models: a Markdown page for people, tidy rows for a CSV file."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tf_equirl import envs
from tf_equirl.dynamics.datasets import all_transitions
from tf_equirl.dynamics.measures import rollout_errors, transition_errors
from tf_equirl.dynamics.model_loss import ROLE
from tf_equirl.dynamics.transitions import Transitions
from tf_equirl.experiments.statistics import decimals_for, mean_and_error, ratio_of_means, rounded
from tf_equirl.experiments.tables import markdown_table
from tf_equirl.models.widths import trained_parameters
from tf_equirl.reproductions.thesis.transitions import (
    KIND_LABELS,
    Cell,
    ResultsByCell,
    TransitionExperiment,
)

CARTPOLE_STEPS = (1, 2, 5, 10, 20, 50)
CATCH_STEPS = (1, 2, 5, 9)
_ROLLOUT_STARTS = 2_000
# Mean squares are some 1e-4: tables show them in that unit.
_UNIT = 1e-4

Values = Mapping[Cell, np.ndarray]


class Report(NamedTuple):
    """What is written of a table.

    Attributes:
        markdown: The page.
        rows: Dictionaries with equal keys; errors are two standard errors over seeds.
    """

    markdown: str
    rows: list[dict[str, Any]]


def cartpole_report(experiment: TransitionExperiment, results: ResultsByCell) -> Report:
    """Final mean squares on the validation set, ratios to the MLP, and errors of rollouts.

    Args:
        experiment: The experiment, of an environment whose head is a `RealHead`.
        results: As `TransitionExperiment.train` returns them.
    """
    final = {cell: result.validation["mean_square"][:, -1] for cell, result in results.items()}
    data = experiment.validation_set()
    rollouts = _rollouts(experiment, results, max(CARTPOLE_STEPS))
    rms = {
        (cell, steps): np.sqrt(values[:, steps - 1])
        for cell, values in rollouts.items()
        for steps in CARTPOLE_STEPS
    }
    rows = [
        _row("mean square", cell, x, thesis=experiment.thesis.get(cell))
        for cell, x in final.items()
    ]
    rows += [
        _row("rollout root mean square", cell, x, at=steps) for (cell, steps), x in rms.items()
    ]
    rows += _ratio_rows(experiment, final)
    mean = {c: f"**{rounded(*mean_and_error(x / _UNIT))}**" for c, x in final.items()}
    worst = {c: _like(x.max() / _UNIT, x / _UNIT) for c, x in final.items()}
    thesis = {c: f"{x / _UNIT:g}" for c, x in experiment.thesis.items()}
    parts = [
        f"**{experiment.title}, {_seeds(results)} seeds.** Mean square of the error of the next "
        f"state on the common validation set of {len(data):,} transitions, in units of 1e-4: mean "
        "± two standard errors over seeds, and the worst seed. *thesis*: what its code printed, "
        "the best epoch of one seed on data of its own. That nothing changes would be wrong by "
        f"{_change(experiment.env, data) / _UNIT:.0f}.",
        _by_dataset(experiment, {"mean": mean, "worst seed": worst, "thesis": thesis}),
        "**How many times the MLP's error is larger**: ratio of the means over seeds "
        "[95 % bootstrap interval].",
        _by_dataset(experiment, {"": _ratio_texts(experiment, final)}, experiment.kinds[1:]),
        "**Rollouts**: root mean square of the error after k steps of the model's own "
        f"predictions under random actions, from {min(_ROLLOUT_STARTS, len(data)):,} states of the "
        "validation set, while the true episode goes on; median over seeds [quartiles].",
        _rollout_table(experiment, rms, CARTPOLE_STEPS, _median),
        _costs(experiment, results),
    ]
    return Report("\n\n".join(parts) + "\n", rows)


def catch_report(experiment: TransitionExperiment, results: ResultsByCell) -> Report:
    """Accuracies on the training sets, the validation set and all pairs of Catch.

    Args:
        experiment: The experiment, of Catch.
        results: As `TransitionExperiment.train` returns them.
    """
    pairs = all_transitions(experiment.env)
    reachable = _reachable(pairs)
    measures: dict[str, dict[Cell, np.ndarray]] = {
        "training set": {},
        "validation set": {},
        f"all {len(pairs)} pairs": {},
        f"{reachable.sum()} reachable pairs": {},
    }
    whole: dict[Cell, np.ndarray] = {}
    # The pairs are all that there is: a prediction for each tells the accuracy on any dataset.
    seen = {d: _numbers(pairs, experiment.training_set(d)) for d in experiment.datasets}
    for cell, result in results.items():
        measured = transition_errors(
            experiment.env, result.architecture, result.weights[ROLE], pairs
        )
        right = measured["accuracy"]
        values = (
            right[:, seen[cell.dataset]].mean(axis=1),
            result.validation["accuracy"][:, -1],
            right.mean(axis=1),
            right[:, reachable].mean(axis=1),
        )
        for accuracies, value in zip(measures.values(), values, strict=True):
            accuracies[cell] = value
        whole[cell] = right.min(axis=1) == 1
    rollouts = _rollouts(experiment, results, max(CATCH_STEPS))
    wrong = {
        (cell, steps): values[:, steps - 1]
        for cell, values in rollouts.items()
        for steps in CATCH_STEPS
    }
    rows = [
        _row(
            f"accuracy, {name}",
            cell,
            x,
            thesis=experiment.thesis.get(cell) if name == "validation set" else None,
        )
        for name, values in measures.items()
        for cell, x in values.items()
    ]
    rows += [_row(f"right on all {len(pairs)} pairs", cell, x) for cell, x in whole.items()]
    rows += [_row("rollout share wrong", cell, x, at=steps) for (cell, steps), x in wrong.items()]
    texts = {name: {c: _percent(x) for c, x in values.items()} for name, values in measures.items()}
    texts["validation set, thesis"] = {c: f"{100 * x:.2f}" for c, x in experiment.thesis.items()}
    texts[f"seeds right on all {len(pairs)}"] = {
        c: f"**{x.sum()} of {len(x)}**" for c, x in whole.items()
    }
    counts = ", ".join(
        f"{label}: {len(np.unique(seen[dataset])):,}"
        for dataset, label in experiment.datasets.items()
    )
    parts = [
        f"**{experiment.title}, {_seeds(results)} seeds.** Accuracy in percent, mean ± two "
        "standard errors over seeds; ball and paddle must both be right. *thesis*: what its code "
        f"printed. Of the {len(pairs)} pairs of state and action the training sets hold: {counts}.",
        _by_dataset(experiment, texts),
        "**Rollouts**: percentage of wrong states after k steps of the model's own predictions "
        "under random actions, from states of the validation set, while the true episode goes on.",
        _rollout_table(experiment, wrong, CATCH_STEPS, _percent),
        _costs(experiment, results),
    ]
    return Report("\n\n".join(parts) + "\n", rows)


def sizes_report(experiment: TransitionExperiment, results: Mapping[int, ResultsByCell]) -> Report:
    """Final mean squares against the number of training transitions.

    Args:
        experiment: The experiment.
        results: As `TransitionExperiment.train_sizes` returns them.
    """
    rows: list[dict[str, Any]] = []
    means, ratios = [], []
    cells = list(next(iter(results.values())))
    config = next(iter(results.values()))[cells[0]].config
    datasets = list(dict.fromkeys(cell.dataset for cell in cells))
    for dataset in datasets:
        for size, by_cell in results.items():
            final = {
                cell: result.validation["mean_square"][:, -1]
                for cell, result in by_cell.items()
                if cell.dataset == dataset
            }
            rows += [_row("mean square", cell, x, at=size) for cell, x in final.items()]
            rows += _ratio_rows(experiment, final, at=size)
            first = next(iter(results))
            label = [experiment.datasets[dataset] if size == first else "", f"{size:,}"]
            cell_texts = [rounded(*mean_and_error(x / _UNIT)) for x in final.values()]
            means.append([*label, *cell_texts])
            ratios.append([*label, *_ratio_texts(experiment, final).values()])
    headings = ["trained on", "transitions"]
    kinds = [KIND_LABELS[kind] for kind in experiment.kinds]
    parts = [
        f"**{experiment.title}: how many transitions it takes**, "
        f"{_seeds(next(iter(results.values())))} seeds. Mean square on the common validation set "
        f"in units of 1e-4, mean ± two standard errors. Every run takes as many gradient steps as "
        f"{config.num_epochs} epochs of {experiment.num_transitions:,}, at a rate that falls from "
        f"{config.learning_rate:g} to 0.",
        markdown_table([*headings, *kinds], means),
        "**How many times the MLP's error is larger**: ratio of the means over seeds "
        "[95 % bootstrap interval].",
        markdown_table([*headings, *kinds[1:]], ratios),
    ]
    return Report("\n\n".join(parts) + "\n", rows)


def _rollouts(experiment: TransitionExperiment, results: ResultsByCell, steps: int) -> Values:
    start = experiment.validation_set().take(slice(_ROLLOUT_STARTS))
    return {
        cell: rollout_errors(
            experiment.env, result.architecture, result.weights[ROLE], start, steps
        )
        for cell, result in results.items()
    }


def _change(env: envs.Environment, data: Transitions) -> float:
    """Mean square of the change from a state to the next one."""
    change = env.encode(data.next_state).numpy() - env.encode(data.state).numpy()
    return float(np.mean(np.square(change)))


def _reachable(pairs: Transitions) -> np.ndarray:
    """[N] bool: whether Catch can be in the state, given all of them.

    The paddle starts in the middle and moves by a column at most while the ball falls by a row.
    """
    column = pairs.state.paddle_column
    return np.abs(column - column.max() // 2) <= pairs.state.ball_row


def _numbers(pairs: Transitions, data: Transitions) -> np.ndarray:
    """[N] the row of `pairs`, all of an environment's, that each state and action of `data` is."""

    def columns(part: Transitions) -> np.ndarray:
        fields = [values for name, values in part.state._asdict().items() if name != "steps"]
        return np.column_stack([*fields, part.action])

    both = np.concatenate([columns(pairs), columns(data)])
    key = np.unique(both, axis=0, return_inverse=True)[1].reshape(-1)
    row = np.argsort(key[: len(pairs)])  # keys of the pairs are 0, 1, ...
    return row[key[len(pairs) :]]


def _row(
    measure: str,
    cell: Cell,
    values: np.ndarray,
    at: int | None = None,
    thesis: float | None = None,
) -> dict[str, Any]:
    mean, error = mean_and_error(values)
    return {
        "measure": measure,
        "dataset": cell.dataset,
        "kind": cell.kind,
        "at": at,
        "seeds": len(values),
        "mean": mean,
        "error": error,
        "median": np.median(values),
        "low": None,
        "high": None,
        "smallest": np.min(values),
        "largest": np.max(values),
        "thesis": thesis,
    }


def _ratios(experiment: TransitionExperiment, values: Values) -> dict[Cell, Any]:
    """The MLP's mean over each other kind's, by cell."""
    baseline = experiment.kinds[0]
    return {
        cell: ratio_of_means(values[cell._replace(kind=baseline)], x)
        for cell, x in values.items()
        if cell.kind != baseline
    }


def _ratio_rows(experiment: TransitionExperiment, values: Values, at: int | None = None):
    rows = []
    for cell, ratio in _ratios(experiment, values).items():
        row = dict.fromkeys(_row("", cell, values[cell]))
        rows.append(
            row
            | {"measure": "ratio of the MLP's mean square", "at": at, "seeds": len(values[cell])}
            | {"dataset": cell.dataset, "kind": cell.kind, "mean": ratio.value}
            | {"low": ratio.low, "high": ratio.high}
        )
    return rows


def _ratio_texts(experiment: TransitionExperiment, values: Values) -> dict[Cell, str]:
    return {
        cell: f"{_digits(x.value)} [{_digits(x.low)}, {_digits(x.high)}]"
        for cell, x in _ratios(experiment, values).items()
    }


def _digits(x: float) -> str:
    """Three significant digits, without an exponent unless the number is large."""
    if not math.isfinite(x) or x == 0 or abs(x) >= 1e5:
        return f"{x:.3g}"
    return f"{x:,.{max(0, 2 - math.floor(math.log10(abs(x))))}f}"


def _like(x: float, values: np.ndarray) -> str:
    """With as many decimals as the mean of the values is shown with."""
    return f"{x:.{decimals_for(mean_and_error(values)[1])}f}"


def _median(values: np.ndarray) -> str:
    low, middle, high = (_digits(x) for x in np.percentile(values, [25, 50, 75]))
    return f"{middle} [{low}, {high}]"


def _percent(values: np.ndarray) -> str:
    return rounded(*mean_and_error(100 * values))


def _seeds(results: ResultsByCell) -> int:
    return len(next(iter(results.values())).seeds)


def _by_dataset(
    experiment: TransitionExperiment,
    texts: Mapping[str, Mapping[Cell, str]],
    kinds: Sequence[str] | None = None,
) -> str:
    """A table with a column for each kind, and for each dataset a row for each name in `texts`."""
    kinds = experiment.kinds if kinds is None else kinds
    rows = [
        [label if i == 0 else "", name, *(by_cell.get(Cell(dataset, kind), "") for kind in kinds)]
        for dataset, label in experiment.datasets.items()
        for i, (name, by_cell) in enumerate(texts.items())
    ]
    return markdown_table(["trained on", "", *(KIND_LABELS[kind] for kind in kinds)], rows)


def _rollout_table(
    experiment: TransitionExperiment,
    values: Mapping[tuple[Cell, int], np.ndarray],
    steps: Sequence[int],
    show: Callable[[np.ndarray], str],
) -> str:
    rows = [
        [
            label if k == steps[0] else "",
            f"{k}",
            *(show(values[Cell(dataset, kind), k]) for kind in experiment.kinds),
        ]
        for dataset, label in experiment.datasets.items()
        for k in steps
    ]
    return markdown_table(
        ["trained on", "k", *(KIND_LABELS[kind] for kind in experiment.kinds)], rows
    )


def _costs(experiment: TransitionExperiment, results: ResultsByCell) -> str:
    """Sizes, and the time that training took."""
    of_kind = {
        kind: [result for cell, result in results.items() if cell.kind == kind]
        for kind in experiment.kinds
    }
    sizes = [trained_parameters(r[0].model(r[0].seeds[0])) for r in of_kind.values()]
    seconds = [sum(result.run_seconds for result in r) for r in of_kind.values()]
    rows = [
        ["parameters", *(f"{n:,} ({100 * (n / sizes[0] - 1):+.1f} %)" for n in sizes)],
        ["training time of all seeds and sets, s", *(f"{s:,.0f}" for s in seconds)],
    ]
    return markdown_table(["", *(KIND_LABELS[kind] for kind in experiment.kinds)], rows)
