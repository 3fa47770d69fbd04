"""PPO: tf-agents' own agent on Keras 3 models, and the compiled population trainer.

Needs tf-agents; importing this package says how to install it where it is missing.
"""

from tf_equirl._tf_agents import require_tf_agents

require_tf_agents()

from tf_equirl.agents.config import PPOConfig  # noqa: E402
from tf_equirl.agents.networks import KerasNetwork  # noqa: E402
from tf_equirl.agents.ppo import make_ppo_agent  # noqa: E402
from tf_equirl.agents.progress import NonFiniteError, Progress  # noqa: E402
from tf_equirl.agents.result import TrainingResult  # noqa: E402
from tf_equirl.agents.saved_runs import load_result  # noqa: E402
from tf_equirl.agents.train import train_ppo  # noqa: E402

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
