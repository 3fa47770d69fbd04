"""Training speed beside a trainer in JAX, in turn on the same machine.

    python -m venv /tmp/jax && /tmp/jax/bin/pip install jax
    python -m benchmarks.jax_comparison --python=/tmp/jax/bin/python --seeds=1,8,32,128

JAX runs in a process of its own, `benchmarks.jax_trainer`, which waits while we run, and the other
way round. Environment steps of all seeds by second on CartPole, compilation left out; medians of
`--rounds` rounds, and of the ratios of each round with their quartiles. Settings are those of
`PPOConfig`; the actor of `gcnn` has the MLP's number of parameters, its critic is the MLP.
"""

from __future__ import annotations

import dataclasses
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rich
from absl import flags

from benchmarks import common
from launchers.common import launch, parse_integers
from tf_equirl import envs
from tf_equirl.agents import PPOConfig
from tf_equirl.training.blocks import blocks_of

_PYTHON = flags.DEFINE_string("python", "python", "an interpreter that has jax")
_SEEDS = flags.DEFINE_list("seeds", ["1", "8", "32", "128"], "numbers of seeds")
_ROUNDS = flags.DEFINE_integer("rounds", 7, "timed rounds", lower_bound=1)
_SECONDS = flags.DEFINE_float("seconds", 1.0, "that a call should take", lower_bound=0.01)

_MOST = 32  # updates of one of our calls


def main() -> None:
    """Measures and prints a table."""
    machine = common.describe_machine()
    worker = subprocess.Popen(
        [_PYTHON.value, str(Path(__file__).with_name("jax_trainer.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def ask(seeds: int, updates: int) -> float:
        assert worker.stdin and worker.stdout
        print(seeds, updates, file=worker.stdin, flush=True)
        return float(worker.stdout.readline())

    assert worker.stdout
    version = worker.stdout.readline().strip()
    print(f"jax {version}; after 100 updates its episodes last {ask(8, 0):.0f} steps", flush=True)
    config = PPOConfig(actor="mlp", total_timesteps=10**9)
    budget = config.networks(envs.make("CartPole"))[0].count_params()
    configs = {
        "mlp": config,
        "gcnn": dataclasses.replace(config, actor="gcnn", match_parameters=budget),
    }
    rows: list[dict[str, Any]] = []
    for count in parse_integers("seeds", _SEEDS.value):
        calls: dict[str, Callable[[int], float]] = {
            "jax": lambda updates, count=count: ask(count, updates)
        }
        calls |= {name: ours(config, count) for name, config in configs.items()}
        updates = {}
        for name, call in calls.items():
            call(_MOST)  # compiles
            seconds = call(_MOST) / _MOST
            updates[name] = int(np.clip(_SECONDS.value / seconds, 1, _MOST))
            call(updates[name])  # JAX compiles another program for another number
        rates: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(_ROUNDS.value):
            for name, call in calls.items():
                steps = count * updates[name] * config.batch_size
                rates[name].append(steps / call(updates[name]))
        for name in calls:
            ratios = np.array(rates[name]) / np.array(rates["jax"])
            low, ratio, high = common.quartiles(ratios)
            rows.append(
                {
                    "trainer": name,
                    "seeds": count,
                    "steps_per_second": float(np.median(rates[name])),
                    "ratio": ratio,
                    "ratio_quartiles": [low, high],
                }
            )
            print(name, count, f"{rows[-1]['steps_per_second']:,.0f}", flush=True)
    worker.terminate()
    made = common.table(
        "CartPole: training beside JAX",
        f"jax {version}. Medians; ratios to JAX of the same round with their quartiles.",
        "trainer",
        ("seeds", "steps/s", "ratio"),
    )
    for row in rows:
        ratio = common.with_quartiles(row["ratio"], row["ratio_quartiles"], 2)
        made.add_row(row["trainer"], str(row["seeds"]), f"{row['steps_per_second']:,.0f}", ratio)
    rich.print(made)
    common.finish(machine, rows)


def ours(config: PPOConfig, count: int) -> Callable[[int], float]:
    """The seconds that a number of updates of so many seeds take, block by block."""
    learner = config.learner(envs.make("CartPole"))
    states = [learner.start(block) for block in blocks_of(range(count))]
    stage = learner.stages["update"]

    def run(updates: int) -> float:
        started = time.perf_counter()
        for i, state in enumerate(states):
            states[i], reports = stage.run(state, 0, updates)
            np.asarray(reports["returns"])
        return time.perf_counter() - started

    return run


if __name__ == "__main__":
    launch(main, lambda: "Nothing is stored.")
