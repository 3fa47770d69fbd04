"""Trains DrQ-v2 agents on pictures of an environment of continuous actions, many seeds at once.

    python -m launchers.train_drqv2 --num_seeds=3 --preset=reduced
    python -m launchers.train_drqv2 --networks=gcnn,relaxed --env_arg=breaking=reflect

The environment is a control task that a camera sees, unless --env says otherwise; --env_arg has its
arguments, such as task=Reacher, size=37 or action_repeat=4.

Shows progress, prints a table of returns and writes learning_curve.png into the run folder.
Hyperparameters take lists of values: then there is a run for every combination, each in a folder of
its own below run_dir, and sweep.csv compares them.
"""

from __future__ import annotations

from absl import flags

from tf_equirl.agents import DrQv2Config

from . import common, config_flags, run_flags, sweep_flags

run_flags.define(
    3,
    "agents",
    "runs/<env>-drqv2-<networks>-<date and time>",
    "go on with what is in run_dir; flags left out are taken from it",
)
run_flags.define_watch()
flags.FLAGS.set_default("env", common.PIXELS)
config_flags.define_config_flags(DrQv2Config, sweep_flags.swept(DrQv2Config))
config_flags.define_base_flags()
flags.adopt_module_key_flags(config_flags)  # so that --helpshort shows them
flags.adopt_module_key_flags(run_flags)


def main() -> None:
    """Trains, prints the table, draws the curves."""
    sweep_flags.train(DrQv2Config, "train_drqv2", "drqv2", "networks")


def run() -> None:
    """Entry point of the console script."""
    common.launch(main, lambda: run_flags.how_to_go_on("train_drqv2", *run_flags.watch_again()))


if __name__ == "__main__":
    run()
