"""Agents: PPO, with tf-agents' own loss, double DQN, SAC and DrQ-v2, for many seeds, compiled.

Importing this package loads no tf-agents: what needs it, all of PPO, says how to install it where
it is missing.
"""

from __future__ import annotations

from tf_equirl._tensorflow import require_tensorflow

require_tensorflow("tf_equirl.agents")

import importlib
from typing import TYPE_CHECKING, Any

from tf_equirl._tf_agents import prepare_for_tf_agents
from tf_equirl.agents.dqn.config import DQNConfig
from tf_equirl.agents.dqn.result import DQNResult
from tf_equirl.agents.dqn.train import load_dqn_result, train_dqn
from tf_equirl.agents.drqv2.config import DrQv2Config
from tf_equirl.agents.drqv2.result import DrQv2Result
from tf_equirl.agents.drqv2.train import load_drqv2_result, train_drqv2
from tf_equirl.agents.ppo.config import PPOConfig
from tf_equirl.agents.sac.config import SACConfig
from tf_equirl.agents.sac.result import SACResult
from tf_equirl.agents.sac.train import load_sac_result, train_sac
from tf_equirl.training.progress import NonFiniteError, Progress
from tf_equirl.training.result import TrainingResult

if TYPE_CHECKING:
    from tf_equirl.agents.ppo.make_agent import make_ppo_agent
    from tf_equirl.agents.ppo.networks import KerasNetwork
    from tf_equirl.agents.ppo.train import load_result, train_ppo

__all__ = [
    "DQNConfig",
    "DQNResult",
    "DrQv2Config",
    "DrQv2Result",
    "KerasNetwork",
    "NonFiniteError",
    "PPOConfig",
    "Progress",
    "SACConfig",
    "SACResult",
    "TrainingResult",
    "load_dqn_result",
    "load_drqv2_result",
    "load_result",
    "load_sac_result",
    "make_ppo_agent",
    "train_dqn",
    "train_drqv2",
    "train_ppo",
    "train_sac",
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
