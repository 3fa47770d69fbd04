"""Time and memory of Dyna, part by part, against a model-free PPO update.

    python -m benchmarks.dyna_speed --env=CartPole --env=Catch

Configurations are those of `experiments.online_cartpole` and `online_catch`: an MLP actor, an MLP
and an equivariant model of equal sizes. All seeds are computed side by side.

Parts, timed as compiled calls until the result is in the host's memory; a call makes `updates`
updates or 64 gradient steps. They take turns, in an order that rotates from round to round, and the
ratio is the median of the rounds' own ratios to the model-free update, with their quartiles:

* `model-free update`: acting and training, as `train_ppo` does.
* `act`: the rollout of an update alone.
* `act and update`: an update that keeps its transitions in the replay buffer.
* `update`: the latter minus `act`.
* `fit`: a gradient step of the model on a full replay buffer.
* `plan`: an update in the model, its rollout included.

The replay buffer has room for `total_timesteps` steps of each seed, by default the experiment's
own.

`driver` is `train_dyna` as a user calls it, for `iterations` Dyna iterations: steps/s of all seeds,
real ones while acting, planned ones while planning, and both by the time of all parts. Compilation
is not in the times.

`memory` is computed from the shapes of the tensors that a run of the thesis' length carries from
call to call, 500,000 steps of CartPole or 20,000 of Catch. The replay buffer is there once; of the
rest there are two while a call runs, what it is given and what it returns.

It takes several minutes, most of them compilation.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import rich
import tensorflow as tf
from absl import flags
from rich.table import Table

from benchmarks import common
from launchers.common import launch
from tf_equirl import dyna, envs, experiments
from tf_equirl.agents.ppo.tf_agents_ppo import make_models
from tf_equirl.dyna.learner import DynaCarry, DynaProgram
from tf_equirl.dyna.train import transition_model
from tf_equirl.training.loops import repeat

_EXPERIMENTS = {"CartPole": experiments.online_cartpole, "Catch": experiments.online_catch}
_ENVS = flags.DEFINE_multi_enum("env", list(_EXPERIMENTS), list(_EXPERIMENTS), "environments")
_SEEDS = flags.DEFINE_integer("seeds", 32, "seeds side by side", 1, 32)
_UPDATES = flags.DEFINE_integer("updates", 4, "updates of a timed call", 1, 32)
_REPEATS = flags.DEFINE_integer("repeats", 10, "timed rounds", lower_bound=1)
_WARM_UP = flags.DEFINE_integer("warm_up", 1, "rounds before", lower_bound=0)
_TOTAL = flags.DEFINE_integer("total_timesteps", None, "room of the replay buffer", 1)
_ITERATIONS = flags.DEFINE_integer("iterations", 3, "Dyna iterations of the driver", lower_bound=1)

_MODELS = ("dyna-mlp", "dyna-gcnn")  # columns of the experiments
_THESIS_STEPS = {"CartPole": 500_000, "Catch": 20_000}
_BASELINE = "model-free update"


def main() -> None:
    """Measures the environments; prints a table for each."""
    machine = common.describe_machine()
    tf.get_logger().setLevel("ERROR")  # it would warn that several programs are compiled
    rows = []
    for name in _ENVS.value:
        experiment = _EXPERIMENTS[name]()
        env = envs.make(name)
        configs = {c.config.model_kind: c.config for c in experiment.columns if c.name in _MODELS}
        parts = [{"environment": name, **row} for row in measure_parts(env, configs)]
        drivers = [{"environment": name, **measure_driver(env, c)} for c in configs.values()]
        memory = [{"environment": name, **describe_memory(env, c)} for c in configs.values()]
        rich.print(_table(parts, f"{name}: {_SEEDS.value} seeds side by side"))
        for row in drivers:
            print(
                "driver, model {model}: {real:,.0f} real, {planned:,.0f} planned, "
                "{all:,.0f} steps/s in all".format(**row)
            )
        for row in memory:
            print(
                "memory, model {model}, {total_timesteps:,} steps: buffer {buffer_bytes:,}, all "
                "{carry_bytes:,} bytes a seed; 128 seeds {gigabytes:.2f} GB".format(**row)
            )
        rows += [*parts, *drivers, *memory]
    common.finish(machine, rows)


def measure_parts(
    env: envs.Environment, configs: dict[str, dyna.DynaConfig]
) -> list[dict[str, Any]]:
    """Seconds of every part, and its ratio to a model-free update in the same rounds.

    Args:
      env: the environment.
      configs: by kind of model; they differ in nothing else.
    """
    calls: dict[str, Callable[[], Any]] = {}
    units: dict[str, int] = {}  # what a call makes
    for kind, config in configs.items():
        if _TOTAL.value is not None:
            config = dataclasses.replace(config, total_timesteps=_TOTAL.value, dyna_iterations=1)
        program = make_program(env, config)
        carry = full(program, program.start(range(_SEEDS.value)))
        found = _calls(program, carry)
        acting = {} if calls else {k: found[k] for k in (_BASELINE, "act", "act and update")}
        planning = {f"{k}, {kind} model": found[k] for k in ("fit", "plan")}
        calls.update(acting | planning)
        fits = {label: program.max_steps for label in planning if label.startswith("fit")}
        units.update(dict.fromkeys(acting | planning, _UPDATES.value) | fits)
    print(f"{env.name}: {len(calls)} parts, compiling ...", flush=True)
    times = common.alternate(calls, _REPEATS.value, _WARM_UP.value)
    seconds = {label: values / units[label] for label, values in times.items()}
    seconds["update"] = seconds["act and update"] - seconds["act"]
    baseline = seconds[_BASELINE]
    order = sorted(seconds, key=lambda label: label.startswith(("fit", "plan")))
    return [
        {
            "part": label,
            "seeds": _SEEDS.value,
            "seconds": float(np.median(values)),
            "seconds_quartiles": common.quartiles(values)[::2],
            "ratio": float(np.median(values / baseline)),
            "ratio_quartiles": common.quartiles(values / baseline)[::2],
            "repeats": _REPEATS.value,
        }
        for label, values in ((label, seconds[label]) for label in order)
    ]


def _calls(program: DynaProgram, carry: DynaCarry) -> dict[str, Callable[[], Any]]:
    """What is timed: functions that wait for their result."""
    zero, number = tf.constant(0), tf.constant(_UPDATES.value)
    rows, steps = tf.constant(program.config.capacity), tf.constant(program.max_steps)
    collect = program.ppo.collect
    # So many updates that no call reaches the limit.
    planning, _ = program.begin_planning(carry, zero, rows, tf.constant(10**6))

    @tf.function(jit_compile=True, autograph=False)
    def act(ppo):  # all of the last rollout is returned, so that no part of it is left out
        def body(i, state):
            return collect(ppo._replace(acting=state[0]), i, with_states=True)

        return repeat(_UPDATES.value - 1, body, collect(ppo, zero, with_states=True))

    return {
        _BASELINE: lambda: program.ppo.run(carry.ppo, zero, number)[1].returns.numpy(),
        "act": lambda: act(carry.ppo)[1].reward.numpy(),
        "act and update": lambda: program.run(carry, zero, number)[1].returns.numpy(),
        "fit": lambda: program.fit(carry, zero, steps, rows).model[0].numpy(),
        "plan": lambda: program.plan(planning, zero, number, number, rows).made.numpy(),
    }


def make_program(env: envs.Environment, config: dyna.DynaConfig) -> DynaProgram:
    """What `train_dyna` compiles."""
    model, _ = transition_model(env, config)
    return DynaProgram(env, config, *make_models(env, config), model)


def full(program: DynaProgram, carry: DynaCarry) -> DynaCarry:
    """The carry after an update, its buffer filled with copies of that update's transitions."""
    carry, _ = program.run(carry, tf.constant(0), tf.constant(1))
    made, capacity = program.config.batch_size, program.config.capacity

    def fill(x: tf.Variable) -> tf.Variable:
        return tf.Variable(tf.tile(x[:, :made], [1, capacity // made, *[1] * (x.shape.rank - 2)]))

    return carry._replace(buffer=tf.nest.map_structure(fill, carry.buffer))


def measure_driver(env: envs.Environment, config: dyna.DynaConfig) -> dict[str, Any]:
    """Steps/s of `train_dyna`, of all seeds."""
    updates = config.boundaries[0] * _ITERATIONS.value
    config = dataclasses.replace(
        config,
        total_timesteps=updates * config.batch_size,
        dyna_iterations=_ITERATIONS.value,
    )
    print(f"{env.name}: train_dyna, {config.model_kind} model ...", flush=True)
    result = dyna.train_dyna(env, config, range(_SEEDS.value))
    real = _SEEDS.value * updates * config.batch_size
    planned = int(result.planned_updates.sum()) * config.batch_size
    return {
        "model": config.model_kind,
        "seeds": _SEEDS.value,
        "real": real / result.seconds["act and update"],
        "planned": planned / result.seconds["plan"],
        "all": (real + planned) / sum(result.seconds.values()),
        "seconds": result.seconds,
    }


def describe_memory(
    env: envs.Environment, config: dyna.DynaConfig, total_timesteps: int | None = None
) -> dict[str, Any]:
    """Bytes that a run carries for a seed, without allocating them.

    Args:
      env: the environment.
      config: the run's, but for its length.
      total_timesteps: its length, by default the thesis'.
    """
    total = _THESIS_STEPS[env.name] if total_timesteps is None else total_timesteps
    shortest = dataclasses.replace(config, total_timesteps=config.batch_size, dyna_iterations=1)
    carry = make_program(env, shortest).start([0])
    row = bytes_of(carry.buffer) // shortest.capacity
    capacity = dataclasses.replace(config, total_timesteps=total, dyna_iterations=1).capacity
    buffer = row * capacity
    everything = bytes_of(carry) - bytes_of(carry.buffer) + buffer
    return {
        "model": config.model_kind,
        "total_timesteps": total,
        "buffer_bytes": buffer,
        "carry_bytes": everything,
        "gigabytes": 128 * everything / 1e9,
    }


def bytes_of(tensors: Any) -> int:
    """Bytes of the numbers in a structure of tensors."""
    return sum(x.dtype.size * x.shape.num_elements() for x in tf.nest.flatten(tensors))


def _table(rows: Sequence[dict[str, Any]], title: str) -> Table:
    caption = "Of an update of all seeds, of a fit by gradient step. Medians, quartiles."
    table = common.table(title, caption, "part", ("ms", "ratio"))
    for row in rows:
        around = [1e3 * x for x in row["seconds_quartiles"]]
        table.add_row(
            row["part"],
            common.with_quartiles(1e3 * row["seconds"], around, 2),
            common.with_quartiles(row["ratio"], row["ratio_quartiles"], 3),
        )
    return table


if __name__ == "__main__":
    launch(main, lambda: "Nothing is stored.")
