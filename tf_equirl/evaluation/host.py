"""Episodes of a policy in an environment that is stepped on the host."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from tf_equirl.envs import HostEnvironment
from tf_equirl.training.host_episodes import (
    COPIES,
    HostPolicy,
    action_numbers,
    first_seeds,
    play_block,
)
from tf_equirl.training.population import Population


def play(
    model: keras.Model, env: HostEnvironment, episodes: int, greedy: bool, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Returns and lengths [episodes] of whole episodes; see `evaluate`.

    Raises:
        ValueError: If the model gives a number that is NaN, or an episode does not end.
    """
    policy = Policy(model, env, greedy)
    parts = []
    for block, first in enumerate(range(0, episodes, COPIES)):
        count = min(COPIES, episodes - first)
        numbers = action_numbers(seed, block)

        def act(observation: Any, under_way: Any, numbers: Any = numbers) -> Any:
            return policy(observation[0], numbers, under_way[0])[np.newaxis]

        parts.append(play_block(act, env, 1, count, first_seeds(seed, block, count)))
    returns, lengths = (np.concatenate(x, axis=1)[0] for x in zip(*parts, strict=True))
    return returns, lengths


class Policy:
    """One model that acts, see `HostPolicy`.

    Args:
        model: From observations [batch, *observation_shape] to parameters [batch, k].
        env: What it acts in.
        greedy: Whether to take the most probable action.
    """

    def __init__(self, model: keras.Model, env: HostEnvironment, greedy: bool):
        population = Population({"actor": model})
        self._name = model.name
        self._policy = HostPolicy(population, population.own(1), env, greedy)

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
        executed, is_nan = self._policy(observation[np.newaxis], numbers)
        if is_nan[0][under_way].any():
            raise ValueError(f"`model` must give numbers. Received: NaN, from model='{self._name}'")
        return executed[0]
