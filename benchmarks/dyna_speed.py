"""Time and memory of Dyna, part by part, against a model-free PPO update.

    python -m benchmarks.dyna_speed --env=CartPole --env=Catch

Configurations are those of `thesis.online_cartpole` and `online_catch`: an MLP actor, an MLP
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
from tf_equirl import dyna, envs
from tf_equirl.dyna.learner import DynaLearner, DynaState
from tf_equirl.dyna.train import transition_model
from tf_equirl.reproductions import thesis
from tf_equirl.training.loops import repeat

_EXPERIMENTS = {"CartPole": thesis.online_cartpole, "Catch": thesis.online_catch}
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
        configs = {c.config.model.kind: c.config for c in experiment.columns if c.name in _MODELS}
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
                "{state_bytes:,} bytes a seed; 128 seeds {gigabytes:.2f} GB".format(**row)
            )
        rows += [*parts, *drivers, *memory]
    common.finish(machine, rows)


def measure_parts(
    env: envs.Environment, configs: dict[str, dyna.DynaConfig]
) -> list[dict[str, Any]]:
    """Seconds of every part, and its ratio to a model-free update in the same rounds.

    Args:
        env: The environment.
        configs: By kind of model; they differ in nothing else.
    """
    calls: dict[str, Callable[[], Any]] = {}
    units: dict[str, int] = {}  # what a call makes
    for kind, config in configs.items():
        if _TOTAL.value is not None:
            config = of_length(config, _TOTAL.value)
        learner = make_learner(env, config)
        found = _calls(learner, full(learner, learner.start(range(_SEEDS.value))))
        acting = {} if calls else {k: found[k] for k in (_BASELINE, "act", "act and update")}
        planning = {f"{k}, {kind} model": found[k] for k in ("fit", "plan")}
        calls.update(acting | planning)
        fits = {label: learner.stages["fit"].most for label in planning if label.startswith("fit")}
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


def _calls(learner: DynaLearner, state: DynaState) -> dict[str, Callable[[], Any]]:
    """What is timed: functions that wait for their result."""
    agent, stages, number = learner.agent, learner.stages, _UPDATES.value
    zero = tf.constant(0)
    # So many updates that no call reaches the limit.
    begin = tf.function(learner.begin_planning, jit_compile=True, autograph=False)
    rows = tf.constant(learner.config.capacity)
    planning = state._replace(planning=begin(state, zero, rows, tf.constant(10**6))[0])

    @tf.function(jit_compile=True, autograph=False)
    def act(state):  # all of the last rollout is returned, so that no part of it is left out
        def body(i, acted):
            return agent.collect(state._replace(acting=acted[0]), i, with_states=True)

        return repeat(number - 1, body, agent.collect(state, zero, with_states=True))

    model_free = agent.stages["update"]
    most = stages["fit"].most
    return {
        _BASELINE: lambda: model_free.run(state.agent, 0, number)[1]["returns"].numpy(),
        "act": lambda: act(state.agent)[1].reward.numpy(),
        "act and update": lambda: stages["update"].run(state, 0, number)[1]["returns"].numpy(),
        "fit": lambda: tf.nest.flatten(stages["fit"].run(state, 0, most)[0].model)[0].numpy(),
        "plan": lambda: stages["plan"].run(planning, 0, number)[0].made.numpy(),
    }


def of_length(config: dyna.DynaConfig, timesteps: int, iterations: int = 1) -> dyna.DynaConfig:
    """The config of a run of so many environment steps."""
    agent = dataclasses.replace(config.agent, total_timesteps=timesteps)
    return dataclasses.replace(config, agent=agent, dyna_iterations=iterations)


def make_learner(env: envs.Environment, config: dyna.DynaConfig) -> DynaLearner:
    """What `train_dyna` runs."""
    model, _ = transition_model(env, config)
    return DynaLearner(config.agent.learner(env), config, model)


def full(learner: DynaLearner, state: DynaState) -> DynaState:
    """The state after an update, its buffer filled with copies of that update's transitions."""
    state, _ = learner.stages["update"].run(state, 0, 1)
    made, capacity = learner.config.agent.batch_size, learner.config.capacity

    def fill(x: tf.Variable) -> tf.Variable:
        return tf.Variable(tf.tile(x[:, :made], [1, capacity // made, *[1] * (x.shape.rank - 2)]))

    return state._replace(buffer=tf.nest.map_structure(fill, state.buffer))


def measure_driver(env: envs.Environment, config: dyna.DynaConfig) -> dict[str, Any]:
    """Steps/s of `train_dyna`, of all seeds."""
    updates = config.boundaries[0] * _ITERATIONS.value
    size = config.agent.batch_size
    config = of_length(config, updates * size, _ITERATIONS.value)
    print(f"{env.name}: train_dyna, {config.model.kind} model ...", flush=True)
    result = dyna.train_dyna(env, config, range(_SEEDS.value))
    real = _SEEDS.value * updates * size
    planned = int(result.planned_updates.sum()) * size
    return {
        "model": config.model.kind,
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
        env: The environment.
        config: The run's, but for its length.
        total_timesteps: Its length, by default the thesis'.
    """
    total = _THESIS_STEPS[env.name] if total_timesteps is None else total_timesteps
    shortest = of_length(config, config.agent.batch_size)
    state = make_learner(env, shortest).start([0])
    row = bytes_of(state.buffer) // shortest.capacity
    buffer = row * of_length(config, total).capacity
    everything = bytes_of(state) - bytes_of(state.buffer) + buffer
    return {
        "model": config.model.kind,
        "total_timesteps": total,
        "buffer_bytes": buffer,
        "state_bytes": everything,
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
