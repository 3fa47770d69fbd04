"""Prices of some stocks, checked."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tf_equirl._checks import refuse, shown

Prices = NDArray[np.float64]
LONGEST_GAP = 10
"""Days that may lie between two trading days: weekends, holidays, a closed exchange."""


class Market:
    """Daily closing prices of some stocks, on one path or on several that are independent.

    Args:
        prices: `[days, stocks]` or `[paths, days, stocks]`, positive, in any currency.
        tickers: Names of the stocks; "A0", "A1", ... where they are not given.
        days: `[days]` dates, strictly ascending, at most 10 days apart; weekdays from 2000-01-03 on
            where they are not given.

    Attributes:
        prices: `[paths, days, stocks]` float64.
        tickers: One name for each stock.
        days: `[days]` datetime64[D].

    Raises:
        ValueError: If a price is missing (NaN), infinite or not positive, days are not ascending,
            or one is missing: the message says where.

    Example:
        >>> from tf_equirl.envs.trading import Market
        >>> market = Market([[10.0, 20.0], [11.0, 19.0]], ("UP", "DOWN"))
        >>> market.prices.shape, str(market.days[1])
        ((1, 2, 2), '2000-01-04')
    """

    def __init__(
        self,
        prices: ArrayLike,
        tickers: Sequence[str] | None = None,
        days: ArrayLike | None = None,
    ) -> None:
        """Checks and keeps the arguments."""
        array = _prices(prices)
        self.prices: NDArray[np.float64] = array
        _, count, stocks = array.shape
        self.tickers = _tickers(tickers, stocks)
        self.days: NDArray[np.datetime64] = _days(days, count)
        wrong = np.argwhere(~(np.isfinite(array) & (array > 0)))
        if len(wrong):
            path, day, stock = (int(i) for i in wrong[0])
            place = f"{self.tickers[stock]} on {self.days[day]}" + f", path {path}" * (
                len(array) > 1
            )
            refuse(
                "prices",
                f"finite and positive, without gaps; {len(wrong)} of them are not, the first is "
                f"that of {place}",
                float(array[path, day, stock]),
            )
        for x in (self.prices, self.days):
            x.setflags(write=False)

    def of(self, tickers: Sequence[str]) -> Market:
        """The market of some of its stocks, in the order given.

        Raises:
            ValueError: If one is none of its stocks.
        """
        rule = f"a list of some of {', '.join(self.tickers)}"
        if not isinstance(tickers, (list, tuple)) or not tickers:
            refuse("tickers", rule, tickers)
        found = []
        for ticker in tickers:
            if not isinstance(ticker, str) or ticker not in self.tickers:
                refuse("tickers", rule, ticker)
            found.append(self.tickers.index(ticker))
        return Market(self.prices[..., found], tuple(tickers), self.days)

    def get_config(self) -> dict[str, Any]:
        """What tells this market from others: names, first and last day, a checksum of prices."""
        return {
            "tickers": list(self.tickers),
            "first_day": str(self.days[0]),
            "last_day": str(self.days[-1]),
            "shape": list(self.prices.shape),
            "sha256": hashlib.sha256(self.prices.tobytes() + self.days.tobytes()).hexdigest(),
        }

    def __repr__(self) -> str:
        """Names and sizes."""
        paths, days, _ = self.prices.shape
        return f"Market({', '.join(self.tickers)}; {paths} x {days} days from {self.days[0]})"


def positive(name: str, values: ArrayLike, shape: str, least: int, axis: int = -1) -> Prices:
    """Returns `values` as an array of float64.

    Args:
        name: Of the argument.
        values: What was received.
        shape: What it is to be, in words.
        least: How many there must be along the axis.
        axis: Along which days follow each other.

    Raises:
        ValueError: If they are no numbers, one is not positive and finite, or there are too few.
    """
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        array = np.zeros(0)
    enough = array.ndim >= -axis and array.shape[axis] >= least
    if not enough or not (np.isfinite(array) & (array > 0)).all():
        refuse(name, f"positive numbers {shape}", values)
    return array


def _prices(prices: Any) -> NDArray[np.float64]:
    rule = "numbers [days, stocks] or [paths, days, stocks], of two days or more"
    try:
        array = np.array(prices, np.float64)  # a copy
    except Exception:  # of whatever type
        refuse("prices", rule, prices)
    if array.ndim == 2:
        array = array[np.newaxis]
    if array.ndim != 3 or array.shape[1] < 2 or 0 in array.shape:
        refuse("prices", rule, prices)
    return array


def _tickers(tickers: Any, stocks: int) -> tuple[str, ...]:
    if tickers is None:
        return tuple(f"A{i}" for i in range(stocks))
    rule = f"{stocks} different names, one for each stock"
    names = tuple(tickers) if isinstance(tickers, (list, tuple)) else ()
    if len(names) != stocks or not all(isinstance(name, str) for name in names):
        refuse("tickers", rule, tickers)
    if len(set(names)) < stocks:
        refuse("tickers", rule, tickers)
    return names


def _days(days: Any, count: int) -> NDArray[np.datetime64]:
    if days is None:
        return np.busday_offset(np.datetime64("2000-01-03"), np.arange(count)).astype(
            "datetime64[D]"
        )
    rule = f"{count} dates, one for each row of `prices`"
    try:
        numbers = np.asarray(days).dtype.kind in "biufc"  # which NumPy takes for days since 1970
        array = np.array(days, "datetime64[D]")
    except Exception:  # of whatever type
        refuse("days", rule, days)
    if numbers or array.shape != (count,) or np.isnat(array).any():
        refuse("days", rule, days)
    steps = np.diff(array).astype(int)
    for what, wrong in (
        ("strictly ascending", steps <= 0),
        (f"at most {LONGEST_GAP} days apart, without gaps", steps > LONGEST_GAP),
    ):
        if wrong.any():
            at = int(np.flatnonzero(wrong)[0])
            raise ValueError(
                f"`days` must be {what}. Received: days={shown(str(array[at]))}, followed by "
                f"{array[at + 1]} in row {at + 1}"
            )
    return array
