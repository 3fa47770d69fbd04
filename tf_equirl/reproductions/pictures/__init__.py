"""Networks for pictures: the grid world of MDP homomorphic networks (van der Pol et al., 2020)
and Snake.
"""

from tf_equirl.reproductions.pictures.outputs import TABLES

__all__ = ["TABLES"]
