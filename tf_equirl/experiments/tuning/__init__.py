"""Searching hyperparameters: trials as members of compiled populations."""

from tf_equirl.experiments.tuning.importance import importance, plot_search
from tf_equirl.experiments.tuning.search import METHODS, OBJECTIVES, Search, tune, with_values
from tf_equirl.experiments.tuning.trials import Trial, Tuned, trial_rows, trials_table

__all__ = [
    "METHODS",
    "OBJECTIVES",
    "Search",
    "Trial",
    "Tuned",
    "importance",
    "plot_search",
    "trial_rows",
    "trials_table",
    "tune",
    "with_values",
]
