"""Environment steps/s and compile seconds of `train_ppo`, next to the time of its matrix products.

    python -m benchmarks.throughput --seeds=1,8,32,128,512 --actors=mlp,gcnn

Every row is one run of `train_ppo` as a user makes it, with the default `PPOConfig` and no run
folder, stopped when it was timed often enough.

* `compile s`: tracing and compiling the training program, which the first run of its shapes in a
  process does (`benchmarks.second_call` times the next one); building models and drawing the
  initial weights are not in it.
* `steps/s`: environment steps of all seeds asked for (a run of 3 seeds, say, computes 4 members;
  what is not returned counts as time, not as steps) by second of steady state: acting,
  training and the transfer of the results to the host. The first call after compilation is left
  out. Checkpoints, TensorBoard and progress bars are not in it.
* `floor`: the time that the same number of operations takes as bare matrix products of the shapes
  of these networks; `matmul_floor.MatmulFloor` says what is counted. Timed in turn with the
  training calls, for as many updates as each of them. `ratio`, time over floor, is the median over
  these pairs. The floor is for the seeds asked for.
* `MiB`: of the state of one seed: weights, Adam's moments, episodes. Rollouts and gradients are
  kept for 32 seeds at a time, however many there are.

Actors other than the MLP have its number of parameters, as nearly as their widths allow. The
critic is the MLP for all.
"""

from __future__ import annotations

import contextlib
from typing import Any

import keras
import numpy as np
import rich
import tensorflow as tf
from absl import flags
from rich.table import Table

from benchmarks import common
from benchmarks.matmul_floor import MatmulFloor
from launchers.common import launch, parse_integers
from tf_equirl import envs
from tf_equirl.agents import PPOConfig, Progress, train_ppo

_ENV = flags.DEFINE_string("env", "CartPole", "name of the environment")
_SEEDS = flags.DEFINE_list(
    "seeds", ["1", "8", "32", "128", "512"], "numbers of seeds, a row for each"
)
_ACTORS = flags.DEFINE_list("actors", ["mlp", "gcnn"], "kinds of policy network")
_REPEATS = flags.DEFINE_integer(
    "repeats",
    5,
    "timed calls of the compiled program in each row; a call makes as many updates as fit in about "
    "a second, at least one and at most 32",
    lower_bound=1,
)


def main() -> None:
    """Measures every number of seeds with every actor; prints a table."""
    machine = common.describe_machine()
    env = envs.make(_ENV.value)
    counts = parse_integers("seeds", _SEEDS.value)
    if min(counts) < 1:
        raise ValueError(f"seeds must be positive integers. Received: seeds={counts}")
    budget = PPOConfig(actor="mlp").networks(env)[0].count_params()
    cases = []
    for kind in _ACTORS.value:
        config = PPOConfig(
            actor=kind,
            match_parameters=None if kind == "mlp" else budget,
            total_timesteps=10**9,  # never reached
        )
        cases.append((config, *config.networks(env)))
    rows = []
    for config, actor, critic in cases:
        for count in counts:
            print(f"{config.actor}, number of seeds: {count} ...", flush=True)
            rows.append(measure(env, config, actor, critic, count, _REPEATS.value))
    rich.print(_table(rows, f"{env.name}: PPO throughput"))
    common.finish(machine, rows)


def measure(
    env: envs.Environment,
    config: PPOConfig,
    actor: keras.Model,
    critic: keras.Model,
    count: int,
    repeats: int,
) -> dict[str, Any]:
    """One row: `count` seeds of one kind of actor; see the module.

    Args:
        env: The environment.
        config: Hyperparameters; its run must be longer than the measurement.
        actor: Policy network.
        critic: Value network.
        count: Number of seeds.
        repeats: Timed calls.
    """
    floor = MatmulFloor(config, actor, critic, count)
    floor.seconds(0)
    calls: list[tuple[Progress, float]] = []

    def on_progress(progress: Progress) -> None:
        # Called between two calls of the training program, outside of the time of either.
        number = progress.updates - (calls[-1][0].updates if calls else 0)
        calls.append((progress, floor.seconds(number) / max(number, 1)))
        if len(calls) == repeats + 2:
            raise _Enough

    with contextlib.suppress(_Enough):
        train_ppo(env, config, range(count), actor=actor, critic=critic, on_progress=on_progress)
    timed = calls[2:]  # the first reports compilation, the second the first call
    low, median, high = common.quartiles([progress.steps_per_second for progress, _ in timed])
    steps = count * config.batch_size
    floor_seconds = common.quartiles([seconds for _, seconds in timed])[1]
    ratios = [steps / progress.steps_per_second / seconds for progress, seconds in timed]
    return {
        "actor": config.actor,
        "parameters": actor.count_params(),
        "seeds": count,
        "state_mebibytes": _state_bytes(env, config, actor, critic) / 2**20,
        "compile_seconds": timed[0][0].compile_seconds,
        "steps_per_second": median,
        "steps_per_second_quartiles": [low, high],
        "update_seconds": steps / median,
        "floor_update_seconds": floor_seconds,
        "floor_steps_per_second": steps / floor_seconds,
        "floor_operations_per_update": floor.operations,
        "floor_operations_per_second": floor.operations / floor_seconds,
        "time_over_floor": common.quartiles(ratios)[1],
        "repeats": len(timed),
    }


def _state_bytes(
    env: envs.BaseEnvironment, config: PPOConfig, actor: keras.Model, critic: keras.Model
) -> int:
    """Bytes of the state of one seed."""
    state = config.learner(env, actor, critic).start([0])
    return sum(int(np.prod(x.shape)) * x.dtype.size for x in tf.nest.flatten(state))


class _Enough(Exception):
    """Ends a run that was timed often enough."""


def _table(rows: list[dict[str, Any]], title: str) -> Table:
    table = common.table(
        title,
        "steps/s: median, IQR: its interquartile range. floor: an update's matrix\n"
        "products alone. ratio: time over floor.",
        "actor",
        ("seeds", "MiB", "compile s", "steps/s", "IQR", "ms/update", "floor ms", "ratio"),
    )
    for row in rows:
        low, high = row["steps_per_second_quartiles"]
        table.add_row(
            row["actor"],
            str(row["seeds"]),
            f"{row['state_mebibytes']:.2f}",
            f"{row['compile_seconds']:.1f}",
            f"{row['steps_per_second']:,.0f}",
            f"{100 * (high - low) / row['steps_per_second']:.0f} %",
            f"{1e3 * row['update_seconds']:.1f}",
            f"{1e3 * row['floor_update_seconds']:.1f}",
            f"{row['time_over_floor']:.2f}",
        )
    return table


if __name__ == "__main__":
    launch(main, lambda: "Nothing is stored.")
