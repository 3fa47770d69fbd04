"""Trains PPO agents on an environment, many seeds at once.

    python -m launchers.train_ppo --actor=gcnn --num_seeds=32 --total_timesteps=100000

Shows progress, prints a table of returns and writes learning_curve.png into the run folder.
"""

from __future__ import annotations

import rich
from absl import flags

from tf_equirl.agents import PPOConfig

from . import common, config_flags, run_flags

run_flags.define(
    32,
    "agents",
    "runs/<env>-<actor>-<date and time>",
    "go on with the run in run_dir; flags left out are taken from it",
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
config_flags.define_base_flags()
flags.adopt_module_key_flags(config_flags)  # so that --helpshort shows them
flags.adopt_module_key_flags(run_flags)


def main() -> None:
    """Trains, prints the table, draws the curve."""
    from tf_equirl import experiments
    from tf_equirl.agents import train_ppo

    found = run_flags.description("train_ppo")
    saved = None if found is None else PPOConfig.from_json(found["config"])
    base = config_flags.base_config(PPOConfig, saved)
    config = config_flags.config_from_flags(PPOConfig, base)
    start_from = _START_FROM.value or (found or {}).get("start_from")
    env, seeds = run_flags.environment(found), run_flags.seeds(found)
    timesteps = experiments.default_timesteps(config.total_timesteps)
    if _TABLE.value:
        timesteps = list(common.parse_integers("table_timesteps", _TABLE.value))
        if not all(0 <= t <= config.total_timesteps for t in timesteps):
            raise ValueError(
                f"table_timesteps must lie in the run, 0 to {config.total_timesteps}. "
                f"Received: table_timesteps={timesteps}"
            )
    run_dir = run_flags.run_dir(env.name.lower(), config.actor)
    run_flags.claim(run_dir)
    name = start_from or config.actor
    result = common.with_progress(
        train_ppo,
        env,
        config,
        seeds,
        run_dir,
        start_from=start_from,
        resume=found is not None,
        label=f"{env.name} {name}",
    )
    title = f"{env.name}: mean return ± two standard errors over {len(result.seeds)} seeds"
    rich.print(experiments.returns_table({name: result}, timesteps, title))
    print(common.describe_times(result))
    curve = run_dir / "learning_curve.png"
    experiments.plot_learning_curves({name: result}, curve, env.name)
    print(f"run folder: {run_dir}\nlearning curve: {curve}")


def run() -> None:
    """Entry point of the console script."""
    common.launch(main, lambda: run_flags.how_to_go_on("train_ppo"))


if __name__ == "__main__":
    run()
