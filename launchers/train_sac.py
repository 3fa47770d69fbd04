"""Trains SAC agents on an environment of continuous actions, many seeds at once.

    python -m launchers.train_sac --env=Pendulum-v1 --num_seeds=8 --total_timesteps=10000
    python -m launchers.train_sac --actor=gcnn,mlp --learning_rate=3e-4,1e-3 --num_seeds=4

Policies are squashed into the box of actions: unless other arguments of the environment are given,
--env_arg=policy=squashed_gaussian is.

Shows progress, prints a table of returns and writes learning_curve.png into the run folder.
Hyperparameters take lists of values: then there is a run for every combination, each in a folder of
its own below run_dir, and sweep.csv compares them.
"""

from __future__ import annotations

from absl import flags

from tf_equirl.agents import SACConfig

from . import common, config_flags, run_flags, sweep_flags

run_flags.define(
    8,
    "agents",
    "runs/<env>-sac-<actor>-<date and time>",
    "go on with what is in run_dir; flags left out are taken from it",
)
run_flags.define_watch()
flags.FLAGS.set_default("env", "Pendulum-v1")
flags.FLAGS.set_default("env_arg", ["policy=squashed_gaussian"])
config_flags.define_config_flags(SACConfig, sweep_flags.swept(SACConfig))
config_flags.define_base_flags()
flags.adopt_module_key_flags(config_flags)  # so that --helpshort shows them
flags.adopt_module_key_flags(run_flags)


def main() -> None:
    """Trains, prints the table, draws the curves."""
    sweep_flags.train(SACConfig, "train_sac", "sac", "actor")


def run() -> None:
    """Entry point of the console script."""
    common.launch(main, lambda: run_flags.how_to_go_on("train_sac", *run_flags.watch_again()))


if __name__ == "__main__":
    run()
