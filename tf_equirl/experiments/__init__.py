"""From training results to numbers, tables and plots."""

from tf_equirl.experiments.metrics import (
    area_under_curve,
    first_timestep_reaching,
    return_at,
    single_environment_return_at,
    worst_tenth,
)
from tf_equirl.experiments.plots import plot_learning_curves
from tf_equirl.experiments.publish import publish
from tf_equirl.experiments.reports import (
    parameter_counts,
    summary_table,
    tidy_rows,
    to_csv,
    to_markdown,
)
from tf_equirl.experiments.reproduction import SCHEDULES, Column, Experiment, cartpole, catch
from tf_equirl.experiments.seed_chunks import join_seeds, train_in_chunks
from tf_equirl.experiments.statistics import (
    Difference,
    Estimate,
    interquartile_mean,
    mean_and_error,
    paired_difference,
    rounded,
)
from tf_equirl.experiments.tables import default_timesteps, returns_table

__all__ = [
    "SCHEDULES",
    "Column",
    "Difference",
    "Estimate",
    "Experiment",
    "area_under_curve",
    "cartpole",
    "catch",
    "default_timesteps",
    "first_timestep_reaching",
    "interquartile_mean",
    "join_seeds",
    "mean_and_error",
    "paired_difference",
    "parameter_counts",
    "plot_learning_curves",
    "publish",
    "return_at",
    "returns_table",
    "rounded",
    "single_environment_return_at",
    "summary_table",
    "tidy_rows",
    "to_csv",
    "to_markdown",
    "train_in_chunks",
    "worst_tenth",
]
