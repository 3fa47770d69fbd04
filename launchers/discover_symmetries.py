"""Finds the symmetries of an environment, and prints the code that builds them.

python -m launchers.discover_symmetries --env=CartPole
python -m launchers.discover_symmetries --env=Walker2d-v5 --samples=300
"""

from __future__ import annotations

from absl import flags

from . import common

_ENV = flags.DEFINE_string("env", None, "the environment: a name of ours or an id of gymnasium's")
_SAMPLES = flags.DEFINE_integer("samples", 1000, "number of held-out states and actions")
_SEED = flags.DEFINE_integer("seed", 0, "seed of the exploration")
_LEVEL = flags.DEFINE_float("level", 0.05, "significance level of the bound on failures")
_TOLERANCE = flags.DEFINE_float("tolerance", 1e-3, "largest error, in the size of a step")


def main() -> None:
    """Prints the report and the code."""
    from tf_equirl.envs import discover_symmetries

    if _ENV.value is None:
        raise ValueError("--env must be given. Received: none")
    found = discover_symmetries(
        _ENV.value, _SAMPLES.value, _SEED.value, _LEVEL.value, _TOLERANCE.value
    )
    print(found)
    if found.elements:
        print(f"\n{found.code()}")


def run() -> None:
    """Entry point of the console script."""
    common.launch(main, lambda: "A discovery is not saved.")


if __name__ == "__main__":
    run()
