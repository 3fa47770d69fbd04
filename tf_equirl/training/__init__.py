"""Training of many members at once, whatever the algorithm; no tf-agents.

`train` runs a `Learner`: docs/extending.md writes one from scratch.
"""

from tf_equirl._tensorflow import require_tensorflow

require_tensorflow("tf_equirl.training")

from tf_equirl.training.acting import ActingLearner
from tf_equirl.training.collect import Rollout, act, by_member, collect
from tf_equirl.training.config import AgentConfig, Config, OnPolicyConfig
from tf_equirl.training.learner import Learner, RunView, Stage, Trouble
from tf_equirl.training.off_policy import OffPolicyLearner
from tf_equirl.training.on_policy import AgentState, OnPolicyLearner, make_networks
from tf_equirl.training.population import Population, Weights
from tf_equirl.training.programs import ProcessFullError
from tf_equirl.training.programs import clear as clear_programs
from tf_equirl.training.progress import NonFiniteError, Progress, progress_bar
from tf_equirl.training.replay_config import ReplayConfig
from tf_equirl.training.result import Outcome, Result, TrainingResult
from tf_equirl.training.run import train

__all__ = [
    "ActingLearner",
    "AgentConfig",
    "AgentState",
    "Config",
    "Learner",
    "NonFiniteError",
    "OffPolicyLearner",
    "OnPolicyConfig",
    "OnPolicyLearner",
    "Outcome",
    "Population",
    "ProcessFullError",
    "Progress",
    "ReplayConfig",
    "Result",
    "Rollout",
    "RunView",
    "Stage",
    "TrainingResult",
    "Trouble",
    "Weights",
    "act",
    "by_member",
    "clear_programs",
    "collect",
    "make_networks",
    "progress_bar",
    "train",
]
