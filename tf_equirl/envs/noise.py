"""Environments whose observations are noisy."""

from __future__ import annotations

import collections
import functools
import math
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tf_equirl._checks import instance, number, refuse
from tf_equirl.distributions import Distribution
from tf_equirl.envs.environment import Environment

_MOST = 1e30  # whose noise is still finite in float32


class NoisyObservations(Environment):
    r"""An environment that is seen through normal noise: what is observed is $o + \sigma n$.

    n is drawn anew at every step, independently for every number of an observation; the dynamics
    are those of the environment. To ask how a policy bears noise that it was not trained with,
    evaluate it here: the same seed gives the same episodes and the same n, whatever the deviation
    is. A deviation of 0 is the environment itself.

    The symmetry is that of the environment, in law. For that every element of the group must take
    the noise to noise of the same law, $\rho(g) \Sigma \rho(g)^T = \Sigma$ with
    $\Sigma = \mathrm{diag}(\sigma^2)$: one deviation is right wherever matrices are orthogonal, as
    those of rotations, reflections and permutations are, and several are where numbers that the
    group mixes or exchanges have the same one.

    Args:
        env: The environment.
        deviation: Standard deviation of the noise, in the units of the observation: a number from
            0 to 1e30, or a list of one for each number of the flattened observation.

    Raises:
        ValueError: If an argument is not one of those, or noise of those deviations is not as
            symmetric as the environment.

    Example:
        >>> from tf_equirl import envs
        >>> env = envs.NoisyObservations(envs.make("Acrobot"), [0.1] * 4 + [0.5] * 2)
        >>> env.name, env.observation_shape
        ('NoisyAcrobot', (6,))
    """

    def __init__(self, env: Environment, deviation: float | Sequence[float]) -> None:
        """Checks the arguments."""
        self.env = instance("env", env, Environment, "an environment of functions of tensors")
        self.name = f"Noisy{env.name}"
        self.observation_shape = env.observation_shape
        self.max_episode_steps = env.max_episode_steps
        self.symmetry = env.symmetry
        self.num_actions, self.action_bounds = env.num_actions, env.action_bounds
        self.render_modes, self.render_fps = env.render_modes, env.render_fps
        self.random_transitions = True
        self._size = math.prod(env.observation_shape)
        self.deviation = _checked(deviation, self._size)
        self._check_law()
        # Noise of the next state, and of the first one where an episode ends.
        self.num_uniforms = env.num_uniforms + 2 * self._size
        self._plain_type = type(env.reset([0, 0]))
        self._noisy_type = _noisy_type(self._plain_type._fields)

    def program_key(self) -> Hashable:
        """See `BaseEnvironment.program_key`."""
        return type(self), self.env.program_key(), self.deviation

    def get_config(self) -> dict[str, Any]:
        """See `Environment.get_config`."""
        deviations = list(self.deviation)
        return {"name": self.name, "env": self.env.get_config(), "deviation": deviations}

    @property
    def symmetry_in_words(self) -> dict[str, str]:
        """See `BaseEnvironment.symmetry_in_words`."""
        return self.env.symmetry_in_words

    @property
    def action_distribution(self) -> Distribution:
        """See `Environment.action_distribution`."""
        return self.env.action_distribution

    def initial_state(self, uniforms: tf.Tensor) -> Any:
        """See `Environment.initial_state`: the environment's own, and noise."""
        own, _, noise = self._split(uniforms)
        return self._noisy(self.env.initial_state(own), noise)

    def observe(self, state: Any) -> tf.Tensor:
        """See `Environment.observe`."""
        observation = self.env.observe(self._plain(state))
        if not any(self.deviation):
            return observation  # to the last bit: 0 times noise would lose the sign of -0
        deviations = np.reshape(np.asarray(self.deviation, np.float32), self.observation_shape)
        return observation + deviations * state[-1]

    def transition(
        self, state: Any, action: tf.Tensor, uniforms: tf.Tensor
    ) -> tuple[Any, tf.Tensor, tf.Tensor]:
        """See `Environment.transition`."""
        own, noise, _ = self._split(uniforms)
        following, reward, terminated = self.env.transition(self._plain(state), action, own)
        return self._noisy(following, noise), reward, terminated

    def draw(self, state: Any, mode: str) -> NDArray[np.uint8] | str:
        """See `Environment.draw`: the environment as it is."""
        return self.env.draw(self._plain(state), mode)

    def _check_law(self) -> None:
        state, deviations = self.symmetry.state, np.asarray(self.deviation)
        for element in range(state.group.order):
            if state.signed_permutations is not None:
                moved = np.empty_like(deviations)
                moved[state.signed_permutations[element]] = deviations
                same = np.array_equal(moved, deviations)
            else:
                covariance = np.diag(deviations**2)
                matrix = state.matrices[element]
                same = np.allclose(matrix @ covariance @ matrix.T, covariance)
            if not same:
                refuse(
                    "deviation",
                    f"such that noise is as symmetric as {self.env.name} is, which element "
                    f"{element} of its group takes to noise of another law",
                    list(self.deviation),
                )

    def _split(self, uniforms: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The environment's own uniform numbers, those of a step's noise, those of a reset's."""
        own, size = self.env.num_uniforms, self._size
        return uniforms[..., :own], uniforms[..., own : own + size], uniforms[..., own + size :]

    def _noisy(self, state: Any, uniforms: tf.Tensor) -> Any:
        """A state of the environment with noise."""
        # In the middle between multiples of 2^-23 noise is symmetric, and finite at both ends.
        inside = tf.minimum(tf.cast(uniforms, tf.float32), 1 - 2.0**-23) + 2.0**-24
        noise = tf.reshape(tf.math.ndtri(inside), [*uniforms.shape[:-1], *self.observation_shape])
        return self._noisy_type(*state, noise)

    def _plain(self, state: Any) -> Any:
        """A state of the environment: without noise, which comes last."""
        return self._plain_type(*state[:-1])


def _checked(deviation: Any, size: int) -> tuple[float, ...]:
    """One deviation for each number of an observation."""
    rule = f"a number from 0 to {_MOST:g}, or a list of {size}, one for each number observed"

    def one(value: Any) -> float:
        return number("deviation", value, rule, lambda x: 0 <= x <= _MOST)

    if isinstance(deviation, (list, tuple)) or isinstance(deviation, np.ndarray) and deviation.ndim:
        if len(deviation) != size:
            refuse("deviation", rule, deviation)
        return tuple(one(x) for x in deviation)
    return (one(deviation),) * size


@functools.cache
def _noisy_type(fields: tuple[str, ...]) -> Any:
    """A state with noise behind its own fields, whatever they are called; one class for all."""
    name = "noise"
    while name in fields:
        name += "_"
    return collections.namedtuple("NoisyState", [*fields, name])
