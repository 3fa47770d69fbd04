"""Snake as one writes it in plain Python, to be compared with ours."""

from __future__ import annotations

from collections import deque

import numpy as np

MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))


class PlainSnake:
    """One game. Its body is a list of cells, the head first.

    Args:
        picture: [height, width, 4] the observation that it begins with.
    """

    def __init__(self, picture):
        self.height, self.width, _ = picture.shape
        lifetimes = {tuple(cell): picture[(*cell, 2)] for cell in np.argwhere(picture[..., 2])}
        self.body = deque(sorted(lifetimes, key=lambda cell: -lifetimes[cell]))
        (self.food,) = map(tuple, np.argwhere(picture[..., 3]))
        head, neck = self.body[0], self.body[1]
        self.direction = MOVES.index((head[0] - neck[0], head[1] - neck[1]))

    def cells(self):
        return [(row, column) for row in range(self.height) for column in range(self.width)]

    def turned(self, action):
        """The direction that an action leads to."""
        return self.direction if abs(action - self.direction) == 2 else action

    def ahead(self, action):
        """The cell that it leads to, and whether the snake dies there."""
        (row, column), (down, right) = self.body[0], MOVES[self.turned(action)]
        cell = row + down, column + right
        body = list(self.body) if cell == self.food else list(self.body)[:-1]
        return cell, cell in body or cell not in self.cells()

    def step(self, action, uniform):
        """Reward, and whether it is over."""
        cell, dies = self.ahead(action)
        if dies:
            return -1.0, True
        self.direction = self.turned(action)
        self.body.appendleft(cell)
        if cell != self.food:
            self.body.pop()
            return 0.0, False
        free = [cell for cell in self.cells() if cell not in self.body]
        if not free:
            self.food = None
            return 1.0, True
        index = int(np.float32(uniform) * np.float32(len(free)))
        self.food = free[min(index, len(free) - 1)]
        return 1.0, False

    def picture(self):
        """[height, width, 4] float32."""
        picture = np.zeros([self.height, self.width, 4], np.float32)
        picture[(*self.body[0], 0)] = picture[(*self.body[1], 1)] = 1
        for i, cell in enumerate(reversed(self.body), 1):
            picture[(*cell, 2)] = np.float32(i) / np.float32(len(self.body))
        if self.food is not None:
            picture[(*self.food, 3)] = 1
        return picture

    def hungry(self, rng):
        """A move towards the food that does not end the game at once, mostly."""
        moves = rng.permutation(4).tolist()
        if rng.random() < 0.1:
            return moves[0]

        def cost(action):
            (row, column), dies = self.ahead(action)
            return 1000 * dies + abs(row - self.food[0]) + abs(column - self.food[1])

        return min(moves, key=cost)
