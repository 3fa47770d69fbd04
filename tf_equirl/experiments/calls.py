"""How trainers are called from where many runs are made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Call = Callable[..., Any]
"""Called with a trainer (`train_ppo`, `train_dyna`, `fit_transition_model`) and its arguments."""


def call_trainer(trainer: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Calls the trainer, and nothing else."""
    return trainer(*arguments, **options)
