"""Finds the symmetries of an environment."""

from tf_equirl.envs.symmetries.discovery.discover import discover_symmetries
from tf_equirl.envs.symmetries.discovery.report import Discovery, NearMiss

__all__ = ["Discovery", "NearMiss", "discover_symmetries"]
