"""Values of actions: which law they obey, and what is refused."""

import keras
import numpy as np
import pytest

from tf_equirl import envs, models
from tf_equirl.groups import (
    Representation,
    Symmetry,
    cyclic_group,
    dihedral_group,
    image_representation,
    permutation_representation,
    quaternion_group,
    regular_representation,
    signed_permutation_representation,
    symmetric_group,
    trivial_representation,
)

# Of float32, for outputs of a few units; a broken law is off by far more.
ROUNDING = 1e-4
FREE = ("mlp", "cnn", "symmetrizer-random", *models.RELAXED_KINDS)  # once they have learned


def symmetries():
    c4, s3, q8 = cyclic_group(4), symmetric_group(3), quaternion_group()
    return {
        "CartPole": envs.make("CartPole").symmetry,
        "C4": Symmetry(c4, regular_representation(c4), permutation_representation(c4)),
        "S3": Symmetry(s3, permutation_representation(s3), regular_representation(s3)),
        "Q8": Symmetry(q8, Representation(q8, q8.matrices), regular_representation(q8)),
    }


SYMMETRIES = symmetries()


def with_random_biases(model):
    random = np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign_add(0.1 * random.normal(size=variable.shape))
    return model


def differences(model, symmetry):
    """By element how far Q(g s)[g a] is from Q(s)[a]."""
    states = np.random.default_rng(0).normal(size=(32, symmetry.state.dim)).astype("float32")
    values = keras.ops.convert_to_numpy(model(states))
    found = []
    for element in symmetry.group.elements:
        moved = keras.ops.convert_to_numpy(model(symmetry.state.act(element, states)))
        there = symmetry.action.permutations[element]  # where each action goes
        found.append(np.abs(moved[:, there] - values).max())
    return np.array(found)


@pytest.mark.parametrize("kind", [k for k in models.Q_FUNCTION_KINDS if k != "cnn"])
@pytest.mark.parametrize("name", SYMMETRIES)
def test_values_move_with_the_actions_under_every_element(name, kind):
    symmetry = SYMMETRIES[name]
    model = with_random_biases(models.q_function(symmetry, kind, (12, 12)))
    assert model.output_shape == (None, symmetry.action.dim)
    found = differences(model, symmetry)
    assert len(found) == symmetry.group.order
    if kind in FREE:
        assert found.max() > 100 * ROUNDING
    else:
        assert found.max() <= ROUNDING


@pytest.mark.parametrize("kind", ["cnn", "gcnn"])
def test_of_a_picture_under_the_turns_and_mirrorings(kind):
    env = envs.make("Snake", height=5, width=5)
    model = models.q_function(
        env.symmetry,
        kind,
        (8,),
        observation_shape=env.observation_shape,
        convolutions=models.Convolutions((4,)),
    )
    model = with_random_biases(model)
    flat = keras.Sequential(
        [keras.Input((100,)), keras.layers.Reshape(env.observation_shape), model]
    )
    found = differences(flat, env.symmetry)
    assert len(found) == 8
    assert found.max() <= ROUNDING if kind == "gcnn" else found.max() > 100 * ROUNDING


def test_it_is_the_network_of_the_actor():
    symmetry = SYMMETRIES["S3"]
    arguments = {"hidden_units": (6, 5), "activation": "elu", "normalize": True}
    model = models.q_function(symmetry, "gcnn", **arguments)
    actor = models.actor(symmetry, "gcnn", **arguments)
    for ours, theirs in zip(model.variables, actor.variables, strict=True):
        ours.assign(theirs)
    states = np.random.default_rng(0).normal(size=(9, 3)).astype("float32")
    np.testing.assert_array_equal(model(states), actor(states))
    assert (model.name, actor.name) == ("gcnn_q_function", "gcnn_actor")
    matched = models.q_function(symmetry, "mlp", (2, 2), match_parameters=1000, name="values")
    assert 900 < matched.count_params() < 1100 and matched.name == "values"


def continuous_symmetries():
    """Of which actions are no permutations, and some elements are not their own inverses."""
    d4, q8, s3 = dihedral_group(4), quaternion_group(), symmetric_group(3)
    turn, mirror = np.array([[0.0, -1.0], [1.0, 0.0]]), np.diag([1.0, -1.0])
    plane = Representation.from_generators(
        d4, dict(zip(d4.generators, (turn, mirror), strict=True))
    )
    rotations, skew = Representation(q8, q8.matrices), np.array([[1.0, 3.0], [0.0, 1.0]])
    skewed = Representation(d4, skew @ plane.matrices @ np.linalg.inv(skew))
    return {
        "D4": Symmetry(d4, skewed + trivial_representation(d4), plane),
        "D4 about a center": Symmetry(d4, plane, plane, center=(2.0, -1.0)),
        "Q8": Symmetry(q8, rotations, rotations + trivial_representation(q8)),
        "S3": Symmetry(s3, permutation_representation(s3), permutation_representation(s3)),
    }


CONTINUOUS = continuous_symmetries()


def changes_of_pairs(model, symmetry, shape=None):
    """By element how far Q(g s, g a) is from Q(s, a)."""
    random = np.random.default_rng(0)
    states = random.normal(size=(32, symmetry.state.dim)).astype("float32")
    actions = random.normal(size=(32, symmetry.action.dim)).astype("float32")

    def values(states, actions):
        states = np.reshape(states, (32, *(shape or (-1,)))).astype("float32")
        return keras.ops.convert_to_numpy(model([states, actions.astype("float32")]))

    return np.array(
        [
            np.abs(
                values(symmetry.move_states(g, states), symmetry.action.act(g, actions))
                - values(states, actions)
            ).max()
            for g in symmetry.group.elements
        ]
    )


@pytest.mark.parametrize("kind", ["mlp", "gcnn"])
@pytest.mark.parametrize("name", CONTINUOUS)
def test_the_value_of_a_pair_is_invariant_under_every_element(name, kind):
    symmetry = CONTINUOUS[name]
    normalize = name != "D4"  # whose matrices are not orthogonal
    model = models.q_function(symmetry, kind, (12, 12), normalize=normalize, continuous=True)
    model = with_random_biases(model)
    assert model.input_shape == [(None, symmetry.state.dim), (None, symmetry.action.dim)]
    assert model.output_shape == (None, 1) and model.name == f"{kind}_q_function"
    found = changes_of_pairs(model, symmetry)
    assert len(found) == symmetry.group.order
    assert found.max() > 100 * ROUNDING if kind == "mlp" else found.max() <= ROUNDING
    states, actions = np.ones((1, symmetry.state.dim)), np.ones((1, symmetry.action.dim))
    assert abs(float(model([states, actions])[0, 0] - model([states, -actions])[0, 0])) > 1e-3


@pytest.mark.parametrize("pooling", ["flatten", "max"])
@pytest.mark.parametrize("kind", ["mlp", "cnn", "gcnn"])
def test_the_action_joins_what_was_seen_in_a_picture(kind, pooling):
    group = dihedral_group(4)
    state = image_representation(group, 6, 6, 2)
    symmetry = Symmetry(group, state, CONTINUOUS["D4"].action)
    model = models.q_function(
        symmetry,
        kind,
        (8,),
        convolutions=models.Convolutions((4, 5), pooling=pooling),
        continuous=True,
    )
    model = with_random_biases(model)
    assert model.input_shape == [(None, 6, 6, 2), (None, 2)]
    found = changes_of_pairs(model, symmetry, (6, 6, 2))
    assert len(found) == 8
    assert found.max() <= ROUNDING if kind == "gcnn" else found.max() > 100 * ROUNDING


def test_that_of_pairs_is_saved_and_meets_a_budget(tmp_path):
    symmetry = CONTINUOUS["S3"]
    model = models.q_function(symmetry, "gcnn", (4, 4), match_parameters=1000, continuous=True)
    assert 900 < model.count_params() < 1100
    models.save(with_random_biases(model), tmp_path / "q.keras")
    loaded = keras.models.load_model(tmp_path / "q.keras")
    pairs = list(np.random.default_rng(0).normal(size=(2, 9, 3)).astype("float32"))
    np.testing.assert_array_equal(loaded(pairs), model(pairs))


def test_what_has_no_value_for_each_action_is_refused():
    group = cyclic_group(2)
    swap = permutation_representation(group, [(0, 1), (1, 0)])
    signed = signed_permutation_representation(group, [(0,), (0,)], [(1,), (-1,)])
    pictures = image_representation(group, 4, 4, 1, turns=[0, 2])
    for action in (signed, Representation(group, [np.eye(2), [[1, 3], [0, -1]]])):
        with pytest.raises(ValueError, match=r"there with continuous=True. Received: symme"):
            models.q_function(Symmetry(group, swap, action))
    for symmetry, arguments, message in (
        (Symmetry(group, swap, swap), {"kind": "odd"}, "`kind` must be one of mlp, cnn, gcnn, s"),
        (Symmetry(group, swap, swap), {"hidden_units": (0,)}, "`hidden_units` must be"),
        (Symmetry(group, swap, swap), {"kind": "cnn"}, "image_representation"),
        (Symmetry(group, swap, swap), {"name": "a/b"}, "`name` must be"),
        (Symmetry(group, pictures, swap), {"observation_shape": (1, 4, 4)}, "height, width, chan"),
        (None, {}, "`symmetry` must be a tf_equirl.groups.Symmetry"),
        (None, {"continuous": True}, "`symmetry` must be a tf_equirl.groups.Symmetry"),
        (Symmetry(group, swap, swap), {"continuous": 1}, "`continuous` must be True or False"),
        (
            Symmetry(group, swap, swap),
            {"continuous": True, "kind": "symmetrizer"},
            "`kind` must be one of mlp, cnn, gcnn, relaxed, rpp. R",
        ),
        (Symmetry(group, swap, swap), {"continuous": True, "kind": "cnn"}, "image_representation"),
    ):
        with pytest.raises(ValueError, match=message):
            models.q_function(symmetry, **arguments)
