"""Ways to break the symmetry of an environment, by degrees.

The kinds are those of Park et al., "Approximate equivariance in reinforcement learning" (2025),
section 5 and appendix D; that they are given a strength is ours.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import tensorflow as tf

from tf_equirl._checks import number, one_of

BREAKINGS = ("none", "gain", "gravity", "reflect", "repeat")
"""Kinds of breaking."""


class Breaking(NamedTuple):
    """A kind of breaking and its strength kappa; none has strength 0, published ones 1.

    gain: what pushes in the positive direction is 1 + kappa times as strong.
    gravity: it has a horizontal part too, kappa times the published one.
    reflect: in a region the action counts 1 - 2 kappa times: at 1 it is reversed.
    repeat: in a region the action is applied for kappa further control steps, within one step
        of the environment, whose reward is the mean over time.
    """

    kind: str
    kappa: float

    @property
    def tilt(self) -> float:
        """How many times the published horizontal part gravity has."""
        return self.kappa if self.kind == "gravity" else 0.0

    def applied(self, action: tf.Tensor, inside: tf.Tensor) -> tf.Tensor:
        """What an action amounts to.

        Args:
            action: Signed, of any shape.
            inside: Whether the state is in the region, of a shape that broadcasts to it.
        """
        if self.kind == "gain":
            return tf.where(action > 0, (1 + self.kappa) * action, action)
        if self.kind == "reflect":
            return tf.where(inside, (1 - 2 * self.kappa) * action, action)
        return action

    def repeats(self) -> list[float]:
        """Lengths, in control steps, of the steps for which an action is applied again.

        None is longer than one. They add up to kappa.
        """
        if self.kind != "repeat":
            return []
        count = math.ceil(self.kappa)
        return [self.kappa / count] * count


def checked_breaking(
    breaking: str, kappa: float, kinds: tuple[str, ...] = BREAKINGS, most: float = 100.0
) -> Breaking:
    """The breaking that two arguments of an environment name; strength 0 is none.

    Args:
        breaking: One of `kinds`.
        kappa: Its strength.
        kinds: Those that the environment has.
        most: The largest strength that it may have.

    Raises:
        ValueError: If an argument is not one of those.
    """
    one_of("breaking", breaking, kinds)
    rule = f"a number from 0 (not broken) to {most:g}; 1 is the published strength"
    strength = number("kappa", kappa, rule, lambda x: 0 <= x <= most)
    return (
        Breaking(breaking, strength) if strength and breaking != "none" else Breaking("none", 0.0)
    )
