"""What a run tells while it goes on, and when it cannot."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from tqdm import tqdm

# What follows the time left may be long: no narrow terminal cuts that off.
_BAR = "{desc} {percentage:3.0f}% |{bar:12}| [{remaining} left]{postfix}"


class Progress(NamedTuple):
    """How far a run is; passed on before and after compilation, then about every second.

    Attributes:
        updates: Updates done, of `num_updates`.
        num_updates: Updates in the run.
        timesteps: Environment steps done by each seed.
        mean_return: Mean of the last finished return over the seeds that have one; NaN before.
        steps_per_second: Environment steps of all seeds by second, lately; 0 before the first
            update.
        compile_seconds: Time that compilation took; 0 before it.
        evaluated: Mean over the seeds of the last evaluation; NaN before the first.
    """

    updates: int
    num_updates: int
    timesteps: int
    mean_return: float
    steps_per_second: float
    compile_seconds: float
    evaluated: float = math.nan

    @property
    def done(self) -> float:
        """Share of the run that is done, from 0 to 1."""
        return self.updates / self.num_updates

    def __str__(self) -> str:
        """What a progress bar shows."""
        evaluated = "" if math.isnan(self.evaluated) else f", evaluated {self.evaluated:.3g}"
        return (
            f"{self.steps_per_second:,.0f} steps/s over all seeds, "
            f"mean return {self.mean_return:.3g}{evaluated}"
        )


class ProgressBar:
    """Draws what a trainer passes to `on_progress`; closes itself at the end of the run.

    Args:
        label: Text on its left.
    """

    def __init__(self, label: str):
        self._label = label
        self._bar: tqdm | None = None

    def __call__(self, progress: Any) -> None:
        """Moves the bar to `progress.done`, with `str(progress)` on its right."""
        finished = progress.done == 1
        if self._bar is None:
            if finished:
                return  # nothing was left to do
            # What an earlier process did does not count in the time left, nor does compilation.
            self._bar = tqdm(desc=self._label, total=1, initial=progress.done, bar_format=_BAR)
        self._bar.n = progress.done
        if progress.done > self._bar.initial:
            self._bar.set_postfix_str(str(progress))
        else:
            self._bar.unpause()
            self._bar.set_postfix_str("" if progress.compile_seconds else "compiling")
        if finished:
            self.close()

    def close(self) -> None:
        """Leaves the bar as it is on the screen."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def progress_bar(label: str) -> ProgressBar:
    """A bar for `on_progress` of any trainer: how far the run is, how fast, and the time left."""
    return ProgressBar(label)


class NonFiniteError(FloatingPointError):
    """Losses, gradients or weights of some seeds became infinite or NaN.

    Attributes:
        seeds: Those seeds, in the order in which it happened.
        seed: The first of them.
        update: The number of the update (of the epoch, where a transition model is trained) in
            which it happened to that one, from 0.
        result: What the trainer would have returned: the other seeds' curves and weights are
            complete in it, and those of the harmed seeds are NaN from then on.
    """

    def __init__(self, message: str, seeds: tuple[int, ...], update: int, result: Any):
        super().__init__(message)
        self.seeds = seeds
        self.seed = seeds[0]
        self.update = update
        self.result = result
