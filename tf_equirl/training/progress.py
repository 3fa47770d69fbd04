"""What a run tells while it goes on, and when it cannot."""

from __future__ import annotations

from typing import Any, NamedTuple


class Progress(NamedTuple):
    """How far a run is; passed on before and after compilation, then about every second.

    Attributes:
      updates: updates done, of `num_updates`.
      num_updates: updates in the run.
      timesteps: environment steps done by each seed.
      mean_return: mean over seeds of the last finished return; NaN before the first.
      steps_per_second: environment steps of all seeds by second, lately; 0 before the first update.
      compile_seconds: time that compilation took; 0 before it.
    """

    updates: int
    num_updates: int
    timesteps: int
    mean_return: float
    steps_per_second: float
    compile_seconds: float

    @property
    def done(self) -> float:
        """Share of the run that is done, from 0 to 1."""
        return self.updates / self.num_updates

    def __str__(self) -> str:
        """What a progress bar shows."""
        return (
            f"{self.steps_per_second:,.0f} steps/s over all seeds, "
            f"mean return {self.mean_return:.3g}"
        )


class NonFiniteError(FloatingPointError):
    """A loss, gradient or weight of a seed became infinite or NaN.

    Attributes:
      seed: the seed.
      update: the number of the update (of the epoch, where a transition model is trained) in which
        it happened, from 0.
      result: what the trainer would have returned, up to then; the other seeds' curves are complete
        in it.
    """

    def __init__(self, message: str, seed: int, update: int, result: Any):
        super().__init__(message)
        self.seed = seed
        self.update = update
        self.result = result
