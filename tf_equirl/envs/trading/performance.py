"""What became of a portfolio, from its daily values."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tf_equirl.envs.trading.market import positive

YEAR = 252
"""Trading days of a year."""


def annualized_return(values: ArrayLike) -> NDArray[np.float64]:
    """Growth a year, `(last / first)^(252 / days) - 1`.

    Args:
        values: `[..., days + 1]` positive, of a day or more.

    Raises:
        ValueError: If `values` are not such numbers.
    """
    array = positive("values", values, "[..., days + 1], of a day or more", 2)
    return (array[..., -1] / array[..., 0]) ** (YEAR / (array.shape[-1] - 1)) - 1


def sharpe_ratio(values: ArrayLike) -> NDArray[np.float64]:
    """Mean over standard deviation of daily returns, times the root of 252 (Sharpe, 1994).

    Nothing is taken off for what money earns without risk. NaN where the value never changed.

    Args:
        values: `[..., days + 1]` positive, of two days or more.

    Raises:
        ValueError: If `values` are not such numbers.
    """
    array = positive("values", values, "[..., days + 1], of two days or more", 3)
    returns = array[..., 1:] / array[..., :-1] - 1
    deviation = returns.std(axis=-1, ddof=1)
    known = deviation > 0
    ratio = np.sqrt(YEAR) * returns.mean(axis=-1) / np.where(known, deviation, 1)
    return np.where(known, ratio, np.nan)
