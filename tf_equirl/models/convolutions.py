"""The part of a network that looks at a picture."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras

from tf_equirl._checks import instance, number, one_of, refuse, within
from tf_equirl.groups import (
    Picture,
    Representation,
    Symmetry,
    cyclic_group,
    image_representation,
    picture_of,
    regular_representation,
    trivial_representation,
)
from tf_equirl.layers import (
    GroupConv2D,
    LiftingConv2D,
    SpatialPooling,
    SymmetrizerConv2D,
)
from tf_equirl.layers.grid.geometry import PADDINGS, Geometry, pair
from tf_equirl.models.widths import LARGEST_WIDTH, check_hidden_units

POOLINGS = ("flatten", "max", "mean")
_SMALL = 12  # pixels on a side from which on nothing is left out any more


@dataclasses.dataclass(frozen=True)
class Convolutions:
    """Convolutions of a picture, one after another, and what is made of the last one's outputs.

    Attributes:
        filters: Channels of each convolution, per group element; None for convolutions that fit the
            picture, see `fitted`.
        kernel_sizes: Rows and columns of each one's windows, an integer or two; None: 3.
        strides: Pixels from one window to the next, likewise; None: 1.
        padding: Of all of them, see `LiftingConv2D`: "valid", "same" or "circular".
        pooling: "flatten" keeps what every place of the last picture has, "max" and "mean" keep the
            largest and the mean over all places, for which it does not matter where something is.
        picture_scale: What the numbers of a picture are multiplied by first; 1/255 for bytes.

    Raises:
        ValueError: Naming the field that breaks its rule.
    """

    filters: Sequence[int] | None = None
    kernel_sizes: Sequence[Any] | None = None
    strides: Sequence[Any] | None = None
    padding: str = "same"
    pooling: str = "flatten"
    picture_scale: float = 1.0

    def __post_init__(self) -> None:
        """Checks the fields."""

        def keep(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        one_of("padding", self.padding, PADDINGS)
        one_of("pooling", self.pooling, POOLINGS)
        scale = number("picture_scale", self.picture_scale, "a positive number", lambda x: x > 0)
        keep("picture_scale", scale)
        if self.filters is None:
            for name, value in (("kernel_sizes", None), ("strides", None), ("padding", "same")):
                if getattr(self, name) != value:
                    refuse(name, f"{value} where `filters` is not given", getattr(self, name))
            return
        rule = f"a non-empty sequence of positive integers up to {LARGEST_WIDTH:,}, or None"
        try:
            keep("filters", check_hidden_units(self.filters))
        except ValueError:
            refuse("filters", rule, self.filters)
        for name in ("kernel_sizes", "strides"):
            value = getattr(self, name)
            if value is None:
                continue
            if not isinstance(value, (list, tuple)) or len(value) != len(self.filters):
                refuse(name, f"one for each of {len(self.filters)} filters, or None", value)
            with within(name):
                for item in value:
                    pair(name.removesuffix("s"), item, 1)
            whole = (tuple(map(int, x)) if isinstance(x, (list, tuple)) else int(x) for x in value)
            keep(name, tuple(whole))

    def geometries(self) -> Iterator[Geometry]:
        """How the windows of each convolution lie in its picture."""
        count = len(self.filters or ())
        for size, stride in zip(
            self.kernel_sizes or (3,) * count, self.strides or (1,) * count, strict=True
        ):
            yield Geometry(size, stride, self.padding)

    def fitted(self, picture: Picture) -> Convolutions:
        """These convolutions; where no filters are given, some that fit a picture.

        Strides of 2 with windows of 4 or 5 pixels, whichever lie symmetrically in it, until a side
        has at most 12; then windows of 3 and no stride; two convolutions at least. 16 channels
        first, then 32.

        Args:
            picture: How the group acts on it.
        """
        if self.filters is not None:
            return self
        size, kernels, strides = [picture.height, picture.width], [], []
        while min(size) > _SMALL:
            kernels.append(tuple(5 if side % 2 else 4 for side in size))
            strides.append(2)
            size = [-(-side // 2) for side in size]
        while len(kernels) < 2 or strides[-1] == 2:
            kernels.append((3, 3))
            strides.append(1)
        filters = (16, *(32,) * (len(kernels) - 1))
        return dataclasses.replace(self, filters=filters, kernel_sizes=kernels, strides=strides)


def convolutions_for(
    symmetry: Symmetry,
    kind: str,
    convolutions: Convolutions | None,
    observation_shape: Sequence[int] | None,
) -> Convolutions | None:
    """The convolutions of a network; None if it has none.

    Args:
        symmetry: The symmetry.
        kind: Of the network. "mlp" and "odd" have no convolutions.
        convolutions: What is asked for; None for those that fit the picture.
        observation_shape: Shape of an observation, or None.

    Raises:
        ValueError: If there are convolutions, or a "cnn", and no picture, or if observations have
            another shape than the pictures, such as one whose channels come first.
    """
    picture = picture_of(symmetry.state)
    if convolutions is not None:
        instance("convolutions", convolutions, Convolutions, "a models.Convolutions or None")
    if picture is None:
        if convolutions is not None or kind == "cnn":
            raise ValueError(
                "kind='cnn' and `convolutions` need a symmetry whose state is an "
                f"image_representation. Received: symmetry.state={symmetry.state!r}, "
                f"kind={kind!r}, convolutions={convolutions!r}"
            )
        return None
    shapes = [picture.shape, (symmetry.state.dim,)]
    shapes += [picture.shape[:2]] * (picture.shape[2] == 1)
    if observation_shape is not None and tuple(observation_shape) not in shapes:
        raise ValueError(
            f"`observation_shape` must be that of the pictures of symmetry.state, {picture.shape}: "
            f"height, width, channels. Received: observation_shape={tuple(observation_shape)}"
        )
    return None if kind in ("mlp", "odd") else (convolutions or Convolutions()).fitted(picture)


def all_widths(convolutions: Convolutions | None, hidden_units: Sequence[int]) -> tuple[int, ...]:
    """The filters of convolutions, if there are any, and the widths of the layers after them."""
    hidden_units = check_hidden_units(hidden_units)
    filters = () if convolutions is None else convolutions.filters or ()
    return (*filters, *hidden_units)


def unconstrained_picture(representation: Representation) -> Representation:
    """The same picture under the group of one element, which asks nothing of a network."""
    height, width, channels = picture_of(representation).shape  # type: ignore[union-attr]
    return image_representation(cyclic_group(1), height, width, channels, turns=[0])


def picture_features(
    convolutions: Convolutions,
    layer: type[keras.layers.Layer],
    representation: Representation,
    widths: Sequence[int],
    x: keras.KerasTensor,
    arguments: Callable[[], dict[str, Any]],
    make: Callable[..., Any],
) -> tuple[keras.KerasTensor, Representation, Sequence[int]]:
    """What the convolutions make of flat pictures.

    Args:
        convolutions: Which ones.
        layer: `GroupConv2D`, before which a `LiftingConv2D` stands, or `SymmetrizerConv2D`.
        representation: An `image_representation`.
        widths: Of the network, of which the first are the filters of the convolutions.
        x: `[batch, d]`.
        arguments: Gives the arguments of a layer, such as its activation.
        make: Makes a layer, or what stands for it, of its class and arguments, see `maker`.

    Returns:
        Regular features `[batch, n, C]`, where they were pooled, or else flat ones, `[batch, d']`,
        of the Symmetrizer `[batch, d', C]`; how the group acts on their rows; and the widths that
        are left.
    """
    picture: Picture = picture_of(representation)  # type: ignore[assignment]
    group, regular = representation.group, regular_representation(representation.group)
    motions: dict[str, Any] = {
        "turns": picture.turns,
        "flips": [bool(flip) for flip in picture.flips],
    }
    of_symmetrizer = layer is SymmetrizerConv2D
    x = keras.layers.Reshape(picture.shape)(x)
    if convolutions.picture_scale != 1.0:
        x = keras.layers.Rescaling(convolutions.picture_scale)(x)
    if of_symmetrizer:
        x = keras.layers.Reshape((*picture.shape, 1))(x)
    geometries = list(convolutions.geometries())
    for index, geometry in enumerate(geometries):
        where = {**geometry.get_config(), **arguments()}
        if of_symmetrizer:
            rows = regular if index else picture.channels
            x = make(SymmetrizerConv2D, widths[index], channels=rows, **motions, **where)(x)
        elif index:
            x = make(GroupConv2D, widths[index], group=group, **motions, **where)(x)
        else:
            x = make(LiftingConv2D, widths[index], representation=representation, **where)(x)
    widths = widths[len(geometries) :]
    if convolutions.pooling != "flatten":
        return SpatialPooling(convolutions.pooling)(x), regular, widths
    height, width, _, channels = x.shape[1:]
    if of_symmetrizer:  # which has channels of its own, and a basis without them
        field = image_representation(group, height, width, regular, **motions)
        return keras.layers.Reshape((field.dim, channels))(x), field, widths
    features = regular * trivial_representation(group, channels)
    field = image_representation(group, height, width, features, **motions)
    return keras.layers.Reshape((field.dim,))(x), field, widths
