"""The task of swinging up the pole of a cart."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tf_equirl.envs.control.camera import Shape
from tf_equirl.envs.control.simulation import (
    Capsule,
    Limit,
    Mass,
    Pair,
    normal_numbers,
    runge_kutta,
    tolerance,
)
from tf_equirl.envs.control.task import ControlState, ControlTask, mirror
from tf_equirl.envs.pictures import BACKGROUND, BLUE, GREY, ORANGE, Picture

# dm_control's suite/cartpole.xml.
GRAVITY = 9.81  # m/s^2
TILT = 0.2  # m/s^2, the horizontal part of gravity where it is broken as published
CART_MASS = 1.0  # kg
POLE = Capsule(mass=0.1, length=1.0, radius=0.045)
LEVER = POLE.length / 2  # m, from the joint to the pole's centre of mass
PULL = POLE.mass * LEVER  # kg m
POLE_MOMENT = POLE.moment + PULL * LEVER  # kg m^2, about the joint
CART_DAMPING = 5e-4  # N s/m
POLE_DAMPING = 2e-6  # N m s
FORCE = 10.0  # N, of action 1
RAIL = Limit(
    bound=1.8,
    inverse_weight=Mass(CART_MASS + POLE.mass, PULL, POLE_MOMENT).inverse_weights()[0],
    time_constant=0.08,
)
RESET_SCALE = 0.01


class CartPoleSwingup(ControlTask):
    """dm_control's `cartpole`, `swingup`: push a cart so that its hanging pole swings up and stays.

    One action in [-1, 1], a force of 10 N. With x the cart's position, theta the pole's angle from
    upright, m = 0.1 kg, l = 0.5 m and M = 1.1 kg:

        M x'' + m l cos(theta) theta'' = 10 a - 5e-4 x' + m l sin(theta) theta'^2 + M g_x + f
        m l cos(theta) x'' + (I + m l^2) theta'' = m l (g sin(theta) + g_x cos(theta)) - 2e-6 theta'

    in steps of 0.01 s by Runge and Kutta's method of order 4. f is MuJoCo's soft stop of the cart
    at |x| = 1.8 m, which has a closed form. Observations are x, cos theta, sin theta, x' and
    theta', dm_control's `position` and `velocity`. The reward is the product of
    (1 + cos theta) / 2, (1 + t(x / 2)) / 2, (5 - a^2) / 5 and (1 + t(theta' / 5)) / 2, where
    t(d) = 0.1^(d^2). Episodes last 1,000 steps and start with the pole hanging, each number normal
    with a deviation of 0.01. Tassa et al., "DeepMind Control Suite" (2018).

    Its symmetry is the mirror: C2 changes the sign of all but cos theta, and of the action.

    It can be broken (Park et al., 2025, appendix D): "gravity" is (0.2 kappa, -9.81) m/s^2;
    "repeat" holds while the pole points into the first quadrant, up and to the right; "reflect"
    while its angle is in [0, pi/4]; "gain" is of the force to the right. See `Breaking`.

    Args:
        breaking: How the symmetry is broken: "none", "gain", "gravity", "reflect" or "repeat".
        kappa: How much: 0 is not at all, 1 as published; at most 100.
        dtype: "float32", or "float64" to compute as MuJoCo does; observations and rewards are
            float32 either way.
        policy: What the outputs of a policy mean: "gaussian" or "squashed_gaussian".
        max_episode_steps: Steps after which an episode is truncated.

    Raises:
        ValueError: If an argument is not one of those.
    """

    name = "CartPoleSwingup"
    symmetry_in_words = {
        "state": "everything but the cosine of the angle changes sign (the mirror)",
        "action": "the force changes sign",
    }
    observation_shape = (5,)
    num_uniforms = 4  # all for the reset: the dynamics is deterministic
    render_fps = 100  # the time of the dynamics
    time_step = 0.01
    half_width = 2.0
    symmetry = mirror([-1, 1, -1, -1, -1])

    def initial_state(self, uniforms: tf.Tensor) -> ControlState:
        """Draws a state about the pole hanging still.

        Args:
            uniforms: [..., 4] in [0, 1).
        """
        deviations = tf.cast(RESET_SCALE * normal_numbers(uniforms), self.dtype)
        hanging = tf.constant([0.0, math.pi, 0.0, 0.0], self.dtype)
        return ControlState(hanging + deviations, tf.zeros(uniforms.shape[:-1], tf.int32))

    def observe(self, state: ControlState) -> tf.Tensor:
        """Returns x (m), cos and sin of the angle, x' (m/s), theta' (rad/s): [..., 5] float32."""
        x, angle, velocity, spin = tf.unstack(state.physics, axis=-1)
        numbers = [x, tf.cos(angle), tf.sin(angle), velocity, spin]
        return tf.cast(tf.stack(numbers, axis=-1), tf.float32)

    def state_from_observation(self, observation: tf.Tensor) -> ControlState:
        """The state at step 0, with an angle in [-pi, pi], from [..., 5]."""
        x, cosine, sine, velocity, spin = tf.unstack(tf.cast(observation, self.dtype), axis=-1)
        physics = tf.stack([x, tf.atan2(sine, cosine), velocity, spin], axis=-1)
        return ControlState(physics, tf.zeros_like(x, tf.int32))

    def moved(self, state: ControlState, action: tf.Tensor, seconds: float) -> ControlState:
        """See `ControlTask.moved`."""
        x, angle, velocity, spin = tf.unstack(state.physics, axis=-1)
        force, tilt = FORCE * action[..., 0], TILT * self.breaking.tilt

        def acceleration(positions: Pair, velocities: Pair) -> Pair:
            (x, angle), (velocity, spin) = positions, velocities
            sine, cosine = tf.sin(angle), tf.cos(angle)
            mass = Mass(CART_MASS + POLE.mass, PULL * cosine, POLE_MOMENT)
            push = force - CART_DAMPING * velocity + PULL * sine * spin * spin
            torque = PULL * GRAVITY * sine - POLE_DAMPING * spin
            if tilt:
                push += tilt * (CART_MASS + POLE.mass)
                torque += tilt * PULL * cosine
            free = mass.solve((push, torque))
            push += RAIL.force(x, velocity, free[0], mass.inverse_weights()[0])
            return mass.solve((push, torque))

        positions, velocities = runge_kutta(acceleration, (x, angle), (velocity, spin), seconds)
        return state._replace(physics=tf.stack([*positions, *velocities], axis=-1))

    def rewarded(self, state: ControlState, action: tf.Tensor) -> tf.Tensor:
        """See `ControlTask.rewarded`; the action is that of the agent, however it is broken."""
        x, angle, _, spin = tf.unstack(state.physics, axis=-1)
        upright = (1 + tf.cos(angle)) / 2
        centered = (1 + tolerance(x, 2.0)) / 2
        small_control = (5 - tf.square(action[..., 0])) / 5
        small_velocity = (1 + tolerance(spin, 5.0)) / 2
        return upright * small_control * small_velocity * centered

    def in_region(self, state: ControlState) -> tf.Tensor:
        """See `ControlTask.in_region`."""
        sine, cosine = tf.sin(state.physics[..., 1]), tf.cos(state.physics[..., 1])
        last = sine if self.breaking.kind == "reflect" else tf.zeros_like(sine)
        return (sine >= 0) & (cosine >= last)  # to pi/4, or to pi/2

    def shapes(self, observation: tf.Tensor) -> list[Shape]:
        """See `ControlTask.shapes`: the rail with its stops, the cart, the pole; from the side."""
        x, cosine, sine, *_ = tf.unstack(observation, axis=-1)
        zero, end = tf.zeros_like(x), tf.fill(x.shape, RAIL.bound)
        tip = (x + POLE.length * sine, POLE.length * cosine)
        stops = [Shape((s * end, zero - 0.1), (s * end, zero + 0.1), 0.03, 0.3) for s in (-1, 1)]
        return [
            Shape((-end, zero), (end, zero), 0.015, 0.3),
            *stops,
            Shape((x - 0.1, zero), (x + 0.1, zero), 0.1, 0.6),
            Shape((x, zero), tip, POLE.radius, 1.0),
        ]

    def draw(self, state: ControlState, mode: str) -> NDArray[np.uint8]:
        """See `Environment.render`: 100 pixels to the metre, ticks where the cart is stopped."""
        picture = Picture(2.5, 1.3, 100)
        x, angle = np.asarray(state.physics, np.float64)[:2]
        picture.box((0.0, 0.0), 2.5, 0.015, GREY)
        for stop in (-RAIL.bound, RAIL.bound):
            picture.box((stop, 0.0), 0.02, 0.1, GREY)
        picture.box((x, 0.0), 0.2, 0.1, BLUE)
        tip = (x + POLE.length * math.sin(angle), POLE.length * math.cos(angle))
        picture.capsule((x, 0.0), tip, POLE.radius, ORANGE)
        picture.capsule((x, 0.0), (x, 0.0), 0.02, BACKGROUND)
        return picture.frame
