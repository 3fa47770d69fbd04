"""MuJoCo's equations for chains of two joints in a plane, in closed form.

Todorov, Erez and Tassa, "MuJoCo: a physics engine for model-based control" (2012); what is computed
is what MuJoCo's documentation calls forward dynamics, soft constraints and numerical integration.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

Pair = tuple[tf.Tensor, tf.Tensor]
"""A number of each of the two joints, `[...]` each."""
Acceleration = Callable[[Pair, Pair], Pair]
"""From positions and velocities."""

LEAST_IMPEDANCE, MOST_IMPEDANCE, IMPEDANCE_WIDTH = 0.9, 0.95, 1e-3
"""MuJoCo's default `solimp`; its midpoint is 1/2 and its power 2."""


class Mass(NamedTuple):
    """A symmetric 2 x 2 mass matrix of entries `[...]` or plain numbers."""

    first: Any
    both: Any
    second: Any

    def solve(self, forces: Pair) -> Pair:
        """The accelerations that forces give."""
        one, two = forces
        determinant = self.first * self.second - self.both * self.both
        return (
            (self.second * one - self.both * two) / determinant,
            (self.first * two - self.both * one) / determinant,
        )

    def inverse_weights(self) -> tuple[Any, Any]:
        """The diagonal of the inverse."""
        determinant = self.first * self.second - self.both * self.both
        return self.second / determinant, self.first / determinant


class Limit(NamedTuple):
    """A joint that a soft stop keeps to [-bound, bound]; a unit of position is m or rad."""

    bound: float
    inverse_weight: float
    """Of the joint alone, in the model's first configuration: MuJoCo's `dof_invweight0`."""
    time_constant: float
    """Seconds, of a critically damped spring: the first number of `solref`."""

    def force(
        self,
        position: tf.Tensor,
        velocity: tf.Tensor,
        acceleration: tf.Tensor,
        inverse_weight: tf.Tensor,
    ) -> tf.Tensor:
        """The force of the stop on the joint, `[...]`; 0 within the bounds.

        With one constraint MuJoCo's convex program is solved by
        `f = max(0, (a_ref - a_0) / (A + R))`.

        Args:
            position: Of the joint.
            velocity: Likewise.
            acceleration: That it would have without a stop.
            inverse_weight: The joint's entry on the diagonal of the inverse mass matrix.
        """
        side, depth = tf.sign(position), tf.abs(position) - self.bound
        share = tf.clip_by_value(depth / IMPEDANCE_WIDTH, 0.0, 1.0)
        rise = tf.where(share <= 0.5, 2 * share * share, 1 - 2 * (1 - share) * (1 - share))
        impedance = LEAST_IMPEDANCE + (MOST_IMPEDANCE - LEAST_IMPEDANCE) * rise
        damping = 2 / (MOST_IMPEDANCE * self.time_constant)
        stiffness = 1 / (MOST_IMPEDANCE * self.time_constant) ** 2
        reference = damping * side * velocity + stiffness * impedance * depth
        regularization = (1 - impedance) / impedance * self.inverse_weight
        push = (reference + side * acceleration) / (inverse_weight + regularization)
        return tf.where(depth > 0, -side * tf.maximum(push, 0.0), 0.0)


def runge_kutta(acceleration: Acceleration, positions: Pair, velocities: Pair, step: float) -> Pair:
    """One step of `step` seconds by the classical method of order 4: positions and velocities."""
    half = step / 2
    first = acceleration(positions, velocities)
    velocities_2 = _moved(velocities, first, half)
    second = acceleration(_moved(positions, velocities, half), velocities_2)
    velocities_3 = _moved(velocities, second, half)
    third = acceleration(_moved(positions, velocities_2, half), velocities_3)
    velocities_4 = _moved(velocities, third, step)
    fourth = acceleration(_moved(positions, velocities_3, step), velocities_4)
    slopes = (velocities, velocities_2, velocities_3, velocities_4)
    return (
        _moved(positions, _weighted(*slopes), step),
        _moved(velocities, _weighted(first, second, third, fourth), step),
    )


def _moved(numbers: Pair, slopes: Pair, step: float) -> Pair:
    return numbers[0] + step * slopes[0], numbers[1] + step * slopes[1]


def _weighted(first: Pair, second: Pair, third: Pair, fourth: Pair) -> Pair:
    return tuple(
        (a + 2 * (b + c) + d) / 6 for a, b, c, d in zip(first, second, third, fourth, strict=True)
    )


class Capsule(NamedTuple):
    """A uniform cylinder between two half spheres, in kg and m."""

    mass: float
    length: float
    """Of the cylinder, between the centres of the half spheres."""
    radius: float

    @classmethod
    def of_density(cls, density: float, length: float, radius: float) -> Capsule:
        """The one of a density in kg/m^3."""
        volume = math.pi * radius**2 * (length + 4 * radius / 3)
        return cls(density * volume, length, radius)

    @property
    def moment(self) -> float:
        """Its moment of inertia about a line through its middle and across it, in kg m^2."""
        length, radius = self.length, self.radius
        caps = self.mass * 4 * radius / (4 * radius + 3 * length)
        cylinder = (self.mass - caps) * (3 * radius**2 + length**2) / 12
        return cylinder + caps * (2 * radius**2 / 5 + length * (3 * radius + 2 * length) / 8)


def tolerance(distance: tf.Tensor, margin: float) -> tf.Tensor:
    """dm_control's reward of a distance: 1 at 0, 0.1 at `margin`, a normal curve."""
    return tf.exp(math.log(0.1) * tf.square(distance / margin))


def normal_numbers(uniforms: tf.Tensor) -> tf.Tensor:
    """Standard normal numbers from as many uniform ones, by Box and Muller's transform.

    Args:
        uniforms: `[..., 2 n]` in [0, 1).
    """
    one, two = tf.split(uniforms, 2, axis=-1)
    radius, angle = tf.sqrt(-2.0 * tf.math.log1p(-one)), 2 * math.pi * two
    return tf.concat([radius * tf.cos(angle), radius * tf.sin(angle)], axis=-1)
