"""The race's tables and figures by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tf_equirl._files import write_text_atomically
from tf_equirl.experiments.reports import summary_table, tidy_rows, to_csv, to_markdown
from tf_equirl.reproductions.race.contest import Race, race
from tf_equirl.reproductions.race.report import (
    Finish,
    frontier_rows,
    plot_frontier,
    race_markdown,
)
from tf_equirl.reproductions.thesis.outputs import Output, Shown, Work

RACE = "the race"


def run_race(contest: Race, work: Work) -> Finish:
    """Tunes and trains whatever is missing."""
    columns = contest.experiment.columns
    tuned = {column.name: contest.tune(column, work.folder, work.call) for column in columns}
    experiment = contest.tuned(tuned)
    results = experiment.train(work.folder, work.num_seeds, work.seeds_per_chunk, work.call)
    return Finish(contest, experiment, tuned, results)


def write_race(contest: Race, finish: Finish, file: Path) -> Shown:
    """Writes the page, the numbers and the figure; yields what a user should read."""
    experiment, results = finish.experiment, finish.results
    yield summary_table(experiment, results)
    rows = tidy_rows(experiment, results)
    page = to_markdown(experiment, results, rows) + "\n" + race_markdown(finish)
    for suffix, text in (
        (".md", page),
        (".csv", to_csv(rows)),
        ("_frontier.csv", to_csv(frontier_rows(finish))),
    ):
        write_text_atomically(file.with_name(file.name + suffix), text)
    plot_frontier(finish, file.with_name(file.name + ".png"))
    yield race_markdown(finish)
    yield f"table: {file}.md, {file}.csv\nfigure: {file}.png, numbers: {file}_frontier.csv"


def _output(environment: str) -> Any:
    return Output(RACE, lambda: race(environment), run_race, write_race)


TABLES: dict[str, Output] = {
    f"race-{environment.lower()}": _output(environment) for environment in ("CartPole", "Catch")
}
