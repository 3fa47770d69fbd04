"""Tables of transition models for the terminal."""

from __future__ import annotations

import math

import numpy as np
from rich.table import Table

from tf_equirl.dynamics.result import TransitionResult
from tf_equirl.experiments.statistics import mean_and_error

_STEPS = (1, 5, 10, 20, 50, 100, 200, 500)


def transition_table(result: TransitionResult, rollouts: np.ndarray, title: str) -> Table:
    """What a run's models are worth: means over seeds with two standard errors.

    Args:
      result: a run with validation data.
      rollouts: `[seeds, steps]`, as `rollout_errors` returns them; shown after 1, 5, 10, ... steps
        and the last one, as long as episodes go on. May have no steps.
      title: text above the table.

    Returns:
      A `rich` table; print it with `rich.print`.
    """
    table = Table(title=title, title_justify="left", min_width=len(title))
    table.add_column("measure")
    table.add_column("mean", justify="right")
    table.add_column("worst seed", justify="right", style="dim")
    for name, values in result.validation.items():
        worst = np.min if name == "accuracy" else np.max
        final = values[:, -1]
        table.add_row(
            f"{name.replace('_', ' ')}, validation set", _mean(final), _text(worst(final))
        )
    lasting = int((~np.isnan(rollouts)).any(axis=0).sum())  # NaN: all episodes have ended
    kind = "wrong predictions" if "accuracy" in result.metric_names else "mean square"
    for steps in [k for k in _STEPS if k < lasting] + [lasting] * (lasting > 0):
        errors = rollouts[:, steps - 1]
        after = f"after {steps} step{'s' if steps > 1 else ''}"
        table.add_row(f"{kind} {after}", _mean(errors), _text(np.max(errors)))
    return table


def _mean(values: np.ndarray) -> str:
    mean, error = mean_and_error(values.astype(float))
    return _text(mean) if math.isnan(error) else f"{_text(mean)} ± {error:.2g}"


def _text(value: float) -> str:
    return f"{value:.4g}"
