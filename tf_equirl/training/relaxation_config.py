"""Hyperparameters of networks that may learn not to be equivariant."""

from __future__ import annotations

import dataclasses

from tf_equirl.layers.relaxed.relaxed import SIDES
from tf_equirl.models import Relaxation
from tf_equirl.training.config import Config


@dataclasses.dataclass(frozen=True, kw_only=True)
class RelaxationConfig(Config):
    """How an agent's networks of the kinds "relaxed" and "rpp" are relaxed.

    Attributes:
        relaxation_banks: Of relaxed networks, filter banks of each layer, at most the order of the
            group.
        relaxation_side: Of relaxed networks, output or input: whose elements have weights.
        relaxation_rate: Of relaxed networks, the learning rate of those weights, in units of that
            of all others.
        spread_penalty: Of relaxed networks, what the spread of those weights costs.
        spread_limit: Of relaxed networks, a spread that is allowed; the penalty's factor is learned
            then, by dual ascent. None is no limit.
        prior_scale: Of rpp, the scale of the free layers at the start.
        strict_decay: Of rpp, the factor of an L2 penalty on the kernels of equivariant layers.
        free_decay: Of rpp, that on the free layers.
    """

    relaxation_banks: int = 1
    relaxation_side: str = "output"
    relaxation_rate: float = 1.0
    spread_penalty: float = 0.0
    spread_limit: float | None = None
    prior_scale: float = 1e-3
    strict_decay: float = 0.0
    free_decay: float = 0.0

    def check_relaxation(self) -> None:
        """Validates the fields of this class.

        Raises:
            ValueError: Naming the first field that breaks its rule.
        """
        self._check_integer("relaxation_banks")
        self._check_choice("relaxation_side", SIDES)
        self._check_positive("relaxation_rate")
        found = self._relaxation()
        for field in dataclasses.fields(Relaxation):
            object.__setattr__(
                self, _FIELDS.get(field.name, field.name), getattr(found, field.name)
            )

    def relaxation(self) -> Relaxation | None:
        """What the fields describe; None where all are as by default."""
        found = self._relaxation()
        return None if found == Relaxation() else found

    def _relaxation(self) -> Relaxation:
        names = [field.name for field in dataclasses.fields(Relaxation)]
        return Relaxation(**{name: getattr(self, _FIELDS.get(name, name)) for name in names})


_FIELDS = {name: f"relaxation_{name}" for name in ("banks", "side", "rate")}
