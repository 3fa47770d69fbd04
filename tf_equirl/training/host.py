"""Environments that are stepped on the host: copies that step together, and acting in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import gymnasium
import keras
import numpy as np
import tensorflow as tf
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from tf_equirl.distributions import Distribution
from tf_equirl.envs.host import HostEnvironment
from tf_equirl.training.collect import Draw
from tf_equirl.training.population import Population

_DEFAULT = AutoresetMode.NEXT_STEP  # of a vector environment that does not say


class Seen(NamedTuple):
    """What copies of an environment gave at a step, `[copies, ...]`."""

    observation: NDArray[np.float32]  # to go on from: a fresh episode's where one has ended
    true_observation: NDArray[np.float32]  # before any reset
    reward: NDArray[np.float32]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    valid: NDArray[np.bool_]  # whether it was a step, and not the reset that took its place


class Copies:
    """Copies of an environment that step together, whatever their autoreset mode.

    Args:
        env: The environment.
        groups: How many copies have seeds of their own; where the environment is vectorised by
            itself each group is a vector environment, since all copies of such a one draw from one
            generator.
        size: Copies in a group.
    """

    def __init__(self, env: HostEnvironment, groups: int, size: int):
        self.env = env
        self.groups, self.size = groups, size
        together = env.seeds_copies
        self.vectors = [env.vector(groups * size)] if together else []
        while not together and len(self.vectors) < groups:
            self.vectors.append(env.vector(size))
        self._parts = np.split(np.arange(groups * size), len(self.vectors))
        self._resetting = np.zeros(groups * size, bool)
        modes = {vector.metadata.get("autoreset_mode", _DEFAULT) for vector in self.vectors}
        self.always_valid = AutoresetMode.NEXT_STEP not in modes

    def reset(self, seeds: NDArray[np.integer]) -> NDArray[np.float32]:
        """Starts episodes, and returns their first observations.

        Args:
            seeds: `[groups, size]`.
        """
        self._resetting[:] = False
        first = []
        for vector, part in zip(self.vectors, self._parts, strict=True):
            own = [int(seed) for seed in seeds.ravel()[part]]
            # Vector environments of gymnasium's own take a seed for each copy.
            seed: Any = own if self.env.seeds_copies else own[0]
            first.append(self.env.observed(vector.reset(seed=seed)[0]))
        return np.concatenate(first)

    def step(self, actions: NDArray[Any]) -> Seen:
        """One step of every copy.

        Args:
            actions: As `HostEnvironment.given` takes them.
        """
        given = self.env.given(actions)
        parts = [
            self._step(vector, given[part], self._resetting[part])
            for vector, part in zip(self.vectors, self._parts, strict=True)
        ]
        seen = parts[0] if len(parts) == 1 else Seen(*map(np.concatenate, zip(*parts, strict=True)))
        self._resetting = seen.valid & (seen.terminated | seen.truncated)
        return seen

    def _step(
        self, vector: gymnasium.vector.VectorEnv, actions: Any, resetting: NDArray[np.bool_]
    ) -> Seen:
        observation, reward, terminated, truncated, info = vector.step(actions)
        observed = true = self.env.observed(observation)
        ended = terminated | truncated
        valid = np.ones_like(ended)
        mode = vector.metadata.get("autoreset_mode", _DEFAULT)
        if mode == AutoresetMode.NEXT_STEP:
            valid = ~resetting
        elif ended.any():
            true = observed.copy()
            if mode == AutoresetMode.SAME_STEP:
                final = [info["final_obs"][i] for i in np.flatnonzero(ended)]
                true[ended] = self.env.observed(np.stack(final))
            else:
                fresh = vector.reset(options={"reset_mask": ended})[0]
                observed = np.where(
                    ended.reshape(-1, *[1] * (observed.ndim - 1)),
                    self.env.observed(fresh),
                    observed,
                )
        return Seen(
            observed,
            true,
            np.where(valid, reward, 0).astype(np.float32),
            terminated & valid,
            truncated & valid,
            valid,
        )

    def close(self) -> None:
        """Closes the environments."""
        for vector in self.vectors:
            vector.close()


def acting_program(
    actor: keras.Model, distribution: Distribution, greedy: bool, draw: Draw | None = None
) -> Any:
    """A compiled program that acts: the call of every step of an environment.

    Args:
        actor: From observations to parameters of the distribution.
        distribution: Of actions.
        greedy: Whether to take the most probable action instead of drawing one.
        draw: How actions are drawn, if not from the distribution.

    Returns:
        A `tf.function` from an actor's weights, observations `[members, envs, ...]`, uniform
        numbers `[steps, members, envs, k]` in [0, 1) and the number of a step, an int32 scalar, to
        actions, what is executed of them, their log-probabilities, and the parameters of their
        distribution. What a call costs beside arithmetic grows with its arguments and with looking
        for the program of their shapes: who calls it often asks for the concrete function, once.
    """
    population = Population({"actor": actor})

    @tf.function(jit_compile=True, autograph=False)
    def act(weights, observation, uniforms, step):
        parameters = population.outputs("actor", weights, observation)
        # Not `uniforms[step]`, of which XLA compiles a program for every step.
        own = tf.gather(uniforms, step)
        action = (
            distribution.act(parameters, own, greedy) if draw is None else draw(parameters, own)
        )
        executed = distribution.executed(action)
        return action, executed, distribution.log_prob(parameters, action), parameters

    return act


def copies_of(block: Sequence[Any]) -> NDArray[np.intp]:
    """For each member of a block which distinct one it is; copies fill a block up.

    Args:
        block: Tensors `[members, ...]` that say all that members differ in.
    """
    arrays = [np.asarray(x) for x in block]
    rows = [tuple(x[i].tobytes() for x in arrays) for i in range(len(arrays[0]))]
    number: dict[Any, int] = {}
    return np.array([number.setdefault(row, len(number)) for row in rows])


def episode_seeds(seeds: NDArray[np.integer], index: int, size: int) -> NDArray[np.int64]:
    """Seeds `[members, size]` of the resets with which update `index` begins.

    They depend on a member's own seed alone. Later episodes of a copy go on with its generator.
    """
    return np.array(
        [
            [
                int(np.random.SeedSequence([int(seed), index, copy]).generate_state(1)[0] >> 1)
                for copy in range(size)
            ]
            for seed in seeds
        ]
    )
