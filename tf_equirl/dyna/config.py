"""The hyperparameters of Dyna."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from tf_equirl._checks import instance, integer, one_of, within
from tf_equirl.agents.ppo.config import PPOConfig
from tf_equirl.dyna.presets import PRESETS
from tf_equirl.dynamics.config import TransitionModelConfig
from tf_equirl.models import TRANSITION_KINDS
from tf_equirl.training.config import MOST_TIMESTEPS, Config, OnPolicyConfig
from tf_equirl.training.replay import HELD_OUT
from tf_equirl.training.search_space import Choice, searched

PLANNING_STARTS = ("reset", "buffer")
HIGH_ERROR = ("stop", "shrink")
_MODEL = TransitionModelConfig(hidden_units=(64, 64), learning_rate=1e-3, predict_change=None)
# What a fit to the replay buffer has in the place of a whole run's: see `model_epochs`.
_NOT_OF_DYNA = ("num_epochs", "anneal_learning_rate")
# The kind that is no model; only flags and sweeps call it so.
_ENVIRONMENT = "environment"


@dataclasses.dataclass(frozen=True)
class DynaConfig(Config):
    """The hyperparameters of `train_dyna`: an agent, a transition model, and the planning.

    The run's updates are divided into `dyna_iterations` parts of equal length. After each the model
    is fitted to the replay buffer, and the policy is trained inside it, with the agent's own
    hyperparameters (Sutton, "Dyna, an integrated architecture for learning, planning, and
    reacting", 1991).

    They are validated on construction: a `ValueError` names the field, the rule and the value.

    Attributes:
        agent: Hyperparameters of the agent, of any that learns from rollouts of its own policy.
        model: The transition model and its optimiser, which goes on from fit to fit; its
            `predict_change` may be None, which predicts changes of states of real numbers, and
            `num_epochs` and `anneal_learning_rate` must be the defaults, see `model_epochs`. None
            plans in the environment itself, a model without error; nothing is fitted then, and what
            bounds or describes a model has no effect.
        planning_ratio: Updates in the model by update in the environment, fractions too; 0 is the
            model-free agent.
        dyna_iterations: How many times the model is fitted and planned in; at most one for every
            update.
        warmup_timesteps: Environment steps before the first of them; a run that is shorter does not
            plan.
        planning_starts: Where planned episodes start: "reset" draws the environment's own start
            states, "buffer" states of the replay buffer.
        model_rollout_steps: Steps after which a planned episode is cut off and its rest estimated
            by the critic; None for the environment's own limit.
        max_policy_change: Bound on the mean Kullback-Leibler divergence, in nats, from the policy
            before planning to the policy during it; an update that would exceed it is undone and
            ends the planning of its iteration. None does not bound it.
        max_model_error: Bound on the model's error (the head's loss: mean square for real states,
            cross-entropy for categories) on held-out transitions; None does not bound it. That
            error is optimistic, as held-out transitions are neighbours in time of those that were
            fitted, and where states are few often equal to them: see "The held-out error is
            optimistic" in docs/dyna.md.
        high_error: What happens above that bound: "stop" does not plan, "shrink" plans as many
            updates less as the error is larger.
        max_disagreement: Bound on how far the models of an ensemble disagree, see
            `Head.disagreement`; a planned episode is cut off where they disagree more. None does
            not bound it.
        ensemble_size: Number of models of each seed; their mean is what is planned in.
        buffer_size: Transitions that the replay buffer holds, rounded down to whole updates; the
            newest replace the oldest. None holds all of the run.
        augment: Train the model on transitions that a random element of the group has moved.
        model_epochs: Passes over the buffer at each fit; fractions too.
        max_model_steps: Bound on the gradient steps of one fit; None does not bound them.
    """

    PRESETS = PRESETS

    agent: OnPolicyConfig = PPOConfig()
    model: TransitionModelConfig | None = _MODEL
    planning_ratio: float = searched(4.0, Choice((1.0, 2.0, 4.0, 8.0)))
    dyna_iterations: int = searched(50, Choice((10, 20, 50)))
    warmup_timesteps: int = 0
    planning_starts: str = searched("reset", Choice(PLANNING_STARTS))
    model_rollout_steps: int | None = None
    max_policy_change: float | None = None
    max_model_error: float | None = None
    high_error: str = "stop"
    max_disagreement: float | None = None
    ensemble_size: int = 1
    buffer_size: int | None = None
    augment: bool = False
    model_epochs: float = 10.0
    max_model_steps: int | None = 400

    def __post_init__(self):
        """Validates every field.

        Raises:
            ValueError: Naming the first field that breaks its rule.
        """
        instance("agent", self.agent, OnPolicyConfig, "a PPOConfig or another OnPolicyConfig")
        if self.model is not None:
            rule = "a TransitionModelConfig or None"
            instance("model", self.model, TransitionModelConfig, rule)
        for field in _NOT_OF_DYNA if self.model is not None else ():
            if getattr(self.model, field) != getattr(_MODEL, field):
                self._reject(
                    "model", f"of the default {field}, as model_epochs says how it is fitted"
                )
        self._check_real("planning_ratio", "a number of at least 0", lambda x: x >= 0)
        self._check_integer("dyna_iterations")
        if self.dyna_iterations > self.agent.num_updates:
            self._reject("dyna_iterations", f"at most the run's {self.agent.num_updates} updates")
        self._set("warmup_timesteps", integer, 0, MOST_TIMESTEPS, "an integer of at least 0")
        self._check_choice("planning_starts", PLANNING_STARTS)
        self._check_choice("high_error", HIGH_ERROR)
        for field in ("model_rollout_steps", "buffer_size", "max_model_steps"):
            if getattr(self, field) is not None:
                self._check_integer(field)
        size = self.agent.batch_size
        if self.buffer_size is not None and self.buffer_size < size:
            self._reject(
                "buffer_size",
                f"at least num_environments * rollout_steps = {size}, the transitions of one "
                "update",
            )
        for field in ("max_policy_change", "max_model_error", "max_disagreement"):
            if getattr(self, field) is not None:
                self._check_real(field, "a number of at least 0", lambda x: x >= 0)
        self._check_integer("ensemble_size")
        if self.max_disagreement is not None and self.ensemble_size < 2:
            self._reject("max_disagreement", "None for an ensemble of one model (ensemble_size)")
        self._check_bool("augment")
        self._check_positive("model_epochs")
        if self.planning_ratio and self.model is not None and size < HELD_OUT:
            self._reject(
                "agent",
                f"such that num_environments * rollout_steps is at least {HELD_OUT}: of so many "
                "transitions the model is measured on one",
            )

    @property
    def boundaries(self) -> tuple[int, ...]:
        """Updates made in the environment when each iteration's planning begins."""
        count = self.agent.num_updates
        return tuple((i + 1) * count // self.dyna_iterations for i in range(self.dyna_iterations))

    def planned_updates(self, iteration: int) -> int:
        """Updates in the model in one iteration, from 0; none during the warm-up.

        Without a warm-up they add up to `planning_ratio` times the updates in the environment,
        rounded down.
        """
        end = self.boundaries[iteration]
        if end * self.agent.batch_size < self.warmup_timesteps:
            return 0
        begin = self.boundaries[iteration - 1] if iteration else 0
        ratio = Fraction(str(self.planning_ratio))  # 0.29 is 29 / 100, not a little less
        return math.floor(ratio * end) - math.floor(ratio * begin)

    @property
    def capacity(self) -> int:
        """Transitions that the replay buffer has room for: a whole number of updates."""
        everything = self.agent.num_updates * self.agent.batch_size
        size = everything if self.buffer_size is None else min(self.buffer_size, everything)
        return size // self.agent.batch_size * self.agent.batch_size

    def flat(self) -> dict[str, Any]:
        """The hyperparameters by one name each, as flags and sweeps call them.

        Those of the agent keep their names, those of the model begin with `model_`; `model_kind` is
        "environment" where planning is done in the environment itself. What else a
        `TransitionModelConfig` has, such as `selection`, has no flag and is not among them.
        """
        own = _fields(self)
        agent, model = own.pop("agent"), own.pop("model")
        described = {f"model_{k}": getattr(model or _MODEL, k) for k in _model_fields()}
        if model is None:
            described["model_kind"] = _ENVIRONMENT
        return {**_fields(agent), **own, **described}

    @classmethod
    def preset(cls, name: str, **changes: Any) -> DynaConfig:
        """A config with a name; docs/tuning.md says which there are and where they come from.

        Args:
            name: One of `PRESETS`.
            **changes: Hyperparameters of other values, named as in `flat`.

        Raises:
            ValueError: If there is none of this name, or a change breaks its rule.
        """
        one_of("name", name, cls.PRESETS)
        return cls.from_flat(**{**cls.PRESETS[name], **changes})

    @classmethod
    def from_flat(cls, **fields: Any) -> DynaConfig:
        """The config with these hyperparameters, named as in `flat`; defaults for the others.

        The agent is PPO.

        Raises:
            ValueError: For a name that does not exist, or a value that breaks its rule.
        """
        unknown = sorted(set(fields) - set(DynaConfig().flat()))
        if unknown:
            raise ValueError(f"`fields` must be hyperparameters of Dyna. Received also: {unknown}")
        of_model = {k: fields.pop(f"model_{k}") for k in _model_fields() if f"model_{k}" in fields}
        of_agent = {k: fields.pop(k) for k in _fields(PPOConfig()) if k in fields}
        kinds = (*TRANSITION_KINDS, _ENVIRONMENT)
        kind = of_model.get("kind", _MODEL.kind)
        one_of("model_kind", kind, kinds)
        no_model = kind == _ENVIRONMENT
        if no_model:
            del of_model["kind"]
        try:
            model = dataclasses.replace(_MODEL, **of_model)
        except ValueError as error:  # the field names there have no prefix
            prefixed = str(error).replace("`", "`model_", 1)
            raise ValueError(f"of the transition model: {prefixed}") from error
        return cls(PPOConfig(**of_agent), None if no_model else model, **fields)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> DynaConfig:
        """See `Config.from_json`."""
        instance("fields", fields, Mapping, "a dict of the fields of DynaConfig")
        with within("agent"):
            agent = PPOConfig.from_json(fields.get("agent", {}))
        model = fields.get("model", _MODEL.to_json())
        if model is not None:
            with within("model"):
                model = TransitionModelConfig.from_json(model)
        return super().from_json({**fields, "agent": agent, "model": model})


def _fields(config: Config) -> dict[str, Any]:
    return {f.name: getattr(config, f.name) for f in dataclasses.fields(config)}  # type: ignore[arg-type]


def _model_fields() -> list[str]:
    """The fields of a model's config that flags and sweeps of Dyna have."""
    return [
        "kind",
        "hidden_units",
        "match_parameters",
        "predict_change",
        "batch_size",
        "learning_rate",
    ]
