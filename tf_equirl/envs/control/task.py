"""What the tasks of the DeepMind Control Suite have in common."""

from __future__ import annotations

import abc
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from tf_equirl._checks import one_of, positive_integer
from tf_equirl.distributions import Distribution
from tf_equirl.envs.breaking import BREAKINGS, checked_breaking
from tf_equirl.envs.control.camera import Shape
from tf_equirl.envs.environment import Environment, select
from tf_equirl.envs.host import POLICIES
from tf_equirl.groups import Symmetry, cyclic_group, signed_permutation_representation


class ControlState(NamedTuple):
    """State of a control task, batched over any leading dimensions."""

    physics: tf.Tensor
    """[..., 4]: the positions of both joints (m or rad), then their velocities (a second each).
    Angles are not wrapped, as MuJoCo's are not."""
    steps: tf.Tensor
    """[...] int32: steps of the episode so far."""


class ControlTask(Environment):
    """A task of the DeepMind Control Suite with two joints: continuous actions, no termination.

    Tassa et al., "DeepMind Control Suite" (2018). A subclass says how its joints move, what is
    observed and rewarded, and where its symmetry is broken if it is. Actions are numbers in
    [-1, 1]; those outside are cut off. Every episode is truncated, none terminates.

    `symmetry` is that of the task which is not broken.

    Args:
        breaking: How the symmetry is broken: "none", "gain", "gravity", "reflect" or "repeat".
        kappa: How much: 0 is not at all, 1 as published; at most 100.
        dtype: "float32", or "float64" to compute as MuJoCo does; observations and rewards are
            float32 either way.
        policy: What the outputs of a policy mean: "gaussian" or "squashed_gaussian".
        max_episode_steps: Steps after which an episode is truncated.

    Raises:
        ValueError: If an argument is not one of those.
    """

    num_actions = 0
    random_transitions = False
    render_modes = ("rgb_array",)
    breakings: tuple[str, ...] = BREAKINGS
    time_step: float
    """Seconds, of a control step and of a step of the integrator."""
    half_width: float
    """Of what a camera sees of the task, in m to each side of the origin."""
    motions: tuple[Sequence[int], Sequence[bool]] = ((0, 0), (False, True))
    """Turns and flips by which elements move pictures, see `image_representation`: the mirror."""

    def __init__(
        self,
        breaking: str = "none",
        kappa: float = 1.0,
        dtype: str = "float32",
        policy: str = "gaussian",
        max_episode_steps: int = 1_000,
    ) -> None:
        """Checks the arguments."""
        self.breaking = checked_breaking(breaking, kappa, self.breakings)
        self.dtype = tf.as_dtype(one_of("dtype", dtype, ("float32", "float64")))
        self.policy = one_of("policy", policy, POLICIES)
        self.max_episode_steps = positive_integer("max_episode_steps", max_episode_steps)

    def program_key(self) -> Hashable:
        """See `Environment.program_key`."""
        if not type(self).__module__.startswith(f"{__package__}."):
            return self
        of_program = (self.breaking, self.dtype.name, self.policy, self.max_episode_steps)
        return type(self), *of_program

    @property
    def action_bounds(self) -> tuple[tuple[float, ...], tuple[float, ...]]:  # type: ignore[override]
        """See `Environment.action_bounds`."""
        count = self.symmetry.action.dim
        return (-1.0,) * count, (1.0,) * count

    @property
    def action_distribution(self) -> Distribution:
        """See `Environment.action_distribution`; of the kind that `policy` names."""
        return POLICIES[self.policy](*self.action_bounds, self.symmetry.action)

    @abc.abstractmethod
    def moved(self, state: Any, action: tf.Tensor, seconds: float) -> Any:
        """The state after `seconds` under actions `[..., k]`, in one step of the integrator."""

    @abc.abstractmethod
    def rewarded(self, state: Any, action: tf.Tensor) -> tf.Tensor:
        """The reward `[...]` of a state that an action `[..., k]` led to."""

    @abc.abstractmethod
    def in_region(self, state: Any) -> tf.Tensor:
        """Whether a state is where "reflect" or "repeat" break the symmetry, `[...]`."""

    @abc.abstractmethod
    def shapes(self, observation: tf.Tensor) -> list[Shape]:
        """What a camera sees of the task where it observes [..., d]; later ones cover others."""

    def transition(
        self, state: Any, action: tf.Tensor, uniforms: tf.Tensor
    ) -> tuple[Any, tf.Tensor, tf.Tensor]:
        """One control step; see `Environment.transition`. `uniforms` is not used."""
        action = tf.clip_by_value(tf.cast(action, self.dtype), -1.0, 1.0)
        breaking, applied = self.breaking, action
        if breaking.kind != "none":
            applied = breaking.applied(action, self.in_region(state)[..., tf.newaxis])
        following = self.moved(state, applied, self.time_step)
        reward = self.rewarded(following, action)
        repeats = breaking.repeats()
        if repeats:
            further, rewards = following, tf.zeros_like(reward)
            for length in repeats:
                further = self.moved(further, applied, length * self.time_step)
                rewards += length * self.rewarded(further, action)
            mean = (reward + rewards) / (1 + breaking.kappa)
            following, reward = select(self.in_region(state), (further, mean), (following, reward))
        never = tf.zeros_like(reward, dtype=tf.bool)
        return following, tf.cast(reward, tf.float32), never


def mirror(signs: Sequence[int]) -> Symmetry:
    """The reflection of order 2 of one action, which changes its sign, and of observations.

    Args:
        signs: 1 or -1 for each number of an observation.
    """
    group = cyclic_group(2)
    kept, index = [1] * len(signs), range(len(signs))
    return Symmetry(
        group,
        state=signed_permutation_representation(group, [index, index], [kept, signs]),
        action=signed_permutation_representation(group, [[0], [0]], [[1], [-1]]),
    )
