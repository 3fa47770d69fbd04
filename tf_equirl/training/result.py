"""What a training run gives back."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import keras
import numpy as np

from tf_equirl.agents.ppo.config import PPOConfig


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """The outcome of `train_ppo`: learning curves and weights of every seed.

    Attributes:
      environment: the environment's name.
      config: the hyperparameters.
      seeds: the seeds, in the order of every `seeds` axis below.
      returns: `[seeds, times]`, the return of the last finished episode (0 before the first), mean
        over the seed's environments, after each step of all environments. NaN from the update on
        in which a seed became non-finite.
      first_returns: `[seeds, times]`, the same for the seed's first environment alone.
      metrics: losses and diagnostics by name, `[seeds, updates]` each.
      weights: trained weights, one `[seeds, ...]` array per trainable variable of the actor, then
        of the critic.
      compile_seconds: time spent compiling, in this process.
      run_seconds: time spent training, over all the processes that a resumed run took.
      run_dir: the run folder, or None.
    """

    environment: str
    config: PPOConfig
    seeds: tuple[int, ...]
    returns: np.ndarray
    first_returns: np.ndarray
    metrics: dict[str, np.ndarray]
    weights: list[np.ndarray]
    compile_seconds: float
    run_seconds: float
    run_dir: Path | None
    _models: tuple[keras.Model, keras.Model] = dataclasses.field(repr=False)

    @property
    def timesteps(self) -> np.ndarray:
        """`[times]`, environment steps of a seed up to and with each column of `returns`."""
        return self.config.num_environments * (1 + np.arange(self.returns.shape[1]))

    @property
    def steps_per_second(self) -> float:
        """Environment steps of all seeds by second of training, compilation left out."""
        steps = self.returns.shape[1] * self.config.num_environments * len(self.seeds)
        return steps / self.run_seconds if self.run_seconds else 0.0

    def actor(self, seed: int) -> keras.Model:
        """The trained policy network of one seed, a Keras model of its own.

        Raises:
          ValueError: if the run had no such seed.
        """
        count = len(self._models[0].trainable_variables)
        return self._model(0, self.weights[:count], seed)

    def critic(self, seed: int) -> keras.Model:
        """The trained value network of one seed, a Keras model of its own.

        Raises:
          ValueError: if the run had no such seed.
        """
        count = len(self._models[0].trainable_variables)
        return self._model(1, self.weights[count:], seed)

    def _model(self, which: int, weights: list[np.ndarray], seed: int) -> keras.Model:
        return member_model(self._models[which], weights, self.seeds, seed)


def member_model(
    model: keras.Model, weights: list[np.ndarray], seeds: tuple[int, ...], seed: int
) -> keras.Model:
    """A copy of `model` with the weights of one seed.

    Args:
      model: the architecture.
      weights: one `[seeds, ...]` array per trainable variable.
      seeds: the seeds of the run.
      seed: one of them.

    Raises:
      ValueError: if the run had no such seed.
    """
    if seed not in seeds:
        raise ValueError(f"seed must be one of the run's seeds {seeds}. Received: {seed}")
    copy = keras.models.clone_model(model)
    row = seeds.index(seed)
    for variable, stacked in zip(copy.trainable_variables, weights, strict=True):
        variable.assign(stacked[row])
    # The very bases of the model that was trained; a clone computes its own.
    source = model.non_trainable_variables
    for variable, basis in zip(copy.non_trainable_variables, source, strict=True):
        variable.assign(basis)
    return copy
