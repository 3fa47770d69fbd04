"""Episodes of a policy in an environment that is stepped on the host."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tf_equirl.envs import HostEnvironment
from tf_equirl.envs.host import ENDLESS
from tf_equirl.training import programs
from tf_equirl.training.host import Copies, acting_program, episode_seeds
from tf_equirl.training.population import Population

COPIES = 32
"""Of the environment that step together, and rows that a model computes at once, always."""
LONGEST = 100_000
"""Steps after which an episode that nobody limits is given up."""


def play(
    model: keras.Model, env: HostEnvironment, episodes: int, greedy: bool, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Returns and lengths [episodes] of whole episodes; see `evaluate`.

    Raises:
        ValueError: If the model gives a number that is NaN, or an episode does not end.
    """
    policy = Policy(model, env, greedy)
    parts = []
    for first in range(0, episodes, COPIES):
        parts.append(_block(policy, env, min(COPIES, episodes - first), seed, first // COPIES))
    returns, lengths = (np.concatenate(x) for x in zip(*parts, strict=True))
    return returns, lengths


def _block(
    policy: Policy, env: HostEnvironment, count: int, seed: int, block: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    copies = Copies(env, count, 1) if env.seeds_copies else Copies(env, 1, count)
    try:
        observation = copies.reset(first_seeds(seed, block, count).reshape(copies.groups, -1))
        numbers = action_numbers(seed, block)
        returns, lengths = np.zeros(count), np.zeros(count, np.int64)
        under_way = np.ones(count, bool)
        while under_way.any():
            seen = copies.step(policy(observation, numbers, under_way))
            returns += np.where(under_way, seen.reward, 0)
            lengths += under_way
            under_way &= ~(seen.terminated | seen.truncated)
            observation = seen.observation
            if lengths.max() >= LONGEST and under_way.any() and env.max_episode_steps == ENDLESS:
                raise ValueError(
                    f"`env` must end its episodes. Received: env={env.name}, of which one went on "
                    f"for {LONGEST:,} steps; give max_episode_steps when making it"
                )
    finally:
        copies.close()
    return returns, lengths


def first_seeds(seed: int, block: int, count: int) -> NDArray[np.int64]:
    """Seeds [count] of the resets of a block of episodes."""
    return episode_seeds(np.array([seed]), block, COPIES)[0, :count]


def action_numbers(seed: int, block: int) -> np.random.Generator:
    """Draws what actions of a block of episodes are drawn from."""
    return np.random.default_rng([seed, block, 1])


class Policy:
    """A model that acts, always for `COPIES` rows, so that an episode is the same in any company.

    Args:
        model: From observations [batch, *observation_shape] to parameters [batch, k].
        env: What it acts in.
        greedy: Whether to take the most probable action.
    """

    def __init__(self, model: keras.Model, env: HostEnvironment, greedy: bool):
        population = Population({"actor": model})
        distribution = env.action_distribution
        self._model, self._num_uniforms = model, distribution.num_uniforms
        key = "act on host", env.program_key(), programs.model_key(model), greedy
        program = programs.cached(key, lambda: acting_program(population, distribution, greedy))
        self._program: Callable[..., Any] = functools.partial(program, population.own(1))

    def __call__(
        self,
        observation: NDArray[np.float32],
        numbers: np.random.Generator,
        under_way: NDArray[np.bool_],
    ) -> NDArray[Any]:
        """What is executed for observations [n, ...] of at most `COPIES` copies.

        Args:
            observation: [n, *observation_shape].
            numbers: What actions are drawn from.
            under_way: [n] bool, copies whose actions count.

        Raises:
            ValueError: If an output of the model that counts is NaN.
        """
        count = len(observation)
        rows = np.zeros([1, COPIES, *observation.shape[1:]], np.float32)
        rows[0, :count] = observation
        uniforms = numbers.random([1, COPIES, self._num_uniforms], np.float32)
        _, executed, _, parameters = self._program(tf.constant(rows), tf.constant(uniforms))
        if np.isnan(parameters.numpy()[0, :count][under_way]).any():
            raise ValueError(
                f"`model` must give numbers. Received: NaN, from model='{self._model.name}'"
            )
        return executed.numpy()[0, :count]
