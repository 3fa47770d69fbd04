"""How the layers of a network are relaxed: the kinds "relaxed" and "rpp"."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras

from tf_equirl._checks import instance, number, one_of, positive_integer, refuse
from tf_equirl.layers import (
    EquivariantLinear,
    EquivariantReadout,
    GroupConv2D,
    GroupDense,
    LiftingConv2D,
    LiftingDense,
    RelaxedGroupConv2D,
    RelaxedGroupDense,
    RelaxedLiftingConv2D,
    RelaxedLiftingDense,
    RelaxedReadout,
    ResidualPathway,
)
from tf_equirl.layers.relaxed.relaxed import SIDES, checked_numbers

RELAXED_KINDS = ("relaxed", "rpp")
"""Kinds of networks that begin equivariant and may learn by how much not to be."""

_RELAXED: dict[type[EquivariantLinear], Callable[..., Any]] = {
    LiftingDense: RelaxedLiftingDense,
    GroupDense: RelaxedGroupDense,
    EquivariantReadout: RelaxedReadout,
    LiftingConv2D: RelaxedLiftingConv2D,
    GroupConv2D: RelaxedGroupConv2D,
}

Make = Callable[..., Any]
"""Makes a layer of a strict class, with its arguments: that layer, or what stands for it."""


@dataclasses.dataclass(frozen=True)
class Relaxation:
    """How the layers of a network of the kind "relaxed" or "rpp" differ from strict ones.

    Attributes:
        banks: Of "relaxed", filter banks of each layer, at most the order of the group. 1 is that
            of the published experiments (Park et al., 2025, appendix D.1.1).
        side: Of "relaxed", "output" or "input": whose elements have weights, see `GroupDense`'s
            relaxed form.
        rate: Of "relaxed", how many times as fast the relaxation's weights move as others, under
            Adam: their learning rate in units of the others'.
        spread_penalty: Of "relaxed", what the spread of those weights costs, see `Relaxed`.
        spread_limit: Of "relaxed", a spread that is allowed; the penalty's factor is learned then.
        prior_scale: Of "rpp", the scale of the free parts at the start.
        strict_decay: Of "rpp", the factor of an L2 penalty on the kernels of the equivariant parts.
        free_decay: Of "rpp", that on the free parts. (Finzi et al., 2021, have 1e-6 for both.)

    Raises:
        ValueError: Naming the field that breaks its rule.
    """

    banks: int = 1
    side: str = "output"
    rate: float = 1.0
    spread_penalty: float = 0.0
    spread_limit: float | None = None
    prior_scale: float = 1e-3
    strict_decay: float = 0.0
    free_decay: float = 0.0

    def __post_init__(self) -> None:
        """Checks the fields."""

        def keep(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        keep("banks", positive_integer("banks", self.banks))
        one_of("side", self.side, SIDES)
        names = "rate", "spread_penalty", "spread_limit"
        checked = checked_numbers(self.rate, self.spread_penalty, self.spread_limit)
        for name, value in zip(names, checked, strict=True):
            keep(name, value)
        for name in ("prior_scale", "strict_decay", "free_decay"):
            rule = "a number of at least 0"
            keep(name, number(name, getattr(self, name), rule, lambda x: x >= 0))


def maker(kind: str, relaxation: Relaxation | None, order: int) -> Make:
    """What makes the layers of a network.

    Args:
        kind: Of the network; but for "relaxed" and "rpp" its layers are strict ones.
        relaxation: How those are relaxed; None for the defaults.
        order: Elements of the group.

    Raises:
        ValueError: If `relaxation` is no `Relaxation`, or has more banks than there are elements.
    """
    if relaxation is not None:
        instance("relaxation", relaxation, Relaxation, "a models.Relaxation or None")
    options = relaxation or Relaxation()
    if kind == "relaxed" and options.banks > order:
        rule = f"of at most {order} banks (a config's relaxation_banks), the order of the group"
        refuse("relaxation", rule, relaxation)

    def relaxed(layer: type[EquivariantLinear], *arguments: Any, **kwargs: Any) -> Any:
        if layer in (GroupDense, GroupConv2D):  # the others have elements on one side only
            kwargs["side"] = options.side
        for name in ("banks", "rate", "spread_penalty", "spread_limit"):
            kwargs[name] = getattr(options, name)
        return _RELAXED[layer](*arguments, **kwargs)

    def pathway(layer: type[EquivariantLinear], *arguments: Any, **kwargs: Any) -> Any:
        if options.strict_decay:
            kwargs["kernel_regularizer"] = keras.regularizers.L2(options.strict_decay)
        free = keras.regularizers.L2(options.free_decay) if options.free_decay else None
        return ResidualPathway(layer(*arguments, **kwargs), options.prior_scale, free)

    return {"relaxed": relaxed, "rpp": pathway}.get(kind, _strict)


def _strict(layer: type[EquivariantLinear], *arguments: Any, **kwargs: Any) -> Any:
    return layer(*arguments, **kwargs)
