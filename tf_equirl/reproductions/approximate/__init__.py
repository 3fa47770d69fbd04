"""Approximate equivariance (Park et al., 2025): what is lost and gained where a symmetry is broken
by degrees.
"""

from tf_equirl.reproductions.approximate.outputs import TABLES

__all__ = ["TABLES"]
