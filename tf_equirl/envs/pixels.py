"""Tasks of the DeepMind Control Suite, seen by a camera."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tf_equirl._checks import integer, one_of, positive_integer
from tf_equirl.distributions import Distribution
from tf_equirl.envs.control.acrobot import Acrobot
from tf_equirl.envs.control.camera import photograph
from tf_equirl.envs.control.cartpole_swingup import CartPoleSwingup
from tf_equirl.envs.control.reacher import Reacher
from tf_equirl.envs.control.task import ControlTask
from tf_equirl.envs.environment import Environment
from tf_equirl.groups import Symmetry, image_representation

TASKS: dict[str, type[ControlTask]] = {
    "Acrobot": Acrobot,
    "CartPoleSwingup": CartPoleSwingup,
    "Reacher": Reacher,
}
MOST_FRAMES = 16
LARGEST = 512
"""Pixels on a side of a picture."""


class PixelsState(NamedTuple):
    """State of a task that is seen by a camera, batched over any leading dimensions.

    Attributes:
        seen: [..., frames, d] what the task itself observes in each of the frames, newest last,
            which determines its state and all that the camera sees.
        steps: [...] int32: steps of the episode so far.
    """

    seen: tf.Tensor
    steps: tf.Tensor


class Pixels(Environment):
    """A control task of which a small camera's pictures are observed, in TensorFlow.

    Observations are the last `frames` pictures, [size, size, frames], grey, from -0.5 (nothing) to
    0.5, the newest last; at the start of an episode all are the same. An action is held for
    `action_repeat` control steps, whose rewards are added up: a return is that of the task. As in
    DrQ-v2 (Yarats et al., 2021, arXiv 2107.09645), but for colours and size, and without floor and
    sky, which have not the symmetry of the task (Park et al., 2025).

    A state is what the task observes in each frame, some numbers: a memory of states needs no room
    for pictures, which are drawn anew when they are learned from.

    The group of the task moves pictures as it moves the task: the mirror flips them left to right,
    of the Reacher, seen from above, the half turn turns them and the flip of y turns them upside
    down. Networks keep that where windows lie symmetrically: with strides of 2, as in DrQ-v2's
    encoder, sizes of 5 more than a multiple of 8 do (37, 45, 53, 85).

    Args:
        task: "Acrobot", "CartPoleSwingup" or "Reacher".
        size: Pixels on a side, 8 to 512.
        frames: Pictures that are seen at once, 1 to 16.
        action_repeat: Control steps for which an action is held.
        breaking: How the symmetry of the task is broken, see the task.
        kappa: How much: 0 is not at all, 1 as published.
        policy: What the outputs of a policy mean: "gaussian" or "squashed_gaussian".
        max_episode_steps: Steps after which an episode is truncated; None for as many as make 1,000
            control steps.

    Raises:
        ValueError: If an argument is not one of those.

    Example:
        >>> from tf_equirl import envs
        >>> env = envs.Pixels("CartPoleSwingup", size=45)
        >>> state = env.reset([0, 0], [2])
        >>> env.observe(state).shape
        TensorShape([2, 45, 45, 3])
    """

    num_actions = 0
    random_transitions = False
    render_modes = ("rgb_array",)

    def __init__(
        self,
        task: str = "CartPoleSwingup",
        size: int = 45,
        frames: int = 3,
        action_repeat: int = 2,
        breaking: str = "none",
        kappa: float = 1.0,
        policy: str = "gaussian",
        max_episode_steps: int | None = None,
    ) -> None:
        """Checks the arguments, and makes the task."""
        kind = TASKS[one_of("task", task, tuple(TASKS))]
        self.size = integer("size", size, 8, LARGEST)
        self.frames = integer("frames", frames, 1, MOST_FRAMES)
        self.action_repeat = positive_integer("action_repeat", action_repeat, 100)
        self.task = kind(breaking=breaking, kappa=kappa, policy=policy)
        if max_episode_steps is None:
            max_episode_steps = -(-self.task.max_episode_steps // self.action_repeat)
        self.max_episode_steps = positive_integer("max_episode_steps", max_episode_steps)
        self.name = f"{task}Pixels"
        self.observation_shape = (self.size, self.size, self.frames)
        self.num_uniforms = self.task.num_uniforms
        self.render_fps = max(1, self.task.render_fps // self.action_repeat)
        turns, flips = self.task.motions
        group, action = self.task.symmetry.group, self.task.symmetry.action
        picture = image_representation(group, self.size, self.size, self.frames, turns, flips)
        self.symmetry = Symmetry(group, state=picture, action=action)

    @property
    def symmetry_in_words(self) -> dict[str, str]:
        """See `BaseEnvironment.symmetry_in_words`."""
        return {
            "state": "pictures are flipped or turned as the task is",
            "action": self.task.symmetry_in_words["action"],
        }

    def program_key(self) -> Hashable:
        """See `Environment.program_key`."""
        if type(self) is not Pixels:
            return self
        sizes = self.size, self.frames, self.action_repeat, self.max_episode_steps
        return type(self), self.task.program_key(), *sizes

    @property
    def action_bounds(self) -> tuple[tuple[float, ...], tuple[float, ...]]:  # type: ignore[override]
        """See `Environment.action_bounds`."""
        return self.task.action_bounds

    @property
    def action_distribution(self) -> Distribution:
        """See `Environment.action_distribution`; that of the task."""
        return self.task.action_distribution

    def observation_bounds(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """From -0.5 to 0.5."""
        bound = np.full(self.observation_shape, 0.5, np.float32)
        return -bound, bound

    def initial_state(self, uniforms: tf.Tensor) -> PixelsState:
        """Draws a start of the task, which all frames show.

        Args:
            uniforms: [..., num_uniforms] in [0, 1).
        """
        start = self.task.initial_state(uniforms)
        seen = self.task.observe(start)[..., tf.newaxis, :]
        return PixelsState(tf.repeat(seen, self.frames, axis=-2), start.steps)

    def observe(self, state: PixelsState) -> tf.Tensor:
        """Draws the pictures of all frames: [..., size, size, frames] float32."""
        pictures = photograph(self.task.shapes(state.seen), self.size, self.task.half_width)
        axes = pictures.shape.rank
        return tf.transpose(pictures, [*range(axes - 3), axes - 2, axes - 1, axes - 3])

    def transition(
        self, state: PixelsState, action: tf.Tensor, uniforms: tf.Tensor
    ) -> tuple[PixelsState, tf.Tensor, tf.Tensor]:
        """Holds an action; see `Environment.transition`."""
        now = self.task.state_from_observation(state.seen[..., -1, :])
        total = tf.zeros(state.steps.shape)
        for _ in range(self.action_repeat):
            now, reward, _ = self.task.transition(now, action, uniforms)
            total += reward
        newest = self.task.observe(now)[..., tf.newaxis, :]
        seen = tf.concat([state.seen[..., 1:, :], newest], axis=-2)
        return PixelsState(seen, state.steps), total, tf.zeros_like(total, tf.bool)

    def moved(self, element: int, state: PixelsState) -> PixelsState:
        """The image of states under a group element, on the host: their pictures are moved by it.

        Args:
            element: The index of the element.
            state: The states.
        """
        seen = self.task.symmetry.move_states(element, np.asarray(state.seen))
        return state._replace(seen=tf.constant(seen, tf.float32))

    def draw(self, state: PixelsState, mode: str) -> NDArray[np.uint8]:
        """See `Environment.render`: a larger picture, in colours."""
        now: Any = self.task.state_from_observation(state.seen[..., -1, :])
        return self.task.draw(now, mode)  # type: ignore[return-value]
