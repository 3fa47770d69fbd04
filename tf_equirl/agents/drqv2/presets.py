"""Hyperparameters of DrQ-v2 with names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_PUBLISHED = {
    "discount": 0.99,
    "n_steps": 3,
    "learning_rate": 1e-4,
    "adam_epsilon": 1e-8,
    "train_every": 2,
    "gradient_steps": 1,
    "tau": 0.01,
    "learning_starts": 2_000,
    "deviation_start": 1.0,
    "deviation_end": 0.1,
    "noise_clip": 0.3,
    "shift": 4,
    "features": 50,
    "kernel_sizes": (3, 4, 4, 3),
    "strides": (2, 2, 2, 1),
}

PRESETS: Mapping[str, Mapping[str, Any]] = {
    # Yarats et al. (2021) and the authors' code, with the memory of Park et al. (2025), as they
    # have it for cartpole: 1.1 million frames, two to a step.
    "published": {
        **_PUBLISHED,
        "networks": "cnn",
        "total_timesteps": 550_000,
        "batch_size": 256,
        "buffer_size": 500_000,
        "deviation_steps": 100_000,
        "filters": (32, 32, 32, 32),
        "hidden_units": (1024, 1024),
    },
    # What two cores can do: smaller in all that costs time, and noise that decreases sooner.
    "reduced": {
        **_PUBLISHED,
        "networks": "cnn",
        "total_timesteps": 50_000,
        "batch_size": 64,
        "buffer_size": 50_000,
        "deviation_steps": 20_000,
        "filters": (16, 16, 16, 16),
        "hidden_units": (128, 128),
    },
}
"""By name the fields in which a config differs from the defaults."""
