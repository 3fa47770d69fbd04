"""Policy networks built from a symmetry."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import keras
import numpy as np

from tf_equirl._checks import flag, one_of
from tf_equirl.groups import (
    Representation,
    Symmetry,
    deviation_representation,
    regular_representation,
    signed_permutation_representation,
    trivial_representation,
)
from tf_equirl.layers import (
    EquivariantReadout,
    GroupConv2D,
    GroupDense,
    InvariantVector,
    LiftingDense,
    PermutationEquivariantDense,
    SymmetrizerConv2D,
    SymmetrizerDense,
)
from tf_equirl.models.convolutions import (
    Convolutions,
    all_widths,
    convolutions_for,
    picture_features,
    unconstrained_picture,
)
from tf_equirl.models.inputs import (
    check_activation,
    check_description,
    check_initializer,
    observation_input,
    unconstrained,
)
from tf_equirl.models.relaxation import RELAXED_KINDS, Make, Relaxation, maker
from tf_equirl.models.widths import build_with_widths

UNCONSTRAINED = ("mlp", "cnn")
"""Kinds that know nothing of the symmetry."""
DEVIATIONS = ("constant", "state")
"""Where the standard deviations of continuous actions come from."""
_SMALL = (
    1e-4  # of the variance that keeps the scale of features: outputs start a hundred times smaller
)
ACTOR_KINDS = (
    "mlp",
    "cnn",
    "gcnn",
    "odd",
    "symmetrizer",
    "symmetrizer-sampled",
    "symmetrizer-random",
    *RELAXED_KINDS,
)


def actor(
    symmetry: Symmetry,
    kind: str = "gcnn",
    hidden_units: Sequence[int] = (64, 64),
    match_parameters: int | None = None,
    kernel_initializer: str | keras.initializers.Initializer | None = None,
    name: str | None = None,
    observation_shape: Sequence[int] | None = None,
    activation: str | None = None,
    standard_deviation: str | None = None,
    normalize: bool = False,
    convolutions: Convolutions | None = None,
    relaxation: Relaxation | None = None,
) -> keras.Model:
    r"""A policy network: observations `[batch, *observation_shape]` to `[batch, d_action]`.

    For discrete actions the output are logits; for continuous ones the mean, which the parameters
    of a Gaussian may follow. All kinds but `"mlp"`, `"cnn"` and `"symmetrizer-random"` obey, those
    that are relaxed at the start alone, for every group element g,

    $$ \pi(\rho_S(g) s) = \rho_A(g) \pi(s), \qquad
       \log \sigma(\rho_S(g) s) = \rho_\sigma(g) \log \sigma(s), $$

    with the `deviation_representation` $\rho_\sigma$ of $\rho_A$.

    * `"mlp"`: ReLU layers, unconstrained; the baseline.
    * `"cnn"`: convolutions of a picture, then ReLU layers, unconstrained; the baseline there.
    * `"gcnn"`: lifting to the group, group convolutions with ReLU, equivariant readout (Cohen and
      Welling, 2016). `hidden_units` count channels per group element.
    * `"odd"`: tanh layers without bias, which are odd functions, and a readout that shares its
      weights along the group's orbits: the thesis' CartPole actor (equations 4.8 to 4.10). Only
      where every state matrix is plus or minus the identity.
    * `"symmetrizer"`: the MDP homomorphic network of van der Pol et al. (2020): `SymmetrizerDense`
      layers from the state to regular features, between those with ReLU, and to the actions. Its
      functions are those of `"gcnn"`, with as many parameters; parametrisation and initial weights
      differ.
    * `"symmetrizer-sampled"`: the same with the paper's sampled bases, which are weights that are
      not trained.
    * `"symmetrizer-random"`: the same with as many random matrices in place of the bases, the
      paper's control. It obeys no law.
    * `"relaxed"`: the layers of `"gcnn"`, relaxed: weights by group element, which begin alike,
      say how much each filter counts there (Park et al., 2025; see `layers.RelaxedGroupDense`).
    * `"rpp"`: those of `"gcnn"` with a free layer beside each (Finzi et al., 2021, see
      `layers.ResidualPathway`), which begins a thousand times smaller.

    Where the state is a picture (an `image_representation`), `"gcnn"`, its relaxed forms and the
    Symmetrizer begin with convolutions that turn with it, as `"cnn"` does with ordinary ones.

    Args:
        symmetry: The group and how it acts on observations and actions.
        kind: One of `ACTOR_KINDS`, as above.
        hidden_units: Widths of the hidden layers, at most 100 of them up to 16,384.
        match_parameters: If given, `hidden_units` are only proportions, scaled so that the model
            comes closest to this number of trained parameters, at most 10^8; the choice is printed.
        kernel_initializer: A Keras initialiser, its name or its configuration, for every kernel. If
            None it is the one of the paper for the Symmetrizer (see `SymmetrizerDense`), otherwise
            `"he_normal"`.
        name: The model's name.
        observation_shape: Shape of an observation; None is that of its pictures where
            `symmetry.state` is an `image_representation`, and flat elsewhere. The group acts on its
            `symmetry.state.dim` numbers in row-major order.
        activation: Name of the Keras activation of the hidden layers, a pointwise one such as
            "tanh" or "elu": those commute with the regular representation. Of the kind `"odd"` it
            must be odd. None is "relu", and "tanh" of that kind.
        standard_deviation: For continuous actions: `"constant"` gives, after the mean, logarithms
            of standard deviations that are trained and do not depend on the observation (0 at the
            start), `"state"` such that the network computes. The mean starts near 0 then
            (Andrychowicz et al., 2021, section 3.2). None gives the mean alone, or logits.
        normalize: Put an `InputNormalization` before all else, which trainers keep up to date.
        convolutions: Of a picture; None for some that fit its size. Their filters are scaled
            with `hidden_units` to meet `match_parameters`.
        relaxation: Of `"relaxed"` and `"rpp"`; None for the defaults. Standard deviations that do
            not depend on the observation keep their law.

    Returns:
        A Keras functional model.

    Raises:
        ValueError: For an unknown kind, widths that are not positive integers, a budget that is too
            small, an `observation_shape` of another size than the state or shape than its pictures,
            convolutions that do not fit them or where there are none, more banks than the group has
            elements, an activation that is not pointwise, or a symmetry or an activation for which
            `"odd"` is not equivariant.

    Example:
        >>> from tf_equirl import envs, models
        >>> actor = models.actor(envs.make("CartPole").symmetry, kind="gcnn", hidden_units=(32, 32))
        >>> actor.output_shape
        (None, 2)
    """
    check_description(symmetry, kind, ACTOR_KINDS, name, observation_shape)
    flag("normalize", normalize)
    if standard_deviation is not None:
        one_of("standard_deviation", standard_deviation, DEVIATIONS)
    if kind == "odd":
        _check_odd(symmetry)
    activation = check_activation(activation, "tanh" if kind == "odd" else "relu", kind == "odd")
    if kernel_initializer is None and not kind.startswith("symmetrizer"):
        kernel_initializer = "he_normal"
    # None is left to the Symmetrizer's layers.
    initializer = None if kernel_initializer is None else check_initializer(kernel_initializer)
    looks = convolutions_for(symmetry, kind, convolutions, observation_shape)
    convolving = functools.partial(_gcnn, looks, maker(kind, relaxation, symmetry.group.order))
    builders: dict[str, Callable[..., keras.KerasTensor]] = {
        "mlp": _mlp,
        **dict.fromkeys(("cnn", "gcnn", *RELAXED_KINDS), convolving),
        "odd": functools.partial(_odd, symmetry),
        "symmetrizer": functools.partial(_symmetrizer, "exact", looks),
        "symmetrizer-sampled": functools.partial(_symmetrizer, "sampled", looks),
        "symmetrizer-random": functools.partial(_symmetrizer, "random", looks),
    }
    builder = builders[kind]
    free = kind in UNCONSTRAINED
    name = name or f"{kind.replace('-', '_')}_actor"

    outputs, deviations = symmetry.action, None
    head = initializer
    if standard_deviation is not None:
        deviations = deviation_representation(symmetry.action)[0]
        head = keras.initializers.VarianceScaling(_SMALL, distribution="untruncated_normal")
        if standard_deviation == "state":
            outputs, deviations = outputs + deviations, None
    state = symmetry.state
    if free:
        state = unconstrained_picture(state) if kind == "cnn" else unconstrained(state.dim)
        outputs = unconstrained(outputs.dim)

    def build(widths: tuple[int, ...]) -> keras.Model:
        observation, x = observation_input(
            symmetry, observation_shape, state if normalize else None
        )
        result = builder(state, outputs, widths, (initializer, head), activation, x)
        if deviations is not None:
            vector = InvariantVector(unconstrained(deviations.dim) if free else deviations)
            result = keras.layers.Concatenate()([result, vector(result)])
        return keras.Model(observation, result, name=name)

    return build_with_widths(build, all_widths(looks, hidden_units), match_parameters)


def _mlp(state, outputs, widths, initializers, activation, x):
    initializer, head = initializers
    for units in widths:
        x = keras.layers.Dense(units, activation, kernel_initializer=initializer.clone())(x)
    return keras.layers.Dense(outputs.dim, kernel_initializer=head.clone())(x)


def _gcnn(looks, make, state, outputs, widths, initializers, activation, x):
    initializer, head = initializers
    x = regular_features(state, widths, initializer, x, activation, looks, make=make)
    return make(EquivariantReadout, outputs, kernel_initializer=head.clone())(x)


def _odd(symmetry, state, outputs, widths, initializers, activation, x):
    initializer, head = initializers
    for units in widths:
        layer = keras.layers.Dense(
            units, activation, use_bias=False, kernel_initializer=initializer.clone()
        )
        x = layer(x)
    # Every hidden unit changes sign with the state: one-dimensional features, `units` channels.
    x = keras.layers.Reshape((1, widths[-1]))(x)
    x = PermutationEquivariantDense(
        1,
        inputs=_sign_representation(symmetry),
        outputs=outputs,
        use_bias=False,
        kernel_initializer=head.clone(),
    )(x)
    return keras.layers.Reshape((outputs.dim,))(x)


def _symmetrizer(basis, looks, state, outputs, widths, initializers, activation, x):
    initializer, head = initializers
    regular = regular_representation(state.group)

    def arguments(initializer, activation=activation):
        # None is the layer's own choice.
        kernel_initializer = None if initializer is None else initializer.clone()
        return {"activation": activation, "kernel_initializer": kernel_initializer, "basis": basis}

    if looks is not None:
        make = maker("symmetrizer", None, state.group.order)
        x, state, widths = picture_features(
            looks, SymmetrizerConv2D, state, widths, x, lambda: arguments(initializer), make
        )
    if x.shape[1:] == (state.dim,):
        x = keras.layers.Reshape((state.dim, 1))(x)
    for units in widths:
        x = SymmetrizerDense(units, state, regular, **arguments(initializer))(x)
        state = regular
    x = SymmetrizerDense(1, regular, outputs, **arguments(head, None))(x)
    return keras.layers.Reshape((outputs.dim,))(x)


def regular_features(
    representation,
    widths,
    initializer,
    x,
    activation="relu",
    looks=None,
    beside=None,
    *,
    make: Make,
):
    """Lifting and group convolutions with an activation: `[..., d]` to `[..., n, widths[-1]]`.

    With `looks`, some `Convolutions`, the first of the widths are theirs. `beside` is what comes in
    after them: a vector `[..., d']`, and how the group acts on it. `make` makes the layers.
    """

    def arguments():
        return {"activation": activation, "kernel_initializer": initializer.clone()}

    if looks is not None:
        x, representation, widths = picture_features(
            looks, GroupConv2D, representation, widths, x, arguments, make
        )
    if beside is not None:
        if len(x.shape) > 2:
            representation *= trivial_representation(representation.group, x.shape[-1])
            x = keras.layers.Reshape((representation.dim,))(x)
        x = keras.layers.Concatenate()([x, beside[0]])
        representation += beside[1]
    # What was pooled are regular features already.
    lifted = len(x.shape) > 2
    for units in widths:
        if lifted:
            x = make(GroupDense, units, representation.group, **arguments())(x)
        else:
            x = make(LiftingDense, units, representation, **arguments())(x)
        lifted = True
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
