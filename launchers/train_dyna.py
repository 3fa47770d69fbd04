"""Trains Dyna agents, which learn a model of the environment and plan in it, many seeds at once.

    python -m launchers.train_dyna --planning_ratio=4 --dyna_iterations=50 --num_seeds=16
    python -m launchers.train_dyna --planning_ratio=0,1,4 --dyna_iterations=5,50 --num_seeds=16

Shows progress, prints a table of returns and writes learning_curve.png, which marks where planning
was done. Hyperparameters of planning and of the model take lists: then there is a run for every
combination, each in a folder of its own below run_dir, and sweep.csv compares them.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rich
from absl import flags

from tf_equirl import envs, experiments
from tf_equirl._files import write_text_atomically
from tf_equirl.agents import PPOConfig
from tf_equirl.dyna import DynaConfig, DynaResult
from tf_equirl.dyna.train import DYNA_RUN
from tf_equirl.training.run_folder import read_description

from . import common, config_flags

_ENV = flags.DEFINE_string("env", "CartPole", "name of the environment")
_NUM_SEEDS = flags.DEFINE_integer("num_seeds", 16, "number of agents trained side by side")
_FIRST_SEED = flags.DEFINE_integer("first_seed", 0, "the seeds are first_seed, first_seed + 1, ...")
_RUN_DIR = flags.DEFINE_string(
    "run_dir", None, "run folder (default: runs/<env>-dyna-<actor>-<date and time>)"
)
_RESUME = flags.DEFINE_bool(
    "resume", False, "go on with what is in run_dir; flags left out are taken from it"
)
_FROZEN_MODEL = flags.DEFINE_string(
    "frozen_model",
    None,
    "transition model of the zoo to plan in, without training it (default: one that learns)",
)
# All scalars that a DynaConfig has and a PPOConfig has not.
_SWEPT = [
    field.name
    for field in dataclasses.fields(DynaConfig)
    if not hasattr(PPOConfig, field.name) and not isinstance(field.default, tuple)
]
config_flags.define_config_flags(DynaConfig, _SWEPT)
flags.adopt_module_key_flags(config_flags)  # so that --helpshort shows them

_chosen_run_dir: list[Path] = []


def main() -> None:
    """Trains, prints the tables, draws the curves."""
    if _RESUME.value and not _RUN_DIR.value:
        raise ValueError("--resume needs --run_dir. Received: run_dir=None")
    sweep = _from_flags(_found(Path(_RUN_DIR.value)) if _RESUME.value else None)
    config, *others = sweep.cells.values()  # so that all are known to be valid
    stamp = time.strftime("%Y%m%d-%H%M%S")
    default = f"runs/{sweep.environment.lower()}-dyna-{config.actor}-{stamp}"
    run_dir = Path(_RUN_DIR.value or default)
    if others:
        _train_cells(sweep, run_dir)
    else:
        _train_one(sweep, config, run_dir)


def _train_one(sweep: experiments.DynaSweep, config: DynaConfig, run_dir: Path) -> None:
    """Trains, prints the table and times, draws the curve."""
    _chosen_run_dir.append(run_dir)
    result = common.dyna_with_progress(
        envs.make(sweep.environment),
        config,
        sweep.seeds,
        run_dir,
        resume=_RESUME.value,
        label=f"{sweep.environment} {config.actor}",
        frozen_model=sweep.frozen_model,
    )
    timesteps = experiments.default_timesteps(config.total_timesteps)
    table = experiments.returns_table({config.actor: result}, timesteps, _title(sweep))
    rich.print(table)
    print(common.describe_parts(result))
    print(f"run folder: {run_dir}\nlearning curve: {_draw(result, config.actor)}")


def _train_cells(sweep: experiments.DynaSweep, run_dir: Path) -> None:
    """Trains what is missing, prints and writes the table that compares all."""
    sweep.claim(run_dir, _RESUME.value)
    _chosen_run_dir.append(run_dir)
    names = list(sweep.cells)

    def train(
        env: envs.Environment, config: DynaConfig, seeds: Sequence[int], folder: Path, **options
    ) -> DynaResult:
        label = f"[{1 + names.index(folder.name)}/{len(names)}] {folder.name}"
        result = common.dyna_with_progress(env, config, seeds, folder, label=label, **options)
        print(f"{folder.name}: {common.describe_parts(result)}")
        _draw(result, folder.name)
        return result

    results, failures = sweep.train(run_dir, train)
    if results:
        timesteps = experiments.default_timesteps(sweep.cells[names[0]].total_timesteps)
        rows = experiments.sweep_rows(results, sweep.varied, timesteps)
        rich.print(experiments.sweep_table(rows, sweep.varied, timesteps, _title(sweep)))
        table = run_dir / "sweep.csv"
        write_text_atomically(table, experiments.to_csv(rows))
        print(f"run folders: {run_dir}\ntable: {table}")
    if failures:
        told = "; ".join(f"{name}: {error}" for name, error in failures.items())
        raise FloatingPointError(f"{len(failures)} of {len(names)} runs failed. {told}")


def run() -> None:
    """Entry point of the console script."""
    common.launch(main, _how_to_go_on)


def _how_to_go_on() -> str:
    return common.how_to_go_on("train_dyna", _chosen_run_dir[0] if _chosen_run_dir else None)


def _found(run_dir: Path) -> experiments.DynaSweep:
    """What a folder says it holds; a single run is a sweep in which nothing varies."""
    if (run_dir / "sweep.json").exists():
        return experiments.DynaSweep.load(run_dir)
    found = read_description(run_dir, DYNA_RUN)
    values = {field: [value] for field, value in found["config"].items()}
    frozen = found["frozen_model"]
    name = frozen.rpartition(", weights ")[0] if frozen else None
    return experiments.DynaSweep(found["environment"], values, found["seeds"], name)


def _from_flags(base: experiments.DynaSweep | None) -> experiments.DynaSweep:
    """What the flags describe; those that are not given stay as in `base`, if there is one."""
    fields = config_flags.fields_from_flags(DynaConfig, base is not None, _SWEPT)
    values = {k: list(v) if k in _SWEPT else [v] for k, v in fields.items()}
    seeds = common.seed_range(_NUM_SEEDS.value, _FIRST_SEED.value)
    if base is None:
        environment = envs.make(_ENV.value).name
        return experiments.DynaSweep(environment, values, list(seeds), _FROZEN_MODEL.value)
    present = {name for name in flags.FLAGS if flags.FLAGS[name].present}
    return experiments.DynaSweep(
        envs.make(_ENV.value).name if "env" in present else base.environment,
        {**base.values, **values},
        list(seeds) if present & {"num_seeds", "first_seed"} else base.seeds,
        _FROZEN_MODEL.value if "frozen_model" in present else base.frozen_model,
    )


def _title(sweep: experiments.DynaSweep) -> str:
    count = len(sweep.seeds)
    return f"{sweep.environment}: mean return ± two standard errors over {count} seeds"


def _draw(result: DynaResult, name: str) -> Path:
    """Writes the learning curve into the run folder."""
    curve = Path(result.run_dir or ".") / "learning_curve.png"
    marks = result.planning_timesteps[np.any(result.planned_updates, axis=0)]
    experiments.plot_learning_curves({name: result}, curve, result.environment, marks=marks)
    return curve


if __name__ == "__main__":
    run()
