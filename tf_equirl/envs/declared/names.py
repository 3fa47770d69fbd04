"""Names of the coordinates of observations and of actions.

A name is made of words, and a reflection is declared by words: those that change places, such as
"left" and "right", and those that change the sign, such as "vy".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T")

_INERTIA = ("Ixx", "Iyy", "Izz", "Ixy", "Ixz", "Iyz", "mx", "my", "mz", "mass")
_VELOCITY = ("wx", "wy", "wz", "vx", "vy", "vz")
_FORCE = ("torque_x", "torque_y", "torque_z", "force_x", "force_y", "force_z")
_FREE = ("z", "qw", "qx", "qy", "qz")
_FREE_VELOCITY = ("vx", "vy", "vz", "wx", "wy", "wz")


def velocities(joints: Sequence[str]) -> tuple[str, ...]:
    """The names of the velocities of joints."""
    return tuple(f"{joint} velocity" for joint in joints)


def of_bodies(bodies: Sequence[str], parts: Sequence[str]) -> tuple[str, ...]:
    """The names of some numbers of every body."""
    return tuple(f"{body} {part}" for body in bodies for part in parts)


_LEGS = ("leg1", "leg2", "leg3", "leg4")
_ANT_JOINTS = tuple(f"{leg} {joint}" for leg in _LEGS for joint in ("hip", "ankle"))
_ANT_BODIES = ("torso", *(f"{leg} {part}" for leg in _LEGS for part in ("upper", "aux", "foot")))
ANT_ACTIONS = (*_ANT_JOINTS[6:], *_ANT_JOINTS[:6])

_SIDES = ("right", "left")
_HIPS = ("hip_x", "hip_z", "hip_y", "knee")
_ARMS = ("shoulder1", "shoulder2", "elbow")
_LIMBS = (*of_bodies(_SIDES, _HIPS), *of_bodies(_SIDES, _ARMS))
_HUMANOID_JOINTS = ("abdomen_z", "abdomen_y", "abdomen_x", *_LIMBS)
_HUMANOID_BODIES = (
    *("torso", "waist", "pelvis"),
    *of_bodies(_SIDES, ("thigh", "shin", "foot")),
    *of_bodies(_SIDES, ("upper_arm", "lower_arm")),
)
HUMANOID_ACTIONS = ("abdomen_y", "abdomen_z", "abdomen_x", *_LIMBS)


def ant_names(structure: Mapping[str, int]) -> tuple[str, ...]:
    """Of the parts that an observation of Ant-v5 has, by its `observation_structure`."""
    names = (*_FREE, *_ANT_JOINTS, *_FREE_VELOCITY, *velocities(_ANT_JOINTS))
    return names + (of_bodies(_ANT_BODIES, _FORCE) if structure.get("cfrc_ext") else ())


def humanoid_names(structure: Mapping[str, int]) -> tuple[str, ...]:
    """Of the parts that an observation of Humanoid-v5 has, by its `observation_structure`."""
    names = (*_FREE, *_HUMANOID_JOINTS, *_FREE_VELOCITY, *velocities(_HUMANOID_JOINTS))
    parts = {
        "cinert": of_bodies(_HUMANOID_BODIES, _INERTIA),
        "cvel": of_bodies(_HUMANOID_BODIES, _VELOCITY),
        "qfrc_actuator": tuple(f"{joint} force" for joint in _HUMANOID_JOINTS),
        "cfrc_ext": of_bodies(_HUMANOID_BODIES, _FORCE),
    }
    for part, of_part in parts.items():
        names += of_part if structure.get(part) else ()
    return names


_WALKER = ("thigh", "leg", "foot")
WALKER_JOINTS = of_bodies(_SIDES, _WALKER)
_CHEETAH = of_bodies(("back", "front"), ("thigh", "shin", "foot"))
_CARTPOLE = ("x", "x velocity", "angle", "angle velocity")
_CLASSIC = "gymnasium.envs.classic_control"
_MUJOCO = "gymnasium.envs.mujoco"
NAMES: dict[str, tuple[str, ...]] = {
    "tf_equirl.envs.cartpole.CartPole": _CARTPOLE,
    "tf_equirl.envs.control.acrobot.Acrobot": (
        *("sin1", "sin2", "cos1", "cos2"),
        *("angle1 velocity", "angle2 velocity"),
    ),
    "tf_equirl.envs.control.cartpole_swingup.CartPoleSwingup": (
        *("x", "cos", "sin", "x velocity", "angle velocity"),
    ),
    "tf_equirl.envs.control.reacher.Reacher": (
        *("cos1", "sin1", "angle2", "to_target_x", "to_target_y"),
        *("angle1 velocity", "angle2 velocity"),
    ),
    f"{_CLASSIC}.cartpole.CartPoleEnv": _CARTPOLE,
    f"{_CLASSIC}.acrobot.AcrobotEnv": (
        *("cos1", "sin1", "cos2", "sin2"),
        *("angle1 velocity", "angle2 velocity"),
    ),
    f"{_CLASSIC}.mountain_car.MountainCarEnv": ("x", "x velocity"),
    f"{_CLASSIC}.continuous_mountain_car.Continuous_MountainCarEnv": ("x", "x velocity"),
    f"{_CLASSIC}.pendulum.PendulumEnv": ("cos", "sin", "angle velocity"),
    "gymnasium.envs.box2d.lunar_lander.LunarLander": (
        *("x", "y", "vx", "vy", "angle", "angle velocity", "left leg", "right leg"),
    ),
    f"{_MUJOCO}.inverted_pendulum_v5.InvertedPendulumEnv": (
        *("x", "angle", "x velocity", "angle velocity"),
    ),
    f"{_MUJOCO}.inverted_double_pendulum_v5.InvertedDoublePendulumEnv": (
        *("x", "sin1", "sin2", "cos1", "cos2"),
        *("x velocity", "angle1 velocity", "angle2 velocity", "x force"),
    ),
    f"{_MUJOCO}.reacher_v5.ReacherEnv": (
        *("cos1", "cos2", "sin1", "sin2", "target_x", "target_y"),
        *("angle1 velocity", "angle2 velocity", "to_target_x", "to_target_y"),
    ),
    f"{_MUJOCO}.swimmer_v5.SwimmerEnv": (
        *("angle", "angle1", "angle2", "vx", "vy"),
        *velocities(("angle", "angle1", "angle2")),
    ),
    f"{_MUJOCO}.walker2d_v5.Walker2dEnv": (
        *("z", "angle", *WALKER_JOINTS, "vx", "vz", "angle velocity"),
        *velocities(WALKER_JOINTS),
    ),
    f"{_MUJOCO}.hopper_v5.HopperEnv": (
        *("z", "angle", *_WALKER, "vx", "vz", "angle velocity", *velocities(_WALKER)),
    ),
    f"{_MUJOCO}.half_cheetah_v5.HalfCheetahEnv": (
        *("z", "angle", *_CHEETAH, "vx", "vz", "angle velocity", *velocities(_CHEETAH)),
    ),
}
"""By the environment's class; of those whose observation has no optional parts."""

_MAKERS = {
    f"{_MUJOCO}.ant_v5.AntEnv": ant_names,
    f"{_MUJOCO}.humanoid_v5.HumanoidEnv": humanoid_names,
}


def names_of(raw: Any, dim: int) -> tuple[str, ...]:
    """The names of the `dim` coordinates of an unwrapped environment's flattened observations."""
    names = by_class(NAMES, raw)
    maker = by_class(_MAKERS, raw)
    if maker is not None:
        names = maker(raw.observation_structure)
    if names is None or len(names) != dim:
        names = tuple(f"s[{i}]" for i in range(dim))
    return names


def by_class(table: Mapping[str, T], value: Any) -> T | None:
    """What a table from "module.Class" holds of the class of a value, or of the nearest base."""
    keys = (f"{kind.__module__}.{kind.__qualname__}" for kind in type(value).__mro__)
    return next((table[key] for key in keys if key in table), None)
