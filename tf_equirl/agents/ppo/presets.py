"""Hyperparameters of PPO with names; docs/tuning.md says where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Settings of trials of the race, to the last digit.
_CARTPOLE = {
    "learning_rate": 0.01666995907727847,
    "entropy_coefficient": 0.008087319705520419,
    "gae_lambda": 0.95,
    "clip_ratio": 0.3,
}
_CARTPOLE_MLP = {
    "learning_rate": 0.014492448553479692,
    "anneal_learning_rate": True,
    "entropy_coefficient": 0.00047176079854537923,
    "gae_lambda": 1.0,
    "clip_ratio": 0.4,
}
_CATCH = {
    "learning_rate": 0.00366173213772728,
    "entropy_coefficient": 0.019609785871354667,
    "gae_lambda": 0.95,
    "clip_ratio": 0.1,
}
_START = {
    "learning_rate": 0.0022461635329556204,
    "entropy_coefficient": 0.00020733287476982422,
    "gae_lambda": 1.0,
    "clip_ratio": 0.4,
}
_ORDINARY = {"actor": "mlp", "critic": "mlp"}
_SYMMETRIC_CARTPOLE = {
    "actor": "gcnn",
    "critic": "invariant",
    "match_parameters": 4610,
    "match_critic_parameters": 4545,
}
_SYMMETRIC_CATCH = {
    "actor": "gcnn",
    "critic": "invariant",
    "match_parameters": 7619,
    "match_critic_parameters": 7489,
}

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "thesis": {},
    "start": {"actor": "gcnn", "critic": "invariant", **_START},
    "cartpole": {**_SYMMETRIC_CARTPOLE, **_CARTPOLE, "total_timesteps": 40_960},
    "cartpole-mlp": {**_ORDINARY, **_CARTPOLE_MLP, "total_timesteps": 40_960},
    "catch": {**_SYMMETRIC_CATCH, **_CATCH, "rollout_steps": 10, "total_timesteps": 10_000},
    "catch-mlp": {**_ORDINARY, **_CATCH, "rollout_steps": 10, "total_timesteps": 10_000},
}
"""By name the fields in which a config differs from the defaults, which are the thesis'."""
