import numpy as np
import pytest
from scipy import stats

from tf_equirl import experiments


def test_the_interquartile_mean_drops_a_quarter_on_each_side():
    values = np.array([-1000.0, 1, 2, 3, 4, 5, 6, 1000])
    estimate = experiments.interquartile_mean(values)
    assert estimate.value == np.mean([2, 3, 4, 5])
    assert estimate.low < estimate.value < estimate.high
    assert estimate == experiments.interquartile_mean(values)  # the same table every time


def test_the_bootstrap_interval_covers_the_truth():
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(100):
        estimate = experiments.interquartile_mean(random.normal(5.0, 2.0, size=64))
        covered += estimate.low <= 5.0 <= estimate.high
    assert 88 <= covered <= 100  # 95 expected; fewer than 88 has a chance of 0.3 %


def test_the_interval_of_one_seed_is_unknown_and_that_of_equal_seeds_a_point():
    assert experiments.interquartile_mean(np.array([7.0])).value == 7
    assert np.isnan(experiments.interquartile_mean(np.array([7.0])).low)
    assert experiments.interquartile_mean(np.full(8, 7.0)) == (7.0, 7.0, 7.0)


def test_a_paired_difference_ignores_what_the_seeds_share():
    random = np.random.default_rng(0)
    shared = random.normal(0.0, 100.0, size=128)
    gain = random.normal(3.0, 1.0, size=128)
    difference = experiments.paired_difference(shared + gain, shared)
    np.testing.assert_allclose(difference.mean, gain.mean())
    np.testing.assert_allclose(difference.standard_error, stats.sem(gain))
    np.testing.assert_allclose(difference.standard_errors, gain.mean() / stats.sem(gain))
    # Student's quantile for 127 degrees of freedom.
    half = 1.978820 * stats.sem(gain)
    np.testing.assert_allclose(difference.low, gain.mean() - half, rtol=1e-6)
    np.testing.assert_allclose(difference.high, gain.mean() + half, rtol=1e-6)


def test_a_paired_difference_without_spread():
    difference = experiments.paired_difference(np.array([3.0, 4.0]), np.array([1.0, 2.0]))
    assert difference[:3] == (2.0, 2.0, 2.0) and difference.standard_errors == np.inf
    alone = experiments.paired_difference(np.array([3.0]), np.array([1.0]))
    assert alone.mean == 2 and np.isnan(alone.low) and np.isnan(alone.standard_errors)
    with pytest.raises(ValueError, match=r"same seeds. Received: shapes \(2,\) and \(3,\)"):
        experiments.paired_difference(np.zeros(2), np.zeros(3))


def test_numbers_are_rounded_to_two_digits_of_their_error():
    assert experiments.rounded(103.62, 5.94) == "103.6 ± 5.9"
    assert experiments.rounded(263.9, 15.8) == "264 ± 16"
    assert experiments.rounded(-0.45312, 0.0181) == "-0.453 ± 0.018"
    assert experiments.rounded(499.98, 0.0001) == "499.980 ± 0.000"
    assert experiments.rounded(7.0, float("nan")) == "7.00 ± nan"


def test_a_ratio_of_means_covers_the_true_ratio_in_95_percent_of_samples():
    random = np.random.default_rng(0)
    samples = [(random.gamma(4, 3, 16), random.gamma(4, 1, 16)) for _ in range(200)]
    ratios = [experiments.ratio_of_means(*pair) for pair in samples[:2]]
    assert ratios[0].value == samples[0][0].mean() / samples[0][1].mean()
    assert ratios[0] == experiments.ratio_of_means(*samples[0])  # the same data, the same table
    assert ratios[0] != ratios[1]
    covered = [
        low <= 3 <= high for _, low, high in (experiments.ratio_of_means(*s) for s in samples)
    ]
    # 95 % nominal; the percentile bootstrap of 16 skewed numbers falls a little short of it.
    assert 0.88 <= np.mean(covered) <= 0.99
    alone = experiments.ratio_of_means(np.array([3.0]), np.array([2.0, 2.0]))
    assert alone.value == 1.5 and np.isnan(alone.low) and np.isnan(alone.high)


@pytest.mark.filterwarnings("error")
def test_a_statistic_is_known_where_every_seed_is():
    values, some = np.arange(8.0), np.arange(8.0)
    some[6] = np.nan  # a quarter is trimmed on each side: the NaN would count as a best seed
    assert np.isnan(experiments.mean_and_error(some)).all()
    assert np.isnan(experiments.interquartile_mean(some)).all()
    assert np.isnan(experiments.interquartile_mean(some[6:7])).all()
    assert np.isnan(experiments.ratio_of_means(some, values + 1)).all()
    assert np.isnan(experiments.ratio_of_means(values, some)).all()
    for pair in ((some, values), (values, some), (some, some)):
        difference = experiments.paired_difference(*pair)
        assert np.isnan(difference).all() and np.isnan(difference.standard_errors)
