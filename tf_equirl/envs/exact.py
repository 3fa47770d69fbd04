"""Exact returns in environments that list their states, by dynamic programming."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from tf_equirl._checks import refuse
from tf_equirl.envs.base import BaseEnvironment
from tf_equirl.envs.environment import Environment
from tf_equirl.envs.registry import tensor_environment_of


class TransitionTable(NamedTuple):
    """An environment of s states, a actions and k outcomes.

    Attributes:
        starts: [s] probabilities of starting there.
        probability: [s, a, k] of an outcome after which the episode goes on; else 0.
        following: [s, a, k] the index of the state that it leads to.
        reward: [s, a] the mean reward.
        horizon: Steps after which an episode is truncated.
    """

    starts: NDArray[np.float64]
    probability: NDArray[np.float64]
    following: NDArray[np.int64]
    reward: NDArray[np.float64]
    horizon: int


def exact_returns(env: BaseEnvironment | str, policies: ArrayLike) -> NDArray[np.float64]:
    """The expected sum of the rewards of an episode, under policies that are given as a table.

    Episodes begin with `starts` and end where they terminate or at the time limit, after which
    nothing is gained. Bellman's equation is applied backwards in time from there (Sutton and Barto,
    "Reinforcement learning", 2018, section 4.1).

    Args:
        env: An environment that lists `all_states`, `starts` and `outcomes`, or its name.
        policies: [..., states, actions] the probability of every action in every state, in the
            order of `all_states`; for a network that is
            `tf.nn.softmax(actor(env.observe(env.all_states())))`.

    Returns:
        [...].

    Raises:
        ValueError: If `env` is no such environment, or `policies` are not such probabilities.

    Example:
        >>> import numpy as np
        >>> from tf_equirl import envs
        >>> print(round(float(envs.exact_returns("GridWorld", np.full([49, 5], 0.2))), 2))
        -4.97
    """
    table = transition_table(env)
    states, actions = table.reward.shape
    try:
        array = np.asarray(policies, np.float64)
    except Exception:  # whatever its code does; of lists of different lengths, a ValueError
        array = np.zeros([])
    right = array.shape[-2:] == (states, actions) and bool(np.all(array >= 0))  # NaN is not
    if not right or not np.allclose(array.sum(axis=-1), 1, atol=1e-4):
        rule = f"probabilities [..., {states}, {actions}] that sum to 1 over the last axis"
        refuse("policies", rule, policies)
    values = np.zeros([*array.shape[:-2], states])
    for _ in range(table.horizon):
        values = np.sum(array * action_values(table, values), axis=-1)
    return values @ table.starts


def optimal_return(env: BaseEnvironment | str) -> float:
    """The largest expected sum of the rewards of an episode, over all policies.

    Args:
        env: See `exact_returns`.

    Raises:
        ValueError: If `env` is no such environment.

    Example:
        >>> from tf_equirl import envs
        >>> print(round(envs.optimal_return("GridWorld"), 4))
        0.7315
    """
    table = transition_table(env)
    values = np.zeros(len(table.starts))
    for _ in range(table.horizon):
        values = action_values(table, values).max(axis=-1)
    return float(values @ table.starts)


def action_values(table: TransitionTable, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values of actions, [..., s, a], from those of states, [..., s], with a step less to go."""
    return table.reward + np.sum(table.probability * values[..., table.following], axis=-1)


def transition_table(env: BaseEnvironment | str) -> TransitionTable:
    """The dynamics of an environment as arrays.

    Args:
        env: An environment that lists `all_states`, `starts` and `outcomes`, or its name.

    Raises:
        ValueError: If `env` is no such environment.
    """
    found = tensor_environment_of(env)
    states = found.all_states()
    count = len(states.steps)
    index = {row.tobytes(): i for i, row in enumerate(_rows(states))}
    shape = [count, found.num_actions]
    action = tf.broadcast_to(tf.range(found.num_actions), shape)
    repeated = tf.nest.map_structure(lambda x: tf.repeat(x[:, None], shape[1], axis=1), states)
    probability, following, reward, terminated = found.outcomes(repeated, action)
    probability = _normalised(probability)
    goes_on = (probability > 0) & ~terminated.numpy()
    places = np.zeros(goes_on.shape, np.int64)
    places[goes_on] = _indices(found, index, following, goes_on, "outcomes")
    weights, first = found.starts()
    starts = np.zeros(count)
    np.add.at(
        starts,
        _indices(found, index, first, np.ones(len(weights), bool), "starts"),
        _normalised(weights),
    )
    rewards = np.sum(probability * reward.numpy().astype(np.float64), axis=-1)
    return TransitionTable(
        starts, np.where(goes_on, probability, 0.0), places, rewards, found.max_episode_steps
    )


def _normalised(probability: tf.Tensor) -> NDArray[np.float64]:
    """Without the rounding to float32 of the sums over the last axis."""
    array = probability.numpy().astype(np.float64)
    return array / array.sum(axis=-1, keepdims=True)


def _indices(
    env: Environment,
    index: dict[bytes, int],
    states: Any,
    chosen: NDArray[np.bool_],
    name: str,
) -> list[int]:
    """The places of some states in `all_states`."""
    kept = tf.nest.map_structure(lambda x: x.numpy()[chosen], states)
    rows = [row.tobytes() for row in _rows(kept)]
    if not set(rows) <= set(index):
        raise ValueError(
            f"`env` must list every state that an episode comes to. Received: env={env.name}, "
            f"whose {name} have {len(set(rows) - set(index))} states beside the {len(index)} of "
            "`all_states`"
        )
    return [index[row] for row in rows]


def _rows(states: Any) -> NDArray[np.float64]:
    """[n, numbers]: what tells states apart, which the count of steps does not."""
    fields = [np.asarray(x, np.float64) for x in states._replace(steps=None) if x is not None]
    return np.concatenate([x.reshape([len(x), math.prod(x.shape[1:])]) for x in fields], axis=1)
