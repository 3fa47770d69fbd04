"""Hyperparameters of Dyna with names; docs/tuning.md says where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Settings of trials of the race, to the last digit.
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "cartpole": {
        "actor": "gcnn",
        "critic": "invariant",
        "match_parameters": 4610,
        "match_critic_parameters": 4545,
        "model_kind": "gcnn-readout",
        "model_match_parameters": 4868,
        "model_batch_size": 128,
        "model_epochs": 100.0,
        "max_model_steps": 400,
        "planning_ratio": 8.0,
        "dyna_iterations": 40,
        "learning_rate": 0.01623213595100792,
        "anneal_learning_rate": True,
        "entropy_coefficient": 0.0011023210203905784,
        "gae_lambda": 0.98,
        "clip_ratio": 0.2,
        "model_learning_rate": 0.003538965044841296,
        "total_timesteps": 40_960,
    },
}
"""By name the hyperparameters in which a config differs from the defaults, named as in
`DynaConfig.flat`."""
