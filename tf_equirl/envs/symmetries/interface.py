"""What an environment's dynamics is, as a function of flattened observations."""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tf_equirl._checks import shown

Policy = Callable[[NDArray[np.float64]], Any]
"""From observations [n, d] to actions: [n] integers, or [n, k] numbers of a Box."""


class Steps(NamedTuple):
    """Transitions, a row each.

    Attributes:
        states: [n, d] float64, flattened observations.
        actions: [n] integers from 0, or [n, k] float64.
        next_states: [n, d] float64, before any reset.
        rewards: [n] float64.
        terminated: [n] bool.
        episodes: [n] ascending integers, equal for the steps of one episode.
    """

    states: NDArray[np.float64]
    actions: NDArray[Any]
    next_states: NDArray[np.float64]
    rewards: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    episodes: NDArray[np.integer]


class Outcomes(NamedTuple):
    """What can follow some pairs of a state and an action, a row for each outcome of each of them.

    Attributes:
        rows: [m] ascending, of which pair.
        probability: [m] float64, positive; the sum is 1 for every pair.
        next_states: [m, d] float64.
        rewards: [m] float64.
        terminated: [m] bool.
    """

    rows: NDArray[np.integer]
    probability: NDArray[np.float64]
    next_states: NDArray[np.float64]
    rewards: NDArray[np.float64]
    terminated: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Actions:
    """The actions of an environment: 0 .. count - 1, or the numbers of a box.

    Attributes:
        count: Number of discrete actions; None of a box.
        low: [k] lower bounds of a box; None of discrete actions.
        high: [k] upper bounds.
    """

    count: int | None = None
    low: NDArray[np.float64] | None = None
    high: NDArray[np.float64] | None = None

    @property
    def dim(self) -> int:
        """What a representation on the actions acts on: `count`, or k."""
        return self.count if self.low is None else len(self.low)  # type: ignore[return-value]

    def draw(self, number: int, rng: np.random.Generator) -> NDArray[Any]:
        """Random actions [number] or [number, k]: uniform, standard normal where unbounded."""
        if self.low is None or self.high is None:
            return rng.integers(self.dim, size=number)
        bounded = np.isfinite(self.low) & np.isfinite(self.high)
        low, high = (np.where(bounded, bound, 0.0) for bound in (self.low, self.high))
        shape = (number, self.dim)
        free = np.clip(rng.standard_normal(shape), self.low, self.high)
        return np.where(bounded, rng.uniform(low, high, shape), free)

    def checked(self, name: str, actions: Any, number: int) -> NDArray[Any]:
        """Returns actions as an array of `number` rows.

        Raises:
            ValueError: If they have another shape or are no such actions.
        """
        array = np.asarray(actions)
        shape = (number,) if self.low is None else (number, self.dim)
        if self.low is None:
            rule = f"integers from 0 to {self.dim - 1}"
            good = array.dtype.kind in "iu" and bool(np.all((array >= 0) & (array < self.dim)))
        else:
            rule = "finite numbers"
            good = array.dtype.kind in "iuf" and bool(np.isfinite(array).all())
        if array.shape != shape or not good:
            raise ValueError(
                f"`{name}` must be {rule}, of shape {list(shape)}. Received: {name}="
                f"{shown(array.tolist()) if array.size < 20 else f'shape {array.shape}'}, "
                f"{array.dtype}"
            )
        return array if self.low is None else array.astype(np.float64)


class Dynamics(abc.ABC):
    """An environment's dynamics as a function of flattened observations.

    Attributes:
        observation_dim: Numbers d of a flattened observation.
        actions: The actions.
        low: [d] lower bounds that are declared for observations.
        high: [d] upper bounds.
        names: [d] names of the coordinates.
        precision: np.float32 or np.float64: in which states are kept or observed.
        can_step: Whether states can be set, which `step` does.
        lists_outcomes: Whether transitions are random and `outcomes` lists them.
        one_scale: Whether all coordinates are of one kind, as the pixels of a camera are, so that
            errors of each are measured by the steps of the one that moves most.
    """

    observation_dim: int
    actions: Actions
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    names: tuple[str, ...]
    precision: type[np.floating]
    can_step: bool = True
    lists_outcomes: bool = False
    one_scale: bool = False

    def visit(
        self, samples: int, rng: np.random.Generator, policy: Policy | None = None
    ) -> tuple[NDArray[np.float64], NDArray[Any]]:
        """States [n, d] that a policy visits, and the actions [n] or [n, k] that it takes there.

        Args:
            samples: Number n.
            rng: Seeds the episodes and draws random actions.
            policy: Takes observations [m, d], returns actions; random actions by default.

        Raises:
            ValueError: If the policy returns something else.
        """
        steps = self.collect(samples, rng, policy)
        return steps.states, steps.actions

    def choose(
        self, policy: Policy | None, states: NDArray[np.float64], rng: np.random.Generator
    ) -> NDArray[Any]:
        """The actions of a policy at states [n, d], random ones by default; see `visit`."""
        if policy is None:
            return self.actions.draw(len(states), rng)
        return self.actions.checked("policy(observations)", policy(states), len(states))

    @abc.abstractmethod
    def collect(
        self,
        samples: int,
        rng: np.random.Generator,
        policy: Policy | None = None,
        longest: int | None = None,
    ) -> Steps:
        """The transitions of episodes; see `visit`. No episode has more than `longest` steps."""

    @abc.abstractmethod
    def step(
        self, states: NDArray[Any], actions: NDArray[Any]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        """Sets each state and makes one real step.

        Args:
            states: [n, d].
            actions: [n] integers or [n, k] numbers.

        Returns:
            Next states [n, d], rewards [n] and [n] whether they are terminal.

        Raises:
            ValueError: If states cannot be set.
        """

    def outcomes(self, states: NDArray[Any], actions: NDArray[Any]) -> Outcomes:
        """Sets each state, and lists what can follow.

        Args:
            states: [n, d].
            actions: [n] integers or [n, k] numbers.

        Raises:
            ValueError: If that cannot be listed, or probabilities are none.
        """
        raise ValueError("`env` must be an Environment that defines `outcomes`.")
