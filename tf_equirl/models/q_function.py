"""Networks of the values of actions, built from a symmetry."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from tf_equirl._checks import flag, instance, one_of, optional_text
from tf_equirl.groups import Symmetry
from tf_equirl.models.actor import ACTOR_KINDS, UNCONSTRAINED, actor
from tf_equirl.models.convolutions import Convolutions
from tf_equirl.models.critic import value_model
from tf_equirl.models.inputs import check_description
from tf_equirl.models.relaxation import RELAXED_KINDS, Relaxation

Q_FUNCTION_KINDS = tuple(kind for kind in ACTOR_KINDS if kind != "odd")
"""Those of actors, but for "odd": all its outputs are odd functions, and so is their sum, as if a
state and its mirror image could not both be good."""
CONTINUOUS_Q_FUNCTION_KINDS = (*UNCONSTRAINED, "gcnn", *RELAXED_KINDS)
"""Those of values of continuous actions."""


def q_function(
    symmetry: Symmetry,
    kind: str = "gcnn",
    hidden_units: Sequence[int] = (64, 64),
    match_parameters: int | None = None,
    kernel_initializer: str | keras.initializers.Initializer | None = None,
    name: str | None = None,
    observation_shape: Sequence[int] | None = None,
    activation: str | None = None,
    normalize: bool = False,
    convolutions: Convolutions | None = None,
    relaxation: Relaxation | None = None,
    continuous: bool = False,
) -> keras.Model:
    r"""Values of actions: of every discrete action, or of a continuous one that is an input.

    For discrete actions it maps observations `[batch, *observation_shape]` to `[batch,
    num_actions]`. The networks are those of `models.actor`, whose outputs are values here. All
    kinds but those that are unconstrained obey, for every group element g,

    $$ Q(\rho_S(g) s)[g a] = Q(s)[a], $$

    as the values of a symmetric policy in a symmetric environment do. So does the optimal one. A
    readout to the permutation representation of the actions makes the law hold to the end of the
    network; in Mondal et al. (2020) an unconstrained last layer breaks it.

    For continuous actions it maps pairs of observations and actions `[batch, d_action]`, such as
    the box's in units in which it is [-1, 1] in every coordinate, to `[batch, 1]`. Kinds are

    * `"mlp"`: ReLU layers on state and action, unconstrained;
    * `"cnn"`: convolutions of a picture, which the action joins, then ReLU layers, unconstrained;
    * `"gcnn"`: lifting of the direct sum of both, group convolutions with ReLU, and a readout to
      the trivial representation (as the critics of Wang et al., 2022, "SO(2)-Equivariant
      Reinforcement Learning", are). Where the state is a picture it begins with convolutions that
      turn with it, and the action joins after them. It obeys the law below;
    * `"relaxed"`, `"rpp"`: its layers, relaxed or with free ones beside them, see `models.actor`.

    $$ Q(\rho_S(g) s, \rho_A(g) a) = Q(s, a). $$

    Args:
        symmetry: The group and how it acts on observations and actions.
        kind: One of `Q_FUNCTION_KINDS`, see `models.actor`; for continuous actions one of
            `CONTINUOUS_Q_FUNCTION_KINDS`, as above.
        hidden_units: Widths of the hidden layers, at most 100 of them up to 16,384.
        match_parameters: See `models.actor`.
        kernel_initializer: See `models.actor`.
        name: The model's name.
        observation_shape: See `models.actor`.
        activation: See `models.actor`.
        normalize: See `models.actor`.
        convolutions: See `models.actor`.
        relaxation: See `models.actor`.
        continuous: Whether actions are continuous.

    Returns:
        A Keras functional model; for continuous actions it is called with a list
        `[observation, action]`.

    Raises:
        ValueError: As `models.actor` does, and where the group does not permute actions that are
            discrete.

    Example:
        >>> from tf_equirl import envs, models
        >>> model = models.q_function(envs.make("Catch").symmetry, observation_shape=(10, 5))
        >>> model.output_shape
        (None, 3)
        >>> model = models.q_function(envs.make("Pendulum-v1").symmetry, continuous=True)
        >>> model.input_shape, model.output_shape
        ([(None, 3), (None, 1)], (None, 1))
    """
    kinds = CONTINUOUS_Q_FUNCTION_KINDS if flag("continuous", continuous) else Q_FUNCTION_KINDS
    instance("symmetry", symmetry, Symmetry, "a tf_equirl.groups.Symmetry")
    one_of("kind", kind, kinds)
    if not continuous and symmetry.action.permutations is None:
        raise ValueError(
            "`symmetry` must permute discrete actions, one value for each; Q(s, a) of continuous "
            f"actions is there with continuous=True. Received: symmetry.action={symmetry.action!r}"
        )
    title = optional_text("name", name)
    if title is None:
        title = f"{kind.replace('-', '_')}_q_function"
    if continuous:
        check_description(symmetry, kind, kinds, title, observation_shape)
        return value_model(
            symmetry,
            kind,
            hidden_units,
            match_parameters,
            "he_normal" if kernel_initializer is None else kernel_initializer,
            title,
            observation_shape,
            activation,
            normalize,
            convolutions,
            relaxation,
            of_actions=True,
        )
    return actor(
        symmetry,
        kind,
        hidden_units,
        match_parameters,
        kernel_initializer,
        title,
        observation_shape,
        activation,
        normalize=normalize,
        convolutions=convolutions,
        relaxation=relaxation,
    )
