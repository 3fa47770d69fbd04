"""What is written of SAC on control tasks: interquartile means over all seeds, and best seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tf_equirl.experiments.statistics import (
    decimals_for,
    interquartile_mean,
    paired_difference,
)
from tf_equirl.experiments.tables import markdown_table
from tf_equirl.models.widths import trained_parameters
from tf_equirl.reproductions.approximate.control import (
    AGENTS,
    Control,
    ControlCell,
    Measured,
)
from tf_equirl.reproductions.approximate.measures import best_rate, interval_columns

Row = dict[str, Any]
_BASELINES = ("exact", "mlp")


def control_rows(found: Mapping[ControlCell, Mapping[str, Measured]]) -> list[Row]:
    """A row for each cell and agent."""
    return [_row(cell, agent, agents) for cell, agents in found.items() for agent in agents]


def _row(cell: ControlCell, agent: str, agents: Mapping[str, Measured]) -> Row:
    measured = agents[agent]
    result, returns = measured.result, measured.returns[0.0]
    row: Row = {
        "task": cell.task,
        "breaking": cell.breaking,
        "agent": agent,
        "seeds": len(result.seeds),
        "timesteps": int(result.timesteps[-1]),
        "learning_rate": result.config.learning_rate,
        "parameters": trained_parameters(result.networks["actor"])
        + trained_parameters(result.networks["q_function_1"]),
        "seconds": result.run_seconds,
        "best_seed": float(returns.max()),
    }
    for name, values in (("end", returns), ("area", measured.area)):
        row |= interval_columns(name, *interquartile_mean(values))
        for other in _BASELINES:
            against = agents[other]
            gain = paired_difference(
                values, against.returns[0.0] if name == "end" else against.area
            )
            row |= interval_columns(f"{name}_minus_{other}", gain.mean, gain.low, gain.high)
    for share, noisy in measured.returns.items():
        if share:
            row |= interval_columns(f"noise_{share:g}", *interquartile_mean(noisy))
    for name, of_layers in (("spread", measured.spreads), ("certificate", measured.certificates)):
        known = of_layers.size > 0
        row[f"{name}_first"] = float(of_layers[:, 0].mean()) if known else float("nan")
        row[f"{name}_largest"] = float(of_layers.max(axis=1).mean()) if known else float("nan")
    return row


def control_markdown(
    control: Control, rows: list[Row], rates: Mapping[str, Mapping[float, float]]
) -> str:
    """The page.

    Args:
        control: What was trained.
        rows: See `control_rows`.
        rates: By agent and learning rate the area under the curve of the search.
    """
    shares = [f"{share:g}" for share in control.shares]
    first = rows[0]
    base, labels = control.base, list(AGENTS.values())
    by_cell: dict[tuple[str, str], dict[str, Row]] = {}
    for row in rows:
        by_cell.setdefault((row["task"], row["breaking"]), {})[row["agent"]] = row

    def table(name: str, agents: Iterable[str] = AGENTS) -> list[list[str]]:
        return [
            [*cell, *(_interval(of_cell[agent], name) for agent in agents)]
            for cell, of_cell in by_cell.items()
        ]

    best = []
    for cell, of_cell in by_cell.items():
        selected, typical = (
            max(of_cell, key=lambda agent: of_cell[agent][name]) for name in ("best_seed", "end")
        )
        values = [f"{of_cell[agent]['best_seed']:.0f}" for agent in AGENTS]
        best.append([*cell, *values, AGENTS[selected], AGENTS[typical]])
    differences = [
        [*cell, AGENTS[agent], *(_interval(of_cell[agent], name) for name in _DIFFERENCES)]
        for cell, of_cell in by_cell.items()
        for agent in AGENTS
        if agent != "mlp"
    ]
    spreads = [
        [
            *cell,
            *(_number(of_cell["relaxed"][f"spread_{which}"]) for which in ("first", "largest")),
            *(_number(of_cell[a]["certificate_largest"]) for a in ("relaxed", "rpp")),
        ]
        for cell, of_cell in by_cell.items()
    ]
    searched = [
        [
            AGENTS[agent],
            *("-" if np.isnan(area) else f"{area:.1f}" for area in areas.values()),
            f"{best_rate(areas):g}",
        ]
        for agent, areas in rates.items()
    ]
    noise = [
        [*cell, AGENTS[agent], *(_interval(row, name) for name in ("end", *_noises(shares)))]
        for cell, of_cell in by_cell.items()
        for agent, row in of_cell.items()
    ]
    where = ["task", "broken by"]
    parts = [
        "**SAC on control tasks, from states: greedy return of the last policy**, "
        f"{first['timesteps']:,} environment steps and {base.num_gradient_steps:,} gradient steps "
        f"of {base.batch_size} rows, {first['seeds']} seeds, {control.episodes} episodes of each, "
        "the same for all. Interquartile means over *all* seeds, with 95 % bootstrap intervals. "
        'Breakings are of the published strength ("gain", ours: kappa = 1). All agents have as '
        f"many parameters, about {first['parameters']:,} in actor and one critic.",
        markdown_table([*where, *labels], table("end")),
        "**Area under the learning curve** (with the noise of the policies that act), likewise.",
        markdown_table([*where, *labels], table("area")),
        "**Differences over the same seeds**, means with Student's 95 % intervals.",
        markdown_table(
            [
                *where,
                "agent",
                *(f"{n}, - {AGENTS[b]}" for n in ("end", "area") for b in _BASELINES),
            ],
            differences,
        ),
        "**The best seed**, which is what the paper's table takes: it rewards variance. "
        "*Selected*: the agent that this rule prefers; *typical*: that of the largest "
        "interquartile mean.",
        markdown_table([*where, *labels, "selected", "typical"], best),
        "**Noise that was not trained with**: normal, of standard deviations of so many typical "
        "sizes of the numbers observed, drawn anew at every step.",
        markdown_table([*where, "agent", "none", *shares], noise),
        "**How much was relaxed**: spread of the relaxation weights of the actor's first layer, "
        "and the largest of all its layers; the largest of the layers' certificates, by which a "
        "layer errs at most times the length of its input. Means over seeds; all are 0 at the "
        "start, and of RPP near it.",
        markdown_table(
            [*where, "first", "largest", "certificate, relaxed", "certificate, RPP"], spreads
        ),
        f"**Learning rates**: of {len(control.rates)} the one with the largest mean area under "
        f"the curve on {control.searched.task} that is not broken, by "
        f"{len(control.search_seeds)} other seeds in {control.search_timesteps:,} steps; used for "
        "all tasks.",
        markdown_table(["agent", *(f"{rate:g}" for rate in control.rates), "chosen"], searched),
    ]
    return "\n\n".join(parts) + "\n"


_DIFFERENCES = [f"{name}_minus_{other}" for name in ("end", "area") for other in _BASELINES]


def _noises(shares: Iterable[str]) -> list[str]:
    return [f"noise_{share}" for share in shares]


def _interval(row: Row, name: str) -> str:
    value, low, high = row[name], row[f"{name}_low"], row[f"{name}_high"]
    if np.isnan(value):
        return "-"
    if low == high:  # a difference to itself
        return f"{value:.0f}"
    decimals = decimals_for((high - low) / 2)
    return f"{value:.{decimals}f} [{low:.{decimals}f}, {high:.{decimals}f}]"


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3g}"
