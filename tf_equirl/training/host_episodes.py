"""Whole episodes of policies in environments that are stepped on the host."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tf_equirl.envs import HostEnvironment
from tf_equirl.envs.host import ENDLESS
from tf_equirl.training import programs
from tf_equirl.training.host import Copies, acting_program, episode_seeds
from tf_equirl.training.population import Population, Weights

COPIES = 32
"""Of the environment that step together for a member, and rows that its model computes at once,
always."""
LONGEST = 100_000
"""Steps after which an episode that nobody limits is given up."""


class HostPolicy:
    """Models that act, always for `COPIES` rows, so that an episode is the same in any company.

    Args:
      population: the "actor", from observations `[batch, *observation_shape]` to parameters
        `[batch, k]`.
      weights: of all members.
      env: what it acts in.
      greedy: whether to take the most probable action.
    """

    def __init__(
        self, population: Population, weights: Weights, env: HostEnvironment, greedy: bool
    ):
        model, distribution = population.networks["actor"], env.action_distribution
        self._members = len(tf.nest.flatten(weights)[0])
        self._num_uniforms = distribution.num_uniforms
        key = "act on host", env.program_key(), programs.model_key(model), greedy
        program = programs.cached(key, lambda: acting_program(population, distribution, greedy))
        self._program: Callable[..., Any] = functools.partial(program, weights)

    def __call__(
        self, observation: NDArray[np.float32], numbers: np.random.Generator
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """What is executed for observations, and whether an output of the model is NaN.

        Args:
          observation: `[members, n, *observation_shape]`, of the first members and of at most
            `COPIES` copies.
          numbers: what actions are drawn from, the same for every member.

        Returns:
          Actions `[members, n, ...]` and bool `[members, n]`.
        """
        first, count = observation.shape[:2]
        rows = np.zeros([self._members, COPIES, *observation.shape[2:]], np.float32)
        rows[:first, :count] = observation
        drawn = numbers.random([1, COPIES, self._num_uniforms], np.float32)
        uniforms = np.repeat(drawn, self._members, axis=0)
        _, executed, _, parameters = self._program(tf.constant(rows), tf.constant(uniforms))
        is_nan = np.isnan(parameters.numpy()[:first, :count]).any(axis=-1)
        return executed.numpy()[:first, :count], is_nan


def play_block(
    policy: Callable[[NDArray[np.float32], NDArray[np.bool_]], NDArray[Any]],
    env: HostEnvironment,
    members: int,
    count: int,
    first: NDArray[np.integer],
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Returns and lengths `[members, count]` of whole episodes, in environments made for them.

    Args:
      policy: from observations `[members, count, *observation_shape]`, and which of the episodes
        are under way, `[members, count]` bool, to what is executed.
      env: the environment.
      members: policies that play the same episodes.
      count: episodes of each.
      first: seeds of the resets, `[count]`.

    Raises:
      ValueError: if an episode does not end.
    """
    together = not env.seeds_copies
    copies = Copies(env, members, count) if together else Copies(env, members * count, 1)
    shape = members, count
    try:
        seeds = np.tile(first, members).reshape(copies.groups, -1)
        observation = copies.reset(seeds).reshape(*shape, *env.observation_shape)
        returns, lengths = np.zeros(shape), np.zeros(shape, np.int64)
        under_way = np.ones(shape, bool)
        while under_way.any():
            actions = policy(observation, under_way)
            seen = copies.step(actions.reshape(-1, *actions.shape[2:]))
            returns += np.where(under_way, seen.reward.reshape(shape), 0)
            lengths += under_way
            under_way &= ~(seen.terminated | seen.truncated).reshape(shape)
            observation = seen.observation.reshape(observation.shape)
            if under_way.any() and env.max_episode_steps == ENDLESS:
                check_ends(env, int(lengths.max()))
    finally:
        copies.close()
    return returns, lengths


def check_ends(env: HostEnvironment, steps: int) -> None:
    """Checks that an episode under way is not too long.

    Raises:
      ValueError: if it has `LONGEST` steps.
    """
    if steps >= LONGEST:
        raise ValueError(
            f"`env` must end its episodes. Received: env={env.name}, of which one went on "
            f"for {LONGEST:,} steps; give max_episode_steps when making it"
        )


def first_seeds(seed: int, block: int, count: int) -> NDArray[np.int64]:
    """Seeds [count] of the resets of a block of episodes."""
    return episode_seeds(np.array([seed]), block, COPIES)[0, :count]


def action_numbers(seed: int, block: int) -> np.random.Generator:
    """Draws what actions of a block of episodes are drawn from."""
    return np.random.default_rng([seed, block, 1])
