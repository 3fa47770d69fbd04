"""The host loop: any learner's calls, progress, checkpoints and results."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tf_equirl.training.blocks import blocks_of, check_seeds, join_blocks
from tf_equirl.training.learner import Learner, RunView, Stage
from tf_equirl.training.progress import NonFiniteError
from tf_equirl.training.result import Outcome
from tf_equirl.training.run_folder import RunFolder, describe
from tf_equirl.training.saved import outcome_arrays, outcome_of

_SECONDS_BETWEEN_CHECKPOINTS = 60.0
_SHARE_OF_CHECKPOINTS = 0.1  # of the time at most: they may take gigabytes


def train(
    learner: Learner,
    seeds: Iterable[int],
    run_dir: str | os.PathLike | None = None,
    *,
    resume: bool = False,
    on_progress: Callable[[Any], None] | None = None,
) -> Any:
    """Runs a learner to its end for many seeds, up to 32 of them side by side.

    Args:
      learner: what is to be run.
      seeds: distinct integers from 0 to 2**31 - 1.
      run_dir: folder for configuration, checkpoints, results and TensorBoard events; None keeps
        everything in memory.
      resume: go on with the run in `run_dir`; the outcome is the one of an uninterrupted run.
      on_progress: called with `learner.progress(...)` about once a second.

    Returns:
      What `learner.result` makes of the run.

    Raises:
      ValueError: before any work, if an argument breaks its rule, or `run_dir` holds another run or
        a damaged one.
      NonFiniteError: if a seed's numbers become infinite or NaN; what was computed is kept.
      KeyboardInterrupt: on Ctrl-C, after a checkpoint was written.
    """
    seeds = check_seeds(seeds)
    folder = None
    if run_dir is not None:
        folder = _folder(learner, seeds, run_dir)
        folder.open(resume)
    elif resume:
        raise ValueError("resume=True needs the run's folder. Received: run_dir=None")
    run = Run(learner, seeds, folder, on_progress)
    run.restore()
    return run.train()


class RunState(NamedTuple):
    """A run between two calls. Replaced as a whole, so that Ctrl-C finds it consistent.

    Attributes:
      states: the learner's, one for each block of seeds.
      done: steps that are made by stage.
      reports: by stage what each call reported, `[steps, ..., seeds]` by name.
      seconds: time by stage.
    """

    states: list[Any]
    done: dict[str, int]
    reports: dict[str, list[Mapping[str, np.ndarray]]]
    seconds: dict[str, float]


class Run:
    """One run: its state, and the loop over calls of the learner's stages.

    Args:
      learner: what is run.
      seeds: one for each member.
      folder: the run folder, claimed for this run, or None.
      on_progress: see `train`.
    """

    def __init__(
        self,
        learner: Learner,
        seeds: tuple[int, ...],
        folder: RunFolder | None,
        on_progress: Callable[[Any], None] | None,
    ):
        self.learner = learner
        self.seeds = seeds
        self.folder = folder
        self.on_progress = on_progress
        stages = learner.stages
        self.state = RunState(
            [learner.start(block) for block in blocks_of(seeds)],
            dict.fromkeys(stages, 0),
            {name: [] for name in stages},
            dict.fromkeys(stages, 0.0),
        )
        # Steps of the next call.
        self.sizes = {n: s.most if math.isinf(s.seconds) else 1 for n, s in stages.items()}
        self.compile_seconds = 0.0
        self.saved: dict[str, int] | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.learner.ahead(self.state.done) is None

    def train(self) -> Any:
        """Trains to the end, or to the interruption."""
        writer = None
        if self.folder is not None and not self.finished:
            writer = tf.summary.create_file_writer(
                str(self.folder.tensorboard), flush_millis=10_000
            )
        try:
            first = next(iter(self.learner.stages))
            self.tell(first, 0.0)
            if not self.finished:
                self.compile()
                self.tell(first, 0.0)
            due = time.monotonic() + _SECONDS_BETWEEN_CHECKPOINTS
            while (ahead := self.learner.ahead(self.state.done)) is not None:
                self.proceed(*ahead, writer)
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

    def compile(self) -> None:
        """Compiles by asking for no steps at all."""
        started = time.monotonic()
        for stage in self.learner.stages.values():
            for state in self.state.states:  # one program for each size of block
                state, reports = stage.run(state, 0, 0)
                _wait(state, reports)
        self.compile_seconds = time.monotonic() - started

    def proceed(self, name: str, wanted: int, writer: tf.summary.SummaryWriter | None) -> None:
        """One call of a stage, of which so many steps are wanted, and what is to be told of it."""
        stage = self.learner.stages[name]
        first = self.state.done[stage.name]
        number = min(self.sizes[stage.name], wanted)
        seconds = self.call(stage, number, wanted)
        reports = self.state.reports[stage.name][-1]
        if writer is not None:
            with writer.as_default():
                made = {name: rows[:number] for name, rows in reports.items()}
                for name, value, step in self.learner.scalars(stage.name, first, made):
                    tf.summary.scalar(name, value, step)
        self.check_finite(stage.name, first)
        self.tell(stage.name, number * len(self.seeds) / seconds)
        number_in_time = min(stage.most, number * stage.seconds / seconds)
        self.sizes[stage.name] = max(1, int(number_in_time))

    def call(self, stage: Stage, number: int, wanted: int) -> float:
        """Makes `number` steps of a stage and returns the seconds they took."""
        started, name = time.monotonic(), stage.name
        states, parts = [], []
        for state in self.state.states:
            state, reports = stage.run(state, self.state.done[name], number)
            states.append(state)
            parts.append({k: np.asarray(x)[:number] for k, x in reports.items()})
            _wait(state, reports)
        joined = {
            k: join_blocks([part[k] for part in parts], len(self.seeds), axis=-1) for k in parts[0]
        }
        if number < wanted and self.learner.settled(name, joined):
            # The steps that are left would change and report nothing else.
            rest = wanted - number
            joined = {k: np.concatenate([x, x[-1:].repeat(rest, 0)]) for k, x in joined.items()}
            number = wanted
        seconds = time.monotonic() - started
        state = self.state
        self.state = RunState(
            states,
            {**state.done, name: state.done[name] + number},
            {**state.reports, name: [*state.reports[name], joined]},
            {**state.seconds, name: state.seconds[name] + seconds},
        )
        return seconds

    def tell(self, stage: str, rate: float) -> None:
        """Calls `on_progress`; `rate` is of steps of the stage, by second."""
        if self.on_progress is None:
            return
        state = self.state
        last = {name: calls[-1] for name, calls in state.reports.items() if calls}
        view = RunView(
            stage, state.done, last, state.states, len(self.seeds), rate, self.compile_seconds
        )
        self.on_progress(self.learner.progress(view))

    def check_finite(self, stage: str, first: int) -> None:
        """Stops the run where the last call made a seed's numbers infinite or NaN.

        Raises:
          NonFiniteError: naming the first such seed and step.
        """
        finite = self.state.reports[stage][-1].get("finite")
        if finite is None or finite.all():
            return
        row, column = np.argwhere(~finite)[0]
        index, seed = int(first + row), self.seeds[column]
        trouble = self.learner.trouble(stage, index)
        result = self.finish()
        unharmed = int(finite.all(axis=0).sum())
        kept = f"Results up to then are in {self.folder.path}. " if self.folder else ""
        raise NonFiniteError(
            f"seed {seed} became non-finite ({trouble.what}) {trouble.where}. {kept}"
            f"{unharmed} of {len(self.seeds)} seeds are unharmed and their curves kept; "
            f"{trouble.advice} often helps.",
            seed,
            trouble.update,
            result,
        )

    def save(self) -> None:
        """Writes a checkpoint, if there is a folder and anything new."""
        state = self.state
        if self.folder is None or self.saved == state.done:
            return
        arrays = outcome_arrays(self.outcome())
        for block, of_block in enumerate(state.states):
            arrays.update({f"state/{block}/{p}": x.numpy() for p, x in leaves(of_block)})
        self.folder.save_checkpoint(arrays)
        self.saved = state.done

    def restore(self) -> None:
        """Takes up the folder's checkpoint, if there is one.

        Raises:
          ValueError: if it is damaged, another run's, or holds other arrays.
        """
        arrays = None if self.folder is None else self.folder.load_checkpoint()
        if arrays is None or self.folder is None:
            return
        state, folder = self.state, self.folder
        wanted = {
            f"state/{block}/{path}": (tensor.shape, tensor.dtype.as_numpy_dtype)
            for block, of_block in enumerate(state.states)
            for path, tensor in leaves(of_block)
        }
        found = {name for name in arrays if name.startswith("state/")}
        outcome = outcome_of(arrays, self.seeds, folder)
        for name in sorted(found ^ set(wanted)):
            raise folder.refuse_checkpoint(name)
        if set(outcome.done) != set(state.done):
            raise folder.refuse_checkpoint(f"of the stages {', '.join(outcome.done)}")
        for name, (shape, dtype) in wanted.items():
            array = arrays[name]
            if array.shape != tuple(shape) or array.dtype != dtype:
                raise folder.refuse_checkpoint(f"{name} {list(array.shape)} of {array.dtype}")
        names = iter(wanted)

        def restored(like: Any) -> Any:
            array = arrays.pop(next(names))  # one copy at a time
            if not isinstance(like, tf.Variable):
                return tf.constant(array)
            like.assign(array)
            return like

        self.state = RunState(
            [map_leaves(restored, of_block) for of_block in state.states],
            {stage: outcome.done[stage] for stage in state.done},
            {s: [h] if (h := outcome.history[s]) else [] for s in state.done},
            {stage: outcome.seconds[stage] for stage in state.done},
        )
        self.saved = self.state.done

    def history(self) -> dict[str, dict[str, np.ndarray]]:
        """All that was reported so far, `[steps, ..., seeds]` by stage and name."""
        return {
            stage: {name: np.concatenate([c[name] for c in calls]) for name in calls[0]}
            for stage, calls in self.state.reports.items()
            if calls
        }

    def finish(self) -> Any:
        """Writes the results and returns them."""
        outcome = self.outcome()
        result = self.learner.result(outcome)
        if self.folder is not None:
            self.learner.write(self.folder, outcome, result)
        return result

    def outcome(self) -> Outcome:
        """What is known of the run so far."""
        state = self.state
        of_blocks = [self.learner.weights(of_block) for of_block in state.states]
        weights = {
            role: [
                join_blocks([w.numpy() for w in same], len(self.seeds), axis=0)
                for same in zip(*(block[role] for block in of_blocks), strict=True)
            ]
            for role in of_blocks[0]
        }
        return Outcome(
            self.seeds,
            state.done,
            self.history(),
            weights,
            state.seconds,
            self.compile_seconds,
            self.folder,
        )


def _folder(learner: Learner, seeds: tuple[int, ...], run_dir: str | os.PathLike) -> RunFolder:
    known = describe(learner.trainer, learner.env, learner.config, seeds, learner.networks)
    return RunFolder(run_dir, {**known, **learner.describe()}, type(learner.config))


def leaves(structure: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The tensors of a structure of tuples, lists and dicts, each with its path: "adam/first/0"."""
    if hasattr(structure, "_fields"):
        children: Iterable[tuple[Any, Any]] = zip(structure._fields, structure, strict=True)
    elif isinstance(structure, Mapping):
        children = structure.items()
    elif isinstance(structure, (tuple, list)):
        children = enumerate(structure)
    else:
        yield path, structure
        return
    for name, child in children:
        yield from leaves(child, f"{path}/{name}" if path else str(name))


def map_leaves(function: Callable[[Any], Any], structure: Any) -> Any:
    """`structure` with what the function makes of each tensor, called in the order of `leaves`."""
    if hasattr(structure, "_fields"):
        return type(structure)(*[map_leaves(function, child) for child in structure])
    if isinstance(structure, Mapping):
        return {name: map_leaves(function, child) for name, child in structure.items()}
    if isinstance(structure, (tuple, list)):
        return type(structure)(map_leaves(function, child) for child in structure)
    return function(structure)


def _wait(state: Any, reports: Mapping[str, Any]) -> None:
    """Waits until a call has really been made."""
    if reports:
        np.asarray(next(iter(reports.values())))
        return
    for _, tensor in leaves(state):
        tensor.numpy()
        return
