"""Group convolutions in the Fourier basis, where they are block-diagonal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from tf_equirl.groups import FiniteGroup, fourier_basis, real_irreps

ALGORITHMS = ("auto", "dense", "fourier")

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
        weights, scales, start = [], [], 0
        for irrep in self._irreps:
            dim, copies = irrep.representation.dim, irrep.copies
            rows = basis[start : start + dim * copies].reshape(copies, dim, -1)
            scale = np.abs(rows).max(axis=(0, 2))
            scales.append(np.tile(scale, copies))
            rows /= scale[:, None]
            matrices = np.asarray(irrep.representation.matrices)  # [u, i, j]
            # Of input j and output i, so that both changes of basis may have the scaled rows.
            weights.append((matrices * np.multiply.outer(scale, scale)).transpose(2, 1, 0))
            start += dim * copies
        self._basis, self._scale = basis, np.concatenate(scales)
        self._weights = np.concatenate([w.reshape(-1, self._order) for w in weights])

    def coefficients(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """The scaled Fourier coefficients `[n, ...]` of constant rows `[n, ...]`.

        `back` makes the rows of them again.
        """
        found = np.tensordot(self._basis * self._scale[:, None] ** 2, rows, axes=1)
        return np.where(np.abs(found) < 1e-12, 0.0, found)

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

    def convolved(self, inputs: Any, blocks: list[Any], bias: Any, leading: Any) -> list[Any]:
        """The convolution of inputs `[..., n, C]`, as a row `[..., U]` for each element.

        Args:
            inputs: `[..., n, C]`.
            blocks: What `prepare` made of the kernel.
            bias: `[U]`, or None.
            leading: The shape of the inputs' leading dimensions.
        """
        coefficients = _combined(self._basis, inputs, -2)
        outputs, start = [], 0
        for irrep, block in zip(self._irreps, blocks, strict=True):
            dim, copies = irrep.representation.dim, irrep.copies
            x = _joined(coefficients[start : start + dim * copies], -1)
            start += dim * copies
            if copies > 1:
                x = ops.reshape(x, (*leading, copies, block.shape[0]))
            y = ops.matmul(x, block)
            if dim * copies > 1:
                y = ops.reshape(y, (*leading, dim * copies, block.shape[1] // dim))
                outputs += ops.unstack(y, axis=-2)
            else:
                outputs.append(y)
        return self.back(outputs, bias)

    def back(self, coefficients: list[Any], bias: Any, kept: Sequence[int] | None = None) -> Any:
        """Rows `[..., U]` for each element, of scaled Fourier coefficients.

        Args:
            coefficients: `[..., U]` each.
            bias: `[U]`, which is added to all rows, or None.
            kept: Which coefficients are given, the others being 0; None for all.
        """
        basis = self._basis if kept is None else self._basis[list(kept)]
        if bias is not None and (kept is None or 0 in kept):
            # Of the trivial irrep, which is the same in all rows: one sum in place of n.
            first = 0 if kept is None else list(kept).index(0)
            coefficients = list(coefficients)
            coefficients[first] = ops.add(coefficients[first], bias)
            bias = None
        if self._order > LARGEST_UNROLLED:
            rows = _product(basis.T, ops.stack(coefficients, axis=-2))
        else:
            rows = _sums(basis.T, coefficients)
        return rows if bias is None else [ops.add(row, bias) for row in rows]


def _joined(tensors: list[Any], axis: int) -> Any:
    return tensors[0] if len(tensors) == 1 else ops.concatenate(tensors, axis)


def _combined(matrix: NDArray[np.float64], x: Any, axis: int) -> list[Any]:
    """The linear combinations of a tensor's slices along an axis that are a matrix's rows."""
    if x.shape[axis] <= LARGEST_UNROLLED:
        return _sums(matrix, ops.unstack(x, axis=axis))
    if axis == -2:
        return _product(matrix, x)
    rows = ops.matmul(ops.cast(matrix, x.dtype), ops.reshape(x, (x.shape[0], -1)))
    return ops.unstack(ops.reshape(rows, (len(matrix), *x.shape[1:])), axis=0)


def _product(matrix: NDArray[np.float64], x: Any) -> list[Any]:
    """The rows of `matrix @ x` for x `[..., n, C]`."""
    return ops.unstack(ops.matmul(ops.cast(matrix, x.dtype), x), axis=-2)


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
