"""How a group acts on standard deviations of vectors that it acts on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tf_equirl._checks import instance
from tf_equirl.groups.factories import trivial_representation
from tf_equirl.groups.representation import Representation

_ROUNDING = 1e-9


def deviation_representation(action: Representation) -> tuple[Representation, NDArray[np.intp]]:
    """How standard deviations transform where vectors do by `action`.

    Independent noise of standard deviation sigma [d] on the coordinates of a vector keeps to the
    law if moving the vector moves the noise: rho(g) diag(sigma_s)^2 rho(g)^T = diag(sigma_gs)^2.
    Signed permutations carry sigma along as they do the coordinates, without the signs. Other
    orthogonal matrices mix coordinates, which then must have one standard deviation, and that one
    is invariant: one for each set of coordinates that some matrix mixes.

    Args:
        action: The representation of dimension d.

    Returns:
        The representation of k standard deviations, and [d] integers: which of them each
        coordinate has.

    Raises:
        ValueError: If the matrices are not orthogonal: noise would change its shape.
    """
    instance("action", action, Representation)
    if action.signed_permutations is not None:
        unsigned = Representation.from_signed_permutations(
            action.group, action.signed_permutations, name=f"deviations_of_{action.name}"
        )
        return unsigned, np.arange(action.dim)
    products = np.einsum("gji,gjk->gik", action.matrices, action.matrices)
    worst = int(np.argmax(np.abs(products - np.eye(action.dim)).max(axis=(1, 2))))
    if not np.allclose(products[worst], np.eye(action.dim), atol=_ROUNDING):
        raise ValueError(
            "`action` must have orthogonal matrices for a Gaussian policy: others turn noise that "
            f"is independent into noise that is not. Received: action={action!r}, whose element "
            f"{worst} is\n{action.matrices[worst]}"
        )
    mixed = np.any(
        np.abs(action.matrices) > _ROUNDING, axis=0
    )  # symmetric, as groups have inverses
    reached = mixed | np.eye(action.dim, dtype=bool)
    for _ in range(action.dim.bit_length()):
        reached = reached.astype(int) @ reached.astype(int) > 0
    firsts, index = np.unique(np.argmax(reached, axis=1), return_inverse=True)
    return trivial_representation(action.group, len(firsts)), index
