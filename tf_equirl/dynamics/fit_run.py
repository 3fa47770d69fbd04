"""One run of `fit_transition_model`, epoch by epoch."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_equirl.dynamics.learner import Carry, FitProgram
from tf_equirl.dynamics.result import FitState, TransitionResult
from tf_equirl.training.blocks import blocks_of, join_blocks
from tf_equirl.training.progress import NonFiniteError
from tf_equirl.training.run_folder import RunFolder

_SECONDS_BETWEEN_CHECKPOINTS = 60.0


class FitProgress(NamedTuple):
    """How far `fit_transition_model` is; passed on before and after compilation and every call.

    Attributes:
      epochs: epochs that all seeds have finished, of `num_epochs`.
      num_epochs: epochs in the run.
      done: share of the run's gradient steps that are made, from 0 to 1.
      loss: mean over seeds of the last finished epoch's training loss; NaN before the first.
      validation: mean over seeds by metric, after that epoch.
      steps_per_second: gradient steps of all seeds by second, lately; 0 before the first.
      compile_seconds: time that compilation took; 0 before it.
    """

    epochs: int
    num_epochs: int
    done: float
    loss: float
    validation: dict[str, float]
    steps_per_second: float
    compile_seconds: float


class FitRun:
    """One run: its state, and the loop over epochs.

    Args:
      program: the compiled functions.
      seeds: one for each member.
      folder: the run folder, claimed for this run, or None.
      on_progress: see `fit_transition_model`.
    """

    def __init__(
        self,
        program: FitProgram,
        seeds: tuple[int, ...],
        folder: RunFolder | None,
        on_progress: Callable[[FitProgress], None] | None,
    ):
        """See the class."""
        self.program = program
        self.config = program.config
        self.seeds = seeds
        self.blocks = blocks_of(seeds)
        self.folder = folder
        self.on_progress = on_progress
        # Sampled bases: weights mean nothing without the very basis that they were trained with.
        self.constants = program.model.non_trainable_variables
        count = len(seeds)
        self.state = FitState(
            [program.start(block) for block in self.blocks],
            np.zeros([0, count], np.float32),
            np.zeros([0, count, len(program.metric_names)], np.float32),
            0.0,
        )
        self.compile_seconds = 0.0
        self.saved_epochs = 0

    def fit(self) -> TransitionResult:
        """Trains to the end, or to the interruption."""
        writer = None
        if self.folder is not None and self.state.epochs < self.config.num_epochs:
            writer = tf.summary.create_file_writer(
                str(self.folder.tensorboard), flush_millis=10_000
            )
        try:
            self.report(0.0)
            if self.state.epochs < self.config.num_epochs:
                self.compile()
                self.report(0.0)
            saved_at = time.monotonic()
            while self.state.epochs < self.config.num_epochs:
                finite, seconds = self.advance()
                if writer is not None:
                    self.log(writer)
                self.check_finite(finite)
                self.report(self.program.steps_per_epoch * len(self.seeds) / seconds)
                if time.monotonic() - saved_at > _SECONDS_BETWEEN_CHECKPOINTS:
                    self.save()
                    saved_at = time.monotonic()
            self.save()
            return self.finish()
        except KeyboardInterrupt:
            self.save()
            self.finish()
            raise
        finally:
            if writer is not None:
                writer.close()

    def compile(self) -> None:
        """Compiles by asking for no gradient steps at all."""
        started = time.monotonic()
        program = self.program
        for carry, block in zip(self.state.carries, self.blocks, strict=True):
            shape = [len(block), program.steps_per_call, program.batch_size]
            program.train(carry, tf.zeros(shape, tf.int32), tf.constant(0), tf.constant(0))
            program.evaluate(carry.weights)
        self.compile_seconds = time.monotonic() - started

    def advance(self) -> tuple[np.ndarray, float]:
        """Trains all seeds for one epoch and validates them.

        Returns:
          Whether the numbers are finite, `[seeds]` bool, and the seconds it took.
        """
        started = time.monotonic()
        state, program = self.state, self.program
        carries, parts = [], []
        for i, carry in enumerate(state.carries):
            carry, *report = self.train_block(i, carry)
            metrics = program.evaluate(carry.weights).numpy()
            carries.append(carry)
            parts.append([*report, metrics])
        loss, finite, validation = (
            join_blocks(list(of_blocks), len(self.seeds), axis=0)
            for of_blocks in zip(*parts, strict=True)
        )
        seconds = time.monotonic() - started
        self.state = FitState(
            carries,
            np.concatenate([state.loss, loss[None]]),
            np.concatenate([state.validation, validation[None]]),
            state.run_seconds + seconds,
        )
        return finite & np.isfinite(validation).all(axis=1), seconds

    def train_block(self, block: int, carry: Carry) -> tuple[Carry, np.ndarray, np.ndarray]:
        """Trains one block for the epoch that the run is at, some gradient steps a call.

        Returns:
          The next carry; the mean loss and whether loss and weights are finite, `[members]` each.
        """
        program, epoch, members = self.program, self.state.epochs, self.blocks[block]
        steps, most = program.steps_per_epoch, program.steps_per_call
        # Calls have one shape; of the last one only the first steps count.
        order = program.order(members, epoch)
        order = np.pad(order, [(0, 0), (0, -steps % most), (0, 0)])
        total, finite = np.zeros(len(members), np.float32), np.ones(len(members), bool)
        for start in range(0, steps, most):
            called, number = time.monotonic(), min(most, steps - start)
            part = tf.constant(order[:, start : start + most])
            first = tf.constant(epoch * steps + start)
            carry, losses, sound = program.train(carry, part, first, tf.constant(number))
            total += losses.numpy()
            finite &= sound.numpy()
            done = (block + (start + number) / steps) / len(self.blocks)
            if done < 1:  # the whole epoch is reported with its validation
                self.report(number * len(members) / (time.monotonic() - called), done)
        return carry, total / np.float32(steps), finite

    def report(self, steps_per_second: float, done: float = 0.0) -> None:
        """Calls `on_progress`, `done` of the present epoch being done."""
        if self.on_progress is None:
            return
        state, names = self.state, self.program.metric_names
        means = state.validation[-1].mean(axis=0) if state.epochs else [np.nan] * len(names)
        self.on_progress(
            FitProgress(
                epochs=state.epochs,
                num_epochs=self.config.num_epochs,
                done=(state.epochs + done) / self.config.num_epochs,
                loss=float(state.loss[-1].mean()) if state.epochs else np.nan,
                validation=dict(zip(names, map(float, means), strict=True)),
                steps_per_second=steps_per_second,
                compile_seconds=self.compile_seconds,
            )
        )

    def log(self, writer: tf.summary.SummaryWriter) -> None:
        """Writes the means over seeds of the last epoch to TensorBoard."""
        state = self.state
        with writer.as_default():
            tf.summary.scalar("training/loss", state.loss[-1].mean(), state.epochs)
            means = state.validation[-1].mean(axis=0)
            for name, mean in zip(self.program.metric_names, means, strict=True):
                tf.summary.scalar(f"validation/{name}", mean, state.epochs)

    def check_finite(self, finite: np.ndarray) -> None:
        """Stops the run where the last epoch made a seed's numbers infinite or NaN.

        Raises:
          NonFiniteError: naming the first such seed.
        """
        if finite.all():
            return
        self.state.loss[-1, ~finite] = np.nan
        self.state.validation[-1, ~finite] = np.nan
        epoch, seed = self.state.epochs - 1, self.seeds[int(np.argmin(finite))]
        kept = f"Results up to then are in {self.folder.path}. " if self.folder else ""
        raise NonFiniteError(
            f"seed {seed} became non-finite (a loss, weight or prediction is infinite or NaN) in "
            f"epoch {epoch}. {kept}{int(finite.sum())} of {len(self.seeds)} seeds are unharmed and "
            f"their curves kept; a smaller learning_rate often helps.",
            seed,
            epoch,
            self.finish(),
        )

    def save(self) -> None:
        """Writes a checkpoint, if there is a folder and anything new."""
        state = self.state
        if self.folder is None or 0 < state.epochs == self.saved_epochs:
            return
        state.save(self.folder, self.constants)
        self.saved_epochs = state.epochs

    def restore(self) -> None:
        """Takes up the folder's checkpoint, if there is one."""
        found = None if self.folder is None else self.state.load(self.folder, self.constants)
        if found is not None:
            self.state = found
            self.saved_epochs = found.epochs

    def finish(self) -> TransitionResult:
        """Writes the results and returns them."""
        run_dir = None if self.folder is None else self.folder.path
        result = self.state.result(
            self.program.env,
            self.config,
            self.seeds,
            self.program.model,
            self.compile_seconds,
            run_dir,
        )
        if self.folder is not None:
            columns = {"loss": result.loss}
            columns.update({f"validation_{name}": x for name, x in result.validation.items()})
            rows = [
                [seed, epoch + 1, *(f"{x[i, epoch]:.6g}" for x in columns.values())]
                for i, seed in enumerate(self.seeds)
                for epoch in range(self.state.epochs)
                if np.isfinite(result.loss[i, epoch])
            ]
            self.folder.write_rows(["seed", "epoch", *columns], rows)
        return result
