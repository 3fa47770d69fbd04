"""Learned models of the environment, and planning in them."""

from tf_equirl.dyna.config import TransitionModelConfig
from tf_equirl.dyna.datasets import (
    DATASET_KINDS,
    all_transitions,
    collect_transitions,
    half_and_half,
    make_dataset,
    one_action_of_each_orbit,
)
from tf_equirl.dyna.dyna_config import DynaConfig
from tf_equirl.dyna.dyna_result import DynaResult
from tf_equirl.dyna.dyna_run import DynaProgress
from tf_equirl.dyna.equivariance import (
    TransitionEquivariance,
    image_correlation,
    sample_pairs,
    transition_equivariance,
)
from tf_equirl.dyna.fit import fit_transition_model
from tf_equirl.dyna.fit_run import FitProgress
from tf_equirl.dyna.measures import rollout_errors, transition_errors
from tf_equirl.dyna.members import initial_weights
from tf_equirl.dyna.result import TransitionResult, load_transition_result
from tf_equirl.dyna.train import train_dyna
from tf_equirl.dyna.transitions import Transitions, join

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
    "load_transition_result",
    "make_dataset",
    "one_action_of_each_orbit",
    "rollout_errors",
    "sample_pairs",
    "train_dyna",
    "transition_equivariance",
    "transition_errors",
]
