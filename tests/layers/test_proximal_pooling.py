from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from layer_cases import GROUPS, natural, signed, skew, turned

from tf_equirl.groups import Representation, permutation_representation
from tf_equirl.layers import ModeDistance, ProximalPooling, TransitionImages
from tf_equirl.layers.pooling.distances import l1, l2

C2, S3 = GROUPS["C2"], GROUPS["S3"]
each_group = pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS.keys())


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def mirror() -> Representation:
    """x to -x, in one dimension."""
    return Representation(C2, [[[1.0]], [[-1.0]]])


@keras.saving.register_keras_serializable(package="tests")
def weighted(state, image):
    return ops.sum(ops.abs(image - state) * ops.convert_to_tensor([1.0, 3.0]), axis=-1)


def moved(rho: Representation, element: int, state, images) -> list[np.ndarray]:
    """What the group makes of a state and its images."""
    order = rho.group.table[rho.group.inverse(element)]
    matrix = rho.matrices[element].astype("float32")
    return [state @ matrix.T, images[..., order, :] @ matrix.T]


@pytest.mark.parametrize("average_ties", [True, False])
@pytest.mark.parametrize(("distance", "function"), [("l1", l1), ("l2", l2), (l2, l2)])
def test_hard_selection_takes_the_closest_row(distance, function, average_ties):
    rho = signed(S3)
    state, images = random(40, rho.dim), random(40, S3.order, rho.dim, seed=1)
    distances = np.array(function(state[:, None], images))
    ordered = np.sort(distances, axis=1)
    clear = ordered[:, 1] - ordered[:, 0] > 0.05 * distances.mean(axis=1)  # no tie
    assert clear.sum() > 20
    layer = ProximalPooling(distance, representation=rho, average_ties=average_ties)
    expected = images[np.arange(40), distances.argmin(axis=1)]
    np.testing.assert_array_equal(layer([state, images])[clear], expected[clear])


@each_group
def test_at_a_fixed_point_the_output_is_fixed_too(group):
    """All images of a fixed state are as close as each other: the law asks for their mean."""
    rho = natural(group)
    state = np.ones([1, rho.dim], "float32")
    features = np.tile(random(1, 1, rho.dim), (1, group.order, 1))
    images = TransitionImages(rho)(features)
    received = ProximalPooling("l1", representation=rho)([state, images]).numpy()
    np.testing.assert_allclose(received, np.mean(images, axis=1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        rho.matrices @ received[0], np.tile(received, (group.order, 1)), rtol=1e-5, atol=1e-6
    )
    bare = ProximalPooling("l1", representation=rho, average_ties=False)([state, images]).numpy()
    assert np.abs(rho.matrices @ bare[0] - bare).max() > 0.1


@each_group
def test_the_law_holds_where_many_rows_tie(group):
    """Distances between modes are 0 or 2 here, and that of most rows is 2."""
    rho = permutation_representation(group, natural(group).permutations)
    distance = ModeDistance([np.eye(rho.dim)], [1.0])
    state, images = random(30, rho.dim), random(30, group.order, rho.dim, seed=1)
    errors = {}
    for average_ties in (True, False):
        layer = ProximalPooling(distance, representation=rho, average_ties=average_ties)
        expected = layer([state, images]).numpy()
        errors[average_ties] = max(
            np.abs(
                layer(moved(rho, g, state, images)) - expected @ rho.matrices[g].T.astype("float32")
            ).max()
            for g in group.elements
        )
    assert errors[True] < 1e-5
    assert errors[False] > 0.5


@pytest.mark.parametrize("tie", [0.02, 0.1])
def test_near_a_tie_rounding_moves_the_output_a_little(tie):
    """A row's share falls from 1/2 to 0 as it becomes `tie` of the mean distance farther."""
    layer = ProximalPooling("l1", representation=mirror(), tie=tie)
    assert ProximalPooling("l1", representation=mirror()).tie == 0.02
    farther = np.linspace(0, 1.5 * tie, 301, dtype="float32")
    images = np.stack([np.ones_like(farther), -1 - farther], axis=1)[..., None]
    received = layer([np.zeros([301, 1], "float32"), images]).numpy()[:, 0]
    # The mean distance of a row that is farther by `tie` is 1 + tie / 2.
    end = tie / (1 - tie / 2)
    assert received[0] == 0 and np.all(received[farther > 1.005 * end] == 1)
    assert np.all(received[farther < 0.99 * end] < 1)
    # In steps of 1/200 of the band the share changes by at most 0.65/200 a step.
    assert 0 < np.abs(np.diff(received)).max() < 2.05 * 0.65 / 200


def test_the_width_of_a_tie_is_saved_and_older_files_had_two_percent():
    layer = ProximalPooling("l1", representation=mirror(), tie=0.1)
    config = layer.get_config()
    assert ProximalPooling.from_config(config).tie == 0.1
    del config["tie"]
    assert ProximalPooling.from_config(config).tie == 0.02


def test_gradients_flow_through_the_selected_rows_alone():
    rho = mirror()
    state = tf.Variable([[1.0], [0.0], [1.0]])
    images = tf.Variable([[[1.5], [-7.0]], [[2.0], [-2.0]], [[-5.0], [1.0]]])
    layer = ProximalPooling("l1", representation=rho)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer([state, images]))
    to_state, to_images = tape.gradient(loss, [state, images])
    assert to_state is None  # not through the distance
    np.testing.assert_array_equal(to_images[..., 0], [[1, 0], [0.5, 0.5], [0, 1]])


def test_soft_selection_is_a_softmax_between_the_closest_row_and_the_mean():
    rho = turned(S3)
    state, images = random(20, rho.dim), random(20, S3.order, rho.dim, seed=1)

    def soft(temperature):
        layer = ProximalPooling("l2", "soft", representation=rho, temperature=temperature)
        return layer([state, images]).numpy()

    distances = np.linalg.norm(images - state[:, None], axis=-1)
    weights = np.exp(-distances / 0.5)
    weights /= weights.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(soft(0.5), np.einsum("bi,bid->bd", weights, images), atol=1e-5)
    np.testing.assert_allclose(soft(1e6), images.mean(axis=1), atol=1e-4)
    closest = images[np.arange(20), distances.argmin(axis=1)]
    np.testing.assert_allclose(soft(1e-5), closest, atol=1e-5)


@pytest.mark.parametrize("selection", ["hard", "soft"])
@pytest.mark.parametrize("distance", ["l1", "l2"])
def test_no_gradient_is_nan_where_rows_equal_the_state(distance, selection):
    layer = ProximalPooling(distance, selection, representation=mirror())
    state, images = tf.Variable(tf.zeros([2, 1])), tf.Variable([[[0.0], [0.0]], [[0.0], [1.0]]])
    with tf.GradientTape() as tape:
        output = layer([state, images])
        loss = tf.reduce_sum(tf.square(output - 1))
    assert np.all(np.isfinite(output))
    gradients = tape.gradient(loss, [state, images], unconnected_gradients="zero")
    assert all(np.all(np.isfinite(g)) for g in gradients)


def test_a_distance_that_is_not_invariant_is_refused():
    rho = permutation_representation(C2)
    with pytest.raises(
        ValueError, match="`distance` must be invariant.*allow_noninvariant.*element 1 of C2"
    ):
        ProximalPooling(weighted, representation=rho).build([(None, 2), (None, 2, 2)])
    # L1 is invariant under signed permutations alone.
    with pytest.raises(ValueError, match="element [1-7] of D4 changes from"):
        ProximalPooling("l1", representation=turned(GROUPS["D4"]))(
            [np.zeros([1, 8]), np.zeros([1, 8, 8])]
        )
    layer = ProximalPooling(weighted, representation=rho, allow_noninvariant=True)
    # Nearer to 0 with weights 1 and 3: (2, 0) than (0, 2).
    output = layer([np.zeros([1, 2]), np.float32([[[0, 2], [2, 0]]])])
    np.testing.assert_array_equal(output, [[2, 0]])


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_check_does_not_depend_on_the_unit_of_the_distance(scale):
    layer = ProximalPooling(lambda s, x: scale * l1(s, x), representation=natural(S3))
    layer.build([(None, 4), (None, 6, 4)])
    wrong = ProximalPooling(lambda s, x: scale * ops.abs(x - s)[..., 0], representation=natural(S3))
    with pytest.raises(ValueError, match="must be invariant"):
        wrong.build([(None, 4), (None, 6, 4)])


def test_a_distance_that_is_nan_or_of_another_shape_is_refused():
    shapes = [(None, 4), (None, 6, 4)]
    rho = natural(S3)
    with pytest.raises(ValueError, match="must be invariant"):
        ProximalPooling(lambda s, x: l1(s, x) * np.nan, representation=rho).build(shapes)
    with pytest.raises(ValueError, match=r"must map two vectors .* to \(64, 6, 4\)"):
        ProximalPooling(lambda s, x: ops.abs(x - s), representation=rho).build(shapes)


def test_it_may_be_built_while_a_function_is_traced():
    rho = signed(S3)
    state, images = random(4, rho.dim), random(4, S3.order, rho.dim, seed=1)
    layer = ProximalPooling("l1", representation=rho)
    traced = tf.function(lambda s, x: layer([s, x]))(state, images)
    np.testing.assert_allclose(traced, layer([state, images]), rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="must be invariant"):
        wrong = ProximalPooling("l1", representation=skew(S3))
        tf.function(lambda s, x: wrong([s, x]))(random(4, 6), random(4, 6, 6))


@keras.saving.register_keras_serializable(package="tests")
def fourth_power(state, image):
    return ops.sum((image - state) ** 4, axis=-1)


@pytest.mark.parametrize(
    "distance", [fourth_power, ModeDistance([np.eye(4)], [1.0])], ids=["function", "object"]
)
def test_a_registered_distance_survives_saving(distance, tmp_path):
    rho = natural(S3)
    inputs = [keras.Input([4]), keras.Input([6, 4])]
    layer = ProximalPooling(
        distance, "soft", representation=rho, temperature=0.7, average_ties=False
    )
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    batch = [random(5, 4), random(5, 6, 4, seed=1)]
    np.testing.assert_array_equal(again(batch), model(batch))
    loaded = again.layers[-1]
    assert (loaded.selection, loaded.temperature, loaded.average_ties) == ("soft", 0.7, False)
    assert type(loaded.distance) is type(distance)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"distance": "l3"}, "`distance` must be 'l1' or 'l2' or a function.*distance='l3'"),
        ({"distance": {"a": 1}}, "`distance` must be"),
        ({"selection": "max"}, "`selection` must be one of hard, soft.*selection='max'"),
        ({"representation": "S3"}, "`representation` must be a Representation"),
        ({"temperature": 0}, "`temperature` must be a positive number.*temperature=0"),
        ({"temperature": np.inf}, "`temperature` must be a positive number"),
        ({"temperature": "1"}, "`temperature` must be a positive number"),
        ({"tie": 0}, "`tie` must be a positive number.*tie=0"),
        ({"tie": np.nan}, "`tie` must be a positive number"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        ProximalPooling(**{"representation": natural(S3), **arguments})


@pytest.mark.parametrize(
    "shape",
    [
        (None, 4),
        [(None, 4)],
        [(None, 5), (None, 6, 4)],
        [(None, 4), (None, 5, 4)],
        [(None, 6, 4), (None, 4)],
        [(3, 4), (2, 6, 4)],
        [(2, None, 4), (2, 6, 4)],
        [(None, 4), (None, 6, 4), (None, 4)],
    ],
)
def test_wrong_shapes(shape):
    with pytest.raises(ValueError, match="must have .*Received: input_shape="):
        ProximalPooling("l1", representation=natural(S3)).build(shape)


def test_shapes_are_checked_at_every_call():
    layer = ProximalPooling("l1", representation=natural(S3))
    layer([random(2, 4), random(2, 6, 4)])
    with pytest.raises(ValueError, match="incompatible"):
        layer([random(2, 4), random(2, 1, 4)])
