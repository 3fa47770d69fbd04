"""TensorBoard's event files of a run."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import tensorflow as tf

from tf_equirl.training.evaluations import Evaluations
from tf_equirl.training.learner import Learner, Reports


class Events:
    """Writes what a learner reports for TensorBoard, every step once.

    TensorBoard is a help to the eye: where it cannot be written, the run says so once and goes on.

    Args:
        folder: Of the event files.
        learner: Says what is written.
        columns: Of the members whose numbers they are.
    """

    def __init__(self, folder: Path, learner: Learner, columns: slice = slice(None)):
        self._folder = folder
        self._learner = learner
        self._columns = columns
        self._writer: tf.summary.SummaryWriter | None = None
        self._able = True

    def write_anew(
        self, made: Iterable[tuple[str, int, Reports]], evaluations: Evaluations
    ) -> None:
        """Replaces all event files of the folder.

        A process that was killed has written steps that the run makes again, or has not written
        some that it made: the checkpoint knows what there is.

        Args:
            made: Stage, first step, and what the steps reported, in order.
            evaluations: All that were made.
        """

        def write() -> None:
            old = list(self._folder.glob("events.*"))
            for stage, first, reports in made:
                self.add(stage, first, reports)
            for number in range(len(evaluations.updates)):
                self.add_evaluation(evaluations, number)
            self.flush()
            for file in old:
                file.unlink()

        self._try(write)

    def add(self, stage: str, first: int, reports: Reports) -> None:
        """Writes what the steps of a stage from `first` on reported."""

        own = {name: values[..., self._columns] for name, values in reports.items()}
        self._write(self._learner.scalars(stage, first, own))

    def add_evaluation(self, evaluations: Evaluations, number: int) -> None:
        """Writes one of some evaluations of all members."""
        returns = evaluations.returns[self._columns, number]
        step = int(evaluations.timesteps[number])
        known = returns[~np.isnan(returns)]
        if known.size:
            scalars = (("mean", known.mean()), ("worst_seed", known.min()))
            self._write((f"evaluation/{name}", float(x), step) for name, x in scalars)

    def _write(self, scalars: Iterable[tuple[str, float, int]]) -> None:
        def write() -> None:
            if self._writer is None:
                self._writer = tf.summary.create_file_writer(str(self._folder), flush_millis=10_000)
            with self._writer.as_default():
                for name, value, step in scalars:
                    if not np.isnan(value):
                        tf.summary.scalar(name, value, step)

        self._try(write)

    def flush(self) -> None:
        """Waits until all is on the disk."""
        if self._writer is not None:
            self._try(self._writer.flush)

    def close(self) -> None:
        """Closes the file."""
        if self._writer is not None:
            self._try(self._writer.close)

    def _try(self, write: Callable[[], None]) -> None:
        if not self._able:
            return
        try:
            write()
        except (OSError, tf.errors.OpError) as error:
            self._able = False
            warnings.warn(
                f"TensorBoard's events cannot be written to {self._folder} any more; training goes "
                f"on without. They are written anew where the run is resumed. ({error!s:.200})",
                RuntimeWarning,
                stacklevel=2,
            )
