"""Networks for pictures: time of group convolutions beside ordinary ones and beside escnn's.

    python -m benchmarks.pictures --escnn

For each of two networks (the grid world of MDP homomorphic networks under C4; Snake on 9 x 9 cells
under D4), all in turn, in an order that rotates from round to round:

* `build`: seconds until a model stands and has computed one picture eagerly;
* `forward, k`: a compiled forward pass of k pictures, weights being variables;
* `gradient`: the gradient of 4 members by 64 pictures each, in one compiled program, as the trainer
  computes it.

`cnn` has ordinary convolutions, `gcnn` group convolutions with as many parameters, `escnn` those of
escnn (Cesa, Lang and Weiler, 2022) for the same group, kernel sizes, strides and channels, in
PyTorch, which must both be installed: forward passes with the expanded filters kept (`eval`), and
the gradient of one member, times 4. escnn's filters are a basis of their own, so that its networks
have fewer parameters than ours of the same sizes. Ratios are medians of the rounds' own ratios to
`cnn`, with their quartiles.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import keras
import numpy as np
import rich
import tensorflow as tf
from absl import flags

from benchmarks import common
from launchers.common import launch
from tf_equirl import models
from tf_equirl.groups import (
    Symmetry,
    cyclic_group,
    dihedral_group,
    image_representation,
    regular_representation,
)
from tf_equirl.models.widths import trained_parameters
from tf_equirl.training import Population

_REPEATS = flags.DEFINE_integer("repeats", 15, "timed calls of each network", lower_bound=1)
_BATCHES = flags.DEFINE_list("batches", ["1", "80", "1000"], "pictures of a forward pass")
_ESCNN = flags.DEFINE_bool("escnn", False, "time escnn's networks as well")
_MEMBERS, _ROWS = 4, 64


class Case(NamedTuple):
    """A network: a symmetry of pictures, its convolutions, and channels after them; a CNN's."""

    symmetry: Symmetry
    convolutions: models.Convolutions
    units: int
    cnn: tuple[tuple[int, ...], int]


def cases() -> dict[str, Case]:
    """The networks by name."""
    c4, d4 = cyclic_group(4), dihedral_group(4)
    return {
        "grid world, C4": Case(
            Symmetry(c4, image_representation(c4, 21, 21), regular_representation(c4)),
            models.Convolutions((8, 16), (7, 5), (2, 1), "valid", "max"),
            256,
            ((16, 32), 512),
        ),
        "Snake, D4": Case(
            Symmetry(d4, image_representation(d4, 9, 9, 4), regular_representation(d4)),
            models.Convolutions((8, 8), (3, 3), (1, 1), "valid", "max"),
            32,
            ((21, 21), 84),
        ),
    }


def main() -> None:
    """Measures every network; prints a table."""
    machine = common.describe_machine()
    rows = [row for name, case in cases().items() for row in measured(name, case)]
    labels = [label for label in rows[0]["milliseconds"] if label != "cnn"]
    made = common.table(
        "Networks for pictures",
        "Milliseconds of the CNN; the others' ratios to it, with quartiles.",
        "",
        ("cnn", *labels),
    )
    for row in rows:
        ratios = (common.with_quartiles(r[1], (r[0], r[2]), 2) for r in row["ratios"].values())
        made.add_row(f"{row['case']}: {row['what']}", f"{row['milliseconds']['cnn']:.2f}", *ratios)
    rich.print(made)
    for case in dict.fromkeys(row["case"] for row in rows):
        sizes = next(row["parameters"] for row in rows if row["case"] == case)
        print(f"{case}, parameters:", ", ".join(f"{k} {v:,}" for k, v in sizes.items()))
    common.finish(machine, rows)


def measured(name: str, case: Case) -> list[dict[str, Any]]:
    """Rows of one case, one for everything that is timed."""
    builders: dict[str, Callable[[], Any]] = {
        "cnn": lambda: build(case, "cnn"),
        "gcnn": lambda: build(case, "gcnn"),
    }
    if _ESCNN.value:
        builders["escnn"] = lambda: EscnnNetwork(case)
    networks = {label: make() for label, make in builders.items()}
    calls: dict[str, dict[str, Callable[[], Any]]] = {
        "build": {label: partial(_built, case, make) for label, make in builders.items()}
    }
    random = np.random.default_rng(0)
    dim = case.symmetry.state.dim
    for size in map(int, _BATCHES.value):
        pictures = random.normal(size=(size, dim)).astype("float32")
        calls[f"forward, {size}"] = {
            label: network.forward(pictures)
            if isinstance(network, EscnnNetwork)
            else _forward(network, pictures)
            for label, network in networks.items()
        }
    calls["gradient"] = {
        label: network.gradient(random)
        if isinstance(network, EscnnNetwork)
        else _gradient(network, dim, random)
        for label, network in networks.items()
    }
    parameters = {
        label: network.parameters
        if isinstance(network, EscnnNetwork)
        else trained_parameters(network)
        for label, network in networks.items()
    }
    rows = []
    for what, each in calls.items():
        times = common.alternate(each, _REPEATS.value, 2)
        rows.append(
            {
                "case": name,
                "what": what,
                "milliseconds": {k: 1e3 * float(np.median(v)) for k, v in times.items()},
                "ratios": {
                    k: common.quartiles(v / times["cnn"]) for k, v in times.items() if k != "cnn"
                },
                "parameters": parameters,
            }
        )
    return rows


def build(case: Case, kind: str) -> keras.Model:
    """A policy network; a "cnn" has nearly as many parameters as the group convolutions."""
    filters, units = (case.convolutions.filters, case.units) if kind == "gcnn" else case.cnn
    looks = dataclasses.replace(case.convolutions, filters=filters)
    flat = [case.symmetry.state.dim]
    return models.actor(case.symmetry, kind, (units,), observation_shape=flat, convolutions=looks)


class EscnnNetwork:
    """The same network of escnn's layers.

    Args:
        case: Which one.
    """

    def __init__(self, case: Case):
        import escnn
        import torch

        self._torch = torch
        group, picture = case.symmetry.group, case.symmetry.state.get_config()["image"]
        turns = 4
        space = (
            escnn.gspaces.rot2dOnR2(turns)
            if group.order == turns
            else escnn.gspaces.flipRot2dOnR2(turns)
        )
        self._shape = picture["channels"], picture["height"], picture["width"]
        kind = escnn.nn.FieldType(space, self._shape[0] * [space.trivial_repr])
        self._inputs, parts = kind, []
        looks = case.convolutions
        for units, geometry in zip(looks.filters or (), looks.geometries(), strict=True):
            out = escnn.nn.FieldType(space, units * [space.regular_repr])
            size, stride = geometry.kernel_size[0], geometry.strides[0]
            parts += [escnn.nn.R2Conv(kind, out, size, stride=stride), escnn.nn.ReLU(out)]
            kind = out
        self._convolutions = escnn.nn.SequentialModule(*parts)
        hidden = escnn.nn.FieldType(space, case.units * [space.regular_repr])
        outputs = escnn.nn.FieldType(space, [space.regular_repr])
        self._head = escnn.nn.SequentialModule(
            escnn.nn.R2Conv(kind, hidden, 1),
            escnn.nn.ReLU(hidden),
            escnn.nn.R2Conv(hidden, outputs, 1),
        )
        self._pooled = kind
        self._wrap = escnn.nn.GeometricTensor
        both = [*self._convolutions.parameters(), *self._head.parameters()]
        self.parameters = sum(p.numel() for p in both)
        self._weights = both

    def __call__(self, pictures: Any) -> Any:
        """Outputs of pictures `[batch, channels, height, width]`."""
        found = self._convolutions(self._wrap(pictures, self._inputs)).tensor
        found = found.amax(dim=(2, 3), keepdim=True)
        return self._head(self._wrap(found, self._pooled)).tensor

    def picture(self, flat: np.ndarray) -> Any:
        """Flat pictures as a tensor."""
        return self._torch.tensor(flat).reshape(len(flat), *self._shape)

    def forward(self, flat: np.ndarray) -> Callable[[], Any]:
        """A forward pass with filters that are expanded once."""
        pictures = self.picture(flat)

        def call() -> Any:
            self._convolutions.eval()
            self._head.eval()
            with self._torch.no_grad():
                return self(pictures).numpy()

        return call

    def gradient(self, random: np.random.Generator) -> Callable[[], Any]:
        """Gradients of 4 members, one after another."""
        flat = random.normal(size=(_ROWS, int(np.prod(self._shape)))).astype("float32")
        pictures = self.picture(flat)

        def call() -> Any:
            self._convolutions.train()
            self._head.train()
            for _ in range(_MEMBERS):
                loss = self._torch.sin(self(pictures)).sum()
                found = self._torch.autograd.grad(loss, self._weights, allow_unused=True)
            return found

        return call


def _built(case: Case, make: Callable[[], Any]) -> None:
    flat = np.zeros((1, case.symmetry.state.dim), np.float32)
    network = make()
    network(network.picture(flat) if isinstance(network, EscnnNetwork) else flat)


def _forward(network: keras.Model, pictures: np.ndarray) -> Callable[[], Any]:
    call = tf.function(network, jit_compile=True, autograph=False)
    given = tf.constant(pictures)
    return lambda: call(given).numpy()


def _gradient(network: keras.Model, dim: int, random: np.random.Generator) -> Callable[[], Any]:
    population = Population({"actor": network})
    weights = population.fresh(range(_MEMBERS))
    pictures = random.normal(size=(_MEMBERS, _ROWS, dim)).astype("float32")

    def loss(pictures: tf.Tensor) -> tuple[tf.Tensor, tuple[()]]:
        return tf.reduce_sum(tf.sin(network(pictures))), ()

    @tf.function(jit_compile=True, autograph=False)
    def gradients(trained: Any, pictures: tf.Tensor) -> Any:
        return population.gradients(loss, weights._replace(trained=trained), pictures)[0]

    given = tf.constant(pictures)
    return lambda: tf.nest.map_structure(lambda x: x.numpy(), gradients(weights.trained, given))


if __name__ == "__main__":
    launch(main, lambda: "Nothing is stored.")
