"""Value networks built from a symmetry."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from tf_equirl._checks import flag
from tf_equirl.groups import Symmetry, trivial_representation
from tf_equirl.layers import EquivariantReadout
from tf_equirl.models.actor import UNCONSTRAINED, regular_features
from tf_equirl.models.convolutions import (
    Convolutions,
    all_widths,
    convolutions_for,
    unconstrained_picture,
)
from tf_equirl.models.inputs import (
    check_activation,
    check_description,
    check_initializer,
    observation_input,
    unconstrained,
)
from tf_equirl.models.relaxation import RELAXED_KINDS, Relaxation, maker
from tf_equirl.models.widths import build_with_widths

CRITIC_KINDS = ("mlp", "cnn", "invariant", *RELAXED_KINDS)


def critic(
    symmetry: Symmetry,
    kind: str = "mlp",
    hidden_units: Sequence[int] = (64, 64),
    match_parameters: int | None = None,
    kernel_initializer: str | keras.initializers.Initializer = "he_normal",
    name: str | None = None,
    observation_shape: Sequence[int] | None = None,
    activation: str | None = None,
    normalize: bool = False,
    convolutions: Convolutions | None = None,
    relaxation: Relaxation | None = None,
) -> keras.Model:
    r"""A value network: observations `[batch, *observation_shape]` to `[batch, 1]`.

    * `"mlp"`: ReLU layers, unconstrained (the thesis' critic).
    * `"cnn"`: convolutions of a picture, then ReLU layers, unconstrained.
    * `"invariant"`: lifting, group convolutions and a readout to the trivial representation, so
      that $V(\rho_S(g) s) = V(s)$ for every g, as the value of a symmetric policy in a symmetric
      environment is (van der Pol et al., 2020). Where the state is a picture (an
      `image_representation`) it begins with convolutions that turn with it.
    * `"relaxed"`, `"rpp"`: the layers of `"invariant"`, relaxed or with free ones beside them, see
      `models.actor`: invariant at the start.

    Args:
        symmetry: The group and how it acts on observations.
        kind: One of `CRITIC_KINDS`, as above.
        hidden_units: Widths of the hidden layers, at most 100 of them up to 16,384; channels
            per group element for `"invariant"`.
        match_parameters: If given, `hidden_units` are only proportions, scaled so that the model
            comes closest to this number of trained parameters, at most 10^8; the choice is printed.
        kernel_initializer: A Keras initialiser, its name or its configuration, for every kernel.
        name: The model's name.
        observation_shape: Shape of an observation; None is that of its pictures where
            `symmetry.state` is an `image_representation`, and flat elsewhere. The group acts on its
            `symmetry.state.dim` numbers in row-major order.
        activation: Name of the Keras activation of the hidden layers, a pointwise one such as
            "tanh" or "elu"; None is "relu".
        normalize: Put an `InputNormalization` before all else, which trainers keep up to date.
        convolutions: See `models.actor`.
        relaxation: See `models.actor`.

    Returns:
        A Keras functional model.

    Raises:
        ValueError: For an unknown kind, widths that are not positive integers, a budget that is too
            small, an `observation_shape` of another size than the state, or an activation that is
            not pointwise.
    """
    check_description(symmetry, kind, CRITIC_KINDS, name, observation_shape)
    return value_model(
        symmetry,
        "gcnn" if kind == "invariant" else kind,
        hidden_units,
        match_parameters,
        kernel_initializer,
        name or f"{kind}_critic",
        observation_shape,
        activation,
        normalize,
        convolutions,
        relaxation,
    )


def value_model(
    symmetry: Symmetry,
    kind: str,
    hidden_units: Sequence[int],
    match_parameters: int | None,
    kernel_initializer: str | keras.initializers.Initializer,
    name: str,
    observation_shape: Sequence[int] | None,
    activation: str | None,
    normalize: bool,
    convolutions: Convolutions | None,
    relaxation: Relaxation | None,
    of_actions: bool = False,
) -> keras.Model:
    """A network of one value: of observations, or of pairs of an observation and an action.

    Args:
        symmetry: See `critic`, as what follows.
        kind: "mlp", "cnn", "gcnn", which is invariant, "relaxed" or "rpp".
        hidden_units: Widths of the hidden layers.
        match_parameters: A budget, or None.
        kernel_initializer: Of every kernel.
        name: The model's name.
        observation_shape: Shape of an observation, or None.
        activation: Of the hidden layers, or None.
        normalize: Whether observations are normalised first; actions are not.
        convolutions: Of a picture, or None.
        relaxation: Of the kinds that are relaxed, or None.
        of_actions: Whether the action, `[batch, symmetry.action.dim]`, is a second input, which
            joins the state, or what convolutions made of it.

    Raises:
        ValueError: See `critic`.
    """
    initializer = check_initializer(kernel_initializer)
    activation = check_activation(activation)
    flag("normalize", normalize)
    looks = convolutions_for(symmetry, kind, convolutions, observation_shape)
    state, acting = symmetry.state, symmetry.action
    make = maker(kind, relaxation, symmetry.group.order)
    if kind in UNCONSTRAINED:
        state = unconstrained_picture(state) if kind == "cnn" else unconstrained(state.dim)
        acting = unconstrained(acting.dim)

    def build(widths: tuple[int, ...]) -> keras.Model:
        observation, x = observation_input(
            symmetry, observation_shape, state if normalize else None
        )
        inputs, beside = observation, None
        if of_actions:
            action = keras.Input((acting.dim,), name="action")
            inputs, beside = [observation, action], (action, acting)
        if kind != "mlp":
            x = regular_features(
                state, widths, initializer, x, activation, looks, beside, make=make
            )
            outputs = trivial_representation(state.group)
            readout = make(EquivariantReadout, outputs, kernel_initializer=initializer.clone())
            return keras.Model(inputs, readout(x), name=name)
        if of_actions:
            x = keras.layers.Concatenate()([x, action])
        for units in widths:
            x = keras.layers.Dense(units, activation, kernel_initializer=initializer.clone())(x)
        value = keras.layers.Dense(1, kernel_initializer=initializer.clone())(x)
        return keras.Model(inputs, value, name=name)

    return build_with_widths(build, all_widths(looks, hidden_units), match_parameters)
