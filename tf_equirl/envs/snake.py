"""The game of Snake."""

from __future__ import annotations

import itertools
from collections.abc import Hashable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tf_equirl._checks import integer, one_of, positive_integer, refuse
from tf_equirl.envs.boards import GROUPS, board_symmetry, board_symmetry_in_words
from tf_equirl.envs.environment import Environment, select

MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))  # rows, columns
START_LENGTH = 3
SMALLEST_BOARD, LARGEST_BOARD = 5, 100  # rows, and columns

# Drawings: pixels per cell, and colours, those of Catch.
CELL = 32
BACKGROUND = (250, 250, 250)
GRID = (205, 205, 205)
BODY = (0, 114, 178)
FOOD = (213, 94, 0)
HEADS = "^>v<"


class SnakeState(NamedTuple):
    """State of a game of Snake: int32 tensors, batched over any leading dimensions.

    Cells are counted row by row.
    """

    lifetimes: tf.Tensor
    """[..., cells]: in how many steps without food the body leaves a cell, 0 where it is not. The
    head's is the length of the body."""
    head: tf.Tensor
    """[...]: the cell of the head."""
    direction: tf.Tensor
    """[...]: the move that led there."""
    food: tf.Tensor
    """[...]: the cell of the food; -1 where the body fills the board."""
    steps: tf.Tensor
    """[...]: steps of the episode so far."""


class Snake(Environment):
    """Snake: move up (0), right (1), down (2) or left (3), eat, and run into nothing.

    A move straight back is not made; the snake goes on as it went. Food is worth 1, and makes the
    body one cell longer; the next food lies on a cell drawn uniformly from those that are free.
    Running into a wall or the body gives -1 and terminates the episode, and the snake stays as it
    was; the cell that the tail leaves in the same step may be entered. A body that fills the board
    terminates the episode, too. Every other reward is 0.

    The body starts straight, 3 cells long. Its head is in the middle of the board, one of the two
    or four middle cells where a side is even; where it looks is drawn uniformly.

    Observations are pictures [height, width, 4]: 1 on the cell of the head; 1 on the cell behind
    it, which tells the direction; of every cell of the body, its lifetime divided by the length,
    1 at the head down to 1 / length at the tail, so that numbers stay in (0, 1] and their count
    tells the length; and 1 on the food. They tell the state. Walls are not drawn.

    Its symmetry is that of the square: one quarter turn sends up to left, left to down and so on.
    Where the food goes is random, so that the law holds for distributions,
    `P(g s' | g s, g a) = P(s' | s, a)`, not for single random numbers.

    Args:
        height: Rows of the board, 5 to 100.
        width: Columns of the board, 5 to 100; equal to `height` unless the group is "C2".
        group: "D4", the turns and mirrorings; "C4", the turns; or "C2", the mirroring left to
            right.
        max_episode_steps: Steps after which an episode is truncated. A snake may go round in
            circles for ever.

    Raises:
        ValueError: If an argument is not one of those.
    """

    name = "Snake"
    num_actions = len(MOVES)
    num_uniforms = 3  # for the next food; for the reset's snake and its food
    render_modes = ("ansi", "rgb_array")
    render_fps = 8

    def __init__(
        self,
        height: int = 9,
        width: int = 9,
        group: str = "D4",
        max_episode_steps: int = 1_000,
    ) -> None:
        """Checks the arguments, builds the symmetry and lists the starts."""
        self.height = integer("height", height, SMALLEST_BOARD, LARGEST_BOARD)
        self.width = integer("width", width, SMALLEST_BOARD, LARGEST_BOARD)
        self.group = one_of("group", group, GROUPS)
        if self.height != self.width and self.group != "C2":
            rule = f"equal to `height`, {self.height}, as {self.group} turns the board by quarters"
            refuse("width", rule, width)
        self.max_episode_steps = positive_integer("max_episode_steps", max_episode_steps)
        self.observation_shape = (self.height, self.width, 4)
        self.symmetry = board_symmetry(self.group, *self.observation_shape, MOVES)
        self._first = self._first_snakes()

    @property
    def symmetry_in_words(self) -> dict[str, str]:
        """See `BaseEnvironment.symmetry_in_words`."""
        return board_symmetry_in_words(self.group)

    def get_config(self) -> dict[str, Any]:
        """See `Environment.get_config`."""
        return {
            **super().get_config(),
            "height": self.height,
            "width": self.width,
            "group": self.group,
        }

    def program_key(self) -> Hashable:
        """See `Environment.program_key`."""
        if type(self) is not Snake:
            return self
        return Snake, self.height, self.width, self.group, self.max_episode_steps

    def initial_state(self, uniforms: tf.Tensor) -> SnakeState:
        """Draws a snake and its food.

        Args:
            uniforms: [..., 3] in [0, 1), of which the second draws the snake and the third the
                food.
        """
        lifetimes, heads, directions = self._first
        index = _drawn(uniforms[..., 1], tf.constant(len(heads)))
        body = tf.gather(tf.constant(lifetimes), index)
        return SnakeState(
            lifetimes=body,
            head=tf.gather(tf.constant(heads), index),
            direction=tf.gather(tf.constant(directions), index),
            food=_free_cell(body, uniforms[..., 2]),
            steps=tf.zeros_like(index),
        )

    def observe(self, state: SnakeState) -> tf.Tensor:
        """Returns head, cell behind it, body and food, [..., height, width, 4] float32."""
        cells = self.height * self.width
        rows, columns = tf.unstack(tf.constant(MOVES), axis=1)
        behind = state.head - tf.gather(rows * self.width + columns, state.direction)
        body = tf.cast(state.lifetimes, tf.float32)
        channels = [
            tf.one_hot(state.head, cells),
            tf.one_hot(behind, cells),
            body / tf.reduce_max(body, axis=-1, keepdims=True),
            tf.one_hot(state.food, cells),
        ]
        return tf.reshape(
            tf.stack(channels, axis=-1), [*state.steps.shape, *self.observation_shape]
        )

    def transition(
        self, state: SnakeState, action: tf.Tensor, uniforms: tf.Tensor
    ) -> tuple[SnakeState, tf.Tensor, tf.Tensor]:
        """Moves the snake; see `Environment.transition`."""
        moved, eats, reward, terminated = self._moved(state, action)
        food = _free_cell(moved.lifetimes, uniforms[..., 0])
        return moved._replace(food=tf.where(eats, food, state.food)), reward, terminated

    def outcomes(
        self, state: SnakeState, action: tf.Tensor
    ) -> tuple[tf.Tensor, SnakeState, tf.Tensor, tf.Tensor]:
        """For every cell, that food appears there; see `Environment.outcomes`.

        Where none is eaten, or no cell is free, the first outcome stands for the only one.
        """
        moved, eats, reward, terminated = self._moved(state, action)
        free = tf.cast(moved.lifetimes == 0, tf.float32)
        count = tf.reduce_sum(free, axis=-1, keepdims=True)
        drawn = eats[..., None] & (count > 0)
        cells = tf.range(self.height * self.width)
        only = tf.cast(cells == 0, tf.float32)
        probability = tf.where(drawn, free / tf.maximum(count, 1), only)
        food = tf.where(drawn, cells, tf.where(eats, -1, state.food)[..., None])
        following = SnakeState(
            lifetimes=tf.broadcast_to(
                moved.lifetimes[..., None, :], [*food.shape, self.height * self.width]
            ),
            head=_spread(moved.head, food),
            direction=_spread(moved.direction, food),
            food=food,
            steps=_spread(moved.steps, food),
        )
        return probability, following, _spread(reward, food), _spread(terminated, food)

    def _moved(
        self, state: SnakeState, action: tf.Tensor
    ) -> tuple[SnakeState, tf.Tensor, tf.Tensor, tf.Tensor]:
        """The next state with the food as before, whether that is eaten, reward and end."""
        action = tf.cast(action, tf.int32)
        back = (state.direction + 2) % len(MOVES)
        direction = tf.where(action == back, state.direction, action)
        rows, columns = tf.unstack(tf.constant(MOVES), axis=1)
        row = state.head // self.width + tf.gather(rows, direction)
        column = state.head % self.width + tf.gather(columns, direction)
        outside = (row < 0) | (row >= self.height) | (column < 0) | (column >= self.width)
        head = row * self.width + column
        eats = ~outside & (head == state.food)
        there = tf.range(self.height * self.width) == head[..., None]
        growth = tf.cast(eats, tf.int32)[..., None]
        length = tf.reduce_max(state.lifetimes, axis=-1, keepdims=True)
        left = tf.maximum(state.lifetimes + growth - 1, 0)
        over = outside | tf.reduce_any(there & (left > 0), axis=-1)
        lifetimes = tf.where(there, length + growth, left)
        moved = SnakeState(lifetimes, head, direction, state.food, state.steps)
        filled = eats & tf.reduce_all(lifetimes > 0, axis=-1)
        reward = tf.where(over, -1.0, tf.cast(eats, tf.float32))
        return select(over, state, moved), eats, reward, over | filled

    def state_from_observation(self, observation: tf.Tensor) -> SnakeState:
        """The state, at step 0, that is observed as `observation` [..., height, width, 4]."""
        cells = self.height * self.width
        picture = tf.reshape(observation, [*observation.shape[:-3], cells, 4])
        head, behind, body, food = tf.unstack(picture, axis=-1)
        length = tf.reduce_sum(tf.cast(body > 0.5 / cells, tf.float32), axis=-1, keepdims=True)
        head, behind, place = (
            tf.argmax(x, axis=-1, output_type=tf.int32) for x in (head, behind, food)
        )
        rows, columns = tf.unstack(tf.constant(MOVES), axis=1)
        steps = rows * self.width + columns
        direction = tf.argmax(
            tf.cast((head - behind)[..., None] == steps, tf.int32), axis=-1, output_type=tf.int32
        )
        return SnakeState(
            lifetimes=tf.cast(tf.round(body * length), tf.int32),
            head=head,
            direction=direction,
            food=tf.where(tf.reduce_any(food > 0.5, axis=-1), place, -1),
            steps=tf.zeros_like(head),
        )

    def observation_bounds(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """0 and 1."""
        return (
            np.zeros(self.observation_shape, np.float32),
            np.ones(self.observation_shape, np.float32),
        )

    def draw(self, state: SnakeState, mode: str) -> NDArray[np.uint8] | str:
        """See `Environment.render`.

        In "ansi" the head is "^", ">", "v" or "<", as it looks, the body "o", the food "*" and a
        free cell ".". In "rgb_array" a cell is 32 pixels wide and high; the body pales towards the
        tail, the head has two eyes, and the food is a disc.
        """
        board = np.reshape(state.lifetimes, [self.height, self.width])
        head, food = int(state.head), int(state.food)
        if mode == "ansi":
            cells = np.where(board > 0, "o", ".").reshape(-1)
            cells[head] = HEADS[int(state.direction)]
            if food >= 0:
                cells[food] = "*"
            return "\n".join("".join(row) for row in cells.reshape(board.shape))
        return _frame(board, divmod(head, self.width), int(state.direction), food)

    def _first_snakes(self) -> tuple[NDArray[np.int32], ...]:
        """Of every start: lifetimes [n, cells], heads [n] and directions [n]."""
        middles = ({(side - 1) // 2, side // 2} for side in (self.height, self.width))
        places = list(itertools.product(*middles, range(len(MOVES))))
        boards = np.zeros([len(places), self.height, self.width], np.int32)
        for board, (row, column, direction) in zip(boards, places, strict=True):
            down, right = MOVES[direction]
            for i in range(START_LENGTH):
                board[row - i * down, column - i * right] = START_LENGTH - i
        lifetimes = boards.reshape([len(places), -1])
        directions = np.array([direction for *_, direction in places], np.int32)
        return lifetimes, lifetimes.argmax(axis=1).astype(np.int32), directions


def _drawn(uniform: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """One of 0 .. count - 1; -1 where there are none."""
    # Also a number that its caller rounded up to 1 draws one of them.
    return tf.minimum(
        tf.cast(tf.floor(uniform * tf.cast(count, uniform.dtype)), tf.int32), count - 1
    )


def _spread(x: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """x [...], repeated along the last axis of `like` [..., k]."""
    return tf.broadcast_to(x[..., None], like.shape)


def _free_cell(lifetimes: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
    """A free cell, each of them alike; -1 where there is none."""
    free_up_to = tf.cumsum(tf.cast(lifetimes == 0, tf.int32), axis=-1)
    count = free_up_to[..., -1]
    index = _drawn(uniform, count)
    cell = tf.reduce_sum(tf.cast(free_up_to <= index[..., None], tf.int32), axis=-1)
    return tf.where(count > 0, cell, -1)


def _frame(
    board: NDArray[np.int32], head: tuple[int, int], direction: int, food: int
) -> NDArray[np.uint8]:
    """A picture that turns and mirrors as the board does."""
    height, width = board.shape
    frame = np.full([height * CELL, width * CELL, 3], GRID, np.uint8)
    cells = frame.reshape(height, CELL, width, CELL, 3).swapaxes(1, 2)  # a view
    cells[:, :, 1:-1, 1:-1] = BACKGROUND
    shades = 0.3 + 0.7 * (board / board.max())[board > 0]
    colours = np.array(BACKGROUND) + shades[:, None] * (np.array(BODY) - BACKGROUND)
    cells[:, :, 1:-1, 1:-1][board > 0] = np.rint(colours)[:, None, None]
    down, right = np.mgrid[:CELL, :CELL] - (CELL - 1) / 2
    ahead, aside = MOVES[direction], MOVES[(direction + 1) % len(MOVES)]
    for side in (-6, 6):
        y, x = (8 * a + side * b for a, b in zip(ahead, aside, strict=True))
        cells[head][np.hypot(down - y, right - x) < 3] = BACKGROUND
    if food >= 0:
        cells[divmod(food, width)][np.hypot(down, right) < 10] = FOOD
    return frame
