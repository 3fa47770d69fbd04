"""What a policy makes of a market, day by day."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tf_equirl._checks import cut, instance, integers, refuse, shown
from tf_equirl.envs.trading.market import Market
from tf_equirl.envs.trading.stock_trading import StockTrading

_MOST_MEMBERS = 2**20


def backtest(
    env: StockTrading,
    policy: keras.Model | Callable[[tf.Tensor], tf.Tensor] | NDArray[np.floating],
    members: Sequence[int] = (),
) -> NDArray[np.float64]:
    """Trades from the first day of trade to the last one, once on each path.

    Args:
        env: The environment; whether it begins on random days makes no difference, nor does the
            length of its episodes.
        policy: A policy network, which acts greedily; or a function from observations `[*members,
            paths, d]` to actions `[*members, paths, k]` in [-1, 1]; or actions that do not depend
            on what is seen, an array `[days, ..., k]` with one entry for each day but the last.
        members: Leading dimensions, such as `[seeds]`, of a function that acts for many policies.

    Returns:
        Values of the portfolio at the close of each day, before its trades: `[*members, paths, days
        + 1]`, the first of them the initial cash.

    Raises:
        ValueError: If an argument is not one of those.

    Example:
        >>> import numpy as np
        >>> from tf_equirl.envs.trading import StockTrading, backtest, simulated_market
        >>> env = StockTrading(simulated_market(paths=2, days=160))
        >>> steps = len(env.days) - 1
        >>> backtest(env, np.ones([steps, 3])).shape  # buys as much as it can
        (2, 101)
    """
    instance("env", env, StockTrading)
    steps, stocks = len(env.days) - 1, len(env.market.tickers)
    if not isinstance(members, (list, tuple)) or len(members) > 0:
        rule = "leading dimensions, positive integers"
        members = integers("members", members, rule, least=1, most=_MOST_MEMBERS, most_items=8)
    start = env.starts_of_paths()
    shape = [*members, *start.row.shape]
    start = tf.nest.map_structure(
        lambda x: tf.broadcast_to(x, [*members, *x.shape]),
        start,
    )
    act: Callable[[tf.Tensor], tf.Tensor]
    if isinstance(policy, keras.Model):
        model, distribution = policy, env.action_distribution

        def greedy(observation: tf.Tensor) -> tf.Tensor:
            parameters = model(observation, training=False)
            return distribution.executed(distribution.mode(parameters))

        act = greedy
    elif callable(policy):
        act = policy
    plan = None if callable(policy) else _plan(policy, steps, stocks)

    # Without XLA: many are run once.
    @tf.function(autograph=False)
    def run() -> tf.Tensor:
        values = tf.TensorArray(tf.float32, steps + 1, element_shape=shape)

        def step(day: tf.Tensor, state: Any, values: tf.TensorArray) -> Any:
            if plan is not None:
                action = tf.broadcast_to(tf.gather(plan, day), [*shape, stocks])
            else:
                action = tf.ensure_shape(act(env.observe(state)), [*shape, stocks])
            following, *_ = env.transition(state, action, tf.zeros([*shape, env.num_uniforms]))
            return day + 1, following, values.write(day + 1, env.value(following))

        carry = tf.constant(0), start, values.write(0, env.value(start))
        *_, values = tf.while_loop(lambda day, *_: day < steps, step, carry)
        return values.stack()

    # Called directly, TensorFlow would warn that a new function is traced each time.
    try:
        program = run.get_concrete_function()
    except Exception as error:  # of the policy's own code, or of what it gives
        observations = [*shape, *env.observation_shape]
        raise ValueError(
            f"`policy` must make actions {[*shape, stocks]} of observations {observations}. "
            f"Received: policy={shown(policy)}, which fails: {type(error).__name__}: "
            f"{cut(str(error))}"
        ) from error
    return np.moveaxis(program().numpy().astype(np.float64), 0, -1)


def buy_and_hold(env: StockTrading, market: Market | None = None) -> NDArray[np.float64]:
    """All cash, in equal parts, in all stocks on the first day of trade, whatever `max_shares` is.

    Args:
        env: Whose days, cash and cost are used.
        market: Whose stocks are bought; None for those of `env`. It must have its days.

    Returns:
        Values `[paths, days + 1]`, as `backtest` has them: the cost is paid after the first one.

    Raises:
        ValueError: If an argument is not one of those.
    """
    instance("env", env, StockTrading)
    market = env.market if market is None else instance("market", market, Market)
    if not np.array_equal(market.days, env.market.days):
        refuse("market", "a market with the days of `env`", market)
    row = env.days[0] == market.days
    first = int(np.flatnonzero(row)[0])
    prices = market.prices[:, first : first + len(env.days)]
    arguments = env.initial_cash, env.cost
    grown = (prices / prices[:, :1]).mean(axis=-1)
    values = arguments[0] / (1 + arguments[1]) * grown
    values[:, 0] = arguments[0]
    return values


def _plan(policy: Any, steps: int, stocks: int) -> tf.Tensor:
    rule = (
        "a Keras model, a function of observations, or an array of actions "
        f"[{steps}, ..., {stocks}]"
    )
    try:
        array = np.asarray(policy, np.float32)
    except Exception:  # of whatever type
        refuse("policy", rule, policy)
    if array.ndim < 2 or array.shape[0] != steps or array.shape[-1] != stocks:
        refuse("policy", rule, policy)
    return tf.constant(array)
