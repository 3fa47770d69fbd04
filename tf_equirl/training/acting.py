"""Agents that act: episodes, learning curves and results, whatever they learn by."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_equirl._files import write_atomically
from tf_equirl.envs import BaseEnvironment, Environment
from tf_equirl.training.collect import ActingState, mean_of_known, start_acting
from tf_equirl.training.config import AgentConfig
from tf_equirl.training.learner import Learner, Reports, RunView, mean_of_sound
from tf_equirl.training.optimizer import OPTIMIZER_FIELDS
from tf_equirl.training.progress import Progress
from tf_equirl.training.randomness import Purpose, member_uniforms
from tf_equirl.training.result import Outcome, TrainingResult
from tf_equirl.training.run_folder import RunFolder


class ActingLearner(Learner):
    """An agent that acts for some steps at each update, whatever it makes of them.

    A subclass defines `start` and `update`, which reports what `curves` makes of the rollout. A
    state has the seeds' stacked `weights`. Learning curves, progress and results are made here.

    Args:
        env: The environment.
        config: Hyperparameters.
        networks: The Keras models that are trained, by their role.
    """

    config: AgentConfig
    per_member = OPTIMIZER_FIELDS
    length = "total_timesteps"
    reports_returns = True

    def __init__(
        self, env: BaseEnvironment, config: AgentConfig, networks: Mapping[str, keras.Model]
    ):
        super().__init__(env, config, networks)
        self.update_timesteps = config.update_timesteps

    def start_acting(self, seeds: tf.Tensor) -> ActingState:
        """The first episodes of members with these seeds, `[members]`."""
        env, copies = self.env, self.config.num_environments
        if isinstance(env, Environment):
            shape = [copies, env.num_uniforms]
            return start_acting(env, member_uniforms(seeds, Purpose.RESETS, 0, shape))
        leading = [*seeds.shape, copies]
        nothing = tf.zeros([*leading, *env.observation_shape])  # episodes start with the update
        return ActingState(nothing, tf.zeros(leading), tf.fill(leading, np.float32(np.nan)))

    @property
    def fixed_by(self) -> str | None:
        """See `Learner.fixed_by`."""
        return "anneal_learning_rate" if self.config.anneal_learning_rate else None

    def settings(self, configs: Sequence[Any]) -> dict[str, tf.Tensor]:
        """What updates read of the configs of members that differ, `[members]` each by name.

        Nothing by default: Adam has its own in the state. A subclass that reads a field here, and
        not in `self.config`, names it in `per_member`.
        """
        return {}

    def weights(self, state: Any) -> dict[str, list[tf.Tensor]]:
        """See `Learner.weights`."""
        return self.population.arrays(state.weights)

    def progress(self, view: RunView) -> Progress:
        """See `Learner.progress`."""
        return Progress(
            updates=view.done["update"],
            num_updates=self.num_updates,
            timesteps=view.done["update"] * self.update_timesteps,
            mean_return=last_mean_return(view),
            steps_per_second=view.rate * self.update_timesteps,
            compile_seconds=view.compile_seconds,
            evaluated=view.evaluated,
        )

    def scalars(self, stage: str, first: int, reports: Reports) -> Iterator[tuple[str, float, int]]:
        """See `Learner.scalars`."""
        yield from super().scalars(stage, first, reports)
        for i, rows in enumerate(reports["returns"]):
            known = rows[:, ~np.isnan(rows).any(axis=0)]  # steps, seeds
            if known.size:
                step = (first + i + 1) * self.update_timesteps
                returns = known.mean(axis=0)
                yield "return/mean", float(returns.mean()), step
                yield "return/worst_seed", float(returns.min()), step

    def fields(self, outcome: Outcome) -> dict[str, Any]:
        """The fields of a `TrainingResult`."""
        steps, count = self.config.rollout_steps, len(outcome.seeds)
        harmed = outcome.harmed("update")

        def known(name: str, *shape: int) -> np.ndarray:
            values = outcome.reported("update", name, *shape)
            mask = harmed.reshape(len(harmed), *[1] * len(shape), count)
            return np.where(mask, np.float32(np.nan), values) if len(values) else values

        names = outcome.names("update")
        return {
            **outcome.common(),
            "environment": self.env.name,
            "config": self.config,
            "networks": self.networks,
            "num_environments": self.config.num_environments,
            # [updates, steps, seeds] -> [seeds, times]
            "returns": known("returns", steps).reshape(-1, count).T,
            "first_returns": known("first_returns", steps).reshape(-1, count).T,
            "metrics": {
                name: known(name).T
                for name in names
                if name not in ("finite", "returns", "first_returns")
            },
        }

    def result(self, outcome: Outcome) -> TrainingResult:
        """See `Learner.result`."""
        return TrainingResult(**self.fields(outcome))

    def write(self, folder: RunFolder, outcome: Outcome, result: Any) -> None:
        """Writes `results.csv`, one row per seed and update, and `returns.npz`, every return."""
        returns = outcome.reported("update", "returns", self.config.rollout_steps)
        known = ~np.isnan(returns)
        count = known.sum(axis=1)
        total = np.where(known, returns, 0).sum(axis=1)
        means = np.where(
            count == returns.shape[1], returns.mean(axis=1), total / np.where(count, count, np.nan)
        )
        columns = {"mean_return": means}
        columns.update({name: values.T for name, values in result.metrics.items()})
        harmed = outcome.harmed("update")
        rows = [
            [
                seed,
                update,
                (update + 1) * self.update_timesteps,
                *(f"{values[update, column]:.6g}" for values in columns.values()),
            ]
            for column, seed in enumerate(outcome.seeds)
            for update in range(len(returns))
            if not harmed[update, column]
        ]
        folder.write_rows(["seed", "update", "timestep", *columns], rows)
        shape = (-1, self.config.rollout_steps, len(outcome.seeds))
        write_atomically(
            folder.path / "returns.npz",
            lambda stream: np.savez_compressed(
                stream,
                seeds=np.array(outcome.seeds),
                returns=result.returns.T.reshape(shape),
                first_returns=result.first_returns.T.reshape(shape),
            ),
        )


def curves(last_return: tf.Tensor) -> dict[str, tf.Tensor]:
    """What an update reports of returns.

    Args:
        last_return: `[steps, members, envs]`, of the last finished episode after each step.

    Returns:
        Their mean, over environments that have finished one, and those of the first environment,
        `[steps, members]`.
    """
    # What is known of all environments is rounded as a mean always was.
    all_known = tf.reduce_all(~tf.math.is_nan(last_return), axis=-1)
    mean = tf.reduce_mean(last_return, -1)
    returns = tf.where(all_known, mean, mean_of_known(last_return))
    return {"returns": returns, "first_returns": last_return[..., 0]}


def last_mean_return(view: RunView) -> float:
    """Mean over seeds of the last finished return; NaN before the first."""
    reports: Mapping[str, np.ndarray] = view.last.get("update", {})
    if "returns" not in reports:
        return math.nan
    return mean_of_sound(reports["returns"][-1, -1])
