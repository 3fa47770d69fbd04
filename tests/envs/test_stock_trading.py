"""Stock trading: book-keeping, indicators, what is observed when, bad input."""

import importlib.util

import numpy as np
import pytest
import tensorflow as tf

from tf_equirl import envs, models
from tf_equirl.envs import trading
from tf_equirl.envs.trading import (
    Market,
    StockTrading,
    annualized_return,
    backtest,
    buy_and_hold,
    sharpe_ratio,
    simulated_market,
)
from tf_equirl.envs.trading.indicators import table
from tf_equirl.envs.trading.sources import DOW

HAS_PRICES = importlib.util.find_spec("skfolio") is not None
needs_prices = pytest.mark.skipif(not HAS_PRICES, reason="skfolio is not installed")


def small(**arguments):
    market = simulated_market(paths=2, days=120, stocks=3, seed=3, volatility=0.03)
    return StockTrading(market, **{"window": 4, "scales": (1, 2), **arguments})


def books(prices, actions, cash, most, cost):
    """Independent book-keeping of one path, in float64: values, cash and shares day by day."""
    held = np.zeros(prices.shape[1])
    values, purse, holdings = [cash], [], []
    for price, following, action in zip(prices, prices[1:], actions, strict=False):
        for stock, x in enumerate(action):
            if x < 0:
                sold = min(-x * most, held[stock])
                held[stock] -= sold
                cash += sold * price[stock] * (1 - cost)
        bill = sum(max(x, 0) * most * p * (1 + cost) for x, p in zip(action, price, strict=True))
        part = 1.0 if bill <= cash else cash / bill
        held = held + np.maximum(action, 0) * most * part
        cash -= bill * part
        values.append(cash + held @ following)
        purse.append(cash)
        holdings.append(held.copy())
    return np.array(values), np.array(purse), np.array(holdings)


@pytest.mark.parametrize(("cash", "most"), [(1e7, 100.0), (2e5, 300.0)])
def test_the_books_are_right_and_nothing_is_ever_negative(cash, most):
    env = small(initial_cash=cash, max_shares=most, cost=0.002)
    first = len(env.market.days) - len(env.days)
    steps = len(env.days) - 1
    actions = np.random.default_rng(1).uniform(-1.2, 1.5, [steps, 2, 3]).astype(np.float32)
    state, total = env.starts_of_paths(), 0.0
    seen = [[], [], [], []]
    for action in actions:
        before = env.value(state)
        state, reward, terminated = env.transition(state, tf.constant(action), tf.zeros([2, 2]))
        assert not terminated.numpy().any()
        np.testing.assert_allclose(reward * 1e4, env.value(state) - before, atol=3e-7 * cash)
        total += reward.numpy()
        for kept, x in zip(seen, (env.value(state), state.cash, state.shares, reward), strict=True):
            kept.append(x.numpy())
    values, purse, held, _ = (np.stack(kept) for kept in seen)
    assert purse.min() >= 0 and held.min() >= 0
    spent = False
    for path in range(2):
        prices = env.market.prices[path, first:]
        expected = books(prices, np.clip(actions[:, path], -1, 1), cash, most, 0.002)
        # Each of 60 steps rounds numbers of the size of the cash to 2^-24 of them.
        np.testing.assert_allclose(values[:, path], expected[0][1:], rtol=2e-6)
        np.testing.assert_allclose(purse[:, path], expected[1], atol=3e-6 * cash)
        np.testing.assert_allclose(held[:, path], expected[2], atol=1e-3 * most)
        spent |= expected[1].min() < 1e-6 * cash
    assert spent == (cash == 2e5), "the second one runs out of cash"
    again = backtest(env, np.clip(actions, -1, 1))
    np.testing.assert_allclose(again[:, 1:], values.T, rtol=1e-6)
    np.testing.assert_allclose(again[:, -1] - cash, 1e4 * total, rtol=1e-3, atol=1e-5 * cash)


def test_costs_are_all_that_is_lost_where_prices_stand_still():
    env = StockTrading(Market(np.full([100, 2], 50.0)), window=4, scales=(1,), cost=0.01)
    plan = np.stack([np.full(len(env.days) - 1, x) for x in (1.0, 0.5)], axis=1)
    plan[10:] *= -1
    values = backtest(env, plan)[0]
    turnover = 50.0 * 100 * 1.5 * 20  # ten days of purchases, ten of sales
    np.testing.assert_allclose(values[-1], 1e6 - 0.01 * turnover, rtol=1e-6)
    assert np.isfinite(env.observe(env.starts_of_paths())).all()
    assert np.isnan(sharpe_ratio(np.ones(5))) and annualized_return(np.ones(5)) == 0


def test_observations_are_as_the_docstring_says():
    env = small(initial_cash=1e5)
    state = env.starting(tf.constant([120 + 80]))._replace(shares=tf.constant([[1.0, 2.0, 3.0]]))
    seen = env.observe(state).numpy()[0]
    prices = env.market.prices[1]
    logs = np.log(prices)
    window = np.array(
        [
            [(logs[80 - j] - logs[80 - j - s]) / (0.02 * np.sqrt(s)) for j in (3, 2, 1, 0)]
            for s in (1, 2)
        ]
    )
    np.testing.assert_allclose(seen[:24], window.reshape(-1), atol=1e-5)
    np.testing.assert_allclose(seen[24:39], table(prices)[80].reshape(-1), atol=1e-6)
    np.testing.assert_allclose(seen[39:42], 100 * prices[80] / 1e5, rtol=1e-6)
    np.testing.assert_allclose(seen[42:45], [1, 2, 3] * prices[80] / 1e5, rtol=1e-6)
    assert seen[45] == 1 and len(seen) == 46


def test_an_observation_never_depends_on_what_comes_later():
    env = small()
    for day in (60, 80, 118):
        changed = env.market.prices.copy()
        changed[:, day + 1 :] *= np.random.default_rng(day).uniform(
            0.5, 2, changed[:, day + 1 :].shape
        )
        other = StockTrading(Market(changed), window=4, scales=(1, 2))
        rows = tf.constant([day - 1, day, 120 + day])
        np.testing.assert_array_equal(
            env.observe(env.starting(rows)), other.observe(other.starting(rows))
        )
        later = other.observe(other.starting(rows + 1)).numpy()
        assert (later[1:] != env.observe(env.starting(rows + 1)).numpy()[1:]).any()


def test_indicators_are_those_of_pandas():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    closes = simulated_market(paths=1, days=150, stocks=2, volatility=0.02).prices[0]
    frame = pandas.DataFrame(closes)

    def mean(span):
        return frame.ewm(span=span, adjust=False).mean()

    change = frame.diff().fillna(0)
    up, down = (x.clip(lower=0).ewm(alpha=1 / 30, adjust=False).mean() for x in (change, -change))
    np.testing.assert_allclose(trading.macd(closes), mean(12) - mean(26), atol=1e-9)
    np.testing.assert_allclose(trading.rsi(closes)[1:], (100 - 100 / (1 + up / down))[1:])
    rolling = frame.rolling(20)
    low, high = trading.bollinger(closes)
    np.testing.assert_allclose(low[19:], (rolling.mean() - 2 * rolling.std(ddof=0))[19:])
    np.testing.assert_allclose(high[19:], (rolling.mean() + 2 * rolling.std(ddof=0))[19:])
    np.testing.assert_allclose(trading.sma(closes, 30)[29:], frame.rolling(30).mean()[29:])


def test_indicators_by_hand():
    closes = np.array([[1.0], [3.0], [2.0]])
    np.testing.assert_allclose(trading.sma(closes, 2)[:, 0], [1, 2, 2.5])
    np.testing.assert_allclose(trading.rsi(closes, 2)[:, 0], [50, 100, 100 * 0.5 / 1.0])
    np.testing.assert_allclose(trading.macd(closes)[1, 0], 2 * (2 / 13 - 2 / 27))
    np.testing.assert_allclose(
        np.ravel(trading.bollinger(closes, 3))[2::3], [2 - 8**0.5 / 3**0.5, 2 + 8**0.5 / 3**0.5]
    )
    values = [100.0, 110.0, 99.0]
    np.testing.assert_allclose(annualized_return(values), 0.99**126 - 1)
    np.testing.assert_allclose(sharpe_ratio(values), 0.0, atol=1e-12)  # +10 % and -10 %
    np.testing.assert_allclose(sharpe_ratio([1.0, 1.1, 1.1]), 0.5**0.5 * 252**0.5)


@pytest.mark.parametrize("function", [trading.sma, trading.macd, trading.bollinger, trading.rsi])
def test_indicators_refuse_what_is_no_prices(function):
    length = [5] if function is trading.sma else []
    for closes in ([1.0, 2.0], [[1.0], [np.nan]], [[1.0], [0.0]], np.ones([0, 2]), "up"):
        with pytest.raises(ValueError, match=r"`closes` must be positive numbers \[days, stocks\]"):
            function(closes, *length)
    if function is not trading.macd:
        with pytest.raises(ValueError, match="`length` must be a positive integer"):
            function([[1.0], [2.0]], 0)


def test_a_score_needs_days():
    for function, values in ((annualized_return, [1.0]), (sharpe_ratio, [1.0, 2.0])):
        for wrong in (values, [1.0, -1.0, 1.0], [1.0, np.inf, 1.0], None):
            with pytest.raises(ValueError, match="`values` must be positive numbers"):
                function(wrong)


@pytest.mark.parametrize("group", ["time", "scale-time"])
def test_exact_networks_do_not_see_shifts_of_the_window(group):
    env = small(group=group)
    symmetry = env.symmetry
    assert symmetry.group.order == (4 if group == "time" else 8)
    rng = np.random.default_rng(0)
    seen = rng.standard_normal([5, *env.observation_shape]).astype(np.float32)
    action = rng.uniform(-1, 1, [5, 3]).astype(np.float32)
    kinds = {
        kind: (
            models.actor(symmetry, kind, (6, 6), standard_deviation="state"),
            models.q_function(symmetry, kind, (6, 6), continuous=True),
        )
        for kind in ("gcnn", "relaxed", "mlp")
    }
    for element in range(symmetry.group.order):
        scale, day = divmod(element, 4)
        picture = np.roll(seen[:, :24].reshape(5, 2, 4, 3), (scale, day), (1, 2))
        moved = np.concatenate([picture.reshape(5, -1), seen[:, 24:]], axis=1)
        np.testing.assert_array_equal(symmetry.state.act(element, seen), moved)
        np.testing.assert_array_equal(symmetry.action.act(element, action), action)
        for kind, (actor, critic) in kinds.items():
            gap = np.abs(actor(seen) - actor(moved)).max()
            value = np.abs(critic([seen, action]) - critic([moved, action])).max()
            if kind != "mlp":
                assert gap < 1e-5 and value < 1e-5
            elif element:
                assert gap > 1e-4 and value > 1e-3


@pytest.mark.parametrize("kappa", [0.0, 0.5, 1.0])
def test_the_law_of_the_simulated_market_is_the_declared_one(kappa):
    market = simulated_market(paths=200, days=300, stocks=2, kappa=kappa, window=4, momentum=0.6)
    returns = np.diff(np.log(market.prices), axis=1)
    past = np.stack([returns[:, 3 - j : returns.shape[1] - 1 - j] for j in range(4)], axis=-1)
    following = returns[:, 4:].reshape(-1)
    found = np.linalg.lstsq(past.reshape(-1, 4), following, rcond=None)[0]
    expected = 0.6 * ((1 - kappa) / 4 + kappa * np.array([1, 0, 0, 0]))
    # Of 118,400 days; a coefficient's standard error is 0.003.
    np.testing.assert_allclose(found, expected, atol=0.015)
    rest = following - past.reshape(-1, 4) @ expected
    assert abs(rest.std() - 0.01) < 2e-4 and abs(returns.mean()) < 4e-4
    again = simulated_market(paths=200, days=300, stocks=2, kappa=kappa, window=4, momentum=0.6)
    assert market.get_config() == again.get_config()
    assert simulated_market(seed=1).get_config() != simulated_market(seed=2).get_config()


def test_it_is_an_environment_and_episodes_lie_within_the_days():
    env = small(max_episode_steps=20)
    envs.check_environment(env)
    state = env.reset([0, 1], [500])
    path, day = np.divmod(state.row.numpy(), 120)
    assert set(path) == {0, 1} and day.min() == 59 and day.max() == 119 - 20
    fixed = small(max_episode_steps=20, random_start=False)
    assert set(fixed.reset([0, 1], [50]).row.numpy() % 120) == {59}
    state, _, _, _, truncated = small(max_episode_steps=1).step(
        env.reset([0, 1], [2]), tf.zeros([2, 3]), [0, 2]
    )
    assert truncated.numpy().all()
    with pytest.raises(ValueError, match="no symmetry of the dynamics"):
        envs.check_symmetry(env)


def test_compiled_steps_are_the_eager_ones():
    env = small()
    state, action = env.reset([0, 1], [7]), tf.random.stateless_uniform([7, 3], [1, 2], -1, 1)
    for _ in range(3):
        state = env.step(state, action, [0, 1])[0]
    eager = env.step(state, -action, [0, 1])
    compiled = tf.function(env.step, jit_compile=True)(state, -action, tf.constant([0, 1]))
    for a, b in zip(tf.nest.flatten(eager), tf.nest.flatten(compiled), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_buying_and_holding():
    market = Market(np.linspace([10.0, 20.0], [20.0, 10.0], 100))
    env = StockTrading(market, window=4, scales=(1,), cost=0.0, random_start=False)
    grown = market.prices[0, -1] / market.prices[0, 59]
    np.testing.assert_allclose(buy_and_hold(env)[0, [0, -1]], [1e6, 1e6 * grown.mean()])
    with pytest.raises(ValueError, match="`market` must be a market with the days of `env`"):
        buy_and_hold(env, simulated_market(paths=1, days=99))


GOOD = np.full([70, 2], 5.0)


def with_price(value):
    prices = GOOD.copy()
    prices[3, 1] = value
    return prices


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((with_price(np.nan),), r"`prices` must be finite and positive, without gaps; 1 of them"),
        ((with_price(np.nan), ("A", "B")), r"the first is that of B on 2000-01-06"),
        ((with_price(0.0),), r"A1 on 2000-01-06"),
        ((with_price(-1.0),), r"Received: prices=-1.0"),
        ((with_price(np.inf),), r"finite and positive"),
        (("prices",), "`prices` must be numbers"),
        ((GOOD[:1],), "`prices` must be numbers"),
        ((GOOD[0],), "`prices` must be numbers"),
        ((GOOD, ("A",)), "`tickers` must be 2 different names"),
        ((GOOD, ("A", "A")), "`tickers` must be 2 different names"),
        ((GOOD, "AB"), "`tickers` must be 2 different names"),
        ((GOOD, None, ["2000-01-01"]), "`days` must be 70 dates"),
        ((GOOD[:2], None, ["2000-01-02", "2000-01-01"]), "2000-01-02', followed by 2000-01-01"),
        ((GOOD[:2], None, ["2000-01-01", "2000-01-01"]), "strictly ascending"),
        ((GOOD[:2], None, ["2000-01-01", "2000-02-01"]), "at most 10 days apart, without gaps"),
        ((GOOD[:2], None, ["2000-01-01", "NaT"]), "`days` must be 2 dates"),
        ((GOOD[:2], None, [1, 2]), "`days` must be 2 dates"),
    ],
)
def test_prices_that_are_none_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Market(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"market": GOOD}, "`market` must be a tf_equirl.envs.trading.Market"),
        ({"market": Market(GOOD[:60])}, "`market` must have prices of two days or more"),
        ({"window": 80}, "`market` must have prices of two days or more .* window, 80 days"),
        ({"window": 0}, "`window` must be a positive integer"),
        ({"scales": (2, 1)}, "`scales` must be ascending integers"),
        ({"scales": ()}, "`scales` must be ascending integers"),
        ({"group": "space"}, "`group` must be one of time, scale-time"),
        ({"max_episode_steps": 11}, "`max_episode_steps` must be at most 10"),
        ({"first_day": "2000-01-10"}, "`first_day` must be a day with 59 days of prices"),
        ({"first_day": "2030-01-01"}, "`first_day` and `last_day` must be two days or more apart"),
        ({"first_day": "soon"}, '`first_day` must be a date such as "2021-01-01"'),
        ({"last_day": 20000101}, "`last_day` must be a date"),
        ({"last_day": "1999-01-01"}, "`last_day` must be two days or more apart, of those from"),
        ({"initial_cash": 0}, "`initial_cash` must be a number from 1e-12 to 1e12"),
        ({"max_shares": 1e38}, "`max_shares` must be a number from 1e-12"),
        ({"cost": 1.0}, "`cost` must be a number of at least 0 and below 1"),
        ({"reward_scale": np.nan}, "`reward_scale` must be a number from"),
        ({"random_start": 1}, "`random_start` must be True or False"),
        ({"policy": "sac"}, "`policy` must be one of gaussian, squashed_gaussian"),
    ],
)
def test_environments_that_cannot_be_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        StockTrading(**{"market": Market(GOOD), "scales": (1,), **arguments})


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"kappa": 1.1}, "kappa"),
        ({"momentum": 1.0}, "momentum"),
        ({"volatility": 0.0}, "volatility"),
        ({"paths": 10**10}, "paths"),
        ({"days": 1}, "days"),
        ({"seed": -1}, "seed"),
        ({"price": -5.0}, "price"),
    ],
)
def test_simulations_that_cannot_be_are_refused(arguments, name):
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        simulated_market(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"paths": 10**7}, r"`paths` \* `stocks` \* .* must be at most 100,000,000. Received"),
        ({"days": 10**9}, r"`days` \+ 41 \* `window`\) must be at most"),
        ({"volatility": 1e300}, "`volatility` and `price` must be such that all prices are finite"),
    ],
)
def test_simulations_that_are_too_large_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        simulated_market(**arguments)


@pytest.mark.parametrize("policy", [None, np.ones(3), np.ones([5, 3]), "buy"])
def test_policies_that_are_none_are_refused(policy):
    with pytest.raises(ValueError, match="`policy` must be a Keras model, a function"):
        backtest(small(), policy)


def test_what_a_policy_gives_is_checked():
    with pytest.raises(ValueError, match=r"`policy` must make actions \[2, 3\] of observations"):
        backtest(small(), lambda observation: observation[..., :2])
    with pytest.raises(ValueError, match="`members` must be leading dimensions"):
        backtest(small(), lambda observation: observation[..., :3], members=[0])


@needs_prices
def test_real_prices_are_loaded():
    market = trading.sp500_market(DOW)
    assert market.tickers == DOW and str(market.days[0]) == "1990-01-02"
    env = StockTrading(market, first_day="2021-01-01", last_day="2022-12-31", random_start=False)
    assert [str(day) for day in env.days[[0, -1]]] == ["2021-01-04", "2022-12-28"]
    assert len(env.days) == 501 and env.max_episode_steps == 500
    index = buy_and_hold(env, trading.sp500_index())
    # 3,700.65 on the first day and 3,783.22 on the last one, as published.
    assert abs(index[0, -1] / 1e6 * 1.001 - 3783.22 / 3700.65) < 1e-4
    with pytest.raises(ValueError, match="`tickers` must be a list of some of AAPL"):
        trading.sp500_market(["TSLA"])


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "skfolio.datasets", None)
    with pytest.raises(ImportError, match=r"tf_equirl\[prices\]"):
        trading.sp500_market()
