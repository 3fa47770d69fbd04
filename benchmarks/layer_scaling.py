"""Cost of equivariant networks against that of an MLP, by group and by algorithm.

    python -m benchmarks.layer_scaling --out=runs/layer_scaling

Networks of two hidden layers, from the group's regular representation to a number: an MLP of width
`--width`, and G-CNNs with as many parameters or as many features, whose convolutions are computed
by the dense matrix or in the Fourier basis. Timed in turn, compiled: a forward pass over 1, 100 and
10,000 states, and a gradient step of a population, 32 members of 128 rows each, as in training
(`Population.gradients`).

`ratio` is the median over rounds of the time over that of the MLP with the same inputs. The
exponent e of a row of cyclic groups is that of `ratio = c |G|^e`, fitted by least squares to
logarithms. At equal parameters a G-CNN has sqrt(|G|) times the MLP's features, so that 0.5 is the
least that any algorithm can do where a network is bound by memory; the dense form's multiplications
grow with an exponent of 1.

Writes a table (Markdown), the numbers (CSV) and a figure (PNG) into `--out`.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import matplotlib.pyplot as plt
import numpy as np
import rich
import tensorflow as tf
from absl import flags
from matplotlib.ticker import FixedLocator, NullLocator

from benchmarks import common
from launchers.common import launch, parse_integers
from tf_equirl.groups import FiniteGroup, regular_representation, trivial_representation
from tf_equirl.layers import EquivariantReadout, GroupDense, LiftingDense
from tf_equirl.training.loops import repeat
from tf_equirl.training.population import Population

_GROUPS = flags.DEFINE_list(
    "groups", ["C2", "C4", "S3", "C8", "D4", "Q8", "C16", "S4"], "names of groups"
)
_WIDTH = flags.DEFINE_integer("width", 64, "of the MLP's hidden layers", lower_bound=1)
_STATES = flags.DEFINE_list("states", ["1", "100", "10000"], "states of a forward pass")
_MEMBERS = flags.DEFINE_integer("members", 32, "of the population that is trained", lower_bound=1)
_ROWS = flags.DEFINE_integer("rows", 128, "of each member in a gradient step", lower_bound=1)
_SIZES = flags.DEFINE_list("sizes", ["parameters", "width"], "what G-CNN and MLP share")
_REPEATS = flags.DEFINE_integer("repeats", 9, "timed rounds", lower_bound=1)
_OUT = flags.DEFINE_string("out", "runs/layer_scaling", "folder for table, numbers and figure")

_ALGORITHMS = ("dense", "fourier", "auto")
_MARKERS = {"dense": "o", "fourier": "s", "auto": "^"}
_STEPS = 4  # gradient steps of a call
_SECONDS = 0.02  # that a timed call takes at least: it is repeated as often


def main() -> None:
    """Measures every group; writes and prints a table."""
    machine = common.describe_machine()
    rows: list[dict[str, Any]] = []
    for name in _GROUPS.value:
        group = common.group_of(name)
        for size in _SIZES.value:
            print(f"{name}, equal {size} ...", flush=True)
            rows += measure(name, group, size)
    folder = Path(_OUT.value)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "layer_scaling.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    text = table(rows)
    (folder / "layer_scaling.md").write_text(text + f"\n{machine}\n")
    figure(rows, folder / "layer_scaling.png")
    rich.print(text)
    common.finish(machine, rows)


def mlp(inputs: int, width: int) -> keras.Model:
    """Two hidden layers, one output."""
    layers = [keras.layers.Dense(width, "relu") for _ in range(2)]
    return keras.Sequential([keras.Input((inputs,)), *layers, keras.layers.Dense(1)])


def gcnn(group: FiniteGroup, channels: int, algorithm: str) -> keras.Model:
    """Lifting, a convolution and an invariant output."""
    return keras.Sequential(
        [
            keras.Input((group.order,)),
            LiftingDense(channels, regular_representation(group), activation="relu"),
            GroupDense(channels, group, algorithm=algorithm, activation="relu"),
            EquivariantReadout(trivial_representation(group)),
        ]
    )


def channels_of(group: FiniteGroup, width: int, size: str) -> int:
    """Channels with which a G-CNN has the MLP's parameters, as nearly as it can, or its features.

    Raises:
        ValueError: If `size` is neither.
    """
    if size == "width":
        return max(1, round(width / group.order))
    if size != "parameters":
        raise ValueError(f"sizes must be parameters or width. Received: {size!r}")
    n = group.order
    budget = n * width + width**2 + 3 * width + 1
    counts = {c: n * c + n * c**2 + 3 * c + 1 for c in range(1, 2 * width)}
    return min(counts, key=lambda c: abs(counts[c] - budget))


def measure(name: str, group: FiniteGroup, size: str) -> list[dict[str, Any]]:
    """Rows of one group; the networks take turns."""
    channels = channels_of(group, _WIDTH.value, size)
    models = {"mlp": mlp(group.order, _WIDTH.value)}
    models |= {algorithm: gcnn(group, channels, algorithm) for algorithm in _ALGORITHMS}
    tasks: dict[str, Callable[[keras.Model], Callable[[], Any]]] = {
        f"forward {count:,}": partial(forward, states=count)
        for count in parse_integers("states", _STATES.value)
    }
    tasks["gradient"] = gradient
    rows = []
    for task, program in tasks.items():
        calls = {label: program(model) for label, model in models.items()}
        times = common.alternate(_long_enough(calls), _REPEATS.value, 1)
        for label in _ALGORITHMS:
            ratios = times[label] / times["mlp"]
            low, ratio, high = common.quartiles(ratios)
            rows.append(
                {
                    "group": name,
                    "order": group.order,
                    "size": size,
                    "channels": channels,
                    "parameters": models[label].count_params(),
                    "mlp_parameters": models["mlp"].count_params(),
                    "task": task,
                    "algorithm": label,
                    "ratio": round(ratio, 4),
                    "low": round(low, 4),
                    "high": round(high, 4),
                }
            )
    return rows


def forward(model: keras.Model, states: int) -> Callable[[], Any]:
    """A compiled forward pass with weights that are variables, as a model is used."""
    inputs = tf.random.stateless_normal([states, model.inputs[0].shape[1]], [0, 1])
    program = tf.function(model, jit_compile=True, autograph=False)
    return lambda: program(inputs).numpy()


def gradient(model: keras.Model) -> Callable[[], Any]:
    """Gradient steps of a population in one program."""
    population = Population({"model": model})
    weights = population.fresh(range(_MEMBERS.value))
    shape = [_MEMBERS.value, _ROWS.value, model.inputs[0].shape[1]]
    inputs = tf.random.stateless_normal(shape, [0, 1])

    def loss(x):
        outputs = model(x)
        return tf.reduce_mean(tf.square(outputs - 1)), ()

    @tf.function(jit_compile=True, autograph=False)
    def program(weights):
        def step(i, weights):
            gradients, _ = population.gradients(loss, weights, inputs)
            trained = tf.nest.map_structure(lambda w, g: w - 1e-3 * g, weights.trained, gradients)
            return weights._replace(trained=trained)

        return repeat(_STEPS, step, weights)

    return lambda: tf.nest.flatten(program(weights))[0].numpy()


def _long_enough(calls: dict[str, Callable[[], Any]]) -> dict[str, Callable[[], Any]]:
    """Each as often as the quickest of them takes to be timed well, all equally often."""

    def repeated(call: Callable[[], Any], times: int) -> Callable[[], None]:
        def run() -> None:
            for _ in range(times):
                call()

        return run

    once = common.alternate(calls, 3, 1)
    times = math.ceil(_SECONDS / min(np.median(seconds) for seconds in once.values()))
    return {label: repeated(call, times) for label, call in calls.items()}


def exponent(rows: list[dict[str, Any]], size: str, task: str, algorithm: str) -> float | None:
    """The fitted exponent over cyclic groups; None with fewer than three of them."""
    chosen = [
        row
        for row in rows
        if (row["size"], row["task"], row["algorithm"]) == (size, task, algorithm)
        and row["group"].startswith("C")
    ]
    if len(chosen) < 3:
        return None
    orders, ratios = zip(*[(row["order"], row["ratio"]) for row in chosen], strict=True)
    return float(np.polyfit(np.log(orders), np.log(ratios), 1)[0])


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: a line for each group and size, a column for each task and algorithm."""
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    columns = [(task, algorithm) for task in tasks for algorithm in _ALGORITHMS]
    found = {(r["group"], r["size"], r["task"], r["algorithm"]): r for r in rows}
    heads = [f"{task}, {algorithm}" for task, algorithm in columns]
    lines = [
        "| group | equal | channels | " + " | ".join(heads) + " |",
        "|---" * (3 + len(columns)) + "|",
    ]
    for group, size in dict.fromkeys((row["group"], row["size"]) for row in rows):
        of_columns = [found[(group, size, *column)] for column in columns]
        cells = [f"{r['ratio']:.2f} ({r['low']:.2f} to {r['high']:.2f})" for r in of_columns]
        lines.append(f"| {group} | {size} | {of_columns[0]['channels']} | {' | '.join(cells)} |")
    for size in dict.fromkeys(row["size"] for row in rows):
        exponents = [exponent(rows, size, *column) for column in columns]
        cells = ["" if e is None else f"{e:.2f}" for e in exponents]
        lines.append(f"| exponent over C | {size} | | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def figure(rows: list[dict[str, Any]], file: Path) -> None:
    """Ratio against the group's order, a panel for each task, at equal parameters if measured."""
    size = rows[0]["size"]
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    drawn, axes = plt.subplots(
        1, len(tasks), figsize=(3.2 * len(tasks), 3.2), sharey=True, squeeze=False
    )
    for ax, task in zip(axes[0], tasks, strict=True):
        for algorithm in _ALGORITHMS:
            chosen = [
                row
                for row in rows
                if (row["size"], row["task"], row["algorithm"]) == (size, task, algorithm)
            ]
            chosen.sort(key=lambda row: row["order"])
            orders = [row["order"] for row in chosen]
            ratios, marker = [row["ratio"] for row in chosen], _MARKERS[algorithm]
            ax.plot(orders, ratios, marker + "-", ms=4, label=algorithm)
        ax.plot(orders, np.sqrt(orders), "k:", label="sqrt |G|")
        ax.set(title=task, xscale="log", yscale="log", xlabel="order of the group")
        for axis, ticks in ((ax.xaxis, sorted(set(orders))), (ax.yaxis, [1, 2, 5, 10])):
            axis.set_major_locator(FixedLocator(ticks))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_locator(NullLocator())
    axes[0, 0].set_ylabel(f"time over the MLP's,\nequal {size}")
    axes[0, 0].legend(fontsize="small")
    drawn.tight_layout()
    drawn.savefig(file, dpi=120)
    plt.close(drawn)


if __name__ == "__main__":
    launch(main, lambda: "Nothing is stored.")
