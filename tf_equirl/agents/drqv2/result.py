"""What a DrQ-v2 run gives back."""

from __future__ import annotations

import dataclasses

import keras

from tf_equirl.agents.drqv2.networks import policy_model
from tf_equirl.training.result import TrainingResult


@dataclasses.dataclass(frozen=True, kw_only=True)
class DrQv2Result(TrainingResult):
    """The outcome of training with DrQ-v2, see `TrainingResult`.

    Networks are in the roles "encoder", "actor", which goes on from the encoder's features, and
    "critic". `metrics` are, as means over the gradient steps of an update and NaN before the first,
    "critic_loss", "actor_loss" and "value", the mean of the critic's first values of what was
    learned from; and "deviation", of the noise of actions, at the end of the update.

    Attributes:
        deviations: Standard deviations that the distribution of actions has.
    """

    deviations: int = 1

    def actor(self, seed: int) -> keras.Model:
        """The trained policy of one seed, from pictures to the parameters of its actions.

        Those are means in units in which the box of actions is [-1, 1], by which the greedy policy
        acts, and logarithms of the standard deviations that noise ends with. It is a plain Keras
        model of its own: encoder and actor in one.

        Args:
            seed: One of the run's seeds.

        Raises:
            ValueError: If the run had no such seed.
        """
        parts = self.model("encoder", seed), self.model("actor", seed)
        return policy_model(*parts, self.config.deviation_end, self.deviations)
