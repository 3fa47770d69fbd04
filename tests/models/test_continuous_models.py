"""Actors of continuous actions: means, standard deviations, scales and centers keep to the law."""

import keras
import numpy as np
import pytest

from tf_equirl import models
from tf_equirl.exporting import to_plain
from tf_equirl.groups import (
    Representation,
    Symmetry,
    cyclic_group,
    deviation_representation,
    dihedral_group,
    quaternion_group,
    symmetric_group,
    trivial_representation,
)
from tf_equirl.testing import check_layer_equivariance, equivariance_error

D4, Q8, S3 = dihedral_group(4), quaternion_group(), symmetric_group(3)
TURN, MIRROR = np.array([[0.0, -1.0], [1.0, 0.0]]), np.diag([1.0, -1.0])
PLANE = Representation.from_generators(D4, dict(zip(D4.generators, (TURN, MIRROR), strict=True)))
ROTATIONS = Representation(Q8, Q8.matrices)
SKEWED = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
PERMUTED = np.array([np.eye(3)[:, list(p)] for p in S3.permutations])
TURNED = Representation(S3, SKEWED @ PERMUTED @ SKEWED.T)
SYMMETRIES = {
    "D4": Symmetry(D4, PLANE + PLANE, PLANE + trivial_representation(D4)),
    "Q8": Symmetry(Q8, ROTATIONS, ROTATIONS),
    "S3": Symmetry(S3, TURNED, TURNED),  # orthogonal, no signed permutations
}


def randomised(model):
    rng = np.random.default_rng(1)
    for variable in model.variables:
        positive = variable.path.endswith(("variance", "count"))
        numbers = (
            rng.uniform(0.5, 2, variable.shape) if positive else rng.normal(size=variable.shape)
        )
        variable.assign(numbers)
    return model


def states(symmetry, count=16):
    return np.random.default_rng(2).normal(size=(count, symmetry.state.dim)).astype(np.float32)


@pytest.mark.parametrize("normalize", [False, True], ids=["raw", "normalized"])
@pytest.mark.parametrize("deviation", ["constant", "state"])
@pytest.mark.parametrize("kind", ["gcnn", "symmetrizer"])
@pytest.mark.parametrize("name", SYMMETRIES)
def test_means_and_deviations_keep_to_the_law(name, kind, deviation, normalize):
    symmetry = SYMMETRIES[name]
    actor = randomised(
        models.actor(symmetry, kind, (4, 4), standard_deviation=deviation, normalize=normalize)
    )
    outputs = symmetry.action + deviation_representation(symmetry.action)[0]
    assert actor.output_shape == (None, outputs.dim)
    check_layer_equivariance(actor, states(symmetry), symmetry.state, outputs, tolerance=1e-4)
    deviations = np.array(actor(states(symmetry)))[:, symmetry.action.dim :]
    assert (np.ptp(deviations, axis=0).max() > 1e-3) == (deviation == "state")


@pytest.mark.parametrize("normalize", [False, True], ids=["raw", "normalized"])
def test_the_mlp_has_a_deviation_for_each_coordinate_and_no_law(normalize):
    symmetry = SYMMETRIES["D4"]
    actor = randomised(
        models.actor(symmetry, "mlp", (4,), standard_deviation="constant", normalize=normalize)
    )
    assert actor.output_shape == (None, 6)
    logs = np.array(actor(states(symmetry)))[0, 3:]
    assert len(set(logs.round(5))) == 3
    outputs = symmetry.action + deviation_representation(symmetry.action)[0]
    assert equivariance_error(actor, states(symmetry), symmetry.state, outputs).max > 0.1


def test_noise_starts_at_one_and_the_mean_near_zero():
    actor = models.actor(SYMMETRIES["D4"], "gcnn", (32, 32), standard_deviation="constant")
    outputs = np.array(actor(states(SYMMETRIES["D4"], 200)))
    np.testing.assert_array_equal(outputs[:, 3:], 0.0)
    assert 0 < np.abs(outputs[:, :3]).max() < 0.2


@pytest.mark.parametrize("normalize", [False, True], ids=["raw", "normalized"])
def test_a_center_is_where_the_group_acts_about(normalize):
    group = cyclic_group(2)
    flip = Representation(group, [np.eye(2), -np.eye(2)])
    symmetry = Symmetry(group, flip, flip, center=(3.0, -1.0))
    actor = randomised(
        models.actor(symmetry, "gcnn", (4,), standard_deviation="state", normalize=normalize)
    )
    critic = randomised(models.critic(symmetry, "invariant", (4,), normalize=normalize))
    seen = states(symmetry)
    moved = symmetry.move_states(1, seen).astype(np.float32)
    outputs = flip + deviation_representation(flip)[0]
    expected = outputs.act(1, np.array(actor(seen)))
    np.testing.assert_allclose(actor(moved), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(critic(moved), critic(seen), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="about the origin, for a transition model"):
        models.transition_model(symmetry, "gcnn-readout")


@pytest.mark.parametrize("name", SYMMETRIES)
def test_they_are_saved_and_have_a_plain_form(name, tmp_path):
    symmetry = SYMMETRIES[name]
    actor = randomised(
        models.actor(symmetry, "gcnn", (4,), standard_deviation="constant", normalize=True)
    )
    seen = 8 * states(symmetry)  # some beyond the bound of ten deviations
    models.save(actor, tmp_path / "actor.keras")
    loaded = keras.models.load_model(tmp_path / "actor.keras")
    np.testing.assert_array_equal(loaded(seen), actor(seen))
    plain = to_plain(actor)
    assert not any(type(layer).__module__.startswith("tf_equirl") for layer in plain.layers)
    np.testing.assert_allclose(plain(seen), actor(seen), rtol=1e-4, atol=1e-4)


def test_bad_arguments_are_named():
    symmetry = SYMMETRIES["D4"]
    with pytest.raises(ValueError, match="`standard_deviation` must be one of"):
        models.actor(symmetry, standard_deviation="free")
    with pytest.raises(ValueError, match="`normalize` must be"):
        models.actor(symmetry, normalize="yes")
    with pytest.raises(ValueError, match="`normalize` must be"):
        models.critic(symmetry, normalize=None)
