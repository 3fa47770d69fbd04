"""Reflections of tasks, by the words in the names of their coordinates."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

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
        ValueError: If the name with the swapped words is no other's, or `center` names none.

    Example:
        >>> pole = reflection(["x", "angle"], ["left", "right"], ["x", "angle"], {"left": "right"})
        >>> pole.state.signs[1], pole.action.permutations[1]
        (array([-1, -1]), array([1, 0]))
    """
    both = {**(swaps or {}), **{new: old for old, new in (swaps or {}).items()}}
    representations = []
    for kind in (names, actions):
        permutation, signs = [], []
        for name in kind:
            words = name.split()
            image = " ".join(both.get(word, word) for word in words)
            if image not in kind:
                raise ValueError(
                    f"`swaps` must take every name to a name, but takes {name!r} to {image!r}. "
                    f"Received: swaps={dict(swaps or {})}"
                )
            permutation.append(list(kind).index(image))
            signs.append((-1) ** sum(word in flips for word in words))
        identity = list(range(len(kind)))
        representations.append(
            signed_permutation_representation(
                cyclic_group(2), [identity, permutation], [[1] * len(kind), signs]
            )
        )
    point = None
    if center is not None:
        for name in center:
            if name not in names:
                raise ValueError(
                    f"`center` must name coordinates: {', '.join(names)}. Received: {name!r}"
                )
        point = tuple(center.get(name, 0.0) for name in names)
    return Symmetry(cyclic_group(2), representations[0], representations[1], point)
