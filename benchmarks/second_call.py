"""How much faster a second call of `train_ppo` is, whose programs are compiled already.

    python -m benchmarks.second_call --env=CartPole --actors=mlp,gcnn

Every row is two short runs with the default `PPOConfig` and no run folder, of other seeds but as
many: the whole calls, from the arguments to the result. The first one of a process that trains such
networks compiles, the second one does not. The ratio is the second's time over the first's; its
share of training is what the second call takes for updates alone.
"""

from __future__ import annotations

import time
from typing import Any

import rich
from absl import flags
from rich.table import Table

from benchmarks import common
from launchers.common import launch
from tf_equirl import envs
from tf_equirl.agents import PPOConfig, train_ppo
from tf_equirl.training import programs

_ENV = flags.DEFINE_string("env", "CartPole", "name of the environment")
_ACTORS = flags.DEFINE_list("actors", ["mlp", "gcnn"], "kinds of policy network")
_SEEDS = flags.DEFINE_integer("seeds", 8, "seeds of a run", lower_bound=1)
_UPDATES = flags.DEFINE_integer("updates", 4, "updates of a run", lower_bound=1)


def main() -> None:
    """Measures every kind of actor; prints a table."""
    machine = common.describe_machine()
    env = envs.make(_ENV.value)
    rows = []
    for kind in _ACTORS.value:
        print(f"{kind} ...", flush=True)
        rows.append(measure(env, kind, _SEEDS.value, _UPDATES.value))
    rich.print(_table(rows, f"{env.name}: a second call of train_ppo"))
    common.finish(machine, rows)


def measure(env: envs.Environment, kind: str, count: int, updates: int) -> dict[str, Any]:
    """One row: two runs of `count` seeds of one kind of actor, for some updates."""
    config = PPOConfig(actor=kind, total_timesteps=updates * PPOConfig().batch_size)
    programs.clear()
    seconds, results = [], []
    for first in (0, count):
        started = time.perf_counter()
        results.append(train_ppo(env, config, range(first, first + count)))
        seconds.append(time.perf_counter() - started)
    return {
        "actor": kind,
        "seeds": count,
        "updates": updates,
        "first_seconds": seconds[0],
        "second_seconds": seconds[1],
        "second_training_seconds": results[1].run_seconds,
        "compile_seconds": results[0].compile_seconds,
        "ratio": seconds[1] / seconds[0],
    }


def _table(rows: list[dict[str, Any]], title: str) -> Table:
    table = common.table(
        title,
        "Seconds of whole calls; compile: of the first; train: updates of the second.",
        "actor",
        ("seeds", "updates", "first", "compile", "second", "train", "ratio"),
    )
    for row in rows:
        table.add_row(
            row["actor"],
            str(row["seeds"]),
            str(row["updates"]),
            f"{row['first_seconds']:.2f}",
            f"{row['compile_seconds']:.2f}",
            f"{row['second_seconds']:.2f}",
            f"{row['second_training_seconds']:.2f}",
            f"{row['ratio']:.3f}",
        )
    return table


if __name__ == "__main__":
    launch(main, lambda: "Nothing is stored.")
