"""The common representations."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tf_equirl._checks import instance, positive_integer, refuse
from tf_equirl.groups._checks import LARGEST_INDICES
from tf_equirl.groups.group import FiniteGroup
from tf_equirl.groups.representation import Representation


def trivial_representation(group: FiniteGroup, dim: int = 1) -> Representation:
    """The trivial representation rho(g) = 1 on `dim` coordinates.

    Args:
        group: The group.
        dim: Dimension, at least 1; at most 2^26 numbers for all elements together.

    Raises:
        ValueError: If `group` is not a group or `dim` not a positive integer.
    """
    instance("group", group, FiniteGroup)
    dim = positive_integer("dim", dim, LARGEST_INDICES // group.order)
    permutations = np.tile(np.arange(dim), (group.order, 1))
    return Representation.from_signed_permutations(group, permutations, name="trivial")


def regular_representation(group: FiniteGroup) -> Representation:
    """The (left) regular representation rho(g) e_h = e_{gh}, of dimension n.

    On coefficients, x = sum_h x[h] e_h, it reads (rho(g) x)[i] = x[g^-1 i].

    Args:
        group: The group.

    Raises:
        ValueError: If `group` is not a group.
    """
    instance("group", group, FiniteGroup)
    return Representation.from_signed_permutations(group, group.table, name="regular")


def permutation_representation(
    group: FiniteGroup, permutations: ArrayLike | None = None
) -> Representation:
    """The permutation representation rho(g) e_j = e_{p[g][j]}.

    Args:
        group: The group of n elements.
        permutations: [n, d], one permutation per element; the group's own when not given.

    Raises:
        ValueError: If there are no permutations or they are not a homomorphism.
    """
    instance("group", group, FiniteGroup)
    if permutations is None:
        permutations = group.permutations
    if permutations is None:
        raise ValueError(
            f"`permutations` must be given, because {group.name} carries none of its own. "
            "Received: permutations=None"
        )
    return Representation.from_signed_permutations(group, permutations, name="permutation")


def signed_permutation_representation(
    group: FiniteGroup, permutations: ArrayLike, signs: ArrayLike
) -> Representation:
    """The monomial representation rho(g) e_j = signs[g][j] e_{p[g][j]}.

    Args:
        group: The group of n elements.
        permutations: [n, d], one permutation per element.
        signs: [n, d] of 1 and -1.

    Raises:
        ValueError: If the arrays are malformed or not a homomorphism.
    """
    if signs is None:
        refuse("signs", "an array [n, d] of 1 and -1", None)
    return Representation.from_signed_permutations(
        group, permutations, signs, name="signed_permutation"
    )
