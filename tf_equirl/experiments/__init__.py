"""From training results to numbers, tables and plots."""

from tf_equirl.experiments.dyna_figures import plot_ratios, plot_sweep
from tf_equirl.experiments.dyna_reports import least_lead, planning_markdown
from tf_equirl.experiments.dyna_reproduction import (
    dyna_sweep,
    online_cartpole,
    online_catch,
    supervised_cartpole,
    supervised_catch,
    supervised_ratios,
)
from tf_equirl.experiments.equivariance_reports import equivariance_report
from tf_equirl.experiments.metrics import (
    area_under_curve,
    common_part,
    first_timestep_reaching,
    return_at,
    single_environment_return_at,
    worst_tenth,
)
from tf_equirl.experiments.plots import plot_learning_curves, plot_training
from tf_equirl.experiments.publish import publish
from tf_equirl.experiments.publish_transition_model import publish_transition_model
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
    ratio_of_means,
    rounded,
)
from tf_equirl.experiments.sweeps import DynaSweep, sweep_rows, sweep_table
from tf_equirl.experiments.tables import default_timesteps, markdown_table, returns_table
from tf_equirl.experiments.transition_figures import (
    errors_by_angle,
    plot_cartpole_errors,
    plot_catch_errors,
    plot_errors_by_angle,
    plot_image_correlation,
    plot_sizes,
)
from tf_equirl.experiments.transition_reports import (
    Report,
    cartpole_report,
    catch_report,
    sizes_report,
)
from tf_equirl.experiments.transitions import (
    KIND_LABELS,
    Cell,
    ResultsByCell,
    TransitionExperiment,
    cartpole_transitions,
    catch_transitions,
)
from tf_equirl.experiments.zoo_folder import type_of_run

__all__ = [
    "KIND_LABELS",
    "SCHEDULES",
    "Cell",
    "Column",
    "Difference",
    "DynaSweep",
    "Estimate",
    "Experiment",
    "Report",
    "ResultsByCell",
    "TransitionExperiment",
    "area_under_curve",
    "cartpole",
    "cartpole_report",
    "cartpole_transitions",
    "catch",
    "catch_report",
    "catch_transitions",
    "common_part",
    "default_timesteps",
    "dyna_sweep",
    "equivariance_report",
    "errors_by_angle",
    "first_timestep_reaching",
    "interquartile_mean",
    "join_seeds",
    "least_lead",
    "markdown_table",
    "mean_and_error",
    "online_cartpole",
    "online_catch",
    "paired_difference",
    "parameter_counts",
    "planning_markdown",
    "plot_cartpole_errors",
    "plot_catch_errors",
    "plot_errors_by_angle",
    "plot_image_correlation",
    "plot_learning_curves",
    "plot_ratios",
    "plot_sizes",
    "plot_sweep",
    "plot_training",
    "publish",
    "publish_transition_model",
    "ratio_of_means",
    "return_at",
    "returns_table",
    "rounded",
    "single_environment_return_at",
    "sizes_report",
    "summary_table",
    "sweep_rows",
    "sweep_table",
    "supervised_cartpole",
    "supervised_catch",
    "supervised_ratios",
    "tidy_rows",
    "to_csv",
    "to_markdown",
    "train_in_chunks",
    "type_of_run",
    "worst_tenth",
]
