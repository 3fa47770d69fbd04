"""Reproduces a table or a figure: trains what is missing, then writes the report.

    python -m launchers.reproduce --table=4.2

    --table=4.2, --figure=4.3         returns of PPO on CartPole
    --table=4.4, --figure=4.4         returns of PPO on Catch
    --table=transitions-cartpole      errors of transition models of CartPole
    --figure=4.6, --figure=4.7        the same by epoch, and by the pole's angle
    --table=transitions-catch         accuracies of transition models of Catch
    --figure=4.9                      cross-entropy and accuracy by epoch
    --table=transitions-equivariance  how many predictions commute with the group
    --table=transitions-sizes         errors by number of training transitions, with a figure
    --figure=4.5                      correlation between the images of untrained models
    --table=4.5, --figure=4.8         Supervised-Dyna on CartPole; by planning ratio: --figure=5.2
    --table=4.6, --figure=4.10        Supervised-Dyna on Catch; by planning ratio: --figure=5.7
    --figure=4.11, --figure=4.12      Dyna by planning ratio and iterations, CartPole and Catch
    --table=dyna-cartpole             Dyna with models learned online, with a figure of that name;
    --table=dyna-catch                the same on Catch
    --table=race-cartpole             the race: all agents tuned alike, with a figure
    --table=race-catch                the same on Catch
    --table=gridworld                 pictures: networks for the grid world of MDP homomorphic
    --table=gridworld-255             networks, with a figure; its pixels divided by 255
    --table=snake                     CNN and G-CNN in Snake, by PPO and by DQN, with a figure
    --table=pong                      the same in Pong by PPO, reduced; needs the extra "atari"
    --table=approximate-catch         broken symmetries: what they cost in Catch, exactly, and
    --table=approximate-cartpole      PPO on CartPole, by degrees, each with a figure
    --table=approximate-estimates     what critics in Catch say of it, beside what is so
    --table=approximate-control       SAC on control tasks, with a figure; one task of them:
                                      approximate-control-cartpoleswingup, -reacher, -acrobot
    --table=approximate-control-rates  its agents by learning rate and decay
    --table=approximate-stocks        SAC that trades stocks, real and simulated ones
    --table=approximate-pixels        DrQ-v2 from pictures, reduced, on a task that is broken
    --table=ways-pendulum-v1          ways to use a symmetry of an environment of gymnasium's:
                                      augmented data, averaged policies, equivariant networks

Interrupted, the same command goes on where it was. What it writes is explained in
docs/reproduction.md, docs/transition_models.md, docs/dyna.md, docs/race.md, docs/pictures.md,
docs/ways.md, docs/approximate_symmetry.md, docs/trading.md and docs/drqv2.md.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import rich
from absl import flags

from . import common

# Named here, too, so that help need not wait for what makes them.
_TABLES = ["4.2", "4.4", "transitions-cartpole", "transitions-catch", "transitions-equivariance"]
_TABLES += ["transitions-sizes", "4.5", "4.6", "dyna-cartpole", "dyna-catch"]
_TABLES += ["race-cartpole", "race-catch", "ways-acrobot-v1", "ways-pendulum-v1"]
_TABLES += ["ways-mountaincarcontinuous-v0", "ways-inverteddoublependulum-v5", "ways-reacher-v5"]
_TABLES += ["gridworld", "gridworld-255", "snake", "pong"]
_TABLES += ["approximate-catch", "approximate-estimates", "approximate-cartpole"]
_TABLES += ["approximate-control"]
_TABLES += ["approximate-control-cartpoleswingup", "approximate-control-reacher"]
_TABLES += ["approximate-control-acrobot", "approximate-control-rates"]
_TABLES += ["approximate-stocks"]
_TABLES += ["approximate-pixels"]
_FIGURES = ["4.3", "4.4", "4.5", "4.6", "4.7", "4.9", "4.8", "4.10", "dyna-cartpole", "dyna-catch"]
_FIGURES += ["5.2", "5.7", "4.11", "4.12"]

_TABLE = flags.DEFINE_enum("table", None, _TABLES, "table to write")
_FIGURE = flags.DEFINE_enum("figure", None, _FIGURES, "figure to draw")
_SCHEDULE = flags.DEFINE_enum(
    "schedule",
    None,
    ["constant", "annealed"],
    "learning rate of PPO (default: what the thesis' numbers agree with, annealed for CartPole, "
    "constant for Catch)",
)
_NUM_SEEDS = flags.DEFINE_integer(
    "num_seeds",
    None,
    "models of each kind (default: 128 agents, 16 transition models, 16 to 128 agents that plan)",
)
_SEEDS_PER_CHUNK = flags.DEFINE_integer(
    "seeds_per_chunk", 32, "agents trained side by side and kept as one run folder"
)
_SETTINGS = flags.DEFINE_string(
    "settings",
    None,
    "JSON of the race's agents' hyperparameters, as a race writes it: agents named there are "
    "trained with those and not searched",
)
_OUT_DIR = flags.DEFINE_string("out_dir", "runs/reproduce", "folder for runs, tables and figures")


def main() -> None:
    """Trains, then writes the table and the figure that were asked for."""
    if _TABLE.value is None and _FIGURE.value is None:
        raise ValueError("--table or --figure must be given. Received: neither")
    from tf_equirl.reproductions import approximate, pictures, race, thesis

    tables = {**thesis.TABLES, **race.TABLES, **pictures.TABLES, **approximate.TABLES}
    wanted = {
        f"{flag.name}_{flag.value}": outputs[flag.value]
        for outputs, flag in ((tables, _TABLE), (thesis.FIGURES, _FIGURE))
        if flag.value is not None
    }
    for name, output in wanted.items():
        _check_flags(output, "--" + name.replace("_", "=", 1))
    work = thesis.Work(
        Path(_OUT_DIR.value),
        _NUM_SEEDS.value,
        _SEEDS_PER_CHUNK.value,
        _SCHEDULE.value,
        _call,
        _settings(),
    )
    for name, output in wanted.items():
        for shown in thesis.produce(output, work, name):
            (print if isinstance(shown, str) else rich.print)(shown)


def run() -> None:
    """Entry point of the console script."""
    saved = "What was trained is saved: run the same command to go on."
    common.launch(main, lambda: saved, again=True)


def _check_flags(output: Any, received: str) -> None:
    from tf_equirl.reproductions import race
    from tf_equirl.reproductions.thesis import outputs

    if _SCHEDULE.value is not None and output.family != outputs.MODEL_FREE:
        raise ValueError(
            f"--schedule is for model-free PPO; {output.family} have their own. "
            f"Received: {received} --schedule={_SCHEDULE.value}"
        )
    if _SETTINGS.value is not None and output.family != race.RACE:
        raise ValueError(
            f"--settings is for {race.RACE}. Received: {received} --settings={_SETTINGS.value}"
        )
    if common.given("seeds_per_chunk") and output.family == outputs.TRANSITIONS:
        raise ValueError(
            "--seeds_per_chunk is for PPO; the seeds of a transition model train together. "
            f"Received: {received} --seeds_per_chunk={_SEEDS_PER_CHUNK.value}"
        )


def _settings() -> dict[str, Any]:
    """What the file of `--settings` holds; nothing if there is none."""
    if _SETTINGS.value is None:
        return {}
    found = common.read_json("settings", _SETTINGS.value)
    if not isinstance(found, dict):
        raise ValueError(
            "settings must be a JSON object, hyperparameters by agent. Received: "
            f"settings={_SETTINGS.value}"
        )
    return found


def _call(trainer: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Calls a trainer with a progress bar that names the run."""
    run_dir = next(x for x in arguments if isinstance(x, Path))
    label = str(run_dir.relative_to(_OUT_DIR.value))
    return common.with_progress(trainer, *arguments, label=label, **options)


if __name__ == "__main__":
    run()
