"""Seconds that groups, their Fourier bases and layers take to be built, by the group's order.

    python -m benchmarks.build_time --groups=C8,C100,S5
    python -m benchmarks.build_time --groups=C8,D4,C100 --escnn=C8,D4,C100

`basis` is `fourier_basis`, computed once for a group and process; `layer` is a `GroupDense` of 16
channels, built, with its first call of one input in the Fourier basis, eagerly. `--escnn` times
escnn's group and its `Linear` of 16 regular fields to as many, built and called, for cyclic and
dihedral groups, where escnn is installed.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import rich
from absl import flags

from benchmarks import common
from launchers.common import launch
from tf_equirl.groups import fourier_basis, real_irreps
from tf_equirl.layers import GroupDense

_GROUPS = flags.DEFINE_list(
    "groups",
    ["C8", "D4", "S4", "C100", "D50", "S5", "D250", "S6", "C1000"],
    "names of groups",
)
_ESCNN = flags.DEFINE_list(
    "escnn", [], "names of cyclic and dihedral groups of which escnn's layers are timed, too"
)
_CHANNELS = 16


def main() -> None:
    """Measures every group; prints a table."""
    wrong = [n for n in _ESCNN.value if n[0] not in "CD" or n not in _GROUPS.value]
    if wrong:
        raise ValueError(
            "--escnn must name cyclic and dihedral groups that --groups names. Received: "
            f"--escnn={','.join(_ESCNN.value)}"
        )
    machine = common.describe_machine()
    GroupDense(2, common.group_of("C2"), algorithm="fourier")(np.zeros((1, 2, 2), np.float32))
    rows: list[dict[str, Any]] = []
    for name in _GROUPS.value:
        seconds = []
        started = time.perf_counter()
        group = common.group_of(name)
        seconds.append(time.perf_counter() - started)
        started = time.perf_counter()
        fourier_basis(group)
        seconds.append(time.perf_counter() - started)
        started = time.perf_counter()
        layer = GroupDense(_CHANNELS, group, algorithm="fourier")
        layer(np.zeros((1, group.order, _CHANNELS), np.float32))
        seconds.append(time.perf_counter() - started)
        rows.append(
            {
                "group": name,
                "order": group.order,
                "irreps": len(real_irreps(group)),
                "group_seconds": seconds[0],
                "basis_seconds": seconds[1],
                "layer_seconds": seconds[2],
                "escnn_seconds": _of_escnn(name) if name in _ESCNN.value else None,
            }
        )
        print(name, *(f"{s:.2f}" for s in seconds), flush=True)
    columns = ("order", "irreps", "group", "basis", "layer", "escnn, all")
    made = common.table("Build times", "Seconds.", "group", columns)
    for row in rows:
        times = [row[f"{what}_seconds"] for what in ("group", "basis", "layer", "escnn")]
        cells = ["" if s is None else f"{s:.3f}" for s in times]
        made.add_row(row["group"], str(row["order"]), str(row["irreps"]), *cells)
    rich.print(made)
    common.finish(machine, rows)


def _of_escnn(name: str) -> float:
    """Seconds for escnn's group of that name, "C8" or "D4", and a layer of it."""
    import escnn
    import torch

    started = time.perf_counter()
    number = int(name[1:])
    make = escnn.group.CyclicGroup if name[0] == "C" else escnn.group.DihedralGroup
    group = make(number)
    space = escnn.gspaces.no_base_space(group)
    fields = escnn.nn.FieldType(space, _CHANNELS * [group.regular_representation])
    layer = escnn.nn.Linear(fields, fields)
    layer(fields(torch.zeros(1, fields.size)))
    return time.perf_counter() - started


if __name__ == "__main__":
    launch(main, lambda: "Nothing is stored.")
