"""What is known of the symmetries of gymnasium's environments, measured, as a table."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from tf_equirl._checks import LARGEST_SAMPLE, LARGEST_SEED, integer, positive_integer
from tf_equirl.envs.declared.declarations import DECLARED, declared_symmetry
from tf_equirl.envs.symmetries.check import check_symmetry
from tf_equirl.envs.symmetries.dynamics import dynamics_of
from tf_equirl.envs.symmetries.outcome_report import OutcomeReport
from tf_equirl.envs.symmetries.report import SymmetryReport, TwoSampleReport

_SMALL_HUMANOID = {
    f"include_{part}_in_observation": False
    for part in ("cinert", "cvel", "qfrc_actuator", "cfrc_ext")
}
# Beside the states that random actions visit: states drawn from all of the declared space, and
# observations without some parts.
_EVERYWHERE = ("MountainCar-v0", "MountainCarContinuous-v0")
_OPTIONS: dict[str, dict[str, Any]] = {"Humanoid-v5": _SMALL_HUMANOID}
_HEADINGS = (
    "environment",
    "group",
    "verdict",
    "next states: 99 %",
    "max",
    "rewards: max",
    "terminations",
    "beyond 10 % of a step",
)


def symmetry_table(samples: int = 1000, seed: int = 0) -> str:
    """Checks every declared symmetry and returns two tables in Markdown: what, and how well.

    Needs gymnasium's `box2d` and `mujoco`; takes a minute or two.

    Args:
        samples: States and actions for each check.
        seed: An integer in [0, 2^64).

    Raises:
        ValueError: If an argument is not one of those, or an environment cannot be made.
    """
    samples = positive_integer("samples", samples, LARGEST_SAMPLE)
    seed = integer("seed", seed, 0, LARGEST_SEED)
    words, numbers = [], []
    for env_id, declared in DECLARED.items():
        if declared.symmetry is None:
            words.append([f"`{env_id}`", "none", "", declared.why])
            continue
        group = declared.symmetry.group.name
        words.append([f"`{env_id}`", group, declared.acts, declared.why])
        checks: list[tuple[Any, ...]] = [("", env_id, declared.symmetry, None)]
        if env_id in _EVERYWHERE:
            low, high = _bounds(env_id)
            states = np.random.default_rng(seed).uniform(low, high, size=(samples, len(low)))
            checks.append((", states drawn uniformly", env_id, declared.symmetry, states))
        if env_id in _OPTIONS:
            env = gymnasium.make(env_id, **_OPTIONS[env_id])
            label = ", positions and velocities alone"
            checks.append((label, env, declared_symmetry(env), None))
        for label, env, symmetry, states in checks:
            report = check_symmetry(env, symmetry, samples, seed, states)
            numbers.append([f"`{env_id}`{label}", *_row(report)])
    return "\n\n".join(
        [
            _markdown(("environment", "group", "how it acts", "how well, and why"), words),
            _markdown(_HEADINGS, numbers),
        ]
    )


def _row(report: SymmetryReport | OutcomeReport | TwoSampleReport) -> list[str]:
    """Of the second table, after the environment."""
    if not isinstance(report, SymmetryReport):
        words = report.verdict_in_words.replace(":", ",", 1)
        return [report.group, words, *["not compared"] * 5]
    worst = [max(row[level] for row in report.next_state_quantiles) for level in (2, 3)]
    worst.append(max(row[-1] for row in report.reward_quantiles))
    return [
        report.group,
        report.verdict,
        *(f"{error:.1e}" if error else "0" for error in worst),
        f"{100 * max(report.terminated):.2g} %",
        f"{100 * max(report.broken_share):.2g} %",
    ]


def _bounds(env_id: str) -> tuple[Any, Any]:
    dynamics = dynamics_of(env_id)
    return dynamics.low, dynamics.high


def _markdown(headings: tuple[str, ...], rows: list[list[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
