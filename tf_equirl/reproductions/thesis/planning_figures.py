"""Figures of the experiments with planning."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
from matplotlib import colormaps
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter

from tf_equirl.agents import TrainingResult
from tf_equirl.experiments.experiment import Column, Experiment
from tf_equirl.experiments.metrics import return_at
from tf_equirl.experiments.plots import COLORS, draw_mean, new_figure, save_png, smoothed, tidy
from tf_equirl.reproductions.thesis.planning import (
    RATIOS,
    SWEPT_ITERATIONS,
    SWEPT_RATIOS,
    sweep_name,
)

_MODELS = {"mlp": "MLP model", "gcnn": "equivariant model"}


def plot_ratios(
    experiment: Experiment, results: Mapping[Column, TrainingResult], path: str | os.PathLike
) -> None:
    """Draws returns over seeds at several timesteps as violins, as the thesis' figures 5.2 and 5.7.

    There is no violin where the return of a seed is not known.

    Args:
        experiment: `supervised_ratios`.
        results: As `Experiment.train` returns them.
        path: The PNG file to write.
    """
    by_name = {column.name: result for column, result in results.items()}
    figure = new_figure(11, 7)
    panels = figure.subplots(2, 1, sharex=True, sharey=True)
    names = ["mlp", *(f"{ratio:g}" for ratio in RATIOS)]
    colors = ["#000000", *COLORS]
    width = 0.8 / len(names)
    for axes, (kind, title) in zip(panels, _MODELS.items(), strict=True):
        for i, name in enumerate(names):
            result = by_name[name if name == "mlp" else f"{kind}-{name}"]
            values = [return_at(result, t) for t in experiment.timesteps]
            known = [j for j, returns in enumerate(values) if not np.isnan(returns).any()]
            if not known:
                continue
            places = np.array(known) + (i - (len(names) - 1) / 2) * width
            violins = axes.violinplot(
                [values[j] for j in known], places, widths=width, showmeans=True
            )
            for body in violins["bodies"]:
                body.set_facecolor(colors[i])
                body.set_alpha(0.5)
            for part in ("cmeans", "cmins", "cmaxes", "cbars"):
                violins[part].set_color(colors[i])
                violins[part].set_linewidth(1)
        axes.set_title(f"{title}, frozen", fontsize="medium")
        axes.set_ylabel("return")
        tidy(axes)
    panels[-1].set_xticks(range(len(experiment.timesteps)))
    panels[-1].set_xticklabels([f"{t:,}" for t in experiment.timesteps])
    panels[-1].set_xlabel("environment steps per seed")
    labels = ["no planning", *(f"planning ratio {ratio:g}" for ratio in RATIOS)]
    handles = [Patch(color=c, alpha=0.5, label=x) for c, x in zip(colors, labels, strict=False)]
    figure.legend(handles=handles, frameon=False, loc="outside lower center", ncols=len(labels))
    seeds = len(next(iter(results.values())).seeds)
    figure.suptitle(f"{experiment.title}: {seeds} seeds, bars at the mean and the extremes")
    save_png(figure, path)


def plot_sweep(
    experiment: Experiment, results: Mapping[Column, TrainingResult], path: str | os.PathLike
) -> None:
    """Draws learning curves by planning ratio and model, as the thesis' figures 4.11 and 4.12.

    They are smoothed, see `smoothed`, and begin where every seed has finished an episode.

    Args:
        experiment: `dyna_sweep`.
        results: As `Experiment.train` returns them.
        path: The PNG file to write.
    """
    by_name = {column.name: result for column, result in results.items()}
    figure = new_figure(15, 6)
    panels = figure.subplots(2, len(SWEPT_RATIOS), sharex=True, sharey=True)
    shades = colormaps["viridis"](np.linspace(0.05, 0.9, len(SWEPT_ITERATIONS)))
    for row, (kind, title) in zip(panels, _MODELS.items(), strict=True):
        for axes, ratio in zip(row, SWEPT_RATIOS, strict=True):
            for iterations, color in zip(SWEPT_ITERATIONS, shades, strict=True):
                result = by_name[sweep_name(kind, ratio, iterations)]
                draw_mean(axes, *smoothed(result), None, color)
            draw_mean(axes, *smoothed(by_name["mlp"]), None, "black")
            axes.set_title(f"{title}, ratio {ratio:g}", fontsize="medium")
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))
            tidy(axes)
        row[0].set_ylabel("return of the last episode")
    for axes in panels[-1]:
        axes.set_xlabel("environment steps per seed")
    handles = [Line2D([], [], color="black", label="MLP PPO")]
    handles += [
        Line2D([], [], color=color, label=f"{n} Dyna iterations")
        for n, color in zip(SWEPT_ITERATIONS, shades, strict=True)
    ]
    figure.legend(handles=handles, frameon=False, loc="outside lower center", ncols=len(handles))
    seeds = len(next(iter(results.values())).seeds)
    figure.suptitle(f"{experiment.title}: mean ± two standard errors over {seeds} seeds")
    save_png(figure, path)
