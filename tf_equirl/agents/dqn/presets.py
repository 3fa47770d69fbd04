"""Hyperparameters of DQN with names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Trials of random searches of 12 on seeds 1000 to 1015, to the last digit: the best ones of an MLP,
# which are those of a G-CNN too, in CartPole within the error.
_CARTPOLE = {
    "learning_rate": 0.002097224406039565,
    "n_steps": 3,
    "target_update_period": 50,
    "batch_size": 128,
    "epsilon_end": 0.05,
    "epsilon_steps": 10_000,
    "total_timesteps": 40_960,
}
_CATCH = {
    "learning_rate": 0.0017301807545884109,
    "n_steps": 5,
    "target_update_period": 50,
    "batch_size": 32,
    "epsilon_end": 0.01,
    "epsilon_steps": 1_000,
    "rollout_steps": 64,
    "buffer_size": 10_000,
    "learning_starts": 500,
    "total_timesteps": 10_240,
}

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "cartpole": {**_CARTPOLE, "q_function": "gcnn", "match_parameters": 4610},
    "cartpole-mlp": {**_CARTPOLE, "q_function": "mlp"},
    "catch": {**_CATCH, "q_function": "gcnn", "match_parameters": 7619},
    "catch-mlp": {**_CATCH, "q_function": "mlp"},
    # Mondal et al. (2020) and their code, EquivariantDQN: one gradient step for each frame.
    "snake-published": {
        "num_environments": 1,
        "learning_rate": 1e-5,
        "adam_epsilon": 1e-8,  # Adam's own default
        "max_gradient_norm": None,
        "discount": 0.99,
        "double": True,
        "loss": "squared",
        "buffer_size": 100_000,
        "batch_size": 32,
        "learning_starts": 32,
        "train_every": 1,
        "gradient_steps": 1,
        "target_update_period": 1_000,
        "epsilon_start": 1.0,
        "epsilon_end": 0.01,
        "epsilon_decay": "exponential",
        "epsilon_steps": 40_000,
    },
}
"""By name the fields in which a config differs from the defaults."""
