"""Steps per second of the control tasks, and how far each breaking takes them from their symmetry.

    python -m benchmarks.control

Speed is of random actions with resets: in one compiled program, and through gymnasium, one
environment at a time; of dm_control's own tasks, too, where that is installed. Breakings are
measured by `check_symmetry` at states that are drawn uniformly.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import numpy as np
import tensorflow as tf
from absl import flags

from benchmarks import common
from launchers.common import launch
from tf_equirl import envs
from tf_equirl.envs.breaking import BREAKINGS
from tf_equirl.experiments.tables import markdown_table

_REPEATS = flags.DEFINE_integer("repeats", 5, "of each measurement of speed", lower_bound=2)
_STATES = flags.DEFINE_integer("states", 2_000, "from which breakings are measured", lower_bound=1)

# Half widths of what states are drawn from.
RANGES = {
    "CartPole": (2.4, 2.0, 0.2095, 2.0),
    "CartPoleSwingup": (1.8, np.pi, 2.0, 6.0),
    "Acrobot": (np.pi, np.pi, 4.0, 6.0),
    "Reacher": (np.pi, 2.79, 4.0, 8.0),
}
KAPPAS = (0.0, 0.5, 1.0, 2.0)
OF_DM_CONTROL = {
    "CartPoleSwingup": ("cartpole", "swingup"),
    "Acrobot": ("acrobot", "swingup"),
    "Reacher": ("reacher", "hard"),
    "BallInCup": ("ball_in_cup", "catch"),
}
COPIES, COMPILED_STEPS, STEPS = 1024, 1000, 2000


def main() -> None:
    """Prints two tables."""
    machine = common.describe_machine()
    headings = ("task", f"compiled, {COPIES:,} copies", "gymnasium, one", "dm_control, one")
    print(markdown_table(headings, [_speeds(name) for name in (*RANGES, "BallInCup")]))
    headings = ("task", "breaking", *(f"kappa = {kappa:g}" for kappa in KAPPAS))
    print(markdown_table(headings, [row for name in RANGES for row in _breakings(name)]))
    common.finish(machine, [])


def _speeds(name: str) -> list[str]:
    compiled = through_gymnasium = of_dm_control = ""
    if name != "BallInCup":
        env = envs.make(name)
        program = _program(env)
        program(tf.constant(0))  # compiles
        seeds = iter(range(1, 1 + _REPEATS.value))
        compiled = _rate(lambda: program(tf.constant(next(seeds))).numpy(), COPIES * COMPILED_STEPS)
        through_gymnasium = _rate(*_steps_of_gymnasium(gymnasium.make(env.gymnasium_id)))
    if name in OF_DM_CONTROL:
        try:
            from dm_control import suite
        except ImportError:
            return [f"`{name}`", compiled, through_gymnasium, of_dm_control]
        of_dm_control = _rate(*_steps_of_dm_control(suite.load(*OF_DM_CONTROL[name])))
        if name == "BallInCup":
            from tf_equirl.envs.ball_in_cup import broken_ball_in_cup

            through_gymnasium = _rate(*_steps_of_gymnasium(broken_ball_in_cup()))
    return [f"`{name}`", compiled, through_gymnasium, of_dm_control]


def _rate(run: Callable[[], Any], steps: int) -> str:
    """Steps per second, with the standard deviation of the measurements."""
    rates = []
    for _ in range(_REPEATS.value):
        started = time.perf_counter()
        run()
        rates.append(steps / (time.perf_counter() - started))
    return f"{np.mean(rates):,.0f} +- {np.std(rates, ddof=1):,.0f}"


def _program(env: envs.Environment) -> Any:
    """From a seed to the return of all copies, so that nothing of the steps is left out."""
    distribution = env.action_distribution

    def run(seed: tf.Tensor) -> tf.Tensor:
        def step(i: tf.Tensor, state: Any, total: tf.Tensor) -> tuple:
            uniforms = tf.random.stateless_uniform(
                [COPIES, distribution.num_uniforms + env.num_uniforms], tf.stack([seed, i])
            )
            own = distribution.num_uniforms
            noise = distribution.sample(
                tf.zeros([COPIES, distribution.num_parameters]), uniforms[:, :own]
            )
            state, _, reward, _, _ = env.step_with_uniforms(
                state, distribution.executed(noise), uniforms[:, own:]
            )
            return i + 1, state, total + tf.reduce_sum(reward)

        start = (tf.constant(0), env.reset([1, 1], [COPIES]), tf.constant(0.0))
        return tf.while_loop(lambda i, *_: i < COMPILED_STEPS, step, start)[2]

    return tf.function(run, autograph=False, jit_compile=True)


def _steps_of_gymnasium(env: gymnasium.Env) -> tuple[Callable[[], None], int]:
    env.reset(seed=0)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(STEPS)]

    def run() -> None:
        for action in actions:
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()

    return run, STEPS


def _steps_of_dm_control(env: Any) -> tuple[Callable[[], None], int]:
    shape = (STEPS, *env.action_spec().shape)
    actions = np.random.default_rng(0).uniform(-1, 1, shape)
    env.reset()

    def run() -> None:
        for action in actions:
            env.step(action)  # which resets after the last

    return run, STEPS


def _breakings(name: str) -> list[Sequence[str]]:
    """Errors in steps, 90 % quantiles, and the share of states with more than a tenth of a step."""
    rows, plain = [], envs.make(name)
    ranges = np.array(RANGES[name])
    drawn = np.random.default_rng(0).uniform(-ranges, ranges, [_STATES.value, 4])
    state = plain.reset([0, 1], [_STATES.value])
    state = state._replace(physics=tf.constant(drawn, plain.dtype))
    observations = plain.observe(state).numpy()
    kinds = [kind for kind in BREAKINGS[1:] if (name, kind) != ("Reacher", "gravity")]
    for kind in kinds:
        cells = []
        for kappa in KAPPAS:
            env = envs.make(name, breaking=kind, kappa=kappa)
            report = envs.check_symmetry(env, states=observations)
            error = max(quantiles[1] for quantiles in report.next_state_quantiles)
            cells.append(f"{error:.2g}, {max(report.broken_share):.0%}")
        rows.append([f"`{name}`", kind, *cells])
    return rows


if __name__ == "__main__":
    launch(main, lambda: "Nothing is stored.")
