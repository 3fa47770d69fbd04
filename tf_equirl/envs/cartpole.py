"""The cart-pole balancing task."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tf_equirl._checks import one_of, positive_integer
from tf_equirl.envs.breaking import checked_breaking
from tf_equirl.envs.environment import Environment, select
from tf_equirl.envs.pictures import BACKGROUND, BLUE, GREY, ORANGE, paint
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
TILT = 0.2  # m/s^2, the horizontal part of gravity where it is broken as published

# Drawings: metres are pixels over SCALE, colours those of Catch.
SCALE = 100
WIDTH, HEIGHT = 520, 180
RAIL = 150.5  # row of the rail's middle, counted from the upper edge
CART, POLE = BLUE, ORANGE
TEXT_MIDDLE = 26  # columns from a limit of the position to the middle
TEXT_POLE = 4  # rows


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

    It can be broken by degrees (Park et al., "Approximate equivariance in reinforcement learning",
    2025, appendix D, of dm_control's cart-pole; see `Breaking`): "gravity" is (0.2 kappa, -9.8)
    m/s^2, which in these equations, without friction, accelerates the cart by 0.2 kappa and leaves
    the pole alone; "gain" makes pushes to the right 1 + kappa times as strong; "reflect" multiplies
    the force by 1 - 2 kappa while the angle is in [0, pi/4]; "repeat" goes on for kappa further
    time steps while it is in [0, pi/2], and the episode ends by where that leads. `symmetry` is
    that of what is not broken.

    Args:
        dtype: "float32", or "float64" to compute as gymnasium does; observations and rewards are
            float32 either way.
        max_episode_steps: Steps after which an episode is truncated.
        breaking: How the symmetry is broken: "none", "gain", "gravity", "reflect" or "repeat".
        kappa: How much: 0 is not at all, 1 as published; at most 100.

    Raises:
        ValueError: If an argument is not one of those.
    """

    name = "CartPole"
    version = 1
    symmetry_in_words = {
        "state": "position, velocity, angle and angular velocity change sign (the mirror)",
        "action": "left and right change places",
    }
    observation_shape = (4,)
    num_actions = 2
    num_uniforms = 4  # all for the reset: the dynamics is deterministic
    random_transitions = False
    reset_options = ("low", "high")
    render_modes = ("ansi", "rgb_array")
    render_fps = 50  # the time of the dynamics

    def __init__(
        self,
        dtype: str = "float32",
        max_episode_steps: int = 500,
        breaking: str = "none",
        kappa: float = 1.0,
    ) -> None:
        """Checks the arguments and builds the symmetry."""
        one_of("dtype", dtype, ("float32", "float64"))
        self.max_episode_steps = positive_integer("max_episode_steps", max_episode_steps)
        self.dtype = tf.as_dtype(dtype)
        self.breaking = checked_breaking(breaking, kappa)
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
        config = {**super().get_config(), "dtype": self.dtype.name}
        if self.breaking.kind != "none":
            config |= {"breaking": self.breaking.kind, "kappa": self.breaking.kappa}
        return config

    def program_key(self) -> Hashable:
        """See `Environment.program_key`."""
        if type(self) is not CartPole:
            return self
        return CartPole, self.dtype.name, self.max_episode_steps, self.breaking

    def encoding_bounds(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """None: episodes end where the cart or the pole is too far away."""
        bound = np.full([4], np.inf, np.float32)
        return -bound, bound

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
        push = tf.constant(FORCE, self.dtype)
        force = tf.where(action == 1, push, -push)
        if self.breaking.kind != "none":
            force = self.breaking.applied(force, self._in_region(state))
        following = further = self._moved(state, force, TIME_STEP)
        for length in self.breaking.repeats():
            further = self._moved(further, force, length * TIME_STEP)
        if further is not following:
            following = select(self._in_region(state), further, following)
        return following, self.reward(state, action, following), self.is_terminal(following)

    def _in_region(self, state: CartPoleState) -> tf.Tensor:
        """Whether "reflect" or "repeat" break the symmetry there, [...] bool."""
        angle = state.physics[..., 2]
        return (angle >= 0) & (angle <= math.pi / (4 if self.breaking.kind == "reflect" else 2))

    def _moved(self, state: CartPoleState, force: tf.Tensor, seconds: float) -> CartPoleState:
        """The state after one Euler step."""
        position, velocity, angle, angular_velocity = tf.unstack(state.physics, axis=-1)
        cosine, sine = tf.cos(angle), tf.sin(angle)
        pull = _over(force + _times(tf.square(angular_velocity), POLE_MOMENT) * sine, TOTAL_MASS)
        angular_acceleration = (GRAVITY * sine - cosine * pull) / (
            HALF_LENGTH * (4.0 / 3.0 - _over(_times(tf.square(cosine), POLE_MASS), TOTAL_MASS))
        )
        acceleration = pull - _over(_times(angular_acceleration, POLE_MOMENT) * cosine, TOTAL_MASS)
        if self.breaking.tilt:
            acceleration += TILT * self.breaking.tilt
        position += seconds * velocity
        velocity += seconds * acceleration
        angle += seconds * angular_velocity
        angular_velocity += seconds * angular_acceleration
        physics = tf.stack([position, velocity, angle, angular_velocity], axis=-1)
        return state._replace(physics=physics)

    def reward(
        self, state: CartPoleState, action: tf.Tensor, following: CartPoleState
    ) -> tf.Tensor:
        """1 for every step: [...] float32."""
        return tf.ones_like(following.physics[..., 0], dtype=tf.float32)

    def is_terminal(self, state: CartPoleState) -> tf.Tensor:
        """Whether |position| > 2.4 m or |angle| > 12 degrees: [...] bool."""
        position, angle = state.physics[..., 0], state.physics[..., 2]
        return (tf.abs(position) > POSITION_LIMIT) | (tf.abs(angle) > ANGLE_LIMIT)

    def state_from_observation(self, observation: tf.Tensor) -> CartPoleState:
        """The observation [..., 4] itself, at step 0."""
        physics = tf.cast(observation, self.dtype)
        return CartPoleState(physics, tf.zeros(physics.shape[:-1], tf.int32))

    def observation_bounds(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Gymnasium's: twice the limits, so that a terminal observation lies within them."""
        high = np.array([2 * POSITION_LIMIT, np.inf, 2 * ANGLE_LIMIT, np.inf], np.float32)
        return -high, high

    def draw(self, state: CartPoleState, mode: str) -> NDArray[np.uint8] | str:
        """See `Environment.render`.

        In "ansi" the cart stands between the two limits of its position, and its pole leans four
        columns at the limit of the angle, more than it really does; numbers follow below. In
        "rgb_array", 180 by 520 pixels, a metre is 100 pixels, the pole is as long and leans as much
        as it does, and ticks mark the limits of the position.
        """
        position, velocity, angle, angular_velocity = np.asarray(state.physics, np.float64)
        if mode == "ansi":
            numbers = (
                f"position {position:+.2f} m   velocity {velocity:+.2f} m/s\n"
                f"angle {math.degrees(angle):+.2f} deg   "
                f"angular velocity {math.degrees(angular_velocity):+.1f} deg/s   "
                f"step {int(state.steps)}"
            )
            return f"{_text(position, angle)}\n{numbers}"
        return _frame(position, angle)

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


def _text(position: float, angle: float) -> str:
    """Cart, pole and limits in characters; whatever lies outside of the picture is left out."""
    width = 2 * TEXT_MIDDLE + 1
    rows = np.full([TEXT_POLE + 1, width + 4], " ")  # two columns beyond each limit
    rows[-1, [2, -3]] = "|"
    # Far away and far over is as good as just outside.
    cart = TEXT_MIDDLE + 2 + round(np.clip(position / POSITION_LIMIT, -2, 2) * TEXT_MIDDLE)
    lean = round(np.clip(angle / ANGLE_LIMIT, -2, 2) * TEXT_POLE)
    bar = "|" if lean == 0 else "/" if lean > 0 else "\\"
    marks = [(TEXT_POLE, cart + i, mark) for i, mark in zip(range(-2, 3), "[===]", strict=True)]
    marks += [(TEXT_POLE - i, cart + round(lean * i / TEXT_POLE), bar) for i in range(1, 5)]
    for row, column, mark in marks:
        if 0 <= column < rows.shape[1]:
            rows[row, column] = mark
    return "\n".join("".join(row).rstrip() for row in rows)


def _frame(position: float, angle: float) -> NDArray[np.uint8]:
    """Cart, pole, rail and limits in pixels."""
    # Centres of the pixels, from the middle and from the upper edge. x has each number with both
    # signs, so that mirrored states have mirrored frames to the pixel.
    x = (np.arange(WIDTH) + 0.5 - WIDTH / 2)[None, :]
    y = (np.arange(HEIGHT) + 0.5)[:, None]
    frame = np.full([HEIGHT, WIDTH, 3], BACKGROUND, np.uint8)
    frame[149:152] = GREY
    for limit in (-POSITION_LIMIT, POSITION_LIMIT):
        middle = round(WIDTH / 2 + limit * SCALE)
        frame[140:161, middle - 2 : middle + 2] = GREY

    cart = np.clip(position * SCALE, -WIDTH, WIDTH)
    joint = RAIL - 13
    paint(frame, np.maximum(np.abs(x - cart) - 28, np.abs(y - RAIL) - 13), CART)
    sine, cosine = math.sin(angle), math.cos(angle)
    along = np.clip((x - cart) * sine - (y - joint) * cosine, 0, 2 * HALF_LENGTH * SCALE)
    paint(frame, np.hypot(x - cart - along * sine, y - joint + along * cosine) - 5, POLE)
    paint(frame, np.hypot(x - cart, y - joint) - 2, BACKGROUND)
    return frame
