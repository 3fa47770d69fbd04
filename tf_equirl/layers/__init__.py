"""Equivariant Keras 3 layers, written with `keras.ops` alone.

Regular features have shape `[..., n, C]`: one row per element of the group, in the order of
`FiniteGroup`, and the group acts by `(L_g h)[i] = h[g^-1 i]`.
"""

from tf_equirl.layers.base import EquivariantLinear
from tf_equirl.layers.dense.equivariant_readout import EquivariantReadout
from tf_equirl.layers.dense.group_dense import GroupDense
from tf_equirl.layers.dense.lifting_dense import LiftingDense
from tf_equirl.layers.dense.permutation_equivariant_dense import PermutationEquivariantDense
from tf_equirl.layers.dense.symmetrizer_dense import SymmetrizerDense
from tf_equirl.layers.pooling.distances import ModeDistance, l1, l2
from tf_equirl.layers.pooling.group_averaging import GroupAveraging
from tf_equirl.layers.pooling.group_pooling import GroupPooling
from tf_equirl.layers.pooling.proximal_pooling import ProximalPooling
from tf_equirl.layers.pooling.transition_images import TransitionImages
from tf_equirl.layers.vectors.input_normalization import InputNormalization
from tf_equirl.layers.vectors.invariant_vector import InvariantVector

__all__ = [
    "EquivariantLinear",
    "EquivariantReadout",
    "GroupAveraging",
    "GroupDense",
    "GroupPooling",
    "InputNormalization",
    "InvariantVector",
    "LiftingDense",
    "ModeDistance",
    "PermutationEquivariantDense",
    "ProximalPooling",
    "SymmetrizerDense",
    "TransitionImages",
    "l1",
    "l2",
]
