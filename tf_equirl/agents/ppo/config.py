"""The hyperparameters of a PPO run."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import keras

from tf_equirl._checks import optional_text
from tf_equirl.agents.ppo.presets import PRESETS
from tf_equirl.envs import BaseEnvironment
from tf_equirl.models import ACTOR_KINDS, CRITIC_KINDS, DEVIATIONS
from tf_equirl.models.inputs import check_activation
from tf_equirl.training.augmentation import AUGMENTATIONS
from tf_equirl.training.config import OnPolicyConfig
from tf_equirl.training.on_policy import make_networks
from tf_equirl.training.picture_config import PictureConfig
from tf_equirl.training.relaxation_config import RelaxationConfig
from tf_equirl.training.search_space import Choice, LogUniform, searched

if TYPE_CHECKING:
    from tf_equirl.agents.ppo.learner import PPOLearner


@dataclasses.dataclass(frozen=True)
class PPOConfig(RelaxationConfig, PictureConfig, OnPolicyConfig):
    """Hyperparameters of PPO (Schulman et al., 2017).

    The defaults are those of the thesis that this project started from ("Exploiting Symmetries
    With Equivariant Transition Models", University College London, 2023) for CartPole.

    They are validated on construction: a `ValueError` names the field, the rule and the value.

    Attributes:
        actor: Kind of policy network: mlp, cnn, gcnn, odd, symmetrizer, symmetrizer-sampled,
            symmetrizer-random, relaxed or rpp, see `models.actor`.
        critic: Kind of value network: mlp, cnn, invariant, relaxed or rpp, see `models.critic`.
        hidden_units: Widths of the hidden layers of both networks, at most 100 up to 16,384.
        match_parameters: Parameter budget of the actor, at most 10^8; `hidden_units` are then the
            proportions of its widths. None keeps `hidden_units`.
        match_critic_parameters: The same for the critic.
        actor_initializer: Name of the Keras initialiser of the actor's kernels, such as
            "he_normal". None takes that of its kind.
        activation: Name of the Keras activation of both networks' hidden layers, a pointwise one
            such as "tanh". None takes "relu", and "tanh" for an actor of the kind odd.
        standard_deviation: Of continuous actions: constant, trained and the same in every state, or
            state, an output of the policy network.
        total_timesteps: Environment steps per seed, rounded down to whole updates.
        num_environments: Environments that each seed steps side by side.
        rollout_steps: Steps per environment and update.
        num_epochs: Passes over the data of an update.
        num_minibatches: Gradient steps per pass; must divide the data of an update.
        learning_rate: Step size of Adam.
        anneal_learning_rate: Decrease the step size linearly to 0 over the run.
        adam_beta_1: Share of the old mean of gradients that Adam keeps at each step.
        adam_beta_2: The same for the mean of their squares.
        adam_epsilon: Added to the root of that mean, by which Adam divides.
        max_gradient_norm: Bound on the norm of one gradient over actor and critic together.
        discount: Gamma.
        normalize_observations: Give the networks an `InputNormalization`, whose mean and scale
            follow the observations of each seed.
        normalize_rewards: Learn from rewards divided by the standard deviation of discounted
            returns so far (Engstrom et al., 2020, section 3, code-level optimisation 2); reported
            are the environment's own.
        gae_lambda: Lambda of generalised advantage estimation (Schulman et al., 2016).
        clip_ratio: Bound on the change of the probability ratio (equation 7 of the PPO paper).
        clip_value: Bound on the change of the value prediction; 0 does not bound it.
        value_coefficient: Weight of the value loss, which is half the squared error.
        entropy_coefficient: Weight of the entropy bonus.
        augmentation: What is learned from: none, the transitions that were seen; random, an image
            of each under a random element of the environment's group; orbit, all its images, so
            that a gradient step has as many times the rows as the group has elements.
        consistency_coefficient: Weight of the loss of DrAC (Raileanu et al., 2021) by which policy
            and value at a random image of an observation follow those at the observation itself; 0
            leaves it out.
        normalize_advantages: Give the advantages of a minibatch mean 0 and standard deviation 1.
    """

    PRESETS = PRESETS

    actor: str = "gcnn"
    critic: str = "mlp"
    hidden_units: tuple[int, ...] = (64, 64)
    match_parameters: int | None = None
    match_critic_parameters: int | None = None
    actor_initializer: str | None = None
    activation: str | None = None
    standard_deviation: str = "constant"
    num_epochs: int = searched(4, Choice((1, 2, 4, 8, 16)))
    num_minibatches: int = searched(4, Choice((1, 2, 4, 8)))
    gae_lambda: float = searched(0.95, Choice((0.8, 0.9, 0.95, 0.98, 1.0)))
    clip_ratio: float = searched(0.2, Choice((0.1, 0.2, 0.3, 0.4)))
    clip_value: float = searched(0.2, Choice((0.1, 0.2, 0.5, 1.0, 10.0)))
    value_coefficient: float = searched(0.5, LogUniform(0.1, 2.0))
    entropy_coefficient: float = searched(0.01, LogUniform(1e-4, 0.1))
    augmentation: str = "none"
    consistency_coefficient: float = 0.0
    normalize_advantages: bool = True

    def __post_init__(self):
        """Validates every field.

        Raises:
            ValueError: Naming the first field that breaks its rule.
        """
        super().__post_init__()
        self._check_hidden_units()
        self._check_choice("actor", ACTOR_KINDS)
        self._check_choice("critic", CRITIC_KINDS)
        self._check_choice("standard_deviation", DEVIATIONS)
        self._check_choice("augmentation", AUGMENTATIONS)
        for field in ("num_epochs", "num_minibatches"):
            self._check_integer(field)
        self._check_bool("normalize_advantages")
        self.check_pictures()
        self.check_relaxation()
        for field in ("match_parameters", "match_critic_parameters"):
            self._check_budget(field)
        if self.actor_initializer is not None:
            optional_text("actor_initializer", self.actor_initializer)
            try:
                keras.initializers.get(self.actor_initializer)
            except Exception:  # several kinds, and none of them names the field
                self._reject("actor_initializer", "the name of a Keras initialiser")
        check_activation(self.activation, odd=self.actor == "odd")
        for field in (
            *("clip_value", "value_coefficient", "entropy_coefficient"),
            "consistency_coefficient",
        ):
            self._check_real(field, "a number of at least 0", lambda x: x >= 0)
        self._check_real("gae_lambda", "a number from 0 to 1", lambda x: 0 <= x <= 1)
        self._check_real("clip_ratio", "a number between 0 and 1", lambda x: 0 < x < 1)
        if self.batch_size % self.num_minibatches:
            self._reject(
                "num_minibatches",
                f"a divisor of num_environments * rollout_steps = {self.batch_size}",
            )
        if self.batch_size // self.num_minibatches < 2:
            self._reject(
                "num_minibatches",
                "at most half of num_environments * rollout_steps, as advantages are normalised "
                "within a minibatch",
            )

    @property
    def gradient_steps(self) -> int:
        """Gradient steps of one update."""
        return self.num_epochs * self.num_minibatches

    def networks(
        self,
        env: BaseEnvironment,
        actor: keras.Model | None = None,
        critic: keras.Model | None = None,
    ) -> tuple[keras.Model, keras.Model]:
        """The given actor and critic, checked; what is not given is built as the config describes.

        Raises:
            ValueError: If a network cannot be built or does not fit the environment.
        """
        for role, network in (("actor", actor), ("critic", critic)):
            if isinstance(network, str):  # a kind, which `make_networks` would take
                raise ValueError(f"{role} must be a Keras 3 model. Received: {role} of type str")
        return make_networks(
            env,
            self.actor if actor is None else actor,
            self.critic if critic is None else critic,
            self.hidden_units,
            self.match_parameters,
            self.match_critic_parameters,
            self.actor_initializer,
            self.activation,
            self.standard_deviation,
            self.normalize_observations,
            self.convolutions(),
            self.relaxation(),
        )

    def learner(
        self,
        env: BaseEnvironment,
        actor: keras.Model | None = None,
        critic: keras.Model | None = None,
    ) -> PPOLearner:
        """See `OnPolicyConfig.learner`.

        Raises:
            ImportError: If tf-agents is missing.
        """
        from tf_equirl.agents.ppo.learner import PPOLearner  # needs tf-agents

        return PPOLearner(env, self, *self.networks(env, actor, critic))
