"""Greedy episodes of all members of a run, while it goes on: when, and how they are played."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tf_equirl._checks import LARGEST_SAMPLE, positive_integer
from tf_equirl.envs import Environment
from tf_equirl.training import programs
from tf_equirl.training.episodes import BLOCK, first_key, play, start_uniforms
from tf_equirl.training.host_episodes import HostPolicy
from tf_equirl.training.host_episodes import play as play_on_host
from tf_equirl.training.learner import Learner
from tf_equirl.training.population import Population, Weights

_SEED = 0  # of the episodes: those that `evaluation.evaluate` plays if it is not told another seed


class Evaluator:
    """Plays greedy episodes of the actors of a run at some of its updates.

    The episodes are the same for every member and at every evaluation, and the members' own: no
    state of the run is read but the weights, and none is changed.

    Args:
        learner: Of the run.
        every: Updates from one evaluation to the next; None for those of `given` only.
        episodes: Of every member.
        given: Episodes by update, of evaluations that are made beside those.

    Raises:
        ValueError: If an argument breaks its rule, or the learner has no network that acts.
    """

    def __init__(
        self,
        learner: Learner,
        every: int | None = None,
        episodes: int = 10,
        given: Mapping[int, int] | None = None,
    ):
        self.learner = learner
        self.every = None if every is None else positive_integer("evaluate_every", every)
        self.episodes = positive_integer("evaluation_episodes", episodes, LARGEST_SAMPLE)
        self.given = dict(given or {})
        if (every or given) and learner.acting_network is None:
            raise ValueError(
                f'evaluate_every needs a learner with a network "{learner.policy}". Received: '
                f"evaluate_every={every}, {learner.trainer} with {sorted(learner.networks)}"
            )

    def due(self, update: int) -> int:
        """Episodes that are to be played when so many updates are made; 0 for none."""
        if self.every is not None and update and update % self.every == 0:
            return self.episodes
        return self.given.get(update, 0)

    def room(self, update: int) -> float:
        """Updates that may be made before the next evaluation; infinity where none comes."""
        ahead = [u - update for u in self.given if u > update]
        if self.every is not None:
            ahead.append(self.every - update % self.every)
        return min(ahead, default=math.inf)

    def returns(self, state: Any, count: int, episodes: int) -> NDArray[np.float64]:
        """Mean returns `[count]` of the first members of a block.

        Args:
            state: The learner's state of the block.
            count: Members; what follows them are copies.
            episodes: Of each.

        Raises:
            ValueError: If an episode does not end.
        """
        actor: Any = self.learner.acting_network
        weights = self.learner.acting_weights(state)
        trained = len(actor.trainable_variables)
        split = Weights({"actor": weights[:trained]}, {"actor": weights[trained:]})
        population = Population({"actor": actor})
        if isinstance(self.learner.env, Environment):
            found = self._compiled(population, split, episodes)[:count]
        else:
            found = self._on_host(population, split, count, episodes)
        return found.mean(axis=1)

    def _compiled(
        self, population: Population, weights: Weights, episodes: int
    ) -> NDArray[np.float64]:
        """Returns `[members, episodes]`; NaN where the network gave NaN."""
        env = self.learner.env

        def make() -> Any:
            @tf.function(jit_compile=True, autograph=False)
            def run(weights: Weights, start: tf.Tensor, key: tf.Tensor) -> Any:
                members = tf.nest.flatten(weights)[0].shape[0]
                ready = population.prepared(weights, start.shape[0])
                policy = functools.partial(population.outputs, "actor", ready)
                starts = tf.broadcast_to(start, [members, *start.shape])
                returns, _, is_nan = play(env, policy, starts, key, True)
                return tf.where(is_nan, tf.constant(np.nan, tf.float64), returns)

            return run

        key = (
            "evaluate members",
            env.program_key(),
            programs.model_key(population.networks["actor"]),
        )
        program = programs.cached(key, make)
        size = min(episodes, BLOCK)
        blocks = math.ceil(episodes / size)
        starts = np.split(start_uniforms(_SEED, blocks * size, env.num_uniforms), blocks)
        played = [
            program(weights, tf.constant(start), first_key(env, _SEED, block)).numpy()
            for block, start in enumerate(starts)
        ]
        return np.concatenate(played, axis=1)[:, :episodes]

    def _on_host(
        self, population: Population, weights: Weights, count: int, episodes: int
    ) -> NDArray[np.float64]:
        """Returns `[count, episodes]`; NaN where the network gave NaN."""
        env = self.learner.env
        policy = HostPolicy(population.networks["actor"], weights, env, True)
        returns, _, is_nan = play_on_host(policy, env, count, episodes, _SEED)
        return np.where(is_nan, np.nan, returns)
