"""Where markets come from: real prices, and a simulation."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from tf_equirl._checks import LARGEST_SEED, integer, number, positive_integer
from tf_equirl.envs.trading.market import Market

DOW = ("AAPL", "CVX", "HD", "JNJ", "JPM", "KO", "MRK", "MSFT", "PG", "UNH", "WMT")
"""Those of skfolio's 20 stocks that were in the Dow Jones Industrial Average in 2021 and 2022."""
_LARGEST = 10**8  # returns of a simulation, those before its first day included


def sp500_market(tickers: Sequence[str] | None = None) -> Market:
    """Real prices: 20 stocks of the S&P 500, daily, adjusted, 1990-01-02 to 2022-12-28.

    They are a part of the package skfolio (extra `prices`), "for testing and example purposes", and
    are read from it; nothing is downloaded. These are companies that were large at the end: whoever
    bought them in 1990 had luck (survivorship).

    Args:
        tickers: Which of them; None for all.

    Raises:
        ImportError: If skfolio is not installed; the message says how to.
        ValueError: If a stock is none of those.
    """
    frame = _skfolio().load_sp500_dataset()
    market = Market(frame.to_numpy(), tuple(frame.columns), frame.index.to_numpy())
    return market if tickers is None else market.of(tickers)


def sp500_index() -> Market:
    """The index S&P 500 on the days of `sp500_market`, as a market of one stock.

    Raises:
        ImportError: If skfolio is not installed; the message says how to.
    """
    frame = _skfolio().load_sp500_index()
    return Market(frame.to_numpy(), ("SP500",), frame.index.to_numpy())


def _skfolio() -> Any:
    try:
        return importlib.import_module("skfolio.datasets")
    except ImportError as error:
        raise ImportError(
            'Real prices are read from skfolio: pip install "tf_equirl[prices]"'
        ) from error


def simulated_market(
    paths: int = 64,
    days: int = 400,
    stocks: int = 3,
    kappa: float = 0.0,
    seed: int = 0,
    window: int = 8,
    momentum: float = 0.6,
    volatility: float = 0.01,
    price: float = 1_000.0,
) -> Market:
    r"""Prices whose next return depends on the last `window` returns, by known weights.

    Logarithmic returns of each stock, independent of the others, are the autoregression

    $$ r_{t+1} = \theta \sum_{j=0}^{w-1} c_j r_{t-j} + \sigma \epsilon_{t+1}, \qquad
       c_j = \frac{1 - \kappa}{w} + \kappa [j = 0], $$

    begun where it is stationary, with mean 0. At kappa = 0 all days of the window count alike: the
    law of the next return is *exactly* the same after any permutation of the window, cyclic shifts
    among them. At kappa = 1 the last day alone counts, and nothing is left of that.

    Args:
        paths: Independent ones.
        days: Of each.
        stocks: How many.
        kappa: How much the symmetry is broken, 0 to 1.
        seed: The same seed gives the same prices.
        window: w, in days.
        momentum: theta, above -1 and below 1: how much of a move goes on.
        volatility: sigma, a day.
        price: That all stocks have on the first day.

    Raises:
        ValueError: If an argument is not one of those, there would be more than 10^8 returns, or
            prices would not be finite and positive.

    Example:
        >>> from tf_equirl.envs.trading import simulated_market
        >>> simulated_market(paths=2, days=100).prices.shape
        (2, 100, 3)
    """
    days = integer("days", days, 2)
    stocks, window = positive_integer("stocks", stocks), positive_integer("window", window)
    paths = positive_integer("paths", paths)
    # What was at the beginning is forgotten: it counts momentum^40 after so many days.
    before = 40 * window
    if paths * stocks * (window + before + days) > _LARGEST:
        raise ValueError(
            f"`paths` * `stocks` * (`days` + 41 * `window`) must be at most {_LARGEST:,}. "
            f"Received: paths={paths}, stocks={stocks}, days={days}, window={window}"
        )
    kappa = number("kappa", kappa, "a number from 0 to 1", lambda x: 0 <= x <= 1)
    rule = "a number above -1 and below 1"
    momentum = number("momentum", momentum, rule, lambda x: -1 < x < 1)
    volatility, price = number("volatility", volatility), number("price", price)
    generator = np.random.default_rng(integer("seed", seed, 0, LARGEST_SEED))
    weights = momentum * ((1 - kappa) / window + kappa * (np.arange(window) == 0))
    returns = np.zeros([window + before + days, paths, stocks])
    with np.errstate(all="ignore"):  # what is not finite is told below
        noise = volatility * generator.standard_normal([before + days, paths, stocks])
        for day in range(before + days):
            recent = returns[day : day + window][::-1]
            returns[window + day] = np.tensordot(weights, recent, 1) + noise[day]
        found = returns[-days:]
        found[0] = 0
        prices = price * np.exp(np.cumsum(found, axis=0)).transpose(1, 0, 2)
    if not (np.isfinite(prices) & (prices > 0)).all():
        raise ValueError(
            "`volatility` and `price` must be such that all prices are finite and positive. "
            f"Received: volatility={volatility}, price={price}, momentum={momentum}, days={days}"
        )
    return Market(prices)
