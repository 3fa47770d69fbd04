"""What is written of the race: tables, and the frontier of return and cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tf_equirl.agents import TrainingResult
from tf_equirl.dyna import DynaConfig
from tf_equirl.dyna.schedule import Schedule
from tf_equirl.experiments.experiment import Column, Experiment
from tf_equirl.experiments.metrics import agent_of
from tf_equirl.experiments.plots import COLORS, draw_mean, new_figure, save_png, smoothed, tidy
from tf_equirl.experiments.savings import saving, steps_to_level
from tf_equirl.experiments.statistics import Estimate
from tf_equirl.experiments.tables import markdown_table
from tf_equirl.experiments.tuning import Tuned
from tf_equirl.experiments.tuning.search import environment_steps, gradient_steps
from tf_equirl.experiments.tuning.trials import short_text
from tf_equirl.reproductions.race.contest import Race, Settings

_SIDE_BY_SIDE = 32  # seeds whose time is told, or all if there are fewer


class Finish(NamedTuple):
    """How the race ended.

    Attributes:
        race: Who ran.
        experiment: The agents at their best.
        tuned: By name of the agent what its search found.
        given: Settings of the agents that were not searched.
        results: The reported runs.
    """

    race: Race
    experiment: Experiment
    tuned: Mapping[str, Tuned]
    given: Settings
    results: Mapping[Column, TrainingResult]

    @property
    def settings(self) -> Settings:
        """Of all agents, in the order of the columns."""
        found = {name: tuned.best.values for name, tuned in self.tuned.items()} | dict(self.given)
        return {column.name: found[column.name] for column in self.results}


def race_markdown(finish: Finish) -> str:
    """Budgets and best settings, real steps to each level, and what they are saved by."""
    results, levels = finish.results, [f"{level:g}" for level in finish.experiment.levels]
    seeds = len(finish.race.search_seeds)
    lengths = sorted({t.timesteps for each in finish.tuned.values() for t in each.trials})
    told = " of " + " and ".join(f"{length:,}" for length in lengths) + " steps" if lengths else ""
    given = " –: settings that were given, from an earlier search." if finish.given else ""
    parts = [
        f"**Tuning.** Every agent had {finish.race.trials} trials of the same hyperparameters, "
        f"drawn alike,{told} (successive halving: one of "
        f"four goes on), each for {seeds} seeds that are none of those above; what is best has the "
        f"largest area under the curve. Steps of all trials and seeds.{given}",
        markdown_table(
            ["agent", "environment steps", "gradient steps", "score", "best settings"],
            [_tuning_row(finish, column) for column in results],
        ),
        "**Real steps to a level** [95 % bootstrap interval over seeds].",
        markdown_table(["agent", *levels], [_steps_row(finish, column) for column in results]),
        "**How many times fewer real steps** the first agent of a pair needs than the second [95 % "
        "bootstrap interval over seeds, the same ones drawn for both]; below 1 it needs more. ∞: "
        "the second does not get there within its run; –: neither does.",
        markdown_table(["", "agents", *levels], _saving_rows(finish)),
        "**Cost of a run**, of one seed: gradient steps of the agent and of its models, planned "
        "ones included; seconds of a run of several seeds, compilation left out.",
        markdown_table(
            ["agent", "environment steps", "gradient steps", _seconds(finish)],
            [_cost_row(column, result) for column, result in results.items()],
        ),
    ]
    return "\n\n".join(parts) + "\n"


def plot_frontier(finish: Finish, path: Path) -> None:
    """Draws returns by real steps, by gradient steps and by time, and writes a PNG."""
    figure = new_figure(15, 5.2)
    panels = figure.subplots(1, 3, sharey=True)
    for number, (column, result) in enumerate(finish.results.items()):
        times, returns = smoothed(result)
        if not len(times):
            continue
        color = COLORS[number % len(COLORS)]
        style = "-" if number < len(COLORS) else "--"
        for panel, costs in zip(panels, _costs(column, result, times), strict=True):
            draw_mean(panel, costs, returns, column.label, color)
            panel.lines[-1].set_linestyle(style)
    for panel, label in zip(
        panels, ("real steps", "gradient steps", _seconds(finish)), strict=True
    ):
        panel.set_xlabel(label)
        tidy(panel)
    for panel in panels[1:]:
        panel.set_xscale("log")
    panels[0].set_ylabel("mean return")
    figure.suptitle(finish.experiment.title)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    save_png(figure, path)


def frontier_rows(finish: Finish) -> list[dict[str, object]]:
    """The numbers of the figure: a row for each agent and point."""
    rows: list[dict[str, object]] = []
    for column, result in finish.results.items():
        times, returns = smoothed(result)
        costs = _costs(column, result, times)
        error = 2 * returns.std(axis=0, ddof=1) / math.sqrt(len(returns))
        for point in zip(*costs, returns.mean(axis=0), error, strict=True):
            names = ("timestep", "gradient_steps", "seconds", "mean_return", "error")
            numbers = {n: f"{float(x):.6g}" for n, x in zip(names, point, strict=True)}
            rows.append({"agent": column.name, **numbers})
    return rows


def seconds_of_run(result: TrainingResult) -> float:
    """Time of training as many seeds as are trained side by side."""
    return result.run_seconds * min(1.0, _SIDE_BY_SIDE / len(result.seeds))


def _seconds(finish: Finish) -> str:
    seeds = len(next(iter(finish.results.values())).seeds)
    return f"seconds for {min(seeds, _SIDE_BY_SIDE)} seeds"


def _costs(
    column: Column, result: TrainingResult, times: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Environment steps, gradient steps and seconds up to some timesteps."""
    seconds = times / environment_steps(column.config) * seconds_of_run(result)
    return times, _gradients_at(column, times), seconds


def _gradients_at(column: Column, timesteps: np.ndarray) -> np.ndarray:
    """Gradient steps that were made when so many environment steps were."""
    config = column.config
    agent = agent_of(config)
    updates = timesteps / agent.batch_size
    if not isinstance(config, DynaConfig):
        return updates * agent.gradient_steps
    schedule = Schedule(config, config.model is not None)
    ends = np.array([0, *schedule.ends["update"]])
    planned = np.array([0, *schedule.ends["plan"]]) * agent.gradient_steps
    planned = planned + np.array([0, *schedule.ends["fit"]]) * config.ensemble_size
    return updates * agent.gradient_steps + planned[np.searchsorted(ends, updates, "right") - 1]


def _tuning_row(finish: Finish, column: Column) -> list[str]:
    settings = ", ".join(
        f"{name.replace('_', ' ')} {short_text(value)}"
        for name, value in finish.settings[column.name].items()
    )
    tuned = finish.tuned.get(column.name)
    if tuned is None:
        return [column.label, "–", "–", "–", settings]
    return [
        column.label,
        f"{tuned.environment_steps:,}",
        f"{tuned.gradient_steps:,}",
        f"{tuned.best.score:.3g} ± {tuned.best.error:.2g}",
        settings,
    ]


def _steps_row(finish: Finish, column: Column) -> list[str]:
    result = finish.results[column]
    found = [steps_to_level(result, level) for level in finish.experiment.levels]
    return [column.label, *(_steps(estimate, result) for estimate in found)]


def _steps(estimate: Estimate, result: TrainingResult) -> str:
    last = f"> {result.timesteps[-1]:,}"

    def text(steps: float) -> str:
        return last if math.isinf(steps) else f"{steps:,.0f}"

    value, low, high = estimate
    if math.isinf(low):
        return last
    return f"{text(value)} [{text(low)}, {text(high)}]"


def _saving_rows(finish: Finish) -> list[list[str]]:
    by_name = {column.name: result for column, result in finish.results.items()}
    labels = {column.name: column.label for column in finish.results}
    return [
        [
            what,
            f"{labels[ours]} / {labels[theirs]}",
            *(
                _ratio(saving(by_name[ours], by_name[theirs], level))
                for level in finish.experiment.levels
            ),
        ]
        for what, ours, theirs in finish.race.savings
        if {ours, theirs} <= set(by_name)
    ]


def _ratio(estimate: Estimate) -> str:
    def text(ratio: float) -> str:
        return "∞" if math.isinf(ratio) else f"{ratio:.2f}"

    value, low, high = estimate
    if math.isnan(value):
        return "–"
    if math.isnan(low):
        return text(value)
    return f"{text(value)} [{text(low)}, {text(high)}]"


def _cost_row(column: Column, result: TrainingResult) -> list[str]:
    return [
        column.label,
        f"{environment_steps(column.config):,}",
        f"{gradient_steps(column.config):,}",
        f"{seconds_of_run(result):.0f}",
    ]
