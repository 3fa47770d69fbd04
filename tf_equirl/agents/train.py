"""`train_ppo`: the host's side of a training run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tf_equirl import envs, zoo
from tf_equirl.agents.blocks import blocks_of, check_seeds, join_blocks
from tf_equirl.agents.config import PPOConfig
from tf_equirl.agents.ppo import make_models
from tf_equirl.agents.ppo_runs import PPO_RUN, describe_run, write_results
from tf_equirl.agents.program import LOSSES, Carry, Metrics, PopulationProgram
from tf_equirl.agents.progress import NonFiniteError, Progress
from tf_equirl.agents.result import TrainingResult
from tf_equirl.agents.run_folder import RunFolder

_SECONDS_BETWEEN_CHECKPOINTS = 60.0
_SECONDS_PER_CALL = 1.0


def train_ppo(
    env: envs.Environment | str,
    config: PPOConfig | None = None,
    seeds: Iterable[int] = range(128),
    run_dir: str | os.PathLike | None = None,
    *,
    actor: keras.Model | None = None,
    critic: keras.Model | None = None,
    start_from: str | None = None,
    resume: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> TrainingResult:
    """Trains one PPO agent per seed, up to 32 of them side by side in one compiled program.

    PPO is Schulman et al. (2017) with tf-agents' loss. A seed's curve does not depend on the other
    seeds (with sampled Symmetrizer bases rounding depends on how many there are), and is the same
    at every run on the same machine and package versions.

    Args:
      env: the environment, or its name.
      config: hyperparameters; the defaults if None.
      seeds: distinct integers from 0 to 2**31 - 1.
      run_dir: folder for configuration, checkpoints, results and TensorBoard events; None keeps
        everything in memory.
      actor: policy network to train instead of the one that `config` describes. It serves as the
        architecture: every seed starts from fresh weights of its own.
      critic: value network to train instead, likewise.
      start_from: name of a model in the zoo (`tf_equirl.zoo.list()`), whose actor and critic every
        seed goes on from, with a new optimiser. `config` then says nothing about the networks.
      resume: go on with the run in `run_dir`; the outcome is the one of an uninterrupted run.
      on_progress: called with a `Progress` about once a second.

    Returns:
      Learning curves and weights of all seeds.

    Raises:
      ValueError: before any work, if an argument breaks its rule, a model does not fit the
        environment, or `run_dir` holds another run or a damaged one.
      NonFiniteError: if a seed's numbers become infinite or NaN; what was computed is kept.
      KeyboardInterrupt: on Ctrl-C, after a checkpoint was written.
    """
    env = envs.make(env)
    config = config or PPOConfig()
    if not isinstance(config, PPOConfig):
        raise ValueError(f"config must be a PPOConfig. Received: config={config!r}")
    seeds = check_seeds(seeds)
    if start_from is not None:
        if actor is not None or critic is not None:
            raise ValueError(
                "start_from brings its own networks: give it or actor and critic, not both. "
                f"Received: start_from={start_from!r}, actor={actor!r}, critic={critic!r}"
            )
        entry = zoo.load(start_from, must_be=zoo.POLICY.text)
        actor, critic = entry.actor, entry.critic
    actor, critic = make_models(env, config, actor, critic)
    folder = None if run_dir is None else RunFolder(run_dir, PPO_RUN)
    if folder is None and resume:
        raise ValueError("resume=True needs the run's folder. Received: run_dir=None")
    if folder is not None:
        folder.open(describe_run(env, config, seeds, actor, critic, start_from), resume)
    run = _Run(env, config, seeds, actor, critic, start_from is None, folder, on_progress)
    run.restore()
    return run.train()


class _State(NamedTuple):
    """A run between two calls. Replaced as a whole, so that Ctrl-C finds it consistent."""

    carries: list[Carry]  # one for each block of seeds
    updates: int
    rows: list[dict[str, np.ndarray]]  # what each call reported, [updates, ..., seeds]
    run_seconds: float


class _Run:
    """One run: its state, and the loop over calls of the compiled program."""

    def __init__(self, env, config, seeds, actor, critic, fresh, folder, on_progress):
        self.config: PPOConfig = config
        self.seeds: tuple[int, ...] = seeds
        self.env: envs.Environment = env
        self.models = (actor, critic)
        self.folder: RunFolder | None = folder
        self.on_progress = on_progress
        self.program = PopulationProgram(env, config, actor, critic)
        # Sampled bases: weights mean nothing without the very basis that they were trained with.
        self.constants = [*actor.non_trainable_variables, *critic.non_trainable_variables]
        carries = [self.program.start(block, fresh) for block in blocks_of(seeds)]
        self.state = _State(carries, 0, [], 0.0)
        self.compile_seconds = 0.0
        self.saved_updates = 0

    def train(self) -> TrainingResult:
        """Trains to the end, or to the interruption."""
        writer = None
        if self.folder is not None and self.state.updates < self.config.num_updates:
            writer = tf.summary.create_file_writer(
                str(self.folder.tensorboard), flush_millis=10_000
            )
        try:
            self.report(0.0)
            if self.state.updates < self.config.num_updates:
                self.compile()
                self.report(0.0)
            number, saved_at = 1, time.monotonic()
            while self.state.updates < self.config.num_updates:
                number = min(number, self.config.num_updates - self.state.updates)
                seconds = self.advance(number)
                if writer is not None:
                    self.log(writer)
                self.check_finite()
                self.report(number * self.config.batch_size * len(self.seeds) / seconds)
                number = int(number * _SECONDS_PER_CALL / seconds)
                number = max(1, min(number, self.program.max_updates))
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
        """Compiles by asking for no updates at all."""
        started = time.monotonic()
        for carry in self.state.carries:  # one program for each size of block
            carry, _ = self.program.run(carry, tf.constant(0), tf.constant(0))
            tf.nest.map_structure(lambda x: x.numpy(), carry)
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
        self.state = _State(
            carries, state.updates + number, [*state.rows, rows], state.run_seconds + seconds
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
        if self.folder is None or 0 < state.updates == self.saved_updates:
            return
        others: dict[str, Any] = {f"history/{k}": values for k, values in self.history().items()}
        others.update(updates=state.updates, run_seconds=state.run_seconds)
        self.folder.save_state(state.carries, self.constants, others)
        self.saved_updates = state.updates

    def restore(self) -> None:
        """Takes up the folder's checkpoint, if there is one."""
        if self.folder is None:
            return
        names = [f"history/{name}" for name in Metrics._fields]
        wanted = [*names, "updates", "run_seconds"]
        found = self.folder.load_state(self.state.carries, self.constants, wanted)
        if found is None:
            return
        carries, arrays = found
        updates = self.saved_updates = int(arrays["updates"])
        rows = {name: arrays[f"history/{name}"] for name in Metrics._fields}
        self.state = _State(
            carries, updates, [rows] if updates else [], float(arrays["run_seconds"])
        )

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
