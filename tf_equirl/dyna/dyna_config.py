"""The hyperparameters of Dyna."""

from __future__ import annotations

import dataclasses
import math
import numbers
from fractions import Fraction

from tf_equirl.agents.config import PPOConfig
from tf_equirl.dyna.config import TransitionModelConfig
from tf_equirl.dyna.replay import HELD_OUT
from tf_equirl.heads import Head, RealHead
from tf_equirl.models import TRANSITION_KINDS

ENVIRONMENT = "environment"
"""The model kind that is no model: planning in the environment itself."""
PLANNING_STARTS = ("reset", "buffer")
HIGH_ERROR = ("stop", "shrink")


@dataclasses.dataclass(frozen=True)
class DynaConfig(PPOConfig):
    """A `PPOConfig` with planning: the hyperparameters of `train_dyna`.

    PPO's fields mean what they mean in `PPOConfig`; planning uses the same ones. The run's updates
    are divided into `dyna_iterations` parts of equal length. After each the model is fitted to the
    replay buffer, and the policy is trained inside it (Sutton, "Dyna, an integrated architecture
    for learning, planning, and reacting", 1991).

    They are validated on construction: a `ValueError` names the field, the rule and the value.

    Attributes:
      planning_ratio: PPO updates in the model by update in the environment, fractions too; 0 is
        the model-free agent.
      dyna_iterations: how many times the model is fitted and planned in; at most one for every
        update.
      warmup_timesteps: environment steps before the first of them; a run that is shorter does not
        plan.
      planning_starts: where planned episodes start: "reset" draws the environment's own start
        states, "buffer" states of the replay buffer.
      model_rollout_steps: steps after which a planned episode is cut off and its rest estimated by
        the critic; None for the environment's own limit.
      max_policy_change: bound on the mean Kullback-Leibler divergence, in nats, from the policy
        before planning to the policy during it; an update that would exceed it is undone and ends
        the planning of its iteration. None does not bound it.
      max_model_error: bound on the model's error (the head's loss: mean square for real states,
        cross-entropy for categories) on held-out transitions; None does not bound it.
      high_error: what happens above that bound: "stop" does not plan, "shrink" plans as many
        updates less as the error is larger.
      max_disagreement: bound on how far the models of an ensemble disagree, see
        `Head.disagreement`; a planned episode is cut off where they disagree more. None does not
        bound it.
      ensemble_size: number of models of each seed; their mean is what is planned in.
      buffer_size: transitions that the replay buffer holds, rounded down to whole updates; the
        newest replace the oldest. None holds all of the run.
      augment: train the model on transitions that a random element of the group has moved.
      model_kind: kind of transition model: mlp, gcnn-proximal, gcnn-averaged or gcnn-readout, see
        `models.transition_model`; "environment" plans in the environment itself, a model without
        error. Nothing is fitted then, and what bounds or describes a model has no effect.
      model_hidden_units: widths of the model's hidden layers.
      model_match_parameters: parameter budget of the model; `model_hidden_units` are then the
        proportions of its widths.
      model_predict_change: whether the model predicts the state's change instead of the next
        state; None does so for states of real numbers.
      model_epochs: passes over the buffer at each fit; fractions too.
      max_model_steps: bound on the gradient steps of one fit; None does not bound them.
      model_batch_size: transitions of a gradient step.
      model_learning_rate: step size of the model's Adam, which goes on from fit to fit.
    """

    planning_ratio: float = 4.0
    dyna_iterations: int = 50
    warmup_timesteps: int = 0
    planning_starts: str = "reset"
    model_rollout_steps: int | None = None
    max_policy_change: float | None = None
    max_model_error: float | None = None
    high_error: str = "stop"
    max_disagreement: float | None = None
    ensemble_size: int = 1
    buffer_size: int | None = None
    augment: bool = False
    model_kind: str = "gcnn-readout"
    model_hidden_units: tuple[int, ...] = (64, 64)
    model_match_parameters: int | None = None
    model_predict_change: bool | None = None
    model_epochs: float = 10.0
    max_model_steps: int | None = 400
    model_batch_size: int = 256
    model_learning_rate: float = 1e-3

    def __post_init__(self):
        """Validates every field.

        Raises:
          ValueError: naming the first field that breaks its rule.
        """
        super().__post_init__()
        self._check_real("planning_ratio", "a number of at least 0", lambda x: x >= 0)
        self._check_integer("dyna_iterations")
        if self.dyna_iterations > self.num_updates:
            self._reject("dyna_iterations", f"at most the run's {self.num_updates} updates")
        value = self.warmup_timesteps
        if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 0:
            self._reject("warmup_timesteps", "an integer of at least 0")
        object.__setattr__(self, "warmup_timesteps", int(value))  # of a NumPy integer, too
        self._check_choice("planning_starts", PLANNING_STARTS)
        self._check_choice("high_error", HIGH_ERROR)
        for field in ("model_rollout_steps", "buffer_size", "max_model_steps"):
            if getattr(self, field) is not None:
                self._check_integer(field)
        if self.buffer_size is not None and self.buffer_size < self.batch_size:
            self._reject(
                "buffer_size",
                f"at least num_environments * rollout_steps = {self.batch_size}, the transitions "
                "of one update",
            )
        for field in ("max_policy_change", "max_model_error", "max_disagreement"):
            if getattr(self, field) is not None:
                self._check_real(field, "a number of at least 0", lambda x: x >= 0)
        self._check_integer("ensemble_size")
        if self.max_disagreement is not None and self.ensemble_size < 2:
            self._reject("max_disagreement", "None for an ensemble of one model (ensemble_size)")
        self._check_bool("augment")
        self._check_choice("model_kind", (*TRANSITION_KINDS, ENVIRONMENT))
        if self.model_predict_change is not None:
            self._check_bool("model_predict_change")
        self._check_positive("model_epochs")
        try:
            model = self.transition_model()
        except ValueError as error:  # the field names there have no prefix
            raise ValueError(f"of the transition model: {error}") from error
        for field in ("hidden_units", "match_parameters", "batch_size", "learning_rate"):
            object.__setattr__(self, f"model_{field}", getattr(model, field))
        if self.planning_ratio and self.model_kind != ENVIRONMENT and self.batch_size < HELD_OUT:
            self._reject(
                "rollout_steps",
                f"such that num_environments * rollout_steps is at least {HELD_OUT}: of so many "
                "transitions the model is measured on one",
            )

    def transition_model(self, head: Head | None = None) -> TransitionModelConfig:
        """The model and its optimiser, as `fit_transition_model` would have them.

        Args:
          head: the environment's, on which it depends what None for `model_predict_change` means.
        """
        chosen = self.model_predict_change
        return TransitionModelConfig(
            kind="mlp" if self.model_kind == ENVIRONMENT else self.model_kind,
            hidden_units=self.model_hidden_units,
            match_parameters=self.model_match_parameters,
            predict_change=isinstance(head, RealHead) if chosen is None else chosen,
            batch_size=self.model_batch_size,
            learning_rate=self.model_learning_rate,
        )

    @property
    def boundaries(self) -> tuple[int, ...]:
        """Updates made in the environment when each iteration's planning begins."""
        count = self.num_updates
        return tuple((i + 1) * count // self.dyna_iterations for i in range(self.dyna_iterations))

    def planned_updates(self, iteration: int) -> int:
        """PPO updates in the model in one iteration, from 0; none during the warm-up.

        Without a warm-up they add up to `planning_ratio` times the updates in the environment,
        rounded down.
        """
        end = self.boundaries[iteration]
        if end * self.batch_size < self.warmup_timesteps:
            return 0
        begin = self.boundaries[iteration - 1] if iteration else 0
        ratio = Fraction(str(self.planning_ratio))  # 0.29 is 29 / 100, not a little less
        return math.floor(ratio * end) - math.floor(ratio * begin)

    @property
    def capacity(self) -> int:
        """Transitions that the replay buffer has room for: a whole number of updates."""
        everything = self.num_updates * self.batch_size
        size = everything if self.buffer_size is None else min(self.buffer_size, everything)
        return size // self.batch_size * self.batch_size
