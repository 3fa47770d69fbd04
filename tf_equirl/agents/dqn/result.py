"""What a DQN run gives back."""

from __future__ import annotations

import dataclasses

import keras

from tf_equirl.training.result import TrainingResult


@dataclasses.dataclass(frozen=True, kw_only=True)
class DQNResult(TrainingResult):
    """The outcome of training with DQN, see `TrainingResult`.

    `metrics` are, as means over the gradient steps of an update and NaN before the first, "loss",
    "value", the mean Q-value of the actions that were learned about, and "gradient_norm", before it
    is bounded; and "epsilon", at the end of the update.
    """

    def q_function(self, seed: int) -> keras.Model:
        """The trained network of one seed, from observations to values of all actions.

        Raises:
            ValueError: If the run had no such seed.
        """
        return self.model("q_function", seed)

    def actor(self, seed: int) -> keras.Model:
        """The same network as a policy: its largest output is the action.

        Evaluate it greedily; as logits its values would make some other policy.

        Raises:
            ValueError: If the run had no such seed.
        """
        return self.q_function(seed)
