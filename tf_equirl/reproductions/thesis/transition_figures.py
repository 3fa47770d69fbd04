"""Figures of transition models: the thesis' 4.5, 4.6, 4.7 and 4.9, and errors by amount of data."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from matplotlib.ticker import MaxNLocator
from scipy import stats

from tf_equirl.dynamics.datasets import all_transitions
from tf_equirl.dynamics.equivariance import image_correlation
from tf_equirl.dynamics.measures import transition_errors
from tf_equirl.dynamics.model_loss import ROLE
from tf_equirl.dynamics.result import TransitionResult
from tf_equirl.dynamics.transitions import Transitions
from tf_equirl.experiments.plots import COLORS, draw_mean, new_figure, save_png, tidy
from tf_equirl.experiments.statistics import mean_and_error
from tf_equirl.reproductions.thesis.transitions import (
    KIND_LABELS,
    Cell,
    ResultsByCell,
    TransitionExperiment,
)
from tf_equirl.training.population import initial_weights

# The state and action whose images figure 4.5 compares: nothing in them is in the middle column.
_BALL, _PADDLE, _ACTION = (4, 1), 3, 0
_ANGLES = np.arange(-12, 13)
_COLOR = dict(zip(KIND_LABELS, COLORS, strict=False))
_BAND = "mean ± two standard errors"


def plot_image_correlation(
    experiment: TransitionExperiment, path: str | os.PathLike, num_initialisations: int = 1_000
) -> np.ndarray:
    """Draws how the transition images of untrained models of Catch are correlated (figure 4.5).

    Args:
        experiment: The experiment, of Catch.
        path: The PNG to write.
        num_initialisations: Seeds 0 and up.

    Returns:
        `[cells + columns]`, Pearson's r over the initialisations of each logit between the image of
        the identity and that of the reflection.
    """
    env = experiment.env
    pairs = all_transitions(env)
    state = pairs.state
    chosen = (state.ball_row == _BALL[0]) & (state.ball_column == _BALL[1])
    chosen &= (state.paddle_column == _PADDLE) & (pairs.action == _ACTION)
    model = experiment.model("gcnn-proximal")
    weights = initial_weights(model, range(num_initialisations))
    correlation = image_correlation(env, model, weights, pairs.take(chosen))[0, 1]

    columns = int(state.paddle_column.max()) + 1
    board = correlation.reshape(-1, columns)  # the ball's rows, then the paddle's
    figure = new_figure(7.6, 6.4)
    left, right = figure.subplots(1, 2)
    image = left.imshow(board, cmap="RdBu_r", vmin=-1, vmax=1)
    for (row, column), r in np.ndenumerate(board):
        color = "white" if abs(r) > 0.6 else "black"
        left.text(column, row, f"{r:.2f}", ha="center", va="center", fontsize=7, color=color)
    figure.colorbar(image, ax=left, shrink=0.6, label="Pearson's r")
    left.set_title("Correlation", fontsize="medium")
    levels = [_critical(0.05, num_initialisations)]
    levels.append(_critical(0.05 / correlation.size, num_initialisations))
    significance = sum((np.abs(board) > level).astype(int) for level in levels)
    shades = ("#F2F2F2", "#E69F00", "#D55E00")
    right.imshow(significance, cmap=ListedColormap(shades), vmin=0, vmax=2)
    right.set_title("Significance", fontsize="medium")
    names = (
        "not significant",
        f"at 5 % (|r| > {levels[0]:.3f})",
        f"at 5 % for all {correlation.size} together (|r| > {levels[1]:.3f})",
    )
    counts = [int((significance == i).sum()) for i in range(3)]
    handles = [
        Rectangle((0, 0), 1, 1, facecolor=shade, edgecolor="gray", label=f"{name}: {count}")
        for shade, name, count in zip(shades, names, counts, strict=True)
    ]
    figure.legend(handles=handles, loc="outside lower center", frameon=False, fontsize="small")
    last = len(board) - 1
    for axes in (left, right):
        axes.axhline(last - 0.5, color="black", linewidth=2)
        axes.set_xticks(range(columns))
        axes.set_yticks([*range(0, last), last], [*map(str, range(last)), "paddle"])
        axes.set_xlabel("column")
        row, column = _BALL
        axes.add_patch(Circle((column, row), 0.46, fill=False, linewidth=1.5))
        axes.add_patch(
            Rectangle((_PADDLE - 0.46, last - 0.44), 0.92, 0.88, fill=False, linewidth=1.5)
        )
    left.set_ylabel("row of the ball")
    figure.suptitle(
        f"{experiment.title}: g(s, a) and its image under the reflection,\n"
        f"{num_initialisations:,} initialisations. Outlined: ball and paddle in s; a is left"
    )
    save_png(figure, path)
    return correlation


def plot_cartpole_errors(
    experiment: TransitionExperiment, results: ResultsByCell, path: str | os.PathLike
) -> None:
    """Draws root mean squares on the validation set by epoch (figure 4.6)."""
    figure, panels = _panels(experiment, 1)
    for axes, dataset in zip(panels[0], experiment.datasets, strict=True):
        _draw_epochs(axes, _of(results, dataset), lambda r: np.sqrt(r.validation["mean_square"]))
        _mark_thesis(axes, experiment, dataset, results, np.sqrt)
        axes.set_yscale("log")
    panels[0][0].set_ylabel("root mean square, validation set")
    _finish(figure, panels, experiment, results, path, "the thesis (root of its mean square)")


def plot_catch_errors(
    experiment: TransitionExperiment, results: ResultsByCell, path: str | os.PathLike
) -> None:
    """Draws cross-entropies and accuracies on the validation set by epoch (figure 4.9)."""
    figure, panels = _panels(experiment, 2)
    for above, below, dataset in zip(*panels, experiment.datasets, strict=True):
        of_dataset = _of(results, dataset)
        _draw_epochs(above, of_dataset, lambda r: r.validation["cross_entropy"])
        _draw_epochs(below, of_dataset, lambda r: r.validation["accuracy"])
        _mark_thesis(below, experiment, dataset, results)
        above.set_yscale("log")
        above.set_xlabel("")
    panels[0][0].set_ylabel("cross-entropy, validation set")
    panels[1][0].set_ylabel("accuracy, validation set")
    _finish(figure, panels, experiment, results, path, "the thesis")


def errors_by_angle(
    experiment: TransitionExperiment, results: ResultsByCell
) -> list[dict[str, Any]]:
    """Root mean squares on the validation set of CartPole by the pole's angle, degree by degree.

    Returns:
        A dictionary for each cell and degree: mean and two standard errors over seeds, and how many
        transitions of the validation set and of the training set start there.
    """
    data = experiment.validation_set()
    bins = _bins(data)
    rows = []
    for cell, result in results.items():
        measured = transition_errors(
            experiment.env, result.architecture, result.weights[ROLE], data
        )
        errors = measured["mean_square"]
        validation = np.bincount(bins, minlength=len(_ANGLES) - 1)
        training = np.bincount(
            _bins(experiment.training_set(cell.dataset)), minlength=len(_ANGLES) - 1
        )
        for i, low in enumerate(_ANGLES[:-1]):
            inside = errors[:, bins == i]
            values = np.sqrt(inside.mean(axis=1)) if validation[i] else np.full(len(errors), np.nan)
            mean, error = mean_and_error(values)
            rows.append(
                {
                    "dataset": cell.dataset,
                    "kind": cell.kind,
                    "angle_from": int(low),
                    "angle_to": int(low) + 1,
                    "seeds": len(values),
                    "root_mean_square": mean,
                    "error": error,
                    "validation_transitions": int(validation[i]),
                    "training_transitions": int(training[i]),
                }
            )
    return rows


def plot_errors_by_angle(
    experiment: TransitionExperiment,
    rows: Sequence[Mapping[str, Any]],
    path: str | os.PathLike,
) -> None:
    """Draws root mean squares by the pole's angle, and how much data there is (figure 4.7).

    Args:
        experiment: The experiment, of CartPole.
        rows: As `errors_by_angle` returns them.
        path: The PNG to write.
    """
    figure = new_figure(12, 5)
    panels = figure.subplots(
        2, len(experiment.datasets), sharex=True, sharey="row", height_ratios=(4, 1)
    )
    middle = _ANGLES[:-1] + 0.5
    for column, (dataset, label) in enumerate(experiment.datasets.items()):
        above, below = panels[:, column]
        for kind in experiment.kinds:
            of_cell = [row for row in rows if (row["dataset"], row["kind"]) == (dataset, kind)]
            mean = np.array([row["root_mean_square"] for row in of_cell])
            error = np.array([row["error"] for row in of_cell])
            above.plot(middle, mean, label=KIND_LABELS[kind], color=_COLOR[kind])
            above.fill_between(
                middle, mean - error, mean + error, color=_COLOR[kind], alpha=0.2, linewidth=0
            )
        above.set_title(f"Trained on: {label}", fontsize="medium")
        above.set_yscale("log")
        below.bar(middle, [row["training_transitions"] for row in of_cell], 1, color="0.7")
        below.step(
            _ANGLES,
            [of_cell[0]["validation_transitions"]] + [r["validation_transitions"] for r in of_cell],
            color="black",
            linewidth=1,
        )
        below.set_yscale("log")
        below.set_xlabel("angle of the pole, degrees")
        below.set_xticks(range(-12, 13, 4))
        tidy(above)
        tidy(below)
    panels[0, 0].set_ylabel("root mean square")
    panels[1, 0].set_ylabel("transitions")
    handles, _ = panels[0, 0].get_legend_handles_labels()
    handles += [
        Rectangle((0, 0), 1, 1, facecolor="0.7", label="transitions in the training set"),
        panels[0, 0].plot([], [], color="black", linewidth=1, label="in the validation set")[0],
    ]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize="small"
    )
    figure.suptitle(f"{experiment.title}, {rows[0]['seeds']} seeds: {_BAND}")
    save_png(figure, path)


def plot_sizes(
    experiment: TransitionExperiment, results: Mapping[int, ResultsByCell], path: str | os.PathLike
) -> None:
    """Draws mean squares against the number of training transitions, both on log axes.

    Args:
        experiment: The experiment.
        results: As `TransitionExperiment.train_sizes` returns them.
        path: The PNG to write.
    """
    sizes = np.array(list(results))
    first = next(iter(results.values()))
    datasets = list(dict.fromkeys(cell.dataset for cell in first))
    figure = new_figure(max(7, 4.6 * len(datasets)), 4.4)
    panels = figure.subplots(1, len(datasets), sharey=True, squeeze=False)
    for axes, dataset in zip(panels[0], datasets, strict=True):
        for kind in experiment.kinds:
            cell = Cell(dataset, kind)
            final = [by_cell[cell].validation["mean_square"][:, -1] for by_cell in results.values()]
            draw_mean(axes, sizes, np.stack(final, axis=1), KIND_LABELS[kind], _COLOR[kind])
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes.minorticks_off()
        axes.set_title(f"Trained on: {experiment.datasets[dataset]}", fontsize="medium")
        axes.set_xlabel("training transitions")
        tidy(axes)
    panels[0, 0].set_ylabel("mean square, validation set")
    _finish(figure, panels, experiment, first, path)


def _critical(level: float, count: int) -> float:
    """The |r| of `count` samples that uncorrelated normal numbers exceed with that probability."""
    t = stats.t.isf(level / 2, count - 2)
    return float(t / np.sqrt(count - 2 + t**2))


def _bins(data: Transitions) -> np.ndarray:
    """[N] the number of the degree that the pole's angle lies in."""
    degrees = np.degrees(data.state.physics[:, 2])
    return np.clip(np.floor(degrees).astype(int) - _ANGLES[0], 0, len(_ANGLES) - 2)


def _of(results: ResultsByCell, dataset: str) -> dict[str, TransitionResult]:
    return {cell.kind: result for cell, result in results.items() if cell.dataset == dataset}


def _panels(experiment: TransitionExperiment, rows: int) -> tuple[Figure, np.ndarray]:
    figure = new_figure(12, 1.2 + 3.1 * rows)
    panels = figure.subplots(
        rows, len(experiment.datasets), sharex=True, sharey="row", squeeze=False
    )
    for axes, label in zip(panels[0], experiment.datasets.values(), strict=True):
        axes.set_title(f"Trained on: {label}", fontsize="medium")
    return figure, panels


def _draw_epochs(
    axes: Axes,
    results: Mapping[str, TransitionResult],
    read: Callable[[TransitionResult], np.ndarray],
) -> None:
    """A line for each kind."""
    for kind, result in results.items():
        values = read(result)
        draw_mean(axes, 1 + np.arange(values.shape[1]), values, KIND_LABELS[kind], _COLOR[kind])
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    tidy(axes)


def _mark_thesis(
    axes: Axes,
    experiment: TransitionExperiment,
    dataset: str,
    results: ResultsByCell,
    convert: Callable[[float], float] = float,
) -> None:
    """A circle at the last epoch in the colour of each kind that the thesis has."""
    for cell, value in experiment.thesis.items():
        if cell.dataset == dataset and cell in results:
            last = results[cell].config.num_epochs
            size = 9 if cell.kind == "mlp" else 6  # seen where they coincide
            color = _COLOR[cell.kind]
            axes.plot(last, convert(value), "o", ms=size, mfc="none", color=color, clip_on=False)


def _finish(
    figure: Figure,
    panels: np.ndarray,
    experiment: TransitionExperiment,
    results: ResultsByCell,
    path: str | os.PathLike,
    thesis: str | None = None,
) -> None:
    """Legend, title, file."""
    handles, _ = panels[0, 0].get_legend_handles_labels()
    if thesis:
        handles += panels[0, 0].plot([], [], "o", mfc="none", color="black", label=thesis)
    figure.legend(
        handles=handles, loc="outside lower center", ncols=5, frameon=False, fontsize="small"
    )
    seeds = len(next(iter(results.values())).seeds)
    figure.suptitle(f"{experiment.title}, {seeds} seeds: {_BAND}")
    save_png(figure, path)
