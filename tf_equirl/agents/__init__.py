"""PPO: tf-agents' own agent on Keras 3 models, and the compiled population trainer.

Needs tf-agents; importing this package says how to install it where it is missing.
"""

from tf_equirl._tf_agents import require_tf_agents

require_tf_agents()

from tf_equirl.agents.ppo.config import PPOConfig  # noqa: E402
from tf_equirl.agents.ppo.networks import KerasNetwork  # noqa: E402
from tf_equirl.agents.ppo.saved_runs import load_result  # noqa: E402
from tf_equirl.agents.ppo.tf_agents_ppo import make_ppo_agent  # noqa: E402
from tf_equirl.agents.ppo.train import train_ppo  # noqa: E402
from tf_equirl.training.progress import NonFiniteError, Progress  # noqa: E402
from tf_equirl.training.result import TrainingResult  # noqa: E402

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
