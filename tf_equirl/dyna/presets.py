"""Hyperparameters of Dyna with names; docs/tuning.md says where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_CARTPOLE: dict[str, Any] = {
    "model_match_parameters": 4868,
    "model_batch_size": 128,
    "model_epochs": 100.0,
    "max_model_steps": 400,
    "planning_ratio": 8.0,
    "dyna_iterations": 40,
    "total_timesteps": 40_960,
}
_CATCH: dict[str, Any] = {
    "model_hidden_units": (64,),
    "model_match_parameters": 7031,
    "model_batch_size": 128,
    "model_epochs": 100.0,
    "max_model_steps": 200,
    "planning_ratio": 8.0,
    "dyna_iterations": 50,
    "rollout_steps": 10,
    "total_timesteps": 10_000,
}

# Settings of trials of the race, to the last digit.
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "cartpole": {
        **_CARTPOLE,
        "actor": "gcnn",
        "critic": "invariant",
        "match_parameters": 4610,
        "match_critic_parameters": 4545,
        "model_kind": "gcnn-readout",
        "learning_rate": 0.01623213595100792,
        "anneal_learning_rate": True,
        "entropy_coefficient": 0.0011023210203905784,
        "gae_lambda": 0.98,
        "clip_ratio": 0.2,
        "model_learning_rate": 0.003538965044841296,
    },
    "cartpole-mlp": {
        **_CARTPOLE,
        "actor": "mlp",
        "critic": "mlp",
        "model_kind": "mlp",
        "learning_rate": 0.01838102505673016,
        "anneal_learning_rate": True,
        "entropy_coefficient": 0.00010948965496477307,
        "gae_lambda": 0.9,
        "clip_ratio": 0.2,
        "model_learning_rate": 0.002576295972033547,
    },
    "catch": {
        **_CATCH,
        "actor": "gcnn",
        "critic": "invariant",
        "match_parameters": 7619,
        "match_critic_parameters": 7489,
        "model_kind": "gcnn-readout",
        "learning_rate": 0.0004981062158718732,
        "entropy_coefficient": 0.004983692424699665,
        "gae_lambda": 0.98,
        "clip_ratio": 0.3,
        "model_learning_rate": 0.013692609852410706,
    },
    "catch-mlp": {
        **_CATCH,
        "actor": "mlp",
        "critic": "mlp",
        "model_kind": "mlp",
        "learning_rate": 0.0023643179265942092,
        "entropy_coefficient": 0.03491135758861962,
        "gae_lambda": 0.9,
        "clip_ratio": 0.3,
        "model_learning_rate": 0.002569206065399663,
    },
}
"""By name the hyperparameters in which a config differs from the defaults, named as in
`DynaConfig.flat`."""
