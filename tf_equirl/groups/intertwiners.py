"""Equivariant linear maps: the intertwiners {W : rho_out(g) W = W rho_in(g) for every g}."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tf_equirl._checks import LARGEST_SEED, integer, positive_integer
from tf_equirl.groups.orbits import signed_pair_orbits
from tf_equirl.groups.representation import Representation, check_two

# Relative to the largest singular value; the accuracy that is asked of representations.
_RANK_TOLERANCE = 1e-6
_MOST_SAMPLED = 1 << 27  # numbers in the stacked samples, 1 GB
_NUMBERS_AT_ONCE = 1 << 22  # 32 MB of temporary arrays


def intertwiner_dimension(inputs: Representation, outputs: Representation) -> int:
    """Dimension of the space of intertwiners, r = 1/n sum_g chi_in(g^-1) chi_out(g).

    Serre, Linear Representations of Finite Groups, 1977, section 2.3 (for real representations
    the real dimension of the real intertwiners is the complex one of the complex intertwiners).

    Args:
        inputs: Representation of dimension d_in.
        outputs: Representation of dimension d_out, of the same group.

    Raises:
        ValueError: If an argument is no representation, or they are of different groups.
    """
    check_two("an intertwiner", inputs=inputs, outputs=outputs)
    chi_in = inputs.character[inputs.group.inverses]
    return round(float(np.mean(chi_in * outputs.character)))


def intertwiner_basis(inputs: Representation, outputs: Representation) -> NDArray[np.float64]:
    """An orthonormal basis of the intertwiners, <V_a, V_b> = trace(V_a^T V_b) = delta_ab.

    Signed permutation representations need only the orbits of index pairs. Otherwise the basis
    spans the range of the Reynolds projector P(W) = 1/n sum_g rho_out(g) W rho_in(g)^-1 (van der
    Pol et al., MDP Homomorphic Networks, 2020, section 3.2, with the projector formed exactly and
    not sampled). Weights are saved relative to this basis, so it depends on the representations
    alone: an SVD would leave the choice inside the range to the LAPACK at hand.

    Args:
        inputs: Representation of dimension d_in.
        outputs: Representation of dimension d_out, of the same group.

    Returns:
        [r, d_out, d_in], with r = `intertwiner_dimension(inputs, outputs)`; r may be 0.

    Raises:
        ValueError: If an argument is no representation, or they are of different groups.
    """
    check_two("an intertwiner", inputs=inputs, outputs=outputs)
    if inputs.signed_permutations is not None and outputs.signed_permutations is not None:
        return _orbit_basis(inputs, outputs)
    return _projector_basis(inputs, outputs)


def sampled_intertwiner_basis(
    inputs: Representation, outputs: Representation, num_samples: int | None = None, seed: int = 0
) -> NDArray[np.float64]:
    """An orthonormal basis of the intertwiners by the paper's algorithm, from random matrices.

    Algorithm 1 of van der Pol et al., MDP Homomorphic Networks, 2020: draw N matrices with standard
    normal entries, symmetrise each with the Reynolds operator (equation 16)

        S(W) = 1/n sum_g rho_out(g)^-1 W rho_in(g),

    stack them as rows of length D = d_out * d_in, and keep the right singular vectors that belong
    to non-zero singular values.

    It spans what `intertwiner_basis` spans, but which basis of that space comes out depends on
    `seed` and on the machine's LAPACK: store the basis with weights that are relative to it. It
    costs n * N * D operations for the symmetrisation and N * D * min(N, D) for the decomposition,
    and a few arrays of N * D numbers, hence D^2 by default: 50 MB each and half a minute for
    two representations of dimension 50, out of reach for dimension 200.

    Args:
        inputs: Representation of dimension d_in.
        outputs: Representation of dimension d_out, of the same group.
        num_samples: N, at least r and at most D or 2^27 / D. D by default, which the paper asks
            for.
        seed: Seed of the random matrices, an integer from 0 to 2^64 - 1.

    Returns:
        [r, d_out, d_in], with r = `intertwiner_dimension(inputs, outputs)`; r may be 0.

    Raises:
        ValueError: If an argument is not one of those, the representations are of different groups,
            or `num_samples` samples do not span the space.
    """
    dimension = intertwiner_dimension(inputs, outputs)
    size = outputs.dim * inputs.dim
    most = max(size, _MOST_SAMPLED // size)
    count = size if num_samples is None else positive_integer("num_samples", num_samples, most)
    random = np.random.default_rng(integer("seed", seed, 0, LARGEST_SEED))
    rows = np.empty((count, size))
    chunk = max(1, _NUMBERS_AT_ONCE // size)
    for start in range(0, count, chunk):
        samples = random.standard_normal((min(chunk, count - start), outputs.dim, inputs.dim))
        rows[start : start + chunk] = _reynolds(samples, inputs, outputs).reshape(-1, size)
    if not dimension:
        return np.zeros((0, outputs.dim, inputs.dim))  # the rows hold rounding errors alone
    _, values, vectors = np.linalg.svd(rows, full_matrices=False)
    rank = int(np.count_nonzero(values > _RANK_TOLERANCE * values[0]))
    if rank < dimension:
        raise ValueError(
            f"`num_samples` must be large enough to span the {dimension} dimensions of the "
            f"intertwiners; {count} samples span {rank}. Received: num_samples={num_samples}"
        )
    if rank > dimension:
        raise ValueError(
            "`inputs` and `outputs` must be exact enough for a numerical rank: random matrices "
            f"span {rank} dimensions, the characters give {dimension}. Received: "
            f"inputs={inputs!r}, outputs={outputs!r}"
        )
    return vectors[:dimension].reshape(-1, outputs.dim, inputs.dim)


def _reynolds(
    samples: NDArray[np.float64], inputs: Representation, outputs: Representation
) -> NDArray[np.float64]:
    """S of every matrix of `samples` [N, d_out, d_in]; by indices alone where that is possible."""
    total = np.zeros_like(samples)
    p_in, s_in = inputs.signed_permutations, inputs.signs
    p_out, s_out = outputs.signed_permutations, outputs.signs
    if p_in is not None and s_in is not None and p_out is not None and s_out is not None:
        for g in inputs.group.elements:
            signs = np.multiply.outer(s_out[g], s_in[g])
            total += signs * samples[:, p_out[g][:, None], p_in[g]]
    else:
        for left, right in zip(outputs.inverse_matrices, inputs.matrices, strict=True):
            total += left @ samples @ right
    return total / inputs.group.order


def _orbit_basis(inputs: Representation, outputs: Representation) -> NDArray[np.float64]:
    orbits = signed_pair_orbits(outputs, inputs)
    basis = np.zeros((orbits.count, outputs.dim, inputs.dim))
    i, j = np.nonzero(orbits.sign)
    orbit = orbits.index[i, j]
    sizes = np.bincount(orbit, minlength=orbits.count)
    basis[orbit, i, j] = orbits.sign[i, j] / np.sqrt(sizes[orbit])
    return basis


def _projector_basis(inputs: Representation, outputs: Representation) -> NDArray[np.float64]:
    """Gram-Schmidt on the columns of the projector, the longest remaining column first."""
    order, d_out, d_in = inputs.group.order, outputs.dim, inputs.dim
    left = outputs.matrices.reshape(order, -1)
    right = inputs.inverse_matrices.reshape(order, -1)
    projector = (left.T @ right / order).reshape(d_out, d_out, d_in, d_in)
    # From axes [i, k, l, j] of sum_kl out[i, k] W[k, l] inv[l, j] to columns P(E_kl).
    columns = projector.transpose(0, 3, 1, 2).reshape(d_out * d_in, d_out * d_in)
    basis = np.zeros((intertwiner_dimension(inputs, outputs), d_out * d_in))
    for r in range(len(basis)):
        norms = np.linalg.norm(columns, axis=0)
        # Equally long columns differ by rounding only: take the first of them, on any machine.
        pivot = int(np.argmax(norms >= norms.max() * (1 - 1e-6)))
        vector = columns[:, pivot] / norms[pivot]
        vector -= basis[:r].T @ (basis[:r] @ vector)  # second pass, against cancellation
        basis[r] = vector / np.linalg.norm(vector)
        columns = columns - np.outer(basis[r], basis[r] @ columns)
    return basis.reshape(-1, d_out, d_in)
