"""Planning in learned models of the environment; all of `tf_equirl.dynamics` stands here, too."""

from tf_equirl._tensorflow import require_tensorflow

require_tensorflow("tf_equirl.dyna")

from tf_equirl.dyna.config import DynaConfig
from tf_equirl.dyna.progress import DynaProgress
from tf_equirl.dyna.result import DynaResult
from tf_equirl.dyna.train import load_dyna_result, train_dyna
from tf_equirl.dynamics import (
    DATASET_KINDS,
    FitProgress,
    TransitionEquivariance,
    TransitionModelConfig,
    TransitionResult,
    Transitions,
    all_transitions,
    collect_transitions,
    fit_transition_model,
    half_and_half,
    image_correlation,
    initial_weights,
    join,
    load_transition_result,
    make_dataset,
    one_action_of_each_orbit,
    rollout_errors,
    sample_pairs,
    transition_equivariance,
    transition_errors,
)

__all__ = [
    "DATASET_KINDS",
    "DynaConfig",
    "DynaProgress",
    "DynaResult",
    "FitProgress",
    "TransitionEquivariance",
    "TransitionModelConfig",
    "TransitionResult",
    "Transitions",
    "all_transitions",
    "collect_transitions",
    "fit_transition_model",
    "half_and_half",
    "image_correlation",
    "initial_weights",
    "join",
    "load_dyna_result",
    "load_transition_result",
    "make_dataset",
    "one_action_of_each_orbit",
    "rollout_errors",
    "sample_pairs",
    "train_dyna",
    "transition_equivariance",
    "transition_errors",
]
