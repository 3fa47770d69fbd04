"""Statistics over seeds.

Seeds are the independent units: every function takes one number for each. A statistic is known
where every seed's number is: one NaN makes it NaN. Seeds whose first episode is still going on, or
that became non-finite, are not like the rest; without them it would be a statistic of other seeds.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy import stats

_RESAMPLES = 10_000


class Estimate(NamedTuple):
    """A point estimate with its 95 % confidence interval."""

    value: float
    low: float
    high: float


_UNKNOWN = Estimate(math.nan, math.nan, math.nan)


class Difference(NamedTuple):
    """A mean difference between two agents over the seeds that both have."""

    mean: float
    low: float
    """Lower end of the 95 % confidence interval."""
    high: float
    """Upper end."""
    standard_error: float

    @property
    def standard_errors(self) -> float:
        """The mean in units of its standard error."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.float64(self.mean) / self.standard_error)


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """Mean over seeds and two standard errors of it; the error of a single seed is NaN.

    Both are NaN where a seed's number is.
    """
    error = 2 * np.std(values, ddof=1) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return float(np.mean(values)), float(error)


def interquartile_mean(values: np.ndarray) -> Estimate:
    """Mean over the middle half of the seeds, with a percentile bootstrap interval.

    Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice" (2021),
    section 4.3: less noisy than the median, and not moved by a few seeds that fail or excel. The
    interval comes from 10,000 resamplings of the seeds with a fixed random key, so that the same
    data give the same table.

    Args:
        values: `[seeds]`.

    Returns:
        The estimate; the interval of a single seed is NaN, and all of it where a seed's number is.
    """
    if np.isnan(values).any():  # which would be trimmed away as if it were the best
        return _UNKNOWN
    value = float(stats.trim_mean(values, 0.25))
    if len(values) < 2:
        return Estimate(value, math.nan, math.nan)
    interval = stats.bootstrap(
        (values,),
        lambda x, axis: stats.trim_mean(x, 0.25, axis=axis),
        n_resamples=_RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Estimate(value, float(interval.low), float(interval.high))


def ratio_of_means(values: np.ndarray, baseline: np.ndarray) -> Estimate:
    """Ratio of two means over seeds, `mean(values) / mean(baseline)`, with a bootstrap interval.

    The interval comes from 10,000 resamplings of either side's seeds with a fixed random key.

    Args:
        values: `[seeds]`, positive.
        baseline: `[seeds]` of the other one, positive; not necessarily as many.

    Returns:
        The estimate; the interval is NaN where one side has a single seed, and all of it where a
        seed's number is.
    """
    if np.isnan(values).any() or np.isnan(baseline).any():  # resamplings may miss it
        return _UNKNOWN
    value = float(np.mean(values) / np.mean(baseline))
    if min(len(values), len(baseline)) < 2:
        return Estimate(value, math.nan, math.nan)
    interval = stats.bootstrap(
        (values, baseline),
        lambda x, y, axis: x.mean(axis=axis) / y.mean(axis=axis),
        n_resamples=_RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Estimate(value, float(interval.low), float(interval.high))


def paired_difference(values: np.ndarray, baseline: np.ndarray) -> Difference:
    """Mean of `values - baseline`, both of the same seeds, with Student's interval.

    Args:
        values: `[seeds]` of one agent.
        baseline: `[seeds]` of the other one, in the same order of seeds.

    Returns:
        The difference; all but the mean are NaN for a single seed, and all where a seed's number
        is.

    Raises:
        ValueError: If the numbers of seeds differ.
    """
    if np.shape(values) != np.shape(baseline):
        raise ValueError(
            "values and baseline must have one number for each of the same seeds. Received: "
            f"shapes {np.shape(values)} and {np.shape(baseline)}"
        )
    gains = np.asarray(values, float) - np.asarray(baseline, float)
    mean, error = mean_and_error(gains)
    if not error > 0:  # one seed, or the same difference for all
        return Difference(mean, mean + error, mean + error, error / 2)
    interval = stats.ttest_1samp(gains, 0.0).confidence_interval(0.95)
    return Difference(mean, float(interval.low), float(interval.high), error / 2)


def rounded(mean: float, error: float) -> str:
    """`mean ± error`, to two digits of the error: "103.6 ± 5.9", "-0.453 ± 0.018"."""
    decimals = decimals_for(error)
    return f"{mean:.{decimals}f} ± {error:.{decimals}f}"


def decimals_for(error: float) -> int:
    """Decimals that show two digits of an error, at most three."""
    if not math.isfinite(error) or error <= 0:
        return 2
    return min(3, max(0, 1 - math.floor(math.log10(error))))
