"""The run folders of `fit_transition_model`: what they say of a run."""

from __future__ import annotations

import hashlib
from typing import Any

import keras
import numpy as np

from tf_equirl.agents import run_folder
from tf_equirl.dynamics.config import TransitionModelConfig
from tf_equirl.dynamics.transitions import Transitions
from tf_equirl.envs import Environment
from tf_equirl.training.run_folder import RunKind

TRANSITION_RUN = RunKind(
    trainer="fit_transition_model",
    models=frozenset({"transition_model"}),
    identity=(
        "environment",
        "environment_config",
        "config",
        "seeds",
        "symmetry",
        "models",
        "data",
        "validation_data",
    ),
    config=TransitionModelConfig(),
    defaults={},
)


def describe_run(
    env: Environment,
    config: TransitionModelConfig,
    seeds: tuple[int, ...],
    model: keras.Model,
    data: Transitions,
    validation: Transitions | None,
) -> dict[str, Any]:
    """The contents of `run.json`.

    The data themselves are not kept in the folder, only what they are known by: their number, a
    checksum, and, as a record, how they were made.
    """
    return {
        **run_folder.describe(env, config, seeds, {"transition_model": model}),
        "data": _fingerprint(data),
        "validation_data": None if validation is None else _fingerprint(validation),
        "data_provenance": data.provenance,
        "validation_provenance": None if validation is None else validation.provenance,
    }


def _fingerprint(data: Transitions) -> dict[str, Any]:
    """What tells one dataset from another, as plain JSON types."""
    digest = hashlib.sha256()
    arrays = {"action": data.action}
    for part in ("state", "next_state"):
        fields = getattr(data, part)._asdict()
        arrays.update({f"{part}.{field}": values for field, values in fields.items()})
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return {"num_transitions": len(data), "sha256": digest.hexdigest()}
