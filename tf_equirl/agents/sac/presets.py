"""Hyperparameters of SAC with names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PRESETS: Mapping[str, Mapping[str, Any]] = {
    # Raffin et al. (2021), Stable-Baselines3: what its SAC has by default, one environment and one
    # gradient step for each of its steps.
    "stable-baselines3": {
        "actor": "mlp",
        "q_function": "mlp",
        "hidden_units": (256, 256),
        "num_environments": 1,
        "learning_rate": 3e-4,
        "adam_epsilon": 1e-8,
        "buffer_size": 1_000_000,
        "batch_size": 256,
        "learning_starts": 100,
        "train_every": 1,
        "gradient_steps": 1,
        "tau": 0.005,
        "discount": 0.99,
    },
}
"""By name the fields in which a config differs from the defaults."""
