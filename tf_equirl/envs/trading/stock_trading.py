"""Stock trading as an environment of tensors."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tf_equirl._checks import flag, instance, integers, number, one_of, positive_integer, refuse
from tf_equirl.distributions import Distribution
from tf_equirl.envs.environment import Environment
from tf_equirl.envs.host import POLICIES
from tf_equirl.envs.trading import indicators
from tf_equirl.envs.trading.market import Market
from tf_equirl.groups import (
    Symmetry,
    cyclic_group,
    direct_product,
    permutation_representation,
    trivial_representation,
)

GROUPS = ("time", "scale-time")
_LARGEST_SCALE, _LARGEST_WINDOW = 250, 250
_UNIT = 0.02  # of a day's return in the window
_EPISODE = 250  # days, about a year


class TradingState(NamedTuple):
    """State of `StockTrading`, batched over any leading dimensions."""

    cash: tf.Tensor
    """[...] float32, at least 0."""
    shares: tf.Tensor
    """[..., k] float32, at least 0."""
    row: tf.Tensor
    """[...] int32: the day, `path * days + day` in the market's tables."""
    steps: tf.Tensor
    """[...] int32: steps of the episode so far."""


class StockTrading(Environment):
    r"""Daily trading of some stocks, after Park et al. (2025), section 5.2, and FinRL.

    A step is a day. Action x in [-1, 1] of a stock sells or buys up to `max_shares` |x| shares, and
    fractions of one, at the day's close; a share of `cost` of what is traded goes to the broker.
    First all sales are made, of no more than there is; then, if cash does not suffice for all
    purchases, each is made smaller by the same factor. So neither cash nor a holding is ever
    negative. The reward is the change of the portfolio's value until the next close,

    $$ R_t = s \, \Big( \sum_i n_i (p_{t+1, i} - p_{t, i}) - \text{costs}_t \Big), $$

    with the shares n after trading and the `reward_scale` s. Episodes never terminate: they are
    truncated after `max_episode_steps` days.

    An observation is a vector. First the *window*, a picture [scales, w, k] in row-major order:
    logarithmic returns over s days that end j days ago, in units of 2 % times the root of s, for
    each of `scales` and each of w days, the last one last. Then what the group leaves alone, for
    each stock: five indicators (`indicators.table`), what `max_shares` cost, what is held; and the
    cash. The last three are in units of `initial_cash`. Nothing of it depends on a later price.

    `symmetry` is what a policy is to be invariant under: cyclic shifts of the window along its days
    ("time"), or along its days and its scales ("scale-time"). It is a prior, approximate in two
    ways, and no symmetry of the dynamics: see docs/trading.md.

    Args:
        market: The prices.
        group: "time", the cyclic group of w, or "scale-time", its product with that of the scales.
        window: w, in days.
        scales: Days that returns are over, ascending.
        first_day: The first day on which there may be trade, such as "2021-01-01", or the next
            one with prices; None for the first that has enough days before it.
        last_day: The last day whose prices count; None for the market's.
        random_start: Whether an episode begins on a random day; otherwise it begins on the first,
            and it does so on a random path either way.
        max_episode_steps: Days of an episode; None for 250 if there are as many, or all days where
            episodes begin on the first.
        initial_cash: With which an episode begins; there are no shares. This, `max_shares` and
            `reward_scale` are numbers from 1e-12 to 1e12.
        max_shares: Shares of a stock that are traded a day at most.
        cost: Of a trade, as a share of it; below 1.
        reward_scale: See above; FinRL's is 1e-4.
        policy: What the outputs of a policy mean: "squashed_gaussian" or "gaussian".

    Raises:
        ValueError: If an argument is not one of those, or there are fewer days with prices than the
            window, the indicators and an episode need.

    Example:
        >>> from tf_equirl.envs.trading import StockTrading, simulated_market
        >>> env = StockTrading(simulated_market(paths=4, days=200), max_episode_steps=100)
        >>> env.observation_shape, env.symmetry.group.order
        ((94,), 8)
    """

    name = "StockTrading"
    num_actions = 0
    num_uniforms = 2
    random_transitions = False

    def __init__(
        self,
        market: Market,
        group: str = "time",
        window: int = 8,
        scales: Sequence[int] = (1, 2, 4),
        first_day: str | None = None,
        last_day: str | None = None,
        random_start: bool = True,
        max_episode_steps: int | None = None,
        initial_cash: float = 1_000_000.0,
        max_shares: float = 100.0,
        cost: float = 0.001,
        reward_scale: float = 1e-4,
        policy: str = "squashed_gaussian",
    ) -> None:
        """Checks the arguments and computes what is observed of all days."""
        self.market = instance(
            "market", market, Market, "a tf_equirl.envs.trading.Market, such as Market(prices)"
        )
        self.group = one_of("group", group, GROUPS)
        self.window = positive_integer("window", window, _LARGEST_WINDOW)
        self.scales = _scales(scales)
        self._random_start = flag("random_start", random_start)
        self.initial_cash = _amount("initial_cash", initial_cash)
        self.max_shares = _amount("max_shares", max_shares)
        rule = "a number of at least 0 and below 1"
        self.cost = number("cost", cost, rule, lambda x: 0 <= x < 1)
        self.reward_scale = _amount("reward_scale", reward_scale)
        self.policy = one_of("policy", policy, POLICIES)
        self._find_days(first_day, last_day, max_episode_steps)
        self._make_tables()
        stocks = market.prices.shape[-1]
        self.action_bounds = (-1.0,) * stocks, (1.0,) * stocks
        self.symmetry = window_symmetry(group, len(self.scales), self.window, stocks)
        self.observation_shape = (self.symmetry.state.dim,)

    @property
    def symmetry_in_words(self) -> dict[str, str]:
        """See `BaseEnvironment.symmetry_in_words`."""
        axes = {"time": "the days", "scale-time": "the scales and the days"}[self.group]
        return {
            "state": f"cyclic shifts of the window along {axes}; a prior, not a law of prices",
            "action": "the same shares are traded",
        }

    @property
    def action_distribution(self) -> Distribution:
        """See `Environment.action_distribution`; of the kind that `policy` names."""
        low, high = self.action_bounds or ((), ())
        return POLICIES[self.policy](low, high, self.symmetry.action)

    @property
    def days(self) -> NDArray[np.datetime64]:
        """From the first day of trade to the last whose prices count, [n] datetime64[D]."""
        return self.market.days[self._first : self._last + 1]

    def initial_state(self, uniforms: tf.Tensor) -> TradingState:
        """Cash alone, on a random path; see `Environment.initial_state`."""
        paths, count, _ = self.market.prices.shape
        starts = self._last - self.max_episode_steps - self._first + 1
        path = _integers(uniforms[..., 0], paths)
        day = _integers(uniforms[..., 1], starts) if self._random_start else tf.zeros_like(path)
        return self.starting(path * count + self._first + day)

    def starts_of_paths(self) -> TradingState:
        """The beginning of each path, on the first day of trade: [paths]."""
        paths, count, _ = self.market.prices.shape
        return self.starting(tf.range(paths) * count + self._first)

    def starting(self, row: tf.Tensor) -> TradingState:
        """Cash alone, at a row [...] int32 of the market's tables: the first day of an episode."""
        stocks = self.market.prices.shape[-1]
        return TradingState(
            tf.fill(row.shape, self.initial_cash),
            tf.zeros([*row.shape, stocks]),
            row,
            tf.zeros_like(row),
        )

    def observe(self, state: TradingState) -> tf.Tensor:
        """See the class."""
        # [..., w, scales, k] to [..., scales, w, k].
        rows = state.row[..., tf.newaxis] + tf.range(1 - self.window, 1)
        seen = tf.gather(self._returns, rows)
        leading = list(range(state.row.shape.rank))
        rank = len(leading)
        seen = tf.transpose(seen, [*leading, rank + 1, rank, rank + 2])
        price = self._price(state.row)
        parts = [
            tf.reshape(seen, [*state.row.shape, -1]),
            tf.reshape(tf.gather(self._indicators, state.row), [*state.row.shape, -1]),
            price * (self.max_shares / self.initial_cash),
            state.shares * price / self.initial_cash,
            state.cash[..., tf.newaxis] / self.initial_cash,
        ]
        return tf.concat(parts, axis=-1)

    def transition(
        self, state: TradingState, action: tf.Tensor, uniforms: tf.Tensor
    ) -> tuple[TradingState, tf.Tensor, tf.Tensor]:
        """Sales, purchases, and a day; see `Environment.transition`. `uniforms` is not used."""
        price = self._price(state.row)
        order = tf.clip_by_value(tf.cast(action, tf.float32), -1.0, 1.0) * self.max_shares
        sold = tf.minimum(tf.nn.relu(-order), state.shares)
        proceeds = tf.reduce_sum(sold * price, axis=-1)
        cash = state.cash + (1 - self.cost) * proceeds
        wanted = tf.nn.relu(order)
        total = tf.reduce_sum(wanted * price, axis=-1)
        charged = (1 + self.cost) * total
        share = tf.minimum(1.0, cash / tf.maximum(charged, 1e-6))
        bought = wanted * share[..., tf.newaxis]
        shares = state.shares - sold + bought
        costs = self.cost * (proceeds + total * share)
        moved = self._price(tf.minimum(state.row + 1, self._prices.shape[0] - 1)) - price
        gain = tf.reduce_sum(shares * moved, axis=-1) - costs
        following = state._replace(
            cash=tf.maximum(cash - charged * share, 0.0),  # rounding may leave less than nothing
            shares=shares,
            row=state.row + 1,
        )
        never = tf.zeros_like(gain, dtype=tf.bool)
        return following, self.reward_scale * gain, never

    def value(self, state: TradingState) -> tf.Tensor:
        """Of the portfolio, cash and shares at the day's close: [...] float32."""
        return state.cash + tf.reduce_sum(state.shares * self._price(state.row), axis=-1)

    def state_from_observation(self, observation: tf.Tensor) -> NoReturn:
        """Prices are data: no state has a window that was shifted.

        Raises:
            ValueError: Always.
        """
        raise ValueError(
            "The state of StockTrading cannot be set from an observation: what prices follow a "
            "window that never was is not known. Its group says what a policy is to be invariant "
            "under, and is no symmetry of the dynamics. Received: observations of shape "
            f"{tuple(observation.shape)}"
        )

    def _price(self, row: tf.Tensor) -> tf.Tensor:
        return tf.gather(self._prices, row)

    def _find_days(self, first_day: Any, last_day: Any, steps: int | None) -> None:
        days = self.market.days
        history = max(indicators.WARM_UP - 1, self.window - 1 + self.scales[-1])
        self._first, self._last = history, len(days) - 1
        if first_day is not None:
            self._first = int(np.searchsorted(days, _day("first_day", first_day)))
        if last_day is not None:
            end = _day("last_day", last_day)
            self._last = int(np.searchsorted(days, end, side="right")) - 1
        if self._first < history:
            refuse("first_day", f"a day with {history} days of prices before it", str(first_day))
        available = self._last - self._first
        if available < 1 and (first_day, last_day) != (None, None) and history < len(days) - 1:
            raise ValueError(
                "`first_day` and `last_day` must be two days or more apart, of those from "
                f"{days[history]}, which has {history} days of prices before it, to {days[-1]}. "
                f"Received: first_day={first_day}, last_day={last_day}"
            )
        if available < 1:
            raise ValueError(
                "`market` must have prices of two days or more in which there may be trade, after "
                f"{history} that the window, {self.window} days of returns over up to "
                f"{self.scales[-1]} days, and the indicators need. Received: {len(days)} days, "
                f"from {days[0]} to {days[-1]}, first_day={first_day}, last_day={last_day}"
            )
        if steps is None:
            steps = min(available, _EPISODE) if self._random_start else available
        self.max_episode_steps = positive_integer("max_episode_steps", steps)
        if steps > available:
            rule = f"at most {available}, the days on which there may be trade"
            refuse("max_episode_steps", rule, steps)

    def _make_tables(self) -> None:
        prices = self.market.prices
        logs = np.log(prices)
        returns = np.zeros([*prices.shape[:2], len(self.scales), prices.shape[2]])
        for place, scale in enumerate(self.scales):
            unit = _UNIT * np.sqrt(scale)
            returns[:, scale:, place] = (logs[:, scale:] - logs[:, :-scale]) / unit
        found = np.stack([indicators.table(path) for path in prices])

        def flat(x: NDArray[Any]) -> tf.Tensor:
            return tf.constant(x.reshape(-1, *x.shape[2:]), tf.float32)

        self._prices, self._returns, self._indicators = flat(prices), flat(returns), flat(found)


def window_symmetry(group: str, scales: int, window: int, stocks: int) -> Symmetry:
    """Cyclic shifts of the window of an observation; actions stay as they are.

    Args:
        group: One of `GROUPS`. Element b of "time" moves day j to day j + b modulo w; element
            `a * window + b` of "scale-time" scale s to scale s + a, too.
        scales: How many there are.
        window: Days, w.
        stocks: How many.
    """
    days = cyclic_group(window)
    found = days if group == "time" else direct_product(cyclic_group(scales), days)
    picture = np.arange(scales * window * stocks).reshape(scales, window, stocks)
    rest = np.arange(picture.size, picture.size + (indicators.COUNT + 2) * stocks + 1)
    permutations = []
    for element in range(found.order):
        a, b = divmod(element, window)
        # Where each number goes is what comes from there under the inverse.
        moved = np.roll(picture, (-a, -b), (0, 1)).reshape(-1)
        permutations.append(np.concatenate([moved, rest]))
    return Symmetry(
        found,
        state=permutation_representation(found, permutations),
        action=trivial_representation(found, stocks),
    )


def _integers(uniforms: tf.Tensor, count: int) -> tf.Tensor:
    """Numbers 0 to count - 1, each as likely."""
    return tf.minimum(tf.cast(uniforms * count, tf.int32), count - 1)


def _scales(scales: Any) -> tuple[int, ...]:
    rule = f"ascending integers from 1 to {_LARGEST_SCALE}, at most 20"
    found = integers("scales", scales, rule, least=1, most=_LARGEST_SCALE, most_items=20)
    if list(found) != sorted(set(found)):
        refuse("scales", rule, scales)
    return found


def _amount(name: str, value: Any) -> float:
    """A number that leaves room for what it is multiplied by, in float32."""
    return number(name, value, "a number from 1e-12 to 1e12", lambda x: 1e-12 <= x <= 1e12)


def _day(name: str, value: Any) -> np.datetime64:
    day = np.datetime64("NaT")
    dated = isinstance(value, (str, datetime.date, np.datetime64))  # NumPy takes numbers, too
    if dated:
        with contextlib.suppress(ValueError, OverflowError):
            day = np.datetime64(value, "D")
    if np.isnat(day):
        refuse(name, 'a date such as "2021-01-01", or None', value)
    return day
