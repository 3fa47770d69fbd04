"""The host loop: any learner's calls, progress, checkpoints and results."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tf_equirl.envs.checks import check_environment
from tf_equirl.training.blocks import FEWEST, blocks_of, check_seeds, join_blocks
from tf_equirl.training.checkpoint import Checkpoint
from tf_equirl.training.config import Config
from tf_equirl.training.evaluations import FILE, HEADER, Evaluations
from tf_equirl.training.evaluator import Evaluator
from tf_equirl.training.events import Events
from tf_equirl.training.interrupts import Interrupts
from tf_equirl.training.learner import Learner, Reports, RunView, Stage, mean_of_sound
from tf_equirl.training.members import Member, check_configs, members_of, part_of
from tf_equirl.training.progress import NonFiniteError
from tf_equirl.training.result import Harm, Outcome
from tf_equirl.training.run_folder import RunFolder, describe
from tf_equirl.training.run_state import RunState, joined_state, leaves, map_leaves
from tf_equirl.training.saved import calls, outcome_arrays, read_outcome
from tf_equirl.training.stopping import check_stop, first_reached

_SECONDS_BETWEEN_CHECKPOINTS = 60.0
_MORE = "more_seeds"  # folder of seeds that a run is given, until they are as far as the others
_SHARE_OF_CHECKPOINTS = 0.1  # of the time at most: they may take gigabytes


def train(
    learner: Learner,
    seeds: Iterable[int],
    run_dir: str | os.PathLike | None = None,
    *,
    configs: Sequence[Config] | None = None,
    resume: bool = False,
    on_progress: Callable[[Any], bool | None] | None = None,
    evaluate_every: int | None = None,
    evaluation_episodes: int = 10,
    stop_at: float | None = None,
) -> Any:
    """Runs a learner to its end for many seeds, up to 32 of them side by side.

    Args:
        learner: What is to be run.
        seeds: Distinct integers from 0 to 2**31 - 1.
        run_dir: Folder for configuration, checkpoints, results and TensorBoard events; None keeps
            everything in memory.
        configs: Trains every seed with each of these configs, of which the learner's own is the
            first, all of them in one program. They may differ in what is `learner.per_member`.
        resume: Go on with the run in `run_dir`; the outcome is the one of an uninterrupted run. It
            may be made longer (`learner.length`), where nothing of its config depends on that, and
            may be given more seeds: the outcome is that of a run that was so from its beginning.
        on_progress: Called with `learner.progress(...)` about once a second. Where it returns True
            the run stops.
        evaluate_every: Updates from one evaluation to the next: each seed plays greedy episodes in
            environments of their own. Training is the same to the last bit without. None evaluates
            nothing.
        evaluation_episodes: How many each seed plays, the same ones at every evaluation.
        stop_at: The run stops after the update with which the mean over seeds reaches this level:
            of the last evaluation, where there is one every so often, and else of the last finished
            return. Lost seeds do not count; of several configs each has to be there.

    Returns:
        What `learner.result` makes of the run; a list of that for each of `configs`. `finished` of
        one that was stopped is False; it is resumed as an interrupted one is. Evaluations and
        `stop_at` are no part of what a run is: they may be others when it is resumed, and hold from
        there on.

    Raises:
        ValueError: Before any work, if an argument breaks its rule, or `run_dir` holds another run
            or a damaged one, or is in use.
        NonFiniteError: At the end, if some seeds' numbers became infinite or NaN. From then on such
            a seed is left as it was, and the others go on; `result` of the error has all of them.
        KeyboardInterrupt: On Ctrl-C, SIGTERM and SIGHUP, after a checkpoint was written; so after
            any error, of `on_progress` too.

    Warns:
        RuntimeWarning: Where a seed becomes non-finite, and where a file of the run cannot be
            written (a full disk, a folder that was deleted). Checkpoints are tried again; what
            could not be written at the end is in the result all the same.
    """
    seeds = check_seeds(seeds)
    if run_dir is None and resume:
        raise ValueError("resume=True needs the run's folder. Received: run_dir=None")
    if configs is not None:
        configs = tuple(configs)
        check_configs(configs, learner.per_member)
    members = members_of(seeds, 1 if configs is None else len(configs))
    learner.check_members(sum(map(len, blocks_of(members))))
    evaluator = Evaluator(learner, evaluate_every, evaluation_episodes)
    stop_at = check_stop(stop_at, learner, evaluator.every)
    check_environment(learner.env)
    folder = None if run_dir is None else _folder(learner, seeds, run_dir, configs)
    with contextlib.nullcontext() if folder is None else folder.claimed(resume):
        run = Run(learner, seeds, folder, on_progress, configs, evaluator, stop_at)
        run.restore()
        try:
            return run.train()
        finally:
            learner.close()


class Run:
    """One run: its state, and the loop over calls of the learner's stages.

    Args:
        learner: What is run.
        seeds: The seeds.
        folder: The run folder, claimed for this run, or None.
        on_progress: See `train`.
        configs: See `train`; every seed is a member with each of them.
        evaluator: Says when the run is evaluated; None for never.
        stop_at: See `train`.
        of: How many members the run will have, where these are given to one that has others.
    """

    def __init__(
        self,
        learner: Learner,
        seeds: tuple[int, ...],
        folder: RunFolder | None,
        on_progress: Callable[[Any], bool | None] | None,
        configs: tuple[Config, ...] | None = None,
        evaluator: Evaluator | None = None,
        stop_at: float | None = None,
        of: int | None = None,
    ):
        self.learner = learner
        self.configs = configs
        self.members = members_of(seeds, 1 if configs is None else len(configs))
        self.num_seeds = len(seeds)
        self.blocks = blocks_of(self.members, of)
        self.folder = folder
        self.on_progress = on_progress
        self.evaluator = evaluator or Evaluator(learner)
        self.stop_at = stop_at
        self.told_to_stop = False
        stages = learner.stages
        self.state = RunState(
            [self.start(block) for block in self.blocks],
            dict.fromkeys(stages, 0),
            {name: [] for name in stages},
            dict.fromkeys(stages, 0.0),
            Evaluations.none(len(self.members)),
        )
        # Steps of the next call.
        self.sizes = {n: s.most if math.isinf(s.seconds) else 1 for n, s in stages.items()}
        self.compile_seconds = 0.0
        self.saved: tuple[dict[str, int], int] | None = None  # steps and evaluations
        self.events = (
            []
            if folder is None
            else [
                Events(below.tensorboard, learner, columns) for below, columns in self.parts(folder)
            ]
        )
        self.interrupts = Interrupts()

    def start(self, block: list[Member]) -> Any:
        """The learner's state of some members before the first step."""
        seeds = [member.seed for member in block]
        if self.configs is None:
            return self.learner.start(seeds)
        return self.learner.start(seeds, [self.configs[member.config] for member in block])

    def parts(self, folder: Any) -> list[tuple[Any, slice]]:
        """The folder, or that of each config below it, with the columns of its members."""
        if self.configs is None:
            return [(folder, slice(None))]
        return [
            (None if folder is None else folder.below(number), part_of(number, self.num_seeds))
            for number in range(len(self.configs))
        ]

    def name(self, harm: Harm) -> str:
        """What a member is called."""
        member = self.members[harm.column]
        return f"seed {member.seed}" + (f" of config[{member.config}]" if self.configs else "")

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.learner.ahead(self.state.done) is None

    @property
    def lost(self) -> bool:
        """Whether no seed is left that it would be worth going on for."""
        return len(self.state.harms) == len(self.members)

    @property
    def sound(self) -> np.ndarray:
        """`[members]`, which of them are not lost."""
        lost = {harm.column for harm in self.state.harms}
        return np.array([column not in lost for column in range(len(self.members))])

    @property
    def stopped(self) -> bool:
        """Whether the run is to go no further now, although it is not at its end."""
        if self.told_to_stop or self.stop_at is None:
            return self.told_to_stop
        state = self.state
        if not state.done["update"]:
            return False
        if self.evaluator.every is None:
            values = state.reports["update"][-1]["returns"][-1:, -1]
        elif state.evaluations.last_update == state.done["update"]:
            values = state.evaluations.returns.T[-1:]
        else:
            return False
        return self.first_reached(values, self.sound[np.newaxis]) is not None

    def first_reached(self, values: np.ndarray, sound: np.ndarray) -> int | None:
        """The first row of values `[rows, members]` at which the run stops."""
        columns = [columns for _, columns in self.parts(None)]
        return first_reached(self.stop_at, values, sound, columns)

    def train(self) -> Any:
        """Trains to the end, or to the interruption."""
        with self.interrupts:
            try:
                self.make_calls()
            except BaseException:
                with self.interrupts.held():
                    self.save()
                    self.finish()
                raise
            finally:
                for events in self.events:
                    events.close()
            with self.interrupts.held():
                result = self.finish()
        self.check_harms(result)
        return result

    def reach(self, done: Mapping[str, int]) -> None:
        """Goes so far and no further; results are not written."""
        with self.interrupts:
            try:
                self.make_calls(done)
            finally:
                with self.interrupts.held():
                    self.save()
                for events in self.events:
                    events.close()

    def ahead(self, until: Mapping[str, int] | None) -> tuple[str, int] | None:
        """What is to be done next, see `Learner.ahead`.

        Nothing where no seed is left or the run is stopped, unless so much is to be done, and no
        more than that.
        """
        found, done = self.learner.ahead(self.state.done), self.state.done
        if found is None or (until is None and (self.lost or self.stopped)):
            return None
        stage, steps = found
        if stage == "update":
            steps = int(min(steps, self.evaluator.room(done[stage])))
        if until is not None:
            steps = min(steps, until[stage] - done[stage])
        return (stage, steps) if steps > 0 else None

    def make_calls(self, until: Mapping[str, int] | None = None) -> None:
        """Makes all that is ahead, with a checkpoint from time to time and at the end."""
        first = next(iter(self.learner.stages))
        self.tell(first, 0.0)
        if self.ahead(until) is not None:
            self.compile()
            self.tell(first, 0.0)
        due = time.monotonic() + _SECONDS_BETWEEN_CHECKPOINTS
        self.evaluate()
        while (ahead := self.ahead(until)) is not None:
            self.proceed(*ahead)
            self.evaluate()
            started = time.monotonic()
            if started > due:
                self.save()
                now = time.monotonic()
                seconds = (now - started) / _SHARE_OF_CHECKPOINTS
                due = now + max(_SECONDS_BETWEEN_CHECKPOINTS, seconds)
        self.save()

    def compile(self) -> None:
        """Compiles by asking for no steps at all."""
        started = time.monotonic()
        for stage in self.learner.stages.values():
            for state in self.state.states:  # one program for each size of block
                state, reports = stage.run(state, 0, 0)
                _wait(state, reports)
        self.compile_seconds = time.monotonic() - started

    def evaluate(self) -> None:
        """Plays episodes if that is due, and was not done already."""
        state = self.state
        update = state.done.get("update", 0)
        episodes = self.evaluator.due(update)
        if not episodes or self.lost or state.evaluations.last_update == update:
            return
        of_blocks = [
            self.evaluator.returns(of_block, len(set(block)), episodes)
            for block, of_block in zip(self.blocks, state.states, strict=True)
        ]
        returns = np.where(self.sound, np.concatenate(of_blocks), np.nan)
        timestep = update * self.learner.update_timesteps
        with self.interrupts.held():  # as in `proceed`
            evaluations = state.evaluations.and_one(returns, update, timestep, episodes)
            self.state = state._replace(evaluations=evaluations)
            for events in self.events:
                events.add_evaluation(evaluations, -1)
        self.tell("update", 0.0)

    def proceed(self, name: str, wanted: int) -> None:
        """One call of a stage, of which so many steps are wanted, and what is to be told of it."""
        stage = self.learner.stages[name]
        first = self.state.done[name]
        number = min(self.sizes[name], wanted)
        with self.interrupts.held():  # so that the event files have what the checkpoint has
            seconds = self.call(stage, number, wanted)
            made = {k: x[:number] for k, x in self.state.reports[name][-1].items()}
            for events in self.events:
                events.add(name, first, made)
        self.tell(name, number * len(self.members) / seconds)
        number_in_time = min(stage.most, number * stage.seconds / seconds)
        self.sizes[name] = max(1, int(number_in_time))

    def call(self, stage: Stage, number: int, wanted: int) -> float:
        """Makes `number` steps of a stage and returns the seconds they took."""
        started, name = time.monotonic(), stage.name
        first, harms = self.state.done[name], self.state.harms
        states, parts = [], []
        for block, before in zip(self.blocks, self.state.states, strict=True):
            after, reports = stage.run(before, first, number)
            reports = {k: np.asarray(x)[:number] for k, x in reports.items()}
            _wait(after, reports)
            after, reports, new = self.without_harmed(stage, block, before, after, reports)
            harms += new
            states.append(after)
            parts.append(reports)
        count = len(self.members)
        joined = {k: join_blocks([part[k] for part in parts], count, axis=-1) for k in parts[0]}
        row = self.row_to_stop_at(name, joined)
        if row is not None and row + 1 < number:
            return self.call(stage, row + 1, row + 1)  # the same steps again, without those behind
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
            state.evaluations,
            harms,
        )
        for harm in harms[len(state.harms) :]:
            warnings.warn(
                f"{self.name(harm)} became non-finite ({harm.what}) {harm.where}. It "
                f"is left as it was before; the others go on. {harm.advice}",
                RuntimeWarning,
                stacklevel=2,
            )
        return seconds

    def row_to_stop_at(self, stage: str, reports: Reports) -> int | None:
        """The step of a call after which the run stops; it may have gone further by then."""
        if stage != "update" or self.stop_at is None or self.evaluator.every is not None:
            return None
        sound = reports.get("finite", np.ones([1, 1], bool)).astype(bool) & self.sound
        values = reports["returns"][:, -1]
        return self.first_reached(values, np.broadcast_to(sound, values.shape))

    def without_harmed(
        self, stage: Stage, block: list[Member], before: Any, after: Any, reports: Reports
    ) -> tuple[Any, Reports, tuple[Harm, ...]]:
        """What a call gave, with members that are not finite as they were before they were not.

        Args:
            stage: That was run.
            block: Its members.
            before: The state before the call.
            after: The state after it.
            reports: `[steps, ..., members]` by name.

        Returns:
            The state; the reports, NaN, 0 and False from the step on in which a member was harmed;
            and the members that were not harmed before.
        """
        harmed = {self.members[harm.column] for harm in self.state.harms}
        old = np.array([member in harmed for member in block])
        finite = reports.get("finite", np.ones([0, len(block)], bool))
        if finite.all() and not old.any():
            return after, reports, ()
        after = self.learner.keep(old, before, after)
        sound = np.logical_and.accumulate(finite, axis=0) & ~old
        new = ~old & ~sound.all(axis=0) if len(sound) else np.zeros_like(old)
        harms: dict[int, Harm] = {}
        first = self.state.done[stage.name]
        for row in sorted({int(sound[:, member].sum()) for member in np.flatnonzero(new)}):
            # The same steps again, but for the one that did it: members do not depend on others.
            at_row = new & (sound.sum(axis=0) == row)
            unharmed, _ = stage.run(before, first, row)
            after = self.learner.keep(at_row, unharmed, after)
            for member in np.flatnonzero(at_row):
                trouble = self.learner.trouble(stage.name, first + row, unharmed, int(member))
                column = self.members.index(block[member])
                harms.setdefault(column, Harm(column, *trouble))  # copies fill a block up
        if not len(sound):  # a stage that does not tell
            sound = np.repeat(~old[None], max(map(len, reports.values()), default=0), axis=0)
        return after, {k: _masked(x, sound) for k, x in reports.items()}, tuple(harms.values())

    def tell(self, stage: str, rate: float) -> None:
        """Calls `on_progress`; `rate` is of steps of the stage, by second."""
        if self.on_progress is None:
            return
        state = self.state
        last = {name: calls[-1] for name, calls in state.reports.items() if calls}
        evaluated = mean_of_sound(state.evaluations.returns[:, -1:])
        view = RunView(
            *(stage, state.done, last, state.states, len(self.members), rate),
            *(self.compile_seconds, evaluated),
        )
        answer = self.on_progress(self.learner.progress(view))
        self.told_to_stop |= isinstance(answer, bool | np.bool_) and bool(answer)

    def check_harms(self, result: Any) -> None:
        """Says at the end which seeds were lost on the way.

        Raises:
            NonFiniteError: If there are some, with the result.
        """
        harms = self.state.harms
        if not harms:
            return
        told = [f"{self.name(h)} became non-finite ({h.what}) {h.where}" for h in harms]
        more = f"; and {len(told) - 3} more" if len(told) > 3 else ""
        kept = f" Results are in {self.folder.path}." if self.folder else ""
        unharmed = len(self.members) - len(harms)
        rest = "No seed is left."
        if unharmed:
            rest = f"{unharmed} of {len(self.members)} seeds are unharmed and trained to the end."
        advice = " ".join(dict.fromkeys(h.advice for h in harms))
        raise NonFiniteError(
            f"{'; '.join(told[:3])}{more}.{kept} {rest} {advice}",
            tuple(self.members[h.column].seed for h in harms),
            harms[0].update,
            result,
        )

    def save(self) -> None:
        """Writes a checkpoint, if there is a folder and anything new."""
        state, folder = self.state, self.folder
        mark = state.done, len(state.evaluations.updates)
        if folder is None or self.saved == mark:
            return
        with self.interrupts.held():
            for events in self.events:
                events.flush()
            arrays = outcome_arrays(self.outcome())
            for block, of_block in enumerate(state.states):
                arrays.update({f"state/{block}/{p}": x.numpy() for p, x in leaves(of_block)})
            if self.write(folder.checkpoint, lambda: folder.save_checkpoint(arrays)):
                self.saved = mark

    def write(self, file: Path, write: Callable[[], None]) -> bool:
        """Writes a file; warns where that cannot be done, so that what is computed goes on."""
        try:
            write()
        except OSError as error:
            warnings.warn(
                f"{file} could not be written ({error}). Make room, or the folder again: the next "
                "checkpoint tries it once more. What is computed so far is in memory, and in the "
                "result at the end",
                RuntimeWarning,
                stacklevel=2,
            )
            return False
        return True

    def restore(self) -> None:
        """Takes up the folder's checkpoint, if there is one.

        Raises:
            ValueError: If it is damaged, another run's, or holds other arrays.
        """
        if self.folder is None:
            return
        with self.folder.saved() as checkpoint:
            if checkpoint is None:
                return
            before = tuple(self.folder.seeds_of(checkpoint))
            more = self.configs is None and before != tuple(m.seed for m in self.members)
            if not more:
                self.take_up(checkpoint, self.folder)
            else:
                self.add_to(checkpoint, self.folder, before)
        if more:
            self.save()
            shutil.rmtree(self.folder.path / _MORE, ignore_errors=True)
        if more or not self.finished:
            history = self.history()
            made = [
                (stage, first, {k: x[first : first + n] for k, x in history[stage].items()})
                for stage, first, n in calls(self.learner, self.state.done)
                if stage in history
            ]
            for events in self.events:
                events.write_anew(made, self.state.evaluations)

    def add_to(self, checkpoint: Checkpoint, folder: RunFolder, before: tuple[int, ...]) -> None:
        """Goes on from a checkpoint of fewer seeds: the others are trained until they are as far.

        Args:
            checkpoint: Of the folder.
            folder: Of the run; those others have one of their own below it meanwhile.
            before: The seeds of the checkpoint.
        """
        old = Run(self.learner, before, None, None)
        old.take_up(checkpoint, folder)
        seeds = tuple(m.seed for m in self.members if m.seed not in before)
        parts = [old]
        if seeds:
            place = _folder(self.learner, seeds, folder.path / _MORE, None)
            with place.claimed((place.path / "run.json").exists()):
                made = old.state.evaluations
                given = dict(zip(made.updates.tolist(), made.episodes.tolist(), strict=True))
                evaluator = Evaluator(self.learner, given=given)
                count = len(self.members)
                new = Run(
                    self.learner, seeds, place, self.on_progress, evaluator=evaluator, of=count
                )
                new.restore()
                new.reach(old.state.done)
                self.told_to_stop = new.told_to_stop
            parts.append(new)
        self.state = joined_state(parts, self.members, self.blocks, self.state.states)

    def take_up(self, checkpoint: Checkpoint, folder: RunFolder) -> None:
        """Goes on from a checkpoint.

        Raises:
            ValueError: If it holds other arrays than those of this run.
        """
        self.fill_up_as(checkpoint)
        state = self.state
        wanted = {
            f"state/{block}/{path}": (tuple(tensor.shape), np.dtype(tensor.dtype.as_numpy_dtype))
            for block, of_block in enumerate(state.states)
            for path, tensor in leaves(of_block)
        }
        found = {name for name in checkpoint.specs if name.startswith("state/")}
        for name in sorted(found ^ set(wanted)):
            raise checkpoint.refused(name)
        for name, (shape, dtype) in wanted.items():
            spec = checkpoint.specs[name]
            if (spec.shape, np.dtype(spec.dtype)) != (shape, dtype):
                raise checkpoint.refused(f"{name} {spec}")
        outcome = read_outcome(checkpoint, tuple(m.seed for m in self.members), folder)
        try:
            for _ in calls(self.learner, outcome.done):
                pass
        except ValueError as error:
            raise checkpoint.refused(str(error)) from error
        names = iter(wanted)

        def restored(like: Any) -> Any:
            array = checkpoint.read(next(names))
            if not isinstance(like, tf.Variable):
                return tf.constant(array)
            like.assign(array)
            return like

        self.state = RunState(
            [map_leaves(restored, of_block) for of_block in state.states],
            {stage: outcome.done[stage] for stage in state.done},
            {s: [h] if (h := outcome.history[s]) else [] for s in state.done},
            {stage: outcome.seconds[stage] for stage in state.done},
            outcome.evaluations or state.evaluations,
            outcome.harms,
        )
        self.saved = self.state.done, len(self.state.evaluations.updates)

    def fill_up_as(self, checkpoint: Checkpoint) -> None:
        """Has one or two members trained as four if the checkpoint's were, as once all were."""
        path, tensor = next(leaves(self.state.states[0]))
        spec = checkpoint.specs.get(f"state/0/{path}")
        models = tensor.shape[0] // len(self.blocks[0])  # of a member
        filled = blocks_of(self.members, max(FEWEST, len(self.members)))
        if filled != self.blocks and spec and spec.shape[:1] == (len(filled[0]) * models,):
            self.blocks = filled
            self.state = self.state._replace(states=[self.start(block) for block in filled])

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
        if self.configs is None:
            return self.finish_part(self.learner, outcome)
        return [
            self.finish_part(self.learner.with_config(config), part)
            for config, part in zip(self.configs, outcome.parts(len(self.configs)), strict=True)
        ]

    def finish_part(self, learner: Learner, outcome: Outcome) -> Any:
        """Writes the results of one config and returns them."""
        result, folder = learner.result(outcome), outcome.folder
        if folder is not None:
            self.write(folder.path, lambda: learner.write(folder, outcome, result))
            made = outcome.evaluations
            if made is not None and len(made.updates):
                rows = made.rows(outcome.seeds)
                self.write(folder.path, lambda: folder.write_rows(HEADER, rows, FILE))
        return result

    def outcome(self) -> Outcome:
        """What is known of the run so far."""
        state = self.state
        of_blocks = [self.learner.weights(of_block) for of_block in state.states]
        weights = {
            role: [
                join_blocks([w.numpy() for w in same], len(self.members), axis=0)
                for same in zip(*(block[role] for block in of_blocks), strict=True)
            ]
            for role in of_blocks[0]
        }
        return Outcome(
            tuple(member.seed for member in self.members),
            state.done,
            self.history(),
            weights,
            state.seconds,
            self.compile_seconds,
            self.folder,
            state.harms,
            self.finished,
            state.evaluations,
        )


def _folder(
    learner: Learner,
    seeds: tuple[int, ...],
    run_dir: str | os.PathLike,
    configs: tuple[Config, ...] | None,
) -> RunFolder:
    known = describe(learner.trainer, learner.env, learner.config, seeds, learner.networks)
    if configs is not None:
        known["configs"] = [config.to_json() for config in configs]
    return RunFolder(
        run_dir,
        {**known, **learner.describe()},
        type(learner.config),
        learner.length,
        learner.fixed_by,
    )


def _masked(reports: np.ndarray, sound: np.ndarray) -> np.ndarray:
    """Reports `[steps, ..., members]`, NaN, 0 or False where members are not sound."""
    if reports.dtype.kind == "f":
        nothing = np.array(np.nan, reports.dtype)
    else:
        nothing = np.zeros([], reports.dtype)
    shape = (len(sound), *[1] * (reports.ndim - 2), sound.shape[1])
    return np.where(sound.reshape(shape), reports, nothing)


def _wait(state: Any, reports: Mapping[str, Any]) -> None:
    """Waits until a call has really been made."""
    if reports:
        np.asarray(next(iter(reports.values())))
        return
    for _, tensor in leaves(state):
        tensor.numpy()
        return
