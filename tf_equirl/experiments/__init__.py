"""From training results to numbers, tables and plots."""

from tf_equirl.experiments.metrics import (
    area_under_curve,
    first_timestep_reaching,
    mean_and_error,
    return_at,
    single_environment_return_at,
    worst_tenth,
)
from tf_equirl.experiments.plots import plot_learning_curves
from tf_equirl.experiments.tables import default_timesteps, returns_table

__all__ = [
    "area_under_curve",
    "default_timesteps",
    "first_timestep_reaching",
    "mean_and_error",
    "plot_learning_curves",
    "return_at",
    "returns_table",
    "single_environment_return_at",
    "worst_tenth",
]
