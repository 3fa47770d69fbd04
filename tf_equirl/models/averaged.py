"""Any policy network, made equivariant by averaging over the group."""

from __future__ import annotations

import math
from typing import Any

import keras

from tf_equirl._checks import flag, instance, optional_text, refuse
from tf_equirl.groups import Representation, Symmetry, deviation_representation
from tf_equirl.layers import EquivariantReadout, LiftingDense

_LEAST = 1e-30  # probability, so that its logarithm is a number


def averaged(
    actor: keras.Model,
    symmetry: Symmetry,
    continuous: bool = False,
    name: str | None = None,
) -> keras.Model:
    r"""A policy network that asks another one about every pose of an observation.

    For discrete actions it is the mixture of what the actor says in each pose,

    $$ \bar\pi(s) = \log \frac1n \sum_g \rho_A(g) \, \mathrm{softmax}(\pi(g^{-1} s)), $$

    for continuous ones the mean of its outputs, means and logarithms of standard deviations each
    by how the group acts on them (the Reynolds operator): a Gaussian, not a mixture of Gaussians.
    So `averaged(g s) = rho(g) averaged(s)` for every g, whatever the actor is, also of an actor
    that is trained already. One evaluation costs n of the actor.

    It consists of Keras' own layers and of `LiftingDense` and `EquivariantReadout` with fixed
    kernels, of which the first has d_state^2 numbers. The weights are the actor's own.

    Args:
        actor: From observations `[batch, *observation_shape]`, of any shape with the numbers of a
            state, to logits `[batch, num_actions]`, or to means `[batch, d]` that the parameters of
            standard deviations may follow.
        symmetry: The group and how it acts on observations, about its center, and actions.
        continuous: Whether actions are continuous.
        name: The model's name.

    Returns:
        A Keras functional model of the shapes of `actor`.

    Raises:
        ValueError: If the actor does not fit the symmetry, or the group does not permute discrete
            actions.

    Example:
        >>> from tf_equirl import envs, models
        >>> symmetry = envs.make("CartPole").symmetry
        >>> policy = models.averaged(models.actor(symmetry, "mlp"), symmetry)
        >>> policy.output_shape
        (None, 2)
    """
    instance("symmetry", symmetry, Symmetry, "a tf_equirl.groups.Symmetry")
    if "/" in (optional_text("name", name) or ""):
        refuse("name", "a name without /", name)
    outputs = _outputs(_single("actor", actor), symmetry, flag("continuous", continuous))
    order, dim = symmetry.group.order, symmetry.state.dim
    shape = tuple(actor.input_shape[1:])
    observation = keras.Input(shape, name="observation")
    x = observation if shape == (dim,) else keras.layers.Reshape((dim,))(observation)
    if symmetry.center is not None:
        x = keras.layers.Rescaling(1.0, [-c for c in symmetry.center])(x)
    poses = LiftingDense(
        dim, symmetry.state, use_bias=False, kernel_initializer="identity", trainable=False
    )(x)
    if symmetry.center is not None:
        poses = keras.layers.Rescaling(1.0, list(symmetry.center))(poses)
    # All poses in one batch.
    answers = actor(keras.ops.reshape(poses, (-1, *shape)))
    if not continuous:
        answers = keras.layers.Softmax()(answers)
    mean = EquivariantReadout(
        outputs,
        use_bias=False,
        kernel_initializer=keras.initializers.Identity(1 / order),
        trainable=False,
    )(keras.ops.reshape(answers, (-1, order, outputs.dim)))
    if not continuous:
        mean = keras.ops.log(keras.ops.maximum(mean, _LEAST))
    name = name or f"averaged_{actor.name}"
    return keras.Model(observation, mean, name=name)


def _single(name: str, actor: Any) -> keras.Model:
    """Checks that it is a model of one input and one output."""
    instance(name, actor, keras.Model, "a Keras 3 model")
    shapes = (getattr(actor, "input_shape", None), getattr(actor, "output_shape", None))
    if not all(isinstance(s, tuple) and len(s) > 1 and None not in s[1:] for s in shapes):
        refuse(name, "a built model of one input and one output of known shapes", actor)
    return actor


def _outputs(actor: keras.Model, symmetry: Symmetry, continuous: bool) -> Representation:
    """How the group acts on what the actor gives."""
    action = symmetry.action
    size, found = math.prod(actor.input_shape[1:]), actor.output_shape[1:]
    if size != symmetry.state.dim:
        raise ValueError(
            f"`actor` must take the {symmetry.state.dim} numbers of a state. "
            f"Received: actor of input shape {actor.input_shape}"
        )
    wanted = [action]
    if continuous and found != (action.dim,):
        wanted.append(action + deviation_representation(action)[0])
    elif not continuous and action.permutations is None:
        refuse("symmetry", "one that permutes actions, unless they are continuous", symmetry)
    for outputs in wanted:
        if found == (outputs.dim,):
            return outputs
    raise ValueError(
        f"`actor` must give {' or '.join(str(x.dim) for x in wanted)} numbers for the "
        f"{action.dim} {'numbers of an action' if continuous else 'actions'}. "
        f"Received: actor of output shape {actor.output_shape}"
    )
