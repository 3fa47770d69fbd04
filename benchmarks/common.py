"""What the benchmarks share: the machine's description, timing, quartiles, tables, storing rows."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import flags
from rich import box
from rich.table import Table

from tf_equirl._files import write_atomically
from tf_equirl.groups import (
    FiniteGroup,
    cyclic_group,
    dihedral_group,
    quaternion_group,
    symmetric_group,
)

_JSON = flags.DEFINE_string("json", None, "file for the rows and the machine; none by default")
flags.register_validator(
    "json",
    lambda path: path is None or Path(path).parent.is_dir(),
    "must name a file in a folder that exists",
)


@dataclasses.dataclass
class Machine:
    """What figures were measured on. Load averages are over one minute, in runnable processes."""

    processor: str
    cores: int
    gpus: int
    load_before: float
    load_after: float
    python: str
    tensorflow: str
    keras: str

    def __str__(self) -> str:
        """Two lines for below a table."""
        gpus = f", {self.gpus} GPUs" if self.gpus else ""
        return (
            f"{self.processor}, {self.cores} cores{gpus}; load average {self.load_before:.1f} "
            f"before, {self.load_after:.1f} after\n"
            f"Python {self.python}, TensorFlow {self.tensorflow}, Keras {self.keras}"
        )


def describe_machine() -> Machine:
    """This machine, before the measurement: `load_after` is yet to be set."""
    load = os.getloadavg()[0]
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 1,
        gpus=len(tf.config.list_physical_devices("GPU")),
        load_before=load,
        load_after=load,
        python=platform.python_version(),
        tensorflow=tf.__version__,
        keras=keras.__version__,
    )


def group_of(name: str) -> FiniteGroup:
    """A cyclic, dihedral or symmetric group by its usual name, or Q8.

    Raises:
        ValueError: If it is none.
    """
    families = {"C": cyclic_group, "D": dihedral_group, "S": symmetric_group}
    if name == "Q8":
        return quaternion_group()
    if name[:1] not in families or not name[1:].isdigit():
        raise ValueError(f"groups must be names such as C4, D4, S3 and Q8. Received: {name!r}")
    return families[name[:1]](int(name[1:]))


def quartiles(values: Sequence[float] | np.ndarray) -> tuple[float, float, float]:
    """First quartile, median and third quartile."""
    low, middle, high = np.percentile(values, [25, 50, 75])
    return float(low), float(middle), float(high)


def alternate(
    calls: dict[str, Callable[[], Any]], repeats: int, warm_up: int
) -> dict[str, np.ndarray]:
    """Seconds of every call, `[repeats]` by label; the labels take turns.

    Args:
        calls: What is timed, by label.
        repeats: Timed rounds.
        warm_up: Rounds before them, besides the one that compiles.
    """
    labels = list(calls)
    times: dict[str, list[float]] = {label: [] for label in labels}
    for round_number in range(1 + warm_up + repeats):
        first = round_number % len(labels)
        for label in labels[first:] + labels[:first]:
            started = time.perf_counter()
            calls[label]()
            times[label].append(time.perf_counter() - started)
    return {label: np.array(seconds[1 + warm_up :]) for label, seconds in times.items()}


def with_quartiles(middle: float, around: Sequence[float], digits: int) -> str:
    """A median and the quartiles around it: "1.88 (1.47-2.07)"."""
    low, high = around
    return f"{middle:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def table(title: str, caption: str, label: str, columns: Sequence[str]) -> Table:
    """An empty table that fits a terminal of 80 columns: a column of labels, others of numbers."""
    made = Table(
        title=title,
        title_justify="left",
        caption=caption,
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    made.add_column(label, no_wrap=True)
    for name in columns:
        made.add_column(name, justify="right", no_wrap=True)
    return made


def finish(machine: Machine, rows: list[dict[str, Any]]) -> None:
    """Prints the machine with its load by now, and stores everything if `--json` asks for it."""
    machine.load_after = os.getloadavg()[0]
    print(machine)
    if _JSON.value:
        content = {"machine": dataclasses.asdict(machine), "rows": rows}
        text = json.dumps(content, indent=2) + "\n"
        write_atomically(Path(_JSON.value), lambda stream: stream.write(text.encode()))
        print(f"rows: {_JSON.value}")


def _processor() -> str:
    """The processor's name; Linux tells it only in a file."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
