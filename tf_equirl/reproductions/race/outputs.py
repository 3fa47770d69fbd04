"""The race's tables and figures by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tf_equirl._files import write_text_atomically
from tf_equirl.experiments.reports import summary_table, tidy_rows, to_csv, to_markdown
from tf_equirl.reproductions.race.contest import Race, race
from tf_equirl.reproductions.race.report import (
    Finish,
    frontier_rows,
    plot_frontier,
    race_markdown,
)
from tf_equirl.reproductions.race.ways import EPISODES, TRACKS, play, played_markdown, ways
from tf_equirl.reproductions.thesis.outputs import Output, Shown, Work

RACE = "the race"


def run_race(contest: Race, work: Work) -> Finish:
    """Tunes and trains whatever is missing; an agent whose settings are given is not tuned."""
    contest.check(work.settings)
    tuned = {
        column.name: contest.tune(column, work.folder, work.call)
        for column in contest.experiment.columns
        if column.name not in work.settings
    }
    experiment = contest.tuned(tuned, work.settings)
    results = experiment.train(work.folder, work.num_seeds, work.seeds_per_chunk, work.call)
    return Finish(contest, experiment, tuned, work.settings, results)


def run_ways(
    contest: Race, work: Work, episodes: int = EPISODES
) -> tuple[Finish, dict[str, np.ndarray]]:
    """The same, and plays so many episodes of whatever policies have not been played."""
    finish = run_race(contest, work)
    folder = work.folder / contest.experiment.name
    return finish, play(finish.experiment, finish.results, folder, episodes)


def write_race(contest: Race, finish: Finish, file: Path, more: str = "") -> Shown:
    """Writes the page, the numbers, settings and the figure; yields what a user should read."""
    experiment, results = finish.experiment, finish.results
    yield summary_table(experiment, results)
    rows = tidy_rows(experiment, results)
    page = "\n".join([to_markdown(experiment, results, rows), *[more] * bool(more)])
    page += "\n" + race_markdown(finish)
    for suffix, text in (
        (".md", page),
        (".csv", to_csv(rows)),
        ("_frontier.csv", to_csv(frontier_rows(finish))),
        ("_settings.json", json.dumps(finish.settings, indent=2) + "\n"),
    ):
        write_text_atomically(file.with_name(file.name + suffix), text)
    plot_frontier(finish, file.with_name(file.name + ".png"))
    yield more + "\n" + race_markdown(finish) if more else race_markdown(finish)
    yield (
        f"table: {file}.md, {file}.csv\nfigure: {file}.png, numbers: {file}_frontier.csv\n"
        f"settings: {file}_settings.json, for --settings"
    )


def write_ways(contest: Race, outcome: tuple[Finish, dict[str, np.ndarray]], file: Path) -> Shown:
    """The same, with what the trained policies reach."""
    finish, played = outcome
    return write_race(contest, finish, file, played_markdown(played))


def _race(environment: str) -> Any:
    return Output(RACE, lambda: race(environment), run_race, write_race)


def _ways(environment: str) -> Any:
    return Output(RACE, lambda: ways(environment), run_ways, write_ways)


TABLES: dict[str, Output] = {
    **{f"race-{name.lower()}": _race(name) for name in ("CartPole", "Catch")},
    **{f"ways-{name.lower()}": _ways(name) for name in TRACKS},
}
