"""MDP homomorphic networks (van der Pol et al., 2020): pictures of a grid world."""

from tf_equirl.reproductions.homomorphic.outputs import TABLES

__all__ = ["TABLES"]
