"""Every layer, listed once: the conformance suite runs each case through all its tests."""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from tf_equirl.groups import (
    FiniteGroup,
    Representation,
    cyclic_group,
    dihedral_group,
    image_representation,
    permutation_representation,
    picture_of,
    quaternion_group,
    regular_representation,
    symmetric_group,
    trivial_representation,
)
from tf_equirl.layers import (
    EquivariantReadout,
    GroupAveraging,
    GroupConv2D,
    GroupDense,
    GroupPooling,
    InputNormalization,
    InvariantVector,
    LiftingConv2D,
    LiftingDense,
    PermutationEquivariantDense,
    ProximalPooling,
    RelaxedGroupConv2D,
    RelaxedGroupDense,
    RelaxedLiftingConv2D,
    RelaxedLiftingDense,
    RelaxedReadout,
    RelaxedSteerableConv2D,
    ResidualPathway,
    SpatialPooling,
    SymmetrizerConv2D,
    SymmetrizerDense,
    TransitionImages,
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


def turned(group: FiniteGroup) -> Representation:
    """Orthogonal, but no signed permutation."""
    regular = regular_representation(group).matrices
    basis, _ = np.linalg.qr(np.random.default_rng(1).normal(size=regular.shape[1:]))
    return Representation(group, basis @ regular @ basis.T)


def triple(group: FiniteGroup) -> Representation:
    return trivial_representation(group, 3)


@dataclass(frozen=True)
class Case:
    """One layer with representations that are characteristic of it.

    `make(inputs, outputs, units, **kwargs)` builds the layer. `rows` are True when the
    representation acts on the axis before the channels.

    Where a layer's input or output is not one array that the group acts on along one axis, the
    suite works with flat vectors: `unpack(x, n)` makes the input out of them, `pack(y, n)` makes
    them out of the output, for a group of order n.
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
    # Whether the weights are as many as there are equivariant maps.
    strict: bool = True
    unpack: Callable[[Any, int], Any] | None = None
    pack: Callable[[Any, int], Any] | None = None

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
        layer.build(self.layer_shape(group, (None, *self.input_shape(group, channels))))
        return layer

    def layer_input(self, group: FiniteGroup, inputs: Any) -> Any:
        """The layer's own input, out of the suite's."""
        return inputs if self.unpack is None else self.unpack(inputs, group.order)

    def layer_shape(self, group: FiniteGroup, shape: tuple[int | None, ...]) -> Any:
        """The shape of the layer's own input, out of that of the suite's."""
        parts = self.layer_input(group, keras.KerasTensor(shape))
        return [part.shape for part in parts] if isinstance(parts, list) else parts.shape

    def function(
        self, group: FiniteGroup, layer: keras.layers.Layer
    ) -> Callable[[Any], Any] | keras.layers.Layer:
        """The layer as a map from the suite's inputs to its outputs."""
        if self.unpack is None:
            return layer

        def flat(inputs: Any) -> Any:
            outputs = layer(self.layer_input(group, inputs))
            return outputs if self.pack is None else self.pack(outputs, group.order)

        return flat

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


def rows(vectors: Any, order: int) -> Any:
    """[..., n * d] to [..., n, d]."""
    return ops.stack(ops.split(vectors, order, axis=-1), axis=-2)


def flat(rows: Any, order: int) -> Any:
    """[..., n, d] to [..., n * d]."""
    return ops.concatenate(ops.unstack(rows, order, axis=-2), axis=-1)


def state_and_images(vectors: Any, order: int) -> list[Any]:
    """[..., (n + 1) * d] to [..., d] and [..., n, d]."""
    state, *images = ops.split(vectors, order + 1, axis=-1)
    return [state, ops.stack(images, axis=-2)]


def images_of(rho: Callable[[FiniteGroup], Representation]):
    """How the group acts on transition images: it permutes the rows and moves each of them."""
    return functools.cache(lambda group: regular(group) * rho(group))


def transition_images(rho):
    return Case(
        f"images_{rho.__name__}",
        TransitionImages,
        lambda inputs, outputs, units, **kwargs: TransitionImages(rho(inputs.group), **kwargs),
        functools.cache(
            lambda group: regular(group) * trivial_representation(group, rho(group).dim)
        ),
        images_of(rho),
        unpack=rows,
        pack=flat,
        **no_weights,
    )


def averaging(rho):
    return Case(
        f"averaging_{rho.__name__}",
        GroupAveraging,
        lambda inputs, outputs, units, **kwargs: GroupAveraging(**kwargs),
        images_of(rho),
        rho,
        unpack=rows,
        **no_weights,
    )


def proximal(distance, selection, rho):
    return Case(
        f"proximal_{distance}_{selection}_{rho.__name__}",
        ProximalPooling,
        lambda inputs, outputs, units, **kwargs: ProximalPooling(
            distance, selection, representation=outputs, **kwargs
        ),
        functools.cache(lambda group: rho(group) + images_of(rho)(group)),
        rho,
        unpack=state_and_images,
        **no_weights,
    )


def motions(group: FiniteGroup) -> dict[str, list[int]]:
    """How a group moves pictures: the library's own way, or by those of its signs."""
    if group in (GROUPS["C2"], GROUPS["C4"], GROUPS["D4"]):
        picture = picture_of(image_representation(group, 2, 2))
        return {"turns": list(picture.turns), "flips": [bool(flip) for flip in picture.flips]}
    characters = []
    for signs in itertools.product([1.0, -1.0], repeat=len(group.generators)):
        images = {g: [[s]] for g, s in zip(group.generators, signs, strict=True)}
        with contextlib.suppress(ValueError):
            characters.append(Representation.from_generators(group, images).character < 0)
    return {"turns": (2 * characters[-1]).tolist(), "flips": characters[1].tolist()}


def field(size: int, pixel: Callable[[FiniteGroup], Representation], channels: int = 1):
    """Flat fields of `size` by `size` pixels, on each of which a representation acts."""

    @functools.cache
    def representation(group: FiniteGroup) -> Representation:
        rows = pixel(group)
        if channels > 1:
            rows = rows * trivial_representation(group, channels)
        return image_representation(group, size, size, rows, **motions(group))

    return representation


def pixels(size: int, *axes: int):
    """Unpacks flat fields to [..., size, size, *axes]; an axis of 0 is that of the group."""

    def unpack(vectors: Any, order: int) -> Any:
        leading = [-1 if axis is None else axis for axis in ops.shape(vectors)[:-1]]
        own = [size, size, *(order if axis == 0 else axis for axis in axes)]
        last = vectors.shape[-1] // math.prod(own)
        return ops.reshape(vectors, (*leading, *own, last))

    return unpack


def vectors(axes: int):
    """Packs the last axes into one."""

    def pack(outputs: Any, order: int) -> Any:
        leading = [-1 if axis is None else axis for axis in ops.shape(outputs)[:-axes]]
        return ops.reshape(outputs, (*leading, math.prod(outputs.shape[-axes:])))

    return pack


def convolution(name, layer, size, pixel, channels, output, unpack, make, activation=None):
    """A layer of pictures `size` by `size`, whose outputs are of so many rows and of 4 filters."""

    def built(inputs, outputs, units, **kwargs):
        kwargs |= {"bias_initializer": keras.initializers.RandomNormal(seed=1), **FIXED}
        return make(inputs, **kwargs, activation=activation)

    return Case(
        name,
        layer,
        built,
        field(size, pixel, channels),
        field(output, regular, 4),
        unpack=unpack,
        pack=vectors(4),
        **no_weights,
    )


def mixed(group: FiniteGroup) -> Representation:
    return signed(group) + natural(group)


regular = regular_representation
no_rows = {"output_rows": False}
no_weights = {"input_rows": False, "output_rows": False, "has_weights": False}
# Keras' own convolution cannot be mapped over members, and the suite binds weights by hand.
FIXED = {"kernel_initializer": keras.initializers.HeNormal(seed=2), "algorithm": "slices"}


def pathway(make):
    """A free layer beside an equivariant one, with a prior of a size at which it starts exact."""

    def made(*arguments, name=None, **kwargs):
        inner = make(*arguments, **{**FIXED_KERNEL, **kwargs})
        return ResidualPathway(inner, prior_scale=0.0, name=name)

    return made


FIXED_KERNEL = {
    "kernel_initializer": keras.initializers.HeNormal(seed=2),
    "bias_initializer": keras.initializers.RandomNormal(seed=1),
}
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
    *(
        Case(
            f"normalization_{rho.__name__}",
            InputNormalization,
            lambda inputs, outputs, units, **kwargs: InputNormalization(inputs, **kwargs),
            rho,
            rho,
            **no_weights,
        )
        for rho in (signed, turned, natural)
    ),
    Case(
        "invariant_vector",
        InvariantVector,
        lambda inputs, outputs, units, **kwargs: InvariantVector(outputs, value=0.5, **kwargs),
        skew,
        mixed,
        **no_weights,
    ),
    *(
        convolution(
            f"lift_conv_{pixel.__name__}",
            LiftingConv2D,
            5,
            pixel,
            1,
            2,
            pixels(5),
            lambda inputs, pixel=pixel, **kwargs: LiftingConv2D(
                4, 3, field(5, pixel)(inputs.group), strides=2, **kwargs
            ),
            "relu",
        )
        for pixel in (skew, signed)
    ),
    convolution(
        "group_conv",
        GroupConv2D,
        4,
        regular,
        2,
        4,
        pixels(4, 0),
        lambda inputs, **kwargs: GroupConv2D(
            4, 3, inputs.group, **motions(inputs.group), padding="circular", **kwargs
        ),
        "relu",
    ),
    convolution(
        "symmetrizer_conv",
        SymmetrizerConv2D,
        3,
        natural,
        1,
        3,
        lambda x, order: ops.expand_dims(pixels(3)(x, order), -1),
        lambda inputs, **kwargs: SymmetrizerConv2D(
            4, 3, natural(inputs.group), **motions(inputs.group), padding="same", **kwargs
        ),
    ),
    Case(
        "spatial_pooling",
        SpatialPooling,
        lambda inputs, outputs, units, **kwargs: SpatialPooling("max", **kwargs),
        field(2, regular_representation, 3),
        functools.cache(lambda group: regular(group) * trivial_representation(group, 3)),
        unpack=pixels(2, 0),
        pack=vectors(2),
        **no_weights,
    ),
    Case(
        "relaxed_lift",
        RelaxedLiftingDense,
        lambda inputs, outputs, units, **kwargs: RelaxedLiftingDense(
            units, inputs, banks=2, **kwargs
        ),
        skew,
        regular,
        input_rows=False,
        activation="relu",
        strict=False,
    ),
    *(
        Case(
            f"relaxed_group_{name}",
            RelaxedGroupDense,
            lambda inputs, outputs, units, options=options, **kwargs: RelaxedGroupDense(
                units, inputs.group, **options, **kwargs
            ),
            regular,
            regular,
            activation="relu",
            strict=False,
        )
        for name, options in (
            ("output", {"algorithm": "fourier", "rate": 3.0}),
            ("input", {"banks": 2, "side": "input"}),
        )
    ),
    Case(
        "relaxed_readout",
        RelaxedReadout,
        lambda inputs, outputs, units, **kwargs: RelaxedReadout(outputs, banks=2, **kwargs),
        regular,
        skew,
        strict=False,
        **no_rows,
    ),
    convolution(
        "relaxed_lift_conv",
        RelaxedLiftingConv2D,
        5,
        signed,
        1,
        2,
        pixels(5),
        lambda inputs, **kwargs: RelaxedLiftingConv2D(
            4, 3, field(5, signed)(inputs.group), strides=2, banks=2, **kwargs
        ),
        "relu",
    ),
    convolution(
        "relaxed_group_conv",
        RelaxedGroupConv2D,
        4,
        regular,
        2,
        4,
        pixels(4, 0),
        lambda inputs, **kwargs: RelaxedGroupConv2D(
            *(4, 3, inputs.group), **motions(inputs.group), padding="circular", **kwargs
        ),
        "relu",
    ),
    *(
        convolution(
            f"relaxed_steerable_{pixel.__name__}",
            RelaxedSteerableConv2D,
            3,
            pixel,
            1,
            3,
            lambda x, order: ops.expand_dims(pixels(3)(x, order), -1),
            lambda inputs, pixel=pixel, **kwargs: RelaxedSteerableConv2D(
                4, 3, pixel(inputs.group), **motions(inputs.group), padding="same", **kwargs
            ),
        )
        for pixel in (natural, turned)
    ),
    Case(
        "pathway_lift",
        ResidualPathway,
        pathway(lifting),
        skew,
        functools.cache(lambda group: regular(group) * trivial_representation(group, 4)),
        pack=vectors(2),
        unpack=lambda x, order: x,
        **no_weights,
    ),
    convolution(
        "pathway_conv",
        ResidualPathway,
        4,
        regular,
        2,
        4,
        pixels(4, 0),
        pathway(
            lambda inputs, **kwargs: GroupConv2D(
                *(4, 3, inputs.group), **motions(inputs.group), padding="circular", **kwargs
            )
        ),
        "relu",
    ),
    transition_images(skew),
    averaging(skew),
    proximal("l1", "hard", signed),
    proximal("l2", "soft", turned),
]
