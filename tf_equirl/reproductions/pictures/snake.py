"""Snake: ordinary convolutions beside those of D4, by PPO and by double DQN.

After "Group equivariant deep reinforcement learning" (Mondal et al., 2020), whose Snake is another
game (pictures of colours, a body that may lie on itself) with networks that end in a layer without
symmetry.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tf_equirl import envs
from tf_equirl.agents import DQNConfig, PPOConfig, TrainingResult
from tf_equirl.experiments.experiment import Column, Experiment
from tf_equirl.experiments.metrics import return_at
from tf_equirl.experiments.savings import saving, steps_to_level
from tf_equirl.experiments.statistics import mean_and_error, rounded
from tf_equirl.experiments.tables import markdown_table
from tf_equirl.models.widths import trained_parameters
from tf_equirl.reproductions.pictures.measures import (
    ERROR_OF_EQUIVARIANCE,
    equivariance_errors,
    in_words,
    steps_in_words,
)

_BOARD = (("height", 7), ("width", 7))
_TIMESTEPS = 40_960
_GROUP: dict[str, Any] = {"filters": (4, 8), "hidden_units": (16,)}
_WIDE: dict[str, Any] = {"filters": (32, 64), "hidden_units": (128,)}
_SHARED: dict[str, Any] = {
    "total_timesteps": _TIMESTEPS,
    "num_environments": 16,
    "rollout_steps": 16,
    "discount": 0.99,
    "kernel_sizes": (3, 3),
    "padding": "valid",
}
_PPO: dict[str, Any] = {
    **_SHARED,
    "num_epochs": 4,
    "num_minibatches": 4,
    "max_gradient_norm": 0.5,
    "gae_lambda": 0.95,
    "entropy_coefficient": 0.01,
}
_DQN: dict[str, Any] = {
    **_SHARED,
    "n_steps": 3,
    "train_every": 16,
    "gradient_steps": 2,
    "batch_size": 32,
    "buffer_size": 20_000,
    "learning_starts": 1_000,
    "target_update_period": 250,
    "epsilon_steps": 10_000,
}
_RATES = {
    **{"ppo-cnn": 3e-3, "ppo-cnn-wide": 3e-4, "ppo-gcnn": 3e-3},
    **{"dqn-cnn": 3e-3, "dqn-cnn-wide": 1e-3, "dqn-gcnn": 3e-3},
}
"""The best of 3e-4, 1e-3, 3e-3 and 1e-2 in the mean over 30,720 steps, seeds 1000 to 1003."""


def snake() -> Experiment:
    """Agents on a board of 7 x 7 cells, each with a rate of its own.

    A CNN has as many parameters as the network of D4, another one as many channels, 32, 64 and 128.
    """
    env = envs.make("Snake", **dict(_BOARD))
    sizes = [trained_parameters(model) for model in _ppo("gcnn", 1e-3, _GROUP).networks(env)]
    columns = []
    for agent, label, config in (("ppo", "PPO", _ppo), ("dqn", "DQN", _dqn)):
        for name, what, kind, network, budget in (
            ("cnn", "CNN", "cnn", _WIDE, sizes),
            ("cnn-wide", "CNN, as wide", "cnn", _WIDE, (None, None)),
            ("gcnn", "G-CNN (D4)", "gcnn", _GROUP, (None, None)),
        ):
            rate = _RATES[f"{agent}-{name}"]
            column = Column(
                f"{agent}-{name}",
                f"{label}, {what}",
                config(kind, rate, network, *budget),
                arguments=_BOARD,
            )
            columns.append(column)
    return Experiment(
        name="snake",
        title="Snake, 7 x 7 cells",
        environment="Snake",
        timesteps=tuple(_TIMESTEPS * eighths // 8 for eighths in (1, 2, 4, 6, 8)),
        levels=(0.0, 1.0, 2.0, 4.0, 8.0),
        columns=tuple(columns),
        comparisons=(
            ("ppo-gcnn", "ppo-cnn-wide"),
            ("dqn-gcnn", "dqn-cnn"),
            ("dqn-gcnn", "dqn-cnn-wide"),
            ("dqn-gcnn", "ppo-gcnn"),
        ),
        num_seeds=16,
    )


def _ppo(
    kind: str,
    rate: float,
    network: dict[str, Any],
    parameters: int | None = None,
    of_critic: int | None = None,
) -> PPOConfig:
    return PPOConfig(
        actor=kind,
        critic="cnn" if kind == "cnn" else "invariant",
        learning_rate=rate,
        match_parameters=parameters,
        match_critic_parameters=of_critic,
        **{**_PPO, **network},
    )


def _dqn(
    kind: str,
    rate: float,
    network: dict[str, Any],
    parameters: int | None = None,
    of_critic: int | None = None,
) -> DQNConfig:
    del of_critic  # it has none
    return DQNConfig(
        q_function=kind, learning_rate=rate, match_parameters=parameters, **{**_DQN, **network}
    )


def snake_markdown(experiment: Experiment, results: Mapping[Column, TrainingResult]) -> str:
    """The CNNs' last scores beside the G-CNN's with a quarter of their steps, and errors."""
    by_name = {column.name: (column, result) for column, result in results.items()}
    last, quarter = experiment.timesteps[-1], experiment.timesteps[1]
    rows = []
    for name, (column, result) in by_name.items():
        agent, _, network = name.partition("-")
        if network == "gcnn" or f"{agent}-gcnn" not in by_name:
            continue
        ours = by_name[f"{agent}-gcnn"][1]
        score, error = mean_and_error(return_at(result, last))
        rows.append(
            [
                column.label,
                rounded(score, error),
                rounded(*mean_and_error(return_at(ours, quarter))),
                steps_in_words(steps_to_level(ours, score), ours),
                in_words(saving(ours, result, score), "never", "{:.1f}"),
            ]
        )
    errors = []
    for column, result in results.items():
        env = column.environment_of(experiment.environment)
        errors.append([column.label, *(f"{e:.1e}" for e in equivariance_errors(env, result))])
    return "\n\n".join(
        [
            f"**The same score.** What a CNN comes to after {last:,} steps; what the G-CNN comes "
            f"to after a quarter of them, {quarter:,}; the G-CNN's steps to the CNN's last score, "
            "and how many times fewer they are than the CNN's own first ones to it, with 95 % "
            "bootstrap intervals over seeds.",
            markdown_table(
                ["", f"score, {last:,}", f"G-CNN, {quarter:,}", "G-CNN's steps", "times fewer"],
                rows,
            ),
            ERROR_OF_EQUIVARIANCE,
            markdown_table(["", "at the start", "trained"], errors),
        ]
    )
