"""How far a Dyna run is."""

from __future__ import annotations

import math
from typing import NamedTuple


class DynaProgress(NamedTuple):
    """How far `train_dyna` is; passed on after every call of the compiled program.

    Attributes:
        part: What is going on: "act and update", "fit" or "plan".
        done: Share of the run's steps, real and planned, that are made, from 0 to 1.
        timesteps: Environment steps done by each seed, of `total_timesteps`.
        total_timesteps: Environment steps of each seed in the run.
        planned_timesteps: Mean over seeds of the steps done in the model.
        mean_return: Mean over seeds of the last finished return; NaN before the first.
        model_error: Mean over seeds of the model's held-out error at the last planning; NaN before.
            It is optimistic: held-out transitions are neighbours of those that were fitted.
        steps_per_second: Steps of all seeds by second in this part, lately; 0 while fitting.
        compile_seconds: Time that compilation took; 0 before it.
        evaluated: Mean over seeds of the last evaluation; NaN before the first.
    """

    part: str
    done: float
    timesteps: int
    total_timesteps: int
    planned_timesteps: float
    mean_return: float
    model_error: float
    steps_per_second: float
    compile_seconds: float
    evaluated: float = math.nan

    def __str__(self) -> str:
        """What a progress bar shows."""
        steps = f"{self.timesteps:,} real + {self.planned_timesteps:,.0f} planned steps"
        parts = [f"{self.part}: {steps}"]
        parts += [f"{self.steps_per_second:,.0f} steps/s"] if self.steps_per_second else []
        parts += [f"mean return {self.mean_return:.3g}"]
        if self.model_error == self.model_error:  # not NaN
            parts += [f"model error {self.model_error:.2g}"]
        if not math.isnan(self.evaluated):
            parts += [f"evaluated {self.evaluated:.3g}"]
        return ", ".join(parts)
