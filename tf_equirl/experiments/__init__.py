"""From training results to numbers, tables and plots."""

from tf_equirl.experiments.experiment import Column, Experiment
from tf_equirl.experiments.metrics import (
    area_under_curve,
    common_part,
    first_timestep_reaching,
    return_at,
    single_environment_return_at,
    worst_tenth,
)
from tf_equirl.experiments.plots import plot_learning_curves, plot_training
from tf_equirl.experiments.reports import (
    parameter_counts,
    summary_table,
    tidy_rows,
    to_csv,
    to_markdown,
)
from tf_equirl.experiments.seed_chunks import join_seeds, train_in_chunks
from tf_equirl.experiments.statistics import (
    Difference,
    Estimate,
    interquartile_mean,
    mean_and_error,
    paired_difference,
    ratio_of_means,
    rounded,
)
from tf_equirl.experiments.sweeps import Sweep, sweep_rows, sweep_table
from tf_equirl.experiments.tables import (
    default_timesteps,
    markdown_table,
    returns_table,
    timesteps_reached,
    transition_table,
)
from tf_equirl.experiments.tuning import Search, Tuned, tune

__all__ = [
    "Column",
    "Difference",
    "Estimate",
    "Experiment",
    "Search",
    "Sweep",
    "Tuned",
    "area_under_curve",
    "common_part",
    "default_timesteps",
    "first_timestep_reaching",
    "interquartile_mean",
    "join_seeds",
    "markdown_table",
    "mean_and_error",
    "paired_difference",
    "parameter_counts",
    "plot_learning_curves",
    "plot_training",
    "ratio_of_means",
    "return_at",
    "returns_table",
    "rounded",
    "single_environment_return_at",
    "summary_table",
    "sweep_rows",
    "sweep_table",
    "tidy_rows",
    "timesteps_reached",
    "to_csv",
    "to_markdown",
    "train_in_chunks",
    "transition_table",
    "tune",
    "worst_tenth",
]
