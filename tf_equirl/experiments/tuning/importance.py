"""Which hyperparameters mattered in a search."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping

import numpy as np

from tf_equirl.experiments.plots import COLORS, new_figure, save_png, tidy
from tf_equirl.experiments.tuning.trials import Trial, Tuned, short_text
from tf_equirl.training.search_space import Choice, LogUniform, Space

_GROUPS = 4  # of equally many trials, in which the values of a range are compared
_TRIALS_OF_GROUP = 3  # on average at least
_PANELS_IN_ROW = 3


def importance(tuned: Tuned, space: Mapping[str, Space]) -> dict[str, float]:
    """Share of the variance of scores that each hyperparameter alone explains.

    Trials are grouped by their value, those of a range into quarters. What the means of the groups
    explain by chance is taken off (epsilon squared; Kelley, 1935), so that a hyperparameter that
    does nothing has 0 on average; one that acts only together with others has 0, too. Trials of the
    shortest runs are compared, which are all of them; those that failed count as bad as the worst.

    Args:
        tuned: What the search found.
        space: What was searched.

    Returns:
        From 0 to 1 by name; NaN where there are too few trials to tell.
    """
    trials, scores = _compared(tuned)
    return {
        name: _explained(_groups(each, [t.values[name] for t in trials]), scores)
        for name, each in space.items()
    }


def plot_search(tuned: Tuned, space: Mapping[str, Space], path: str | os.PathLike) -> None:
    """Draws every trial's score by each hyperparameter, and writes a PNG.

    The line is the mean of each group of trials that `importance` compares.

    Args:
        tuned: What the search found.
        space: What was searched.
        path: The file to write.
    """
    shares = importance(tuned, space)
    trials, scores = _compared(tuned)
    failed = np.array([t.failed for t in trials])
    rows = math.ceil(len(space) / _PANELS_IN_ROW)
    columns = min(len(space), _PANELS_IN_ROW)
    figure = new_figure(3.6 * columns, 2.9 * rows)
    panels = np.ravel(figure.subplots(rows, columns, sharey=True, squeeze=False))
    for panel, (name, each) in zip(panels, space.items(), strict=False):
        places = np.array([each.place(t.values[name]) for t in trials])
        groups = _groups(each, [t.values[name] for t in trials])
        panel.plot(places[~failed], scores[~failed], "o", color=COLORS[0], alpha=0.6, markersize=4)
        panel.plot(places[failed], scores[failed], "x", color=COLORS[1], markersize=5)
        found = [(np.mean(places[groups == g]), scores[groups == g].mean()) for g in set(groups)]
        panel.plot(*zip(*sorted(found), strict=True), color=COLORS[1], linewidth=1.2)
        if isinstance(each, LogUniform):
            panel.set_xscale("log")
        if isinstance(each, Choice):
            panel.set_xticks(range(len(each.values)), [short_text(v) for v in each.values])
        share = "" if math.isnan(shares[name]) else f", explains {100 * shares[name]:.0f} %"
        panel.set_title(f"{name.replace('_', ' ')}{share}", fontsize=9)
        tidy(panel)
    for panel in panels[len(space) :]:
        panel.set_visible(False)
    for panel in panels[::_PANELS_IN_ROW]:
        panel.set_ylabel("score")
    save_png(figure, path)


def _compared(tuned: Tuned) -> tuple[list[Trial], np.ndarray]:
    """The trials of the shortest runs, and their scores."""
    shortest = min(t.timesteps for t in tuned.trials)
    trials = [t for t in tuned.trials if t.timesteps == shortest]
    scores = np.array([t.score for t in trials])
    known = np.isfinite(scores)
    if known.any():
        scores[~known] = scores[known].min()
    return trials, scores


def _groups(space: Space, values: list) -> np.ndarray:
    places = np.array([space.place(value) for value in values])
    if isinstance(space, Choice):
        return places.astype(int)
    return np.argsort(np.argsort(places, kind="stable")) * _GROUPS // len(places)


def _explained(groups: np.ndarray, scores: np.ndarray) -> float:
    count, kinds = len(scores), len(set(groups))
    total = ((scores - scores.mean()) ** 2).sum()
    if kinds < 2 or count < _TRIALS_OF_GROUP * kinds or not np.isfinite(total) or total == 0:
        return math.nan
    within = sum(
        ((scores[groups == g] - scores[groups == g].mean()) ** 2).sum() for g in set(groups)
    )
    return float(max(0.0, 1 - within / total * (count - 1) / (count - kinds)))
