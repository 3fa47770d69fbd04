"""Pong of the Arcade Learning Environment, seen so that a mirror of the court stays exact."""

from __future__ import annotations

from collections import deque
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from tf_equirl._checks import integer, positive_integer, refuse
from tf_equirl.envs.host import HostEnvironment
from tf_equirl.groups import (
    Symmetry,
    cyclic_group,
    image_representation,
    permutation_representation,
)

TOP, BOTTOM = 34, 194
"""Rows of the screen between which the court lies, walls left out: as many above its middle as
below."""
SIZE = 80
_COURT = BOTTOM - TOP  # rows, and columns
MOST_FRAMES = 16
_ACTIONS = (0, 3, 4)  # of ALE: NOOP, and RIGHT and LEFT, which move the paddle up and down
_BYTES_OF_SCREEN = (210, 160)


class PongPictures(gymnasium.Env):
    """Pong as pictures [size, size, frames], uint8, and three actions: 0 nothing, 1 up, 2 down.

    As in Mnih et al. (2015), "Human-level control through deep reinforcement learning", but for
    what breaks the mirror: the court alone is seen, rows 34 to 193, without scores and walls; and
    of every 2 x 2 pixels the mean is taken, where leaving out every second row, as van der Pol et
    al. (2020, appendix B.4) do, would move the picture by one row when it is mirrored.
    An action is held for `frame_skip` frames; of the last two the brighter pixels are seen. The
    last `frames` pictures are the channels, the newest last. Episodes begin with 1 to
    `most_noops` frames without an action, drawn from the seed, and end when somebody has 21 points.

    Args:
        frames: Pictures that are seen at once, 1 to 16.
        frame_skip: Frames for which an action is held, at least 1.
        most_noops: The most frames without an action at the start of an episode, at least 1.
        size: Rows and columns of a picture, which divide 160: 80 as published. Smaller ones cost
            less; of so many pixels of the screen as fit into one of theirs the mean is seen.

    Raises:
        ValueError: If an argument is not one of those.
        ImportError: If ale-py is not installed (the extra "atari"; its licence is GPL-2.0).
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 15}

    def __init__(
        self, frames: int = 4, frame_skip: int = 4, most_noops: int = 30, size: int = SIZE
    ) -> None:
        """Checks the arguments and starts the emulator."""
        frames = integer("frames", frames, 1, MOST_FRAMES)
        self._size = _checked_size(size)
        self._skip = positive_integer("frame_skip", frame_skip, 1000)
        self._most_noops = positive_integer("most_noops", most_noops, 1000)
        try:
            import ale_py
        except ImportError as error:
            raise ImportError(
                "Pong needs ale-py: pip install 'tf_equirl[atari]' (its licence is GPL-2.0)"
            ) from error
        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
        self._ale = ale_py.ALEInterface()
        self._ale.setFloat("repeat_action_probability", 0.0)
        self._rom = ale_py.roms.get_rom_path("pong")
        self._load(0)
        self._screens = [np.zeros(_BYTES_OF_SCREEN, np.uint8) for _ in range(2)]
        self._frames: deque[NDArray[np.uint8]] = deque(maxlen=frames)
        self.observation_space = gymnasium.spaces.Box(0, 255, (size, size, frames), np.uint8)
        self.action_space = gymnasium.spaces.Discrete(len(_ACTIONS))
        self.render_mode = "rgb_array"

    def _load(self, seed: int) -> None:
        self._ale.setInt("random_seed", seed)
        self._ale.loadROM(self._rom)  # type: ignore[arg-type]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Begins an episode; see gymnasium."""
        super().reset(seed=seed)
        if seed is not None:
            self._load(int(self.np_random.integers(2**31 - 1)))
        self._ale.reset_game()
        for _ in range(int(self.np_random.integers(1, self._most_noops + 1))):
            self._ale.act(0)
        for screen in self._screens:
            self._ale.getScreenGrayscale(screen)
        picture = self._picture()
        self._frames.extend([picture] * self._frames.maxlen)  # type: ignore[operator]
        return self._seen(), {}

    def step(self, action: Any) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """Holds an action for some frames; see gymnasium."""
        reward = 0.0
        for frame in range(self._skip):
            reward += self._ale.act(_ACTIONS[int(action)])
            if frame >= self._skip - 2:
                self._ale.getScreenGrayscale(self._screens[frame % 2])
            if self._ale.game_over():
                break
        self._frames.append(self._picture())
        return self._seen(), reward, self._ale.game_over(), False, {}

    def render(self) -> NDArray[np.uint8]:
        """The screen, [210, 160, 3] uint8."""
        return self._ale.getScreenRGB()

    def _picture(self) -> NDArray[np.uint8]:
        court = np.maximum(*self._screens)[TOP:BOTTOM].astype(np.uint32)
        side = _COURT // self._size
        blocks = court.reshape(self._size, side, self._size, side).sum(axis=(1, 3))
        return ((blocks + side**2 // 2) // side**2).astype(np.uint8)

    def _seen(self) -> NDArray[np.uint8]:
        return np.stack(self._frames, axis=-1)


def pong(
    frames: int = 4, frame_skip: int = 4, most_noops: int = 30, size: int = SIZE
) -> HostEnvironment:
    """Pong with the mirror that exchanges up and down, `envs.make("tf_equirl.envs.atari:pong")`.

    Pictures are of bytes: give networks `picture_scale=1/255`. The mirror is exact in what is seen.
    Whether the game itself keeps it is another question; docs/pictures.md says what is known.

    Args:
        frames: See `PongPictures`.
        frame_skip: Likewise.
        most_noops: Likewise.
        size: Likewise.

    Raises:
        ValueError: See `PongPictures`.
        ImportError: If ale-py is not installed.
    """
    frames, size = integer("frames", frames, 1, MOST_FRAMES), _checked_size(size)
    mirror = cyclic_group(2)

    def make() -> gymnasium.Env:
        return PongPictures(frames, frame_skip, most_noops, size)

    upside_down = image_representation(mirror, size, size, frames, turns=[0, 2], flips=[0, 1])
    moves = permutation_representation(mirror, [[0, 1, 2], [0, 2, 1]])
    return HostEnvironment(make, Symmetry(mirror, upside_down, moves), name="Pong")


def _checked_size(size: int) -> int:
    found = positive_integer("size", size, _COURT)
    if _COURT % found:
        refuse("size", f"a divisor of {_COURT}", size)
    return found
