"""Trains PPO agents on an environment, many seeds at once.

    python -m launchers.train_ppo --actor=gcnn --num_seeds=32 --total_timesteps=100000
    python -m launchers.train_ppo --actor=gcnn,mlp --learning_rate=1e-3,3e-3 --num_seeds=16

Shows progress, prints a table of returns and writes learning_curve.png into the run folder.
Hyperparameters take lists of values: then there is a run for every combination, each in a folder of
its own below run_dir, and sweep.csv compares them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich
from absl import flags

from tf_equirl.agents import PPOConfig

from . import common, config_flags, run_flags, sweep_flags

if TYPE_CHECKING:
    from tf_equirl.agents import TrainingResult
    from tf_equirl.experiments import Sweep

run_flags.define(
    32,
    "agents",
    "runs/<env>-<actor>-<date and time>",
    "go on with what is in run_dir; flags left out are taken from it",
)
run_flags.define_start()
run_flags.define_watch()
_TABLE = flags.DEFINE_list(
    "table_timesteps", None, "timesteps in the table (default: 10000, 100000, ... and the end)"
)
config_flags.define_config_flags(PPOConfig, sweep_flags.swept(PPOConfig))
config_flags.define_base_flags()
flags.adopt_module_key_flags(config_flags)  # so that --helpshort shows them
flags.adopt_module_key_flags(run_flags)


def main() -> None:
    """Trains, prints the table, draws the curves."""
    sweep = sweep_flags.from_flags(PPOConfig, "train_ppo", run_flags.START)
    configs = list(sweep.cells.values())  # so that all are known to be valid
    timesteps = _timesteps(min(config.total_timesteps for config in configs))
    env = sweep.environment
    run_dir = run_flags.run_dir(env.name.lower(), configs[0].actor)
    if len(configs) > 1:
        sweep_flags.train_cells(sweep, run_dir, timesteps, common.describe_times, _draw)
    else:
        _train_one(sweep, configs[0], run_dir, timesteps)


def _timesteps(end: int) -> list[int]:
    """Those of the table."""
    from tf_equirl import experiments

    if not _TABLE.value:
        return experiments.default_timesteps(end)
    timesteps = list(common.parse_integers("table_timesteps", _TABLE.value))
    if not all(0 <= t <= end for t in timesteps):
        raise ValueError(
            f"table_timesteps must lie in the run, 0 to {end}. Received: "
            f"table_timesteps={timesteps}"
        )
    return timesteps


def _train_one(sweep: Sweep, config: PPOConfig, run_dir: Path, timesteps: list[int]) -> None:
    from tf_equirl import experiments
    from tf_equirl.agents import train_ppo

    run_flags.claim(run_dir)
    name = sweep.options["start_from"] or config.actor
    result = common.with_progress(
        train_ppo,
        sweep.environment,
        config,
        sweep.seeds,
        run_dir,
        **sweep.options,
        **run_flags.watch(),
        resume=run_flags.resumed() is not None,
        label=f"{sweep.environment.name} {name}",
    )
    timesteps = experiments.timesteps_reached(result, timesteps)
    table = experiments.returns_table({name: result}, timesteps, sweep_flags.title(sweep))
    rich.print(table)
    print(common.describe_times(result))
    if not result.finished:
        print(common.describe_stop(result))
    print(f"run folder: {run_dir}\nlearning curve: {_draw(result, name)}")


def _draw(result: TrainingResult, name: str) -> Path:
    """Writes the learning curve into the run folder."""
    from tf_equirl import experiments

    curve = Path(result.run_dir or ".") / "learning_curve.png"
    experiments.plot_learning_curves({name: result}, curve, result.environment)
    return curve


def run() -> None:
    """Entry point of the console script."""
    common.launch(main, lambda: run_flags.how_to_go_on("train_ppo", *run_flags.watch_again()))


if __name__ == "__main__":
    run()
