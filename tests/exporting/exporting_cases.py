"""Models to export: groups that are not abelian, branches, nested and shared layers."""

from __future__ import annotations

import keras
import numpy as np

from tf_equirl import envs, models
from tf_equirl.groups import (
    Representation,
    Symmetry,
    dihedral_group,
    image_representation,
    permutation_representation,
    quaternion_group,
    regular_representation,
    symmetric_group,
    trivial_representation,
)
from tf_equirl.layers import EquivariantReadout, GroupDense, GroupPooling, LiftingDense

S3, D4, Q8 = symmetric_group(3), dihedral_group(4), quaternion_group()
SYMMETRIES = {
    "CartPole": envs.make("CartPole").symmetry,
    "S3": Symmetry(S3, permutation_representation(S3), regular_representation(S3)),
    "D4": Symmetry(D4, regular_representation(D4), permutation_representation(D4)),
    "Q8": Symmetry(Q8, Representation(Q8, Q8.matrices), regular_representation(Q8)),
}
# Of pictures of 8 x 8 pixels whose first two channels are a vector in the plane.
PLANE = Representation.from_generators(D4, {1: [[0, -1], [1, 0]], 4: [[1, 0], [0, -1]]})
PICTURES = Symmetry(
    D4,
    image_representation(D4, 8, 8, PLANE + trivial_representation(D4)),
    permutation_representation(D4),
)
LOOKS = {
    "valid": models.Convolutions((3, 4), (4, 3), (2, 1), "valid", "max"),
    "same": models.Convolutions((3, 4), (4, 3), (2, 1), "same", "mean", picture_scale=0.5),
    "circular": models.Convolutions((3, 4), (4, 3), (2, 1), "circular"),
}


def randomised(model: keras.Model) -> keras.Model:
    """Biases of zero would hide one that is written out wrongly."""
    rng = np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign(0.5 * rng.normal(size=variable.shape))
    return model


def states_of(model: keras.Model, count: int = 32):
    """Random inputs of other numbers than those that `export` checks with."""
    rng = np.random.default_rng(7)

    def draw(spec):
        shape = (count, *(axis or 3 for axis in spec.shape[1:]))
        return rng.normal(size=shape).astype("float32")

    structure = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    return keras.tree.map_structure(draw, structure)


def outputs_of(function, states) -> list[np.ndarray]:
    return [np.asarray(x, dtype=np.float64) for x in keras.tree.flatten(function(states))]


def assert_same_outputs(received, expected) -> None:
    """Rounding in float32: sums of some tens of numbers, in another order."""
    assert len(received) == len(expected) > 0
    for a, b in zip(received, expected, strict=True):
        assert a.shape == b.shape and np.abs(b).max() > 0.01
        assert np.abs(a - b).max() <= 1e-5 * np.abs(b).max()


def two_heads(symmetry: Symmetry) -> keras.Model:
    """A residual block, then logits and a pooled value: one input, a dict of outputs."""
    group = symmetry.group
    observation = keras.Input((symmetry.state.dim,), name="observation")
    lifted = LiftingDense(6, symmetry.state, activation="relu")(observation)
    x = GroupDense(6, group, activation="tanh")(lifted)
    x = keras.layers.Add()([x, lifted])
    x = keras.layers.Activation("relu")(x)
    logits = EquivariantReadout(symmetry.action)(x)
    value = keras.layers.Dense(1)(GroupPooling("max")(x))
    return randomised(keras.Model(observation, {"logits": logits, "value": value}, name="heads"))


def two_inputs(symmetry: Symmetry) -> keras.Model:
    """One layer applied to two inputs, and a nested model."""
    first = keras.Input((symmetry.state.dim,), name="first")
    second = keras.Input((symmetry.state.dim,), name="second")
    lift = LiftingDense(5, symmetry.state, activation="relu")
    inner_input = keras.Input((symmetry.group.order, 5))
    inner = keras.Model(inner_input, GroupDense(4, symmetry.group)(inner_input), name="inner")
    a, b = inner(lift(first)), inner(lift(second))
    joined = keras.layers.Concatenate()([a, b])
    return randomised(keras.Model([first, second], [GroupPooling("sum")(joined), a - 2.0 * b]))


def of_pictures(looks: str, kind: str = "gcnn") -> keras.Model:
    """A policy that looks at pictures."""
    options = {"observation_shape": (8, 8, 3), "convolutions": LOOKS[looks]}
    return randomised(models.actor(PICTURES, kind, (5,), **options))


def normalized(symmetry: Symmetry) -> keras.Model:
    """A policy of continuous actions that has seen observations far from the origin."""
    options = {"standard_deviation": "constant", "normalize": True}
    model = randomised(models.actor(symmetry, "gcnn", (6, 5), **options))
    layer = next(x for x in model.layers if type(x).__name__ == "InputNormalization")
    dim = symmetry.state.dim
    layer.mean.assign(np.linspace(50.0, 60.0, dim))
    layer.variance.assign(np.linspace(0.5, 2.0, dim))
    return model
