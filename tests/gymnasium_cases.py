"""Environments of gymnasium's for tests: small, and with something to get wrong; an agent."""

from typing import ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

from tf_equirl.agents import PPOConfig

AGENT = PPOConfig(
    actor="mlp",
    hidden_units=(4,),
    total_timesteps=48,
    num_environments=2,
    rollout_steps=8,
    num_epochs=1,
    num_minibatches=2,
    learning_rate=1e-2,
)


class Counter(gymnasium.Env):
    """Counts up from a start that the seed decides, to 5 or for 3 steps.

    The observation is (count, steps of the episode); the second action adds 2 to the count. `made`
    and `stepped` count over all instances.
    """

    metadata: ClassVar = {"render_modes": ["rgb_array"], "render_fps": 7}
    made, stepped = 0, 0

    def __init__(self, nan_from=None, fails_at=None, render_mode=None):
        self.observation_space = spaces.Box(-100, 100, (2,), np.float64)
        self.action_space = spaces.Discrete(2, start=3)
        self.nan_from, self.fails_at, self.render_mode = nan_from, fails_at, render_mode
        self.total = 0  # steps of all episodes
        type(self).made += 1

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count, self.steps = int(self.np_random.integers(0, 4)), 0
        return self._seen(), {}

    def step(self, action):
        assert self.action_space.contains(int(action))
        assert self.count < 5 and self.steps < 3, "stepped after the end"
        type(self).stepped += 1
        self.count += 1 + int(action) - 3
        self.steps += 1
        self.total += 1
        if self.total == self.fails_at:
            raise RuntimeError("the simulator crashed")
        return self._seen(), float(self.count), self.count >= 5, self.steps >= 3, {}

    def render(self):
        return np.full([4, 4, 3], self.count, np.uint8)

    def _seen(self):
        broken = self.nan_from is not None and self.total >= self.nan_from
        return np.array([np.nan if broken else self.count, self.steps], np.float64)


class Slide(gymnasium.Env):
    """A point that a force in a box moves, in a Dict of observations; it never ends."""

    def __init__(self, low=-1.0, high=1.0):
        self.observation_space = spaces.Dict(
            {
                "velocity": spaces.Box(-np.inf, np.inf, (1,), np.float32),
                "at": spaces.Box(-9, 9, (2,), np.float32),
            }
        )
        self.action_space = spaces.Box(
            np.full([1, 2], low), np.full([1, 2], high), dtype=np.float32
        )

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at = self.np_random.uniform(-1, 1, 2)
        return self._seen(np.zeros(2)), {}

    def step(self, action):
        assert self.action_space.contains(action)
        self.at = np.clip(self.at + action[0], -9, 9)
        return self._seen(action[0]), -float(np.square(self.at).sum()), False, False, {}

    def _seen(self, moved):
        return {"velocity": np.float32([np.abs(moved).sum()]), "at": np.float32(self.at)}
