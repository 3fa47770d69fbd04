"""Transition models: data to learn them from, learning, and how good they are."""

from tf_equirl._tensorflow import require_tensorflow

require_tensorflow("tf_equirl.dynamics")

from tf_equirl.dynamics.collection import collect_transitions
from tf_equirl.dynamics.config import TransitionModelConfig
from tf_equirl.dynamics.datasets import (
    DATASET_KINDS,
    all_transitions,
    half_and_half,
    make_dataset,
    one_action_of_each_orbit,
)
from tf_equirl.dynamics.equivariance import (
    TransitionEquivariance,
    image_correlation,
    sample_pairs,
    transition_equivariance,
)
from tf_equirl.dynamics.fit import fit_transition_model
from tf_equirl.dynamics.measures import rollout_errors, transition_errors
from tf_equirl.dynamics.progress import FitProgress
from tf_equirl.dynamics.result import TransitionResult, load_transition_result
from tf_equirl.dynamics.transitions import Transitions, join
from tf_equirl.training.population import initial_weights

__all__ = [
    "DATASET_KINDS",
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
    "load_transition_result",
    "make_dataset",
    "one_action_of_each_orbit",
    "rollout_errors",
    "sample_pairs",
    "transition_equivariance",
    "transition_errors",
]
