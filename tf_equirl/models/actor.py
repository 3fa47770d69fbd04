"""Policy networks built from a symmetry."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from tf_equirl.groups import Representation, Symmetry, signed_permutation_representation
from tf_equirl.layers import (
    EquivariantReadout,
    GroupDense,
    LiftingDense,
    PermutationEquivariantDense,
)
from tf_equirl.models.inputs import check_kind, check_symmetry_argument, observation_input
from tf_equirl.models.widths import build_with_widths

ACTOR_KINDS = ("mlp", "gcnn", "odd")


def actor(
    symmetry: Symmetry,
    kind: str = "gcnn",
    hidden_units: Sequence[int] = (64, 64),
    match_parameters: int | None = None,
    kernel_initializer: str | keras.initializers.Initializer = "he_normal",
    name: str | None = None,
) -> keras.Model:
    r"""A policy network: observations `[..., d_state]` to `[..., d_action]`.

    For discrete actions the output are logits; for a matrix representation of the actions it is
    the mean. The kinds `"gcnn"` and `"odd"` obey, for every group element g,

    $$ \pi(\rho_S(g) s) = \rho_A(g) \pi(s). $$

    * `"mlp"`: ReLU layers, unconstrained; the baseline.
    * `"gcnn"`: lifting to the group, group convolutions with ReLU, equivariant readout (Cohen and
      Welling, 2016). `hidden_units` count channels per group element.
    * `"odd"`: tanh layers without bias, which are odd functions, and a readout that shares its
      weights along the group's orbits: the thesis' CartPole actor (equations 4.8 to 4.10). Only
      where every state matrix is plus or minus the identity.

    Args:
      symmetry: the group and how it acts on observations and actions.
      kind: `"mlp"`, `"gcnn"` or `"odd"`.
      hidden_units: widths of the hidden layers.
      match_parameters: if given, `hidden_units` are only proportions, scaled so that the model
        comes closest to this number of parameters; the choice is printed.
      kernel_initializer: a Keras initialiser, its name or its configuration, for every kernel.
      name: the model's name.

    Returns:
      A Keras functional model.

    Raises:
      ValueError: for an unknown kind, widths that are not positive integers, a budget that is too
        small, or a symmetry for which `"odd"` is not equivariant.

    Example:
      >>> from tf_equirl import envs, models
      >>> actor = models.actor(envs.make("CartPole").symmetry, kind="gcnn", hidden_units=(32, 32))
      >>> actor.output_shape
      (None, 2)
    """
    check_symmetry_argument(symmetry)
    check_kind(kind, ACTOR_KINDS)
    if kind == "odd":
        _check_odd(symmetry)
    initializer = keras.initializers.get(kernel_initializer)
    name = name or f"{kind}_actor"
    builder = {"mlp": _mlp, "gcnn": _gcnn, "odd": _odd}[kind]

    def build(widths: tuple[int, ...]) -> keras.Model:
        observation = observation_input(symmetry)
        logits = builder(symmetry, widths, initializer, observation)
        return keras.Model(observation, logits, name=name)

    return build_with_widths(build, hidden_units, match_parameters)


def _mlp(symmetry, widths, initializer, x):
    for units in widths:
        x = keras.layers.Dense(units, "relu", kernel_initializer=initializer.clone())(x)
    head = keras.layers.Dense(symmetry.action.dim, kernel_initializer=initializer.clone())
    return head(x)


def _gcnn(symmetry, widths, initializer, x):
    x = regular_features(symmetry, widths, initializer, x)
    return EquivariantReadout(symmetry.action, kernel_initializer=initializer.clone())(x)


def _odd(symmetry, widths, initializer, x):
    for units in widths:
        layer = keras.layers.Dense(
            units, "tanh", use_bias=False, kernel_initializer=initializer.clone()
        )
        x = layer(x)
    # Every hidden unit changes sign with the state: one-dimensional features, `units` channels.
    x = keras.layers.Reshape((1, widths[-1]))(x)
    x = PermutationEquivariantDense(
        1,
        inputs=_sign_representation(symmetry),
        outputs=symmetry.action,
        use_bias=False,
        kernel_initializer=initializer.clone(),
    )(x)
    return keras.layers.Reshape((symmetry.action.dim,))(x)


def regular_features(symmetry, widths, initializer, x):
    """Lifting and group convolutions with ReLU: `[..., d_state]` to `[..., n, widths[-1]]`."""
    first, *rest = widths
    x = LiftingDense(
        first, symmetry.state, activation="relu", kernel_initializer=initializer.clone()
    )(x)
    for units in rest:
        x = GroupDense(
            units, symmetry.group, activation="relu", kernel_initializer=initializer.clone()
        )(x)
    return x


def _sign_representation(symmetry: Symmetry) -> Representation:
    signs = np.sign(symmetry.state.matrices[:, :1, 0]).astype(int)
    permutations = np.zeros_like(signs)
    return signed_permutation_representation(symmetry.group, permutations, signs)


def _check_odd(symmetry: Symmetry) -> None:
    identity = np.eye(symmetry.state.dim)
    for element, matrix in enumerate(symmetry.state.matrices):
        if not (np.allclose(matrix, identity) or np.allclose(matrix, -identity)):
            raise ValueError(
                "kind='odd' needs every state matrix to be plus or minus the identity. "
                f"Received: element {element} of {symmetry.group.name} acts by\n{matrix}"
            )
    if symmetry.action.permutations is None:
        raise ValueError(
            "kind='odd' needs a permutation representation of the actions. "
            f"Received: symmetry.action={symmetry.action!r}"
        )
