"""Networks of the values of discrete actions, built from a symmetry."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from tf_equirl._checks import instance, one_of, optional_text
from tf_equirl.groups import Symmetry
from tf_equirl.models.actor import ACTOR_KINDS, actor
from tf_equirl.models.convolutions import Convolutions
from tf_equirl.models.relaxation import Relaxation

Q_FUNCTION_KINDS = tuple(kind for kind in ACTOR_KINDS if kind != "odd")
"""Those of actors, but for "odd": all its outputs are odd functions, and so is their sum, as if a
state and its mirror image could not both be good."""


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
) -> keras.Model:
    r"""Values of actions: observations `[batch, *observation_shape]` to `[batch, num_actions]`.

    The networks are those of `models.actor`, whose outputs are values here. All kinds but those
    that are unconstrained obey, for every group element g,

    $$ Q(\rho_S(g) s)[g a] = Q(s)[a], $$

    as the values of a symmetric policy in a symmetric environment do. So does the optimal one. A
    readout to the permutation representation of the actions makes the law hold to the end of the
    network; in Mondal et al. (2020) an unconstrained last layer breaks it.

    Args:
      symmetry: the group and how it acts on observations and actions.
      kind: one of `Q_FUNCTION_KINDS`, see `models.actor`.
      hidden_units: widths of the hidden layers, at most 100 of them up to 16,384.
      match_parameters: see `models.actor`.
      kernel_initializer: see `models.actor`.
      name: the model's name.
      observation_shape: see `models.actor`.
      activation: see `models.actor`.
      normalize: see `models.actor`.
      convolutions: see `models.actor`.
      relaxation: see `models.actor`.

    Returns:
      A Keras functional model.

    Raises:
      ValueError: as `models.actor` does, and where the group does not permute actions, as it cannot
        those of a continuous space: values of these are no outputs of a network of the observation.

    Example:
      >>> from tf_equirl import envs, models
      >>> model = models.q_function(envs.make("Catch").symmetry, observation_shape=(10, 5))
      >>> model.output_shape
      (None, 3)
    """
    instance("symmetry", symmetry, Symmetry, "a tf_equirl.groups.Symmetry")
    one_of("kind", kind, Q_FUNCTION_KINDS)
    if symmetry.action.permutations is None:
        raise ValueError(
            "`symmetry` must permute discrete actions, one value for each: Q(s, a) of continuous "
            f"actions is not there. Received: symmetry.action={symmetry.action!r}"
        )
    if optional_text("name", name) is None:
        name = f"{kind.replace('-', '_')}_q_function"
    return actor(
        symmetry,
        kind,
        hidden_units,
        match_parameters,
        kernel_initializer,
        name,
        observation_shape,
        activation,
        normalize=normalize,
        convolutions=convolutions,
        relaxation=relaxation,
    )
