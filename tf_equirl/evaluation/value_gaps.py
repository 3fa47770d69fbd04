"""How far trained critics say that a symmetry is from exact, in values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike, NDArray

from tf_equirl._checks import instance, refuse
from tf_equirl.distributions import Categorical
from tf_equirl.envs import BaseEnvironment
from tf_equirl.envs.registry import environment_of
from tf_equirl.evaluation.equivariance import visited_observations


@dataclass(frozen=True, eq=False)
class ValueGaps:
    """Orbit gaps |Q(g s, g a) - Q(s, a)| as critics without the symmetry estimate them.

    Where states are listed, `envs.symmetry_gaps` computes the true ones.

    Attributes:
        gaps: [n - 1, states, k] absolute gaps of the mean of the critics by group element, the
            identity left out, state and value: of each action, of one drawn action, or V's own.
        rms: Root of the mean squared gap. Of several critics it is the mean product of the gaps
            of two different ones, to which errors that each makes on its own add nothing; of one
            critic its errors count as gaps.
        spread: Standard deviation of the mean critic's values over the states: the scale.
        critics: How many there are.
    """

    gaps: NDArray[np.float64]
    rms: float
    spread: float
    critics: int

    @property
    def mean(self) -> float:
        """Mean over elements, states and values."""
        return float(self.gaps.mean())

    @property
    def price(self) -> float:
        """Half of the largest gap: by how much an exactly invariant critic errs somewhere.

        If the critics are right. The largest of many is where their errors are large, too.
        """
        return float(self.gaps.max()) / 2

    def quantile(self, share: float) -> float:
        """What this share of the gaps stay below, `share` in [0, 1]."""
        return float(np.quantile(self.gaps, share))


def value_gaps(
    critics: keras.Model | Sequence[keras.Model],
    env: BaseEnvironment | str,
    states: int = 1000,
    seed: int = 0,
    observations: ArrayLike | None = None,
) -> ValueGaps:
    """Estimates from trained critics what it costs to take a symmetry for exact.

    An exactly invariant critic errs by at least half of |Q*(g s, g a) - Q*(s, a)| at one of the two
    places. Critics that know nothing of the symmetry, of kind "mlp" or "cnn", estimate that gap
    where states cannot be listed. They err, too, and differently at s and at g s: give several,
    trained from different seeds, and compare with their `rms` in the unbroken environment.

    Args:
        critics: One or several models from observations to values [batch, 1], to values of all
            actions [batch, num_actions], or from `[observation, action]` to values [batch, 1],
            actions in units in which the box is [-1, 1].
        env: The environment or its registered name.
        states: How many of `visited_observations`, at most 10^8.
        seed: An integer in [0, 2^31), of those and of drawn actions.
        observations: [m, ...] to be used instead, such as those that a policy visits.

    Raises:
        ValueError: If an argument is not one of those, the group has no other element than the
            identity, or a critic gives values of another shape.

    Example:
        >>> from tf_equirl import envs, evaluation, models
        >>> env = envs.make("CartPole")
        >>> free, exact = (models.critic(env.symmetry, kind) for kind in ("mlp", "invariant"))
        >>> evaluation.value_gaps(free, env).mean > 1e-3
        True
        >>> evaluation.value_gaps(exact, env).mean < 1e-5
        True
    """
    env = environment_of(env)
    rule = "a Keras model, or a sequence of them"
    found = [critics] if isinstance(critics, keras.Model) else critics
    if not isinstance(found, Sequence) or not found:
        refuse("critics", rule, critics)
    for critic in found:
        instance("critics", critic, keras.Model, rule)
    if env.symmetry.group.order < 2:
        raise ValueError(
            "`env` must have a symmetry with an element beside the identity. "
            f"Received: env={env!r}, with {env.symmetry.group.name}"
        )
    seen = _observations(env, states, seed, observations)
    rng = np.random.default_rng([seed, 3])
    drawn = None
    if not _discrete(env):
        drawn = rng.uniform(-1, 1, [len(seen), env.symmetry.action.dim]).astype(np.float32)
    values = np.stack([_values(critic, env, seen, drawn) for critic in found])
    flat = seen.reshape(len(seen), -1)
    differences = []
    for element in env.symmetry.group.elements[1:]:
        moved = env.symmetry.move_states(element, flat).reshape(seen.shape).astype(seen.dtype)
        acted = None if drawn is None else env.symmetry.action.act(element, drawn)
        there = np.stack([_values(critic, env, moved, acted) for critic in found])
        if there.shape[-1] > 1:  # of g a, where a stands
            there = env.symmetry.action.act(env.symmetry.group.inverses[element], there)
        differences.append(there - values)
    return _gaps(np.stack(differences, axis=1), values)


def _gaps(differences: NDArray[np.float64], values: NDArray[np.float64]) -> ValueGaps:
    """From [critics, n - 1, states, k] differences and [critics, states, k] values."""
    count = len(differences)
    square = np.mean(differences**2, axis=0)
    if count > 1:
        square = (count * differences.mean(axis=0) ** 2 - square) / (count - 1)
    return ValueGaps(
        gaps=np.abs(differences.mean(axis=0)),
        rms=float(np.sqrt(max(square.mean(), 0.0))),
        spread=float(values.mean(axis=0).std()),
        critics=count,
    )


def _observations(
    env: BaseEnvironment, states: int, seed: int, observations: ArrayLike | None
) -> NDArray[np.float32]:
    if observations is None:
        return visited_observations(env, states, seed)
    found = np.asarray(observations, np.float32)
    if found.shape[1:] != env.observation_shape or not len(found) or not np.isfinite(found).all():
        raise ValueError(
            f"`observations` must be finite numbers [m, *{env.observation_shape}], m at least 1. "
            f"Received: observations of shape {found.shape}"
        )
    return found


def _discrete(env: BaseEnvironment) -> bool:
    return isinstance(env.action_distribution, Categorical)


def _values(
    critic: keras.Model, env: BaseEnvironment, observations: Any, actions: Any
) -> NDArray[np.float64]:
    """[states, k]."""
    takes_actions = len(critic.inputs) == 2
    widths = sorted({1, env.symmetry.action.dim} if _discrete(env) else {1})
    if takes_actions and actions is None:
        raise ValueError(
            "`critics` must take observations alone where actions are discrete. Received: "
            f"{critic.name}, which takes actions, too"
        )
    inputs = [observations, actions] if takes_actions else observations
    found = np.asarray(keras.ops.convert_to_numpy(critic(inputs, training=False)), np.float64)
    if found.ndim != 2 or found.shape[1] not in widths:
        raise ValueError(
            f"`critics` must give values [batch, k], k being {' or '.join(map(str, widths))}. "
            f"Received: {critic.name}, with an output of shape {found.shape}"
        )
    return found
