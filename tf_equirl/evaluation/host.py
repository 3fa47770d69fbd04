"""Episodes of a policy in an environment that is stepped on the host."""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray

from tf_equirl.envs import HostEnvironment
from tf_equirl.training.host_episodes import HostPolicy, play
from tf_equirl.training.population import Population


def policy_of(model: keras.Model, env: HostEnvironment, greedy: bool) -> HostPolicy:
    """One model that acts, see `evaluate` for the arguments."""
    return HostPolicy(model, Population({"actor": model}).own(1), env, greedy)


def episodes_of(
    model: keras.Model, env: HostEnvironment, episodes: int, greedy: bool, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Returns and lengths [episodes] of whole episodes; see `evaluate`.

    Raises:
        ValueError: If the model gives a number that is NaN, or an episode does not end.
    """
    returns, lengths, is_nan = play(policy_of(model, env, greedy), env, 1, episodes, seed)
    check_numbers(model, is_nan)
    return returns[0], lengths[0]


def check_numbers(model: keras.Model, is_nan: NDArray[np.bool_]) -> None:
    """Checks that no output that counted was NaN.

    Raises:
        ValueError: If one was.
    """
    if is_nan.any():
        raise ValueError(f"`model` must give numbers. Received: NaN, from model='{model.name}'")
