"""Agents: PPO, with tf-agents' own loss, trained for many seeds in one compiled program.

Importing this package loads no tf-agents: what needs it says how to install it where it is missing.
"""

from __future__ import annotations

from tf_equirl._tensorflow import require_tensorflow

require_tensorflow("tf_equirl.agents")

import importlib
from typing import TYPE_CHECKING, Any

from tf_equirl._tf_agents import prepare_for_tf_agents
from tf_equirl.agents.ppo.config import PPOConfig
from tf_equirl.training.progress import NonFiniteError, Progress
from tf_equirl.training.result import TrainingResult

if TYPE_CHECKING:
    from tf_equirl.agents.ppo.make_agent import make_ppo_agent
    from tf_equirl.agents.ppo.networks import KerasNetwork
    from tf_equirl.agents.ppo.train import load_result, train_ppo

__all__ = [
    "KerasNetwork",
    "NonFiniteError",
    "PPOConfig",
    "Progress",
    "TrainingResult",
    "load_result",
    "make_ppo_agent",
    "train_ppo",
]
prepare_for_tf_agents()

# Where those stand that need tf-agents.
_HOMES = {
    "KerasNetwork": "networks",
    "load_result": "train",
    "make_ppo_agent": "make_agent",
    "train_ppo": "train",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.ppo.{_HOMES[name]}"), name)
