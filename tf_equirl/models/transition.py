"""Transition models built from a symmetry: what follows a state and an action."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tf_equirl._checks import flag, instance, number, one_of, refuse
from tf_equirl.groups import Symmetry
from tf_equirl.layers import (
    EquivariantReadout,
    GroupAveraging,
    GroupDense,
    ProximalPooling,
    TransitionImages,
)
from tf_equirl.layers.pooling.distances import get_distance
from tf_equirl.layers.pooling.proximal_pooling import SELECTIONS
from tf_equirl.models.actor import regular_features
from tf_equirl.models.convolutions import (
    Convolutions,
    all_widths,
    convolutions_for,
    unconstrained_picture,
)
from tf_equirl.models.heads import CategoricalHead, Head, RealHead
from tf_equirl.models.inputs import (
    check_description,
    check_initializer,
    observation_input,
    unconstrained,
)
from tf_equirl.models.relaxation import RELAXED_KINDS, Relaxation, maker
from tf_equirl.models.widths import build_with_widths

TRANSITION_KINDS = (
    *("mlp", "cnn", "gcnn-proximal", "gcnn-averaged", "gcnn-readout"),
    *RELAXED_KINDS,
)


def transition_model(
    symmetry: Symmetry,
    kind: str = "gcnn-readout",
    hidden_units: Sequence[int] = (64, 64),
    match_parameters: int | None = None,
    kernel_initializer: str | keras.initializers.Initializer = "he_normal",
    name: str | None = None,
    observation_shape: Sequence[int] | None = None,
    *,
    head: Head | None = None,
    predict_change: bool = False,
    distance: str | Callable[[Any, Any], Any] | None = None,
    selection: str = "hard",
    temperature: float = 1.0,
    average_ties: bool = True,
    convolutions: Convolutions | None = None,
    relaxation: Relaxation | None = None,
) -> keras.Model:
    r"""A transition model: the pair of observations `[batch, *observation_shape]` and actions
    `[batch, d_action]` to next states `[batch, d]`, as the head says.

    A discrete action comes in as a one-hot vector, a continuous one as itself: the group acts on
    it by $\rho_A$. All kinds but `"mlp"` and `"cnn"` obey, for every group element g,

    $$ T(\rho_S(g) s, \rho_A(g) a) = \rho(g) T(s, a) $$

    with $\rho$ the head's representation.

    * `"mlp"`: ReLU layers on state and action, unconstrained; the baseline.
    * `"cnn"`: ordinary convolutions, then ReLU layers, unconstrained; the baseline where the state
      is a picture.
    * `"gcnn-proximal"`: lifting, group convolutions with ReLU, one candidate next state per group
      element (`TransitionImages`), of which `ProximalPooling` takes the closest to the present
      state: the thesis' model ("Exploiting Symmetries With Equivariant Transition Models",
      University College London, 2023, sections 4.7.3 and 4.7.4).
    * `"gcnn-averaged"`: the same with the mean of the candidates (`GroupAveraging`).
    * `"gcnn-readout"`: lifting, group convolutions and an equivariant readout to $\rho$.
    * `"relaxed"`, `"rpp"`: the layers of `"gcnn-readout"`, relaxed or with free ones beside them,
      see `models.actor`: they obey the law at the start.

    Where `symmetry.state` is an `image_representation`, all kinds but `"mlp"` begin with the
    convolutions of `models.actor`; the action comes in after them.

    Args:
        symmetry: The group and how it acts on observations and actions.
        kind: One of `TRANSITION_KINDS`, as above.
        hidden_units: Widths of the hidden layers, at most 100 of them up to 16,384; channels
            per group element for `"gcnn-..."`.
        match_parameters: If given, `hidden_units` are only proportions, scaled so that the model
            comes closest to this number of trained parameters, at most 10^8; the choice is printed.
        kernel_initializer: A Keras initialiser, its name or its configuration, for every kernel.
        name: The model's name.
        observation_shape: Shape of an observation; None is that of its pictures where
            `symmetry.state` is an `image_representation`, and flat elsewhere. The group acts on its
            `symmetry.state.dim` numbers in row-major order.
        head: What is predicted, an environment's `transition_head`. None is the next observation as
            real numbers.
        predict_change: Whether the network predicts the state's change, to which the model adds the
            state. Its output is the next state all the same. For a `RealHead`.
        distance: Of `"gcnn-proximal"`, see `ProximalPooling`; None is the head's.
        selection: Of `"gcnn-proximal"`: `"hard"` or `"soft"`.
        temperature: Of the selection `"soft"`, in units of the distance.
        average_ties: Of `"gcnn-proximal"`: see `ProximalPooling`. False is the thesis' model.
        convolutions: Of a picture, see `models.actor`; None for some that fit its size.
        relaxation: Of `"relaxed"` and `"rpp"`, see `models.actor`.

    Returns:
        A Keras functional model, called with a list `[observation, action]`.

    Raises:
        ValueError: For an unknown kind, widths that are not positive integers, a budget that is too
            small, an `observation_shape` of another size than the state, a head that does not fit
            the symmetry, arguments that `ProximalPooling` refuses, such as a distance that is not
            invariant, `predict_change` with categories, or convolutions without a picture.

    Example:
        >>> from tf_equirl import envs, models
        >>> env = envs.make("Catch")
        >>> model = models.transition_model(env.symmetry, head=env.transition_head)
        >>> model.output_shape
        (None, 55)
    """
    check_description(symmetry, kind, TRANSITION_KINDS, name, observation_shape)
    if symmetry.center is not None:
        refuse("symmetry", "one about the origin, for a transition model", symmetry.center)
    initializer = check_initializer(kernel_initializer)
    predict_change = flag("predict_change", predict_change)
    head = RealHead(symmetry.state) if head is None else head
    _check_head(symmetry, head, predict_change)
    distance = head.distance if distance is None else get_distance(distance)
    one_of("selection", selection, SELECTIONS)
    number("temperature", temperature)
    flag("average_ties", average_ties)
    looks = convolutions_for(symmetry, kind, convolutions, observation_shape)
    name = name or f"{kind.replace('-', '_')}_transition_model"
    make = maker(kind, relaxation, symmetry.group.order)

    def build(widths: tuple[int, ...]) -> keras.Model:
        observation, flat = observation_input(symmetry, observation_shape)
        action = keras.Input((symmetry.action.dim,), name="action")
        state = flat if head.reading is None else ops.matmul(flat, head.reading)

        def following(predicted):
            """Next states of what the network predicts, a vector or one for each element."""
            if not predict_change:
                return predicted
            images = len(predicted.shape) > len(state.shape)
            return predicted + (ops.expand_dims(state, -2) if images else state)

        dim = head.representation.dim
        if kind == "mlp":
            x = keras.layers.Concatenate()([flat, action])
            for units in widths:
                x = keras.layers.Dense(units, "relu", kernel_initializer=initializer.clone())(x)
            x = keras.layers.Dense(dim, kernel_initializer=initializer.clone())(x)
            return keras.Model([observation, action], following(x), name=name)
        pose, acting, outputs = symmetry.state, symmetry.action, head.representation
        if kind == "cnn":
            pose = unconstrained_picture(pose)
            acting, outputs = unconstrained(acting.dim), unconstrained(dim)
        beside = action, acting
        x = regular_features(pose, widths, initializer, flat, looks=looks, beside=beside, make=make)
        if kind in ("cnn", "gcnn-readout", *RELAXED_KINDS):
            x = make(EquivariantReadout, outputs, kernel_initializer=initializer.clone())(x)
            return keras.Model([observation, action], following(x), name=name)
        x = GroupDense(dim, symmetry.group, kernel_initializer=initializer.clone())(x)
        images = following(TransitionImages(head.representation, name="images")(x))
        if kind == "gcnn-averaged":
            return keras.Model([observation, action], GroupAveraging()(images), name=name)
        pooling = ProximalPooling(
            distance,
            selection,
            representation=head.representation,
            temperature=temperature,
            average_ties=average_ties,
        )
        return keras.Model([observation, action], pooling([state, images]), name=name)

    return build_with_widths(build, all_widths(looks, hidden_units), match_parameters)


def _check_head(symmetry: Symmetry, head: Head, predict_change: bool) -> None:
    rule = "a RealHead or a CategoricalHead, such as an environment's transition_head"
    instance("head", head, Head, rule)
    if head.representation.group != symmetry.group:
        raise ValueError(
            f"`head` must be one of the symmetry's group, {symmetry.group.name}. Received: a head "
            f"of {head.representation.group.name}"
        )
    state, encoding = symmetry.state, head.representation
    length = encoding.dim if head.reading is None else len(head.reading)
    if length != state.dim:
        raise ValueError(
            f"`head` must read observations of {state.dim} numbers. Received: a head that reads "
            f"{length}"
        )
    # On random states and by index: the matrices of a picture would fill the memory.
    states = np.random.default_rng(0).normal(size=(4, state.dim))

    def read(states: np.ndarray) -> np.ndarray:
        return states if head.reading is None else states @ np.asarray(head.reading)

    error = np.array(
        [
            np.abs(read(state.act(g, states)) - encoding.act(g, read(states))).max()
            for g in symmetry.group.elements
        ]
    )
    if error.max() > 1e-6:
        raise ValueError(
            "`head` must read encodings that the group moves as it moves observations, "
            "encoding(rho_S(g) s) = rho(g) encoding(s). Received: a head for which element "
            f"{error.argmax()} of {symmetry.group.name} does not"
        )
    if predict_change and isinstance(head, CategoricalHead):
        raise ValueError(
            "`predict_change` must be False for a head of categories, which have no difference. "
            f"Received: predict_change={predict_change!r}"
        )
