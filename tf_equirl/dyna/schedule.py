"""When a Dyna run acts, fits its model and plans."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import numpy as np

from tf_equirl.dyna.config import DynaConfig
from tf_equirl.training.replay import HELD_OUT


class Schedule:
    """The order of the four stages of a run, from its config alone.

    In each iteration of a run, updates are made in the environment up to its boundary; then the
    model is fitted ("fit"), measured ("measure") and planned in ("plan").

    Args:
        config: The hyperparameters.
        fits: Whether a model is fitted.
    """

    def __init__(self, config: DynaConfig, fits: bool):
        self.config = config
        self.boundaries = config.boundaries
        self.planned = [config.planned_updates(i) for i in range(config.dyna_iterations)]
        self.fitted = [
            self._fit_steps(i, config.model.batch_size) if fits and config.model and planned else 0
            for i, planned in enumerate(self.planned)
        ]
        measured = [int(planned > 0) for planned in self.planned]
        # Steps of each stage that are made when each iteration ends.
        self.ends = {
            "update": list(self.boundaries),
            "fit": list(itertools.accumulate(self.fitted)),
            "measure": list(itertools.accumulate(measured)),
            "plan": list(itertools.accumulate(self.planned)),
        }

    @property
    def gradient_steps(self) -> int:
        """Gradient steps of a whole run, of the agent and of its models."""
        updates = self.ends["update"][-1] + self.ends["plan"][-1]
        steps = self.ends["fit"][-1] * self.config.ensemble_size
        return updates * self.config.agent.gradient_steps + steps

    def ahead(self, done: Mapping[str, int]) -> tuple[str, int] | None:
        """What is next; see `Learner.ahead`."""
        iteration = self.iterations(done)
        if iteration == len(self.boundaries):
            return None
        missing = {stage: self.ends[stage][iteration] - made for stage, made in done.items()}
        return next((stage, number) for stage, number in missing.items() if number)

    def iterations(self, done: Mapping[str, int]) -> int:
        """Iterations that are finished."""
        finished = [
            int(np.searchsorted(self.ends[stage], made, side="right"))
            for stage, made in done.items()
        ]
        return min(finished)

    def iteration(self, stage: str, first: int) -> int:
        """The iteration that a step of a stage belongs to; the last one for steps behind it."""
        found = int(np.searchsorted(self.ends[stage], first, side="right"))
        return min(found, len(self.boundaries) - 1)

    def filled(self, iteration: int) -> int:
        """Rows that the replay buffer holds when an iteration is planned."""
        c = self.config
        return min(self.boundaries[iteration] * c.agent.batch_size, c.capacity)

    def _fit_steps(self, iteration: int, batch_size: int) -> int:
        c = self.config
        rows = self.filled(iteration) // HELD_OUT * (HELD_OUT - 1)
        steps = max(1, math.ceil(c.model_epochs * rows / batch_size))
        return steps if c.max_model_steps is None else min(steps, c.max_model_steps)
