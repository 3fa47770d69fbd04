"""The thesis that this project started from: its experiments, tables and figures.

"Exploiting Symmetries With Equivariant Transition Models", University College London, 2023.
"""

from tf_equirl.reproductions.thesis.equivariance_reports import equivariance_report
from tf_equirl.reproductions.thesis.model_free import SCHEDULES, cartpole, catch
from tf_equirl.reproductions.thesis.outputs import FIGURES, TABLES, Output, Work, produce
from tf_equirl.reproductions.thesis.planning import (
    dyna_sweep,
    online_cartpole,
    online_catch,
    supervised_cartpole,
    supervised_catch,
    supervised_ratios,
)
from tf_equirl.reproductions.thesis.planning_figures import plot_ratios, plot_sweep
from tf_equirl.reproductions.thesis.planning_reports import least_lead, planning_markdown
from tf_equirl.reproductions.thesis.transition_figures import (
    errors_by_angle,
    plot_cartpole_errors,
    plot_catch_errors,
    plot_errors_by_angle,
    plot_image_correlation,
    plot_sizes,
)
from tf_equirl.reproductions.thesis.transition_reports import (
    Report,
    cartpole_report,
    catch_report,
    sizes_report,
)
from tf_equirl.reproductions.thesis.transitions import (
    KIND_LABELS,
    Cell,
    ResultsByCell,
    TransitionExperiment,
    cartpole_transitions,
    catch_transitions,
)

__all__ = [
    "Cell",
    "FIGURES",
    "KIND_LABELS",
    "Output",
    "Report",
    "ResultsByCell",
    "SCHEDULES",
    "TABLES",
    "TransitionExperiment",
    "Work",
    "cartpole",
    "cartpole_report",
    "cartpole_transitions",
    "catch",
    "catch_report",
    "catch_transitions",
    "dyna_sweep",
    "equivariance_report",
    "errors_by_angle",
    "least_lead",
    "online_cartpole",
    "online_catch",
    "planning_markdown",
    "plot_cartpole_errors",
    "plot_catch_errors",
    "plot_errors_by_angle",
    "plot_image_correlation",
    "plot_ratios",
    "plot_sizes",
    "plot_sweep",
    "produce",
    "sizes_report",
    "supervised_cartpole",
    "supervised_catch",
    "supervised_ratios",
]
