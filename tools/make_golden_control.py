"""Writes what dm_control's tasks do: `python tools/make_golden_control.py`, with dm-control.

In `tests/envs/golden/control.npz`, for each task that is written in TensorFlow, some random states,
targets and actions, and the next states, rewards and observations in float64. The tests compare
with it where dm_control is not installed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

TESTS = Path(__file__).resolve().parents[1] / "tests" / "envs"
sys.path.insert(0, str(TESTS))
import control_reference as reference  # noqa: E402

COUNT = 200


def main() -> None:
    """Writes the file."""
    arrays = {}
    for name in reference.TASKS:
        given = reference.inputs(name, COUNT)
        names = ("states", "targets", "actions", "next_states", "rewards", "observations")
        for key, array in zip(names, (*given, *reference.steps(name, *given)), strict=True):
            arrays[f"{name}/{key}"] = array
    path = TESTS / "golden" / "control.npz"
    path.parent.mkdir(exist_ok=True)
    np.savez_compressed(path, **arrays)


if __name__ == "__main__":
    main()
