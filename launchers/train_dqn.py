"""Trains DQN agents on an environment, many seeds at once.

    python -m launchers.train_dqn --q_function=gcnn --num_seeds=32 --total_timesteps=50000
    python -m launchers.train_dqn --q_function=gcnn,mlp --learning_rate=1e-3,3e-3 --num_seeds=16

Shows progress, prints a table of returns and writes learning_curve.png into the run folder.
Hyperparameters take lists of values: then there is a run for every combination, each in a folder of
its own below run_dir, and sweep.csv compares them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich
from absl import flags

from tf_equirl.agents import DQNConfig

from . import common, config_flags, run_flags, sweep_flags

if TYPE_CHECKING:
    from tf_equirl.agents import DQNResult
    from tf_equirl.experiments import Sweep

run_flags.define(
    32,
    "agents",
    "runs/<env>-dqn-<q_function>-<date and time>",
    "go on with what is in run_dir; flags left out are taken from it",
)
run_flags.define_watch()
config_flags.define_config_flags(DQNConfig, sweep_flags.swept(DQNConfig))
config_flags.define_base_flags()
flags.adopt_module_key_flags(config_flags)  # so that --helpshort shows them
flags.adopt_module_key_flags(run_flags)


def main() -> None:
    """Trains, prints the table, draws the curves."""
    from tf_equirl import experiments

    sweep = sweep_flags.from_flags(DQNConfig, "train_dqn", ())
    configs = list(sweep.cells.values())  # so that all are known to be valid
    timesteps = experiments.default_timesteps(min(c.total_timesteps for c in configs))
    run_dir = run_flags.run_dir(sweep.environment.name.lower(), "dqn", configs[0].q_function)
    if len(configs) > 1:
        sweep_flags.train_cells(sweep, run_dir, timesteps, common.describe_times, _draw)
    else:
        _train_one(sweep, configs[0], run_dir, timesteps)


def _train_one(sweep: Sweep, config: DQNConfig, run_dir: Path, timesteps: list[int]) -> None:
    from tf_equirl import experiments
    from tf_equirl.agents import train_dqn

    run_flags.claim(run_dir)
    name = config.q_function
    result = common.with_progress(
        train_dqn,
        sweep.environment,
        config,
        sweep.seeds,
        run_dir,
        **run_flags.watch(),
        resume=run_flags.resumed() is not None,
        label=f"{sweep.environment.name} {name}",
    )
    timesteps = experiments.timesteps_reached(result, timesteps)
    rich.print(experiments.returns_table({name: result}, timesteps, sweep_flags.title(sweep)))
    print(common.describe_times(result))
    if not result.finished:
        print(common.describe_stop(result))
    print(f"run folder: {run_dir}\nlearning curve: {_draw(result, name)}")


def _draw(result: DQNResult, name: str) -> Path:
    """Writes the learning curve into the run folder."""
    from tf_equirl import experiments

    curve = Path(result.run_dir or ".") / "learning_curve.png"
    experiments.plot_learning_curves({name: result}, curve, result.environment)
    return curve


def run() -> None:
    """Entry point of the console script."""
    common.launch(main, lambda: run_flags.how_to_go_on("train_dqn", *run_flags.watch_again()))


if __name__ == "__main__":
    run()
