"""Finds generators of all signed permutations that relations between points allow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tf_equirl.envs.symmetries.discovery.trials import Moves


@dataclass(frozen=True)
class Relations:
    """What every symmetry must keep: numbers of points, and of pairs of a point and a coordinate.

    Points are d coordinates, then actions. A symmetry that takes point u to v with sign r and
    coordinate t to w with sign q must satisfy, for both signs s,

        pairs[u, s, t] = q pairs[v, r s, w]    and    own[u, s] = own[v, r s].

    Attributes:
        pairs: [N, 2, d, f], NaN where nothing is known; index 0 of the second axis is the sign +,
            index 1 the sign -.
        own: [N, 2, e].
        allowed: [N, N, 2] bool, which images (v, r) a point may have at all.
        scale: [d] what differences of `pairs` are relative to.
        own_scale: What those of `own` are relative to.
        tolerance: Share of the scale, or of the larger number, that a difference may be.
    """

    pairs: NDArray[np.float64]
    own: NDArray[np.float64]
    allowed: NDArray[np.bool_]
    scale: NDArray[np.float64]
    own_scale: float
    tolerance: float

    def images(self) -> NDArray[np.bool_]:
        """[N, N, 2] images (v, r) of every point that `allowed` and `own` leave."""
        found = self.allowed.copy()
        for flipped in (0, 1):
            other = self.own[:, ::-1] if flipped else self.own
            same = _close(self.own[:, None], other[None], self.own_scale, self.tolerance)
            found[..., flipped] &= same.all(axis=(2, 3))
        return found

    def assign(
        self, images: NDArray[np.bool_], u: int, v: int, flipped: int
    ) -> NDArray[np.bool_] | None:
        """The images that are left once u goes to v; None if a point has none."""
        d = len(self.scale)
        left = images.copy()
        left[u] = left[:, v] = False
        left[u, v, flipped] = images[u, v, flipped]
        scale = np.maximum(self.scale[:, None], self.scale)[..., None]
        of_u, of_v = self.pairs[u], self.pairs[v, ::-1] if flipped else self.pairs[v]
        for minus, sign in enumerate((1, -1)):
            same = _close(
                of_u[:, :, None], sign * of_v[:, None], scale, self.tolerance
            )  # [2, d, d, f]
            left[:d, :d, minus] &= same.all(axis=(0, 3))
        if u < d:
            to_u = self.pairs[:, :, u]
            to_v = self.pairs[:, :, v] * (-1 if flipped else 1)
            scale_uv = max(self.scale[u], self.scale[v])
            for minus in (0, 1):
                other = to_v[:, ::-1] if minus else to_v
                same = _close(to_u[:, None], other[None], scale_uv, self.tolerance)
                left[..., minus] &= same.all(axis=(2, 3))
        return left if left.any(axis=(1, 2)).all() else None


@dataclass
class Found:
    """What a search found.

    Attributes:
        generators: Of the group of all symmetries.
        tried: Candidates that were tried on transitions.
        complete: Whether the search came to its end.
    """

    generators: list[Moves]
    tried: int = 0
    complete: bool = True


def search(
    relations: Relations,
    accepts: Callable[[Moves], bool],
    known: list[Moves],
    most: int,
) -> Found:
    """Finds generators of the group of all candidates that are accepted.

    The points are fixed one after the other. Where points 0 .. l - 1 are fixed, one element for
    every image of point l that the elements found so far do not reach yet, and those for the points
    after l, generate the whole stabiliser (Sims' strong generating set; McKay, "Practical graph
    isomorphism", 1981, prunes by orbits alike). So the number of successes is small also where the
    group is large.

    Args:
        relations: What prunes.
        accepts: Whether a candidate is a symmetry; the accepted ones must form a group.
        known: Elements that are accepted already.
        most: Candidates that `accepts` is asked about at most.
    """
    found = Found(list(known))
    images = relations.images()
    levels = []
    for point in range(len(images)):
        levels.append(images)
        fixed = relations.assign(images, point, point, 0)
        if fixed is None:  # the relations do not hold of themselves: numbers that are not finite
            return found
        images = fixed
    for point in reversed(range(len(levels))):
        for v, flipped in np.argwhere(levels[point][point]):
            if (v, flipped) in _orbit(found.generators, point):
                continue
            start = relations.assign(levels[point], point, int(v), int(flipped))
            for move in _completions(relations, start, point):
                if found.tried >= most:
                    found.complete = False
                    return found
                found.tried += 1
                if accepts(move):
                    found.generators.append(move)
                    break
    return found


def _completions(
    relations: Relations, images: NDArray[np.bool_] | None, done: int
) -> Iterator[Moves]:
    """All candidates that agree with `images`, where points 0 .. done are assigned already."""
    stack = [(images, frozenset(range(done + 1)))]
    while stack:
        images, assigned = stack.pop()
        if images is None:
            continue
        counts = images.sum(axis=(1, 2))
        open_points = [u for u in range(len(images)) if u not in assigned]
        if not open_points:
            where = np.argwhere(images)
            yield Moves(where[None, :, 1], 1 - 2 * where[None, :, 2])
            continue
        u = min(open_points, key=lambda point: counts[point])
        for v, flipped in np.argwhere(images[u])[::-1]:
            stack.append((relations.assign(images, u, int(v), int(flipped)), assigned | {u}))


def _orbit(generators: list[Moves], point: int) -> set[tuple[int, int]]:
    """Where the generators that fix all points before `point` take it."""
    fixing = [
        (g.points[0], g.signs[0])
        for g in generators
        if np.array_equal(g.points[0, :point], np.arange(point))
        and g.signs[0, :point].min(initial=1) > 0
    ]
    orbit = {(point, 0)}
    queue = [(point, 0)]
    for u, flipped in queue:  # grows while it is walked
        for points, signs in fixing:
            image = (int(points[u]), flipped ^ int(signs[u] < 0))
            if image not in orbit:
                orbit.add(image)
                queue.append(image)
    return orbit


def _close(a: NDArray, b: NDArray, scale: NDArray | float, tolerance: float) -> NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):
        bound = tolerance * np.maximum(scale, np.maximum(np.abs(a), np.abs(b)))
        return ~(np.abs(a - b) > bound)
