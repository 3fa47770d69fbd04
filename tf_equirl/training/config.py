"""The base classes of hyperparameters: validation of fields, JSON, and what agents share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from tf_equirl._checks import (
    LARGEST_BATCH,
    MOST,
    flag,
    instance,
    number,
    one_of,
    positive_integer,
    refuse,
    shown,
)
from tf_equirl.envs import BaseEnvironment
from tf_equirl.models.widths import check_budget, check_hidden_units
from tf_equirl.training.search_space import Choice, LogUniform, searched

if TYPE_CHECKING:
    import keras

    from tf_equirl.training.learner import Learner
    from tf_equirl.training.on_policy import OnPolicyLearner

MOST_TIMESTEPS = 2**53
"""The most environment steps of a run: up to here a float holds every number of steps."""

_Config = TypeVar("_Config", bound="Config")


class Config:
    """Base class of frozen dataclasses whose fields are validated on construction.

    Every message names the field, the rule and the value.
    """

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Configs with names, by the fields in which they differ from the defaults."""

    @classmethod
    def preset(cls: type[_Config], name: str, **changes: Any) -> _Config:
        """A config with a name; docs/tuning.md says which there are and where they come from.

        Args:
            name: One of `PRESETS`.
            **changes: Fields of other values.

        Raises:
            ValueError: If there is none of this name, or a change breaks a field's rule.
        """
        if not cls.PRESETS:
            raise ValueError(f"{cls.__name__} has no presets. Received: name={shown(name)}")
        one_of("name", name, cls.PRESETS)
        fields = cls.from_json(cls.PRESETS[name])
        return dataclasses.replace(fields, **changes)  # type: ignore[type-var]

    def to_json(self) -> dict[str, Any]:
        """The fields as plain JSON types."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}  # type: ignore[arg-type]
        return {name: _plain(value) for name, value in fields.items()}

    @classmethod
    def from_json(cls: type[_Config], fields: Mapping[str, Any]) -> _Config:
        """The config that `to_json` described.

        Raises:
            ValueError: For a field that does not exist, or one that breaks its rule.
        """
        instance("fields", fields, Mapping, f"a dict of the fields of {cls.__name__}")
        known = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
        unknown = sorted(set(fields) - known, key=shown)
        if unknown:
            raise ValueError(
                f"`fields` must be those of {cls.__name__}. Received also: {shown(unknown)}"
            )
        return cls(**fields)

    def _reject(self, field: str, rule: str) -> None:
        refuse(field, rule, getattr(self, field))

    def _set(self, field: str, check: Callable[..., Any], *rules: Any) -> None:
        """Replaces a field by what a check of `_checks` makes of it, of NumPy's types Python's."""
        object.__setattr__(self, field, check(field, getattr(self, field), *rules))

    def _check_choice(self, field: str, choices: Sequence[str]) -> None:
        self._set(field, one_of, choices)

    def _check_bool(self, field: str) -> None:
        self._set(field, flag)

    def _check_integer(self, field: str, most: int = MOST) -> None:
        self._set(field, positive_integer, most)

    def _check_real(self, field: str, rule: str, holds: Callable[[float], bool]) -> None:
        self._set(field, number, rule, holds)

    def _check_positive(self, *fields: str) -> None:
        for field in fields:
            self._check_real(field, "a positive number", lambda x: x > 0)

    def _check_adam(self) -> None:
        """Of the fields `learning_rate`, `adam_beta_1`, `adam_beta_2`, `adam_epsilon`."""
        self._check_positive("learning_rate", "adam_epsilon")
        for field in ("adam_beta_1", "adam_beta_2"):
            self._check_real(field, "a number from 0 to 1, 1 excluded", lambda x: 0 <= x < 1)

    def _check_hidden_units(self) -> None:
        self._set("hidden_units", lambda _, units: check_hidden_units(units))

    def _check_budget(self, field: str) -> None:
        self._set(field, lambda name, value: check_budget(value, name))


def field_text(value: Any) -> str:
    """A field's value as a flag takes it: "0.5", "4" for 4.0, "true", "none"."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Config):
        return value.to_json()
    return list(value) if isinstance(value, tuple) else value


@dataclasses.dataclass(frozen=True)
class AgentConfig(Config):
    """Base class of the hyperparameters of agents.

    They are validated on construction: a `ValueError` names the field, the rule and the value.

    Attributes:
        total_timesteps: Environment steps per seed, rounded down to whole updates.
        num_environments: Environments that each seed steps side by side, at most 2^20.
        rollout_steps: Steps per environment and update.
        learning_rate: Step size of Adam.
        anneal_learning_rate: Decrease the step size linearly to 0 over the run.
        adam_beta_1: Share of the old mean of gradients that Adam keeps at each step.
        adam_beta_2: The same for the mean of their squares.
        adam_epsilon: Added to the root of that mean, by which Adam divides.
        max_gradient_norm: Bound on the norm of one gradient over all networks together; None does
            not bound it.
        discount: Gamma.
    """

    total_timesteps: int = 500_000
    num_environments: int = 4
    rollout_steps: int = 128
    learning_rate: float = searched(3.5e-4, LogUniform(1e-4, 3e-2))
    anneal_learning_rate: bool = searched(False, Choice((False, True)))
    adam_beta_1: float = searched(0.9, Choice((0.0, 0.5, 0.9, 0.95)))
    adam_beta_2: float = searched(0.999, Choice((0.9, 0.99, 0.999)))
    adam_epsilon: float = searched(1e-5, LogUniform(1e-8, 1e-3))
    max_gradient_norm: float | None = searched(0.5, LogUniform(0.1, 10.0))
    discount: float = searched(0.99, Choice((0.95, 0.98, 0.99, 0.995, 0.999)))

    def __post_init__(self):
        """Validates every field.

        Raises:
            ValueError: Naming the first field that breaks its rule.
        """
        self._check_integer("total_timesteps", MOST_TIMESTEPS)
        self._check_integer("num_environments", LARGEST_BATCH)
        self._check_integer("rollout_steps")
        self._check_bool("anneal_learning_rate")
        self._check_adam()
        if self.max_gradient_norm is not None:
            self._check_positive("max_gradient_norm")
        self._check_real("discount", "a number from 0 to 1", lambda x: 0 <= x <= 1)
        if self.total_timesteps < self.update_timesteps:
            self._reject(
                "total_timesteps",
                "at least one update of num_environments * rollout_steps = "
                f"{self.update_timesteps:,} steps",
            )

    @property
    def update_timesteps(self) -> int:
        """Environment steps of a seed in one update."""
        return self.num_environments * self.rollout_steps

    @property
    def num_updates(self) -> int:
        """Updates in the whole run."""
        return self.total_timesteps // self.update_timesteps

    @property
    def num_gradient_steps(self) -> int:
        """Gradient steps of a seed in the whole run; one for each update, unless an algorithm says
        otherwise.
        """
        return self.num_updates

    def learner(self, env: BaseEnvironment) -> Learner:
        """The learner that this config describes.

        Args:
            env: The environment.

        Raises:
            ValueError: If a network does not fit the environment.
        """
        raise NotImplementedError(f"{type(self).__name__} describes no learner")


@dataclasses.dataclass(frozen=True)
class OnPolicyConfig(AgentConfig):
    """Base class of the hyperparameters of agents that learn from rollouts of their own policy.

    They are validated on construction: a `ValueError` names the field, the rule and the value.

    Attributes:
        max_gradient_norm: Bound on the norm of one gradient over all networks together.
        normalize_observations: Give networks that are made for a run an `InputNormalization`, whose
            mean and scale follow the observations of each seed.
        normalize_rewards: Learn from rewards divided by the standard deviation of discounted
            returns so far (Engstrom et al., 2020, section 3, code-level optimisation 2); reported
            are the environment's own.
    """

    max_gradient_norm: float = searched(0.5, LogUniform(0.1, 10.0))
    normalize_observations: bool = False
    normalize_rewards: bool = False

    def __post_init__(self):
        """Validates every field.

        Raises:
            ValueError: Naming the first field that breaks its rule.
        """
        super().__post_init__()
        self._check_positive("max_gradient_norm")
        for field in ("normalize_observations", "normalize_rewards"):
            self._check_bool(field)

    @property
    def batch_size(self) -> int:
        """Transitions per seed and update."""
        return self.update_timesteps

    @property
    def gradient_steps(self) -> int:
        """Gradient steps of one update; one, unless an algorithm makes more."""
        return 1

    @property
    def num_gradient_steps(self) -> int:
        """See `AgentConfig.num_gradient_steps`."""
        return self.num_updates * self.gradient_steps

    def learner(
        self,
        env: BaseEnvironment,
        actor: keras.Model | None = None,
        critic: keras.Model | None = None,
    ) -> OnPolicyLearner:
        """The learner that this config describes.

        Args:
            env: The environment.
            actor: Policy network, instead of the one that the config describes.
            critic: Value network, likewise.

        Raises:
            ValueError: If a network does not fit the environment.
        """
        raise NotImplementedError(f"{type(self).__name__} describes no learner")
