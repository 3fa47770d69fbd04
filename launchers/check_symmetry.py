"""Checks whether an environment has its symmetry, and says by how much it does not.

python -m launchers.check_symmetry --env=CartPole
python -m launchers.check_symmetry --env=CartPole --env_arg=breaking=gain --env_arg=kappa=0.5
python -m launchers.check_symmetry --env=Walker2d-v5 --samples=300
python -m launchers.check_symmetry --table
"""

from __future__ import annotations

from typing import Any

from absl import flags

from . import common

_ENV = flags.DEFINE_string("env", None, "the environment: a name of ours or an id of gymnasium's")
_ENV_ARG = flags.DEFINE_multi_string("env_arg", [], common.ENV_ARG)
_SAMPLES = flags.DEFINE_integer("samples", 1000, "number of states and actions to compare")
_SEED = flags.DEFINE_integer("seed", 0, "seed of the exploration")
_TABLE = flags.DEFINE_bool(
    "table",
    False,
    "print what is declared for gymnasium's environments and how well it holds, in Markdown "
    "(docs/environments.md); needs the extras box2d and mujoco",
)


def main() -> None:
    """Prints the report, or the table."""
    from tf_equirl.envs import check_symmetry, symmetries

    if _TABLE.value:
        if _ENV.value is not None:
            raise ValueError(f"--env must not be given with --table. Received: env={_ENV.value}")
        print(symmetries.symmetry_table(_SAMPLES.value, _SEED.value))
        return
    if _ENV.value is None:
        raise ValueError("--env must be given. Received: none")
    env: Any = _ENV.value
    if _ENV_ARG.value:
        env = common.environment(env, _ENV_ARG.value)
    print(check_symmetry(env, samples=_SAMPLES.value, seed=_SEED.value))


def run() -> None:
    """Entry point of the console script."""
    common.launch(main, lambda: "A check is not saved.")


if __name__ == "__main__":
    run()
