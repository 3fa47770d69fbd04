"""Pure-TensorFlow environments that declare their symmetry, and adapters for them.

Importing this package registers the gymnasium ids, for example "tf_equirl/CartPole-v1". tf-agents
is imported only by `make_tf_agents`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tf_equirl._tensorflow import require_tensorflow

require_tensorflow("tf_equirl.envs")

import gymnasium

from tf_equirl.envs.adapters.gymnasium_env import GymnasiumEnv
from tf_equirl.envs.adapters.gymnasium_vector import GymnasiumVectorEnv
from tf_equirl.envs.base import BaseEnvironment
from tf_equirl.envs.cartpole import CartPole, CartPoleState
from tf_equirl.envs.catch import Catch, CatchState
from tf_equirl.envs.checks import check_environment
from tf_equirl.envs.control.acrobot import Acrobot
from tf_equirl.envs.control.cartpole_swingup import CartPoleSwingup
from tf_equirl.envs.control.reacher import Reacher, ReacherState
from tf_equirl.envs.control.task import ControlState, ControlTask
from tf_equirl.envs.environment import Environment
from tf_equirl.envs.exact import exact_returns, optimal_return
from tf_equirl.envs.grid_world import GridWorld, GridWorldState
from tf_equirl.envs.host import HostEnvironment, observation_representation
from tf_equirl.envs.noise import NoisyObservations
from tf_equirl.envs.pixels import Pixels, PixelsState
from tf_equirl.envs.registry import make, names, register
from tf_equirl.envs.snake import Snake, SnakeState
from tf_equirl.envs.symmetries import (
    Discovery,
    NearMiss,
    OutcomeReport,
    Recommendation,
    SymmetryGaps,
    SymmetryReport,
    TwoSampleReport,
    check_symmetry,
    declared_symmetry,
    discover_symmetries,
    dynamics_of,
    recommend,
    reflection,
    symmetry_gaps,
)

if TYPE_CHECKING:
    from tf_equirl.envs.adapters.tf_agents_env import TFAgentsEnvironment

__all__ = [
    "Acrobot",
    "BaseEnvironment",
    "CartPole",
    "CartPoleState",
    "CartPoleSwingup",
    "Catch",
    "CatchState",
    "ControlState",
    "ControlTask",
    "Discovery",
    "Environment",
    "GridWorld",
    "GridWorldState",
    "GymnasiumEnv",
    "GymnasiumVectorEnv",
    "HostEnvironment",
    "NearMiss",
    "NoisyObservations",
    "OutcomeReport",
    "Pixels",
    "PixelsState",
    "Reacher",
    "ReacherState",
    "Recommendation",
    "Snake",
    "SnakeState",
    "SymmetryGaps",
    "SymmetryReport",
    "TwoSampleReport",
    "check_environment",
    "check_symmetry",
    "declared_symmetry",
    "discover_symmetries",
    "dynamics_of",
    "exact_returns",
    "make",
    "make_tf_agents",
    "names",
    "observation_representation",
    "optimal_return",
    "recommend",
    "reflection",
    "register",
    "symmetry_gaps",
]


def make_tf_agents(
    environment: Environment | str, batch_size: int = 1, seed: int = 0
) -> TFAgentsEnvironment:
    """Makes a tf-agents `TFEnvironment`; see `TFAgentsEnvironment`.

    Args:
        environment: An environment or its registered name.
        batch_size: Number of copies that step together, at most 2^20.
        seed: An integer in [0, 2^31); the same seed and actions give the same time steps.

    Raises:
        ImportError: If tf-agents is not installed; the message says how to.
        ValueError: If an argument is not one of those.
    """
    from tf_equirl.envs.adapters.tf_agents_env import TFAgentsEnvironment

    return TFAgentsEnvironment(environment, batch_size, seed)


# float64, as gymnasium's own CartPole-v1 computes. The time limit is a part of the registration:
# `gymnasium.make` adds it as a wrapper, `gymnasium.make_vec` passes it to the environment.
if "tf_equirl/CartPole-v1" not in gymnasium.registry:
    gymnasium.register(
        "tf_equirl/CartPole-v1",
        entry_point="tf_equirl.envs.adapters.gymnasium_env:GymnasiumEnv",
        vector_entry_point="tf_equirl.envs.adapters.gymnasium_vector:GymnasiumVectorEnv",
        reward_threshold=475.0,
        max_episode_steps=500,
        kwargs={"environment": "CartPole", "dtype": "float64"},
    )

# No time limit: every episode ends by itself.
if "tf_equirl/Catch-v0" not in gymnasium.registry:
    gymnasium.register(
        "tf_equirl/Catch-v0",
        entry_point="tf_equirl.envs.adapters.gymnasium_env:GymnasiumEnv",
        vector_entry_point="tf_equirl.envs.adapters.gymnasium_vector:GymnasiumVectorEnv",
        reward_threshold=1.0,
        kwargs={"environment": "Catch"},
    )

# 0.73 is the mean return of the best policy.
if "tf_equirl/GridWorld-v0" not in gymnasium.registry:
    gymnasium.register(
        "tf_equirl/GridWorld-v0",
        entry_point="tf_equirl.envs.adapters.gymnasium_env:GymnasiumEnv",
        vector_entry_point="tf_equirl.envs.adapters.gymnasium_vector:GymnasiumVectorEnv",
        reward_threshold=0.7,
        max_episode_steps=100,
        kwargs={"environment": "GridWorld"},
    )

if "tf_equirl/Snake-v0" not in gymnasium.registry:
    gymnasium.register(
        "tf_equirl/Snake-v0",
        entry_point="tf_equirl.envs.adapters.gymnasium_env:GymnasiumEnv",
        vector_entry_point="tf_equirl.envs.adapters.gymnasium_vector:GymnasiumVectorEnv",
        max_episode_steps=1_000,
        kwargs={"environment": "Snake"},
    )

# Tasks of the DeepMind Control Suite, whose numbers are float64.
for _task in ("Acrobot", "CartPoleSwingup", "Reacher"):
    if f"tf_equirl/{_task}-v0" not in gymnasium.registry:
        gymnasium.register(
            f"tf_equirl/{_task}-v0",
            entry_point="tf_equirl.envs.adapters.gymnasium_env:GymnasiumEnv",
            vector_entry_point="tf_equirl.envs.adapters.gymnasium_vector:GymnasiumVectorEnv",
            max_episode_steps=1_000,
            kwargs={"environment": _task, "dtype": "float64"},
        )
