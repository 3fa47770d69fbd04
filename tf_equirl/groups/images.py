"""How turns and mirrors of a rectangle act on pictures."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tf_equirl._checks import instance, integer, optional_text, positive_integer, shown
from tf_equirl.groups._checks import (
    LARGEST_INDICES,
    check_rows,
    config_value,
    flag_array,
    integer_array,
)
from tf_equirl.groups.factories import trivial_representation
from tf_equirl.groups.families import cyclic_group, dihedral_group
from tf_equirl.groups.group import FiniteGroup
from tf_equirl.groups.representation import FORMS, Representation, set_form

LARGEST_MATRICES = 1 << 24
"""Numbers in the matrices of a picture whose channels are mixed by other than indices, 128 MB."""

_FORM = "image"
_ARGUMENTS = ("height", "width", "channels", "turns", "flips")
# What the elements of the families do when the caller does not say: (group, turns, flips).
_DEFAULTS = (
    (cyclic_group(2), [0, 0], [0, 1]),
    (cyclic_group(4), [0, 1, 2, 3], [0, 0, 0, 0]),
    (dihedral_group(4), [0, 1, 2, 3, 0, 1, 2, 3], [0, 0, 0, 0, 1, 1, 1, 1]),
)


def image_representation(
    group: FiniteGroup,
    height: int,
    width: int,
    channels: int | Representation = 1,
    turns: ArrayLike | None = None,
    flips: ArrayLike | None = None,
) -> Representation:
    """How a group of turns and mirrorings acts on pictures [height, width, channels].

    Element g mirrors a picture left to right if `flips[g]`, and then turns it counter-clockwise by
    `turns[g]` quarter turns:

        g x = np.rot90(np.fliplr(x) if flips[g] else x, turns[g]),

    up to what `channels` does to the numbers of one pixel. Vectors [d] are flattened pictures, row
    by row and the channels last (`picture.reshape(-1)`), d = height * width * channels: the tensor
    product of permutations of the pixels and of `channels`. It acts by index, and its config holds
    these arguments: neither matrices nor tables are stored.

    Args:
        group: The group of n elements.
        height: Rows of pixels; the group's elements, times pixels, times channels, are at most
            2^26.
        width: Columns of pixels; equal to `height` where an element makes a quarter turn.
        channels: How many numbers a pixel has, which g leaves as they are; or how g acts on them,
            such as a signed permutation of the components of a velocity. A representation that is
            no signed permutation makes matrices of n * d * d numbers, at most 2^24.
        turns: [n] integers, quarter turns of each element; only their remainder modulo 4 counts.
        flips: [n] of True and False, whether an element mirrors before it turns.
            Where neither is given: for `cyclic_group(4)` element k makes k quarter turns; for
            `cyclic_group(2)` element 1 mirrors; for `dihedral_group(4)`, r is a quarter turn and s
            mirrors, which makes r^k s, element 4 + k, mirror and then make k quarter turns. Where
            one is given, the other is all 0.

    Returns:
        A representation named "image", equal to the same one made of permutations.

    Raises:
        ValueError: If an argument is not one of those, the group is none of the three and neither
            `turns` nor `flips` are given, they are not a homomorphism (a pair that fails is named),
            or an element makes a quarter turn of a picture that is not square.

    Example:
        >>> import numpy as np
        >>> from tf_equirl.groups import cyclic_group, image_representation
        >>> picture = np.arange(6).reshape(2, 3, 1)
        >>> mirror = image_representation(cyclic_group(2), 2, 3)
        >>> mirror.act(1, picture.reshape(-1)).reshape(2, 3)
        array([[2, 1, 0],
               [5, 4, 3]])
    """
    return _image(group, height, width, channels, turns, flips, _FORM)


class Picture(NamedTuple):
    """What an `image_representation` says of a picture [height, width, channels].

    Attributes:
        height: Rows of pixels.
        width: Columns of pixels.
        channels: How the group acts on the numbers of one pixel.
        turns: [n] quarter turns of each element, 0 to 3.
        flips: [n] of 0 and 1, whether an element mirrors before it turns.
    """

    height: int
    width: int
    channels: Representation
    turns: tuple[int, ...]
    flips: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels."""
        return self.height, self.width, self.channels.dim


def picture_of(representation: Representation) -> Picture | None:
    """Returns what an `image_representation` was made of; None for any other representation.

    Args:
        representation: A representation.

    Raises:
        ValueError: If it is none.

    Example:
        >>> from tf_equirl.groups import cyclic_group, image_representation
        >>> picture_of(image_representation(cyclic_group(4), 5, 5, channels=3)).shape
        (5, 5, 3)
    """
    config = instance("representation", representation, Representation).get_config()
    if _FORM not in config:
        return None
    arguments = config[_FORM]
    channels = arguments["channels"]
    return Picture(
        arguments["height"],
        arguments["width"],
        Representation.from_config(channels)
        if isinstance(channels, dict)
        else trivial_representation(representation.group, channels),
        tuple(arguments["turns"]),
        tuple(int(flip) for flip in arguments["flips"]),
    )


def _image(
    group: FiniteGroup,
    height: int,
    width: int,
    channels: int | Representation,
    turns: ArrayLike | None,
    flips: ArrayLike | None,
    name: str,
) -> Representation:
    instance("group", group, FiniteGroup)
    most = LARGEST_INDICES // group.order
    height, width = (
        positive_integer("height", height, most),
        positive_integer("width", width, most),
    )
    if height * width > most:
        raise ValueError(
            f"`height` and `width` must make at most {most:,} pixels for a group of {group.order} "
            f"elements. Received: height={height}, width={width}"
        )
    turns_, flips_ = _motions(group, turns, flips)
    quarter = np.flatnonzero(turns_ % 2)
    if height != width and len(quarter):
        raise ValueError(
            "`height` and `width` must be equal where an element makes a quarter turn, as element "
            f"{quarter[0]} does. Received: height={height}, width={width}, "
            f"turns={shown(turns_.tolist())}"
        )
    on_channels = _on_channels(group, channels, most // (height * width))
    dim = height * width * on_channels.dim
    if on_channels.signs is None and group.order * dim**2 > LARGEST_MATRICES:
        raise ValueError(
            "`channels` must be a permutation or signed permutation representation for a picture "
            f"of {height} x {width}: its matrices would have {group.order} * {dim} * {dim} "
            f"numbers, and the limit is {LARGEST_MATRICES}. Received: channels={channels!r}"
        )
    pixels = Representation.from_signed_permutations(
        group, _pixel_permutations(height, width, turns_, flips_)
    )
    arguments = {
        "height": height,
        "width": width,
        "channels": (
            channels.get_config() if isinstance(channels, Representation) else on_channels.dim
        ),
        "turns": turns_.tolist(),
        "flips": flips_.astype(bool).tolist(),
    }
    return set_form(pixels * on_channels, _FORM, arguments, name)


def _motions(
    group: FiniteGroup, turns: ArrayLike | None, flips: ArrayLike | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Turns [n], 0 to 3, and flips [n], 0 or 1, of every element; a homomorphism to D4."""
    if turns is None and flips is None:
        turns, flips = next(((t, f) for family, t, f in _DEFAULTS if family == group), (None, None))
        if turns is None:
            raise ValueError(
                "`turns` or `flips` must be given, except for cyclic_group(2), cyclic_group(4) and "
                f"dihedral_group(4). Received: group={group!r}, turns=None, flips=None"
            )
    none = np.zeros(group.order, dtype=np.int64)
    turns_ = none if turns is None else integer_array("turns", turns, ndim=1) % 4
    flips_ = none if flips is None else flag_array("flips", flips)
    check_rows("turns", turns_, group.order)
    check_rows("flips", flips_, group.order)
    if turns_[0] or flips_[0]:
        raise ValueError(
            "`turns` and `flips` must leave a picture as it is under the identity, element 0. "
            f"Received: turns[0]={turns_[0]}, flips[0]={bool(flips_[0])}"
        )
    # Generators times any element are enough, as in `check_homomorphism`.
    for i in group.generators:
        product = group.table[i]
        # A mirror reverses the turns that were made before it.
        turned = (turns_[i] + (1 - 2 * flips_[i]) * turns_) % 4 != turns_[product]
        failing = turned | (flips_[i] ^ flips_ != flips_[product])
        if np.any(failing):
            j = int(np.argmax(failing))
            raise ValueError(
                f"`turns` and `flips` are not a homomorphism: the motion of g_{i} after that of "
                f"g_{j} must be that of g_{product[j]} = g_{i} g_{j}; the pair ({i}, {j}) fails. "
                f"Received: turns={shown(turns_.tolist())}, "
                f"flips={shown(flips_.astype(bool).tolist())}"
            )
    return turns_, flips_


def _on_channels(group: FiniteGroup, channels: int | Representation, most: int) -> Representation:
    """The representation on the numbers of a pixel, of which there may be `most`."""
    of_dim = channels.dim if isinstance(channels, Representation) else channels
    rule = f"a positive integer or a Representation, at most {most:,} for pictures of this size"
    dim = integer("channels", of_dim, 1, most, rule)
    if not isinstance(channels, Representation):
        return trivial_representation(group, dim)
    if channels.group != group:
        raise ValueError(
            f"`channels` must be a representation of {group.name}, but it is one of "
            f"{channels.group.name}. Received: channels={channels!r}, group={group!r}"
        )
    return channels


def _pixel_permutations(
    height: int, width: int, turns: NDArray[np.int64], flips: NDArray[np.int64]
) -> NDArray[np.int64]:
    """[n, height * width]; where each element takes each pixel."""
    pixels = np.arange(height * width)
    picture = pixels.reshape(height, width)
    permutations = np.empty((len(turns), len(pixels)), dtype=np.int64)
    for permutation, turn, flip in zip(permutations, turns, flips, strict=True):
        moved = np.rot90(np.fliplr(picture) if flip else picture, turn)
        permutation[moved.reshape(-1)] = pixels  # `moved` holds at each place where it came from
    return permutations


def _from_arguments(group: FiniteGroup, arguments: Any, name: str | None) -> Representation:
    """The representation whose config holds these arguments; checks them again."""
    values = {key: config_value("image_representation", arguments, key) for key in _ARGUMENTS}
    if len(arguments) > len(values):
        raise ValueError(
            "`config` of image_representation must have no other keys than "
            f"{', '.join(_ARGUMENTS)}. Received: config={shown(sorted(arguments, key=shown))}"
        )
    if isinstance(values["channels"], dict):
        values["channels"] = Representation.from_config(values["channels"])
    return _image(group, **values, name=optional_text("name", name) or _FORM)


FORMS[_FORM] = _from_arguments
