"""Technical indicators that need closing prices alone.

Each is a function of closing prices `[days, stocks]` and gives as many numbers; a day's number
depends on that day and those before.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tf_equirl._checks import positive_integer
from tf_equirl.envs.trading.market import Prices, positive

WARM_UP = 60
"""Days of prices that the longest of them needs."""
COUNT = 5
"""Of indicators in `table`."""


def sma(closes: ArrayLike, length: int) -> Prices:
    """Simple moving average over the last `length` days; of fewer days at the beginning.

    Args:
        closes: `[days, stocks]`, in any currency, which is that of the result.
        length: In days.

    Raises:
        ValueError: If `closes` are not such prices, or `length` is no positive integer.
    """
    return _mean(_closes(closes), positive_integer("length", length))


def _closes(closes: ArrayLike) -> Prices:
    return positive("closes", closes, "[days, stocks], of a day or more", 1, axis=-2)


def _mean(closes: Prices, length: int) -> Prices:
    total = np.cumsum(closes, axis=0)
    total[length:] -= total[:-length].copy()
    count = np.minimum(np.arange(1, len(closes) + 1), length)
    return total / count[:, None]


def smoothed(values: Prices, share: float) -> Prices:
    """Exponential average `y_t = y_{t-1} + share (x_t - y_{t-1})`, from the first value on."""
    found = np.empty_like(values)
    found[0] = values[0]
    for day in range(1, len(values)):
        found[day] = found[day - 1] + share * (values[day] - found[day - 1])
    return found


def macd(closes: ArrayLike) -> Prices:
    """Moving average convergence/divergence (Appel): exponential means of 12 and of 26 days.

    Args:
        closes: `[days, stocks]`, in any currency, which is that of the result.

    Raises:
        ValueError: If `closes` are not such prices.
    """
    closes = _closes(closes)
    return smoothed(closes, 2 / 13) - smoothed(closes, 2 / 27)


def bollinger(closes: ArrayLike, length: int = 20) -> tuple[Prices, Prices]:
    """Bollinger's bands: the average of 20 days, minus and plus two standard deviations of them.

    Args:
        closes: `[days, stocks]`, in any currency, which is that of the result.
        length: In days.

    Returns:
        The lower and the upper band.

    Raises:
        ValueError: If `closes` are not such prices, or `length` is no positive integer.
    """
    closes, length = _closes(closes), positive_integer("length", length)
    middle = _mean(closes, length)
    around = closes[0]  # squares of differences to it keep their digits
    variance = _mean((closes - around) ** 2, length) - (middle - around) ** 2
    width = 2 * np.sqrt(np.maximum(variance, 0))
    return middle - width, middle + width


def rsi(closes: ArrayLike, length: int = 30) -> Prices:
    """Relative strength index, 0 to 100, with Wilder's averages (1978); 50 where nothing moved.

    Args:
        closes: `[days, stocks]`, in any currency.
        length: In days.

    Raises:
        ValueError: If `closes` are not such prices, or `length` is no positive integer.
    """
    closes, length = _closes(closes), positive_integer("length", length)
    change = np.diff(closes, axis=0, prepend=closes[:1])
    up, down = (smoothed(np.maximum(x, 0), 1 / length) for x in (change, -change))
    moved = up + down
    return np.where(moved > 0, 100 * up / np.where(moved > 0, moved, 1), 50.0)


def table(closes: Prices) -> NDArray[np.float32]:
    """All of them without units, of about the size of one: `[days, 5, stocks]`.

    MACD in units of 5 % of the price; where the price is between its bands, -1 to 1; the RSI, -1 to
    1; the price over its averages of 30 and of 60 days, in units of 10 %.
    """
    low, high = bollinger(closes)
    width = high - low
    flat = width < 1e-9 * closes
    place = np.where(flat, 0.0, (2 * closes - low - high) / np.where(flat, 1, width))
    found = [
        20 * macd(closes) / closes,
        place,
        rsi(closes) / 50 - 1,
        10 * (closes / sma(closes, 30) - 1),
        10 * (closes / sma(closes, 60) - 1),
    ]
    return np.stack(found, axis=1).astype(np.float32)
