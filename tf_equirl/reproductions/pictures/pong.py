"""Pong: ordinary convolutions beside those of the mirror, by PPO, reduced to what a desk carries.

After "MDP Homomorphic Networks" (van der Pol et al., 2020, section 4.1, B.4), which has pictures of
80 x 80 pixels, A2C, 15 seeds, 15 million frames and a network that ends in a layer without
symmetry.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tf_equirl import envs
from tf_equirl.agents import PPOConfig, TrainingResult
from tf_equirl.experiments.experiment import Column, Experiment
from tf_equirl.experiments.savings import saving, steps_to_level
from tf_equirl.experiments.tables import markdown_table
from tf_equirl.models.widths import trained_parameters
from tf_equirl.reproductions.pictures.measures import (
    ERROR_OF_EQUIVARIANCE,
    equivariance_errors,
    in_words,
    steps_in_words,
)

_PONG = "tf_equirl.envs.atari:pong"
_SIZE = (("size", 40),)
_TIMESTEPS = 8 * 128 * 400
_BASE: dict[str, Any] = {
    "total_timesteps": _TIMESTEPS,
    "num_environments": 8,
    "rollout_steps": 128,
    "num_epochs": 3,
    "num_minibatches": 4,
    "learning_rate": 1e-3,
    "anneal_learning_rate": True,
    "clip_ratio": 0.1,
    "gae_lambda": 0.95,
    "discount": 0.99,
    "entropy_coefficient": 0.01,
    "max_gradient_norm": 0.5,
    "kernel_sizes": (4, 5),
    "strides": (2, 2),
    "padding": "valid",
    "picture_scale": 1 / 255,
}
"""PPO as it is customary for Atari, at a higher rate; none of it was tuned for either network."""


def pong() -> Experiment:
    """A CNN, and a G-CNN of the mirror with as many parameters, equivariant to its logits."""
    cnn = PPOConfig(actor="cnn", critic="cnn", filters=(16, 32), hidden_units=(128,), **_BASE)
    env = envs.make(_PONG, **dict(_SIZE))
    actor, critic = (trained_parameters(model) for model in cnn.networks(env))
    gcnn = PPOConfig(
        actor="gcnn",
        critic="invariant",
        filters=(11, 22),
        hidden_units=(91,),
        match_parameters=actor,
        match_critic_parameters=critic,
        **_BASE,
    )
    return Experiment(
        name="pong",
        title="Pong, 40 x 40 pixels",
        environment=_PONG,
        timesteps=tuple(_TIMESTEPS * eighths // 8 for eighths in (1, 2, 4, 6, 8)),
        levels=(-20.0, -15.0, -10.0, 0.0),
        columns=(
            Column("cnn", "CNN", cnn, arguments=_SIZE),
            Column("gcnn", "G-CNN (mirror)", gcnn, arguments=_SIZE),
        ),
        num_seeds=4,  # which are trained side by side; three take as long
    )


def pong_markdown(experiment: Experiment, results: Mapping[Column, TrainingResult]) -> str:
    """Steps to scores, how many times fewer the G-CNN needs, and errors of equivariance."""
    rows, errors = [], []
    by_name = {column.name: result for column, result in results.items()}
    for column, result in results.items():
        steps = [
            steps_in_words(steps_to_level(result, level), result) for level in experiment.levels
        ]
        rows.append([column.label, *steps])
        env = column.environment_of(experiment.environment)
        errors.append([column.label, *(f"{e:.1e}" for e in equivariance_errors(env, result))])
    if {"cnn", "gcnn"} <= set(by_name):
        ratios = [saving(by_name["gcnn"], by_name["cnn"], level) for level in experiment.levels]
        rows.append(["times fewer", *(in_words(r, "never", "{:.1f}") for r in ratios)])
    return "\n\n".join(
        [
            "**Reduced**: pictures of 40 x 40 pixels instead of 80 x 80, PPO instead of A2C, few "
            "seeds and steps; a step is four frames. Steps to a mean score of the episodes while "
            "training, with 95 % bootstrap intervals over seeds.",
            markdown_table(["", *(f"{level:g}" for level in experiment.levels)], rows),
            ERROR_OF_EQUIVARIANCE,
            markdown_table(["", "at the start", "trained"], errors),
        ]
    )
