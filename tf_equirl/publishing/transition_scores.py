"""What is measured of a transition model when it is published, and again when it is verified."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tf_equirl.dynamics.datasets import all_transitions, make_dataset
from tf_equirl.dynamics.equivariance import sample_pairs, transition_equivariance
from tf_equirl.dynamics.measures import rollout_errors, transition_errors
from tf_equirl.envs import Environment

_STEPS = 10


def evaluate_transition_model(
    model: keras.Model, env: Environment, transitions: int, seed: int, starts: int
) -> dict[str, Any]:
    """The field `evaluation` of a transition model's card.

    Args:
        model: The transition model.
        env: Its environment.
        transitions: Number of fresh transitions, half of a random policy and half of the expert.
        seed: Their seed, and that of the actions of the rollouts.
        starts: How many of their states rollouts start from.
    """
    head = env.transition_head
    data = make_dataset(env, "joint", transitions, seed)
    measured = transition_errors(env, model, None, data)
    errors = rollout_errors(env, model, None, data.take(slice(starts)), _STEPS, seed)[0]
    counted = errors[: int((~np.isnan(errors)).cumprod().sum())]  # until all episodes ended
    return {
        "meaning": "half of them by a policy that acts at random, half by the zoo's G-CNN policy "
        "with sampled actions",
        "transitions": transitions,
        "seed": seed,
        "metrics": {name: _mean(measured[name][0]) for name in head.metric_names},
        "rollout": {
            "starts": starts,
            "meaning": "the model goes on from its own predictions, under the same random actions "
            "as the true environment, until the true episode ends; "
            + (
                "the error is the share of wrong predictions"
                if "accuracy" in head.metric_names
                else f"the error is the {head.metric_names[0].replace('_', ' ')} error"
            ),
            "errors": [float(error) for error in counted],
        },
        "all_pairs": _all_pairs(model, env),
    }


def measure_equivariance(model: keras.Model, env: Environment) -> dict[str, Any]:
    """The field `equivariance` of a transition model's card."""
    pairs = sample_pairs(env)
    found = transition_equivariance(env, model, None, pairs)
    return {
        "pairs": len(pairs),
        "meaning": "A pair counts if its prediction commutes with every group element, up to "
        f"{found.tolerance:g} of the root mean square of all outputs, which is the unit of the "
        "errors too",
        "share": float(found.share[0]),
        "mode_share": None if found.mode_share is None else float(found.mode_share[0]),
        "max": float(found.error_max[0]),
        "mean": float(found.error_mean[0]),
    }


def _mean(values: np.ndarray) -> dict[str, float]:
    values = np.asarray(values, np.float64)
    error = float(values.std(ddof=1)) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return {"mean": float(values.mean()), "standard_error": error}


def _all_pairs(model: keras.Model, env: Environment) -> dict[str, Any] | None:
    try:
        pairs = all_transitions(env)
    except ValueError:  # states of real numbers cannot be listed
        return None
    measured = transition_errors(env, model, None, pairs)
    return {"pairs": len(pairs), **{name: float(x.mean()) for name, x in measured.items()}}
