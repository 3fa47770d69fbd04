"""Figures of approximate equivariance."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tf_equirl.experiments.plots import COLORS, new_figure, save_png, tidy
from tf_equirl.reproductions.approximate import control
from tf_equirl.reproductions.approximate.cells import AGENTS


def plot_theory(rows: list[dict[str, Any]], path: Path) -> None:
    """Draws orbit gap, bounds and loss by strength, a panel for each kind, and writes a PNG."""
    kinds = list(dict.fromkeys(row["breaking"] for row in rows))
    figure = new_figure(4 * len(kinds), 4.2)
    panels = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
    lines = {
        "bound_of_the_paper": "bound of the paper",
        "pointwise_bound": "pointwise bound",
        "orbit_gap": "orbit gap",
        "mean_pointwise_bound": "pointwise bound, mean",
        "mean_orbit_gap": "orbit gap, mean",
        "loss": "loss of exactness (share; 0 is drawn at 1e-4)",
    }
    for panel, kind in zip(panels, kinds, strict=True):
        of_kind = [row for row in rows if row["breaking"] == kind]
        for number, (name, label) in enumerate(lines.items()):
            x = [row["kappa"] for row in of_kind]
            y = [max(row[name], 1e-4) for row in of_kind]
            panel.plot(x, y, marker="o", label=label, color=COLORS[number])
        panel.set_yscale("log")
        panel.set_title(kind)
        panel.set_xlabel("kappa")
        tidy(panel)
    figure.suptitle("Catch, broken by degrees")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=6)
    save_png(figure, path)


def plot_cells(rows: list[dict[str, Any]], path: Path) -> None:
    """Draws the area under the curve by strength, a panel for each kind, and writes a PNG."""
    kinds = [kind for kind in dict.fromkeys(row["breaking"] for row in rows) if kind != "none"]
    figure = new_figure(4 * len(kinds), 4.2)
    panels = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
    for panel, kind in zip(panels, kinds, strict=True):
        of_kind = [row for row in rows if row["breaking"] in ("none", kind)]
        strengths = sorted({row["kappa"] for row in of_kind})
        for number, (agent, label) in enumerate(AGENTS.items()):
            own = sorted((r for r in of_kind if r["agent"] == agent), key=lambda r: r["kappa"])
            panel.errorbar(
                range(len(own)),
                [row["area"] for row in own],
                [row["area_error"] for row in own],
                **{"marker": "o", "capsize": 2, "label": label, "color": COLORS[number]},
            )
        panel.set_xticks(range(len(strengths)), [f"{x:g}" for x in strengths])
        panel.set_title(kind)
        panel.set_xlabel("kappa")
        tidy(panel)
    panels[0].set_ylabel("area under the learning curve")
    figure.suptitle("CartPole, broken by degrees")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=6)
    save_png(figure, path)


def plot_control(rows: list[dict[str, Any]], shares: Sequence[float], path: Path) -> None:
    """Draws returns at the end by breaking and, below, by noise; a column for each task; a PNG.

    Bars are 95 % intervals of interquartile means over seeds. With noise: means over the task's
    cells of those.
    """
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    figure = new_figure(4.5 * len(tasks), 7)
    panels = figure.subplots(2, len(tasks), squeeze=False)
    for column, task in enumerate(tasks):
        above, below = panels[:, column]
        for number, (agent, label) in enumerate(control.AGENTS.items()):
            own = [r for r in rows if r["task"] == task and r["agent"] == agent]
            style = {"label": label, "color": COLORS[number], "marker": "o"}
            ends = [row["end"] for row in own]
            errors = [
                [row["end"] - row["end_low"] for row in own],
                [row["end_high"] - row["end"] for row in own],
            ]
            places = [place + (number - 1.5) / 8 for place in range(len(own))]
            above.errorbar(places, ends, errors, linestyle="", capsize=2, **style)
            names = ["end", *(f"noise_{share:g}" for share in shares)]
            means = [sum(row[name] for row in own) / len(own) for name in names]
            below.plot([0.0, *shares], means, **style)
        above.set_xticks(range(len(own)), [row["breaking"] for row in own])
        above.set_title(task)
        below.set_xlabel("noise, in typical sizes of what is observed")
        tidy(above)
        tidy(below)
    panels[0][0].set_ylabel("greedy return of the last policy")
    panels[1][0].set_ylabel("the same with noise, all breakings")
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    save_png(figure, path)
