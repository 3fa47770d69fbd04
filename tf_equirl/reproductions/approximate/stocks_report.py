"""Stock trading: the numbers and the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tf_equirl.agents.sac.result import SACResult
from tf_equirl.envs.trading import annualized_return, sharpe_ratio
from tf_equirl.experiments.statistics import interquartile_mean, mean_and_error, rounded
from tf_equirl.experiments.tables import markdown_table
from tf_equirl.reproductions.approximate.measures import mean_spreads
from tf_equirl.reproductions.approximate.stocks import (
    AGENTS,
    REAL,
    Stocks,
    Traded,
    day_shares,
)

Row = dict[str, Any]
BOTH = "2021 and 2022"


def stock_rows(stocks: Stocks, found: Mapping[str, Mapping[str, SACResult]]) -> list[Row]:
    """A row for each market, policy, period and seed."""
    rows: list[Row] = []
    for market, results in found.items():
        for name, traded in stocks.traded(market, results).items():
            for period, values in periods(market, traded).items():
                growth, sharpe = annualized_return(values), sharpe_ratio(values)
                for seed in range(len(values)):
                    rows.append(
                        {
                            "market": market,
                            "policy": name,
                            "label": traded.label,
                            "period": period,
                            "seed": seed,
                            "final_value": float(values[seed, :, -1].mean()),
                            "annualized_return": float(growth[seed].mean()),
                            "sharpe_ratio": float(np.nanmean(sharpe[seed])),
                        }
                    )
    return rows


def periods(market: str, traded: Traded) -> dict[str, NDArray[np.float64]]:
    """Values by period; a year begins with the last value of the one before."""
    if market != REAL:
        return {"test": traded.values}
    years = traded.days.astype("datetime64[Y]")
    first = int(np.flatnonzero(years == np.datetime64("2022"))[0])
    return {
        "2021": traded.values[..., :first],
        "2022": traded.values[..., first - 1 :],
        BOTH: traded.values,
    }


def weight_rows(stocks: Stocks, found: Mapping[str, Mapping[str, SACResult]]) -> list[Row]:
    """A row for each market and agent: what it looks at, and how far its weights spread."""
    rows: list[Row] = []
    for market, results in found.items():
        env = stocks.environment(market, test=True)
        for name, result in results.items():
            shares = day_shares(env, result)
            relaxed = AGENTS[name].kind == "relaxed"
            actors = [result.actor(seed) for seed in result.seeds] if relaxed else []
            rows.append(
                {
                    "market": market,
                    "policy": name,
                    "spread": mean_spreads(actors) if relaxed else None,
                    "shares": shares,
                    "parameters": result.networks["actor"].count_params(),
                    "seconds": result.run_seconds,
                }
            )
    return rows


def stocks_markdown(stocks: Stocks, rows: list[Row], weights: list[Row]) -> str:
    """The page."""
    config, seeds = stocks.config, len({row["seed"] for row in rows if row["policy"] == "mlp"})
    parts = [
        f"**Stock trading**, SAC, {config.num_updates * config.update_timesteps:,} days of trade "
        f"and {config.num_gradient_steps:,} gradient steps, {seeds} seeds; {len(stocks.tickers)} "
        "stocks of the Dow Jones, trained from 2009 to 2020, tested once through 2021 and 2022 "
        "(to 2022-12-28), greedily, from 1,000,000 in cash. Mean ± two standard errors over *all* "
        "seeds, then the interquartile mean with its 95 % interval; the paper's table has the "
        "best of all runs. Nothing was tuned, on the test years neither. *Sharpe*: annualised, "
        "without a rate free of risk."
    ]
    for market in stocks.markets:
        own = [row for row in rows if row["market"] == market]
        if market != REAL:
            kappa = market.partition("-")[2]
            parts.append(
                f"**Simulated market, kappa = {kappa}**, {stocks.paths} fresh paths of "
                f"{stocks.path_days} days, means over paths. At kappa = 0 all days of the window "
                "count alike for what is next, exactly; at 1 the last one alone does."
            )
        for period in dict.fromkeys(row["period"] for row in own):
            head = ["policy", "final value", "annualised return", "IQM", "Sharpe", "IQM"]
            if market == REAL:
                parts.append(f"{period}:")
            parts.append(markdown_table(head, _cells([r for r in own if r["period"] == period])))
    last = stocks.window - 1
    head = ["market", "policy", "actor's parameters", "spread of weights"]
    head += ["share of the last day", *(f"{last - j} before" for j in range(last))]
    parts += [
        "**What policies look at.** *Spread*: root mean square of how far the weights of relaxed "
        "layers are from their mean; all begin at 1. *Share of a day*: of the squared slope of "
        f"actions by the window; 1 / {stocks.window} = {1 / stocks.window:.2f} each where all days "
        "count alike.",
        markdown_table(head, [_weights(row) for row in weights]),
    ]
    return "\n\n".join(parts) + "\n"


def _cells(rows: list[Row]) -> list[list[str]]:
    found = []
    for name in dict.fromkeys(row["policy"] for row in rows):
        own = [row for row in rows if row["policy"] == name]
        value, growth, sharpe = (
            np.array([row[key] for row in own])
            for key in ("final_value", "annualized_return", "sharpe_ratio")
        )
        found.append(
            [
                own[0]["label"],
                _text(value, "{:,.0f}"),
                _text(100 * growth, "{:.1f} %"),
                _middle(100 * growth, "{:.1f}"),
                _text(sharpe, "{:.2f}"),
                _middle(sharpe, "{:.2f}"),
            ]
        )
    return found


def _text(values: NDArray[np.float64], form: str) -> str:
    if len(values) < 2:
        return form.format(values[0])
    mean, error = mean_and_error(values)
    return f"{form.format(mean)} ± {form.format(error)}"


def _middle(values: NDArray[np.float64], form: str) -> str:
    if len(values) < 2:
        return ""
    found = interquartile_mean(values)
    value, low, high = (form.format(x) for x in found)
    return f"{value} ({low} to {high})"


def _weights(row: Row) -> list[str]:
    spread = "" if row["spread"] is None else rounded(*mean_and_error(row["spread"]))
    shares = row["shares"]
    means = [f"{x:.2f}" for x in shares.mean(axis=0)]
    *before, _ = means
    return [
        row["market"],
        AGENTS[row["policy"]].label,
        f"{row['parameters']:,}",
        spread,
        rounded(*mean_and_error(shares[:, -1])),
        *before,
    ]
