"""dm_control's ball in a cup, stepped by MuJoCo on the host, its symmetry broken by degrees."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from tf_equirl._quiet import quiet_imports
from tf_equirl.envs.breaking import Breaking, checked_breaking
from tf_equirl.envs.declared.reflections import reflection
from tf_equirl.envs.host import HostEnvironment

TILT = -2.0  # m/s^2, the horizontal part of gravity where it is broken as published
STEP_LIMIT = 1_000
_NAMES = ("cup x", "cup z", "ball x", "ball z")


class BallInCup(HostEnvironment):
    """dm_control's `ball_in_cup`, `catch`: swing a ball on a string into a cup.

    `envs.make("tf_equirl.envs.ball_in_cup:BallInCup", breaking="gravity", kappa=0.5)`. Two actions
    in [-1, 1], forces on the cup along x and z. Observations are dm_control's `position` and
    `velocity`: cup x, cup z, ball x, ball z, and their velocities. The reward is 1 while the ball
    is in the cup. Episodes last 1,000 steps of 0.02 s. Contacts and the string are MuJoCo's; Shimmy
    makes dm_control's interface gymnasium's. Tassa et al., "DeepMind Control Suite" (2018).

    Its symmetry is the mirror: C2 changes the sign of what lies along x, of the force, too.

    It can be broken (Park et al., 2025, appendix D): "gravity" is (-2 kappa, -9.81) m/s^2; "repeat"
    and "reflect" hold while ball x > 0 and ball z > 0.3, as observed, and reverse both forces;
    "gain" is of the force along x. "repeat" goes on for kappa further control steps, rounded to a
    tenth. See `Breaking`.

    Args:
        breaking: How the symmetry is broken: "none", "gain", "gravity", "reflect" or "repeat".
        kappa: How much: 0 is not at all, 1 as published; at most 100.
        policy: See `HostEnvironment`.
        vectorization: Likewise.
        max_episode_steps: Likewise.

    Raises:
        ValueError: If an argument is not one of those.
        ImportError: If dm_control or Shimmy is not installed (the extra "dmc").
    """

    acts = "reflects left and right: what lies along x changes the sign"

    def __init__(
        self,
        breaking: str = "none",
        kappa: float = 1.0,
        policy: str = "gaussian",
        vectorization: str | Callable[[int], gymnasium.vector.VectorEnv] = "sync",
        max_episode_steps: int | None = None,
    ) -> None:
        """Checks the arguments and makes one environment, to read its spaces."""
        checked_breaking(breaking, kappa)
        names = [*_NAMES, *(f"{name} velocity" for name in _NAMES)]
        super().__init__(
            functools.partial(broken_ball_in_cup, breaking=breaking, kappa=kappa),
            reflection(names, ["x force", "z force"], ["x"]),
            policy=policy,
            vectorization=vectorization,
            max_episode_steps=max_episode_steps,
            name="BallInCup",
        )


def broken_ball_in_cup(breaking: str = "none", kappa: float = 1.0) -> gymnasium.Env:
    """The task behind gymnasium's interface, as `BallInCup` steps it.

    Args:
        breaking: See `BallInCup`.
        kappa: Likewise.

    Raises:
        ValueError: If an argument is not one of those.
        ImportError: If dm_control or Shimmy is not installed.
    """
    checked = checked_breaking(breaking, kappa)
    try:
        with quiet_imports():
            from dm_control import suite
            from shimmy import DmControlCompatibilityV0
    except ImportError as error:
        raise ImportError(
            "BallInCup needs dm_control and Shimmy: pip install 'tf_equirl[dmc]' "
            f"(docs/control.md says how on Python 3.13). {error}"
        ) from error
    task = suite.load("ball_in_cup", "catch")
    env = _BrokenByDegrees(DmControlCompatibilityV0(task, render_mode="rgb_array"), checked)
    return gymnasium.wrappers.TimeLimit(env, STEP_LIMIT)


def restore(env: Any, observation: NDArray[np.float64]) -> None:
    """Sets the state that is observed as `observation` [8], for `check_symmetry`."""
    with env.physics.reset_context():
        env.physics.data.qpos[:], env.physics.data.qvel[:] = observation[:4], observation[4:]


class _BrokenByDegrees(gymnasium.Wrapper):
    """What `Breaking` says, done to MuJoCo's model and its steps."""

    def __init__(self, env: Any, breaking: Breaking) -> None:
        super().__init__(env)
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": 50}
        self._breaking = breaking
        self._task: Any = env.unwrapped  # Shimmy's, which has dm_control's attributes
        self._physics: Any = self._task.physics
        self._physics.model.opt.gravity[0] = TILT * breaking.tilt
        self._physics.model.actuator_ctrllimited[:] = 0  # it is here that actions are cut off
        self._substeps = round(self._task.control_timestep() / self._physics.timestep())

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """See `BallInCup`."""
        _, _, x, z = self._physics.data.qpos
        inside = x > 0 and z > 0.3
        applied = np.clip(action, -1.0, 1.0) * (self._breaking.reflection if inside else 1.0)
        applied[0] *= self._breaking.gain if applied[0] > 0 else 1.0
        observation, reward, terminated, truncated, info = self.env.step(applied)
        repeats = self._breaking.repeats() if inside else []
        total = float(reward)
        for length in repeats:
            self._physics.step(max(1, round(length * self._substeps)))
            total += length * self._task.task.get_reward(self._physics)
        if repeats:
            observation = dict(self._task.task.get_observation(self._physics))
            total /= 1 + self._breaking.kappa
        return observation, total, terminated, truncated, info
