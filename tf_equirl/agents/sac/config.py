"""The hyperparameters of a SAC run."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import keras

from tf_equirl._checks import MOST
from tf_equirl.agents.sac.presets import PRESETS
from tf_equirl.envs import BaseEnvironment
from tf_equirl.models import ACTOR_KINDS, CONTINUOUS_Q_FUNCTION_KINDS
from tf_equirl.models.inputs import check_activation
from tf_equirl.training.picture_config import PictureConfig
from tf_equirl.training.relaxation_config import RelaxationConfig
from tf_equirl.training.replay_config import ReplayConfig
from tf_equirl.training.search_space import Choice, LogUniform, searched

if TYPE_CHECKING:
    from tf_equirl.agents.sac.learner import SACLearner

ACTORS = tuple(kind for kind in ACTOR_KINDS if kind != "odd")
"""Kinds of policies: of "odd" the logarithms of deviations would be odd functions of the state."""


@dataclasses.dataclass(frozen=True)
class SACConfig(ReplayConfig, PictureConfig, RelaxationConfig):
    """Hyperparameters of soft actor-critic (Haarnoja et al., 2018, arXiv 1812.05905).

    A seed makes `train_every` environment steps, then `gradient_steps` gradient steps, and so on;
    an update, after which numbers are reported, is `num_environments * rollout_steps` environment
    steps and what is learned between them.

    They are validated on construction: a `ValueError` names the field, the rule and the value.

    Attributes:
        total_timesteps: Environment steps per seed, rounded down to whole updates.
        num_environments: Environments that each seed steps side by side.
        rollout_steps: Steps per environment and update.
        learning_rate: Step size of Adam, for the critics, and for what has none of its own.
        anneal_learning_rate: Decrease step sizes linearly to 0 over the run.
        adam_beta_1: Share of the old mean of gradients that Adam keeps at each step.
        adam_beta_2: The same for the mean of their squares.
        adam_epsilon: Added to the root of that mean, by which Adam divides.
        max_gradient_norm: Bound on the norm of one gradient: of the actor, of both critics
            together; None does not bound it.
        discount: Gamma.
        actor: Kind of policy network, see `models.actor`: mlp, cnn, gcnn, symmetrizer,
            symmetrizer-sampled, symmetrizer-random, relaxed or rpp.
        q_function: Kind of both critics, see `models.q_function`: mlp, cnn, gcnn, relaxed or rpp.
        hidden_units: Widths of the hidden layers of actor and critics, at most 100 up to 16,384.
        match_parameters: Parameter budget of the actor, at most 10^8; `hidden_units` are then the
            proportions of its widths. None keeps `hidden_units`.
        match_q_function_parameters: The same for each critic.
        activation: Name of the Keras activation of all hidden layers, a pointwise one such as
            "tanh". None takes "relu".
        actor_learning_rate: Step size of Adam for the actor; None takes `learning_rate`.
        temperature_learning_rate: That for the temperature; None takes `learning_rate`.
        learn_temperature: Learn the temperature, so that the policy's entropy comes to
            `target_entropy`; otherwise it stays what it is at the start.
        initial_temperature: Alpha at the start, by which entropy weighs.
        target_entropy: In nats, of the action in units in which its box is [-1, 1]; None takes
            minus the number of the action's coordinates.
        augmentation: What is learned from: none, the transitions that were seen; random, an image
            of each under a random element of the environment's group.
        tau: Share of the trained critics that the target critics take over at each gradient step.
        buffer_size: Newest steps of a seed that are learned from, rounded down to whole steps of
            all environments; at most 2^23.
        batch_size: Transitions of a gradient step, drawn uniformly, with replacement.
        learning_starts: Environment steps of a seed before the first gradient step; until then
            actions are drawn uniformly from their box.
        train_every: Environment steps of a seed before each `gradient_steps`; a multiple of
            `num_environments` that divides the steps of an update.
        gradient_steps: Gradient steps after each `train_every` environment steps.
    """

    PRESETS = PRESETS

    total_timesteps: int = 20_000
    num_environments: int = 1
    rollout_steps: int = 100
    learning_rate: float = searched(3e-4, LogUniform(1e-4, 1e-2))
    adam_epsilon: float = searched(1e-8, LogUniform(1e-8, 1e-3))
    max_gradient_norm: float | None = None
    actor: str = "gcnn"
    q_function: str = "gcnn"
    hidden_units: tuple[int, ...] = (256, 256)
    match_parameters: int | None = None
    match_q_function_parameters: int | None = None
    activation: str | None = None
    actor_learning_rate: float | None = None
    temperature_learning_rate: float | None = None
    learn_temperature: bool = True
    initial_temperature: float = searched(1.0, LogUniform(1e-2, 1.0))
    target_entropy: float | None = None
    augmentation: str = "none"
    tau: float = searched(0.005, Choice((0.001, 0.005, 0.01, 0.02, 0.05)))
    buffer_size: int = searched(100_000, Choice((10_000, 50_000, 100_000)))
    batch_size: int = searched(256, Choice((64, 128, 256)))
    learning_starts: int = 1_000
    train_every: int = searched(1, Choice((1, 2, 4)))
    gradient_steps: int = searched(1, Choice((1, 2, 4)))

    def __post_init__(self):
        """Validates every field.

        Raises:
            ValueError: Naming the first field that breaks its rule.
        """
        super().__post_init__()
        self._check_hidden_units()
        self._check_choice("actor", ACTORS)
        self._check_choice("q_function", CONTINUOUS_Q_FUNCTION_KINDS)
        self._check_choice("augmentation", ("none", "random"))
        for field in ("match_parameters", "match_q_function_parameters"):
            self._check_budget(field)
        check_activation(self.activation)
        self.check_pictures()
        self.check_relaxation()
        for field in ("actor_learning_rate", "temperature_learning_rate"):
            if getattr(self, field) is not None:
                self._check_positive(field)
        self._check_bool("learn_temperature")
        self._check_positive("initial_temperature")
        if self.target_entropy is not None:
            self._check_real("target_entropy", "a finite number or None", math.isfinite)
        self._check_real("tau", "a number above 0 and at most 1", lambda x: 0 < x <= 1)
        for field in ("train_every", "gradient_steps"):
            self._check_integer(field)
        self.check_replay()
        if self.num_gradient_steps > MOST:
            self._reject(
                "total_timesteps",
                f"of at most {MOST:,} gradient steps, {self.gradient_steps:,} (gradient_steps) "
                f"after each {self.train_every:,} (train_every)",
            )

    def learner(
        self,
        env: BaseEnvironment,
        actor: keras.Model | None = None,
        q_function: keras.Model | None = None,
    ) -> SACLearner:
        """See `AgentConfig.learner`.

        Args:
            env: The environment.
            actor: Policy network, instead of the one that the config describes.
            q_function: Architecture of both critics, likewise.
        """
        from tf_equirl.agents.sac.learner import SACLearner
        from tf_equirl.agents.sac.networks import make_networks

        return SACLearner(env, self, *make_networks(env, self, actor, q_function))
