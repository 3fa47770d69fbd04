"""Reproduces a table or a figure of the thesis: trains what is missing, then writes the report.

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

Interrupted, the same command goes on where it was. What it writes is explained in
docs/reproduction.md, docs/transition_models.md and docs/dyna.md.
"""

from __future__ import annotations

from pathlib import Path

import rich
from absl import flags

from tf_equirl import experiments
from tf_equirl._files import write_text_atomically
from tf_equirl.agents import TrainingResult

from . import common
from . import reproduce_dyna as dyna
from . import reproduce_transitions as transitions

_TABLES = {"4.2": experiments.cartpole, "4.4": experiments.catch}
_FIGURES = {"4.3": experiments.cartpole, "4.4": experiments.catch}
_NUM_AGENTS = 128

_TABLE = flags.DEFINE_enum(
    "table", None, [*_TABLES, *transitions.TABLES, *dyna.TABLES], "table to write"
)
_FIGURE = flags.DEFINE_enum(
    "figure", None, [*_FIGURES, *transitions.FIGURES, *dyna.FIGURES], "figure to draw"
)
_SCHEDULE = flags.DEFINE_enum(
    "schedule",
    None,
    list(experiments.SCHEDULES),
    "learning rate of PPO (default: what the thesis' numbers agree with, annealed for CartPole, "
    "constant for Catch)",
)
_NUM_SEEDS = flags.DEFINE_integer(
    "num_seeds",
    None,
    f"models of each kind (default: {_NUM_AGENTS} agents, {transitions.NUM_SEEDS} transition "
    "models, 16 to 128 agents that plan)",
)
_SEEDS_PER_CHUNK = flags.DEFINE_integer(
    "seeds_per_chunk", 32, "agents trained side by side and kept as one run folder"
)
_OUT_DIR = flags.DEFINE_string("out_dir", "runs/reproduce", "folder for runs, tables and figures")


def main() -> None:
    """Trains, then writes the table and the figure that were asked for."""
    wanted = [
        (kind, number)
        for kind, number in (("table", _TABLE.value), ("figure", _FIGURE.value))
        if number is not None
    ]
    if not wanted:
        raise ValueError("--table or --figure must be given. Received: neither")
    for kind, number in wanted:
        plan = (dyna.TABLES if kind == "table" else dyna.FIGURES).get(number)
        if plan is not None:
            _refuse_schedule(kind, number, "the experiments with planning")
            plan(Path(_OUT_DIR.value), _NUM_SEEDS.value, _SEEDS_PER_CHUNK.value)
            continue
        write = (transitions.TABLES if kind == "table" else transitions.FIGURES).get(number)
        if write is None:
            _reproduce_agents(kind, number)
            continue
        _refuse_schedule(kind, number, "transition models")
        if flags.FLAGS["seeds_per_chunk"].present:
            raise ValueError(
                "--seeds_per_chunk is for PPO; the seeds of a transition model train together. "
                f"Received: --{kind}={number} --seeds_per_chunk={_SEEDS_PER_CHUNK.value}"
            )
        num_seeds = transitions.NUM_SEEDS if _NUM_SEEDS.value is None else _NUM_SEEDS.value
        write(Path(_OUT_DIR.value), num_seeds)


def _refuse_schedule(kind: str, number: str, what: str) -> None:
    if _SCHEDULE.value is not None:
        raise ValueError(
            f"--schedule is for model-free PPO; {what} have their own. "
            f"Received: --{kind}={number} --schedule={_SCHEDULE.value}"
        )


def _reproduce_agents(kind: str, number: str) -> None:
    make = (_TABLES if kind == "table" else _FIGURES)[number]
    experiment = make(_SCHEDULE.value) if _SCHEDULE.value else make()
    suffix = "" if experiment == make() else f"_{_SCHEDULE.value}"
    folder = Path(_OUT_DIR.value)
    file = folder / f"{kind}_{number}{suffix}"
    num_seeds = _NUM_AGENTS if _NUM_SEEDS.value is None else _NUM_SEEDS.value
    results = experiment.train(folder, num_seeds, _SEEDS_PER_CHUNK.value, _train)
    if kind == "table":
        _write_table(experiment, results, file)
    else:
        _draw_figure(experiment, results, file)


def run() -> None:
    """Entry point of the console script."""
    common.launch(main, lambda: "What was trained is saved: run the same command to go on.")


def _train(env, config, seeds, run_dir, *, resume) -> TrainingResult:
    label = f"{run_dir.parent.parent.name}/{run_dir.parent.name} {run_dir.name}"
    return common.train_with_progress(env, config, seeds, run_dir, resume, label)


def _write_table(experiment, results, file: Path) -> None:
    rows = experiments.tidy_rows(experiment, results)
    report = experiments.to_markdown(experiment, results, rows)
    write_text_atomically(file.with_name(file.name + ".md"), report)
    write_text_atomically(file.with_name(file.name + ".csv"), experiments.to_csv(rows))
    rich.print(experiments.summary_table(experiment, results))
    print(f"table: {file}.md, {file}.csv")


def _draw_figure(experiment, results, file: Path) -> None:
    image = file.with_name(file.name + ".png")
    by_label = {column.label: result for column, result in results.items()}
    thesis = {
        column.label: [(t, *point) for t, point in experiment.thesis(column).items()]
        for column in results
    }
    experiments.plot_learning_curves(by_label, image, experiment.title, thesis)
    print(f"figure: {image}")


if __name__ == "__main__":
    run()
