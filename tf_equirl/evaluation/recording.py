"""Pictures of one episode."""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium
import keras
import numpy as np
import tensorflow as tf

from tf_equirl._checks import cut, flag, random_seed
from tf_equirl.envs import BaseEnvironment, HostEnvironment
from tf_equirl.envs.checks import check_environment
from tf_equirl.envs.registry import environment_of
from tf_equirl.evaluation import host
from tf_equirl.evaluation.fitting import check_policy
from tf_equirl.training.collect import act, num_uniforms
from tf_equirl.training.episodes import start_uniforms
from tf_equirl.training.host_episodes import action_numbers, check_ends, first_seeds


class Recording(NamedTuple):
    """One episode."""

    frames: list[Any]
    """Every state from the first to the final one, as the environment draws it."""
    episode_return: float
    """The sum of its rewards."""


def record(
    model: keras.Model,
    env: BaseEnvironment | str,
    seed: int = 0,
    greedy: bool = True,
    mode: str = "rgb_array",
) -> Recording:
    """Plays one episode and draws it; it starts as the first one of `evaluate` with this seed.

    Args:
        model: See `evaluate`.
        env: The environment or its name; one that has pictures.
        seed: An integer in [0, 2^31).
        greedy: See `evaluate`.
        mode: "rgb_array" for frames [height, width, 3] uint8, "ansi" for texts.

    Raises:
        ValueError: If an argument is not one of those, or the model's shapes do not fit.
        CannotDraw: If the environment fails to draw itself here.
    """
    env = environment_of(env)
    check_environment(env)
    check_policy(model, env)
    seed = random_seed(seed)
    greedy = flag("greedy", greedy)
    env.validate_render_mode(mode, "mode")
    if isinstance(env, HostEnvironment):
        return _record_on_host(model, env, seed, greedy, mode)

    own = env.action_distribution.num_uniforms

    def policy(observation):
        return model(observation[None], training=False)[0]

    @tf.function(autograph=False)
    def step(state, uniforms):
        return act(env, policy, state, uniforms[:own], uniforms[own:], greedy)

    generator = np.random.default_rng([seed, 1])  # a stream apart from that of the start states
    state = env.initial_state(tf.constant(start_uniforms(seed, 1, env.num_uniforms)[0]))
    frames, total = [env.render(state, mode)], 0.0
    ended = False
    while not ended:
        taken = step(state, tf.constant(generator.random(num_uniforms(env), np.float32)))
        state, ended = taken.next_state, bool(taken.terminated | taken.truncated)
        frames.append(env.render(state, mode))
        total += float(taken.reward)
    return Recording(frames, total)


class CannotDraw(ValueError):
    """An environment has pictures, and they cannot be drawn on this machine."""


def _drawn(made: gymnasium.Env, env: HostEnvironment) -> Any:
    """The first frame."""
    try:
        return made.render()
    except Exception as error:  # whatever graphics raise
        raise CannotDraw(
            f"`env` must be able to draw itself on this machine. Received: env={env.name}, whose "
            f"render() raised {type(error).__name__}: {cut(str(error), 300)}. MuJoCo draws without "
            "a screen where MUJOCO_GL=egl or MUJOCO_GL=osmesa is set and that library is installed"
        ) from error


def _record_on_host(
    model: keras.Model, env: HostEnvironment, seed: int, greedy: bool, mode: str
) -> Recording:
    policy = host.policy_of(model, env, greedy)
    made = env.make_env(render_mode=mode)
    try:
        numbers = action_numbers(seed, 0)
        seen = made.reset(seed=int(first_seeds(seed, 0, 1)[0]))[0]
        frames, total, ended = [_drawn(made, env)], 0.0, False
        while not ended:
            actions, is_nan = policy(env.observed(seen)[np.newaxis], numbers)
            host.check_numbers(model, is_nan)
            seen, reward, terminated, truncated, _ = made.step(env.given(actions[0])[0])
            frames.append(made.render())
            total += float(reward)
            ended = bool(terminated or truncated)
            check_ends(env, len(frames) - 1)
    finally:
        made.close()
    return Recording(frames, total)
