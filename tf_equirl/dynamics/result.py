"""What learning a transition model gives back."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tf_equirl import envs
from tf_equirl.dynamics.config import TransitionModelConfig
from tf_equirl.dynamics.fit_folder import TRANSITION_RUN
from tf_equirl.dynamics.learner import Carry
from tf_equirl.training.blocks import blocks_of, join_blocks
from tf_equirl.training.optimizer import initial_adam_state
from tf_equirl.training.result import member_model
from tf_equirl.training.run_folder import RunFolder, nameless, read_description


@dataclasses.dataclass(frozen=True)
class TransitionResult:
    """The outcome of `fit_transition_model`: learning curves and weights of every seed.

    Attributes:
      environment: the environment's name.
      config: the hyperparameters.
      seeds: the seeds, in the order of every `seeds` axis below.
      metric_names: the metrics of the environment's head; the first one is the loss.
      loss: `[seeds, epochs]`, the training loss, mean over an epoch's gradient steps. NaN from the
        epoch on in which a seed became non-finite.
      validation: by metric `[seeds, epochs]`, on the validation data after each epoch; empty
        without such data.
      weights: trained weights, one `[seeds, ...]` array per trainable variable of the model.
      compile_seconds: time spent compiling, in this process.
      run_seconds: time spent training and validating, over all the processes that a resumed run
        took.
      run_dir: the run folder, or None.
      architecture: the Keras model whose weights `weights` are; it is not trained itself.
    """

    environment: str
    config: TransitionModelConfig
    seeds: tuple[int, ...]
    metric_names: tuple[str, ...]
    loss: np.ndarray
    validation: dict[str, np.ndarray]
    weights: list[np.ndarray]
    compile_seconds: float
    run_seconds: float
    run_dir: Path | None
    architecture: keras.Model = dataclasses.field(repr=False)

    def model(self, seed: int) -> keras.Model:
        """The trained model of one seed, a Keras model of its own.

        Raises:
          ValueError: if the run had no such seed.
        """
        return member_model(self.architecture, self.weights, self.seeds, seed)


class FitState(NamedTuple):
    """A run between two epochs, as a checkpoint holds it.

    Attributes:
      carries: one for each block of seeds.
      loss: `[epochs, seeds]`.
      validation: `[epochs, seeds, metrics]`; no metrics without validation data.
      run_seconds: time spent so far.
    """

    carries: list[Carry]
    loss: np.ndarray
    validation: np.ndarray
    run_seconds: float

    @property
    def epochs(self) -> int:
        """Epochs that are done."""
        return len(self.loss)

    def save(self, folder: RunFolder, constants: list[keras.Variable]) -> None:
        """Writes the checkpoint; `constants` are the model's variables that are not trained."""
        others = {name: getattr(self, name) for name in _ARRAYS}
        folder.save_state(self.carries, constants, others)

    def load(self, folder: RunFolder, constants: list[keras.Variable]) -> FitState | None:
        """The state in the checkpoint of a run like this one; None if there is no checkpoint yet.

        Raises:
          ValueError: if the checkpoint is damaged or another run's.
        """
        found = folder.load_state(self.carries, constants, _ARRAYS)
        if found is None:
            return None
        carries, arrays = found
        return FitState(carries, arrays["loss"], arrays["validation"], float(arrays["run_seconds"]))

    def result(
        self,
        env: envs.Environment,
        config: TransitionModelConfig,
        seeds: tuple[int, ...],
        model: keras.Model,
        compile_seconds: float,
        run_dir: Path | None,
    ) -> TransitionResult:
        """The result of the run up to this state."""
        names = env.transition_head.metric_names
        columns = self.validation.shape[-1]
        return TransitionResult(
            environment=env.name,
            config=config,
            seeds=seeds,
            metric_names=names,
            loss=self.loss.T,
            validation={names[i]: self.validation[:, :, i].T for i in range(columns)},
            weights=[
                join_blocks([w.numpy() for w in same], len(seeds), axis=0)
                for same in zip(*(c.weights for c in self.carries), strict=True)
            ],
            compile_seconds=compile_seconds,
            run_seconds=self.run_seconds,
            run_dir=run_dir,
            architecture=model,
        )


_ARRAYS = ("loss", "validation", "run_seconds")


def load_transition_result(
    run_dir: str | os.PathLike, env: envs.Environment | None = None
) -> TransitionResult:
    """The result of a finished run, curves and trained models, from its folder.

    Args:
      run_dir: folder that `fit_transition_model` wrote.
      env: the environment, where its registered name alone does not make it, because it was made
        with arguments of its own.

    Raises:
      ValueError: if the folder holds no run or an unfinished one, is damaged, or the environment is
        another one than the run's.
    """
    description = read_description(run_dir, TRANSITION_RUN)
    config = TransitionModelConfig.from_json(description["config"])
    seeds = tuple(description["seeds"])
    env = envs.make(description["environment"] if env is None else env)
    for key, ours in (
        ("environment", env.name),
        ("environment_config", env.get_config()),
        ("symmetry", env.symmetry.get_config()),
    ):
        if nameless(ours) != nameless(description[key]):
            raise ValueError(
                f"env must be the environment of the run in {run_dir}, with its {key}. "
                f"Received: env={env.name} with another one"
            )
    model = keras.models.model_from_json(json.dumps(description["models"]["transition_model"]))
    carries = []
    for block in blocks_of(seeds):
        weights = [tf.zeros([len(block), *v.shape]) for v in model.trainable_variables]
        carries.append(Carry(weights, initial_adam_state(weights)))
    folder = RunFolder(run_dir, TRANSITION_RUN)
    empty = FitState(carries, np.zeros([0, len(seeds)]), np.zeros([0, len(seeds), 0]), 0.0)
    state = empty.load(folder, model.non_trainable_variables)
    done = 0 if state is None else state.epochs
    if state is None or done < config.num_epochs:
        raise ValueError(
            f"run_dir must hold a finished run; resume it first. Received: run_dir={run_dir}, with "
            f"{done} of {config.num_epochs} epochs made"
        )
    return state.result(env, config, seeds, model, 0.0, folder.path)
