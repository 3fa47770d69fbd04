from __future__ import annotations

import keras
import numpy as np
import pytest

from tf_equirl import envs, models
from tf_equirl.groups import (
    Representation,
    Symmetry,
    cyclic_group,
    dihedral_group,
    permutation_representation,
    quaternion_group,
    regular_representation,
    symmetric_group,
    trivial_representation,
)
from tf_equirl.layers import ModeDistance
from tf_equirl.models import widths
from tf_equirl.models.heads import CategoricalHead, RealHead
from tf_equirl.testing import equivariance_error

CARTPOLE, CATCH = envs.make("CartPole"), envs.make("Catch")
HEADS = {"CartPole": CARTPOLE.transition_head, "Catch": CATCH.transition_head}
# Of float32, with outputs of any size that these weights give; a broken law is off by far more.
ROUNDING = 1e-4
KINDS = [kind for kind in models.TRANSITION_KINDS if kind != "cnn"]  # of vectors
EQUIVARIANT = [kind for kind in KINDS if kind.startswith("gcnn")]
each_kind = pytest.mark.parametrize("kind", KINDS)
each_equivariant_kind = pytest.mark.parametrize("kind", EQUIVARIANT)


def _triangle() -> Representation:
    """The turns and mirrors of a triangle in the plane: orthogonal, no signed permutations."""
    group = dihedral_group(3)
    angle = 2 * np.pi / 3
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    powers = [np.linalg.matrix_power(turn, k) for k in range(3)]
    return Representation(group, powers + [p @ np.diag([1.0, -1.0]) for p in powers])


def _symmetries() -> dict[str, Symmetry]:
    c4, s3, d4, q8 = cyclic_group(4), symmetric_group(3), dihedral_group(4), quaternion_group()
    plane = _triangle()
    return {
        "C2": CARTPOLE.symmetry,
        "C4": Symmetry(c4, regular_representation(c4), permutation_representation(c4)),
        "S3": Symmetry(
            s3,
            permutation_representation(s3) + trivial_representation(s3),
            regular_representation(s3),
        ),
        "D3, matrix actions": Symmetry(plane.group, plane + plane, plane),
        "D4": Symmetry(d4, permutation_representation(d4), regular_representation(d4)),
        "Q8": Symmetry(q8, Representation(q8, q8.matrices), regular_representation(q8)),
    }


SYMMETRIES = _symmetries()


def _inputs(symmetry: Symmetry, count: int = 48) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    dims = symmetry.state.dim, symmetry.action.dim
    return [random.normal(size=(count, dim)).astype("float32") for dim in dims]


def _model(symmetry: Symmetry, kind: str, units=(8, 8), **arguments) -> keras.Model:
    """With random biases: those of zero would hide one that breaks the law."""
    with models.seeded(0):
        model = models.transition_model(symmetry, kind, units, **arguments)
    random = np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign_add(0.1 * random.normal(size=variable.shape))
    return model


def _error(model: keras.Model, symmetry: Symmetry, outputs: Representation, inputs) -> float:
    dim = symmetry.state.dim
    error = equivariance_error(
        lambda x: model([x[:, :dim], x[:, dim:]]),
        np.concatenate(inputs, axis=1),
        symmetry.state + symmetry.action,
        outputs,
    )
    assert len(error.per_element) == symmetry.group.order
    return error.max


def _pairs_of_catch() -> list[np.ndarray]:
    observation = CATCH.observe(CATCH.all_states()).numpy()
    return [np.repeat(observation, 3, axis=0), np.tile(np.eye(3, dtype="float32"), (225, 1))]


@each_equivariant_kind
@pytest.mark.parametrize("name", SYMMETRIES)
def test_equivariant_under_every_element(name, kind):
    symmetry = SYMMETRIES[name]
    model = _model(symmetry, kind)
    assert model.output_shape == (None, symmetry.state.dim)
    assert _error(model, symmetry, symmetry.state, _inputs(symmetry)) <= ROUNDING


@each_equivariant_kind
@pytest.mark.parametrize("name", ["S3", "D4"])
def test_equivariant_with_categories(name, kind):
    symmetry = SYMMETRIES[name]
    head = CategoricalHead([symmetry.state], [np.eye(symmetry.state.dim)], [1.0])
    model = _model(symmetry, kind, head=head)
    assert _error(model, symmetry, symmetry.state, _inputs(symmetry)) <= ROUNDING


@pytest.mark.parametrize(
    ("kind", "selection"), [*((kind, "hard") for kind in EQUIVARIANT), ("gcnn-proximal", "soft")]
)
def test_catch_is_equivariant_on_all_pairs(kind, selection):
    head = CATCH.transition_head
    model = _model(CATCH.symmetry, kind, head=head, selection=selection)
    pairs = _pairs_of_catch()
    assert model.output_shape == (None, 55) and len(pairs[0]) == 675
    assert _error(model, CATCH.symmetry, head.representation, pairs) <= ROUNDING


def test_without_averaged_ties_catch_is_not_equivariant():
    """State and action that the mirror leaves alone have two images, as close as each other."""
    head = CATCH.transition_head
    model = _model(CATCH.symmetry, "gcnn-proximal", head=head, average_ties=False)
    pairs = _pairs_of_catch()
    mirror = head.representation.matrices[1].astype("float32")
    mirrored = [
        x @ rho.matrices[1].astype("float32")
        for x, rho in zip(pairs, (CATCH.symmetry.state, CATCH.symmetry.action), strict=True)
    ]
    wrong = np.abs(model(mirrored) - model(pairs) @ mirror).max(axis=1) > 1e-3
    fixed = np.all([np.all(a == b, axis=1) for a, b in zip(pairs, mirrored, strict=True)], axis=0)
    assert fixed.sum() == 9 and wrong[fixed].all()
    assert wrong.mean() < 0.2


def test_the_mlp_is_not_equivariant():
    symmetry = SYMMETRIES["C2"]
    assert _error(_model(symmetry, "mlp"), symmetry, symmetry.state, _inputs(symmetry)) > 0.1


@each_kind
@pytest.mark.parametrize("name", ["C2", "D3, matrix actions"])
def test_a_predicted_change_is_added_to_the_state(name, kind):
    symmetry = SYMMETRIES[name]
    changing = _model(symmetry, kind, predict_change=True)
    inputs = _inputs(symmetry)
    if kind in EQUIVARIANT:
        assert _error(changing, symmetry, symmetry.state, inputs) <= ROUNDING
    if kind != "gcnn-proximal":  # which compares other rows with the state
        plain = _model(symmetry, kind)
        np.testing.assert_allclose(changing(inputs), plain(inputs) + inputs[0], atol=1e-5)
    changing.set_weights([np.zeros_like(w) for w in changing.get_weights()])
    np.testing.assert_allclose(changing(inputs), inputs[0], atol=1e-6)


def test_the_images_are_the_networks_predictions_in_every_pose():
    symmetry = SYMMETRIES["S3"]
    images, outputs = {}, {}
    for kind in ("gcnn-averaged", "gcnn-proximal"):
        model = _model(symmetry, kind)
        rows = keras.Model(model.input, model.get_layer("images").output)
        images[kind], outputs[kind] = rows(inputs := _inputs(symmetry)).numpy(), model(inputs)
    assert images["gcnn-averaged"].shape == (48, 6, 4)
    np.testing.assert_array_equal(images["gcnn-averaged"], images["gcnn-proximal"])
    rows = images["gcnn-averaged"]
    np.testing.assert_allclose(outputs["gcnn-averaged"], rows.mean(axis=1), atol=1e-5)
    distances = np.abs(rows - inputs[0][:, None]).sum(axis=-1)
    ordered = np.sort(distances, axis=1)
    clear = ordered[:, 1] - ordered[:, 0] > 0.05 * distances.mean(axis=1)  # no tie
    assert clear.sum() > 20
    closest = rows[np.arange(48), distances.argmin(axis=1)]
    np.testing.assert_array_equal(outputs["gcnn-proximal"][clear], closest[clear])


def test_the_head_says_which_distance_is_invariant():
    assert RealHead(SYMMETRIES["Q8"].state).distance == "l1"  # signed permutations
    assert RealHead(_triangle()).distance == "l2"
    assert isinstance(CATCH.transition_head.distance, ModeDistance)
    pooling = _model(CATCH.symmetry, "gcnn-proximal", head=HEADS["Catch"]).layers[-1]
    assert pooling.distance.get_config() == HEADS["Catch"].distance.get_config()


@pytest.mark.parametrize(
    ("env", "kind", "budget"),
    [
        (CARTPOLE, "mlp", 9_000),
        (CARTPOLE, "gcnn-proximal", 9_000),
        (CARTPOLE, "gcnn-readout", 9_000),
        (CATCH, "gcnn-averaged", 24_594),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_widths_match_a_parameter_budget(env, kind, budget, capsys):
    widths._print_once.cache_clear()  # another test may have had the same line
    model = models.transition_model(
        env.symmetry, kind, match_parameters=budget, head=env.transition_head
    )
    assert abs(model.count_params() / budget - 1) < 0.1
    assert f"{model.count_params():,} parameters" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("env", "kind", "arguments"),
    [
        *((CARTPOLE, kind, {"predict_change": True}) for kind in KINDS),
        (CATCH, "gcnn-proximal", {"head": HEADS["Catch"], "selection": "soft"}),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_it_is_an_ordinary_keras_model(env, kind, arguments, tmp_path):
    model = _model(env.symmetry, kind, **arguments)
    assert model.name == f"{kind.replace('-', '_')}_transition_model"
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    inputs = _inputs(env.symmetry)
    np.testing.assert_array_equal(again(inputs), model(inputs))


def test_observations_need_not_be_flat():
    head = HEADS["Catch"]
    flat = _model(CATCH.symmetry, "gcnn-proximal", head=head)
    board = _model(CATCH.symmetry, "gcnn-proximal", head=head, observation_shape=(10, 5, 1))
    observation, action = _pairs_of_catch()
    received = board([observation.reshape(-1, 10, 5, 1), action])
    np.testing.assert_array_equal(received, flat([observation, action]))


def test_measures_of_real_numbers():
    head = HEADS["CartPole"]
    outputs, target = np.float32([[1, 2, 3, 4], [0, 0, 0, 0]]), np.zeros([2, 4], "float32")
    (error,) = head.metrics(outputs, target)
    np.testing.assert_allclose(error, [7.5, 0])
    assert head.prediction(outputs) is outputs and head.metric_names == ("mean_square",)


def test_measures_of_categories():
    head = HEADS["Catch"]
    target = CATCH.encode(CATCH.all_states())[:3]
    logits = np.random.default_rng(0).normal(size=(3, 55)).astype("float32")
    logits[0] = 9 * target[0]  # both right
    logits[1, :50] = 9 * target[1, :50]  # the ball alone
    logits[1, 50:] = -9 * target[1, 50:]
    ball, paddle = (
        -np.log(np.sum(np.exp(x) * y, axis=1) / np.sum(np.exp(x), axis=1))
        for x, y in ((logits[:, :50], target[:, :50]), (logits[:, 50:], target[:, 50:]))
    )
    entropy, accuracy = head.metrics(logits, target)
    np.testing.assert_allclose(entropy, ball + paddle, rtol=1e-4)
    assert accuracy.numpy()[:2].tolist() == [1, 0]
    prediction = head.prediction(logits).numpy()
    np.testing.assert_array_equal(prediction[0], target[0])
    assert prediction.sum(axis=1).tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"kind": "gcnn"},
            "`kind` must be one of mlp, cnn, gcnn-proximal, .*. Received: kind='gcnn'",
        ),
        ({"symmetry": "C2"}, "`symmetry` must be a tf_equirl.groups.Symmetry"),
        ({"hidden_units": (8, 0)}, "`hidden_units` must be .* positive integers"),
        ({"match_parameters": 3}, "`match_parameters` must be at least"),
        ({"observation_shape": (5,)}, "`observation_shape` must be"),
        ({"head": "real"}, "`head` must be a RealHead or a CategoricalHead.*head='real'"),
        (
            {"head": RealHead(SYMMETRIES["C4"].state)},
            "`head` must be one of the symmetry's group, C2",
        ),
        ({"head": HEADS["Catch"]}, "`head` must read observations of 4 numbers.*reads 50"),
        (
            {"head": RealHead(trivial_representation(cyclic_group(2), 4))},
            r"as it moves observations.*element 1 of C2",
        ),
        ({"distance": "l3"}, "`distance` must be 'l1' or 'l2'"),
        ({"distance": lambda s, x: (x - s)[..., 0]}, "`distance` must be invariant .* element 1"),
        ({"selection": "best"}, "`selection` must be one of hard, soft"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        models.transition_model(
            **{"symmetry": CARTPOLE.symmetry, "kind": "gcnn-proximal", **arguments}
        )


def test_real_models_disagree_by_their_standard_deviation():
    head = HEADS["CartPole"]
    outputs = np.random.default_rng(0).normal(size=(3, 5, 2, 4)).astype("float32")
    found = keras.ops.convert_to_numpy(head.disagreement(outputs))
    assert found.shape == (5, 2)
    # Over the models, root mean square over the coordinates.
    expected = np.sqrt(((outputs - outputs.mean(axis=0)) ** 2).mean(axis=(0, -1)))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    same = np.repeat(outputs[:1], 4, axis=0)
    np.testing.assert_array_equal(head.disagreement(same), np.zeros([5, 2]))


def test_models_of_categories_disagree_by_the_share_that_is_outvoted():
    head = HEADS["Catch"]

    def logits(cell, paddle, strength=1.0):
        return strength * np.concatenate([np.eye(50)[cell], np.eye(5)[paddle]])

    def disagreement(*models):
        return float(head.disagreement(np.stack(models).astype("float32")))

    sure = logits(7, 2, strength=9.0)
    assert disagreement(logits(7, 2), sure) == 0  # how sure they are does not matter
    assert disagreement(sure, logits(7, 2), logits(7, 3), logits(8, 2)) == 0.5
    assert disagreement(sure, logits(8, 2), logits(8, 2), logits(8, 2)) == 0.75


@pytest.mark.parametrize("name", HEADS)
def test_the_group_changes_no_disagreement(name):
    head, rng = HEADS[name], np.random.default_rng(1)
    rho = head.representation
    outputs = rng.normal(size=(4, 20, rho.dim)).astype("float32")
    found = keras.ops.convert_to_numpy(head.disagreement(outputs))
    assert found.min() >= 0 and found.max() > 0
    for g in rho.group.elements:
        moved = np.einsum("ij,mrj->mri", rho.matrices[g].astype("float32"), outputs)
        np.testing.assert_allclose(head.disagreement(moved), found, rtol=1e-5)


def test_categories_have_no_change():
    with pytest.raises(ValueError, match="`predict_change` must be False.*predict_change=True"):
        models.transition_model(CATCH.symmetry, head=HEADS["Catch"], predict_change=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"factors": ()}, "`factors` must hold at least one"),
        ({"factors": (_triangle(),)}, "`factors` must be permutation representations"),
        ({"coordinates": [[[0.0]]]}, r"`coordinates` must hold as many .*\(4,\).*of \(1,\)"),
        ({"weights": [1.0, 2.0]}, "`weights` must hold 1"),
        ({"reading": np.zeros([4, 5])}, r"`reading` must have 4 columns.*\(4, 5\)"),
    ],
)
def test_bad_heads_are_named(change, message):
    rho = regular_representation(cyclic_group(4))
    arguments = {"factors": (rho,), "coordinates": [np.eye(4)], "weights": [1.0], **change}
    with pytest.raises(ValueError, match=message):
        CategoricalHead(**arguments)
    with pytest.raises(ValueError, match="`representation` must be a Representation.*=4"):
        RealHead(4)
