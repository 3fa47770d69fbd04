"""The hyperparameters of a DrQ-v2 run."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import tensorflow as tf

from tf_equirl._checks import MOST, integer
from tf_equirl.agents.dqn.exploration import epsilon_at
from tf_equirl.agents.drqv2.presets import PRESETS
from tf_equirl.envs import BaseEnvironment
from tf_equirl.models.on_encoder import ENCODER_KINDS, OnEncoder
from tf_equirl.models.widths import LARGEST_WIDTH
from tf_equirl.training.picture_config import PictureConfig
from tf_equirl.training.relaxation_config import RelaxationConfig
from tf_equirl.training.replay_config import ReplayConfig
from tf_equirl.training.search_space import Choice, LogUniform, searched

if TYPE_CHECKING:
    from tf_equirl.agents.drqv2.learner import DrQv2Learner

_LONGEST_WINDOW = 1000
_MOST_SHIFT = 64


@dataclasses.dataclass(frozen=True)
class DrQv2Config(ReplayConfig, PictureConfig, RelaxationConfig):
    """Hyperparameters of DrQ-v2 (Yarats et al., 2021, arXiv 2107.09645).

    A seed makes `train_every` environment steps, then `gradient_steps` gradient steps, and so on;
    an update, after which numbers are reported, is `num_environments * rollout_steps` environment
    steps and what is learned between them. An environment step is a step of the agent, whatever
    number of control steps its action is held for.

    The defaults are of a size that two cores can train; the published one is the preset
    "published". Convolutions are those of the published encoder, but that each pair of a window of
    3 and max-pooling by 2 is one window of 4 with a stride of 2 here, which sees the same pixels
    and makes a picture of the same size: of 45 pixels 22, 10, 4 and 2.

    They are validated on construction: a `ValueError` names the field, the rule and the value.

    Attributes:
        total_timesteps: Environment steps per seed, rounded down to whole updates.
        num_environments: Environments that each seed steps side by side.
        rollout_steps: Steps per environment and update.
        learning_rate: Step size of Adam, for all three networks.
        anneal_learning_rate: Decrease the step size linearly to 0 over the run.
        adam_beta_1: Share of the old mean of gradients that Adam keeps at each step.
        adam_beta_2: The same for the mean of their squares.
        adam_epsilon: Added to the root of that mean, by which Adam divides.
        max_gradient_norm: Bound on the norm of one gradient: of the actor, of encoder and critic
            together; None does not bound it.
        discount: Gamma, by environment step.
        networks: Kind of encoder, actor and critic: cnn, gcnn, relaxed or rpp, see `on_encoder` in
            `models/on_encoder.py`.
        features: Width of the trunks of actor and critic, for each element of the group.
        hidden_units: Widths of the hidden layers of the actor and of each of the critic's two
            values, at most 100 up to 16,384.
        match_parameters: Parameter budget of all networks together, at most 10^8; `filters`,
            `features` and `hidden_units` are then the proportions of widths. None keeps them.
        n_steps: Rewards of so many steps are summed before a value is bootstrapped, at most 1,000;
            windows end with their episode.
        tau: Share of the trained critic that the target critic takes over at each gradient step.
        deviation_start: Standard deviation of the noise of actions at the start, in units in which
            their box is [-1, 1].
        deviation_end: That to which it decreases, linearly.
        deviation_steps: Environment steps of a seed until then.
        noise_clip: Bound on the noise of actions that are learned by.
        shift: Pictures that are learned from are shifted by up to so many pixels along both axes,
            at most 64; 0 shifts none.
        buffer_size: Newest steps of a seed that are learned from, rounded down to whole steps of
            all environments; at most 2^23.
        batch_size: Windows of a gradient step, drawn uniformly, with replacement.
        learning_starts: Environment steps of a seed before the first gradient step; until then
            actions are drawn uniformly from their box.
        train_every: Environment steps of a seed before each `gradient_steps`; a multiple of
            `num_environments` that divides the steps of an update.
        gradient_steps: Gradient steps after each `train_every` environment steps.
    """

    PRESETS = PRESETS

    total_timesteps: int = 50_000
    num_environments: int = 1
    rollout_steps: int = 100
    learning_rate: float = searched(1e-4, LogUniform(3e-5, 3e-3))
    adam_epsilon: float = searched(1e-8, LogUniform(1e-8, 1e-3))
    max_gradient_norm: float | None = None
    networks: str = "gcnn"
    features: int = 50
    hidden_units: tuple[int, ...] = (128, 128)
    match_parameters: int | None = None
    n_steps: int = searched(3, Choice((1, 2, 3, 5)))
    tau: float = searched(0.01, Choice((0.005, 0.01, 0.02, 0.05)))
    deviation_start: float = 1.0
    deviation_end: float = searched(0.1, Choice((0.05, 0.1, 0.2)))
    deviation_steps: int = searched(20_000, Choice((5_000, 10_000, 20_000, 50_000)))
    noise_clip: float = 0.3
    shift: int = searched(4, Choice((0, 1, 2, 4)))
    buffer_size: int = searched(50_000, Choice((10_000, 50_000, 100_000)))
    batch_size: int = searched(64, Choice((32, 64, 128, 256)))
    learning_starts: int = 2_000
    train_every: int = searched(2, Choice((1, 2, 4)))
    gradient_steps: int = searched(1, Choice((1, 2, 4)))
    filters: tuple[int, ...] = (16, 16, 16, 16)
    kernel_sizes: tuple[int, ...] = (3, 4, 4, 3)
    strides: tuple[int, ...] = (2, 2, 2, 1)
    padding: str = "valid"

    def __post_init__(self):
        """Validates every field.

        Raises:
            ValueError: Naming the first field that breaks its rule.
        """
        super().__post_init__()
        self._check_hidden_units()
        self._check_choice("networks", ENCODER_KINDS)
        self._check_integer("features", LARGEST_WIDTH)
        self._check_budget("match_parameters")
        self.check_pictures()
        self.check_relaxation()
        self._check_integer("n_steps", _LONGEST_WINDOW)
        self._check_real("tau", "a number above 0 and at most 1", lambda x: 0 < x <= 1)
        for field in ("deviation_start", "deviation_end", "noise_clip"):
            self._check_real(
                field, "a finite number of at least 0", lambda x: 0 <= x < float("inf")
            )
        if self.deviation_end > self.deviation_start:
            self._reject("deviation_end", f"at most deviation_start = {self.deviation_start}")
        for field in ("train_every", "gradient_steps", "deviation_steps"):
            self._check_integer(field)
        rule = f"an integer from 0 to {_MOST_SHIFT}"
        self._set("shift", integer, 0, _MOST_SHIFT, rule)
        self.check_replay(self.n_steps)
        if self.num_gradient_steps > MOST:
            self._reject(
                "total_timesteps",
                f"of at most {MOST:,} gradient steps, {self.gradient_steps:,} (gradient_steps) "
                f"after each {self.train_every:,} (train_every)",
            )

    def deviation(self, timestep: int) -> float:
        """The standard deviation of noise after so many environment steps of a seed."""
        schedule = self.deviation_start, self.deviation_end, self.deviation_steps, timestep
        return float(epsilon_at("linear", *(tf.constant(x, tf.float32) for x in schedule)))

    def learner(self, env: BaseEnvironment, networks: OnEncoder | None = None) -> DrQv2Learner:
        """See `AgentConfig.learner`.

        Args:
            env: The environment.
            networks: Encoder, actor and critic, instead of those that the config describes.
        """
        from tf_equirl.agents.drqv2.learner import DrQv2Learner
        from tf_equirl.agents.drqv2.networks import make_networks

        return DrQv2Learner(env, self, make_networks(env, self) if networks is None else networks)
