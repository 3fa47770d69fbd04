"""What is read off curves that are not known before a seed's first episode has ended."""

from __future__ import annotations

import dataclasses
import io
from typing import NamedTuple

import numpy as np
import pytest
import rich.console
from matplotlib.collections import PolyCollection

from tf_equirl import experiments
from tf_equirl.experiments import plots
from tf_equirl.reproductions import thesis
from tf_equirl.reproductions.thesis import planning_figures

pytestmark = pytest.mark.filterwarnings("error")  # "Mean of empty slice" and its like


class Config(NamedTuple):
    num_environments: int
    total_timesteps: int
    rollout_steps: int = 10


@dataclasses.dataclass(frozen=True)
class Run:
    """As much of a `TrainingResult` as curves need; `num_environments` steps a time."""

    returns: np.ndarray
    first_returns: np.ndarray
    config: Config

    @property
    def num_environments(self):
        return self.config.num_environments

    @property
    def seeds(self):
        return tuple(range(len(self.returns)))

    @property
    def timesteps(self):
        return self.config.num_environments * (1 + np.arange(self.returns.shape[1]))


def run(returns, first_returns=None, environments=4):
    """A run with given curves `[seeds, times]`, laid out in memory as the trainer's."""
    returns = np.asfortranarray(returns, np.float32)
    first = returns if first_returns is None else np.asarray(first_returns, np.float32)
    return Run(returns, first, Config(environments, environments * returns.shape[1]))


def begun(*first_known, times=1500, seed=0):
    """Random negative curves; seed `i` is known from column `first_known[i]` on."""
    returns = np.random.default_rng(seed).uniform(-1, -0.2, (len(first_known), times))
    for row, column in zip(returns, first_known, strict=True):
        row[:column] = np.nan
    return run(returns)


def test_a_window_is_clipped_to_what_is_known():
    result = begun(8, 0, 400)
    known = result.returns[0, 8:250].mean(dtype=float)  # timestep 500: columns 0 to 249
    at = experiments.return_at(result, 500)
    np.testing.assert_allclose(at[:2], [known, result.returns[1, :250].mean(dtype=float)])
    assert np.isnan(at[2])  # its first episode ends at timestep 1604
    assert np.isfinite(experiments.return_at(result, 1104)[2])  # the window's very last step
    assert np.isnan(experiments.return_at(result, 1103)[2])
    np.testing.assert_array_equal(experiments.return_at(result, 8, window=0)[[0, 2]], [np.nan] * 2)


def test_windows_without_unknown_steps_give_the_same_bits():
    result = begun(8, 30, 0, 100)
    for timestep in (1_000, 2_345, 6_000):
        inside = np.flatnonzero(np.abs(result.timesteps - timestep) <= 500)
        expected = result.returns[:, inside].mean(axis=1, dtype=np.float64)
        np.testing.assert_array_equal(experiments.return_at(result, timestep), expected)
    whole = begun(0, 0, 0)
    expected = whole.returns.mean(axis=1, dtype=np.float64)
    np.testing.assert_array_equal(experiments.area_under_curve(whole), expected)
    among = run(np.concatenate([whole.returns, begun(7).returns]))  # a seed that starts later
    np.testing.assert_array_equal(experiments.area_under_curve(among)[:3], expected)


def test_what_follows_a_non_finite_update_is_not_known():
    result = begun(8, 8, 8)
    result.returns[1, 700:] = np.nan
    result.returns[2] = np.nan  # before its first episode ended
    np.testing.assert_array_equal(np.isnan(experiments.area_under_curve(result)), [0, 1, 1])
    for timestep, unknown in ((500, [0, 0, 1]), (2_400, [0, 1, 1]), (6_000, [0, 1, 1])):
        found = np.isnan(experiments.return_at(result, timestep))
        np.testing.assert_array_equal(found, unknown)


def test_the_thesis_reading_is_unknown_before_the_first_environment_has_finished():
    first = np.full((1, 10), 3.0)
    first[0, :6] = np.nan
    result = run(np.full((1, 10), 2.0), first)
    assert np.isnan(experiments.single_environment_return_at(result, 23))
    assert experiments.single_environment_return_at(result, 24) == 3


def test_the_area_is_the_mean_from_the_first_known_value_on():
    result = run([[np.nan, np.nan, 1, 3], [-1, -1, -3, -3], [np.nan] * 4])
    np.testing.assert_array_equal(experiments.area_under_curve(result), [2, -2, np.nan])
    nothing = run(np.zeros((2, 0)))
    np.testing.assert_array_equal(experiments.area_under_curve(nothing), [np.nan, np.nan])


def test_a_long_first_episode_makes_no_seed_better_or_worse():
    returns = np.full((20, 100), -0.5)
    returns[3] = -0.6
    returns[3, :50] = np.nan  # a 0 for these made it the best of all
    returns[7] = np.nan
    returns[5, 40:] = np.nan
    returns[12] = -0.7
    np.testing.assert_array_equal(experiments.worst_tenth(run(returns)), [12, 3])
    unknown = run(np.full((2, 100), np.nan))
    np.testing.assert_array_equal(experiments.worst_tenth(unknown), [0])


def test_a_level_is_reached_by_what_is_known_of_all_seeds():
    returns = np.full((2, 600), 1.0)
    returns[0, :9] = np.nan
    returns[1, :100] = np.nan
    # 128 times of four environments: the first that is known of both is number 100, from 0.
    assert experiments.first_timestep_reaching(run(returns), 0.5) == 4 * (100 + 128)
    assert experiments.first_timestep_reaching(run(returns[:1]), 0.5) == 4 * (9 + 128)
    assert experiments.first_timestep_reaching(run(returns[:, :200]), 0.5) is None
    assert experiments.first_timestep_reaching(run(returns), 1.5) is None
    # Catch: a 0 before the first episode is no return of 0.
    catch = np.linspace(-0.6, 0.4, 600)[None]
    late = experiments.first_timestep_reaching(run(catch), 0.0, window=8)
    catch[0, :9] = np.nan
    assert experiments.first_timestep_reaching(run(catch), 0.0, window=8) == late > 4 * 300


def test_a_level_that_is_reached_later_is_reached_at_the_same_timestep():
    random = np.random.default_rng(1)
    returns = np.cumsum(random.normal(0.2, 1, (5, 2_000)), axis=1)
    levels = [50, 100, 200, 300]
    before = [experiments.first_timestep_reaching(run(returns), level) for level in levels]
    returns[:, :9] = np.nan
    returns[2, :40] = np.nan
    after = [experiments.first_timestep_reaching(run(returns), level) for level in levels]
    assert before == after and None not in after


def test_runs_are_cut_with_what_is_unknown_of_them():
    long, short = begun(8, 120, times=400), begun(8, 8, times=100)
    cut, same = experiments.common_part([long, short])
    assert same is short
    np.testing.assert_array_equal(cut.returns, long.returns[:, :100])
    np.testing.assert_array_equal(np.isnan(experiments.area_under_curve(cut)), [False, True])


def test_every_point_of_a_smoothed_curve_is_the_mean_of_whole_windows():
    length = 1500
    line = np.arange(1, length + 1) * 4.0  # the return is the timestep
    result = run(np.stack([line, 3 * line]))
    result.returns[0, :8] = np.nan
    result.returns[1, :20] = np.nan
    times, means = plots.smoothed(result)
    # A window that is lopsided or shorter at one end would leave the line.
    np.testing.assert_allclose(means, [times, 3 * times], rtol=1e-9)
    width = length // 40
    assert times[0] == line[20 : 20 + width].mean()  # where both seeds are known
    assert times[-1] == line[-width:].mean()
    assert 100 < len(times) <= 200 and np.all(np.diff(times) > 0)


def test_the_ends_of_a_smoothed_curve_do_not_jump():
    # Figure 4.12: Catch's 16 seeds end their episodes together, every nine times; the 64 episodes
    # of the last such batch had a mean of 0.41 between 0.03 before and 0.03 after.
    random = np.random.default_rng(0)
    caught = random.uniform(size=(16, 167, 4)) < 0.5
    means = np.where(caught, 1.0, -1.0).mean(axis=2)
    means[:, -1] = 0.41
    curves = np.concatenate([np.full((16, 8), np.nan), np.repeat(means, 9, axis=1)], axis=1)
    _, smooth = plots.smoothed(run(curves[:, :1500]))
    mean = smooth.mean(axis=0)
    # One batch of four in a window; the standard deviation of a batch is 0.125.
    assert abs(mean[-1]) < 0.25 and abs(mean[0]) < 0.25
    inner = np.abs(np.diff(mean[5:-5])).max()
    assert abs(np.diff(mean)[-1]) < 2 * inner and abs(np.diff(mean)[0]) < 2 * inner


@pytest.mark.parametrize("times", [1, 2, 9, 39, 41, 200])
def test_short_runs_are_smoothed_too(times):
    result = begun(times - 1, 0, times=times)
    at, means = plots.smoothed(result)
    np.testing.assert_array_equal(at, result.timesteps[-1:])
    np.testing.assert_array_equal(means[:, 0], result.returns[:, -1])
    at, means = plots.smoothed(run(begun(times, 0, times=times).returns))
    assert at.shape == (0,) and means.shape == (2, 0)


def test_a_smoothed_curve_of_a_non_finite_seed_ends():
    result = begun(8, 8)
    result.returns[1, 700:] = np.nan
    times, means = plots.smoothed(result)
    assert np.isfinite(means[0]).all()
    last = times[np.isfinite(means[1])][-1]
    np.testing.assert_array_equal(np.isfinite(means[1]), times <= last)
    assert 4 * 600 < last < 4 * 700


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are saved, in order."""
    figures = []

    def save(figure, path):
        figures.append(figure)
        figure.canvas.draw()

    monkeypatch.setattr(plots, "save_png", save)
    monkeypatch.setattr(planning_figures, "save_png", save)
    return figures


def test_curves_begin_where_every_seed_is_known(drawn):
    known, late, never = begun(8, 12, 8), begun(8, 500, 30, seed=1), begun(1500, 8)
    results = {"known": known, "late": late, "never": never}
    experiments.plot_learning_curves(results, "nowhere", thesis={"late": [(2_000, -0.5, 0.1)]})
    everyone, worst = drawn[0].axes
    for axes in (everyone, worst):
        lines = {line.get_label().split(" (")[0]: line for line in axes.lines}
        for label, first in (("known", 12), ("late", 500)):
            x, y = lines[label].get_data()
            assert np.isfinite(y).all() and y.max() < -0.2  # no 0 of an unfinished episode
            assert 4 * first < x[0] <= 4 * (first + 1500 // 40) and x[-1] > 5_900
        assert not len(lines["never"].get_xdata())


def test_a_sweep_begins_where_every_seed_is_known(drawn):
    experiment = thesis.dyna_sweep("Catch")
    results = {column: begun(8, 17, seed=i) for i, column in enumerate(experiment.columns)}
    thesis.plot_sweep(experiment, results, "nowhere")
    for axes in drawn[0].axes:
        for line in axes.lines:
            assert line.get_xdata()[0] > 4 * 17 and line.get_ydata().max() < -0.2


def test_violins_are_drawn_where_every_seed_is_known(drawn):
    experiment = dataclasses.replace(thesis.supervised_ratios("Catch"), timesteps=(200, 3_000))
    results = {column: begun(8, 20, 9) for column in experiment.columns}
    results[experiment.columns[0]] = begun(8, 200, 9)  # at 800, after the first window's end
    results[experiment.columns[1]] = begun(1500, 8, 9)
    thesis.plot_ratios(experiment, results, "nowhere")

    def violins(axes):
        return sum(isinstance(part, PolyCollection) for part in axes.collections)

    # No planning and four ratios, at two timesteps each.
    assert [violins(axes) for axes in drawn[0].axes] == [10 - 1 - 2, 10 - 1]


def test_tables_say_what_is_not_known():
    result = begun(8, 400)
    console = rich.console.Console(width=100, record=True, file=io.StringIO())
    console.print(experiments.returns_table({"agent": result}, [500, 6_000]))
    first, last = (line for line in console.export_text().splitlines() if "±" in line)
    assert "nan ± nan" in first and "nan" not in last


def test_reports_say_what_is_not_known():
    columns = tuple(experiments.Column(x, x, Config(4, 6_000)) for x in ("one", "other"))
    experiment = experiments.Experiment("small", "Small", "Catch", (500, 3_000), (), columns)
    results = dict(zip(columns, (begun(8, 8, 30), begun(8, 400, 9)), strict=True))
    rows = experiments.tidy_rows(experiment, results)
    assert [row["timestep"] for row in rows] == [500, 500, 3_000, 3_000, "whole run", "whole run"]
    for row in rows:
        unknown = row["agent"] == "other" and row["timestep"] == 500
        names = ["mean", "error", "interquartile_mean", "interquartile_mean_low", "minus_baseline"]
        assert [np.isnan(row[name]) for name in names] == [unknown] * 5
    areas = [experiments.area_under_curve(result).mean() for result in results.values()]
    assert [row["mean"] for row in rows[-2:]] == areas


def test_the_least_lead_is_looked_for_where_all_returns_are_known():
    """Before that the runs have the same unknown returns, or one of them has."""
    ours, other = np.full((2, 3, 1000), 5.0)
    other[1, :400] = np.nan  # `return_at` is not known before timestep 1104
    ours[:, :140] = -100.0  # and reads these up to timestep 1060
    ours[:, 300:] = 3.0 + np.array([[-1.0], [0.0], [1.0]])
    timestep, difference = thesis.least_lead(run(ours), run(other))
    assert timestep > 1104 and difference.mean == pytest.approx(-2)
    assert experiments.return_at(run(ours), 520).max() < -50
    for unknown in (other, np.full((3, 1000), np.nan)):
        with pytest.raises(ValueError, match="two runs with equal returns there"):
            thesis.least_lead(run(unknown), run(other))
