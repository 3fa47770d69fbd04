"""The flags of the launchers that train: environment, seeds, run folder; and how they go on."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from . import common

if TYPE_CHECKING:
    from tf_equirl import envs

START = ("start_from", "start_seed")
"""The flags of `define_start`."""
WATCH = ("evaluate_every", "evaluation_episodes", "stop_at")
"""Those of `define_watch`. No run folder keeps them."""
_BEGUN = ("run.json", "sweep.json", "search.json")
_chosen: list[Path] = []


def define(num_seeds: int, members: str, run_dir: str, resume: str) -> None:
    """Defines the flags.

    Args:
        num_seeds: How many by default.
        members: What there is one of for each seed.
        run_dir: The default of `run_dir`, in words.
        resume: Help text of `resume`.
    """
    flags.DEFINE_string("env", "CartPole", common.ENV)
    flags.DEFINE_multi_string("env_arg", [], common.ENV_ARG)
    flags.DEFINE_integer("num_seeds", num_seeds, f"number of {members} trained side by side")
    flags.DEFINE_integer("first_seed", 0, "the seeds are first_seed, first_seed + 1, ...")
    flags.DEFINE_string("run_dir", None, f"run folder (default: {run_dir})")
    flags.DEFINE_bool("resume", False, resume)


def define_start() -> None:
    """Defines `--start_from` and `--start_seed`."""
    flags.DEFINE_string(
        "start_from",
        None,
        "networks that every seed goes on from: a name in the zoo, or the path of a run folder, of "
        "a model in a zoo of your own or of an actor's .keras file (default: new networks)",
    )
    flags.DEFINE_integer("start_seed", None, "seed of the run in start_from (default: the best)")


def define_watch() -> None:
    """Defines `--evaluate_every`, `--evaluation_episodes` and `--stop_at`."""
    flags.DEFINE_integer(
        "evaluate_every",
        None,
        "updates from one evaluation to the next: greedy episodes of every seed (default: none)",
    )
    flags.DEFINE_integer("evaluation_episodes", 10, "episodes of a seed in an evaluation")
    flags.DEFINE_float(
        "stop_at",
        None,
        "stop where the mean over seeds reaches this return: of the last evaluation, or without "
        "evaluations of the last finished episodes (default: train to the end)",
    )


def watch() -> dict[str, Any]:
    """The arguments of a trainer that the flags of `define_watch` stand for."""
    return {name: flags.FLAGS[name].value for name in WATCH}


def watch_again() -> list[str]:
    """Those flags as they were given."""
    return [f"--{name}={value}" for name, value in watch().items() if common.given(name)]


def resumed() -> Path | None:
    """The folder of the run to go on with; None for a new run.

    Raises:
        ValueError: If none is given.
    """
    if not flags.FLAGS.resume:
        return None
    if not flags.FLAGS.run_dir:
        raise ValueError("--resume needs --run_dir. Received: run_dir=None")
    return Path(flags.FLAGS.run_dir)


def description(trainer: str) -> dict[str, Any] | None:
    """What the run to go on with says of itself; None for a new run.

    Raises:
        ValueError: If the folder holds no run of that trainer.
    """
    from tf_equirl.training.run_folder import read_description

    folder = resumed()
    return None if folder is None else read_description(folder, trainer)


def environment(
    found: dict[str, Any] | envs.BaseEnvironment | None,
) -> envs.BaseEnvironment:
    """That of the flags, or of a run that is resumed.

    Args:
        found: The run's description or its environment; None for a new run.

    Raises:
        ValueError: If it cannot be made, or arguments are given for that of a run.
    """
    from tf_equirl.training.run_folder import environment_again

    if found is not None and common.given("env_arg") and not common.given("env"):
        raise ValueError(f"--env_arg needs --env. Received: env_arg={flags.FLAGS.env_arg}")
    if found is None or common.given("env"):
        return common.environment(flags.FLAGS.env, flags.FLAGS.env_arg)
    return environment_again(found) if isinstance(found, dict) else found


def seeds(found: dict[str, Any] | None) -> list[int]:
    """Those of the flags, or of a run that is resumed.

    Raises:
        ValueError: If there are none.
    """
    if found is not None and not common.given("num_seeds", "first_seed"):
        return found["seeds"]
    count, first = flags.FLAGS.num_seeds, flags.FLAGS.first_seed
    if found is not None and not common.given("first_seed"):
        first = found["seeds"][0]
    if count < 1:
        raise ValueError(f"num_seeds must be at least 1. Received: num_seeds={count}")
    return list(range(first, first + count))


def run_dir(*names: str) -> Path:
    """The run folder; where none is chosen `runs/<names>-<date and time>`."""
    default = Path("runs") / "-".join([*names, time.strftime("%Y%m%d-%H%M%S")])
    return Path(flags.FLAGS.run_dir or default)


def claim(folder: Path) -> None:
    """From now on Ctrl-C leaves something in this run folder."""
    _chosen.append(folder)


def how_to_go_on(launcher: str, *further: str) -> str:
    """What `launch` tells after Ctrl-C: that a run is saved, and the command to resume it.

    Args:
        launcher: Name of the launcher's module.
        *further: Flags that the run needs again.
    """
    if not _chosen or not any((_chosen[-1] / name).exists() for name in _BEGUN):
        return "Nothing was trained yet."
    script = Path(sys.argv[0]).name
    program = f"python -m launchers.{launcher}" if script == f"{launcher}.py" else script
    flags_again = shlex.join(["--resume", f"--run_dir={_chosen[-1]}", *further])
    return f"What was trained is saved. Go on with:\n  {program} {flags_again}"
