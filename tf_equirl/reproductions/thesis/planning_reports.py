"""What the report of an experiment with planning says beside returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tf_equirl.agents import TrainingResult
from tf_equirl.dyna import DynaResult
from tf_equirl.experiments.experiment import Column, Experiment
from tf_equirl.experiments.metrics import (
    agent_config,
    common_part,
    first_timestep_reaching,
    return_at,
)
from tf_equirl.experiments.statistics import Difference, paired_difference
from tf_equirl.experiments.tables import markdown_table

Results = Mapping[Column, TrainingResult]


def planning_markdown(experiment: Experiment, results: Results) -> str:
    """Tables of an experiment with planning: savings, the least lead, models and costs.

    Args:
        experiment: The experiment.
        results: As `Experiment.train` returns them.

    Returns:
        Markdown, to follow `to_markdown`'s.
    """
    labels = [column.label for column in results]
    planners = {c: r for c, r in results.items() if isinstance(r, DynaResult)}
    parts = []
    if experiment.levels:
        parts += [
            "**How many times fewer real steps** than the first column needs for a level; > where "
            "that does not reach it in its whole run.",
            markdown_table(["level", *labels], _saving_rows(experiment, results)),
        ]
    parts += [
        "**Least lead** over the model-free agent with the same actor: the smallest difference of "
        "the returns, averaged over 500 steps on each side, at any timestep at which they differ; "
        "mean ± two standard errors over the same seeds; negative where planning is behind.",
        markdown_table(
            ["agent", "model-free agent", "difference", "in standard errors", "at timestep"],
            _lead_rows(results),
        ),
        "**Planning.** Model error: on held-out transitions, mean over seeds (mean square for real "
        "states, cross-entropy for categories); times of all seeds, compilation left out.",
        markdown_table(["", *(c.label for c in planners)], _planning_rows(planners)),
    ]
    return "\n\n".join(parts) + "\n"


def least_lead(ours: TrainingResult, other: TrainingResult) -> tuple[int, Difference]:
    """The timestep at which a run is furthest behind another, or least ahead, and by how much.

    Args:
        ours: A run.
        other: A run with the same seeds; the longer one is cut.

    Returns:
        The timestep, of those that are multiples of an update and at which the returns of all seeds
        are known and any differs, and the paired difference there of `return_at`.

    Raises:
        ValueError: If the runs are equal wherever the returns of all seeds are known.
    """
    ours, other = common_part([ours, other])
    steps = agent_config(ours).rollout_steps
    times = ours.timesteps[steps - 1 :: steps]
    found = []
    for t in map(int, times):
        one, another = return_at(ours, t), return_at(other, t)
        if np.isfinite(one - another).all() and not np.array_equal(one, another):
            found.append((t, paired_difference(one, another)))
    if not found:
        raise ValueError(
            "ours must differ from other where all returns are known. Received: two runs with "
            "equal returns there"
        )
    return min(found, key=lambda pair: pair[1].mean)


def _saving_rows(experiment: Experiment, results: Results) -> list[list[str]]:
    rows = []
    end = next(iter(results.values())).timesteps[-1]
    for level in experiment.levels:
        steps = [first_timestep_reaching(result, level) for result in results.values()]
        first = steps[0]
        sign, whole = ("", first) if first is not None else ("> ", end)
        cells = ["" if s is None else f"{sign}{whole / s:.1f}" for s in steps]
        rows.append([f"{level:g}", *cells])
    return rows


def _lead_rows(results: Results) -> list[list[str]]:
    model_free = {c: r for c, r in results.items() if not isinstance(r, DynaResult)}
    rows = []
    for column, result in results.items():
        same = [
            c for c, r in model_free.items() if agent_config(r).actor == agent_config(result).actor
        ]
        if column in model_free or not same:
            continue
        timestep, difference = least_lead(result, results[same[0]])
        error = 2 * difference.standard_error
        digits = 1 if abs(difference.mean) >= 1 else 3
        rows.append(
            [
                column.label,
                same[0].label,
                f"{difference.mean:+.{digits}f} ± {error:.{digits}f}",
                f"{difference.standard_errors:+.1f}",
                f"{timestep:,}",
            ]
        )
    return rows


def _planning_rows(planners: Mapping[Column, DynaResult]) -> list[list[str]]:
    runs = list(planners.values())
    rows = [["planned steps per seed", *(f"{_planned_steps(r):,.0f}" for r in runs)]]
    for name, which in (("first", 0), ("last", -1)):
        rows.append([f"model error, {name} planning", *(_error(r, which) for r in runs)])
    for part in runs[0].seconds:
        rows.append([f"{part}, s", *(f"{r.seconds[part]:,.0f}" for r in runs)])
    speeds = [
        f"{_planned_steps(r) * len(r.seeds) / r.seconds['plan']:,.0f}" if r.seconds["plan"] else ""
        for r in runs
    ]
    return [*rows, ["planned steps/s over all seeds", *speeds]]


def _planned_steps(result: DynaResult) -> float:
    return float(result.planned_updates.sum(axis=1).mean() * result.config.agent.batch_size)


def _error(result: DynaResult, which: int) -> str:
    curves: Sequence[np.ndarray] = list(result.model_metrics.values())
    return f"{curves[0][:, which].mean():.2g}" if curves else "0"
