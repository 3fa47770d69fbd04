"""Every layer, listed once: the conformance suite runs each case through all its tests."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tf_equirl.groups import (
    FiniteGroup,
    Representation,
    cyclic_group,
    dihedral_group,
    permutation_representation,
    quaternion_group,
    regular_representation,
    symmetric_group,
    trivial_representation,
)
from tf_equirl.layers import (
    EquivariantReadout,
    GroupDense,
    GroupPooling,
    LiftingDense,
    PermutationEquivariantDense,
    SymmetrizerDense,
)

GROUPS = {
    "C2": cyclic_group(2),
    "C4": cyclic_group(4),
    "S3": symmetric_group(3),
    "D4": dihedral_group(4),
    "Q8": quaternion_group(),
}


def natural(group: FiniteGroup) -> Representation:
    """Permutations with more than one orbit of coordinates."""
    if group.permutations is None:
        return regular_representation(group) + trivial_representation(group)
    return permutation_representation(group) + trivial_representation(group)


def sign(group: FiniteGroup) -> Representation:
    """A homomorphism to {1, -1} that is not trivial."""
    choices = itertools.product([-1.0, 1.0], repeat=len(group.generators))
    for signs in list(choices)[:-1]:
        images = {g: [[s]] for g, s in zip(group.generators, signs, strict=True)}
        try:
            return Representation.from_generators(group, images)
        except ValueError:
            continue
    raise ValueError(f"{group} has no sign")


def signed(group: FiniteGroup) -> Representation:
    """Signed permutations; some stabilisers flip a sign, so that some weights must be zero."""
    if group.matrices is not None:  # the quaternions
        return Representation(group, group.matrices) + sign(group)
    return sign(group) * natural(group)


def skew(group: FiniteGroup) -> Representation:
    """Neither a permutation nor orthogonal: tells inverses from transposes."""
    noise = np.random.default_rng(0).normal(size=(group.order, group.order))
    basis = np.eye(group.order) + noise / (2 * np.sqrt(group.order))
    regular = regular_representation(group).matrices
    return Representation(group, basis @ regular @ np.linalg.inv(basis))


def triple(group: FiniteGroup) -> Representation:
    return trivial_representation(group, 3)


@dataclass(frozen=True)
class Case:
    """One layer with representations that are characteristic of it.

    `make(inputs, outputs, units, **kwargs)` builds the layer. `rows` are True when the
    representation acts on the axis before the channels.
    """

    name: str
    layer: type[keras.layers.Layer]
    make: Callable[..., keras.layers.Layer]
    inputs: Callable[[FiniteGroup], Representation]
    outputs: Callable[[FiniteGroup], Representation]
    input_rows: bool = True
    output_rows: bool = True
    activation: str | None = None
    has_weights: bool = True
    # Whether every row of the output, or only their mean, starts with the variance of `Dense`.
    variance_by_row: bool = True

    def build(
        self, group: FiniteGroup, channels: int = 3, units: int = 4, **kwargs: Any
    ) -> keras.layers.Layer:
        """A built layer whose weights, biases too, are random."""
        if self.has_weights:
            kwargs.setdefault("bias_initializer", keras.initializers.RandomNormal(seed=1))
            kwargs.setdefault("kernel_initializer", keras.initializers.GlorotNormal(seed=2))
        if self.activation is not None:
            kwargs.setdefault("activation", self.activation)
        layer = self.make(self.inputs(group), self.outputs(group), units, **kwargs)
        layer.build((None, *self.input_shape(group, channels)))
        return layer

    def input_shape(self, group: FiniteGroup, channels: int = 3) -> tuple[int, ...]:
        dim = self.inputs(group).dim
        return (dim, channels) if self.input_rows else (dim,)

    def batch(self, group: FiniteGroup, *leading: int, channels: int = 3) -> np.ndarray:
        shape = (*leading, *self.input_shape(group, channels))
        return np.random.default_rng(3).normal(size=shape).astype("float32")

    def law(self, group: FiniteGroup) -> dict[str, Any]:
        """The arguments of `check_layer_equivariance`."""
        return {
            "input_representation": self.inputs(group),
            "output_representation": self.outputs(group),
            "input_axis": -2 if self.input_rows else -1,
            "output_axis": -2 if self.output_rows else -1,
        }


def lifting(inputs, outputs, units, **kwargs):
    return LiftingDense(units, inputs, **kwargs)


def group_dense(inputs, outputs, units, **kwargs):
    return GroupDense(units, inputs.group, **kwargs)


def permutation_dense(inputs, outputs, units, **kwargs):
    return PermutationEquivariantDense(units, inputs, outputs, **kwargs)


def readout(inputs, outputs, units, **kwargs):
    return EquivariantReadout(outputs, **kwargs)


def symmetrizer(basis):
    return lambda inputs, outputs, units, **kwargs: SymmetrizerDense(
        units, inputs, outputs, basis, **kwargs
    )


def pooling(mode):
    return lambda inputs, outputs, units, **kwargs: GroupPooling(mode, **kwargs)


def mixed(group: FiniteGroup) -> Representation:
    return signed(group) + natural(group)


regular = regular_representation
no_rows = {"output_rows": False}
CASES = [
    Case("lift_skew", LiftingDense, lifting, skew, regular, input_rows=False, activation="relu"),
    Case("lift_signed", LiftingDense, lifting, signed, regular, input_rows=False),
    Case("group", GroupDense, group_dense, regular, regular, activation="relu"),
    Case(
        "permutation",
        PermutationEquivariantDense,
        permutation_dense,
        mixed,
        natural,
        activation="relu",
    ),
    Case(
        "permutation_signed",
        PermutationEquivariantDense,
        permutation_dense,
        natural,
        mixed,
        activation="tanh",
    ),
    Case("readout_skew", EquivariantReadout, readout, regular, skew, **no_rows),
    Case("readout_signed", EquivariantReadout, readout, regular, mixed, **no_rows),
    *(
        Case(
            f"symmetrizer_{basis}_{name}",
            SymmetrizerDense,
            symmetrizer(basis),
            inputs,
            outputs,
            activation=activation,
            variance_by_row=False,
        )
        for basis, name, inputs, outputs, activation in (
            ("exact", "signed", natural, mixed, "tanh"),
            ("exact", "skew", mixed, skew, None),
            ("sampled", "lift", skew, regular, "relu"),
            ("sampled", "signed", natural, mixed, "tanh"),
        )
    ),
    *(
        Case(
            f"pooling_{mode}",
            GroupPooling,
            pooling(mode),
            regular,
            triple,
            output_rows=False,
            has_weights=False,
        )
        for mode in ("mean", "max", "sum")
    ),
]
