"""Whole episodes of policies in environments that are stepped on the host."""

from __future__ import annotations

from typing import Any

import keras
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
    """Actors that act, always for `COPIES` rows, so that an episode is the same in any company.

    Args:
        actor: From observations `[batch, *observation_shape]` to parameters `[batch, k]`.
        weights: Of the "actor" of all members.
        env: What it acts in.
        greedy: Whether to take the most probable action.
    """

    def __init__(self, actor: keras.Model, weights: Weights, env: HostEnvironment, greedy: bool):
        distribution = env.action_distribution
        self._members = len(tf.nest.flatten(weights)[0])
        key = "act on host", env.program_key(), programs.model_key(actor), greedy
        program = programs.cached(key, lambda: acting_program(actor, distribution, greedy))
        weights = Population({"actor": actor}).prepared(weights, COPIES)
        self._weights, self._first = weights, tf.constant(0)
        self._shape = self._members, COPIES, *env.observation_shape
        self._numbers = 1, COPIES, distribution.num_uniforms
        uniforms = tf.zeros([1, *self._shape[:2], distribution.num_uniforms])
        self._program = program.get_concrete_function(
            weights, tf.zeros(self._shape), uniforms, self._first
        )

    def __call__(
        self, observation: NDArray[np.float32], numbers: np.random.Generator
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """What is executed for observations, and whether an output of the model is NaN.

        Args:
            observation: `[members, n, *observation_shape]`, of the first members and of at most
                `COPIES` copies.
            numbers: What actions are drawn from, the same for every member.

        Returns:
            Actions `[members, n, ...]`, 0 where an output is NaN, as an environment need not take
            that; and bool `[members, n]`.
        """
        first, count = observation.shape[:2]
        rows = np.zeros(self._shape, np.float32)
        rows[:first, :count] = observation
        drawn = numbers.random(self._numbers, np.float32)
        uniforms = np.repeat(drawn[np.newaxis], self._members, axis=1)
        _, executed, _, parameters = self._program(
            self._weights, tf.constant(rows), tf.constant(uniforms), self._first
        )
        is_nan = np.isnan(parameters.numpy()[:first, :count]).any(axis=-1)
        actions = executed.numpy()[:first, :count]
        actions[is_nan] = 0
        return actions, is_nan


def play(
    policy: HostPolicy, env: HostEnvironment, members: int, episodes: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_]]:
    """Plays whole episodes, the same ones for every member.

    Args:
        policy: What acts.
        env: The environment.
        members: How many, of the first ones.
        episodes: Of each.
        seed: Of the episodes; fewer of them are the first of more.

    Returns:
        Returns, lengths, and whether a parameter of the distribution was NaN before the episode's
        end, `[members, episodes]` each.

    Raises:
        ValueError: If an episode does not end.
    """
    parts = [
        _play_block(policy, env, members, min(COPIES, episodes - first), seed, block)
        for block, first in enumerate(range(0, episodes, COPIES))
    ]
    returns, lengths, is_nan = (np.concatenate(x, axis=1) for x in zip(*parts, strict=True))
    return returns, lengths, is_nan


def _play_block(
    policy: HostPolicy, env: HostEnvironment, members: int, count: int, seed: int, block: int
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_]]:
    """See `play`: `count` episodes of every member, in environments made for them."""
    together = not env.seeds_copies
    copies = Copies(env, members, count) if together else Copies(env, members * count, 1)
    numbers = action_numbers(seed, block)
    shape = members, count
    try:
        seeds = np.tile(first_seeds(seed, block, count), members).reshape(copies.groups, -1)
        observation = copies.reset(seeds).reshape(*shape, *env.observation_shape)
        returns, lengths = np.zeros(shape), np.zeros(shape, np.int64)
        is_nan, under_way = np.zeros(shape, bool), np.ones(shape, bool)
        while under_way.any():
            actions, now_nan = policy(observation, numbers)
            is_nan |= now_nan & under_way
            seen = copies.step(actions.reshape(-1, *actions.shape[2:]))
            returns += np.where(under_way, seen.reward.reshape(shape), 0)
            lengths += under_way
            under_way &= ~(seen.terminated | seen.truncated).reshape(shape)
            observation = seen.observation.reshape(observation.shape)
            if under_way.any() and env.max_episode_steps == ENDLESS:
                check_ends(env, int(lengths.max()))
    finally:
        copies.close()
    return returns, lengths, is_nan


def check_ends(env: HostEnvironment, steps: int) -> None:
    """Checks that an episode under way is not too long.

    Raises:
        ValueError: If it has `LONGEST` steps.
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
