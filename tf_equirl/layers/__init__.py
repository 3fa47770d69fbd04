"""Equivariant Keras 3 layers, written with `keras.ops` alone.

Regular features have shape `[..., n, C]`: one row per element of the group, in the order of
`FiniteGroup`, and the group acts by `(L_g h)[i] = h[g^-1 i]`.
"""

from tf_equirl.layers.base import EquivariantLinear
from tf_equirl.layers.distances import ModeDistance, l1, l2
from tf_equirl.layers.equivariant_readout import EquivariantReadout
from tf_equirl.layers.group_averaging import GroupAveraging
from tf_equirl.layers.group_dense import GroupDense
from tf_equirl.layers.group_pooling import GroupPooling
from tf_equirl.layers.lifting_dense import LiftingDense
from tf_equirl.layers.permutation_equivariant_dense import PermutationEquivariantDense
from tf_equirl.layers.proximal_pooling import ProximalPooling
from tf_equirl.layers.symmetrizer_dense import SymmetrizerDense
from tf_equirl.layers.transition_images import TransitionImages

__all__ = [
    "EquivariantLinear",
    "EquivariantReadout",
    "GroupAveraging",
    "GroupDense",
    "GroupPooling",
    "LiftingDense",
    "ModeDistance",
    "PermutationEquivariantDense",
    "ProximalPooling",
    "SymmetrizerDense",
    "TransitionImages",
    "l1",
    "l2",
]
