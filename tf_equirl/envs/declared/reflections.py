"""Reflections of tasks, by the words in the names of their coordinates."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tf_equirl._checks import instance, number, refuse, shown
from tf_equirl.groups import Symmetry, cyclic_group, signed_permutation_representation


def reflection(
    names: Sequence[str],
    actions: Sequence[str],
    flips: Collection[str],
    swaps: Mapping[str, str] | None = None,
    center: Mapping[str, float] | None = None,
) -> Symmetry:
    """A reflection of a whole task, a group of two elements, by the words of its names.

    Args:
        names: Of the coordinates of an observation, such as "left hip velocity".
        actions: Names of the discrete actions, or of the coordinates of an action.
        flips: Words that change the sign: of a coordinate that has an odd number of them.
        swaps: Words that change places, one way or both.
        center: Coordinates that are not reflected about 0, and about what instead.

    Raises:
        ValueError: If an argument is not one of those, a name with swapped words is none of the
            names, or `center` names none.

    Example:
        >>> pole = reflection(["x", "angle"], ["left", "right"], ["x", "angle"], {"left": "right"})
        >>> pole.state.signs[1], pole.action.permutations[1]
        (array([-1, -1]), array([1, 0]))
    """
    for argument, value in (("names", names), ("actions", actions)):
        if not _are_texts(value, (list, tuple)) or not value or len(set(value)) < len(value):
            refuse(argument, "a list of different strings", value)
    if not _are_texts(flips, (list, tuple, set, frozenset)):
        refuse("flips", "a list of words", flips)
    swaps = {} if swaps is None else instance("swaps", swaps, dict, "a dict of words or None")
    if not _are_texts([*swaps, *swaps.values()], list):
        refuse("swaps", "a dict of words or None", swaps)
    center = {} if center is None else instance("center", center, dict, "a dict of numbers or None")
    for name in center:
        if name not in names:
            raise ValueError(
                f"`center` must name coordinates: {shown(list(names))}. Received: {shown(name)}"
            )
    points = [number("center", center.get(name, 0.0), "finite", lambda x: True) for name in names]
    both = {**swaps, **{new: old for old, new in swaps.items()}}
    representations = []
    for kind in (names, actions):
        permutation, signs = [], []
        for name in kind:
            words = name.split()
            image = " ".join(both.get(word, word) for word in words)
            if image not in kind:
                raise ValueError(
                    f"`swaps` must take every name to a name, but takes {name!r} to {image!r}. "
                    f"Received: swaps={shown(swaps)}"
                )
            permutation.append(list(kind).index(image))
            signs.append((-1) ** sum(word in flips for word in words))
        identity = list(range(len(kind)))
        representations.append(
            signed_permutation_representation(
                cyclic_group(2), [identity, permutation], [[1] * len(kind), signs]
            )
        )
    point = tuple(points) if center else None
    return Symmetry(cyclic_group(2), representations[0], representations[1], point)


def _are_texts(value: Any, kinds: Any) -> bool:
    return isinstance(value, kinds) and all(isinstance(item, str) for item in value)
