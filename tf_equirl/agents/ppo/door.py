"""The one door to tf-agents: what PPO uses of it is imported from here.

Raises:
    ImportError: On import, if tf-agents is missing; see `require_tf_agents`.
"""

from tf_equirl._tf_agents import require_tf_agents

require_tf_agents()  # before the imports below, which find Keras 2 through it

import tensorflow_probability as tfp
from tf_agents.agents.ppo import ppo_clip_agent
from tf_agents.networks import network, utils
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step

__all__ = ["network", "ppo_clip_agent", "tensor_spec", "tfp", "time_step", "utils"]
