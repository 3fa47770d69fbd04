"""Searching hyperparameters: trials as members of compiled populations."""

from tf_equirl.experiments.tuning.search import METHODS, OBJECTIVES, Search
from tf_equirl.experiments.tuning.trials import Trial, Tuned

__all__ = ["METHODS", "OBJECTIVES", "Search", "Trial", "Tuned"]
