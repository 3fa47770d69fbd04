"""Finite groups, their real representations and intertwiners; needs NumPy only."""

from tf_equirl.groups.deviations import deviation_representation
from tf_equirl.groups.factories import (
    permutation_representation,
    regular_representation,
    signed_permutation_representation,
    trivial_representation,
)
from tf_equirl.groups.families import (
    cyclic_group,
    dihedral_group,
    direct_product,
    quaternion_group,
    symmetric_group,
)
from tf_equirl.groups.group import FiniteGroup
from tf_equirl.groups.images import Picture, image_representation, picture_of
from tf_equirl.groups.intertwiners import (
    intertwiner_basis,
    intertwiner_dimension,
    sampled_intertwiner_basis,
)
from tf_equirl.groups.irreps import Irrep, fourier_basis, real_irreps
from tf_equirl.groups.orbits import PairOrbits, signed_pair_orbits
from tf_equirl.groups.representation import Representation
from tf_equirl.groups.symmetry import Symmetry

__all__ = [
    "FiniteGroup",
    "Irrep",
    "PairOrbits",
    "Picture",
    "Representation",
    "Symmetry",
    "cyclic_group",
    "deviation_representation",
    "dihedral_group",
    "direct_product",
    "fourier_basis",
    "image_representation",
    "intertwiner_basis",
    "intertwiner_dimension",
    "permutation_representation",
    "picture_of",
    "quaternion_group",
    "real_irreps",
    "regular_representation",
    "sampled_intertwiner_basis",
    "signed_pair_orbits",
    "signed_permutation_representation",
    "symmetric_group",
    "trivial_representation",
]
