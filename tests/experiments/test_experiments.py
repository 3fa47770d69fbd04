import dataclasses
import io

import matplotlib.image
import numpy as np
import pytest
import rich.console

from tf_equirl import experiments
from tf_equirl.agents import PPOConfig, TrainingResult


def _result(returns, first_returns=None, **fields):
    """A result with given curves `[seeds, times]`; four environments, so a time is four steps."""
    returns = np.asarray(returns, np.float32)
    config = PPOConfig(total_timesteps=4 * returns.shape[1], rollout_steps=16, num_minibatches=4)
    result = TrainingResult(
        environment="CartPole",
        config=config,
        seeds=tuple(range(len(returns))),
        returns=returns,
        first_returns=returns if first_returns is None else np.asarray(first_returns),
        num_environments=config.num_environments,
        metrics={},
        weights={},
        compile_seconds=1.0,
        run_seconds=2.0,
        run_dir=None,
        networks={},
    )
    return dataclasses.replace(result, **fields)


RAMP = np.arange(1, 1001)  # at timestep t (a multiple of 4) the return is t / 4


def test_a_return_at_a_timestep_is_the_mean_over_the_steps_within_500():
    result = _result([RAMP, 2 * RAMP])
    inside = [t / 4 for t in range(4, 4001, 4) if 1500 <= t <= 2500]
    np.testing.assert_allclose(
        experiments.return_at(result, 2000), [np.mean(inside), 2 * np.mean(inside)], rtol=1e-6
    )
    # Clipped at the ends of the run.
    np.testing.assert_allclose(experiments.return_at(result, 4000)[0], np.arange(875, 1001).mean())
    np.testing.assert_allclose(experiments.return_at(result, 0)[0], np.arange(1, 126).mean())
    np.testing.assert_allclose(experiments.return_at(result, 2001, window=0)[0], 500)
    with pytest.raises(ValueError, match="timestep must lie in the run, 0 to 4000"):
        experiments.return_at(result, 4001)


def test_the_thesis_reading_is_one_environment_at_one_instant():
    result = _result([RAMP], first_returns=[-RAMP])
    # Index 2000 of [step, environment], counted from 0, is environment 0 of step 500.
    np.testing.assert_array_equal(experiments.single_environment_return_at(result, 2000), [-501])


def test_errors_are_two_standard_errors():
    values = np.random.default_rng(0).normal(3.0, 2.0, size=100_000)
    mean, error = experiments.mean_and_error(values)
    assert abs(mean - 3) < 0.03 and abs(error - 2 * 2 / np.sqrt(100_000)) < 1e-4
    mean, error = experiments.mean_and_error(np.array([7.0]))
    assert mean == 7 and np.isnan(error)


def test_the_worst_tenth_has_the_least_area():
    scales = np.array([5, 3, 9, 1, 7, 8, 2, 6, 4, 10] * 2) + np.repeat([0, 0.5], 10)
    result = _result(scales[:, None] * RAMP)
    np.testing.assert_array_equal(experiments.worst_tenth(result), [3, 13])
    np.testing.assert_allclose(experiments.area_under_curve(result), scales * 500.5, rtol=1e-5)
    assert len(experiments.worst_tenth(_result([RAMP]))) == 1


def test_the_first_timestep_reaching_a_level_uses_a_moving_average():
    result = _result([RAMP])
    # The mean of 128 consecutive times passes 400 where the last of them is 463.5.
    assert experiments.first_timestep_reaching(result, 400) == 4 * 464
    assert experiments.first_timestep_reaching(result, 1001) is None


def test_the_table_shows_means_errors_and_the_worst_tenth():
    result = _result(np.stack([RAMP * 0 + level for level in range(10, 30)]))
    table = experiments.returns_table({"agent": result}, [100, 4000], title="Returns")
    console = rich.console.Console(width=100, record=True, file=io.StringIO())
    console.print(table)
    text = console.export_text()
    error = 2 * np.std(np.arange(10, 30), ddof=1) / np.sqrt(20)
    assert f"19.5 ± {error:.1f}" in text and "10.5" in text and "4,000" in text


def test_default_timesteps_end_with_the_run():
    assert experiments.default_timesteps(500_000) == [10_000, 100_000, 500_000]
    assert experiments.default_timesteps(20_000) == [10_000, 20_000]
    assert experiments.default_timesteps(5_000) == [5_000]


def test_the_plot_is_a_png_with_both_curves_in_it(tmp_path):
    file = tmp_path / "curves.png"
    one = _result(np.outer(np.arange(1, 11), RAMP))
    experiments.plot_learning_curves({"one": one, "two": _result([RAMP])}, file, "Title")
    image = matplotlib.image.imread(file)
    assert image.shape[0] > 500 and image.shape[1] > 1000
    for color in ("#0072B2", "#D55E00"):
        wanted = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        assert (np.abs(image[..., :3] - wanted).max(axis=-1) < 0.02).sum() > 100
    with pytest.raises(ValueError, match="at least one trained run"):
        experiments.plot_learning_curves({}, file)
