"""The task of swinging up two links by the joint between them."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tf_equirl.envs.control.camera import Shape
from tf_equirl.envs.control.simulation import Capsule, Mass, Pair, runge_kutta, tolerance
from tf_equirl.envs.control.task import ControlState, ControlTask, mirror
from tf_equirl.envs.pictures import BLUE, GREY, ORANGE, Picture

# dm_control's suite/acrobot.xml.
GRAVITY = 9.81  # m/s^2
TILT = -2.0  # m/s^2, the horizontal part of gravity where it is broken as published
UPPER = Capsule(mass=1.0, length=1.0, radius=0.05)
LOWER = Capsule(mass=1.0, length=1.0, radius=0.049)
UPPER_LEVER = UPPER.length / 2  # m, from the joint to the centre of mass
LOWER_LEVER = LOWER.length / 2
DAMPING = 0.05  # N m s, of both joints
TORQUE = 2.0  # N m, of action 1
TARGET_HEIGHT = UPPER.length + LOWER.length  # m above the shoulder
TARGET_RADIUS = 0.2  # m

UPPER_MOMENT = (
    UPPER.moment + UPPER.mass * UPPER_LEVER**2 + LOWER.mass * UPPER.length**2
)  # kg m^2, of both links about the shoulder, but for what the lower one adds by its own
LOWER_MOMENT = LOWER.moment + LOWER.mass * LOWER_LEVER**2  # kg m^2, about the elbow
COUPLING = LOWER.mass * UPPER.length * LOWER_LEVER  # kg m^2
UPPER_PULL = UPPER.mass * UPPER_LEVER + LOWER.mass * UPPER.length  # kg m
LOWER_PULL = LOWER.mass * LOWER_LEVER  # kg m


class Acrobot(ControlTask):
    """dm_control's `acrobot`, `swingup`: swing two links up by a torque between them.

    One action in [-1, 1], a torque of 2 N m on the elbow. With theta_1 the upper arm's angle from
    upright and theta_2 the lower arm's from the upper one's direction, both clockwise, joints are
    damped by 0.05 N m s and the equations of motion are those of a double pendulum whose links are
    capsules of 1 kg and 1 m, in steps of 0.01 s by Runge and Kutta's method of order 4. MuJoCo has
    no stops here. Observations are the sines of the absolute angles theta_1 and theta_1 + theta_2,
    their cosines, and both angular velocities: dm_control's `orientations` and `velocity`. The
    reward is 0.1^(d^2) where d (m) is the tip's distance to a disc of 0.2 m at the highest point it
    can reach. Episodes last 1,000 steps and start at rest with uniform angles. Tassa et al.,
    "DeepMind Control Suite" (2018).

    Its symmetry is the mirror: C2 changes the sign of all but the cosines, and of the action.

    It can be broken (Park et al., 2025, appendix D): "gravity" is (-2 kappa, -9.81) m/s^2; "repeat"
    holds while the upper arm points into the fourth quadrant, down and to the right. "reflect",
    whose region they do not give, holds there, too; "gain" is of clockwise torque. See `Breaking`.

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

    name = "Acrobot"
    symmetry_in_words = {
        "state": "sines and angular velocities change sign (the mirror)",
        "action": "the torque changes sign",
    }
    observation_shape = (6,)
    num_uniforms = 2  # for the reset: the dynamics is deterministic
    render_fps = 100  # the time of the dynamics
    time_step = 0.01
    half_width = 2.3
    symmetry = mirror([-1, -1, 1, 1, -1, -1])

    def initial_state(self, uniforms: tf.Tensor) -> ControlState:
        """Draws both angles, uniform in [-pi, pi); the arm is at rest.

        Args:
            uniforms: [..., 2] in [0, 1).
        """
        angles = tf.cast(math.pi * (2 * uniforms - 1), self.dtype)
        physics = tf.concat([angles, tf.zeros_like(angles)], axis=-1)
        return ControlState(physics, tf.zeros(uniforms.shape[:-1], tf.int32))

    def observe(self, state: ControlState) -> tf.Tensor:
        """Returns sines, cosines and angular velocities (rad/s), of two each, [..., 6] float32."""
        upper, lower, upper_spin, lower_spin = tf.unstack(state.physics, axis=-1)
        lower += upper
        numbers = [tf.sin(upper), tf.sin(lower), tf.cos(upper), tf.cos(lower)]
        return tf.cast(tf.stack([*numbers, upper_spin, lower_spin], axis=-1), tf.float32)

    def state_from_observation(self, observation: tf.Tensor) -> ControlState:
        """The state at step 0, with angles in [-pi, pi], from [..., 6]."""
        sine, lower_sine, cosine, lower_cosine, *spins = tf.unstack(
            tf.cast(observation, self.dtype), axis=-1
        )
        elbow = tf.atan2(
            lower_sine * cosine - lower_cosine * sine, lower_cosine * cosine + lower_sine * sine
        )
        physics = tf.stack([tf.atan2(sine, cosine), elbow, *spins], axis=-1)
        return ControlState(physics, tf.zeros_like(sine, tf.int32))

    def moved(self, state: ControlState, action: tf.Tensor, seconds: float) -> ControlState:
        """See `ControlTask.moved`."""
        shoulder, elbow, *spins = tf.unstack(state.physics, axis=-1)
        torque, tilt = TORQUE * action[..., 0], TILT * self.breaking.tilt

        def acceleration(positions: Pair, velocities: Pair) -> Pair:
            (shoulder, elbow), (spin, elbow_spin) = positions, velocities
            bend = COUPLING * tf.cos(elbow)
            mass = Mass(UPPER_MOMENT + LOWER_MOMENT + 2 * bend, LOWER_MOMENT + bend, LOWER_MOMENT)
            swing = COUPLING * tf.sin(elbow)
            fall = LOWER_PULL * GRAVITY * tf.sin(shoulder + elbow)
            one = swing * elbow_spin * (2 * spin + elbow_spin) - DAMPING * spin
            one += UPPER_PULL * GRAVITY * tf.sin(shoulder) + fall
            two = torque - swing * spin * spin - DAMPING * elbow_spin + fall
            if tilt:
                aside = tilt * LOWER_PULL * tf.cos(shoulder + elbow)
                one += tilt * UPPER_PULL * tf.cos(shoulder) + aside
                two += aside
            return mass.solve((one, two))

        positions, velocities = runge_kutta(acceleration, (shoulder, elbow), tuple(spins), seconds)
        return state._replace(physics=tf.stack([*positions, *velocities], axis=-1))

    def rewarded(self, state: ControlState, action: tf.Tensor) -> tf.Tensor:
        """See `ControlTask.rewarded`."""
        upper = state.physics[..., 0]
        lower = upper + state.physics[..., 1]
        aside = UPPER.length * tf.sin(upper) + LOWER.length * tf.sin(lower)
        below = TARGET_HEIGHT - UPPER.length * tf.cos(upper) - LOWER.length * tf.cos(lower)
        distance = tf.sqrt(tf.square(aside) + tf.square(below))
        return tolerance(tf.maximum(distance - TARGET_RADIUS, 0.0), 1.0)

    def in_region(self, state: ControlState) -> tf.Tensor:
        """See `ControlTask.in_region`."""
        upper = state.physics[..., 0]
        return (tf.sin(upper) > 0) & (tf.cos(upper) < 0)

    def shapes(self, observation: tf.Tensor) -> list[Shape]:
        """See `ControlTask.shapes`: the target, the upper and the lower arm; from the side."""
        sine, lower_sine, cosine, lower_cosine, *_ = tf.unstack(observation, axis=-1)
        zero = tf.zeros_like(sine)
        elbow = (UPPER.length * sine, UPPER.length * cosine)
        tip = (elbow[0] + LOWER.length * lower_sine, elbow[1] + LOWER.length * lower_cosine)
        target = (zero, zero + TARGET_HEIGHT)
        return [
            Shape(target, target, TARGET_RADIUS, 0.3),
            Shape((zero, zero), elbow, UPPER.radius, 0.6),
            Shape(elbow, tip, LOWER.radius, 1.0),
        ]

    def draw(self, state: ControlState, mode: str) -> NDArray[np.uint8]:
        """See `Environment.render`: 80 pixels to the metre, the target a disc above."""
        picture = Picture(2.3, 2.3, 80)
        shoulder, elbow = np.asarray(state.physics, np.float64)[:2]
        top = (0.0, TARGET_HEIGHT)
        picture.capsule(top, top, TARGET_RADIUS, GREY)
        middle = (UPPER.length * math.sin(shoulder), UPPER.length * math.cos(shoulder))
        tip = (
            middle[0] + LOWER.length * math.sin(shoulder + elbow),
            middle[1] + LOWER.length * math.cos(shoulder + elbow),
        )
        picture.capsule((0.0, 0.0), middle, UPPER.radius, BLUE)
        picture.capsule(middle, tip, LOWER.radius, ORANGE)
        return picture.frame
