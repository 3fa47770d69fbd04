"""What every model builder checks and starts with."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tf_equirl._checks import instance, integers, one_of, optional_text, refuse
from tf_equirl.groups import (
    Representation,
    Symmetry,
    cyclic_group,
    picture_of,
    trivial_representation,
)
from tf_equirl.layers import InputNormalization


def check_description(
    symmetry: Symmetry,
    kind: str,
    kinds: tuple[str, ...],
    name: str | None,
    observation_shape: Sequence[int] | None,
) -> None:
    """Checks the arguments that all builders have and that cost nothing to check.

    Raises:
        ValueError: Unless `symmetry` is a `Symmetry`, `kind` one of `kinds`, `name` a name for a
            model or None, and `observation_shape` that of a state or None.
    """
    instance("symmetry", symmetry, Symmetry, "a tf_equirl.groups.Symmetry")
    one_of("kind", kind, kinds)
    if "/" in (optional_text("name", name) or ""):
        refuse("name", "a name without /", name)
    observation_axes(symmetry, observation_shape)


def check_initializer(initializer: Any) -> keras.initializers.Initializer:
    """The Keras initialiser that a name, a configuration or an initialiser stands for.

    Raises:
        ValueError: If it stands for none.
    """
    try:
        found = keras.initializers.get(initializer)
    except Exception:  # several kinds, and none of them names the argument
        found = None
    rule = "a Keras initialiser, its name or its configuration"
    if not isinstance(found, keras.initializers.Initializer):
        refuse("kernel_initializer", rule, initializer)
    return found


def check_activation(activation: Any, default: str = "relu", odd: bool = False) -> str:
    """The name of an activation that commutes with every permutation of features.

    Args:
        activation: Its name; None is the default.
        default: What None stands for.
        odd: Whether it must be an odd function, too.

    Raises:
        ValueError: If it is no name of a Keras activation, one that is not pointwise (as softmax),
            or not odd.
    """
    if activation is None:
        return default
    numbers = np.linspace(-2.0, 2.0, 9, dtype=np.float32)
    rule = "the name of a pointwise Keras activation, such as relu, tanh or elu, or None"
    try:
        function = keras.activations.get(instance("activation", activation, str))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Keras thinks of softmax of one number
            together, alone = (
                keras.ops.convert_to_numpy(function(keras.ops.convert_to_tensor(x)))
                for x in (numbers[None], numbers[:, None])
            )
    except Exception:  # several kinds, and none of them names the argument
        refuse("activation", rule, activation)
    if together.shape != (1, 9) or not np.allclose(together[0], alone[:, 0], atol=1e-5):
        refuse("activation", rule, activation)
    if odd and not np.allclose(together[0], -together[0, ::-1], atol=1e-6):
        refuse("activation", "an odd function such as tanh for the kind odd, or None", activation)
    return activation


def observation_axes(symmetry: Symmetry, shape: Sequence[int] | None) -> tuple[int, ...]:
    """The axes of an observation: `shape`, or if that is None those of a picture, or one axis.

    Raises:
        ValueError: Unless `shape` is None or has as many numbers as the state's representation.
    """
    dim = symmetry.state.dim
    if shape is None:
        picture = picture_of(symmetry.state)
        return (dim,) if picture is None else picture.shape
    rule = f"positive integers whose product is the dimension of symmetry.state, {dim}"
    axes = integers("observation_shape", shape, rule, least=1, most=dim, most_items=20)
    if math.prod(axes) != dim:
        refuse("observation_shape", rule, shape)
    return axes


def observation_input(
    symmetry: Symmetry,
    shape: Sequence[int] | None = None,
    normalize: Representation | None = None,
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """The symbolic input `[batch, *shape]` of a model, and the same flat, `[batch, d_state]`.

    The flat one is measured from the symmetry's center, if there is one.

    Args:
        symmetry: The symmetry.
        shape: See `observation_axes`.
        normalize: By which representation a running mean and scale keep to a law; None for none.

    Raises:
        ValueError: See `observation_axes`.
    """
    dim = symmetry.state.dim
    shape = observation_axes(symmetry, shape)
    observation = keras.Input(shape, name="observation")
    flat = observation if shape == (dim,) else keras.layers.Reshape((dim,))(observation)
    if symmetry.center is not None:
        variance = [1.0] * dim
        flat = keras.layers.Normalization(axis=-1, mean=list(symmetry.center), variance=variance)(
            flat
        )
    return observation, flat if normalize is None else InputNormalization(normalize)(flat)


def unconstrained(dim: int) -> Representation:
    """The representation that asks nothing of a network: that of the group of one element."""
    return trivial_representation(cyclic_group(1), dim)
