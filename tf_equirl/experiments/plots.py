"""Plots of learning curves."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from tf_equirl._files import write_atomically
from tf_equirl.agents import TrainingResult
from tf_equirl.dynamics.result import TransitionResult
from tf_equirl.experiments.metrics import worst_tenth

_POINTS = 200
_WINDOWS_IN_RUN = 40
_LEGEND_INSIDE = 4  # more curves than these leave no room for it
# Okabe and Ito's palette: told apart by colour-blind readers too.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def plot_learning_curves(
    results: Mapping[str, TrainingResult],
    path: str | os.PathLike,
    title: str | None = None,
    thesis: Mapping[str, Sequence[tuple[float, float, float]]] | None = None,
    marks: Sequence[float] = (),
) -> None:
    """Draws learning curves as the thesis' figure 4.3 does, and writes a PNG.

    Left: mean return over seeds with a band of two standard errors. Right: mean over the worst
    tenth of seeds, those with the least area under their curve, with its own band; a result of a
    single seed stands there only if it is alone. Curves are smoothed, see `smoothed`, and begin
    where every seed has finished an episode.

    Args:
        results: Training results by label.
        path: The file to write.
        title: Text above the plots.
        thesis: By label, the (timestep, mean, error) that the thesis prints; drawn on the left as
            circles in the colour of the label.
        marks: Timesteps with a thin vertical line each, where planning was done.

    Raises:
        ValueError: If there is no result to draw.
    """
    if not results or not all(result.returns.size for result in results.values()):
        raise ValueError(f"results must hold at least one trained run. Received: {list(results)}")
    figure = new_figure(11, 4.2)
    everyone, worst = figure.subplots(1, 2, sharex=True, sharey=True)
    for (label, result), color in zip(results.items(), COLORS * len(results), strict=False):
        times, returns = smoothed(result)
        count = len(result.seeds)
        several = f" ({count} seeds)" if count > 1 else ""
        draw_mean(everyone, times, returns, label + several, color)
        if count > 1 or len(results) == 1:
            rows = worst_tenth(result)
            draw_mean(worst, times, returns[rows], f"{label} ({len(rows)} of {count})", color)
        if thesis and thesis.get(label):
            at, means, errors = np.transpose(thesis[label])
            everyone.errorbar(
                at, means, errors, fmt="o", mfc="white", color=color, capsize=3, zorder=3
            )
    if thesis and any(thesis.values()):
        everyone.errorbar([], [], [], fmt="o", mfc="white", color="black", label="the thesis")
    everyone.set_title("All seeds: mean ± two standard errors", fontsize="medium")
    worst.set_title("Worst tenth of seeds: mean ± two standard errors", fontsize="medium")
    everyone.set_ylabel("return of the last finished episode")
    for axes in (everyone, worst):
        axes.set_xlabel("environment steps per seed")
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.set_xlim(left=0)
        tidy(axes)
        if len(marks):
            _draw_marks(axes, marks)
        if len(results) <= _LEGEND_INSIDE:
            legend = axes.legend(loc="lower right", fontsize="small", edgecolor="none")
            legend.set_frame_on(len(marks) > 0)  # so that no line strikes it through
    if len(results) > _LEGEND_INSIDE:
        entries = everyone.get_legend_handles_labels()
        figure.legend(*entries, loc="outside lower center", ncols=3, frameon=False)
    if title:
        figure.suptitle(title)
    save_png(figure, path)


def plot_training(
    result: TransitionResult, path: str | os.PathLike, kept_seed: int | None = None
) -> None:
    """Draws every metric of the validation set by epoch, and writes a PNG.

    Args:
        result: A run with validation data.
        path: The file to write.
        kept_seed: A seed that has a line of its own beside the mean over all.
    """
    figure = new_figure(5.5 * len(result.validation), 4.2)
    panels = figure.subplots(1, len(result.validation), squeeze=False)[0]
    epochs = 1 + np.arange(result.config.num_epochs)
    count = len(result.seeds)
    for axes, (metric, values) in zip(panels, result.validation.items(), strict=True):
        draw_mean(axes, epochs, values, f"{count} seed{'s' if count > 1 else ''}", COLORS[0])
        if kept_seed is not None and count > 1:
            row = result.seeds.index(kept_seed)
            draw_mean(axes, epochs, values[row : row + 1], f"seed {kept_seed}, kept", COLORS[1])
        if metric == result.metric_names[0]:
            axes.set_yscale("log")
        axes.set_xlabel("epoch")
        axes.set_ylabel(f"{metric.replace('_', ' ')}, validation set")
        tidy(axes)
    panels[0].legend(frameon=False, fontsize="small")
    title = f"{result.environment}, transition model, {result.config.kind}"
    figure.suptitle(f"{title}: mean ± two standard errors" if count > 1 else title)
    save_png(figure, path)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of that many inches, which belongs to no window."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_png(figure: Figure, path: str | os.PathLike) -> None:
    """Writes the figure, whole or not at all."""
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=150)
    write_atomically(Path(path), lambda stream: stream.write(image.getvalue()))


def tidy(axes: Axes) -> None:
    """A faint grid, and no frame at the top and on the right."""
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def draw_mean(
    axes: Axes, times: np.ndarray, values: np.ndarray, label: str | None, color: str
) -> None:
    """Mean over seeds with a band of two standard errors, where every seed is known.

    Args:
        axes: Where to draw.
        times: `[points]`.
        values: `[seeds, points]`; the line has a gap where one is NaN.
        label: In the legend.
        color: Of line and band.
    """
    mean = values.mean(axis=0)
    axes.plot(times, mean, label=label, color=color)
    if len(values) > 1:
        error = 2 * values.std(axis=0, ddof=1) / np.sqrt(len(values))
        axes.fill_between(times, mean - error, mean + error, color=color, alpha=0.2, linewidth=0)


def smoothed(result: TrainingResult) -> tuple[np.ndarray, np.ndarray]:
    """Moving averages of a run's curves over a fortieth of its length.

    Every window is whole: the first begins where every seed has finished an episode, the last ends
    with the run. So every point averages as many steps, those at the ends too, and a single batch
    of episodes moves none of them by much. Each stands in the middle of its window: a curve begins
    and ends half a window inside of what it shows, and a sudden rise starts half a window early.

    Args:
        result: A training result.

    Returns:
        Timesteps `[points]` and means `[seeds, points]`, at most 200 points; none where no step is
        known of every seed. NaN where a window reaches into what is not known of a seed.
    """
    returns = result.returns
    known = np.flatnonzero(~np.isnan(returns).any(axis=0))
    if not len(known):
        return np.zeros(0), np.zeros((len(returns), 0))
    length = returns.shape[1]
    width = min(max(1, length // _WINDOWS_IN_RUN), length - known[0])
    starts = np.unique(np.linspace(known[0], length - width, _POINTS).round().astype(int))
    times = np.array([result.timesteps[i : i + width].mean() for i in starts])
    means = [returns[:, i : i + width].mean(axis=1, dtype=np.float64) for i in starts]
    return times, np.stack(means, axis=1)


def _draw_marks(axes: Axes, marks: Sequence[float]) -> None:
    """Thin lines behind the curves, in place of those of the grid; the more, the fainter."""
    axes.grid(visible=False, axis="x")
    axes.vlines(
        marks,
        0,
        1,
        transform=axes.get_xaxis_transform(),  # from the bottom to the top
        color="black",
        alpha=max(0.15, min(0.4, 8 / len(marks))),
        linewidth=0.5,
        zorder=0.5,
    )
    axes.plot([], [], color="black", alpha=0.5, linewidth=0.5, label=f"planning ({len(marks)}×)")
