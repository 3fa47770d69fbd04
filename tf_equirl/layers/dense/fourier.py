"""Group convolutions in the Fourier basis, where they are block-diagonal."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from tf_equirl.groups import FiniteGroup, fourier_basis, real_irreps

LARGEST_UNROLLED = 8
"""Order up to which a change of basis is written out as sums, which compilers merge with what is
before and after; it is a product with a matrix beyond."""


class FourierConvolution:
    """A group convolution as products with one small matrix for each irrep.

    In the basis F of `fourier_basis` a convolution with psi has the blocks sum_u pi(u) psi(u), `[d
    C, d U]` for an irrep pi of dimension d, each of which takes the `copies` of pi as its rows. For
    an abelian group that is 1 / n of the dense form's multiplications, or up to 2 / n where irreps
    are of complex kind.

    Args:
        group: The group of n elements.
    """

    def __init__(self, group: FiniteGroup) -> None:
        """Finds the basis; its rows are scaled so that many of its entries are 1 and -1."""
        self._order = group.order
        self._irreps = real_irreps(group)
        basis = fourier_basis(group).copy()
        weights, start = [], 0
        for irrep in self._irreps:
            dim, copies = irrep.representation.dim, irrep.copies
            rows = basis[start : start + dim * copies].reshape(copies, dim, -1)
            scale = np.abs(rows).max(axis=(0, 2))
            rows /= scale[:, None]
            matrices = np.asarray(irrep.representation.matrices)  # [u, i, j]
            # Of input j and output i, so that both changes of basis may have the scaled rows.
            weights.append((matrices * np.multiply.outer(scale, scale)).transpose(2, 1, 0))
            start += dim * copies
        self._basis = basis
        self._weights = np.concatenate([w.reshape(-1, self._order) for w in weights])

    @property
    def products(self) -> int:
        """Multiplications for one input by C times U; n^2 in the dense form."""
        return sum(i.copies * i.representation.dim**2 for i in self._irreps)

    @property
    def blocks(self) -> int:
        """How many matrix products it takes."""
        return len(self._irreps)

    def prepare(self, kernel: Any) -> list[Any]:
        """The blocks `[d C, d U]` of every irrep, of a kernel `[n, C, U]`."""
        pieces = _combined(self._weights, kernel, 0)
        blocks, start = [], 0
        for irrep in self._irreps:
            dim = irrep.representation.dim
            rows = [pieces[start + j * dim : start + (j + 1) * dim] for j in range(dim)]
            start += dim**2
            blocks.append(_joined([_joined(row, -1) for row in rows], 0))
        return blocks

    def linear(self, inputs: Any, blocks: list[Any], leading: Any) -> list[Any]:
        """The convolution of inputs `[..., n, C]`, as n tensors `[..., U]`."""
        coefficients = _combined(self._basis, inputs, -2)
        outputs, start = [], 0
        for irrep, block in zip(self._irreps, blocks, strict=True):
            dim, copies = irrep.representation.dim, irrep.copies
            x = _joined(coefficients[start : start + dim * copies], -1)
            start += dim * copies
            units = block.shape[1] // dim
            if copies > 1:
                x = ops.reshape(x, (*leading, copies, block.shape[0]))
            y = ops.matmul(x, block)
            if dim * copies == 1:
                outputs.append(y)
                continue
            y = ops.reshape(y, (*leading, dim * copies, units))
            outputs += ops.unstack(y, axis=-2)
        if self._order > LARGEST_UNROLLED:
            return ops.unstack(_combined_by_product(self._basis.T, ops.stack(outputs, -2)), axis=-2)
        return _sums(self._basis.T, outputs)


def _joined(tensors: list[Any], axis: int) -> Any:
    return tensors[0] if len(tensors) == 1 else ops.concatenate(tensors, axis)


def _combined(matrix: NDArray[np.float64], x: Any, axis: int) -> list[Any]:
    """The linear combinations of a tensor's slices along an axis that are a matrix's rows."""
    if x.shape[axis] <= LARGEST_UNROLLED:
        return _sums(matrix, ops.unstack(x, axis=axis))
    if axis == -2:
        return ops.unstack(_combined_by_product(matrix, x), axis=-2)
    flat = ops.reshape(x, (x.shape[0], -1))
    rows = ops.matmul(ops.cast(matrix, x.dtype), flat)
    return ops.unstack(ops.reshape(rows, (len(matrix), *x.shape[1:])), axis=0)


def _combined_by_product(matrix: NDArray[np.float64], x: Any) -> Any:
    """`matrix @ x` for x `[..., n, C]`."""
    return ops.matmul(ops.cast(matrix, x.dtype), x)


def _sums(matrix: NDArray[np.float64], terms: list[Any]) -> list[Any]:
    """Linear combinations of tensors, one for each row; zeros cost nothing."""
    combined = []
    for row in matrix:
        total = None
        for factor, term in zip(row.tolist(), terms, strict=True):
            if factor == 0:
                continue
            negative, size = factor < 0 and total is not None, factor
            size = abs(factor) if negative else factor
            if size != 1:
                term = ops.negative(term) if size == -1 else ops.multiply(term, size)
            if total is None:
                total = term
            else:
                total = ops.subtract(total, term) if negative else ops.add(total, term)
        combined.append(total)
    return combined
