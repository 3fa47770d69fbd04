"""What a SAC run gives back."""

from __future__ import annotations

import dataclasses

import keras

from tf_equirl.training.result import TrainingResult


@dataclasses.dataclass(frozen=True, kw_only=True)
class SACResult(TrainingResult):
    """The outcome of training with SAC, see `TrainingResult`.

    Networks are in the roles "actor", "q_function_1" and "q_function_2". `metrics` are, as means
    over the gradient steps of an update and NaN before the first, "critic_loss", "actor_loss",
    "value", the mean of the first critic of what was learned from, and "entropy", minus the mean
    log-probability of the policy's actions; and "temperature", at the end of the update.
    """

    def q_function(self, seed: int, number: int = 1) -> keras.Model:
        """A trained critic of one seed, from `[observation, action]` to a value.

        Actions are those of the box in units in which it is [-1, 1] in every coordinate.

        Args:
            seed: One of the run's seeds.
            number: 1 or 2.

        Raises:
            ValueError: If the run had no such seed or critic.
        """
        return self.model(f"q_function_{number}", seed)
