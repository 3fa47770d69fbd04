"""Time of a policy's forward pass: the equivariant network against the MLP.

    python -m benchmarks.forward_pass --states=10000

Each network maps a batch of random states to logits in one `tf.function(jit_compile=True)`. Timed
is a call from Python until all logits are in the host's memory, so that the call's own overhead
counts; `one state` is the same call for a single state, which is hardly more than that overhead.
Weights are variables, so that the expansion of the equivariant kernels is part of every call.
Tracing, compiling, making the states and the warm-up calls are not in the times.

The networks take turns, in an order that rotates from round to round; the ratio is the median of
the rounds' own ratios to the MLP, with their quartiles.

* `mlp`: hidden layers of `hidden_units`;
* `gcnn, equal parameters`: as near to the MLP's number of parameters as widths allow;
* `gcnn, equal width`: `hidden_units` channels for every group element, hence features `order` times
  as many as the MLP's.

The thesis reports a ratio of 1.08.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
import rich
import tensorflow as tf
from absl import flags
from rich.table import Table

from benchmarks import common
from launchers.common import launch, parse_integers
from tf_equirl import envs, models

_ENV = flags.DEFINE_string("env", "CartPole", "name of the environment")
_STATES = flags.DEFINE_integer("states", 10_000, "states in the batch", lower_bound=1)
_HIDDEN = flags.DEFINE_list("hidden_units", ["64", "64"], "widths of the MLP's hidden layers")
_REPEATS = flags.DEFINE_integer("repeats", 1000, "timed calls of each network", lower_bound=1)
_WARM_UP = flags.DEFINE_integer("warm_up", 50, "calls of each network before", lower_bound=0)
_SEED = flags.DEFINE_integer("seed", 0, "seed of the weights and states", lower_bound=0)

_BASELINE = "mlp"


def main() -> None:
    """Measures the three networks; prints a table."""
    machine = common.describe_machine()
    env = envs.make(_ENV.value)
    networks = build(env, parse_integers("hidden_units", _HIDDEN.value), _SEED.value)
    random = np.random.default_rng(_SEED.value)
    shape = (_STATES.value, *env.observation_shape)
    states = tf.constant(random.standard_normal(shape), tf.float32)
    calls = {label: compiled(network) for label, network in networks.items()}
    times, single = (
        common.alternate(
            {label: partial(call, given) for label, call in calls.items()},
            _REPEATS.value,
            _WARM_UP.value,
        )
        for given in (states, states[:1])
    )
    rows = [
        {
            "network": label,
            "parameters": network.count_params(),
            "states": _STATES.value,
            "seconds": float(np.median(times[label])),
            "seconds_quartiles": common.quartiles(times[label])[::2],
            "one_state_seconds": float(np.median(single[label])),
            "ratio": float(np.median(times[label] / times[_BASELINE])),
            "ratio_quartiles": common.quartiles(times[label] / times[_BASELINE])[::2],
            "repeats": _REPEATS.value,
        }
        for label, network in networks.items()
    ]
    rich.print(_table(rows, f"{env.name}: forward pass over {_STATES.value:,} states"))
    common.finish(machine, rows)


def build(
    env: envs.Environment, hidden_units: tuple[int, ...], seed: int
) -> dict[str, keras.Model]:
    """The networks that are compared, by label."""
    with models.seeded(seed):
        mlp = models.actor(env.symmetry, "mlp", hidden_units)
        return {
            _BASELINE: mlp,
            "gcnn, equal parameters": models.actor(
                env.symmetry, "gcnn", hidden_units, match_parameters=mlp.count_params()
            ),
            "gcnn, equal width": models.actor(env.symmetry, "gcnn", hidden_units),
        }


def compiled(network: keras.Model) -> Callable[[tf.Tensor], np.ndarray]:
    """The network as one XLA program, from a batch of states to logits on the host."""
    forward = tf.function(lambda states: network(states), jit_compile=True, autograph=False)
    return lambda states: forward(states).numpy()


def _table(rows: list[dict[str, Any]], title: str) -> Table:
    table = common.table(
        title,
        "Medians, the ratio with its quartiles. The thesis reports a ratio of 1.08.",
        "network",
        ("parameters", "ms", "one state ms", "ratio to mlp"),
    )
    for row in rows:
        table.add_row(
            row["network"],
            f"{row['parameters']:,}",
            f"{1e3 * row['seconds']:.3f}",
            f"{1e3 * row['one_state_seconds']:.3f}",
            common.with_quartiles(row["ratio"], row["ratio_quartiles"], 3),
        )
    return table


if __name__ == "__main__":
    launch(main, lambda: "Nothing is stored.")
