"""Equivariant Keras 3 layers, written with `keras.ops` alone.

Regular features have shape `[..., n, C]`: one row per element of the group, in the order of
`FiniteGroup`, and the group acts by `(L_g h)[i] = h[g^-1 i]`. Those of the pixels of a picture have
shape `[..., height, width, n, C]`; the group moves pixels and rows.
"""

from tf_equirl.layers.base import EquivariantLinear
from tf_equirl.layers.dense.equivariant_readout import EquivariantReadout
from tf_equirl.layers.dense.group_dense import GroupDense
from tf_equirl.layers.dense.lifting_dense import LiftingDense
from tf_equirl.layers.dense.permutation_equivariant_dense import PermutationEquivariantDense
from tf_equirl.layers.dense.symmetrizer_dense import SymmetrizerDense
from tf_equirl.layers.grid.group_conv_2d import GroupConv2D
from tf_equirl.layers.grid.lifting_conv_2d import LiftingConv2D
from tf_equirl.layers.grid.spatial_pooling import SpatialPooling
from tf_equirl.layers.grid.symmetrizer_conv_2d import SymmetrizerConv2D
from tf_equirl.layers.pooling.distances import ModeDistance, l1, l2
from tf_equirl.layers.pooling.group_averaging import GroupAveraging
from tf_equirl.layers.pooling.group_pooling import GroupPooling
from tf_equirl.layers.pooling.proximal_pooling import ProximalPooling
from tf_equirl.layers.pooling.transition_images import TransitionImages
from tf_equirl.layers.relaxed.certificate import EquivarianceCertificate
from tf_equirl.layers.relaxed.relaxed_group_conv_2d import RelaxedGroupConv2D
from tf_equirl.layers.relaxed.relaxed_group_dense import RelaxedGroupDense
from tf_equirl.layers.relaxed.relaxed_lifting_conv_2d import RelaxedLiftingConv2D
from tf_equirl.layers.relaxed.relaxed_lifting_dense import RelaxedLiftingDense
from tf_equirl.layers.relaxed.relaxed_readout import RelaxedReadout
from tf_equirl.layers.relaxed.relaxed_steerable_conv_2d import RelaxedSteerableConv2D
from tf_equirl.layers.relaxed.residual_pathway import ResidualPathway
from tf_equirl.layers.vectors.input_normalization import InputNormalization
from tf_equirl.layers.vectors.invariant_vector import InvariantVector

__all__ = [
    "EquivarianceCertificate",
    "EquivariantLinear",
    "EquivariantReadout",
    "GroupAveraging",
    "GroupConv2D",
    "GroupDense",
    "GroupPooling",
    "InputNormalization",
    "InvariantVector",
    "LiftingConv2D",
    "LiftingDense",
    "ModeDistance",
    "PermutationEquivariantDense",
    "ProximalPooling",
    "RelaxedGroupConv2D",
    "RelaxedGroupDense",
    "RelaxedLiftingConv2D",
    "RelaxedLiftingDense",
    "RelaxedReadout",
    "RelaxedSteerableConv2D",
    "ResidualPathway",
    "SpatialPooling",
    "SymmetrizerConv2D",
    "SymmetrizerDense",
    "TransitionImages",
    "l1",
    "l2",
]
