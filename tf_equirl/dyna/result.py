"""What a Dyna run gives back."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np

from tf_equirl.training.result import TrainingResult, member_model


@dataclasses.dataclass(frozen=True)
class DynaResult(TrainingResult):
    """The outcome of `train_dyna`: what `train_ppo` gives back, and what is known of planning.

    Returns are those of the true environment, and `timesteps` counts its steps.

    Attributes:
      planning_timesteps: `[iterations]`, environment steps of a seed at the end of each iteration,
        where planning begins.
      planned_updates: `[seeds, iterations]`, PPO updates that were made in the model.
      imagined_returns: `[seeds, iterations]`, the return of the last planned episode that ended,
        mean over those of the seed's environments that had one; NaN where none ended.
      model_metrics: by metric of the environment's head `[seeds, iterations]`: the model's error on
        held-out transitions when planning began, NaN in iterations without planning; empty where
        planning needs no model.
      model_weights: weights of the models, one `[seeds, ensemble, ...]` array per variable.
      seconds: time by part, of "act and update", "fit" and "plan", compilation left out.
    """

    planning_timesteps: np.ndarray
    planned_updates: np.ndarray
    imagined_returns: np.ndarray
    model_metrics: dict[str, np.ndarray]
    model_weights: list[np.ndarray]
    seconds: dict[str, float]
    _transition_model: keras.Model | None = dataclasses.field(repr=False)

    def transition_model(self, seed: int, index: int = 0) -> keras.Model:
        """The transition model of one seed, a Keras model of its own.

        Args:
          seed: one of the run's seeds.
          index: of the ensemble's models.

        Raises:
          ValueError: if the run had no such seed or model, or planned in the environment itself.
        """
        if self._transition_model is None:
            raise ValueError(
                "there is no transition model where planning is done in the environment itself. "
                f"Received: a run with model_kind={self.config.model_kind!r}"  # type: ignore[attr-defined]
            )
        size = self.model_weights[0].shape[1]
        if not 0 <= index < size:
            raise ValueError(f"index must be from 0 to {size - 1}. Received: index={index}")
        weights = [w[:, index] for w in self.model_weights]
        return member_model(self._transition_model, weights, self.seeds, seed)
