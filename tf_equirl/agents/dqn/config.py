"""The hyperparameters of a DQN run."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import keras
import tensorflow as tf

from tf_equirl._checks import MOST
from tf_equirl.agents.dqn.exploration import DECAYS, epsilon_at
from tf_equirl.agents.dqn.presets import PRESETS
from tf_equirl.agents.dqn.targets import LOSSES
from tf_equirl.envs import BaseEnvironment
from tf_equirl.models import Q_FUNCTION_KINDS
from tf_equirl.models.inputs import check_activation
from tf_equirl.training.picture_config import PictureConfig
from tf_equirl.training.relaxation_config import RelaxationConfig
from tf_equirl.training.replay_config import ReplayConfig
from tf_equirl.training.search_space import Choice, LogUniform, searched

if TYPE_CHECKING:
    from tf_equirl.agents.dqn.learner import DQNLearner

_LONGEST_WINDOW = 1000


@dataclasses.dataclass(frozen=True)
class DQNConfig(ReplayConfig, PictureConfig, RelaxationConfig):
    """Hyperparameters of deep Q-learning (Mnih et al., 2015), double (van Hasselt et al., 2016).

    A seed makes `train_every` environment steps, then `gradient_steps` gradient steps, and so on;
    an update, after which numbers are reported, is `num_environments * rollout_steps` environment
    steps and what is learned between them.

    They are validated on construction: a `ValueError` names the field, the rule and the value.

    Attributes:
        total_timesteps: Environment steps per seed, rounded down to whole updates.
        num_environments: Environments that each seed steps side by side.
        rollout_steps: Steps per environment and update.
        learning_rate: Step size of Adam.
        anneal_learning_rate: Decrease the step size linearly to 0 over the run.
        adam_beta_1: Share of the old mean of gradients that Adam keeps at each step.
        adam_beta_2: The same for the mean of their squares.
        adam_epsilon: Added to the root of that mean, by which Adam divides.
        max_gradient_norm: Bound on the norm of one gradient; None does not bound it.
        discount: Gamma.
        q_function: Kind of network, see `models.q_function`: mlp, cnn, gcnn, symmetrizer,
            symmetrizer-sampled, symmetrizer-random, relaxed or rpp.
        hidden_units: Widths of its hidden layers, at most 100 up to 16,384.
        match_parameters: Its parameter budget, at most 10^8; `hidden_units` are then the
            proportions of its widths. None keeps `hidden_units`.
        activation: Name of the Keras activation of its hidden layers, a pointwise one such as
            "tanh". None takes "relu".
        double: Choose the action after a window by the network that is trained, and take its value
            from the target network (van Hasselt et al., 2016, equation 4); otherwise the target
            network does both.
        n_steps: Rewards of so many steps are summed before a value is bootstrapped, at most 1,000;
            windows end with their episode.
        loss: One of huber and squared.
        huber_delta: Error from which on the Huber loss is linear.
        buffer_size: Newest steps of a seed that are learned from, rounded down to whole steps of
            all environments; at most 2^23.
        batch_size: Windows of a gradient step, drawn uniformly, with replacement.
        learning_starts: Environment steps of a seed before the first gradient step.
        train_every: Environment steps of a seed before each `gradient_steps`; a multiple of
            `num_environments` that divides the steps of an update.
        gradient_steps: Gradient steps after each `train_every` environment steps.
        target_update_period: Gradient steps after which the target network becomes a copy of the
            trained one, again and again.
        epsilon_start: Share of actions that are drawn at random at the start.
        epsilon_end: Share to which that decreases.
        epsilon_decay: One of linear and exponential. Linear comes to `epsilon_end` after
            `epsilon_steps`; exponential is
            `epsilon_end + (epsilon_start - epsilon_end) exp(-timestep / epsilon_steps)`.
        epsilon_steps: Environment steps of a seed, see `epsilon_decay`.
    """

    PRESETS = PRESETS

    total_timesteps: int = 50_000
    learning_rate: float = searched(1e-3, LogUniform(1e-4, 1e-2))
    max_gradient_norm: float | None = searched(10.0, LogUniform(0.1, 100.0))
    q_function: str = "gcnn"
    hidden_units: tuple[int, ...] = (64, 64)
    match_parameters: int | None = None
    activation: str | None = None
    double: bool = searched(True, Choice((False, True)))
    n_steps: int = searched(3, Choice((1, 2, 3, 5)))
    loss: str = searched("huber", Choice(LOSSES))
    huber_delta: float = searched(1.0, LogUniform(0.1, 10.0))
    buffer_size: int = searched(50_000, Choice((10_000, 50_000, 100_000)))
    batch_size: int = searched(64, Choice((32, 64, 128, 256)))
    learning_starts: int = 1_000
    train_every: int = searched(4, Choice((4, 8, 16)))
    gradient_steps: int = searched(1, Choice((1, 2, 4)))
    target_update_period: int = searched(100, Choice((50, 100, 250, 500, 1000)))
    epsilon_start: float = 1.0
    epsilon_end: float = searched(0.05, Choice((0.01, 0.02, 0.05, 0.1)))
    epsilon_decay: str = "linear"
    epsilon_steps: int = searched(10_000, Choice((2_000, 5_000, 10_000, 20_000)))

    def __post_init__(self):
        """Validates every field.

        Raises:
            ValueError: Naming the first field that breaks its rule.
        """
        super().__post_init__()
        self._check_hidden_units()
        self._check_choice("q_function", Q_FUNCTION_KINDS)
        self._check_choice("loss", LOSSES)
        self._check_choice("epsilon_decay", DECAYS)
        self._check_budget("match_parameters")
        check_activation(self.activation)
        self.check_pictures()
        self.check_relaxation()
        self._check_bool("double")
        self._check_positive("huber_delta")
        self._check_integer("n_steps", _LONGEST_WINDOW)
        for field in ("train_every", "gradient_steps", "target_update_period", "epsilon_steps"):
            self._check_integer(field)
        self.check_replay(self.n_steps)
        if self.learning_starts < self.batch_size:
            self._reject("learning_starts", f"at least batch_size = {self.batch_size:,}")
        for field in ("epsilon_start", "epsilon_end"):
            self._check_real(field, "a number from 0 to 1", lambda x: 0 <= x <= 1)
        if self.epsilon_end > self.epsilon_start:
            self._reject("epsilon_end", f"at most epsilon_start = {self.epsilon_start}")
        if self.num_gradient_steps > MOST:
            self._reject(
                "total_timesteps",
                f"of at most {MOST:,} gradient steps, {self.gradient_steps:,} (gradient_steps) "
                f"after each {self.train_every:,} (train_every)",
            )

    def epsilon(self, timestep: int) -> float:
        """Epsilon after so many environment steps of a seed."""
        schedule = self.epsilon_start, self.epsilon_end, self.epsilon_steps, timestep
        numbers = (tf.constant(x, tf.float32) for x in schedule)
        return float(epsilon_at(self.epsilon_decay, *numbers))

    def learner(self, env: BaseEnvironment, q_function: keras.Model | None = None) -> DQNLearner:
        """See `AgentConfig.learner`.

        Args:
            env: The environment.
            q_function: Network of values, instead of the one that the config describes.
        """
        from tf_equirl.agents.dqn.learner import DQNLearner
        from tf_equirl.agents.dqn.network import make_q_function

        if q_function is None:
            q_function = make_q_function(env, self)
        return DQNLearner(env, self, q_function)
