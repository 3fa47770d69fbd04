"""What trainers and evaluation must know of an environment, whoever steps it."""

from __future__ import annotations

import abc
import contextlib
import inspect
from collections.abc import Hashable, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tf_equirl._checks import refuse
from tf_equirl.distributions import Distribution
from tf_equirl.groups import Symmetry

_Self = TypeVar("_Self", bound="BaseEnvironment")


class BaseEnvironment(abc.ABC):
    """A Markov decision process with a declared symmetry.

    There are two kinds: an `Environment` consists of functions of tensors, which compiled programs
    contain; a `HostEnvironment` is stepped outside of them, through gymnasium.

    Attributes:
        name: Its name, by which `envs.make` knows it if it is registered.
        observation_shape: Shape of one observation, float32.
        max_episode_steps: Steps after which an episode is truncated.
        symmetry: The symmetry that the dynamics has, acting on flattened observations and actions.
        render_modes: Modes that it can be drawn in, of gymnasium's "ansi" and "rgb_array".
        render_fps: Frames per second at which an episode is to be watched.
    """

    name: str
    observation_shape: tuple[int, ...]
    max_episode_steps: int
    symmetry: Symmetry
    render_modes: tuple[str, ...] = ()
    render_fps: int = 4
    _arguments: Mapping[str, Any]

    def __new__(cls: type[_Self], *args: Any, **kwargs: Any) -> _Self:
        """Keeps the arguments, which tell this environment from others of its class."""
        env = super().__new__(cls)
        with contextlib.suppress(TypeError):  # wrong arguments, which `__init__` refuses itself
            bound = inspect.signature(cls.__init__).bind(env, *args, **kwargs)
            bound.apply_defaults()
            env._arguments = dict(list(bound.arguments.items())[1:])
        return env

    @property
    @abc.abstractmethod
    def action_distribution(self) -> Distribution:
        """What the outputs of a policy for this environment mean."""

    @property
    def symmetry_in_words(self) -> dict[str, str]:
        """How the group acts, a text each for "state" and "action"; a subclass says it better."""
        state, action = self.symmetry.state, self.symmetry.action
        return {
            "state": f"a representation of dimension {state.dim}",
            "action": f"a representation of dimension {action.dim}",
        }

    @property
    @abc.abstractmethod
    def gymnasium_id(self) -> str:
        """By what `gymnasium.make` knows it."""

    @abc.abstractmethod
    def get_config(self) -> dict[str, Any]:
        """What tells this environment from others of its name, as plain JSON types."""

    def program_key(self) -> Hashable:
        """What decides what compiled programs make of this environment.

        Environments with equal keys share programs. An object is equal to none but itself; a class
        may return something else if that says all there is to know.
        """
        return self

    def observation_bounds(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Lower and upper bounds of observations, each of shape `observation_shape`."""
        bound = np.full(self.observation_shape, np.inf, np.float32)
        return -bound, bound

    def validate_render_mode(self, mode: object, argument: str = "render_mode") -> None:
        """Checks that `mode` is one of `render_modes`.

        Args:
            mode: The mode.
            argument: What the message calls it.

        Raises:
            ValueError: If it is not; the message names those.
        """
        if not isinstance(mode, str) or mode not in self.render_modes:
            known = ", ".join(self.render_modes) or "none"
            refuse(argument, f"one of the modes of {self.name}: {known}", mode)
