"""Trains DQN agents on an environment, many seeds at once.

    python -m launchers.train_dqn --q_function=gcnn --num_seeds=32 --total_timesteps=50000
    python -m launchers.train_dqn --q_function=gcnn,mlp --learning_rate=1e-3,3e-3 --num_seeds=16

Shows progress, prints a table of returns and writes learning_curve.png into the run folder.
Hyperparameters take lists of values: then there is a run for every combination, each in a folder of
its own below run_dir, and sweep.csv compares them.
"""

from __future__ import annotations

from absl import flags

from tf_equirl.agents import DQNConfig

from . import common, config_flags, run_flags, sweep_flags

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
    sweep_flags.train(DQNConfig, "train_dqn", "dqn", "q_function")


def run() -> None:
    """Entry point of the console script."""
    common.launch(main, lambda: run_flags.how_to_go_on("train_dqn", *run_flags.watch_again()))


if __name__ == "__main__":
    run()
