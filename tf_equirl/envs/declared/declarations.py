"""The symmetries of gymnasium's environments, written in the names of their coordinates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from tf_equirl._checks import instance
from tf_equirl.envs.declared.names import (
    ANT_ACTIONS,
    HUMANOID_ACTIONS,
    NAMES,
    WALKER_JOINTS,
    ant_names,
    humanoid_names,
)
from tf_equirl.envs.declared.reflections import reflection
from tf_equirl.groups import (
    Representation,
    Symmetry,
    dihedral_group,
)

_EVERY_PART = dict.fromkeys(("cinert", "cvel", "qfrc_actuator", "cfrc_ext"), 1)


@dataclass(frozen=True)
class Declaration:
    """What is known of the symmetry of one of gymnasium's environments.

    Attributes:
        env_id: The id that gymnasium makes it by.
        symmetry: The largest finite group known, acting on flattened observations and on actions;
            None where there is none.
        acts: How it acts, in words.
        why: Whether it is exact, and why, in a sentence; or why there is none. How far it holds is
            measured in the table of docs/environments.md.
    """

    env_id: str
    symmetry: Symmetry | None
    acts: str
    why: str


def declared_symmetry(env: str | gymnasium.Env) -> Symmetry | None:
    """The symmetry of one of gymnasium's environments, for `check_symmetry` and for networks.

    Args:
        env: An id, such as "Ant-v5", or an environment that was made from one. Ant-v5 and
            Humanoid-v5 may be made without some parts of their observations.

    Returns:
        The symmetry, also where it holds only approximately (`declaration(env).why`). None if there
        is none, none is known, or the environment observes something else than usual.

    Raises:
        ValueError: If `env` is neither a string nor a gymnasium.Env.

    Example:
        >>> from tf_equirl.envs import declared_symmetry
        >>> pendulum = declared_symmetry("Pendulum-v1")
        >>> pendulum.state.matrices[1].diagonal()  # cosine, sine, velocity
        array([ 1., -1., -1.])
        >>> declared_symmetry("Hopper-v5") is None
        True
    """
    found = declaration(env)
    return None if found is None else found.symmetry


def declaration(env: str | gymnasium.Env) -> Declaration | None:
    """What is known of the symmetry of one of gymnasium's environments; see `declared_symmetry`.

    Raises:
        ValueError: If `env` is neither a string nor a gymnasium.Env.
    """
    if isinstance(env, str):
        return DECLARED.get(env)
    instance("env", env, gymnasium.Env, "an id of gymnasium's or a gymnasium.Env")
    found = None if env.spec is None else DECLARED.get(env.spec.id)
    if found is None or found.symmetry is None:
        return found
    if found.env_id in _OPTIONAL_PARTS:
        structure = getattr(env.unwrapped, "observation_structure", {})
        found = _OPTIONAL_PARTS[found.env_id](structure)
    dim = gymnasium.spaces.flatdim(env.observation_space)
    return found if found.symmetry is not None and found.symmetry.state.dim == dim else None


def _mirror(
    env_id: str, cls: str, actions: Sequence[str], flips: str, acts: str, why: str, **options: Any
) -> Declaration:
    symmetry = reflection(NAMES[cls], actions, flips.split(), **options)
    return Declaration(env_id, symmetry, acts, why)


def _reacher() -> Declaration:
    """Turns by 90 degrees and reflections of the table."""
    names = NAMES["gymnasium.envs.mujoco.reacher_v5.ReacherEnv"]
    turn, flip = np.eye(10), np.eye(10)
    for first, second in (
        ("cos1", "sin1"),
        ("target_x", "target_y"),
        ("to_target_x", "to_target_y"),
    ):
        x, y = names.index(first), names.index(second)
        turn[np.ix_([x, y], [x, y])] = [[0, -1], [1, 0]]
    for name in ("sin1", "sin2", "target_y", "angle1 velocity", "angle2 velocity", "to_target_y"):
        flip[names.index(name), names.index(name)] = -1
    group = dihedral_group(4)
    state = Representation.from_generators(group, {1: turn, 4: flip})
    action = Representation.from_generators(group, {1: np.eye(2), 4: -np.eye(2)})
    return Declaration(
        "Reacher-v5",
        Symmetry(group, state, action),
        "turns the table by 90 degrees; reflects it, which reverses both torques",
        "exact: no wall stops the arm's first joint, and the reward is a distance",
    )


def _ant(structure: Mapping[str, int]) -> Declaration:
    flips = ["qx", "qz", "vy", "wx", "wz", "hip", "torque_x", "torque_z", "force_y"]
    return Declaration(
        "Ant-v5",
        reflection(ant_names(structure), ANT_ACTIONS, flips, {"leg1": "leg4", "leg2": "leg3"}),
        "reflects left and right: the legs of the two sides change places, hips change the sign",
        "exact up to the solver's tolerance; front and back are none, the reward is the speed to x",
    )


def _humanoid(structure: Mapping[str, int]) -> Declaration:
    flips = "qx qz vy wx wz abdomen_z abdomen_x shoulder1 shoulder2 torque_x torque_z force_y"
    inertia = "Ixy Iyz my"
    symmetry = reflection(
        humanoid_names(structure),
        HUMANOID_ACTIONS,
        [*flips.split(), *inertia.split()],
        {"left": "right"},
    )
    return Declaration(
        "Humanoid-v5",
        symmetry,
        "reflects left and right: the limbs of the two sides change places",
        "nearly: only the left knee has a spring, and the hips' armature about y is 0.008 on the "
        "right and 0.010 on the left; steps with contacts differ most",
    )


_OPTIONAL_PARTS = {"Ant-v5": _ant, "Humanoid-v5": _humanoid}

_CLASSIC = "gymnasium.envs.classic_control"
_MUJOCO = "gymnasium.envs.mujoco"
_LANDER = "gymnasium.envs.box2d.lunar_lander.LunarLander"
_LANDER_WHY = (
    "exact in distribution: engines are dispersed and the ground is drawn symmetrically; single "
    "steps cannot be compared, because the state cannot be set"
)
_HILL = {
    "flips": "x",
    "swaps": {"left": "right"},
    "center": {"x": -math.pi / 6},
    "acts": "reflects the valley about its bottom, x = -pi/6; left and right change places",
    "why": "exact inside the valley, whose slope is cos(3 x); broken at the wall on the left and "
    "the goal on the right, and so in what ends an episode",
}

DECLARED: dict[str, Declaration] = {
    found.env_id: found
    for found in (
        _mirror(
            "CartPole-v1",
            f"{_CLASSIC}.cartpole.CartPoleEnv",
            ("push left", "push right"),
            "x angle",
            "reflects left and right: every coordinate changes the sign, the pushes change places",
            "exact",
            swaps={"left": "right"},
        ),
        _mirror(
            "Acrobot-v1",
            f"{_CLASSIC}.acrobot.AcrobotEnv",
            ("-1 torque", "0 torque", "+1 torque"),
            "sin1 sin2 angle1 angle2",
            "reflects left and right: sines and velocities change the sign, the torque is reversed",
            "exact",
            swaps={"-1": "+1"},
        ),
        _mirror(
            "MountainCar-v0",
            f"{_CLASSIC}.mountain_car.MountainCarEnv",
            ("push left", "no push", "push right"),
            **_HILL,  # type: ignore[arg-type]
        ),
        _mirror(
            "MountainCarContinuous-v0",
            f"{_CLASSIC}.continuous_mountain_car.Continuous_MountainCarEnv",
            ("x push",),
            **{**_HILL, "swaps": None},  # type: ignore[arg-type]
        ),
        _mirror(
            "Pendulum-v1",
            f"{_CLASSIC}.pendulum.PendulumEnv",
            ("angle torque",),
            "sin angle",
            "reflects left and right: the sine, the velocity and the torque change the sign",
            "exact",
        ),
        _mirror(
            "LunarLander-v3",
            _LANDER,
            ("no engine", "left engine", "main engine", "right engine"),
            "x vx angle",
            "reflects left and right: legs and side engines change places",
            _LANDER_WHY,
            swaps={"left": "right"},
        ),
        _mirror(
            "LunarLanderContinuous-v3",
            _LANDER,
            ("main engine", "x engine"),
            "x vx angle",
            "reflects left and right: legs change places, the side engine's throttle its sign",
            _LANDER_WHY,
            swaps={"left": "right"},
        ),
        _mirror(
            "InvertedPendulum-v5",
            f"{_MUJOCO}.inverted_pendulum_v5.InvertedPendulumEnv",
            ("x force",),
            "x angle",
            "reflects left and right: everything changes the sign",
            "approximate: the model's pole leans by 0.001 of 0.6 to one side",
        ),
        _mirror(
            "InvertedDoublePendulum-v5",
            f"{_MUJOCO}.inverted_double_pendulum_v5.InvertedDoublePendulumEnv",
            ("x force",),
            "x sin1 sin2 angle1 angle2",
            "reflects left and right: positions, sines, velocities and forces change the sign",
            "approximate: the model's gravity leans by 0.00001 of 9.81 to one side",
        ),
        _reacher(),
        _mirror(
            "Swimmer-v5",
            f"{_MUJOCO}.swimmer_v5.SwimmerEnv",
            ("angle1 torque", "angle2 torque"),
            "angle angle1 angle2 vy",
            "reflects left and right: angles, the speed to the side and torques change the sign",
            "exact; front and back are none, the reward is the speed to x",
        ),
        _mirror(
            "Walker2d-v5",
            f"{_MUJOCO}.walker2d_v5.Walker2dEnv",
            WALKER_JOINTS,
            "",
            "the two legs change places",
            "exact up to the solver's tolerance: since version 5 both feet have the same friction",
            swaps={"left": "right"},
        ),
        Declaration(
            "Hopper-v5", None, "", "none: one leg in a plane, with a foot that points forwards"
        ),
        Declaration(
            "HalfCheetah-v5",
            None,
            "",
            "none: in a plane, with other legs in front than at the back",
        ),
        _ant(_EVERY_PART),
        _humanoid(_EVERY_PART),
    )
}
"""By id."""
