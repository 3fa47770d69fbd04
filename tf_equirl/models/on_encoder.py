"""An actor and a critic that look at pictures through one encoder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import keras

from tf_equirl._checks import one_of, positive_integer, refuse
from tf_equirl.groups import (
    Symmetry,
    regular_representation,
    trivial_representation,
)
from tf_equirl.layers import EquivariantReadout, GroupConv2D, LiftingDense
from tf_equirl.models.actor import regular_features
from tf_equirl.models.convolutions import (
    Convolutions,
    convolutions_for,
    picture_features,
    unconstrained_picture,
)
from tf_equirl.models.inputs import check_description, observation_input, unconstrained
from tf_equirl.models.relaxation import RELAXED_KINDS, Relaxation, maker
from tf_equirl.models.widths import LARGEST_WIDTH, build_with_widths, check_hidden_units

ENCODER_KINDS = ("cnn", "gcnn", *RELAXED_KINDS)
"""Kinds of encoders, and of what is on them."""


class OnEncoder(NamedTuple):
    """An encoder and what is on it.

    Attributes:
        encoder: From pictures `[batch, *observation_shape]` to features `[batch, f]`.
        actor: From features to actions `[batch, d]`, of a box as if it were [-1, 1] everywhere.
        critic: From `[features, action]` to two values `[batch, 2]`.
    """

    encoder: keras.Model
    actor: keras.Model
    critic: keras.Model


def on_encoder(
    symmetry: Symmetry,
    kind: str = "gcnn",
    features: int = 50,
    hidden_units: Sequence[int] = (64, 64),
    match_parameters: int | None = None,
    observation_shape: Sequence[int] | None = None,
    convolutions: Convolutions | None = None,
    relaxation: Relaxation | None = None,
) -> OnEncoder:
    r"""The networks of DrQ-v2 (Yarats et al., 2021, arXiv 2107.09645), built from a symmetry.

    The encoder's convolutions are shared. Actor and critic each have a trunk of their own: a linear
    layer to `features` numbers, layer normalization, tanh; then hidden layers with ReLU. The
    critic's action joins after its trunk, and each of its two values has hidden layers of its own.
    Actions are squashed by tanh. All kernels begin orthogonal, those of convolutions with a gain of
    $\sqrt 2$.

    But for "cnn", which is free, they obey, those that are relaxed at the start,

    $$ e(\rho_S(g) s) = \rho(g) e(s), \qquad \pi(\rho(g) f) = \rho_A(g) \pi(f), \qquad
       Q(\rho(g) f, \rho_A(g) a) = Q(f, a). $$

    Features $e(s)$ are those of the last picture, at every place and for every element of the
    group; a trunk lifts them to regular features. Normalization is over elements and channels
    together, which commutes with the group, and has no weights. (In the published code it has a
    scale and a shift for each feature.)

    Args:
        symmetry: The group, and how it acts on pictures and actions.
        kind: "cnn", "gcnn", "relaxed" or "rpp", see `models.actor`.
        features: Width of both trunks, for each element of the group.
        hidden_units: Widths of the hidden layers of the actor and of each value, likewise.
        match_parameters: A budget for all three networks together; filters, `features` and
            `hidden_units` are then proportions. See `models.actor`.
        observation_shape: See `models.actor`.
        convolutions: See `models.actor`.
        relaxation: See `models.actor`.

    Raises:
        ValueError: If an argument breaks its rule, the state is no picture, or convolutions do not
            fit it.
    """
    check_description(symmetry, kind, ENCODER_KINDS, None, observation_shape)
    one_of("kind", kind, ENCODER_KINDS)
    positive_integer("features", features, LARGEST_WIDTH)
    looks = convolutions_for(symmetry, kind, convolutions, observation_shape)
    if looks is None:
        refuse("symmetry", "one whose state is an image_representation", symmetry.state)
    make = maker(kind, relaxation, symmetry.group.order)
    state, acting = symmetry.state, symmetry.action
    if kind == "cnn":
        state, acting = unconstrained_picture(state), unconstrained(acting.dim)
    regular = regular_representation(state.group)

    def arguments():
        initializer = keras.initializers.Orthogonal(math.sqrt(2.0))
        return {"activation": "relu", "kernel_initializer": initializer}

    def build(widths: tuple[int, ...]) -> keras.Model:
        count = len(hidden_units)
        hidden, width, filters = widths[:count], widths[count], widths[count + 1 :]
        observation, x = observation_input(symmetry, observation_shape, None)
        x, field, _ = picture_features(looks, GroupConv2D, state, filters, x, arguments, make)
        if len(x.shape) > 2:  # pooled over all places
            field = regular * trivial_representation(state.group, filters[-1])
            x = keras.layers.Reshape((field.dim,))(x)
        encoder = keras.Model(observation, x, name="encoder")
        orthogonal = keras.initializers.Orthogonal()

        def trunk(x):
            x = make(LiftingDense, width, field, kernel_initializer=orthogonal.clone())(x)
            norm = keras.layers.LayerNormalization((-2, -1), 1e-5, center=False, scale=False)
            return keras.layers.Activation("tanh")(norm(x))

        def head(x, outputs, beside=None):
            x = regular_features(regular, hidden, orthogonal, x, "relu", None, beside, make=make)
            return make(EquivariantReadout, outputs, kernel_initializer=orthogonal.clone())(x)

        seen = keras.Input((field.dim,), name="features")
        mean = keras.layers.Activation("tanh")(head(trunk(seen), acting))
        actor = keras.Model(seen, mean, name="actor")
        seen = keras.Input((field.dim,), name="features")
        action = keras.Input((acting.dim,), name="action")
        x, one = trunk(seen), trivial_representation(state.group)
        values = [head(x, one, (action, acting)) for _ in range(2)]
        critic = keras.Model([seen, action], keras.layers.Concatenate()(values), name="critic")
        action = keras.Input((acting.dim,), name="action")
        seen = encoder(observation)
        outputs = [actor(seen), critic([seen, action])]
        return keras.Model([observation, action], outputs, name=f"{kind}_on_encoder")

    # Those of hidden layers first, the largest, by whose whole numbers all are scaled.
    widths = (*check_hidden_units(hidden_units), features, *(looks.filters or ()))
    whole = build_with_widths(build, widths, match_parameters)
    return OnEncoder(*(whole.get_layer(role) for role in OnEncoder._fields))
