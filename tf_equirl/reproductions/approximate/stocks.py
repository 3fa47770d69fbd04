"""Stock trading by SAC with policies that are, or begin, invariant under shifts of the window."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tf_equirl.agents import SACConfig, train_sac
from tf_equirl.agents.sac.result import SACResult
from tf_equirl.envs.trading import (
    StockTrading,
    backtest,
    buy_and_hold,
    simulated_market,
    sp500_index,
    sp500_market,
)
from tf_equirl.envs.trading.sources import DOW
from tf_equirl.experiments.calls import Call, call_trainer
from tf_equirl.experiments.seed_chunks import train_in_chunks
from tf_equirl.training.population import Population, Weights, for_each_member

REAL = "real"
TRAINED, TESTED = ("2009-01-02", "2020-12-31"), ("2021-01-01", "2022-12-31")
"""First and last days; FinRL's example begins in 2009, the paper's beginning is lost."""
RANDOM_SEEDS = 16
MOST_DRAWN = 500  # days by whose observations sensitivities are measured


class Agent(NamedTuple):
    """Networks, and the group of their symmetry."""

    label: str
    kind: str
    group: str


AGENTS: Mapping[str, Agent] = {
    "mlp": Agent("free (MLP)", "mlp", "time"),
    "exact-t": Agent("exact T", "gcnn", "time"),
    "exact-st": Agent("exact ST", "gcnn", "scale-time"),
    "relaxed-t": Agent("relaxed T", "relaxed", "time"),
    "relaxed-st": Agent("relaxed ST", "relaxed", "scale-time"),
}
CONFIG = SACConfig(
    total_timesteps=24_000,
    num_environments=8,
    rollout_steps=100,
    train_every=8,
    learning_starts=800,
    buffer_size=24_000,
    batch_size=64,
    learning_rate=1e-3,
    initial_temperature=0.1,
    hidden_units=(16, 16),
    match_parameters=5_000,
    match_q_function_parameters=5_000,
    relaxation_rate=3.0,
)
"""Batch and first temperature are FinRL's; nothing was tuned."""


class Traded(NamedTuple):
    """What a policy made of the test days.

    Attributes:
        label: Its name.
        values: `[seeds, paths, days + 1]`, of the portfolio.
        days: `[days + 1]`, datetime64[D].
    """

    label: str
    values: NDArray[np.float64]
    days: NDArray[np.datetime64]


@dataclasses.dataclass(frozen=True)
class Stocks:
    """Agents on real and on simulated markets.

    Attributes:
        config: Of all agents, but for their networks' kinds.
        kappas: Strengths at which the symmetry of the simulated market is broken.
        tickers: The stocks of the real market.
        window: Days of the window, and of the simulated market's law.
        scales: See `StockTrading`.
        paths: Of a simulated market that is trained in; as many others, of the same law, are for
            the test.
        path_days: Days of each.
        num_seeds: Of every agent; so many are computed at the price of ten.
    """

    config: SACConfig = CONFIG
    kappas: tuple[float, ...] = (0.0, 1.0)
    tickers: tuple[str, ...] = DOW
    window: int = 5
    scales: tuple[int, ...] = (1, 4, 16)
    paths: int = 64
    path_days: int = 400
    num_seeds: int = 16

    @property
    def markets(self) -> tuple[str, ...]:
        """Names: the real one, and the simulated ones by strength."""
        return REAL, *(f"simulated-{kappa:g}" for kappa in self.kappas)

    def environment(self, market: str, group: str = "time", test: bool = False) -> StockTrading:
        """A market's environment, to train in or to be tested in.

        Args:
            market: One of `markets`.
            group: See `StockTrading`.
            test: Whether it is of the test years, or of paths that no agent has seen.
        """
        arguments: dict[str, Any] = {
            "group": group,
            "window": self.window,
            "scales": self.scales,
        }
        if market == REAL:
            first, last = TESTED if test else TRAINED
            return StockTrading(
                sp500_market(self.tickers), first_day=first, last_day=last, **arguments
            )
        kappa = self.kappas[self.markets.index(market) - 1]
        made = simulated_market(
            self.paths, self.path_days, kappa=kappa, seed=int(test), window=self.window
        )
        return StockTrading(made, **arguments)

    def run(
        self,
        folder: Path,
        num_seeds: int | None = None,
        seeds_per_chunk: int = 32,
        call: Call = call_trainer,
    ) -> dict[str, dict[str, SACResult]]:
        """Trains whatever is missing below `folder`; results by market and agent.

        Args:
            folder: Of everything.
            num_seeds: Of every agent; those of this object if None.
            seeds_per_chunk: See `train_in_chunks`.
            call: Called with a trainer and its arguments.
        """
        seeds = self.num_seeds if num_seeds is None else num_seeds
        found: dict[str, dict[str, SACResult]] = {}
        for market in self.markets:
            found[market] = {}
            for name, agent in AGENTS.items():
                found[market][name] = train_in_chunks(
                    self.environment(market, agent.group),
                    dataclasses.replace(self.config, actor=agent.kind, q_function=agent.kind),
                    seeds,
                    folder / "approximate-stocks" / market / name,
                    seeds_per_chunk,
                    functools.partial(call, train_sac),
                )
        return found

    def traded(self, market: str, results: Mapping[str, SACResult]) -> dict[str, Traded]:
        """What agents and baselines make of a market's test, by name."""
        env = self.environment(market, test=True)
        steps, stocks = len(env.days) - 1, len(env.market.tickers)
        found = {
            name: Traded(AGENTS[name].label, greedy_values(env, result), env.days)
            for name, result in results.items()
        }
        found["hold"] = Traded("buy and hold, in equal parts", buy_and_hold(env)[None], env.days)
        if market == REAL:
            index = buy_and_hold(env, sp500_index())[None]
            found["index"] = Traded("S&P 500", index, env.days)
        # As fast as the environment lets one.
        all_in = backtest(env, np.ones([steps, stocks]))[None]
        found["all-in"] = Traded("buys until cash is spent", all_in, env.days)
        paths = len(env.market.prices)
        plan = np.random.default_rng(0).uniform(-1, 1, [steps, RANDOM_SEEDS, paths, stocks])
        random = backtest(env, plan, [RANDOM_SEEDS])
        found["random"] = Traded("random actions", random, env.days)
        return found


def greedy_values(env: StockTrading, result: SACResult) -> NDArray[np.float64]:
    """Values of the portfolios of all seeds, `[seeds, paths, days + 1]`; see `backtest`."""
    actor, distribution = result.networks["actor"], env.action_distribution
    population = Population({"actor": actor})
    count = len(actor.trainable_variables)
    arrays = [tf.constant(w) for w in result.weights["actor"]]
    weights = Weights({"actor": arrays[:count]}, {"actor": arrays[count:]})
    prepared = population.prepared(weights, len(env.market.prices))

    def act(observation: tf.Tensor) -> tf.Tensor:
        parameters = population.outputs("actor", prepared, observation)
        return distribution.executed(distribution.mode(parameters))

    return backtest(env, act, [len(result.seeds)])


def day_shares(env: StockTrading, result: SACResult) -> NDArray[np.float64]:
    """How much of what a policy sees in the window it sees on each day: `[seeds, w]`, sums of 1.

    The square of the derivatives of all greedy actions by a day's numbers, as a share of that by
    the whole window, mean over the days of the test; with cash alone. An invariant policy has about
    1 / w everywhere, as the days of its window are of one distribution.
    """
    actor, distribution = result.networks["actor"], env.action_distribution
    count, stocks = len(actor.trainable_variables), len(env.market.tickers)
    state = env.starts_of_paths()
    days = np.arange(len(env.days))[:, None] + state.row.numpy()[None]
    row = np.random.default_rng(0).permutation(days.reshape(-1))[:MOST_DRAWN]
    state = env.starting(tf.constant(row, tf.int32))
    size = len(env.scales) * env.window * stocks

    def shares(observation: tf.Tensor) -> dict[str, tf.Tensor]:
        total = tf.zeros([size])
        for stock in range(stocks):
            with tf.GradientTape() as tape:
                tape.watch(observation)
                parameters = actor(observation, training=False)
                action = distribution.executed(distribution.mode(parameters))[:, stock]
            slope = tape.gradient(action, observation)[:, :size]
            total += tf.reduce_sum(slope**2, axis=0)
        of_days = tf.reduce_sum(tf.reshape(total, [len(env.scales), env.window, -1]), axis=[0, 2])
        return {"shares": of_days / tf.reduce_sum(of_days)}

    observation = env.observe(state)
    found = for_each_member(actor, result.weights["actor"][:count], shares, observation)
    return found["shares"].astype(np.float64)
