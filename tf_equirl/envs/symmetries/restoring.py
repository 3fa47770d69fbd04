"""Sets gymnasium's environments to the state that an observation tells of."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tf_equirl.envs.declared.names import by_class

Restore = Callable[[Any, NDArray[np.float64]], None]
"""`restore(env, observation)`: sets `env`, unwrapped and just reset, to the state that is observed
as the flattened `observation` [d]."""


class Access(NamedTuple):
    """How to write and read the state of an environment through its observations.

    Attributes:
        restore: Sets the state.
        observe: Reads the observation [d] float64 of the present state, without the rounding to
            float32 of some of gymnasium's observations; None for what `step` returns.
        precision: In which the environment itself keeps its state, np.float32 or np.float64.
    """

    restore: Restore
    observe: Callable[[Any], NDArray[np.float64]] | None
    precision: type[np.floating]


def known_access(raw: Any) -> Access | None:
    """How to set an unwrapped environment of gymnasium's own, or of a subclass; else None."""
    access = by_class(_ACCESS, raw)
    if access is not None:
        return access
    structure = getattr(raw, "observation_structure", None)
    if hasattr(raw, "set_state") and structure is not None and {"qpos", "qvel"} <= set(structure):
        return _MUJOCO
    return None


def state_access(raw: Any) -> Access | None:
    """Sets and reads `raw.state` itself, where it is a vector of numbers that can be set."""
    try:
        state = np.asarray(raw.state)
        if state.ndim != 1 or not np.issubdtype(state.dtype, np.number):
            return None
        raw.state = raw.state
    except (AttributeError, TypeError, ValueError):  # no state, none of numbers, or read-only
        return None
    return Access(_set_state, _read_state, np.float64)


def _set_state(raw: Any, observation: NDArray[np.float64]) -> None:
    raw.state = observation


def _read_state(raw: Any) -> NDArray[np.float64]:
    return np.array(raw.state, np.float64)


def _restore_acrobot(raw: Any, observation: NDArray[np.float64]) -> None:
    cos1, sin1, cos2, sin2, velocity1, velocity2 = observation
    raw.state = np.array([math.atan2(sin1, cos1), math.atan2(sin2, cos2), velocity1, velocity2])


def _observe_acrobot(raw: Any) -> NDArray[np.float64]:
    first, second, *velocities = raw.state
    angles = [math.cos(first), math.sin(first), math.cos(second), math.sin(second)]
    return np.array([*angles, *velocities], np.float64)


def _restore_pendulum(raw: Any, observation: NDArray[np.float64]) -> None:
    cosine, sine, velocity = observation
    raw.state = np.array([math.atan2(sine, cosine), velocity])


def _observe_pendulum(raw: Any) -> NDArray[np.float64]:
    angle, velocity = raw.state
    return np.array([math.cos(angle), math.sin(angle), velocity], np.float64)


def _set_joints(raw: Any, positions: NDArray[np.float64], velocities: NDArray[np.float64]) -> None:
    # MuJoCo's solver starts from the acceleration before, here of the reset's random state.
    raw.data.qacc_warmstart[:] = 0.0
    raw.set_state(positions, velocities)


def _restore_mujoco(raw: Any, observation: NDArray[np.float64]) -> None:
    """Positions that the observation leaves out are 0; parts that follow from these are skipped."""
    structure = raw.observation_structure
    skipped, joints = structure.get("skipped_qpos", 0), structure["qpos"]
    positions = np.concatenate([np.zeros(skipped), observation[:joints]])
    _set_joints(raw, positions, observation[joints : joints + structure["qvel"]])


def _restore_reacher(raw: Any, observation: NDArray[np.float64]) -> None:
    """The target stands still, as at every reset."""
    cosines, sines, target, velocities = np.split(observation[:8], 4)
    positions = np.concatenate([np.arctan2(sines, cosines), target])
    _set_joints(raw, positions, np.concatenate([velocities, np.zeros(2)]))


def _restore_double_pendulum(raw: Any, observation: NDArray[np.float64]) -> None:
    angles = np.arctan2(observation[1:3], observation[3:5])
    _set_joints(raw, np.concatenate([observation[:1], angles]), observation[5:8])


_STATE = Access(_set_state, _read_state, np.float64)
_MUJOCO = Access(_restore_mujoco, None, np.float64)
_CLASSIC = "gymnasium.envs.classic_control"
_ACCESS = {
    f"{_CLASSIC}.cartpole.CartPoleEnv": _STATE,
    f"{_CLASSIC}.mountain_car.MountainCarEnv": _STATE,
    # It rounds its state itself to float32.
    f"{_CLASSIC}.continuous_mountain_car.Continuous_MountainCarEnv": Access(
        _set_state, _read_state, np.float32
    ),
    f"{_CLASSIC}.acrobot.AcrobotEnv": Access(_restore_acrobot, _observe_acrobot, np.float64),
    f"{_CLASSIC}.pendulum.PendulumEnv": Access(_restore_pendulum, _observe_pendulum, np.float64),
    "gymnasium.envs.mujoco.reacher_v5.ReacherEnv": Access(_restore_reacher, None, np.float64),
    "gymnasium.envs.mujoco.inverted_double_pendulum_v5.InvertedDoublePendulumEnv": Access(
        _restore_double_pendulum, None, np.float64
    ),
}
