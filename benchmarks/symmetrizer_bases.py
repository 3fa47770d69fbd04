"""Bases of equivariant linear maps: how many matrices, and how long it takes to find them.

    python -m benchmarks.symmetrizer_bases

For pairs of representations it compares

* r, the dimension by the closed form (characters), with the number of matrices found by the exact
  algorithm (the sampled one raises an error where its number differs);
* `exact`: seconds to find the basis of `SymmetrizerDense(..., basis="exact")`: orbits of pairs for
  (signed) permutations, the Reynolds projector otherwise;
* `sampled`: seconds of the algorithm of van der Pol et al. (2020): as many random matrices as the
  space of all matrices has dimensions, symmetrised, and a singular value decomposition.

The sampled basis is skipped where a single array of it would take more than `--largest` MB. Times
are those of the fastest of `--repeats` runs, of fewer where one takes longer than a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import rich
from absl import flags
from numpy.typing import ArrayLike
from rich.table import Table

from benchmarks import common
from launchers.common import launch
from tf_equirl import envs
from tf_equirl.groups import (
    FiniteGroup,
    Representation,
    cyclic_group,
    dihedral_group,
    intertwiner_basis,
    intertwiner_dimension,
    permutation_representation,
    quaternion_group,
    regular_representation,
    sampled_intertwiner_basis,
    signed_pair_orbits,
    symmetric_group,
)

_LARGEST = flags.DEFINE_integer(
    "largest", 100, "MB of one array of a sampled basis, above which it is skipped", lower_bound=1
)
_REPEATS = flags.DEFINE_integer("repeats", 3, "runs of each algorithm", lower_bound=1)


def main() -> None:
    """Measures every pair; prints a table."""
    machine = common.describe_machine()
    rows = [
        measure(label, inputs, outputs, _LARGEST.value, _REPEATS.value)
        for label, (inputs, outputs) in pairs().items()
    ]
    rich.print(_table(rows))
    common.finish(machine, rows)


def pairs() -> dict[str, tuple[Representation, Representation]]:
    """Input and output representations, by label."""
    cartpole = envs.make("CartPole").symmetry
    flip = cyclic_group(2)
    hidden = regular_representation(flip)
    pixels = np.arange(50).reshape(10, 5)
    # A grid of 10 by 5 pixels whose columns are reversed.
    grid = _permutations(flip, [pixels.ravel(), pixels[:, ::-1].ravel()])
    points = np.arange(200)
    reversed_points = _permutations(flip, [points, points[::-1]])
    regular = {
        group.name: regular_representation(group)
        for group in (symmetric_group(4), quaternion_group())
    }
    state, action = cartpole.state, cartpole.action
    first = regular_representation(cartpole.group)
    return {
        "CartPole: state to regular": (state, first),
        "CartPole: regular to regular": (first, first),
        "CartPole: regular to actions": (first, action),
        "C2 on 10 x 5 pixels to regular": (grid, hidden),
        "C2 on 10 x 5 pixels to itself": (grid, grid),
        "C2 on 200 points to itself": (reversed_points, reversed_points),
        **{
            f"{group.name} on 200 points to itself": (permutation_representation(group),) * 2
            for group in (cyclic_group(200), dihedral_group(200))
        },
        **{f"{name}: regular to regular": (rep, rep) for name, rep in regular.items()},
    }


def measure(
    label: str, inputs: Representation, outputs: Representation, largest: int, repeats: int
) -> dict[str, Any]:
    """One row of the table.

    Args:
        label: Names the pair.
        inputs: Input representation.
        outputs: Output representation, of the same group.
        largest: MB of an array above which the sampled basis is skipped.
        repeats: Runs of each algorithm, of which the fastest counts.
    """
    found, exact_seconds = _fastest(lambda: _exact_rank(inputs, outputs), repeats)
    row = {
        "pair": label,
        "inputs": inputs.dim,
        "outputs": outputs.dim,
        "order": inputs.group.order,
        "dimension": intertwiner_dimension(inputs, outputs),
        "found": found,
        "exact_seconds": exact_seconds,
        "sampled_seconds": None,
    }
    if 8e-6 * (inputs.dim * outputs.dim) ** 2 <= largest:
        _, row["sampled_seconds"] = _fastest(
            lambda: len(sampled_intertwiner_basis(inputs, outputs)), repeats
        )
    return row


def _exact_rank(inputs: Representation, outputs: Representation) -> int:
    """What `SymmetrizerDense` computes; a rank that is counted and not taken from characters."""
    if inputs.signs is not None and outputs.signs is not None:
        return signed_pair_orbits(outputs, inputs).count
    basis = intertwiner_basis(inputs, outputs)
    return int(np.linalg.matrix_rank(basis.reshape(len(basis), -1)))


def _fastest(run: Callable[[], int], repeats: int) -> tuple[int, float]:
    seconds, value = [], 0
    while len(seconds) < repeats and sum(seconds) < 1:
        started = time.perf_counter()
        value = run()
        seconds.append(time.perf_counter() - started)
    return value, min(seconds)


def _permutations(group: FiniteGroup, permutations: ArrayLike) -> Representation:
    return Representation.from_signed_permutations(group, permutations)


def _table(rows: list[dict[str, Any]]) -> Table:
    table = common.table(
        "Bases of equivariant linear maps",
        f"-: skipped, an array of it would take more than {_LARGEST.value} MB.",
        "pair",
        ("in", "out", "r", "found", "exact ms", "sampled ms"),
    )
    for row in rows:
        seconds = row["sampled_seconds"]
        table.add_row(
            row["pair"],
            str(row["inputs"]),
            str(row["outputs"]),
            f"{row['dimension']:,}",
            f"{row['found']:,}",
            f"{1e3 * row['exact_seconds']:.2f}",
            "-" if seconds is None else f"{1e3 * seconds:,.2f}",
        )
    return table


if __name__ == "__main__":
    launch(main, lambda: "Nothing is stored.")
