"""What the configs of agents that learn from rollouts share."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from tf_equirl._config import Config
from tf_equirl.envs import Environment

if TYPE_CHECKING:
    import keras

    from tf_equirl.training.on_policy import OnPolicyLearner


@dataclasses.dataclass(frozen=True)
class OnPolicyConfig(Config):
    """Base class of the hyperparameters of agents that learn from rollouts of their own policy.

    They are validated on construction: a `ValueError` names the field, the rule and the value.

    Attributes:
      total_timesteps: environment steps per seed, rounded down to whole updates.
      num_environments: environments that each seed steps side by side.
      rollout_steps: steps per environment and update.
      learning_rate: Adam's step size.
      anneal_learning_rate: decrease the step size linearly to 0 over the run.
      adam_beta_1: share of the old mean of gradients that Adam keeps at each step.
      adam_beta_2: the same for the mean of their squares.
      adam_epsilon: added to the root of that mean, by which Adam divides.
      max_gradient_norm: bound on the norm of one gradient over all networks together.
      discount: gamma.
    """

    total_timesteps: int = 500_000
    num_environments: int = 4
    rollout_steps: int = 128
    learning_rate: float = 3.5e-4
    anneal_learning_rate: bool = False
    adam_beta_1: float = 0.9
    adam_beta_2: float = 0.999
    adam_epsilon: float = 1e-5
    max_gradient_norm: float = 0.5
    discount: float = 0.99

    def __post_init__(self):
        """Validates every field.

        Raises:
          ValueError: naming the first field that breaks its rule.
        """
        for field in ("total_timesteps", "num_environments", "rollout_steps"):
            self._check_integer(field)
        self._check_bool("anneal_learning_rate")
        self._check_adam()
        self._check_positive("max_gradient_norm")
        self._check_real("discount", "a number from 0 to 1", lambda x: 0 <= x <= 1)
        if self.total_timesteps < self.batch_size:
            self._reject("total_timesteps", f"at least one update of {self.batch_size} steps")

    @property
    def batch_size(self) -> int:
        """Transitions per seed and update."""
        return self.num_environments * self.rollout_steps

    @property
    def num_updates(self) -> int:
        """Updates in the whole run."""
        return self.total_timesteps // self.batch_size

    def learner(
        self,
        env: Environment,
        actor: keras.Model | None = None,
        critic: keras.Model | None = None,
    ) -> OnPolicyLearner:
        """The learner that this config describes.

        Args:
          env: the environment.
          actor: policy network, instead of the one that the config describes.
          critic: value network, likewise.

        Raises:
          ValueError: if a network does not fit the environment.
        """
        raise NotImplementedError(f"{type(self).__name__} describes no learner")
