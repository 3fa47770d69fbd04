"""Hyperparameters of PPO with names; docs/tuning.md says where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PRESETS: Mapping[str, Mapping[str, Any]] = {"thesis": {}}
"""By name the fields in which a config differs from the defaults, which are the thesis'."""
