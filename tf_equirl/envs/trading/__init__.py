"""Stock trading: markets, indicators, the environment and what a portfolio became."""

from tf_equirl.envs.trading.backtest import backtest, buy_and_hold
from tf_equirl.envs.trading.indicators import bollinger, macd, rsi, sma
from tf_equirl.envs.trading.market import Market
from tf_equirl.envs.trading.performance import annualized_return, sharpe_ratio
from tf_equirl.envs.trading.sources import simulated_market, sp500_index, sp500_market
from tf_equirl.envs.trading.stock_trading import StockTrading, TradingState

__all__ = [
    "Market",
    "StockTrading",
    "TradingState",
    "annualized_return",
    "backtest",
    "bollinger",
    "buy_and_hold",
    "macd",
    "rsi",
    "sharpe_ratio",
    "simulated_market",
    "sma",
    "sp500_index",
    "sp500_market",
]
