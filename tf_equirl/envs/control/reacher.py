"""The task of reaching for a point with an arm of two links."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tf_equirl.envs.control.camera import Shape
from tf_equirl.envs.control.simulation import Capsule, Limit, Mass
from tf_equirl.envs.control.task import ControlTask
from tf_equirl.envs.pictures import BLUE, GREY, ORANGE, Picture
from tf_equirl.groups import Symmetry, dihedral_group, signed_permutation_representation

# dm_control's suite/reacher.xml; the density is MuJoCo's default.
DENSITY = 1_000.0  # kg/m^3
ARM = Capsule.of_density(DENSITY, length=0.12, radius=0.01)
HAND = Capsule.of_density(DENSITY, length=0.1, radius=0.01)
FINGER_RADIUS = 0.01  # m
FINGER_REACH = 0.12  # m, from the wrist to the finger, a ball
FINGER_MASS = DENSITY * 4 * math.pi * FINGER_RADIUS**3 / 3  # kg
DAMPING = 0.01  # N m s, of both joints
TORQUE = 0.05  # N m, of action 1
TARGET_RADIUS = 0.015  # m, of the hard task
TIME_STEP = 0.02  # s

HAND_MOMENT = (
    HAND.moment
    + HAND.mass * (HAND.length / 2) ** 2
    + FINGER_MASS * (2 * FINGER_RADIUS**2 / 5 + FINGER_REACH**2)
)  # kg m^2, of hand and finger about the wrist
ARM_MOMENT = (
    ARM.moment + ARM.mass * (ARM.length / 2) ** 2 + (HAND.mass + FINGER_MASS) * ARM.length**2
)  # kg m^2, of all about the shoulder, but for what hand and finger add by their own
COUPLING = ARM.length * (HAND.mass * HAND.length / 2 + FINGER_MASS * FINGER_REACH)  # kg m^2
WRIST = Limit(
    bound=math.radians(160),
    inverse_weight=Mass(
        ARM_MOMENT + HAND_MOMENT + 2 * COUPLING, HAND_MOMENT + COUPLING, HAND_MOMENT
    ).inverse_weights()[1],
    time_constant=2 * TIME_STEP,  # MuJoCo's 0.02 s are raised to that
)

TURN = [-1, -1, 1, -1, -1, 1, 1]
FLIP = [1, -1, -1, 1, -1, -1, -1]


class ReacherState(NamedTuple):
    """State of a reacher, batched over any leading dimensions."""

    physics: tf.Tensor
    """[..., 4]: angles of shoulder and wrist (rad), not wrapped, and their velocities (rad/s)."""
    target: tf.Tensor
    """[..., 2]: where the target is (m)."""
    steps: tf.Tensor
    """[...] int32: steps of the episode so far."""


class Reacher(ControlTask):
    """dm_control's `reacher`, `hard`: touch a small target with the finger of an arm of two links.

    Two actions in [-1, 1], torques of 0.05 N m on shoulder and wrist, in the horizontal plane. The
    joints are damped by 0.01 N m s, the links are capsules of water's density, and a step of 0.02 s
    is MuJoCo's `Euler`, semi-implicit and implicit in the damping. The wrist has MuJoCo's soft stop
    at 160 degrees on either side, which has a closed form. Observations are the cosine and sine of
    the shoulder's angle (dm_control has the angle, which is not wrapped), the wrist's angle, the
    vector from finger to target, and both angular velocities. The reward is 1 while finger and
    target, of radii 0.01 and 0.015 m, touch, else 0. Episodes last 1,000 steps and start at rest,
    with uniform angles and a target 0.05 to 0.2 m away from the shoulder. Tassa et al., "DeepMind
    Control Suite" (2018).

    Its symmetry is D2. The half turn changes the signs of the cosine, the sine and the vector, and
    of no action; the flip of y those of the sine, the wrist, y and the velocities, and of both
    actions.

    It can be broken (Park et al., 2025, appendix D): "repeat" holds while the shoulder's angle is
    in [0, pi/2]; "reflect" while it is in [pi/2, pi]; "gain" is of anticlockwise torques, which
    leaves the half turn a symmetry. Gravity is at right angles to the plane. See `Breaking`.

    Args:
        breaking: How the symmetry is broken: "none", "gain", "reflect" or "repeat".
        kappa: How much: 0 is not at all, 1 as published; at most 100.
        dtype: "float32", or "float64" to compute as MuJoCo does; observations and rewards are
            float32 either way.
        policy: What the outputs of a policy mean: "gaussian" or "squashed_gaussian".
        max_episode_steps: Steps after which an episode is truncated.

    Raises:
        ValueError: If an argument is not one of those.
    """

    name = "Reacher"
    symmetry_in_words = {
        "state": "the plane is turned by 180 degrees, and reflected",
        "action": "torques change sign where it is reflected",
    }
    observation_shape = (7,)
    num_uniforms = 4  # for the reset: the dynamics is deterministic
    render_fps = 50  # the time of the dynamics
    time_step = TIME_STEP
    half_width = 0.3
    motions = ((0, 2, 2, 0), (False, False, True, True))  # of D2: none, turn, y, x
    breakings = ("none", "gain", "reflect", "repeat")
    symmetry = Symmetry(
        dihedral_group(2),
        state=signed_permutation_representation(
            dihedral_group(2),
            [range(7)] * 4,
            [[1] * 7, TURN, FLIP, [a * b for a, b in zip(TURN, FLIP, strict=True)]],
        ),
        action=signed_permutation_representation(
            dihedral_group(2), [range(2)] * 4, [[1, 1], [1, 1], [-1, -1], [-1, -1]]
        ),
    )

    def initial_state(self, uniforms: tf.Tensor) -> ReacherState:
        """Draws both angles and the target; the arm is at rest.

        Args:
            uniforms: [..., 4] in [0, 1).
        """
        ranges = tf.constant([math.pi, WRIST.bound], uniforms.dtype)
        angles = tf.cast((2 * uniforms[..., :2] - 1) * ranges, self.dtype)
        direction, radius = 2 * math.pi * uniforms[..., 2], 0.05 + 0.15 * uniforms[..., 3]
        target = tf.stack([radius * tf.sin(direction), radius * tf.cos(direction)], axis=-1)
        return ReacherState(
            tf.concat([angles, tf.zeros_like(angles)], axis=-1),
            tf.cast(target, self.dtype),
            tf.zeros(uniforms.shape[:-1], tf.int32),
        )

    def observe(self, state: ReacherState) -> tf.Tensor:
        """Returns [..., 7] float32: cos, sin, wrist, to target (2), velocities (2)."""
        shoulder, wrist, *spins = tf.unstack(state.physics, axis=-1)
        numbers = [tf.cos(shoulder), tf.sin(shoulder), wrist, *_to_target(state), *spins]
        return tf.cast(tf.stack(numbers, axis=-1), tf.float32)

    def state_from_observation(self, observation: tf.Tensor) -> ReacherState:
        """The state at step 0, with a shoulder in [-pi, pi], from [..., 7]."""
        cosine, sine, wrist, aside, ahead, *spins = tf.unstack(
            tf.cast(observation, self.dtype), axis=-1
        )
        physics = tf.stack([tf.atan2(sine, cosine), wrist, *spins], axis=-1)
        x, y = _finger(physics)
        target = tf.stack([x + aside, y + ahead], axis=-1)
        return ReacherState(physics, target, tf.zeros_like(sine, tf.int32))

    def moved(self, state: ReacherState, action: tf.Tensor, seconds: float) -> ReacherState:
        """See `ControlTask.moved`."""
        shoulder, wrist, spin, wrist_spin = tf.unstack(state.physics, axis=-1)
        bend, swing = COUPLING * tf.cos(wrist), COUPLING * tf.sin(wrist)
        mass = Mass(ARM_MOMENT + HAND_MOMENT + 2 * bend, HAND_MOMENT + bend, HAND_MOMENT)
        one = (
            TORQUE * action[..., 0] - DAMPING * spin + swing * wrist_spin * (2 * spin + wrist_spin)
        )
        two = TORQUE * action[..., 1] - DAMPING * wrist_spin - swing * spin * spin
        free = mass.solve((one, two))
        two += WRIST.force(wrist, wrist_spin, free[1], mass.inverse_weights()[1])
        damped = Mass(mass.first + seconds * DAMPING, mass.both, HAND_MOMENT + seconds * DAMPING)
        change = damped.solve((one, two))
        spin, wrist_spin = spin + seconds * change[0], wrist_spin + seconds * change[1]
        numbers = [shoulder + seconds * spin, wrist + seconds * wrist_spin, spin, wrist_spin]
        return state._replace(physics=tf.stack(numbers, axis=-1))

    def rewarded(self, state: ReacherState, action: tf.Tensor) -> tf.Tensor:
        """See `ControlTask.rewarded`."""
        aside, ahead = _to_target(state)
        reach = TARGET_RADIUS + FINGER_RADIUS
        touches = tf.sqrt(tf.square(aside) + tf.square(ahead)) <= reach
        return tf.cast(touches, self.dtype)

    def in_region(self, state: ReacherState) -> tf.Tensor:
        """See `ControlTask.in_region`."""
        cosine = tf.cos(state.physics[..., 0])
        ahead = cosine <= 0 if self.breaking.kind == "reflect" else cosine >= 0
        return (tf.sin(state.physics[..., 0]) >= 0) & ahead

    def shapes(self, observation: tf.Tensor) -> list[Shape]:
        """See `ControlTask.shapes`: target, arm, hand and finger; from above."""
        cosine, sine, wrist, aside, ahead, *_ = tf.unstack(observation, axis=-1)
        zero, bend, swing = tf.zeros_like(sine), tf.cos(wrist), tf.sin(wrist)
        elbow = (ARM.length * cosine, ARM.length * sine)
        finger = (
            elbow[0] + FINGER_REACH * (cosine * bend - sine * swing),
            elbow[1] + FINGER_REACH * (sine * bend + cosine * swing),
        )
        target = (finger[0] + aside, finger[1] + ahead)
        return [
            Shape(target, target, TARGET_RADIUS, 0.4),
            Shape((zero, zero), elbow, ARM.radius, 0.6),
            Shape(elbow, finger, HAND.radius, 0.8),
            Shape(finger, finger, FINGER_RADIUS, 1.0),
        ]

    def draw(self, state: ReacherState, mode: str) -> NDArray[np.uint8]:
        """See `Environment.render`: the plane seen from above, 500 pixels to the metre."""
        picture = Picture(0.3, 0.3, 500)
        shoulder, wrist = np.asarray(state.physics, np.float64)[:2]
        elbow = (ARM.length * math.cos(shoulder), ARM.length * math.sin(shoulder))
        finger = (
            elbow[0] + FINGER_REACH * math.cos(shoulder + wrist),
            elbow[1] + FINGER_REACH * math.sin(shoulder + wrist),
        )
        target = (float(state.target[0]), float(state.target[1]))
        picture.capsule(target, target, TARGET_RADIUS, GREY)
        picture.capsule((0.0, 0.0), elbow, ARM.radius, BLUE)
        picture.capsule(elbow, finger, HAND.radius, BLUE)
        picture.capsule(finger, finger, FINGER_RADIUS, ORANGE)
        return picture.frame


def _finger(physics: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Where the finger is (m)."""
    shoulder, both = physics[..., 0], physics[..., 0] + physics[..., 1]
    return (
        ARM.length * tf.cos(shoulder) + FINGER_REACH * tf.cos(both),
        ARM.length * tf.sin(shoulder) + FINGER_REACH * tf.sin(both),
    )


def _to_target(state: ReacherState) -> tuple[tf.Tensor, tf.Tensor]:
    """The vector from the finger to the target (m)."""
    x, y = _finger(state.physics)
    return state.target[..., 0] - x, state.target[..., 1] - y
