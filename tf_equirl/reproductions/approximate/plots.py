"""Figures of approximate equivariance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tf_equirl.experiments.plots import COLORS, new_figure, save_png, tidy
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
