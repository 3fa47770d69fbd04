"""Seconds that groups, their Fourier bases and layers take to be built, by the group's order.

    python -m benchmarks.build_time --groups=C8,C100,S5

`basis` is `fourier_basis`, computed once for a group and process; `layer` is a `GroupDense` of 16
channels, built, with its first call of one input in the Fourier basis, eagerly.
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
_CHANNELS = 16


def main() -> None:
    """Measures every group; prints a table."""
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
            }
        )
        print(name, *(f"{s:.2f}" for s in seconds), flush=True)
    made = common.table(
        "Build times", "Seconds.", "group", ("order", "irreps", "group", "basis", "layer")
    )
    for row in rows:
        times = (row["group_seconds"], row["basis_seconds"], row["layer_seconds"])
        cells = [f"{s:.3f}" for s in times]
        made.add_row(row["group"], str(row["order"]), str(row["irreps"]), *cells)
    rich.print(made)
    common.finish(machine, rows)


if __name__ == "__main__":
    launch(main, lambda: "Nothing is stored.")
