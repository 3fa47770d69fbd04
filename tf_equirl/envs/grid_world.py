"""Hunting a prey on a torus."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tf_equirl._checks import one_of, positive_integer
from tf_equirl.envs.boards import GROUPS, board_symmetry, board_symmetry_in_words
from tf_equirl.envs.environment import Environment

SIZE = 7  # cells in a row and in a column
CELLS = SIZE * SIZE
MIDDLE = SIZE // 2
SPRITE = 3  # pixels in a row and in a column of a cell
MOVES = ((0, 0), (1, 0), (0, 1), (-1, 0), (0, -1))  # rows, columns; also the prey's
PREY_MOVES = 0.15

PLUS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.float32)
CROSS = np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]], np.float32)

# Drawings: screen pixels per pixel, and colours, those of Catch.
SCALE = 16
BACKGROUND = (250, 250, 250)
PREY = (213, 94, 0)
AGENT = (0, 114, 178)


class GridWorldState(NamedTuple):
    """State of a grid world: int32 tensors of any common shape [...]."""

    row: tf.Tensor
    """Rows that the prey is below the agent, modulo 7."""
    column: tf.Tensor
    """Columns that it is to the right of the agent, modulo 7."""
    steps: tf.Tensor
    """Steps of the episode so far."""


class GridWorld(Environment):
    """The grid world of "MDP homomorphic networks": catch a prey on a torus of 7 x 7 cells.

    The agent stays (0) or moves down (1), right (2), up (3) or left (4); then the prey moves with
    probability 0.15, in one of the four directions. Where both are on one cell thereafter, the
    reward is 1 and the episode terminates; every other step costs 0.1. Both start on cells drawn
    uniformly, maybe the same one, which ends nothing. Episodes are truncated after 100 steps. van
    der Pol et al., "MDP homomorphic networks: group symmetries in reinforcement learning" (2020),
    section 4.1 and appendix B.3.

    Observations are pictures of 21 x 21 pixels that are 0 or 1: 3 x 3 pixels for a cell, the agent,
    a cross, in the middle, and the prey, a plus, where it is relative to the agent. The agent is
    drawn last, and hides the prey on its own cell. There are 49 of them, and they tell the state.

    Its symmetry is that of the square: one quarter turn sends the moves 1 -> 2 -> 3 -> 4 -> 1. The
    paper uses the four turns; mirrors are symmetries as well. Where the prey goes is random, so
    that the law holds for distributions, `P(g s' | g s, g a) = P(s' | s, a)`, not for single random
    numbers.

    Args:
        group: "D4", the turns and mirrorings; "C4", the turns; or "C2", the mirroring left to
            right.
        max_episode_steps: Steps after which an episode is truncated.

    Raises:
        ValueError: If an argument is not one of those.
    """

    name = "GridWorld"
    observation_shape = (SIZE * SPRITE, SIZE * SPRITE, 1)
    num_actions = len(MOVES)
    num_uniforms = 2  # for the prey's move and for the reset
    render_modes = ("ansi", "rgb_array")

    def __init__(self, group: str = "D4", max_episode_steps: int = 100) -> None:
        """Checks the arguments and builds the symmetry."""
        self.group = one_of("group", group, GROUPS)
        self.max_episode_steps = positive_integer("max_episode_steps", max_episode_steps)
        self.symmetry = board_symmetry(self.group, *self.observation_shape, MOVES)

    @property
    def symmetry_in_words(self) -> dict[str, str]:
        """See `BaseEnvironment.symmetry_in_words`."""
        return board_symmetry_in_words(self.group)

    def get_config(self) -> dict[str, Any]:
        """See `Environment.get_config`."""
        return {**super().get_config(), "group": self.group}

    def program_key(self) -> Hashable:
        """See `Environment.program_key`."""
        if type(self) is not GridWorld:
            return self
        return GridWorld, self.group, self.max_episode_steps

    def initial_state(self, uniforms: tf.Tensor) -> GridWorldState:
        """Draws where the prey is relative to the agent, each of 49 places alike.

        Args:
            uniforms: [..., 2] in [0, 1), of which the second is used.
        """
        # Also a number that its caller rounded up to 1 leaves the prey on the board.
        place = tf.minimum(tf.cast(tf.floor(uniforms[..., 1] * CELLS), tf.int32), CELLS - 1)
        return GridWorldState(place // SIZE, place % SIZE, tf.zeros_like(place))

    def observe(self, state: GridWorldState) -> tf.Tensor:
        """Returns the picture, [..., 21, 21, 1] float32."""
        return tf.gather(tf.constant(_PICTURES), state.row * SIZE + state.column)

    def transition(
        self, state: GridWorldState, action: tf.Tensor, uniforms: tf.Tensor
    ) -> tuple[GridWorldState, tf.Tensor, tf.Tensor]:
        """Moves the agent, then the prey; see `Environment.transition`."""
        bounds = tf.constant(1 - PREY_MOVES * np.array([1.0, 0.75, 0.5, 0.25]), uniforms.dtype)
        flight = tf.reduce_sum(tf.cast(uniforms[..., :1] >= bounds, tf.int32), axis=-1)
        return self._moved(state, action, flight)

    def outcomes(
        self, state: GridWorldState, action: tf.Tensor
    ) -> tuple[tf.Tensor, GridWorldState, tf.Tensor, tf.Tensor]:
        """The five moves of the prey; see `Environment.outcomes`."""
        zeros = tf.zeros([len(MOVES)], tf.int32)
        states = tf.nest.map_structure(lambda x: x[..., None] + zeros, state)
        flight = tf.zeros_like(states.steps) + tf.range(len(MOVES))
        probability = tf.where(flight == 0, 1 - PREY_MOVES, PREY_MOVES / (len(MOVES) - 1))
        return probability, *self._moved(states, tf.convert_to_tensor(action)[..., None], flight)

    def _moved(
        self, state: GridWorldState, action: tf.Tensor, flight: tf.Tensor
    ) -> tuple[GridWorldState, tf.Tensor, tf.Tensor]:
        """`transition`, with `flight` the prey's move."""
        rows, columns = tf.unstack(tf.constant(MOVES), axis=1)
        following = state._replace(
            row=(state.row - tf.gather(rows, action) + tf.gather(rows, flight)) % SIZE,
            column=(state.column - tf.gather(columns, action) + tf.gather(columns, flight)) % SIZE,
        )
        caught = (following.row == 0) & (following.column == 0)
        return following, tf.where(caught, 1.0, -0.1), caught

    def all_states(self) -> GridWorldState:
        """The 49 places of the prey; that on the agent is where an episode may start."""
        place = tf.range(CELLS)
        return GridWorldState(place // SIZE, place % SIZE, tf.zeros_like(place))

    def starts(self) -> tuple[tf.Tensor, GridWorldState]:
        """All states, each of them alike."""
        return tf.fill([CELLS], 1.0 / CELLS), self.all_states()

    def state_from_observation(self, observation: tf.Tensor) -> GridWorldState:
        """The state, at step 0, that is observed as `observation` [..., 21, 21, 1]."""
        # The agent's cross has no pixel where the prey's plus has its top.
        tops = observation[..., ::SPRITE, 1::SPRITE, 0] > 0.5
        tops = tf.reshape(tops, [*observation.shape[:-3], CELLS])
        cell = tf.argmax(tf.cast(tops, tf.int32), axis=-1, output_type=tf.int32)
        cell = tf.where(tf.reduce_any(tops, axis=-1), cell, CELLS // 2)
        row, column = cell // SIZE - MIDDLE, cell % SIZE - MIDDLE
        return GridWorldState(row % SIZE, column % SIZE, tf.zeros_like(cell))

    def observation_bounds(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """0 and 1."""
        return (
            np.zeros(self.observation_shape, np.float32),
            np.ones(self.observation_shape, np.float32),
        )

    def draw(self, state: GridWorldState, mode: str) -> NDArray[np.uint8] | str:
        """See `Environment.render`; what the agent sees, itself in the middle.

        In "ansi" the agent is "x", the prey "+", both on one cell "@", and an empty cell ".". In
        "rgb_array", 336 by 336 pixels, the observation is enlarged and coloured, and a prey on the
        agent's cell can be seen.
        """
        row, column = ((int(x) + MIDDLE) % SIZE for x in (state.row, state.column))
        together = row == column == MIDDLE
        if mode == "ansi":
            board = np.full([SIZE, SIZE], ".")
            board[row, column] = "+"
            board[MIDDLE, MIDDLE] = "@" if together else "x"
            return "\n".join("".join(cells) for cells in board)
        frame = np.full([*self.observation_shape[:2], 3], BACKGROUND, np.uint8)
        cells = frame.reshape(SIZE, SPRITE, SIZE, SPRITE, 3)  # a view
        cells[row, :, column][PLUS > 0] = PREY
        cells[MIDDLE, :, MIDDLE][CROSS > 0] = AGENT
        return frame.repeat(SCALE, axis=0).repeat(SCALE, axis=1)


def _pictures() -> NDArray[np.float32]:
    """[49, 21, 21, 1]: the observation of every state."""
    pictures = np.zeros([CELLS, SIZE, SPRITE, SIZE, SPRITE], np.float32)
    for place, picture in enumerate(pictures):
        row, column = place // SIZE + MIDDLE, place % SIZE + MIDDLE
        picture[row % SIZE, :, column % SIZE] = PLUS
        picture[MIDDLE, :, MIDDLE] = CROSS
    return pictures.reshape([CELLS, SIZE * SPRITE, SIZE * SPRITE, 1])


_PICTURES = _pictures()
