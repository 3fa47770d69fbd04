"""The game of catching a falling ball."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tf_equirl._checks import as_integer, integer, one_of, refuse, shown
from tf_equirl.envs.breaking import checked_breaking
from tf_equirl.envs.environment import Environment, first_where
from tf_equirl.groups import Symmetry, cyclic_group, permutation_representation
from tf_equirl.models.heads import CategoricalHead

# Weight of the paddle beside the ball in the distance between states, equation 4.33 of the thesis
# (whose text weights the ball instead).
PADDLE_WEIGHT = 0.13

LARGEST_BOARD = 1_000  # rows, and columns
WIND = 0.25  # probability, at strength 1, that a step blows the ball to the right

# Drawings: pixels per cell, and colours that also the colour-blind tell apart (Okabe and Ito).
CELL = 32
BACKGROUND = (250, 250, 250)
GRID = (205, 205, 205)
BALL = (213, 94, 0)
PADDLE = (0, 114, 178)


class CatchState(NamedTuple):
    """State of a game of catch: int32 tensors of any common shape [...]."""

    ball_column: tf.Tensor
    """0 is the leftmost column."""
    ball_row: tf.Tensor
    """0 is the top row."""
    paddle_column: tf.Tensor
    """The paddle is always in the last row."""
    steps: tf.Tensor
    """Steps of the episode so far."""


class Catch(Environment):
    """bsuite's Catch: move a paddle left (0), not at all (1) or right (2) to catch a ball.

    The ball starts in a uniformly drawn column of the top row and falls one row per step; the
    paddle starts in the middle of the last row and stops at the walls. The episode terminates when
    the ball is in the last row, after `rows - 1` steps, with reward 1 if the paddle is under it and
    -1 if not; every other reward is 0. Observations are the board: 1 where ball or paddle are, 0
    elsewhere. Osband et al., "Behaviour suite for reinforcement learning" (2020).

    No episode is ever truncated: `max_episode_steps` is `rows`, one more than the longest.

    Its symmetry is the mirror: C2 acts on the pixels by reversing the columns and on the actions by
    swapping left and right, P(g s' | g s, g a) = P(s' | s, a).

    It can be broken by degrees, by the kinds of Park et al., "Approximate equivariance in
    reinforcement learning" (2025), section 5.1; what they are on a board is ours. With probability
    kappa, drawn at every step: "gain", a move to the right goes two columns; "reflect", a move goes
    the other way while the paddle is right of the middle; "repeat", it is made twice there. With
    probability kappa / 4: "gravity", the ball falls one column further to the right, but not
    through the wall. `outcomes` lists both ends; `symmetry` is that of what is not broken.

    Args:
        rows: Height of the board, 2 to 1,000.
        columns: Width of the board; odd, 3 to 1,000.
        observation: "flat" for observations [rows * columns], row by row, or "board" for
            [rows, columns, 1].
        breaking: How the symmetry is broken: "none", "gain", "gravity", "reflect" or "repeat".
        kappa: How much, from 0, not at all, to 1.

    Raises:
        ValueError: If an argument is not one of those.
    """

    name = "Catch"
    symmetry_in_words = {
        "state": "the columns of the board are reversed (the mirror)",
        "action": "left and right change places, stay stays",
    }
    num_actions = 3
    num_uniforms = 1  # for the reset, and for what is broken
    random_transitions = False
    reset_options = ("ball_column",)
    render_modes = ("ansi", "rgb_array")

    def __init__(
        self,
        rows: int = 10,
        columns: int = 5,
        observation: str = "flat",
        breaking: str = "none",
        kappa: float = 1.0,
    ) -> None:
        """Checks the arguments and builds the symmetry."""
        rule = (
            "an integer of at least 2, at most 1,000: the ball falls from the first row to the last"
        )
        self.rows = integer("rows", rows, 2, LARGEST_BOARD, rule)
        rule = (
            "an odd integer of at least 3, at most 1,000: an even board has no middle column for "
            "the paddle to start in, so that its first states are not symmetric, and on a single "
            "column there is nothing to choose"
        )
        self.columns = integer("columns", columns, 3, LARGEST_BOARD, rule)
        if self.columns % 2 == 0:
            refuse("columns", rule, columns)
        self.observation = one_of("observation", observation, ("flat", "board"))
        self.observation_shape = (
            (self.rows * self.columns,) if observation == "flat" else (self.rows, self.columns, 1)
        )
        self.max_episode_steps = self.rows
        self.breaking = checked_breaking(breaking, kappa, most=1.0)
        self.random_transitions = self.breaking.kind != "none"
        group = cyclic_group(2)
        pixels = np.arange(self.rows * self.columns)
        mirrored = pixels.reshape(self.rows, self.columns)[:, ::-1].reshape(-1)
        self.symmetry = Symmetry(
            group,
            state=permutation_representation(group, np.stack([pixels, mirrored])),
            action=permutation_representation(group, [[0, 1, 2], [2, 1, 0]]),
        )

    def get_config(self) -> dict[str, Any]:
        """See `Environment.get_config`."""
        config = {
            **super().get_config(),
            "rows": self.rows,
            "columns": self.columns,
            "observation": self.observation,
        }
        if self.breaking.kind != "none":
            config |= {"breaking": self.breaking.kind, "kappa": self.breaking.kappa}
        return config

    def program_key(self) -> Hashable:
        """See `Environment.program_key`."""
        if type(self) is not Catch:
            return self
        board = self.rows, self.columns, self.observation
        return Catch, *board, self.max_episode_steps, self.breaking

    def initial_state(self, uniforms: tf.Tensor, ball_column: int | None = None) -> CatchState:
        """Drops a ball from a column drawn uniformly.

        Args:
            uniforms: [..., 1] in [0, 1).
            ball_column: The column to drop it from instead.
        """
        # Also a number that its caller rounded up to 1 leaves the ball on the board.
        drawn = tf.minimum(
            tf.cast(tf.floor(uniforms[..., 0] * self.columns), tf.int32), self.columns - 1
        )
        zeros = tf.zeros_like(drawn)
        return CatchState(
            ball_column=drawn if ball_column is None else zeros + ball_column,
            ball_row=zeros,
            paddle_column=zeros + self.columns // 2,
            steps=zeros,
        )

    def observe(self, state: CatchState) -> tf.Tensor:
        """Returns the board, [..., rows * columns] or [..., rows, columns, 1] float32."""
        count = self.rows * self.columns
        ball = tf.one_hot(state.ball_row * self.columns + state.ball_column, count)
        paddle = tf.one_hot((self.rows - 1) * self.columns + state.paddle_column, count)
        pixels = tf.maximum(ball, paddle)
        return tf.reshape(pixels, [*pixels.shape[:-1], *self.observation_shape])

    def transition(
        self, state: CatchState, action: tf.Tensor, uniforms: tf.Tensor
    ) -> tuple[CatchState, tf.Tensor, tf.Tensor]:
        """Moves the paddle, then the ball; see `Environment.transition`.

        A state whose ball is in the last row already is absorbing: nothing moves, the reward is 0.
        `uniforms` is used where the symmetry is broken.
        """
        happens = None
        if self.random_transitions:
            happens = uniforms[..., 0] < self._chance
        return self._moved(state, action, happens)

    def outcomes(
        self, state: CatchState, action: tf.Tensor
    ) -> tuple[tf.Tensor, CatchState, tf.Tensor, tf.Tensor]:
        """With what breaks the symmetry, and without; see `Environment.outcomes`."""
        if not self.random_transitions:
            return super().outcomes(state, action)
        zeros = tf.zeros([2], tf.int32)
        states = tf.nest.map_structure(lambda x: x[..., None] + zeros, state)
        happens = tf.broadcast_to(tf.constant([True, False]), states.steps.shape)
        probability = tf.where(happens, self._chance, 1.0 - self._chance)
        return probability, *self._moved(states, tf.convert_to_tensor(action)[..., None], happens)

    @property
    def _chance(self) -> float:
        """The probability of what breaks the symmetry."""
        return self.breaking.kappa * (WIND if self.breaking.kind == "gravity" else 1.0)

    def _moved(
        self, state: CatchState, action: tf.Tensor, happens: tf.Tensor | None
    ) -> tuple[CatchState, tf.Tensor, tf.Tensor]:
        """`transition`, with [...] bool: whether what breaks the symmetry happens."""
        over = self.is_terminal(state)
        move, blown = tf.cast(action, tf.int32) - 1, state.ball_column
        if happens is not None:
            right = state.paddle_column > self.columns // 2
            kind = self.breaking.kind
            if kind == "gravity":
                blown = tf.where(happens & ~over, tf.minimum(blown + 1, self.columns - 1), blown)
            elif kind == "gain":
                move = tf.where(happens & (move > 0), 2 * move, move)
            else:
                move = tf.where(happens & right, (-1 if kind == "reflect" else 2) * move, move)
        moved = tf.clip_by_value(state.paddle_column + move, 0, self.columns - 1)
        following = state._replace(
            ball_column=blown,
            ball_row=tf.where(over, state.ball_row, state.ball_row + 1),
            paddle_column=tf.where(over, state.paddle_column, moved),
        )
        return following, self.reward(state, action, following), self.is_terminal(following)

    def reward(self, state: CatchState, action: tf.Tensor, following: CatchState) -> tf.Tensor:
        """1 where the ball has just landed on the paddle, -1 beside it, else 0: [...] float32."""
        outcome = tf.where(following.paddle_column == following.ball_column, 1.0, -1.0)
        landed = self.is_terminal(following) & ~self.is_terminal(state)
        return tf.where(landed, outcome, 0.0)

    def is_terminal(self, state: CatchState) -> tf.Tensor:
        """Whether the ball is in the last row: [...] bool."""
        return state.ball_row == self.rows - 1

    @property
    def transition_head(self) -> CategoricalHead:
        """The ball's cell on the whole board, the last row included, and the paddle's column."""
        group, cells = self.symmetry.group, self.rows * self.columns
        columns = np.arange(self.columns)
        paddle = permutation_representation(group, np.stack([columns, columns[::-1]]))
        # Above the last row every pixel is the ball, in the last row the paddle.
        reading = np.zeros([cells, cells + self.columns], np.float32)
        last = cells - self.columns
        reading[np.arange(last), np.arange(last)] = 1
        reading[last + columns, cells + columns] = 1
        return CategoricalHead(
            factors=(self.symmetry.state, paddle),
            coordinates=(np.argwhere(np.ones([self.rows, self.columns])), columns[:, None]),
            weights=(1.0, PADDLE_WEIGHT),
            reading=reading,
        )

    def encode(self, state: CatchState) -> tf.Tensor:
        """One-hot vectors of the ball's cell and the paddle's column, [..., (rows + 1) columns]."""
        ball = tf.one_hot(
            state.ball_row * self.columns + state.ball_column, self.rows * self.columns
        )
        return tf.concat([ball, tf.one_hot(state.paddle_column, self.columns)], axis=-1)

    def decode(self, encoding: tf.Tensor) -> CatchState:
        """The state, at step 0, of the largest number of each part of `encoding`."""
        ball, paddle = tf.split(encoding, [self.rows * self.columns, self.columns], axis=-1)
        cell = tf.argmax(ball, axis=-1, output_type=tf.int32)
        return CatchState(
            ball_column=cell % self.columns,
            ball_row=cell // self.columns,
            paddle_column=tf.argmax(paddle, axis=-1, output_type=tf.int32),
            steps=tf.zeros_like(cell),
        )

    def all_states(self) -> CatchState:
        """Every place of ball and paddle with the ball above the last row."""
        places = np.argwhere(np.ones([self.rows - 1, self.columns, self.columns])).astype(np.int32)
        row, column, paddle = (tf.constant(values) for values in places.T)
        return CatchState(column, row, paddle, tf.zeros_like(row))

    def starts(self) -> tuple[tf.Tensor, CatchState]:
        """The ball in every column of the top row, the paddle in the middle."""
        column = tf.range(self.columns)
        zeros = tf.zeros_like(column)
        state = CatchState(column, zeros, zeros + self.columns // 2, zeros)
        return tf.fill([self.columns], 1.0 / self.columns), state

    def validate_states(self, state: CatchState, name: str = "state") -> None:
        """Checks that ball and paddle are on the board.

        Raises:
            ValueError: If one is not; the message says in which row.
        """
        super().validate_states(state, name)
        for field, size in (
            ("ball_column", self.columns),
            ("ball_row", self.rows),
            ("paddle_column", self.columns),
        ):
            values = np.asarray(getattr(state, field))
            outside = (values < 0) | (values >= size) | (values != np.floor(values))
            if outside.any():
                raise ValueError(
                    f"`{name}.{field}` must hold integers from 0 to {size - 1}: the board has "
                    f"{self.rows} rows and {self.columns} columns. Received: "
                    f"{first_where(outside, values, f'{name}.{field}')}"
                )

    def state_from_observation(self, observation: tf.Tensor) -> CatchState:
        """The state, at step 0, that is observed as `observation` [..., *observation_shape].

        A missed ball in the last row looks like the paddle: the ball is taken to be the left one of
        the two then. That changes neither what is observed nor, the state being absorbing, what
        follows.
        """
        batch_shape = observation.shape[: -len(self.observation_shape)]
        pixels = tf.reshape(observation, [*batch_shape, self.rows * self.columns]) > 0.5
        above, last = tf.split(pixels, [(self.rows - 1) * self.columns, self.columns], axis=-1)
        falling = tf.reduce_any(above, axis=-1)
        pixel = tf.argmax(tf.cast(above, tf.int32), axis=-1, output_type=tf.int32)
        index = tf.range(self.columns)
        left = tf.reduce_min(tf.where(last, index, self.columns), axis=-1)
        right = tf.reduce_max(tf.where(last, index, -1), axis=-1)
        return CatchState(
            ball_column=tf.where(falling, pixel % self.columns, left),
            ball_row=tf.where(falling, pixel // self.columns, self.rows - 1),
            paddle_column=right,
            steps=tf.zeros_like(pixel),
        )

    def observation_bounds(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """0 and 1."""
        return (
            np.zeros(self.observation_shape, np.float32),
            np.ones(self.observation_shape, np.float32),
        )

    def validate_reset_options(self, options: Mapping[str, Any] | None) -> dict[str, int]:
        """Checks `ball_column`.

        Raises:
            ValueError: If there are others, or it is not a column of the board.
        """
        checked = super().validate_reset_options(options)
        if "ball_column" in checked:
            column = as_integer(checked["ball_column"])
            if column is None or not 0 <= column < self.columns:
                raise ValueError(
                    "`options['ball_column']` must be an integer from 0 to "
                    f"{self.columns - 1}. Received: options={shown(options)}"
                )
            checked["ball_column"] = column
        return checked

    def draw(self, state: CatchState, mode: str) -> NDArray[np.uint8] | str:
        """See `Environment.render`.

        In "ansi" the ball is "o", the paddle "=", both in one cell "@", and an empty cell ".".
        In "rgb_array" a cell is 32 pixels wide and high; the ball is a disc, the paddle a bar.
        """
        row, column, paddle = int(state.ball_row), int(state.ball_column), int(state.paddle_column)
        if mode == "ansi":
            board = np.full([self.rows, self.columns], ".")
            board[-1, paddle] = "="
            board[row, column] = "@" if board[row, column] == "=" else "o"
            return "\n".join("".join(cells) for cells in board)
        frame = np.full([self.rows * CELL, self.columns * CELL, 3], BACKGROUND, np.uint8)
        for line in (frame[::CELL], frame[:, ::CELL], frame[-1], frame[:, -1]):
            line[...] = GRID
        cells = frame.reshape(self.rows, CELL, self.columns, CELL, 3)  # a view
        cells[-1, 24:29, paddle, 3:30] = PADDLE
        down, right = np.mgrid[:CELL, :CELL]
        cells[row, :, column][np.hypot(down - 13, right - 16) < 10] = BALL
        return frame
