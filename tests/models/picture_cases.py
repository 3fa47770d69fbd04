"""Symmetries of pictures, convolutions that fit them, and the law of networks."""

from __future__ import annotations

import keras
import numpy as np

from tf_equirl import envs
from tf_equirl.groups import (
    Picture,
    Representation,
    Symmetry,
    cyclic_group,
    dihedral_group,
    image_representation,
    permutation_representation,
    picture_of,
    trivial_representation,
)
from tf_equirl.models import Convolutions

C2, C4, D4 = cyclic_group(2), cyclic_group(4), dihedral_group(4)
PLANE = Representation.from_generators(D4, {1: [[0, -1], [1, 0]], 4: [[1, 0], [0, -1]]})
SWAP = permutation_representation(C2, [[0, 1, 2], [1, 0, 2]])
UPSIDE_DOWN = {"turns": [0, 2], "flips": [0, 1]}
HALF_TURN = {"turns": [0, 2], "flips": [0, 0]}

# Elements of D4 move what is at a pixel, too; its actions are vectors.
SYMMETRIES = {
    "left-right": Symmetry(C2, image_representation(C2, 6, 9, 2), SWAP),
    "up-down": Symmetry(C2, image_representation(C2, 7, 5, 3, **UPSIDE_DOWN), SWAP),
    "half turn": Symmetry(C2, image_representation(C2, 5, 6, **HALF_TURN), SWAP),
    "C4": Symmetry(C4, image_representation(C4, 9, 9, 2), permutation_representation(C4)),
    "D4": envs.Snake(height=5, width=5).symmetry,
    "D4, vectors": Symmetry(
        D4, image_representation(D4, 7, 7, PLANE + trivial_representation(D4)), PLANE
    ),
}


def _with_strides(picture: Picture) -> tuple:
    """Windows, strides and padding: none for squares, of odd sizes; zeros for other pictures."""
    if picture.height == picture.width:
        return (3, 2), (2, 1), "valid"
    sides = picture.height, picture.width
    return (tuple(4 - side % 2 for side in sides), 3), ((2, 2), 1), "same"


# Each fits every symmetry of these.
STACKS = {
    "fitted": lambda picture: None,
    "flatten": lambda picture: Convolutions((3, 2), (3, 5), padding="same"),
    "max": lambda picture: Convolutions((3, 4), (3, 3), padding="valid", pooling="max"),
    "circular": lambda picture: Convolutions((4,), (5,), padding="circular", pooling="mean"),
    "strides": lambda picture: Convolutions(
        (3, 3), *_with_strides(picture), pooling="flatten", picture_scale=0.5
    ),
}


def convolutions_of(symmetry: Symmetry, stack: str) -> Convolutions | None:
    """The convolutions of that name."""
    return STACKS[stack](picture_of(symmetry.state))


def pictures_of(symmetry: Symmetry, count: int = 5) -> np.ndarray:
    """Random pictures [count, height, width, channels]."""
    shape = (count, *picture_of(symmetry.state).shape)
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def with_random_biases(model: keras.Model) -> keras.Model:
    """Biases of zero would hide one that breaks the law."""
    rng = np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign_add(0.1 * rng.normal(size=variable.shape))
    return model


def largest_error(model: keras.Model, symmetry: Symmetry, outputs: Representation) -> float:
    """Of f(g x) = rho(g) f(x), over every element, relative to the largest output.

    Pictures are moved by index: matrices of large ones would fill the memory.
    """
    pictures = pictures_of(symmetry)
    flat = pictures.reshape(len(pictures), -1)
    expected = np.asarray(model(pictures), np.float64)
    elements = symmetry.group.elements
    moved = np.stack([symmetry.state.act(element, flat) for element in elements])
    # All images in one batch: most of a call's time does not depend on their number.
    found = np.asarray(model(moved.astype("float32").reshape(-1, *pictures.shape[1:])), np.float64)
    images = np.stack([outputs.act(element, expected) for element in elements])
    return np.abs(found.reshape(images.shape) - images).max() / np.abs(expected).max()
