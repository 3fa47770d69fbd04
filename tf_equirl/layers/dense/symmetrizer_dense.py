"""The Symmetrizer: a linear layer as a combination of a basis of all equivariant maps."""

from __future__ import annotations

import functools
from typing import Any

import keras
import numpy as np
from keras import ops

from tf_equirl._checks import LARGEST_SEED, LARGEST_UNITS, integer, one_of, positive_integer
from tf_equirl.groups import (
    Representation,
    intertwiner_basis,
    intertwiner_dimension,
    sampled_intertwiner_basis,
    signed_pair_orbits,
    trivial_representation,
)
from tf_equirl.groups.orbits import PairOrbits
from tf_equirl.layers.base import (
    EquivariantLinear,
    FixedVectors,
    acts_by_index,
    check_activation,
    gather_kernel,
    object_of,
)

BASES = ("exact", "sampled", "random")
LARGEST_DRAWN = 1 << 27
"""Numbers that a basis which is not exact is made of, 1 GB."""


@keras.saving.register_keras_serializable(package="tf_equirl")
class SymmetrizerDense(EquivariantLinear):
    """The layer of MDP homomorphic networks: W = sum_k alpha_k V_k with trained alpha.

        y[i, u] = activation(sum_k sum_j V_k[i, j] sum_c h[j, c] alpha[k, c, u] + b[i, u])

    V_1, ..., V_r is an orthonormal basis of {V : rho_out(g) V = V rho_in(g) for every g}, and b
    runs over the fixed vectors of rho_out, in an orthonormal basis too. Law, for every g in G, the
    representations acting on the second-to-last axis: `layer(rho_in(g) h) = rho_out(g) layer(h)`.
    Without the activation these are *all* such maps. Between regular representations they are
    those of `GroupDense`, with n * C * units parameters, too.

    van der Pol, Worrall, van Hoof, Oliehoek & Welling, "MDP Homomorphic Networks: Group Symmetries
    in Reinforcement Learning" (2020), equations 17 and 50.

    The basis is

    * `"exact"`: that of `intertwiner_basis`, a function of the representations alone. For (signed)
      permutation representations no matrix V_k is ever formed: every entry of W is one alpha,
      times a sign, over the square root of the size of its orbit.
    * `"sampled"`: the paper's algorithm 1, `sampled_intertwiner_basis`. The result depends on the
      machine's LAPACK, and alpha means nothing without it. The basis therefore is a weight of the
      layer that is not trained: it is saved and restored with alpha.
    * `"random"`: as many orthonormal matrices as the exact basis has, drawn at random, which is the
      paper's control (section 4.1). It obeys *no* law, and is a weight like a sampled one.

    Initial values. The paper says "Xavier" (appendix B.2); the authors' code (function
    `compute_gain` in `symmetrizer/ops/ops.py` of github.com/ElisevanderPol/symmetrizer, the default
    `gain_type="xavier"` of `BasisLinear`) draws alpha from a normal distribution with

        Var alpha = 2 / (r * units * d_out),

    which is the default here. As the basis is orthonormal, Var W[i, j] is r / (d_in * d_out) times
    that on average over entries: 2 / (units * d_out^2 * d_in). The fan-in does not enter. (The
    "he" of that code is 2 / (r * C * d_in), here `VarianceScaling(2 / (d_in * d_out), "fan_in",
    "untruncated_normal")`.) Biases start at zero, as everywhere here; that code draws their
    coefficients from the standard normal distribution, `bias_initializer=RandomNormal(stddev=1)`.

    Any other `kernel_initializer` is asked for an array [r, C, units], of fan-in r * C, and the
    result is multiplied by the square root of d_out. Then the outputs vary, on average over rows,
    as those of a `Dense` layer with that initializer and d_in * C inputs.

    Input shape: `[..., d_in, C]`, with `d_in` the dimension of `inputs`.
    Output shape: `[..., d_out, units]`, with `d_out` the dimension of `outputs`.

    Args:
        units: Number of output channels, at most 2^20.
        inputs: How the group acts on the input rows; a `Representation` or its config.
        outputs: The same for the output rows.
        basis: `"exact"`, `"sampled"` or `"random"`.
        seed: Seed of the random matrices of a basis that is not exact; copies of the layer agree
            on it. An integer from 0 to 2^64 - 1.
        kernel_initializer: As above; None for the paper's.
        **kwargs: See `EquivariantLinear`: `activation`, `use_bias`, initializers, ...

    Raises:
        ValueError: If `basis` is none of these, the representations belong to different groups or
            admit no non-zero equivariant map, a basis that is not exact would be drawn from more
            than 2^27 numbers, the activation does not commute with `outputs` (any does with
            permutations, odd ones with signed permutations, none with other matrices), or the shape
            of the input is wrong.
    """

    def __init__(
        self,
        units: int,
        inputs: Representation | dict[str, Any],
        outputs: Representation | dict[str, Any],
        basis: str = "exact",
        seed: int = 0,
        kernel_initializer: Any = None,
        **kwargs: Any,
    ) -> None:
        """Checks the arguments; computes an exact basis."""
        self.inputs = object_of(Representation, inputs, "inputs")
        self.outputs = object_of(Representation, outputs, "outputs")
        if kernel_initializer is None:
            # Of the shape [r, C, units] the fan-out is r * units.
            kernel_initializer = keras.initializers.VarianceScaling(
                2 / self.outputs.dim**2, "fan_out", "untruncated_normal"
            )
        super().__init__(kernel_initializer=kernel_initializer, **kwargs)
        self.units = positive_integer("units", units, LARGEST_UNITS)
        self.basis = one_of("basis", basis, BASES)
        self.seed = integer("seed", seed, 0, LARGEST_SEED)
        if self.inputs.group != self.outputs.group:
            raise ValueError(
                "`inputs` and `outputs` must be representations of the same group. "
                f"Received: inputs={self.inputs!r}, outputs={self.outputs!r}"
            )
        check_activation(self.activation, self.outputs)
        self.rows = self.inputs.dim
        self._rank = intertwiner_dimension(self.inputs, self.outputs)
        if not self._rank:
            raise ValueError(
                "`inputs` and `outputs` admit no equivariant linear map but zero. "
                f"Received: inputs={self.inputs!r}, outputs={self.outputs!r}"
            )
        size = self.outputs.dim * self.inputs.dim
        drawn = {"exact": 0, "sampled": size * size, "random": self._rank * size}[basis]
        if drawn > LARGEST_DRAWN:
            raise ValueError(
                f'`basis` must be "exact" for maps of {self.inputs.dim} rows to '
                f"{self.outputs.dim}: {drawn:,} numbers would have to be drawn, and the limit is "
                f"{LARGEST_DRAWN:,}. Received: basis={basis!r}"
            )
        trivial = trivial_representation(self.outputs.group)
        self._bias_rank = intertwiner_dimension(trivial, self.outputs)
        self._orbits: PairOrbits | None = None
        self._fixed_vectors: FixedVectors | None = None
        if basis == "exact":
            if acts_by_index(self.outputs):
                self._fixed_vectors = FixedVectors(self.outputs)
            else:
                self.bias_basis = intertwiner_basis(trivial, self.outputs)[..., 0]
            if self.inputs.signs is not None and self.outputs.signs is not None:
                self._orbits = orbits = signed_pair_orbits(self.outputs, self.inputs)
                sizes = np.bincount(orbits.index[orbits.sign != 0])
                self._factors = orbits.sign / np.sqrt(sizes)[orbits.index]
            else:
                self.kernel_basis = intertwiner_basis(self.inputs, self.outputs)

    def output_axes(self) -> tuple[int, ...]:
        """Returns `(d_out, units)`."""
        return (self.outputs.dim, self.units)

    def kernel_shape(self, channels: int) -> tuple[int, ...]:
        """Returns `(r, C, units)`, the shape of alpha."""
        return (self._rank, channels, self.units)

    def initial_kernel(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        """Returns alpha as drawn for the shape [r, C, units], times the square root of d_out.

        An orthonormal basis has r * C numbers that reach d_out rows: r * C / d_out a row.
        """
        drawn = self.kernel_initializer(shape, dtype=dtype)
        return ops.multiply(drawn, ops.cast(np.sqrt(self.outputs.dim), drawn.dtype))

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates the weights for inputs of shape `input_shape`; draws a basis that is not exact.

        Raises:
            ValueError: If `input_shape` does not end in the axes that the layer needs.
        """
        super().build(input_shape)
        if self.basis == "exact":
            return
        outputs, seed = self.outputs, self.seed
        drawn = _sampled_basis if self.basis == "sampled" else _random_basis
        kernel_basis = drawn(self.inputs, outputs, seed)
        self.kernel_basis = self.add_weight(
            name="kernel_basis",
            shape=kernel_basis.shape,
            initializer=lambda shape, dtype=None: ops.cast(kernel_basis, dtype),
            trainable=False,
        )
        if self.bias is not None:
            trivial = trivial_representation(outputs.group)
            bias_basis = drawn(trivial, outputs, seed)[..., 0]
            self.bias_basis = self.add_weight(
                name="bias_basis",
                shape=bias_basis.shape,
                initializer=lambda shape, dtype=None: ops.cast(bias_basis, dtype),
                trainable=False,
            )

    @property
    def basis_variables(self) -> list[keras.Variable]:
        """The variables that hold a basis; none before building, or for an exact one."""
        if self.basis == "exact" or not self.built:
            return []
        return [self.kernel_basis] + ([] if self.bias is None else [self.bias_basis])

    def expand(self, kernel: Any) -> Any:
        """Returns the matrix `[d_in * C, d_out * units]` of sum_k V_k[i, j] alpha_k from j to i."""
        if self._orbits is not None:
            return gather_kernel(kernel, self._orbits.index, self._factors)
        return self.combined(ops.convert_to_tensor(self.kernel_basis), kernel)

    def combined(self, basis: Any, kernel: Any) -> Any:
        """Returns the matrix of sum_k V_k alpha_k.

        Args:
            basis: V, `[r, d_out, d_in]`.
            kernel: alpha, `[r, C, units]`.
        """
        basis = ops.cast(basis, kernel.dtype)
        _, channels, units = kernel.shape
        d_out, d_in = self.outputs.dim, self.inputs.dim
        basis = ops.transpose(ops.reshape(basis, (self._rank, d_out * d_in)))
        blocks = ops.matmul(basis, ops.reshape(kernel, (self._rank, channels * units)))
        blocks = ops.transpose(ops.reshape(blocks, (d_out, d_in, channels, units)), (1, 2, 0, 3))
        return ops.reshape(blocks, (d_in * channels, d_out * units))

    def bias_shape(self) -> tuple[int, ...]:
        """Returns `(r, units)`, with r the dimension of the vectors that `outputs` fixes."""
        return (self._bias_rank, self.units)

    def expanded_bias(self) -> Any:
        """Returns the bias of every output row, `[d_out, units]`."""
        bias = ops.convert_to_tensor(self.bias)
        if self._fixed_vectors is not None:
            return self._fixed_vectors.vectors(bias)
        basis = ops.cast(ops.convert_to_tensor(self.bias_basis), bias.dtype)
        return ops.matmul(ops.transpose(basis), bias)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as plain JSON values."""
        config = super().get_config()
        config.update(
            units=self.units,
            inputs=self.inputs.get_config(),
            outputs=self.outputs.get_config(),
            basis=self.basis,
            seed=self.seed,
        )
        return config


# Every member of a population draws its initial weights from a copy of the model.
@functools.lru_cache(maxsize=16)
def _sampled_basis(inputs: Representation, outputs: Representation, seed: int) -> np.ndarray:
    return sampled_intertwiner_basis(inputs, outputs, seed=seed)


@functools.lru_cache(maxsize=16)
def _random_basis(inputs: Representation, outputs: Representation, seed: int) -> np.ndarray:
    """[r, d_out, d_in] orthonormal matrices, as many as there are equivariant ones."""
    rank, shape = intertwiner_dimension(inputs, outputs), (outputs.dim, inputs.dim)
    normal = np.random.default_rng(seed).normal(size=(shape[0] * shape[1], rank))
    return np.linalg.qr(normal)[0].T.reshape(rank, *shape)
