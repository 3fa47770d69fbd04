"""The grid world of "MDP Homomorphic Networks" (van der Pol et al., 2020, section 4.1, B.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tf_equirl import envs
from tf_equirl.agents import PPOConfig, TrainingResult
from tf_equirl.experiments.experiment import Column, Experiment
from tf_equirl.experiments.savings import steps_of_half
from tf_equirl.experiments.statistics import mean_and_error, rounded
from tf_equirl.experiments.tables import markdown_table
from tf_equirl.models.widths import trained_parameters
from tf_equirl.reproductions.pictures.measures import (
    ERROR_OF_EQUIVARIANCE,
    equivariance_errors,
    steps_in_words,
)

_C4 = (("group", "C4"),)
_BASE: dict[str, Any] = {
    "total_timesteps": 60_000,
    "num_environments": 16,
    "rollout_steps": 5,
    "num_epochs": 1,
    "num_minibatches": 1,
    "max_gradient_norm": 1.0,
    "gae_lambda": 1.0,
    "clip_value": 0.0,
    "value_coefficient": 0.5,
    "entropy_coefficient": 0.01,
    "normalize_advantages": False,
    "kernel_sizes": (7, 5),
    "strides": (2, 1),
    "padding": "valid",
}
"""A2C as published: one gradient step on 5 steps in 16 environments. With one epoch of one
minibatch the ratio of probabilities is 1, and PPO clips nothing."""
_CNN = {"filters": (16, 32), "hidden_units": (512,), "pooling": "mean"}
_EQUIVARIANT = {"filters": (8, 16), "hidden_units": (256,), "pooling": "max"}
_PLATEAUS = {"gcnn": 130_000, "nullspace": 270_000, "random": 380_000, "cnn": 550_000}
"""Steps at which the curves of the authors' notebook become flat, up to 20,000."""


def grid_world(scale: float = 1.0) -> Experiment:
    """Networks for the grid world, with the paper's sizes and learning rates.

    Actor and critic are two networks here, where the paper has one with two heads. A CNN that pools
    as the others do is beside the paper's, which takes means. Of 3e-4, 1e-3 and 3e-3 its own rate
    is the best over 40,000 steps on the seeds 1000 to 1003, and so is the paper's for the other.

    Args:
        scale: What pictures, whose pixels are 0 or 1, are multiplied by: 1, or 1/255 as in the
            authors' code.
    """

    def config(actor: str, rate: float, **fields: Any) -> PPOConfig:
        own = _CNN if actor == "cnn" else _EQUIVARIANT
        critic = "cnn" if actor == "cnn" else "invariant"
        return PPOConfig(
            actor=actor,
            critic=critic,
            learning_rate=rate,
            picture_scale=scale,
            **{**_BASE, **own, **fields},
        )

    c4 = config("gcnn", 1e-3)
    sizes = [trained_parameters(m) for m in c4.networks(envs.make("GridWorld", group="C4"))]
    d4 = config("gcnn", 1e-3, match_parameters=sizes[0], match_critic_parameters=sizes[1])
    return Experiment(
        name="gridworld" if scale == 1.0 else "gridworld-255",
        title="GridWorld" if scale == 1.0 else "GridWorld, pixels divided by 255",
        environment="GridWorld",
        timesteps=(2_500, 5_000, 10_000, 20_000, 40_000, 60_000),
        levels=(0.0, 0.6, 0.7),
        columns=(
            Column("cnn", "CNN", config("cnn", 3e-3), arguments=_C4),
            Column(
                "cnn-max", "CNN, max pooling", config("cnn", 3e-4, pooling="max"), arguments=_C4
            ),
            Column("random", "random basis", config("symmetrizer-random", 1e-3), arguments=_C4),
            Column("nullspace", "nullspace (C4)", config("symmetrizer", 3e-3), arguments=_C4),
            Column("gcnn", "G-CNN (C4)", c4, arguments=_C4),
            Column("gcnn-d4", "G-CNN (D4)", d4),
        ),
        comparisons=(
            ("gcnn", "cnn-max"),
            ("gcnn", "random"),
            ("gcnn", "nullspace"),
            ("gcnn-d4", "gcnn"),
        ),
        num_seeds=20,
    )


def grid_world_markdown(experiment: Experiment, results: Mapping[Column, TrainingResult]) -> str:
    """Exact returns of the trained policies, steps to levels, and errors of equivariance."""
    best = envs.optimal_return("GridWorld")
    rows, errors = [], []
    for column, result in results.items():
        exact = exact_scores(column, result)
        steps = [
            steps_in_words(steps_of_half(result, level), result) for level in experiment.levels
        ]
        plateau = _PLATEAUS.get(column.name)
        rows.append(
            [
                column.label,
                rounded(*mean_and_error(exact)),
                f"{np.median(exact):.3f}",
                f"{exact.min():.2f}",
                *steps,
                "" if plateau is None else f"{plateau:,}",
            ]
        )
        env = column.environment_of(experiment.environment)
        errors.append([column.label, *(f"{e:.1e}" for e in equivariance_errors(env, result))])
    levels = [f"steps to {level:g}" for level in experiment.levels]
    return "\n\n".join(
        [
            f"**What was learned**: the exact expected return of every trained policy, {best:.4f} "
            "at best; mean ± two standard errors, median and worst seed. Steps: after which half "
            "of the seeds have come to a return of the episodes while training, each for the first "
            "time, with 95 % bootstrap intervals over seeds; *published*: where the paper's "
            "curves, medians over seeds, become flat.",
            markdown_table(["", "exact", "median", "worst", *levels, "published"], rows),
            ERROR_OF_EQUIVARIANCE,
            markdown_table(["", "at the start", "trained"], errors),
        ]
    )


def exact_scores(column: Column, result: TrainingResult) -> np.ndarray:
    """Expected return `[seeds]` of the trained policies, by dynamic programming."""
    env, observations = _observations(column)
    policies = [tf.nn.softmax(result.actor(seed)(observations)) for seed in result.seeds]
    return envs.exact_returns(env, np.stack(policies))


def _observations(column: Column) -> tuple[envs.Environment, tf.Tensor]:
    """The environment of an agent and all that can be seen in it, `[49, 21, 21, 1]`."""
    env = column.environment_of("GridWorld")
    if not isinstance(env, envs.Environment):
        raise TypeError(f"GridWorld is an Environment, and this is {env!r}")
    return env, env.observe(env.all_states())
