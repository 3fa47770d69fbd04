"""Trains Dyna agents, which learn a model of the environment and plan in it, many seeds at once.

    python -m launchers.train_dyna --planning_ratio=4 --dyna_iterations=50 --num_seeds=16
    python -m launchers.train_dyna --planning_ratio=0,1,4 --dyna_iterations=5,50 --num_seeds=16

Shows progress, prints a table of returns and writes learning_curve.png, which marks where planning
was done. Hyperparameters take lists of values: then there is a run for every combination, each
in a folder of its own below run_dir, and sweep.csv compares them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich
from absl import flags

from tf_equirl.dyna.config import DynaConfig
from tf_equirl.models import TRANSITION_KINDS

from . import common, config_flags, run_flags, sweep_flags

if TYPE_CHECKING:
    from tf_equirl.dyna import DynaResult
    from tf_equirl.experiments import Sweep

run_flags.define(
    16,
    "agents",
    "runs/<env>-dyna-<actor>-<date and time>",
    "go on with what is in run_dir; flags left out are taken from it",
)
run_flags.define_start()
run_flags.define_watch()
flags.DEFINE_string(
    "frozen_model",
    None,
    "transition model of the zoo to plan in, without training it (default: one that learns)",
)
_KINDS = (
    f"kind of transition model: {', '.join(TRANSITION_KINDS)}, see models.transition_model; "
    "environment plans in the environment itself, a model without error"
)
config_flags.define_config_flags(DynaConfig, sweep_flags.swept(DynaConfig), {"model_kind": _KINDS})
config_flags.define_base_flags()
flags.adopt_module_key_flags(config_flags)  # so that --helpshort shows them
flags.adopt_module_key_flags(run_flags)


def main() -> None:
    """Trains, prints the tables, draws the curves."""
    from tf_equirl import experiments

    sweep = sweep_flags.from_flags(DynaConfig, "train_dyna", (*run_flags.START, "frozen_model"))
    configs = list(sweep.cells.values())  # so that all are known to be valid
    timesteps = experiments.default_timesteps(min(c.agent.total_timesteps for c in configs))
    run_dir = run_flags.run_dir(sweep.environment.name.lower(), "dyna", configs[0].agent.actor)
    if len(configs) > 1:
        sweep_flags.train_cells(sweep, run_dir, timesteps, common.describe_parts, _draw)
    else:
        _train_one(sweep, configs[0], run_dir, timesteps)


def _train_one(sweep: Sweep, config: DynaConfig, run_dir: Path, timesteps: list[int]) -> None:
    """Trains, prints the table and times, draws the curve."""
    from tf_equirl import experiments
    from tf_equirl.dyna import train_dyna

    run_flags.claim(run_dir)
    actor = config.flat()["actor"]
    result = common.with_progress(
        train_dyna,
        sweep.environment,
        config,
        sweep.seeds,
        run_dir,
        **sweep.options,
        **run_flags.watch(),
        resume=run_flags.resumed() is not None,
        label=f"{sweep.environment.name} {actor}",
    )
    timesteps = experiments.timesteps_reached(result, timesteps)
    rich.print(experiments.returns_table({actor: result}, timesteps, sweep_flags.title(sweep)))
    print(common.describe_parts(result))
    if not result.finished:
        print(common.describe_stop(result))
    print(f"run folder: {run_dir}\nlearning curve: {_draw(result, actor)}")


def run() -> None:
    """Entry point of the console script."""
    common.launch(main, lambda: run_flags.how_to_go_on("train_dyna", *run_flags.watch_again()))


def _draw(result: DynaResult, name: str) -> Path:
    """Writes the learning curve into the run folder."""
    from tf_equirl import experiments

    curve = Path(result.run_dir or ".") / "learning_curve.png"
    marks = result.planning_timesteps[(result.planned_updates > 0).any(axis=0)]
    experiments.plot_learning_curves({name: result}, curve, result.environment, marks=marks)
    return curve


if __name__ == "__main__":
    run()
