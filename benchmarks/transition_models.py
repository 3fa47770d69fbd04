"""Time of a gradient step of every kind of transition model, against the MLP.

    python -m benchmarks.transition_models --env=CartPole
    python -m benchmarks.transition_models --env=Catch

Many seeds of each kind take gradient steps side by side, as `fit_transition_model` makes them: each
gathers its minibatch, evaluates the loss, and updates its weights with Adam. Timed is a compiled
call of `steps` of them until the losses are in the host's memory. Drawing the order of the data,
validation, compilation and the warm-up calls are not in the times.

All kinds have the MLP's number of parameters, as near as widths allow. They take turns, in an order
that rotates from round to round; the ratio is the median of the rounds' own ratios to the MLP, with
their quartiles.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import rich
from absl import flags
from rich.table import Table

from benchmarks import common
from launchers.common import launch
from tf_equirl import dyna
from tf_equirl.dynamics.learner import TransitionLearner
from tf_equirl.models.widths import trained_parameters
from tf_equirl.reproductions import thesis

_EXPERIMENTS = {
    "CartPole": thesis.cartpole_transitions,
    "Catch": thesis.catch_transitions,
}
_ENV = flags.DEFINE_enum("env", "CartPole", list(_EXPERIMENTS), "environment")
_SEEDS = flags.DEFINE_integer("seeds", 16, "models of each kind, side by side", lower_bound=1)
_STEPS = flags.DEFINE_integer("steps", 20, "gradient steps of a timed call", 1, 256)
_REPEATS = flags.DEFINE_integer("repeats", 50, "timed calls of each kind", lower_bound=1)
_WARM_UP = flags.DEFINE_integer("warm_up", 3, "calls of each kind before", lower_bound=0)


def main() -> None:
    """Measures the kinds; prints a table."""
    machine = common.describe_machine()
    experiment = _EXPERIMENTS[_ENV.value]()
    parameters, calls = {}, {}
    for kind in experiment.kinds:
        model = experiment.model(kind)
        parameters[kind] = trained_parameters(model)
        calls[kind] = training(experiment, kind, range(_SEEDS.value), _STEPS.value)
    times = common.alternate(calls, _REPEATS.value, _WARM_UP.value)
    baseline = times[experiment.kinds[0]]
    rows = [
        {
            "kind": kind,
            "environment": experiment.environment,
            "parameters": parameters[kind],
            "seeds": _SEEDS.value,
            "batch_size": experiment.config.batch_size,
            "step_seconds": float(np.median(seconds)) / _STEPS.value,
            "step_seconds_quartiles": [x / _STEPS.value for x in common.quartiles(seconds)[::2]],
            "ratio": float(np.median(seconds / baseline)),
            "ratio_quartiles": common.quartiles(seconds / baseline)[::2],
            "repeats": _REPEATS.value,
        }
        for kind, seconds in times.items()
    ]
    title = (
        f"{experiment.environment}: a gradient step of {_SEEDS.value} seeds, "
        f"{experiment.config.batch_size} transitions each"
    )
    rich.print(_table(rows, title))
    common.finish(machine, rows)


def training(
    experiment: thesis.TransitionExperiment, kind: str, seeds: range, steps: int
) -> Callable[[], None]:
    """A function that makes `steps` gradient steps of the seeds' models and waits for them."""
    env, config = experiment.env, experiment.config_of(kind)
    data = dyna.collect_transitions(env, "random", steps * config.batch_size)
    learner = TransitionLearner(env, config, experiment.model(kind), data, None)
    stage, state = learner.stages["step"], learner.start(seeds)
    stage.run(state, 0, 0)  # draws the order of the data, which is kept

    def train() -> None:
        nonlocal state
        state, reports = stage.run(state, 0, stage.most)
        reports["loss"].numpy()

    return train


def _table(rows: list[dict[str, Any]], title: str) -> Table:
    table = common.table(
        title,
        "Medians with their quartiles.",
        "kind",
        ("parameters", "ms a step", "ratio to mlp"),
    )
    for row in rows:
        around = [1e3 * x for x in row["step_seconds_quartiles"]]
        table.add_row(
            row["kind"],
            f"{row['parameters']:,}",
            common.with_quartiles(1e3 * row["step_seconds"], around, 2),
            common.with_quartiles(row["ratio"], row["ratio_quartiles"], 2),
        )
    return table


if __name__ == "__main__":
    launch(main, lambda: "Nothing is stored.")
