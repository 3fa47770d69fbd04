"""Returns of many episodes, played in one compiled program."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tf_equirl._checks import LARGEST_SAMPLE, flag, positive_integer, random_seed
from tf_equirl.envs import BaseEnvironment, Environment
from tf_equirl.envs.checks import check_environment
from tf_equirl.envs.registry import environment_of
from tf_equirl.evaluation import host
from tf_equirl.evaluation.fitting import check_policy
from tf_equirl.training import programs
from tf_equirl.training.episodes import BLOCK, first_key, play, start_uniforms
from tf_equirl.training.population import Population


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a policy reached.

    Attributes:
        returns: [episodes] float64, the sum of each episode's rewards, not discounted.
        lengths: [episodes] int64, its number of steps.
    """

    returns: NDArray[np.float64]
    lengths: NDArray[np.int64]

    @property
    def mean(self) -> float:
        """Mean return."""
        return float(np.mean(self.returns))

    @property
    def standard_error(self) -> float:
        """One standard error of the mean; NaN for a single episode."""
        if len(self.returns) < 2:
            return math.nan
        return float(np.std(self.returns, ddof=1) / math.sqrt(len(self.returns)))

    @property
    def minimum(self) -> float:
        """The worst return."""
        return float(np.min(self.returns))

    @property
    def maximum(self) -> float:
        """The best return."""
        return float(np.max(self.returns))

    def success_rate(self, threshold: float) -> float:
        """The share of episodes with a return of at least `threshold`."""
        return float(np.mean(self.returns >= threshold))


def evaluate(
    model: keras.Model,
    env: BaseEnvironment | str,
    episodes: int = 1000,
    greedy: bool = True,
    seed: int = 0,
) -> Evaluation:
    """Plays independent episodes, each from a start state of the environment's own to its end.

    The start states are those that gymnasium gives, to float32 rounding:
    `gymnasium.make_vec(id, episodes).reset(seed=seed)`, or, where only resets use random numbers,
    `gymnasium.make(id)` reset with this seed once and then without one. The same arguments give the
    same episodes on the same machine, and fewer episodes are the first of more.

    An environment that is stepped on the host plays them in up to 32 copies, whose resets are
    seeded one by one (all at once where the environment is vectorised by itself, and then fewer
    episodes are not the first of more).

    Args:
        model: A policy, observations [batch, *observation_shape] to the parameters of the
            environment's distribution of actions: logits [batch, num_actions], or means and
            logarithms of standard deviations.
        env: The environment or its name.
        episodes: How many, at most 10^8.
        greedy: Whether to take the most probable action, or one drawn from the distribution.
        seed: An integer in [0, 2^31).

    Raises:
        ValueError: If an argument is not one of those, the model's shapes do not fit the
            environment, it gives a logit that is not a number, or an episode does not end within
            100,000 steps and has no limit.
    """
    env = environment_of(env)
    check_environment(env)
    check_policy(model, env)
    episodes = positive_integer("episodes", episodes, LARGEST_SAMPLE)
    greedy = flag("greedy", greedy)
    seed = random_seed(seed)
    if not isinstance(env, Environment):
        return Evaluation(*host.episodes_of(model, env, episodes, greedy, seed))
    program = _program(model, env, greedy)
    blocks = math.ceil(episodes / BLOCK)
    starts = start_uniforms(seed, blocks * BLOCK, env.num_uniforms)
    returns, lengths = [], []
    for block, uniforms in enumerate(np.split(starts, blocks)):
        played = program(tf.constant(uniforms), first_key(env, seed, block))
        block_returns, block_lengths, block_is_nan = (x.numpy() for x in played)
        if np.any(block_is_nan):
            raise ValueError(
                "`model` must give numbers. Received: a logit that is NaN, from model="
                f"'{model.name}'"
            )
        returns.append(block_returns)
        lengths.append(block_lengths.astype(np.int64))
    return Evaluation(np.concatenate(returns)[:episodes], np.concatenate(lengths)[:episodes])


def _program(model: keras.Model, env: Environment, greedy: bool) -> Callable[..., Any]:
    """The compiled play of one block: returns, lengths, and whether a logit was NaN, [BLOCK]."""
    population = Population({"actor": model})

    def make():
        @tf.function(jit_compile=True, autograph=False)
        def run(weights, start, key):
            weights = population.prepared(weights, BLOCK, stacked=False)

            def policy(observation):
                with population.bound(weights):
                    return model(observation, training=False)

            return play(env, policy, start, key, greedy)

        return run

    key = "evaluate", env.program_key(), programs.model_key(model), greedy
    program = programs.cached(key, make)
    return functools.partial(program, population.alone())
