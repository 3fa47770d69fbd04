"""Trains Dyna agents, which learn a model of the environment and plan in it, many seeds at once.

    python -m launchers.train_dyna --planning_ratio=4 --dyna_iterations=50 --num_seeds=16
    python -m launchers.train_dyna --planning_ratio=0,1,4 --dyna_iterations=5,50 --num_seeds=16

Shows progress, prints a table of returns and writes learning_curve.png, which marks where planning
was done. Hyperparameters of planning and of the model take lists: then there is a run for every
combination, each in a folder of its own below run_dir, and sweep.csv compares them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich
from absl import flags

from tf_equirl.agents import PPOConfig
from tf_equirl.dyna.config import DynaConfig
from tf_equirl.models import TRANSITION_KINDS

from . import common, config_flags, run_flags

if TYPE_CHECKING:
    from tf_equirl.dyna import DynaResult
    from tf_equirl.experiments import DynaSweep

run_flags.define(
    16,
    "agents",
    "runs/<env>-dyna-<actor>-<date and time>",
    "go on with what is in run_dir; flags left out are taken from it",
)
_FROZEN_MODEL = flags.DEFINE_string(
    "frozen_model",
    None,
    "transition model of the zoo to plan in, without training it (default: one that learns)",
)
# All scalars that a DynaConfig has and a PPOConfig has not.
_SWEPT = [
    name
    for name, default in DynaConfig().flat().items()
    if not hasattr(PPOConfig, name) and not isinstance(default, tuple)
]
_KINDS = (
    f"kind of transition model: {', '.join(TRANSITION_KINDS)}, see models.transition_model; "
    "environment plans in the environment itself, a model without error"
)
config_flags.define_config_flags(DynaConfig, _SWEPT, {"model_kind": _KINDS})
config_flags.define_base_flags()
flags.adopt_module_key_flags(config_flags)  # so that --helpshort shows them
flags.adopt_module_key_flags(run_flags)


def main() -> None:
    """Trains, prints the tables, draws the curves."""
    folder = run_flags.resumed()
    sweep = _from_flags(None if folder is None else _found(folder))
    first, *others = sweep.cells.values()  # so that all are known to be valid
    actor = first.flat()["actor"]
    run_dir = run_flags.run_dir(sweep.environment.lower(), "dyna", actor)
    if others:
        _train_cells(sweep, run_dir)
    else:
        _train_one(sweep, first, run_dir)


def _train_one(sweep: DynaSweep, config: DynaConfig, run_dir: Path) -> None:
    """Trains, prints the table and times, draws the curve."""
    from tf_equirl import envs, experiments
    from tf_equirl.dyna import train_dyna

    run_flags.claim(run_dir)
    actor = config.flat()["actor"]
    result = common.with_progress(
        train_dyna,
        envs.make(sweep.environment),
        config,
        sweep.seeds,
        run_dir,
        frozen_model=sweep.frozen_model,
        resume=run_flags.resumed() is not None,
        label=f"{sweep.environment} {actor}",
    )
    timesteps = experiments.default_timesteps(config.agent.total_timesteps)
    rich.print(experiments.returns_table({actor: result}, timesteps, _title(sweep)))
    print(common.describe_parts(result))
    print(f"run folder: {run_dir}\nlearning curve: {_draw(result, actor)}")


def _train_cells(sweep: DynaSweep, run_dir: Path) -> None:
    """Trains what is missing, prints and writes the table that compares all."""
    from tf_equirl import experiments
    from tf_equirl._files import write_text_atomically

    sweep.claim(run_dir, run_flags.resumed() is not None)
    run_flags.claim(run_dir)
    cells = sweep.cells
    names = list(cells)

    def call(trainer: Any, env: Any, config: Any, seeds: Any, folder: Path, **options: Any) -> Any:
        label = f"[{1 + names.index(folder.name)}/{len(names)}] {folder.name}"
        result = common.with_progress(trainer, env, config, seeds, folder, label=label, **options)
        print(f"{folder.name}: {common.describe_parts(result)}")
        _draw(result, folder.name)
        return result

    results, failures = sweep.train(run_dir, call)
    if results:
        timesteps = experiments.default_timesteps(cells[names[0]].agent.total_timesteps)
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
    common.launch(main, lambda: run_flags.how_to_go_on("train_dyna"))


def _found(run_dir: Path) -> DynaSweep:
    """What a folder says it holds; a single run is a sweep in which nothing varies."""
    from tf_equirl.experiments import DynaSweep
    from tf_equirl.training.run_folder import read_description

    if (run_dir / "sweep.json").exists():
        return DynaSweep.load(run_dir)
    found = read_description(run_dir, "train_dyna")
    values = {k: [v] for k, v in DynaConfig.from_json(found["config"]).flat().items()}
    frozen = found["frozen_model"]
    name = frozen.rpartition(", weights ")[0] if frozen else None
    return DynaSweep(found["environment"], values, found["seeds"], name)


def _from_flags(base: DynaSweep | None) -> DynaSweep:
    """What the flags describe; those that are not given stay as in `base`, if there is one."""
    from tf_equirl.experiments import DynaSweep

    config = config_flags.base_config(DynaConfig, base and base.values)
    named = base is None and config is not None
    fields = config_flags.fields_from_flags(DynaConfig, base is not None or named, _SWEPT)
    values = {k: list(v) if k in _SWEPT else [v] for k, v in fields.items()}
    if named:
        values = {**{k: [v] for k, v in config.flat().items()}, **values}
    found = base and {"environment": base.environment, "seeds": base.seeds}
    kept = base is not None and not common.given("frozen_model")
    return DynaSweep(
        run_flags.environment(found).name,
        {**(base.values if base else {}), **values},
        run_flags.seeds(found),
        base.frozen_model if base and kept else _FROZEN_MODEL.value,
    )


def _title(sweep: DynaSweep) -> str:
    count = len(sweep.seeds)
    return f"{sweep.environment}: mean return ± two standard errors over {count} seeds"


def _draw(result: DynaResult, name: str) -> Path:
    """Writes the learning curve into the run folder."""
    from tf_equirl import experiments

    curve = Path(result.run_dir or ".") / "learning_curve.png"
    marks = result.planning_timesteps[(result.planned_updates > 0).any(axis=0)]
    experiments.plot_learning_curves({name: result}, curve, result.environment, marks=marks)
    return curve


if __name__ == "__main__":
    run()
