"""Flags that take lists of values: a run for every combination, or one run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich
from absl import flags

from . import common, config_flags, run_flags

if TYPE_CHECKING:
    from tf_equirl.experiments import Sweep


def swept(config_class: Any) -> list[str]:
    """The hyperparameters whose flags take lists: all but those that are lists themselves."""
    fields = config_flags.config_fields(config_class)
    return [name for name, field in fields.items() if not isinstance(field.default, tuple)]


def from_flags(config_class: Any, trainer: str, options: Sequence[str]) -> Sweep:
    """What the flags describe; of what is resumed, flags that are given change it.

    A single run is a sweep in which nothing varies.

    Args:
        config_class: Of the hyperparameters.
        trainer: Name of the function that trains.
        options: Names of the flags that are further arguments of it.

    Raises:
        ValueError: If a flag breaks its rule, or there is nothing to resume.
    """
    from tf_equirl.experiments import Sweep
    from tf_equirl.experiments.sweeps import flat

    folder = run_flags.resumed()
    base = None if folder is None else _begun(folder, config_class, trainer)
    config = config_flags.base_config(config_class, base and base.values)
    named = base is None and config is not None
    lists = swept(config_class)
    fields = config_flags.fields_from_flags(config_class, base is not None or named, lists)
    values = {k: list(v) if k in lists else [v] for k, v in fields.items()}
    if named:
        values = {**{k: [v] for k, v in flat(config).items()}, **values}
    chosen = {name: flags.FLAGS[name].value for name in options}
    if base is None:
        env = run_flags.environment(None)
        return Sweep(config_class, env, values, run_flags.seeds(None), chosen)
    given = [name for name in options if common.given(name)]
    if "start_from" in given:
        given.append("start_seed")
    return Sweep(
        config_class,
        run_flags.environment(base.environment),  # type: ignore[arg-type]
        {**base.values, **values},
        run_flags.seeds({"seeds": base.seeds}),
        {**base.options, **{name: chosen[name] for name in given}},
    )


def _begun(run_dir: Path, config_class: Any, trainer: str) -> Sweep:
    """What a folder says it holds."""
    from tf_equirl.experiments import Sweep
    from tf_equirl.experiments.sweeps import flat
    from tf_equirl.training.run_folder import environment_again, read_description

    if (run_dir / "sweep.json").exists():
        sweep = Sweep.load(run_dir)
        if sweep.config_class is not config_class:
            raise ValueError(
                f"run_dir must hold a sweep of {config_class.__name__}. Received: "
                f"run_dir={run_dir}, which holds one of {sweep.config_class.__name__}"
            )
        return sweep
    found = read_description(run_dir, trainer)
    values = {k: [v] for k, v in flat(config_class.from_json(found["config"])).items()}
    place = found.get("start_place") or {"from": found.get("start_from"), "seed": None}
    options = {"start_from": place["from"], "start_seed": place["seed"]}
    if "frozen_model" in found:
        frozen = found["frozen_model"]
        options["frozen_model"] = frozen.rpartition(", weights ")[0] if frozen else None
    return Sweep(config_class, environment_again(found), values, found["seeds"], options)


def train(config_class: Any, trainer: str, agent: str, kind: str) -> None:
    """Trains what the flags describe, one run or a sweep, prints the table, draws the curves.

    Args:
        config_class: Of the hyperparameters.
        trainer: Name of the function of `tf_equirl.agents` that trains, and of the launcher.
        agent: What run folders call the agent.
        kind: The hyperparameter that says which network acts, by which curves are called.
    """
    from tf_equirl import experiments

    sweep = from_flags(config_class, trainer, ())
    configs = list(sweep.cells.values())  # so that all are known to be valid
    timesteps = experiments.default_timesteps(min(c.total_timesteps for c in configs))
    name = getattr(configs[0], kind)
    run_dir = run_flags.run_dir(sweep.environment.name.lower(), agent, name)
    if len(configs) > 1:
        train_cells(sweep, run_dir, timesteps, common.describe_times, _draw)
    else:
        _train_one(sweep, configs[0], trainer, name, run_dir, timesteps)


def _train_one(
    sweep: Sweep, config: Any, trainer: str, name: str, run_dir: Path, timesteps: list[int]
) -> None:
    from tf_equirl import agents, experiments

    run_flags.claim(run_dir)
    result = common.with_progress(
        getattr(agents, trainer),
        sweep.environment,
        config,
        sweep.seeds,
        run_dir,
        **run_flags.watch(),
        resume=run_flags.resumed() is not None,
        label=f"{sweep.environment.name} {name}",
    )
    timesteps = experiments.timesteps_reached(result, timesteps)
    rich.print(experiments.returns_table({name: result}, timesteps, title(sweep)))
    print(common.describe_times(result))
    if not result.finished:
        print(common.describe_stop(result))
    print(f"run folder: {run_dir}\nlearning curve: {_draw(result, name)}")


def _draw(result: Any, name: str) -> Path:
    """Writes the learning curve into the run folder."""
    from tf_equirl import experiments

    curve = Path(result.run_dir or ".") / "learning_curve.png"
    experiments.plot_learning_curves({name: result}, curve, result.environment)
    return curve


def train_cells(
    sweep: Sweep,
    run_dir: Path,
    timesteps: list[int],
    report: Callable[[Any], str],
    draw: Callable[[Any, str], Path],
) -> None:
    """Trains what is missing of a sweep, prints and writes the table that compares all.

    Args:
        sweep: The sweep.
        run_dir: Folder of all its runs.
        timesteps: In the table.
        report: One line on what a run cost.
        draw: Writes the learning curve of a run and says where.

    Raises:
        FloatingPointError: At the end, if some of the runs failed.
    """
    from tf_equirl import experiments
    from tf_equirl._files import write_text_atomically

    sweep.claim(run_dir, run_flags.resumed() is not None)
    run_flags.claim(run_dir)
    names = list(sweep.cells)

    def call(trainer: Any, env: Any, config: Any, seeds: Any, folder: Path, **options: Any) -> Any:
        label = f"[{1 + names.index(folder.name)}/{len(names)}] {folder.name}"
        options |= run_flags.watch()
        result = common.with_progress(trainer, env, config, seeds, folder, label=label, **options)
        print(f"{folder.name}: {report(result)}")
        if not result.finished:
            print(f"{folder.name}: {common.describe_stop(result)}")
        draw(result, folder.name)
        return result

    results, failures = sweep.train(run_dir, call)
    if results:
        rows = experiments.sweep_rows(results, sweep.varied, timesteps)
        rich.print(experiments.sweep_table(rows, sweep.varied, timesteps, title(sweep)))
        table = run_dir / "sweep.csv"
        write_text_atomically(table, experiments.to_csv(rows))
        print(f"run folders: {run_dir}\ntable: {table}")
    if failures:
        told = "; ".join(f"{name}: {error}" for name, error in failures.items())
        raise FloatingPointError(f"{len(failures)} of {len(names)} runs failed. {told}")


def title(sweep: Sweep) -> str:
    """What stands above a table of returns."""
    from tf_equirl.envs.registry import environment_of

    name, count = environment_of(sweep.environment).name, len(sweep.seeds)
    return f"{name}: mean return ± two standard errors over {count} seeds"
