"""What a Dyna run gives back."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np

from tf_equirl.dynamics.model_loss import ROLE
from tf_equirl.training.result import TrainingResult

PARTS = {"update": "act and update", "fit": "fit", "measure": "fit", "plan": "plan"}
"""What the stages of a run are called where its times are told."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DynaResult(TrainingResult):
    """The outcome of `train_dyna`: what `train_ppo` gives back, and what is known of planning.

    Returns are those of the true environment, and `timesteps` counts its steps. The weights of the
    role "transition_model" are `[seeds, ensemble, ...]`.

    Attributes:
        planning_timesteps: `[iterations]`, environment steps of a seed at the end of each
            iteration, where planning begins.
        planned_updates: `[seeds, iterations]`, updates that were made in the model.
        imagined_returns: `[seeds, iterations]`, the return of the last planned episode that ended,
            mean over those of the seed's environments that had one; NaN where none ended.
        model_metrics: By metric of the environment's head `[seeds, iterations]`: the model's error
            on held-out transitions when planning began, NaN in iterations without planning; empty
            where planning needs no model. The error is optimistic: held-out transitions are
            neighbours in time of those that were fitted, and where states are few often equal to
            them: see "The held-out error is optimistic" in docs/dyna.md.
        seconds: Time by part, of "act and update", "fit" and "plan", compilation left out.
    """

    planning_timesteps: np.ndarray
    planned_updates: np.ndarray
    imagined_returns: np.ndarray
    model_metrics: dict[str, np.ndarray]
    seconds: dict[str, float]

    def model(self, role: str, seed: int) -> keras.Model:
        """See `Result.model`; of an ensemble the first transition model."""
        return self.transition_model(seed) if role == ROLE else super().model(role, seed)

    def transition_model(self, seed: int, index: int = 0) -> keras.Model:
        """The transition model of one seed, a Keras model of its own.

        Args:
            seed: One of the run's seeds.
            index: Of the ensemble's models.

        Raises:
            ValueError: If the run had no such seed or model, or planned in the environment itself.
        """
        if ROLE not in self.networks:
            raise ValueError(
                "there is no transition model where planning is done in the environment itself. "
                "Received: a run with model=None"
            )
        size = self.config.ensemble_size
        if not 0 <= index < size:
            raise ValueError(f"index must be from 0 to {size - 1}. Received: index={index}")
        return self._member(ROLE, [w[:, index] for w in self.weights[ROLE]], seed)
