"""PPO on CartPole whose symmetry is broken by degrees: the numbers and the page."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tf_equirl import envs
from tf_equirl.agents import TrainingResult
from tf_equirl.envs.symmetries import Recommendation
from tf_equirl.experiments.metrics import area_under_curve
from tf_equirl.experiments.statistics import mean_and_error, paired_difference, rounded
from tf_equirl.experiments.tables import markdown_table
from tf_equirl.experiments.tuning import Tuned
from tf_equirl.experiments.tuning.trials import short_text
from tf_equirl.reproductions.approximate.cells import AGENTS, CHOICES, Cell, Cells
from tf_equirl.reproductions.approximate.measures import curve_columns, mean_spreads


class Judged(NamedTuple):
    """A cell: which networks were best, and what was recommended.

    Attributes:
        best: The agent with the largest mean of the area under the curve, augmentation left out.
        as_good: Agents whose difference to it over the same seeds could be chance (95 %).
        recommended: What `recommend` says.
        hit: Whether an agent of the recommended choice is the best.
        near: Whether one is as good.
    """

    best: str
    as_good: tuple[str, ...]
    recommended: Recommendation
    hit: bool
    near: bool


def judge(areas: Mapping[str, np.ndarray], recommended: Recommendation) -> Judged:
    """Compares what was best in a cell with what was recommended.

    Args:
        areas: By agent, the area under the curve of every seed.
        recommended: Of the cell's environment.
    """
    choices = [agent for agents in CHOICES.values() for agent in agents]
    best = max(choices, key=lambda agent: float(areas[agent].mean()))
    as_good = tuple(
        agent
        for agent in choices
        if agent == best or paired_difference(areas[best], areas[agent]).low <= 0
    )
    of_choice = CHOICES[recommended.choice]
    return Judged(
        best, as_good, recommended, best in of_choice, any(a in of_choice for a in as_good)
    )


def cell_rows(
    cells: Cells, found: Mapping[Cell, Mapping[str, TrainingResult]]
) -> list[dict[str, Any]]:
    """A row for each cell and agent."""
    rows = []
    for cell, results in found.items():
        areas = {agent: area_under_curve(result) for agent, result in results.items()}
        judged = judge(areas, envs.recommend(cells.make(cell)))
        for agent, result in results.items():
            spread: Sequence[Any] = ("", "")
            if agent.startswith("relaxed"):
                actors = [result.actor(seed) for seed in result.seeds]
                spread = mean_and_error(mean_spreads(actors))
            rows.append(
                {
                    "breaking": cell.kind,
                    "kappa": cell.kappa,
                    "agent": agent,
                    **curve_columns(result, results["mlp"], "mlp"),
                    "spread": spread[0],
                    "spread_error": spread[1],
                    "best": judged.best,
                    "as_good": " ".join(judged.as_good),
                    "recommended": judged.recommended.choice,
                    "gap_ratio": judged.recommended.gap_ratio,
                    "turned_share": judged.recommended.turned_share,
                    "hit": judged.hit,
                    "near": judged.near,
                }
            )
    return rows


def cells_markdown(rows: list[dict[str, Any]], tuned: Mapping[str, Mapping[str, Tuned]]) -> str:
    """The page.

    Args:
        rows: See `cell_rows`.
        tuned: By kind of breaking and agent.
    """
    of_cells = [
        list(group)
        for _, group in itertools.groupby(rows, key=lambda row: (row["breaking"], row["kappa"]))
    ]
    table, ends, spread = [], [], []
    for group in of_cells:
        first = group[0]
        cell = [first["breaking"], f"{first['kappa']:g}"]
        good = first["as_good"].split()
        texts = []
        for row in group:
            text = rounded(row["area"], row["area_error"])
            texts.append(f"**{text}**" if row["agent"] in good else text)
        mark = "yes" if first["hit"] else "as good" if first["near"] else "no"
        table.append([*cell, *texts, first["recommended"], mark])
        ends.append([*cell, *(rounded(row["end"], row["end_error"]) for row in group)])
        relaxed = [row for row in group if row["agent"].startswith("relaxed")]
        spread.append([*cell, *(rounded(row["spread"], row["spread_error"]) for row in relaxed)])
    hits = sum(group[0]["hit"] for group in of_cells)
    near = sum(group[0]["near"] for group in of_cells)
    settings = [
        [kind, AGENTS[agent], rounded(found.best.score, found.best.error), _settings(found)]
        for kind, of_kind in tuned.items()
        for agent, found in of_kind.items()
    ]
    labels = list(AGENTS.values())
    number, seeds = len(of_cells), rows[0]["seeds"]
    always = ", ".join(f"{choice} {_rate(of_cells, choice)}" for choice in CHOICES)
    parts = [
        "**CartPole, broken by degrees: area under the learning curve**, PPO, "
        f"{rows[0]['timesteps']:,} steps, {seeds} seeds, mean ± two standard errors. Bold: the "
        "best of the networks, and those whose difference to it over the same seeds could be "
        "chance (95 %). *Recommended*: by `recommend`, from the dynamics alone; *right*: whether "
        "one of those networks is the best.",
        markdown_table(["broken by", "kappa", *labels, "recommended", "right"], table),
        f"**Hit rate of `recommend`**: the best network is of the recommended kind in {hits} of "
        f"{number} cells, and one of that kind is as good as the best, up to chance, in {near}. "
        f"Of one choice for all cells (best, as good): {always}.",
        "**Return at the end.**",
        markdown_table(["broken by", "kappa", *labels], ends),
        "**Spread of the relaxation weights** of trained policies, mean over layers, which begins "
        "at 0; settings are the same within a kind of breaking.",
        markdown_table(
            ["broken by", "kappa", *(AGENTS[a] for a in CHOICES["relaxed"] if a != "rpp")], spread
        ),
        "**Tuning**: settings of every agent, found at one strength of every kind of breaking on "
        "other seeds than those above.",
        markdown_table(["broken by", "agent", "score", "settings"], settings),
    ]
    return "\n\n".join(parts) + "\n"


def _rate(of_cells: list[list[dict[str, Any]]], choice: str) -> str:
    agents = CHOICES[choice]
    best = sum(group[0]["best"] in agents for group in of_cells)
    good = sum(any(a in agents for a in group[0]["as_good"].split()) for group in of_cells)
    return f"{best}, {good}"


def _settings(found: Tuned) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} {short_text(value)}" for name, value in found.best.values.items()
    )
