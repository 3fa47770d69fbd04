"""Evaluates a model: returns of many episodes, and how equivariant it is.

python -m launchers.evaluate --model=cartpole-ppo-gcnn --episodes=1000
python -m launchers.evaluate --model=runs/first/actor.keras --env=CartPole --success=475
"""

from __future__ import annotations

import math

import rich
from absl import flags
from rich.table import Table

from . import common, model_flags

_EPISODES = flags.DEFINE_integer("episodes", 1000, "number of episodes")
_POLICY = flags.DEFINE_enum(
    "policy", "both", ["greedy", "sampled", "both"], "most probable actions, drawn ones, or both"
)
_SUCCESS = flags.DEFINE_float(
    "success",
    None,
    "return from which on an episode is a success (default: the zoo card's; a file has none)",
)
flags.adopt_module_key_flags(model_flags)  # so that --helpshort shows them


def main() -> None:
    """Plays the episodes, prints the table."""
    from tf_equirl import evaluation

    if _SUCCESS.value is not None and not math.isfinite(_SUCCESS.value):
        raise ValueError(f"success must be a finite number. Received: success={_SUCCESS.value}")
    model, env = model_flags.model_and_environment()
    seed = model_flags.SEED.value
    success = model_flags.success_return() if _SUCCESS.value is None else _SUCCESS.value
    policies = ["greedy", "sampled"] if _POLICY.value == "both" else [_POLICY.value]
    columns = ["policy", "mean return", "standard error", "minimum", "maximum"]
    if success is not None:
        columns.append(f"success (≥ {success:g})")
    title = f"{model.name} on {env.name}: {_EPISODES.value:,} episodes, seed {seed}"
    table = Table(title=title, title_justify="left", min_width=len(title))
    for column in columns:
        table.add_column(column, justify="left" if column == "policy" else "right")
    for policy in policies:
        result = evaluation.evaluate(model, env, _EPISODES.value, policy == "greedy", seed)
        numbers = [result.mean, result.standard_error, result.minimum, result.maximum]
        cells = [f"{number:.4g}" for number in numbers]
        if success is not None:
            cells.append(f"{result.success_rate(success):.1%}")
        table.add_row(policy, *cells)
    error = evaluation.model_equivariance_error(model, env, seed=seed)
    rich.print(table)
    group = env.symmetry.group.name or f"a group of {env.symmetry.group.order}"
    print(f"relative equivariance error under {group}, on 1,000 visited states: {error.max:.2g}")


def run() -> None:
    """Entry point of the console script."""
    common.launch(main, lambda: "An evaluation is not saved.")


if __name__ == "__main__":
    run()
