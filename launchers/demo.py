"""An equivariant agent against an ordinary one on CartPole: two tables, one plot.

make demo
"""

from __future__ import annotations

from pathlib import Path

import rich
from absl import flags

from . import common

_RUN_DIR = flags.DEFINE_string("run_dir", "runs/demo", "folder for both runs and the plot")
_NUM_SEEDS = flags.DEFINE_integer("num_seeds", 64, "agents of each kind")
_TIMESTEPS = flags.DEFINE_integer("total_timesteps", 100_000, "environment steps of each agent")

_LABELS = {"mlp": "MLP", "gcnn": "G-CNN (equivariant)"}


def main() -> None:
    """Trains both kinds of agent, compares them."""
    from tf_equirl import envs, experiments
    from tf_equirl.agents import PPOConfig, TrainingResult, train_ppo

    env = envs.make("CartPole")
    folder = Path(_RUN_DIR.value)
    timesteps = experiments.default_timesteps(_TIMESTEPS.value)
    title = f"CartPole: mean return ± two standard errors over {_NUM_SEEDS.value} seeds"
    print(
        f"CartPole, {_NUM_SEEDS.value} seeds of each agent, {_TIMESTEPS.value:,} steps each. "
        f"The G-CNN knows the mirror symmetry."
    )
    results: dict[str, TrainingResult] = {}
    for kind, label in _LABELS.items():
        # The MLP's 4,610 parameters are the budget of the G-CNN.
        budget = None if kind == "mlp" else 4610
        config = PPOConfig(actor=kind, total_timesteps=_TIMESTEPS.value, match_parameters=budget)
        run_dir = folder / kind
        resume = (run_dir / "run.json").exists()
        if resume:
            print(f"{run_dir} holds this run already: going on with it (delete it to start anew).")
        seeds = range(_NUM_SEEDS.value)
        result = common.with_progress(
            train_ppo, env, config, seeds, run_dir, resume=resume, label=label
        )
        results[label] = result
        rich.print(experiments.returns_table({label: result}, timesteps, title))
        print(common.describe_times(result) + "\n")
    mlp, gcnn = results.values()
    for timestep in timesteps:
        gain = experiments.return_at(gcnn, timestep) - experiments.return_at(mlp, timestep)
        mean, error = experiments.mean_and_error(gain)
        print(f"G-CNN minus MLP at {timestep:,} steps, same seeds: {mean:+.1f} ± {error:.1f}")
    curve = folder / "learning_curves.png"
    experiments.plot_learning_curves(results, curve, "CartPole, PPO")
    print(f"learning curves: {curve}")


def run() -> None:
    """Entry point of the console script."""
    common.launch(main, lambda: "What was trained is saved: run the same command to go on.")


if __name__ == "__main__":
    run()
