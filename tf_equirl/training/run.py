"""The host's side of a training run: calls, progress, checkpoints and results."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tf_equirl import envs
from tf_equirl.agents.ppo.config import PPOConfig
from tf_equirl.agents.ppo.learner import LOSSES, Metrics
from tf_equirl.agents.ppo.ppo_runs import write_results
from tf_equirl.training.blocks import join_blocks
from tf_equirl.training.progress import NonFiniteError, Progress
from tf_equirl.training.result import TrainingResult
from tf_equirl.training.run_folder import RunFolder

_SECONDS_BETWEEN_CHECKPOINTS = 60.0
_SHARE_OF_CHECKPOINTS = 0.1  # of the time at most: those of Dyna may take gigabytes
_SECONDS_PER_CALL = 1.0


class RunState(NamedTuple):
    """A run between two calls. Replaced as a whole, so that Ctrl-C finds it consistent."""

    carries: list[Any]  # one for each block of seeds
    updates: int
    rows: list[dict[str, np.ndarray]]  # what each call reported, [updates, ..., seeds]
    run_seconds: float
    planning: Any = None  # of a Dyna run


class PPORun:
    """One run: its state, and the loop over calls of the compiled program.

    Args:
      program: the compiled program; its `run` takes and returns carries.
      seeds: one for each member.
      carries: what to start from, one for each block of seeds.
      folder: the run folder, claimed for this run, or None.
      on_progress: see `train_ppo`.
    """

    def __init__(
        self,
        program: Any,
        seeds: tuple[int, ...],
        carries: list[Any],
        folder: RunFolder | None,
        on_progress: Callable[[Any], None] | None,
    ):
        """See the class."""
        self.program = program
        self.config: PPOConfig = program.config
        self.seeds = seeds
        self.env: envs.Environment = program.env
        self.models = (program.actor, program.critic)
        self.folder = folder
        self.on_progress = on_progress
        # Sampled bases: weights mean nothing without the very basis that they were trained with.
        self.constants = [v for model in self.models for v in model.non_trainable_variables]
        self.state = RunState(carries, 0, [], 0.0)
        self.compile_seconds = 0.0
        self.saved: RunState | None = None
        self.number = 1  # updates of the next call

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.state.updates == self.config.num_updates

    def train(self) -> TrainingResult:
        """Trains to the end, or to the interruption."""
        writer = None
        if self.folder is not None and not self.finished:
            writer = tf.summary.create_file_writer(
                str(self.folder.tensorboard), flush_millis=10_000
            )
        try:
            self.report(0.0)
            if not self.finished:
                self.compile()
                self.report(0.0)
            self.number, due = 1, time.monotonic() + _SECONDS_BETWEEN_CHECKPOINTS
            while not self.finished:
                self.proceed(writer)
                started = time.monotonic()
                if started > due:
                    self.save()
                    now = time.monotonic()
                    seconds = (now - started) / _SHARE_OF_CHECKPOINTS
                    due = now + max(_SECONDS_BETWEEN_CHECKPOINTS, seconds)
            self.save()
            return self.finish()
        except KeyboardInterrupt:
            self.save()
            self.finish()
            raise
        finally:
            if writer is not None:
                writer.close()

    def proceed(self, writer: tf.summary.SummaryWriter | None) -> None:
        """One call of the compiled program, and what is to be told of it."""
        number = min(self.number, self.updates_ahead())
        seconds = self.advance(number)
        if writer is not None:
            self.log(writer)
        self.check_finite()
        self.report(number * self.config.batch_size * len(self.seeds) / seconds)
        number = int(number * _SECONDS_PER_CALL / seconds)
        self.number = max(1, min(number, self.program.max_updates))

    def updates_ahead(self) -> int:
        """Updates that may be made at once."""
        return self.config.num_updates - self.state.updates

    def compile(self) -> None:
        """Compiles by asking for no updates at all."""
        started = time.monotonic()
        for carry in self.state.carries:  # one program for each size of block
            carry, _ = self.program.run(carry, tf.constant(0), tf.constant(0))
            carry.weights[0].numpy()
        self.compile_seconds = time.monotonic() - started

    def advance(self, number: int) -> float:
        """Makes `number` updates and returns the seconds they took."""
        started = time.monotonic()
        state = self.state
        carries, reports = [], []
        for carry in state.carries:
            carry, metrics = self.program.run(
                carry, tf.constant(state.updates), tf.constant(number)
            )
            carries.append(carry)
            reports.append({k: x.numpy()[:number] for k, x in metrics._asdict().items()})
        rows = {
            name: join_blocks([r[name] for r in reports], len(self.seeds), axis=-1)
            for name in Metrics._fields
        }
        seconds = time.monotonic() - started
        self.state = state._replace(
            carries=carries,
            updates=state.updates + number,
            rows=[*state.rows, rows],
            run_seconds=state.run_seconds + seconds,
        )
        return seconds

    def report(self, steps_per_second: float) -> None:
        """Calls `on_progress`."""
        if self.on_progress is None:
            return
        state = self.state
        self.on_progress(
            Progress(
                updates=state.updates,
                num_updates=self.config.num_updates,
                timesteps=state.updates * self.config.batch_size,
                mean_return=float(state.rows[-1]["returns"][-1, -1].mean())
                if state.rows
                else float("nan"),
                steps_per_second=steps_per_second,
                compile_seconds=self.compile_seconds,
            )
        )

    def log(self, writer: tf.summary.SummaryWriter) -> None:
        """Writes the means over seeds of the last call's updates to TensorBoard."""
        rows = self.state.rows[-1]
        first = self.state.updates - len(rows["finite"])
        with writer.as_default():
            for i in range(len(rows["finite"])):
                step = (first + i + 1) * self.config.batch_size
                returns = rows["returns"][i].mean(axis=0)
                tf.summary.scalar("return/mean", returns.mean(), step)
                tf.summary.scalar("return/worst_seed", returns.min(), step)
                for name in LOSSES:
                    tf.summary.scalar(f"training/{name}", rows[name][i].mean(), step)

    def check_finite(self) -> None:
        """Stops the run where the last call made a seed's numbers infinite or NaN.

        Raises:
          NonFiniteError: naming the first such seed and update.
        """
        rows = self.state.rows[-1]
        finite = rows["finite"]
        if finite.all():
            return
        first = self.state.updates - len(finite)
        row, column = np.argwhere(~finite)[0]
        update, seed = int(first + row), self.seeds[column]
        for member in np.flatnonzero(~finite.all(axis=0)):
            bad = np.argmin(finite[:, member])
            for name, values in rows.items():
                if name != "finite":
                    values[bad:, ..., member] = np.nan
        result = self.finish()
        others = len(self.seeds) - int((~finite.all(axis=0)).sum())
        kept = f"Results up to then are in {self.folder.path}. " if self.folder else ""
        raise NonFiniteError(
            f"seed {seed} became non-finite (a loss, gradient or weight is infinite or NaN) in "
            f"update {update}, timestep {(update + 1) * self.config.batch_size:,}. {kept}"
            f"{others} of {len(self.seeds)} seeds are unharmed and their curves kept; a smaller "
            f"learning_rate often helps.",
            seed,
            update,
            result,
        )

    def history(self) -> dict[str, np.ndarray]:
        """All that was reported so far, `[updates, ..., seeds]` by name."""
        seeds, steps = len(self.seeds), self.config.rollout_steps
        nothing = {name: np.zeros((0, seeds), np.float32) for name in Metrics._fields}
        for name in ("returns", "first_returns"):
            nothing[name] = np.zeros((0, steps, seeds), np.float32)
        parts = self.state.rows or [nothing]
        return {name: np.concatenate([rows[name] for rows in parts]) for name in nothing}

    def save(self) -> None:
        """Writes a checkpoint, if there is a folder and anything new."""
        state = self.state
        if self.folder is None or (self.saved and _same(self.saved, state)):
            return
        self.folder.save_state(state.carries, self.constants, self.arrays())
        self.saved = state._replace(carries=[])  # which may take gigabytes

    def restore(self) -> None:
        """Takes up the folder's checkpoint, if there is one."""
        if self.folder is None:
            return
        found = self.folder.load_state(self.state.carries, self.constants, self.arrays())
        if found is not None:
            self.state = self.restored(*found)
            self.saved = self.state._replace(carries=[])

    def arrays(self) -> dict[str, Any]:
        """What a checkpoint holds beside the carries."""
        arrays: dict[str, Any] = {f"history/{k}": values for k, values in self.history().items()}
        return {**arrays, "updates": self.state.updates, "run_seconds": self.state.run_seconds}

    def restored(self, carries: list[Any], arrays: dict[str, np.ndarray]) -> RunState:
        """The state in a checkpoint."""
        updates = int(arrays["updates"])
        rows = {name: arrays[f"history/{name}"] for name in Metrics._fields}
        return RunState(carries, updates, [rows] if updates else [], float(arrays["run_seconds"]))

    def finish(self) -> TrainingResult:
        """Writes the results and returns them."""
        history = self.history()
        if self.folder is not None:
            write_results(self.folder, self.seeds, self.config.batch_size, history)

        def curve(name: str) -> np.ndarray:  # [updates, steps, seeds] -> [seeds, times]
            return history[name].reshape(-1, len(self.seeds)).T

        return TrainingResult(
            environment=self.env.name,
            config=self.config,
            seeds=self.seeds,
            returns=curve("returns"),
            first_returns=curve("first_returns"),
            metrics={name: history[name].T for name in LOSSES},
            weights=[
                join_blocks([w.numpy() for w in same], len(self.seeds), axis=0)
                for same in zip(*(c.weights for c in self.state.carries), strict=True)
            ],
            compile_seconds=self.compile_seconds,
            run_seconds=self.state.run_seconds,
            run_dir=None if self.folder is None else self.folder.path,
            _models=self.models,
        )


def _same(one: RunState, other: RunState) -> bool:
    """Whether two states of a run are one; every call replaces rows or planning."""
    return one.rows is other.rows and one.planning is other.planning
