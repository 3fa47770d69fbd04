"""Trains PPO agents on an environment, many seeds at once.

    python -m launchers.train_ppo --actor=gcnn --num_seeds=32 --total_timesteps=100000

Shows progress, prints a table of returns and writes learning_curve.png into the run folder.
"""

from __future__ import annotations

import time
from pathlib import Path

import rich
from absl import flags
from tf_equirl.agents.ppo.ppo_runs import read_description

from tf_equirl import envs, experiments
from tf_equirl.agents import PPOConfig

from . import common, config_flags

_ENV = flags.DEFINE_string("env", "CartPole", "name of the environment")
_NUM_SEEDS = flags.DEFINE_integer("num_seeds", 32, "number of agents trained side by side")
_FIRST_SEED = flags.DEFINE_integer("first_seed", 0, "the seeds are first_seed, first_seed + 1, ...")
_RUN_DIR = flags.DEFINE_string(
    "run_dir", None, "run folder (default: runs/<env>-<actor>-<date and time>)"
)
_RESUME = flags.DEFINE_bool(
    "resume", False, "go on with the run in run_dir; flags left out are taken from it"
)
_START_FROM = flags.DEFINE_string(
    "start_from",
    None,
    "model of the zoo whose networks every seed goes on from (default: new networks)",
)
_TABLE = flags.DEFINE_list(
    "table_timesteps", None, "timesteps in the table (default: 10000, 100000, ... and the end)"
)
config_flags.define_config_flags(PPOConfig)
flags.adopt_module_key_flags(config_flags)  # so that --helpshort shows them

_chosen_run_dir: list[Path] = []


def main() -> None:
    """Trains, prints the table, draws the curve."""
    if _RESUME.value:
        if not _RUN_DIR.value:
            raise ValueError("--resume needs --run_dir. Received: run_dir=None")
        run_dir = Path(_RUN_DIR.value)
        found = read_description(run_dir)
        config = config_flags.config_from_flags(PPOConfig, PPOConfig.from_json(found["config"]))
        env = envs.make(_ENV.value if flags.FLAGS["env"].present else found["environment"])
        start_from = _START_FROM.value or found["start_from"]
        given = flags.FLAGS["num_seeds"].present or flags.FLAGS["first_seed"].present
        seeds = _seeds() if given else found["seeds"]
    else:
        config = config_flags.config_from_flags(PPOConfig)
        start_from = _START_FROM.value
        env = envs.make(_ENV.value)
        stamp = time.strftime("%Y%m%d-%H%M%S")
        run_dir = Path(_RUN_DIR.value or f"runs/{env.name.lower()}-{config.actor}-{stamp}")
        seeds = _seeds()
    if _TABLE.value:
        timesteps = list(common.parse_integers("table_timesteps", _TABLE.value))
        if not all(0 <= t <= config.total_timesteps for t in timesteps):
            raise ValueError(
                f"table_timesteps must lie in the run, 0 to {config.total_timesteps}. "
                f"Received: table_timesteps={timesteps}"
            )
    else:
        timesteps = experiments.default_timesteps(config.total_timesteps)
    _chosen_run_dir.append(run_dir)
    name = start_from or config.actor
    result = common.train_with_progress(
        env, config, seeds, run_dir, _RESUME.value, f"{env.name} {name}", start_from
    )
    title = f"{env.name}: mean return ± two standard errors over {len(result.seeds)} seeds"
    rich.print(experiments.returns_table({name: result}, timesteps, title))
    print(common.describe_times(result))
    curve = run_dir / "learning_curve.png"
    experiments.plot_learning_curves({name: result}, curve, env.name)
    print(f"run folder: {run_dir}\nlearning curve: {curve}")


def run() -> None:
    """Entry point of the console script."""
    common.launch(main, _how_to_go_on)


def _seeds() -> range:
    return common.seed_range(_NUM_SEEDS.value, _FIRST_SEED.value)


def _how_to_go_on() -> str:
    return common.how_to_go_on("train_ppo", _chosen_run_dir[0] if _chosen_run_dir else None)


if __name__ == "__main__":
    run()
