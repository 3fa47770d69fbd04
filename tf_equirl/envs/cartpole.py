"""The cart-pole balancing task."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tf_equirl._checks import positive_integer
from tf_equirl.envs.environment import Environment
from tf_equirl.groups import (
    Symmetry,
    cyclic_group,
    permutation_representation,
    signed_permutation_representation,
)

GRAVITY = 9.8  # m/s^2
CART_MASS = 1.0  # kg
POLE_MASS = 0.1  # kg
TOTAL_MASS = CART_MASS + POLE_MASS
HALF_LENGTH = 0.5  # m, from the joint to the pole's centre of mass
POLE_MOMENT = POLE_MASS * HALF_LENGTH  # kg m
FORCE = 10.0  # N
TIME_STEP = 0.02  # s
POSITION_LIMIT = 2.4  # m
ANGLE_LIMIT = 12 * 2 * math.pi / 360  # rad
RESET_BOUND = 0.05


class CartPoleState(NamedTuple):
    """State of a cart-pole, batched over any leading dimensions."""

    physics: tf.Tensor
    """[..., 4]: position (m), velocity (m/s), pole angle (rad), angular velocity (rad/s)."""
    steps: tf.Tensor
    """[...] int32: steps of the episode so far."""


class CartPole(Environment):
    """Gymnasium's `CartPole-v1`: push a cart left (0) or right (1) to keep its pole upright.

    Reward 1 for every step. Terminates when |position| > 2.4 m or |angle| > 12 degrees, is
    truncated after 500 steps, and starts with four numbers uniform in [-0.05, 0.05).
    Barto, Sutton and Anderson, "Neuronlike adaptive elements that can solve difficult learning
    control problems" (1983); equations of motion by Florian (2007), Euler's method.

    Its symmetry is the mirror: C2 acts on states by minus identity and swaps the two actions,
    P(-s' | -s, 1 - a) = P(s' | s, a).

    Args:
        dtype: "float32", or "float64" to compute as gymnasium does; observations and rewards are
            float32 either way.
        max_episode_steps: Steps after which an episode is truncated.

    Raises:
        ValueError: If an argument is not one of those.
    """

    name = "CartPole"
    observation_shape = (4,)
    num_actions = 2
    num_uniforms = 4  # all for the reset: the dynamics is deterministic
    reset_options = ("low", "high")

    def __init__(self, dtype: str = "float32", max_episode_steps: int = 500) -> None:
        """Checks the arguments and builds the symmetry."""
        if dtype not in ("float32", "float64"):
            raise ValueError(f'`dtype` must be "float32" or "float64". Received: dtype={dtype!r}')
        self.max_episode_steps = positive_integer("max_episode_steps", max_episode_steps)
        self.dtype = tf.as_dtype(dtype)
        group = cyclic_group(2)
        self.symmetry = Symmetry(
            group,
            state=signed_permutation_representation(
                group, [[0, 1, 2, 3], [0, 1, 2, 3]], [[1, 1, 1, 1], [-1, -1, -1, -1]]
            ),
            action=permutation_representation(group, [[0, 1], [1, 0]]),
        )

    def get_config(self) -> dict[str, Any]:
        """See `Environment.get_config`."""
        return {**super().get_config(), "dtype": self.dtype.name}

    def initial_state(
        self, uniforms: tf.Tensor, low: float = -RESET_BOUND, high: float = RESET_BOUND
    ) -> CartPoleState:
        """Draws a state, each of its four numbers uniform in [low, high).

        Args:
            uniforms: [..., 4] in [0, 1).
            low: Lower bound.
            high: Upper bound.
        """
        uniforms = tf.cast(uniforms, self.dtype)
        return CartPoleState(uniforms * (high - low) + low, tf.zeros(uniforms.shape[:-1], tf.int32))

    def observe(self, state: CartPoleState) -> tf.Tensor:
        """Returns position, velocity, angle and angular velocity, [..., 4] float32."""
        return tf.cast(state.physics, tf.float32)

    def transition(
        self, state: CartPoleState, action: tf.Tensor, uniforms: tf.Tensor
    ) -> tuple[CartPoleState, tf.Tensor, tf.Tensor]:
        """One Euler step of 0.02 s; see `Environment.transition`. `uniforms` is not used."""
        position, velocity, angle, angular_velocity = tf.unstack(state.physics, axis=-1)
        push = tf.constant(FORCE, self.dtype)
        force = tf.where(action == 1, push, -push)
        cosine, sine = tf.cos(angle), tf.sin(angle)
        pull = _over(force + _times(tf.square(angular_velocity), POLE_MOMENT) * sine, TOTAL_MASS)
        angular_acceleration = (GRAVITY * sine - cosine * pull) / (
            HALF_LENGTH * (4.0 / 3.0 - _over(_times(tf.square(cosine), POLE_MASS), TOTAL_MASS))
        )
        acceleration = pull - _over(_times(angular_acceleration, POLE_MOMENT) * cosine, TOTAL_MASS)
        position += TIME_STEP * velocity
        velocity += TIME_STEP * acceleration
        angle += TIME_STEP * angular_velocity
        angular_velocity += TIME_STEP * angular_acceleration
        terminated = (tf.abs(position) > POSITION_LIMIT) | (tf.abs(angle) > ANGLE_LIMIT)
        physics = tf.stack([position, velocity, angle, angular_velocity], axis=-1)
        return (
            state._replace(physics=physics),
            tf.ones_like(position, dtype=tf.float32),
            terminated,
        )

    def state_from_observation(self, observation: tf.Tensor) -> CartPoleState:
        """The observation [..., 4] itself, at step 0."""
        physics = tf.cast(observation, self.dtype)
        return CartPoleState(physics, tf.zeros(physics.shape[:-1], tf.int32))

    def observation_bounds(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Gymnasium's: twice the limits, so that a terminal observation lies within them."""
        high = np.array([2 * POSITION_LIMIT, np.inf, 2 * ANGLE_LIMIT, np.inf], np.float32)
        return -high, high

    def validate_reset_options(self, options: Mapping[str, Any] | None) -> dict[str, float]:
        """Checks `low` and `high`, as gymnasium's CartPole does.

        Raises:
            ValueError: If there are others, one is not a finite number, or low > high.
        """
        checked = {}
        for name, value in super().validate_reset_options(options).items():
            try:
                checked[name] = float(value)
            except (TypeError, ValueError):
                checked[name] = math.nan
            if not math.isfinite(checked[name]):
                raise ValueError(
                    f"`options[{name!r}]` must be a finite number. Received: options={options!r}"
                )
        if checked.get("low", -RESET_BOUND) > checked.get("high", RESET_BOUND):
            raise ValueError(
                f"`options`: low (default {-RESET_BOUND}) must not exceed high (default "
                f"{RESET_BOUND}). Received: options={options!r}"
            )
        return checked


# TensorFlow's graph optimiser reorders products with constants, and makes a division by one a
# multiplication by its reciprocal. Either differs from gymnasium in the last bit, which 500 steps
# about the upright pole, an unstable equilibrium, amplify by e^40. It leaves these operations as
# they are, so that float64 steps equal gymnasium's to the bit (XLA still fuses multiply-adds).


def _times(x: tf.Tensor, constant: float) -> tf.Tensor:
    return tf.math.multiply_no_nan(x, tf.constant(constant, x.dtype))


def _over(x: tf.Tensor, constant: float) -> tf.Tensor:
    return tf.math.divide_no_nan(x, tf.constant(constant, x.dtype))
