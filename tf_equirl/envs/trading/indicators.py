"""Technical indicators that need closing prices alone.

Each is a function of `[days, stocks]` closes; a day's number depends on that day and those before.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Closes = NDArray[np.float64]
WARM_UP = 60
"""Days of prices that the longest of them needs."""
COUNT = 5
"""Of indicators in `table`."""


def sma(closes: Closes, length: int) -> Closes:
    """Simple moving average over the last `length` days; of fewer days at the beginning."""
    total = np.cumsum(closes, axis=0)
    total[length:] -= total[:-length].copy()
    count = np.minimum(np.arange(1, len(closes) + 1), length)
    return total / count[:, None]


def smoothed(values: Closes, share: float) -> Closes:
    """Exponential average `y_t = y_{t-1} + share (x_t - y_{t-1})`, from the first value on."""
    found = np.empty_like(values)
    found[0] = values[0]
    for day in range(1, len(values)):
        found[day] = found[day - 1] + share * (values[day] - found[day - 1])
    return found


def macd(closes: Closes) -> Closes:
    """Moving average convergence/divergence (Appel): exponential means of 12 and of 26 days."""
    return smoothed(closes, 2 / 13) - smoothed(closes, 2 / 27)


def bollinger(closes: Closes, length: int = 20) -> tuple[Closes, Closes]:
    """Bollinger's bands: the average of 20 days, minus and plus two standard deviations of them."""
    middle = sma(closes, length)
    around = closes[0]  # squares of differences to it keep their digits
    variance = sma((closes - around) ** 2, length) - (middle - around) ** 2
    width = 2 * np.sqrt(np.maximum(variance, 0))
    return middle - width, middle + width


def rsi(closes: Closes, length: int = 30) -> Closes:
    """Relative strength index, 0 to 100, with Wilder's averages (1978); 50 where nothing moved."""
    change = np.diff(closes, axis=0, prepend=closes[:1])
    up, down = (smoothed(np.maximum(x, 0), 1 / length) for x in (change, -change))
    moved = up + down
    return np.where(moved > 0, 100 * up / np.where(moved > 0, moved, 1), 50.0)


def table(closes: Closes) -> NDArray[np.float32]:
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
