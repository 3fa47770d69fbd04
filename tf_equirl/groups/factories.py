"""The common representations."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tf_equirl.groups._checks import integer_array
from tf_equirl.groups.group import FiniteGroup
from tf_equirl.groups.representation import Representation


def trivial_representation(group: FiniteGroup, dim: int = 1) -> Representation:
    """The trivial representation rho(g) = 1 on `dim` coordinates.

    Args:
        group: The group.
        dim: Dimension, at least 1.

    Raises:
        ValueError: If `group` is not a group or `dim` not a positive integer.
    """
    _check_group(group)
    if int(integer_array("dim", dim, ndim=0)) < 1:
        raise ValueError(f"`dim` must be a positive integer. Received: dim={dim!r}")
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
    _check_group(group)
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
    _check_group(group)
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
    return Representation.from_signed_permutations(
        group, permutations, signs, name="signed_permutation"
    )


def _check_group(group: FiniteGroup) -> None:
    if not isinstance(group, FiniteGroup):
        raise ValueError(f"`group` must be a FiniteGroup. Received: group={group!r}")
