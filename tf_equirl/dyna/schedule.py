"""One run of `train_dyna`, call by call."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numpy as np
import tensorflow as tf

from tf_equirl.dyna.config import DynaConfig
from tf_equirl.dyna.learner import DynaCarry, DynaProgram
from tf_equirl.dyna.result import DynaResult
from tf_equirl.training.blocks import join_blocks
from tf_equirl.training.progress import NonFiniteError
from tf_equirl.training.run import PPORun, RunState
from tf_equirl.training.run_folder import RunFolder

_SECONDS_PER_CALL = 2.0
_PARTS = ("act and update", "fit", "plan")


class DynaProgress(NamedTuple):
    """How far `train_dyna` is; passed on after every call of the compiled program.

    Attributes:
      part: what is going on: "act and update", "fit" or "plan".
      done: share of the run's steps, real and planned, that are made, from 0 to 1.
      timesteps: environment steps done by each seed, of `total_timesteps`.
      total_timesteps: environment steps of each seed in the run.
      planned_timesteps: mean over seeds of the steps done in the model.
      mean_return: mean over seeds of the last finished return; NaN before the first update.
      model_error: mean over seeds of the model's held-out error at the last planning; NaN before.
      steps_per_second: steps of all seeds by second in this part, lately; 0 while fitting.
      compile_seconds: time that compilation took; 0 before it.
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


class Position(NamedTuple):
    """Where a run is beside its updates in the environment, and what planning reported.

    Attributes:
      iterations: iterations that are finished.
      fitted: gradient steps made in the iteration under way.
      planned: updates planned in the iteration under way; -1 before the model is measured.
      all_fitted: gradient steps of the finished iterations.
      all_planned: planned updates of the finished iterations, undone ones included.
      metrics: `[iterations, seeds, metrics]`, of the measured models.
      planned_updates: `[iterations, seeds]`, updates that were kept.
      imagined_returns: `[iterations, seeds]`.
      seconds: time by part.
    """

    iterations: int
    fitted: int
    planned: int
    all_fitted: int
    all_planned: int
    metrics: np.ndarray
    planned_updates: np.ndarray
    imagined_returns: np.ndarray
    seconds: np.ndarray


class DynaRun(PPORun):
    """One run: that of `PPORun`, interrupted by planning.

    Args:
      program: the compiled functions.
      seeds: one for each member.
      carries: what to start from, one for each block of seeds.
      folder: the run folder, claimed for this run, or None.
      on_progress: see `train_dyna`.
    """

    program: DynaProgram
    config: DynaConfig

    def __init__(
        self,
        program: DynaProgram,
        seeds: tuple[int, ...],
        carries: list[DynaCarry],
        folder: RunFolder | None,
        on_progress: Callable[[DynaProgress], None] | None,
    ):
        """See the class."""
        super().__init__(program, seeds, carries, folder, on_progress)
        if program.model is not None:
            self.constants += program.model.non_trainable_variables
        nothing = np.zeros([0, len(seeds)], np.float32)
        metrics = np.zeros([0, len(seeds), len(program.metric_names)], np.float32)
        position = Position(
            0, 0, -1, 0, 0, metrics, nothing.astype(np.int32), nothing, np.zeros(len(_PARTS))
        )
        self.state = self.state._replace(planning=position)
        self.planned_at_once = 1
        c = self.config
        self.all_updates = c.num_updates + sum(map(c.planned_updates, range(c.dyna_iterations)))

    @property
    def position(self) -> Position:
        """Where the run is."""
        return self.state.planning

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.position.iterations == self.config.dyna_iterations

    def updates_ahead(self) -> int:
        """Updates in the environment until the next planning."""
        return self.config.boundaries[self.position.iterations] - self.state.updates

    def compile(self) -> None:
        """Compiles by asking for nothing at all."""
        super().compile()
        if not self.config.planning_ratio:
            return
        started, zero, program = time.monotonic(), tf.constant(0), self.program
        # Of the updates, rows and steps that are asked for none counts.
        rows = tf.constant(self.config.batch_size)
        for carry in self.state.carries:
            if not program.frozen:
                program.fit(carry, zero, zero, rows)
            carry, _ = program.begin_planning(carry, zero, rows, zero)
            program.plan(carry, zero, zero, zero, rows).made.numpy()
        self.compile_seconds += time.monotonic() - started

    def proceed(self, writer: tf.summary.SummaryWriter | None) -> None:
        """One call of one of the compiled functions."""
        if self.updates_ahead():
            super().proceed(writer)
            return
        steps = self.program.fit_steps(self.position.iterations)
        number = self.config.planned_updates(self.position.iterations)
        if self.position.fitted < steps:
            self.fit(min(self.program.max_steps, steps - self.position.fitted))
        elif number and self.position.planned < 0:
            self.begin_planning(number)
        elif 0 <= self.position.planned < number:
            self.plan(min(self.planned_at_once, number - self.position.planned))
        else:
            self.end_iteration(writer)

    def advance(self, number: int) -> float:
        """Makes `number` updates in the environment and returns the seconds they took."""
        seconds = super().advance(number)
        self.spend("act and update", seconds, {})
        return seconds

    def fit(self, number: int) -> None:
        """Makes gradient steps of the model."""
        started, position = time.monotonic(), self.position
        first = tf.constant(position.all_fitted + position.fitted)
        carries = [
            self.program.fit(carry, first, tf.constant(number), self.filled())
            for carry in self.state.carries
        ]
        carries[-1].model[0].numpy()
        fitted = {"fitted": position.fitted + number}
        self.spend("fit", time.monotonic() - started, fitted, carries)
        self.tell("fit", 0.0)

    def begin_planning(self, number: int) -> None:
        """Measures the model."""
        started, position = time.monotonic(), self.position
        carries, metrics = [], []
        for carry in self.state.carries:
            carry, measured = self.program.begin_planning(
                carry, tf.constant(position.all_planned), self.filled(), tf.constant(number)
            )
            carries.append(carry)
            metrics.append(measured.numpy())
        joined = join_blocks(metrics, len(self.seeds), axis=0)
        changes = {"planned": 0, "metrics": np.concatenate([position.metrics, joined[None]])}
        self.spend("fit", time.monotonic() - started, changes, carries)
        self.check("its transition model's error on held-out transitions is infinite or NaN")

    def plan(self, number: int) -> None:
        """Makes PPO updates in the model."""
        started, position = time.monotonic(), self.position
        carries = [
            self.program.plan(
                carry,
                tf.constant(position.all_planned + position.planned),
                tf.constant(number),
                tf.constant(self.state.updates),
                self.filled(),
            )
            for carry in self.state.carries
        ]
        carries[-1].made.numpy()
        seconds = time.monotonic() - started
        self.spend("plan", seconds, {"planned": position.planned + number}, carries)
        self.check("a loss, gradient or weight is infinite or NaN in planning")
        plannings = [carry.planning for carry in carries]
        if all((p.made.numpy() >= p.limit.numpy()).all() for p in plannings):
            # What is left would be undone for every seed.
            whole = self.config.planned_updates(self.position.iterations)
            self.state = self.state._replace(planning=self.position._replace(planned=whole))
        self.tell("plan", number * self.config.batch_size * len(self.seeds) / seconds)
        number = int(number * _SECONDS_PER_CALL / seconds)
        self.planned_at_once = max(1, min(number, self.program.max_updates))

    def end_iteration(self, writer: tf.summary.SummaryWriter | None) -> None:
        """Keeps what planning came to, and goes on to acting."""
        position, count = self.position, len(self.seeds)
        made, returns = np.zeros(count, np.int32), np.full(count, np.nan, np.float32)
        if position.planned > 0:
            plannings = [c.planning for c in self.state.carries]
            made = join_blocks([p.made.numpy() for p in plannings], count, axis=0)
            last = join_blocks([p.imagined_return.numpy() for p in plannings], count, axis=0)
            returns = np.where(made > 0, last, returns)
        metrics = position.metrics
        if len(metrics) == position.iterations:  # during the warm-up
            unknown = np.full([1, *metrics.shape[1:]], np.nan, np.float32)
            metrics = np.concatenate([metrics, unknown])
        position = position._replace(
            iterations=position.iterations + 1,
            fitted=0,
            planned=-1,
            all_fitted=position.all_fitted + position.fitted,
            all_planned=position.all_planned + max(position.planned, 0),
            metrics=metrics,
            planned_updates=np.concatenate([position.planned_updates, made[None]]),
            imagined_returns=np.concatenate([position.imagined_returns, returns[None]]),
        )
        self.state = self.state._replace(planning=position)
        if writer is not None:
            self.log_planning(writer)

    def spend(
        self,
        part: str,
        seconds: float,
        changes: dict[str, Any],
        carries: list[DynaCarry] | None = None,
    ) -> None:
        """Takes over a call's outcome, all at once."""
        spent = self.position.seconds.copy()
        spent[_PARTS.index(part)] += seconds
        state = self.state._replace(planning=self.position._replace(**changes, seconds=spent))
        if carries is not None:
            state = state._replace(carries=carries, run_seconds=state.run_seconds + seconds)
        self.state = state

    def filled(self) -> tf.Tensor:
        """Rows that the replay buffer holds."""
        return tf.constant(self.program.filled(self.state.updates))

    def check(self, what: str) -> None:
        """Stops the run where planning made a seed's numbers infinite or NaN.

        Raises:
          NonFiniteError: naming the first such seed.
        """
        parts = [c.planning.finite.numpy() for c in self.state.carries]
        finite = join_blocks(parts, len(self.seeds), axis=0)
        if finite.all():
            return
        seed, update = self.seeds[int(np.argmin(finite))], self.state.updates
        kept = f" Results up to then are in {self.folder.path}." if self.folder else ""
        raise NonFiniteError(
            f"seed {seed} became non-finite ({what}) after timestep "
            f"{update * self.config.batch_size:,}.{kept} {int(finite.sum())} of {len(self.seeds)} "
            "seeds are unharmed; a smaller model_learning_rate or learning_rate often helps.",
            seed,
            update,
            self.finish(),
        )

    def report(self, steps_per_second: float) -> None:
        """Calls `on_progress` while acting."""
        self.tell("act and update", steps_per_second)

    def tell(self, part: str, steps_per_second: float) -> None:
        """Calls `on_progress`."""
        if self.on_progress is None:
            return
        state, position, c = self.state, self.position, self.config
        planned = position.all_planned + max(position.planned, 0)
        errors = position.metrics[..., 0] if position.metrics.size else np.full([1, 1], np.nan)
        measured = errors[~np.isnan(errors).all(axis=1)]
        kept = position.planned_updates.sum(axis=0).mean() if position.iterations else 0.0
        if position.planned > 0:
            made = [c.planning.made.numpy() for c in state.carries]
            kept += join_blocks(made, len(self.seeds), axis=0).mean()
        self.on_progress(
            DynaProgress(
                part=part,
                done=(state.updates + planned) / self.all_updates,
                timesteps=state.updates * c.batch_size,
                total_timesteps=c.num_updates * c.batch_size,
                planned_timesteps=float(kept) * c.batch_size,
                mean_return=float(state.rows[-1]["returns"][-1, -1].mean())
                if state.rows
                else float("nan"),
                model_error=float(measured[-1].mean()) if len(measured) else float("nan"),
                steps_per_second=steps_per_second,
                compile_seconds=self.compile_seconds,
            )
        )

    def log_planning(self, writer: tf.summary.SummaryWriter) -> None:
        """Writes the means over seeds of the last iteration to TensorBoard."""
        position, step = self.position, self.state.updates * self.config.batch_size
        with writer.as_default():
            for i, name in enumerate(self.program.metric_names):
                tf.summary.scalar(f"model/{name}", position.metrics[-1, :, i].mean(), step)
            tf.summary.scalar("planning/updates", position.planned_updates[-1].mean(), step)
            returns = position.imagined_returns[-1].mean()
            tf.summary.scalar("planning/imagined_return", returns, step)

    def arrays(self) -> dict[str, Any]:
        """What a checkpoint holds beside the carries."""
        position = {f"planning/{k}": v for k, v in self.position._asdict().items()}
        return {**super().arrays(), **position}

    def restored(self, carries: list[Any], arrays: dict[str, np.ndarray]) -> RunState:
        """The state in a checkpoint."""
        fields = {name: arrays[f"planning/{name}"] for name in Position._fields}
        numbers: Any = {k: int(v) if v.ndim == 0 else v for k, v in fields.items()}
        return super().restored(carries, arrays)._replace(planning=Position(**numbers))

    def train(self) -> DynaResult:
        """Trains to the end, or to the interruption."""
        return cast(DynaResult, super().train())

    def finish(self) -> DynaResult:
        """Writes the results and returns them."""
        base, position, program = super().finish(), self.position, self.program
        names, size = program.metric_names, self.config.ensemble_size
        fields = {f.name: getattr(base, f.name) for f in dataclasses.fields(base)}
        weights = []
        for same in zip(*(c.model for c in self.state.carries), strict=True):
            parts = [w.numpy().reshape(-1, size, *w.shape[1:]) for w in same]
            weights.append(join_blocks(parts, len(self.seeds), axis=0))
        boundaries = np.array(self.config.boundaries[: position.iterations], int)
        done = position.iterations
        result = DynaResult(
            **fields,
            planning_timesteps=boundaries * self.config.batch_size,
            planned_updates=position.planned_updates.T,
            imagined_returns=position.imagined_returns.T,
            model_metrics={n: position.metrics[:done, :, i].T for i, n in enumerate(names)},
            model_weights=weights,
            seconds=dict(zip(_PARTS, map(float, position.seconds), strict=True)),
            _transition_model=program.model,
        )
        if self.folder is not None:
            write_planning(self.folder, result)
        return result


def write_planning(folder: RunFolder, result: DynaResult) -> None:
    """Writes `planning.csv`, one row per seed and iteration."""
    size = result.config.batch_size
    header = ["seed", "timestep", "planned_timesteps", "imagined_return", *result.model_metrics]
    rows = [
        [
            seed,
            int(timestep),
            int(result.planned_updates[i, j]) * size,
            f"{result.imagined_returns[i, j]:.6g}",
            *(f"{values[i, j]:.6g}" for values in result.model_metrics.values()),
        ]
        for i, seed in enumerate(result.seeds)
        for j, timestep in enumerate(result.planning_timesteps)
    ]
    folder.write_rows(header, rows, "planning.csv")
