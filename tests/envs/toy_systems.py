"""Small systems whose symmetries are known on paper, as gymnasium environments."""

from __future__ import annotations

import gymnasium
import numpy as np
import tensorflow as tf
from gymnasium.envs.classic_control.pendulum import PendulumEnv

from tf_equirl import envs


class System(gymnasium.Env):
    """x'' = force(x, v) + push, in semi-implicit Euler steps; reward -|x|^2.

    Args:
        dim: Numbers of x, and of v; a state is (x, v).
        force: From x and v to [dim].
        pushes: [n, dim] discrete actions; None for one continuous push on each coordinate.
        extra: Further numbers that a state ends in: `extra(state, action)` follows them.
        start: [dim] around which x starts.
    """

    def __init__(self, dim, force, pushes=None, extra=None, extra_dim=0, start=0.0):
        self.dim, self.force, self.pushes = dim, force, pushes
        self.extra, self.extra_dim, self.start = extra, extra_dim, start
        size = 2 * dim + extra_dim
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float64)
        self.action_space = (
            gymnasium.spaces.Box(-1, 1, (dim,), np.float64)
            if pushes is None
            else gymnasium.spaces.Discrete(len(pushes))
        )
        self.state = np.zeros(size)

    def reward(self, position):
        return -float(np.sum(position**2))

    def over(self, position):
        return False

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state = self.np_random.normal(size=len(self.state))
        self.state[: self.dim] += np.asarray(self.start)
        self.count = 0
        return self.state.copy(), {}

    def step(self, action):
        dim = self.dim
        position, velocity = self.state[:dim], self.state[dim : 2 * dim]
        push = action if self.pushes is None else self.pushes[action]
        new_velocity = velocity + 0.1 * (self.force(position, velocity) + push)
        new_position = position + 0.1 * new_velocity
        rest = self.extra(self.state) if self.extra else self.state[2 * dim :]
        self.state = np.concatenate([new_position, new_velocity, rest])
        self.count += 1
        reward = self.reward(position)
        return self.state.copy(), reward, self.over(position), self.count >= 20, {}


def ring(chiral=0.0, odd=0.0, count=3):
    """Carts on a ring, each drawn to the next; `odd` breaks x -> -x, `chiral` the reflections."""

    def force(x, v):
        left, right = np.roll(x, 1), np.roll(x, -1)
        return left + right - 2 * x - x**3 + odd * x**2 - 0.1 * v + chiral * (right - left)

    return System(count, force)


def plane(skew=0.0, start=0.0):
    """A particle in the potential (x^4 + y^4) / 4, pushed along the axes; D4 where skew is 0."""
    pushes = np.array([[1, 0], [0, 1], [-1, 0], [0, -1], [0, 0]])
    return System(2, lambda x, v: -(x**3) - np.array([skew * x[0], 0]), pushes, start=start)


def particles(count=2):
    """Particles in a plane: D4 turns all of them, and they can be exchanged."""

    def force(x, v):
        x = x.reshape(count, 2)
        gaps = x[:, None] - x
        repulsion = (gaps / (1 + np.sum(gaps**2, axis=-1, keepdims=True))).sum(axis=1)
        return (repulsion - x**3).reshape(-1)

    return System(2 * count, force)


class WindyCartPole(envs.CartPole):
    """A steady wind from the left: 2 % of the velocity that a push gives."""

    def transition(self, state, action, uniforms):
        following, reward, terminated = super().transition(state, action, uniforms)
        wind = tf.constant([0.0, 0.004, 0.0, 0.0])
        return following._replace(physics=following.physics + wind), reward, terminated


class OneSidedPendulum(PendulumEnv):
    """Friction where its speed exceeds `threshold` rad/s, to the left only; hangs at the start."""

    def __init__(self, threshold=0.0, friction=0.1):
        super().__init__()
        self.threshold, self.friction = threshold, friction

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state = np.array([np.pi + self.np_random.uniform(-0.1, 0.1), 0.0])
        self.last_u = None
        return self._get_obs(), {}

    def step(self, u):
        _, reward, terminated, truncated, info = super().step(u)
        angle, speed = self.state
        if speed > self.threshold:
            self.state = np.array([angle, speed - self.friction * (speed - self.threshold)])
        return self._get_obs(), reward, terminated, truncated, info
