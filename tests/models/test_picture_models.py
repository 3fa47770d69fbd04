"""Networks that look at pictures: their laws, sizes, defaults, and what is refused."""

from __future__ import annotations

import itertools
import tracemalloc

import keras
import numpy as np
import pytest
from picture_cases import (
    C2,
    C4,
    D4,
    STACKS,
    SWAP,
    SYMMETRIES,
    UPSIDE_DOWN,
    convolutions_of,
    largest_error,
    pictures_of,
    with_random_biases,
)

from tf_equirl import envs, models
from tf_equirl.groups import (
    Picture,
    Symmetry,
    image_representation,
    permutation_representation,
    picture_of,
    trivial_representation,
)
from tf_equirl.layers import GroupConv2D, LiftingConv2D
from tf_equirl.models.widths import trained_parameters

# Of float32: sums of some hundred products in another order.
ROUNDING = 2e-5
# Above what rounding does, by far; broken laws are off by some tenths.
BROKEN = 0.05

KINDS = [kind for kind in models.ACTOR_KINDS if kind not in ("mlp", "odd")]
GRID_WORLD = envs.GridWorld(group="C4")
PUBLISHED = models.Convolutions((8, 16), (7, 5), (2, 1), padding="valid", pooling="max")
PUBLISHED_CNN = models.Convolutions((16, 32), (7, 5), (2, 1), padding="valid", pooling="mean")


def actor(symmetry, kind, stack, hidden=(6,), **arguments):
    shape = picture_of(symmetry.state).shape
    looks = convolutions_of(symmetry, stack)
    return with_random_biases(
        models.actor(
            symmetry, kind, hidden, observation_shape=shape, convolutions=looks, **arguments
        )
    )


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("name", SYMMETRIES)
def test_the_gcnn_is_equivariant_under_every_element(name, stack):
    symmetry = SYMMETRIES[name]
    model = actor(symmetry, "gcnn", stack)
    assert largest_error(model, symmetry, symmetry.action) <= ROUNDING


@pytest.mark.parametrize("stack", ["flatten", "max", "strides"])
@pytest.mark.parametrize("name", SYMMETRIES)
def test_the_symmetrizer_is_equivariant_and_has_the_size_of_the_gcnn(name, stack):
    symmetry = SYMMETRIES[name]
    model = actor(symmetry, "symmetrizer", stack)
    assert largest_error(model, symmetry, symmetry.action) <= ROUNDING
    assert trained_parameters(model) == trained_parameters(actor(symmetry, "gcnn", stack))


@pytest.mark.parametrize("stack", ["flatten", "max"])
@pytest.mark.parametrize("name", SYMMETRIES)
def test_the_critic_is_invariant_under_every_element(name, stack):
    symmetry = SYMMETRIES[name]
    model = models.critic(
        symmetry,
        "invariant",
        (6, 5),
        observation_shape=picture_of(symmetry.state).shape,
        convolutions=convolutions_of(symmetry, stack),
    )
    value = trivial_representation(symmetry.group)
    assert largest_error(with_random_biases(model), symmetry, value) <= ROUNDING


@pytest.mark.parametrize("kind", ["cnn", "symmetrizer-random", "mlp"])
@pytest.mark.parametrize("stack", ["flatten", "max"])
def test_the_other_kinds_obey_no_law(stack, kind):
    for name in ("left-right", "C4", "D4"):
        symmetry = SYMMETRIES[name]
        model = actor(symmetry, kind, stack)
        assert largest_error(model, symmetry, symmetry.action) > BROKEN


@pytest.mark.parametrize("name", ["up-down", "D4", "D4, vectors"])
def test_all_that_an_actor_may_have_keeps_the_law(name):
    """Sampled bases, other activations, deviations, normalised observations."""
    symmetry = SYMMETRIES[name]
    sampled = actor(symmetry, "symmetrizer-sampled", "max", activation="elu")
    assert largest_error(sampled, symmetry, symmetry.action) <= ROUNDING
    normal = actor(symmetry, "gcnn", "flatten", (6, 5), activation="tanh", normalize=True)
    assert largest_error(normal, symmetry, symmetry.action) <= ROUNDING
    if name != "D4, vectors":  # whose deviations are no representation of their own
        outputs = symmetry.action + symmetry.action
        state = actor(symmetry, "gcnn", "flatten", standard_deviation="state")
        assert largest_error(state, symmetry, outputs) <= 10 * ROUNDING  # a small head


@pytest.mark.parametrize("kind", ["gcnn", "symmetrizer"])
def test_values_of_actions_are_equivariant(kind):
    symmetry = SYMMETRIES["D4"]
    shape = picture_of(symmetry.state).shape
    model = models.q_function(symmetry, kind, (6, 5), observation_shape=shape)
    assert largest_error(with_random_biases(model), symmetry, symmetry.action) <= ROUNDING


def test_networks_have_the_published_sizes():
    """van der Pol et al. (2020), appendix B.3: all but the heads is shared there."""
    options = {"observation_shape": GRID_WORLD.observation_shape}
    symmetry = GRID_WORLD.symmetry
    policy = models.actor(symmetry, "gcnn", (256,), convolutions=PUBLISHED, **options)
    value = models.critic(symmetry, "invariant", (256,), convolutions=PUBLISHED, **options)
    head = trained_parameters(value) - (256 + 1)
    assert (trained_parameters(policy), trained_parameters(value)) == (31_138, 30_113)
    assert trained_parameters(policy) + trained_parameters(value) - head == 31_395
    basis = models.actor(symmetry, "symmetrizer", (256,), convolutions=PUBLISHED, **options)
    random = models.actor(symmetry, "symmetrizer-random", (256,), convolutions=PUBLISHED, **options)
    assert trained_parameters(basis) == trained_parameters(random) == 31_138
    policy = models.actor(symmetry, "cnn", (512,), convolutions=PUBLISHED_CNN, **options)
    value = models.critic(symmetry, "cnn", (512,), convolutions=PUBLISHED_CNN, **options)
    head = trained_parameters(value) - (512 + 1)
    assert (trained_parameters(policy), trained_parameters(value)) == (33_093, 31_041)
    assert trained_parameters(policy) + trained_parameters(value) - head == 33_606


def test_the_published_layers_stand_in_the_published_order():
    shape = GRID_WORLD.observation_shape
    model = models.actor(
        GRID_WORLD.symmetry, "gcnn", (256,), convolutions=PUBLISHED, observation_shape=shape
    )
    kinds = [
        type(layer).__name__ for layer in model.layers if layer.weights or "Pool" in layer.name
    ]
    assert kinds[:2] == ["LiftingConv2D", "GroupConv2D"]
    assert kinds[-2:] == ["GroupDense", "EquivariantReadout"]
    shapes = [x.output.shape for x in model.layers if isinstance(x, (LiftingConv2D, GroupConv2D))]
    assert shapes == [(None, 8, 8, 4, 8), (None, 4, 4, 4, 16)]


@pytest.mark.filterwarnings("ignore:.*misses its budget")
@pytest.mark.parametrize("kind", ["cnn", "gcnn", "symmetrizer"])
def test_a_budget_scales_filters_and_widths(kind, capsys):
    options = {
        "observation_shape": GRID_WORLD.observation_shape,
        "convolutions": models.Convolutions((2, 4), (7, 5), (2, 1), "valid", "max"),
    }
    model = models.actor(GRID_WORLD.symmetry, kind, (8,), match_parameters=10_000, **options)
    count = trained_parameters(model)
    # The nearest of widths of whole numbers in those proportions.
    assert abs(count / 10_000 - 1) < 0.2
    kernels = [x.filters for x in model.layers if hasattr(x, "filters")]
    assert kernels[1] == 2 * kernels[0] > 4
    assert f"{count:,} parameters" in capsys.readouterr().out
    value = models.critic(
        GRID_WORLD.symmetry,
        "cnn" if kind == "cnn" else "invariant",
        (8,),
        match_parameters=10_000,
        **options,
    )
    assert abs(trained_parameters(value) / 10_000 - 1) < 0.2


def _fitted(group, height, width, motions):
    """Whether the convolutions that fit a picture of this size do, by its geometry."""
    picture = Picture(height, width, trivial_representation(group), *motions)
    found = models.Convolutions().fitted(picture)
    size = (height, width)
    for geometry in found.geometries():
        size = geometry.output_size(size, picture)
    return found, size


def test_the_default_fits_every_size():
    def motions(group, **others):
        picture = picture_of(image_representation(group, 2, 2, **others))
        return picture.turns, picture.flips

    sizes = range(5, 101)
    for group, size in itertools.product((C4, D4), sizes):
        found, last = _fitted(group, size, size, motions(group))
        assert last[0] == last[1] <= 12 and 2 <= len(found.filters) <= 5
    for both in (motions(C2), motions(C2, **UPSIDE_DOWN)):
        for height, width in itertools.product(sizes, sizes):
            last = _fitted(C2, height, width, both)[1]
            assert min(last) <= 12


@pytest.mark.parametrize(
    ("group", "height", "width", "kind"),
    [
        *((D4, 5, 5, "gcnn"), (C4, 13, 13, "gcnn"), (D4, 22, 22, "gcnn"), (C2, 16, 7, "gcnn")),
        *((C2, 5, 23, "symmetrizer"), (C4, 13, 13, "symmetrizer")),
    ],
)
def test_models_of_default_convolutions_keep_the_law(group, height, width, kind):
    action = SWAP if group is C2 else permutation_representation(group)
    symmetry = Symmetry(group, image_representation(group, height, width), action)
    model = with_random_biases(
        models.actor(symmetry, kind, (3,), observation_shape=(height, width))
    )
    pictures = pictures_of(symmetry)[..., 0]
    # Of one channel, which pictures need not have as an axis.
    assert model(pictures).shape == (len(pictures), action.dim)
    whole = models.actor(symmetry, kind, (3,))  # of pictures, without being told
    whole.set_weights(model.get_weights())
    np.testing.assert_array_equal(whole(pictures[..., None]), model(pictures))
    assert largest_error(whole, symmetry, action) <= ROUNDING
    flat = models.actor(symmetry, kind, (3,), observation_shape=[height * width])
    flat.set_weights(model.get_weights())
    np.testing.assert_array_equal(flat(pictures.reshape(len(pictures), -1)), model(pictures))


def _transition(symmetry, kind, stack, **options):
    looks = convolutions_of(symmetry, stack)
    model = models.transition_model(symmetry, kind, (4,), convolutions=looks, **options)
    return with_random_biases(model)


def _error_of_transitions(model, symmetry):
    """The largest error of T(g s, g a) = g T(s, a), relative to the largest output."""
    pictures = pictures_of(symmetry)
    flat = pictures.reshape(len(pictures), -1)
    actions = np.random.default_rng(1).normal(size=(len(pictures), symmetry.action.dim))
    expected = np.asarray(model([pictures, actions]), np.float64)
    errors = []
    for element in symmetry.group.elements:
        moved = symmetry.state.act(element, flat).astype("float32").reshape(pictures.shape)
        found = model([moved, symmetry.action.act(element, actions)])
        errors.append(np.abs(found - symmetry.state.act(element, expected)).max())
    return max(errors) / np.abs(expected).max()


@pytest.mark.thorough
@pytest.mark.parametrize("stack", ["fitted", "max"])
@pytest.mark.parametrize("name", ["left-right", "C4", "D4, vectors"])
def test_transition_models_of_pictures_keep_the_law(name, stack):
    symmetry = SYMMETRIES[name]
    for kind in models.TRANSITION_KINDS:
        model = _transition(symmetry, kind, stack, predict_change=kind == "gcnn-averaged")
        layers = [getattr(x, "layer", x) for x in model.layers]  # that of a pathway
        looked = [x.filters for x in layers if hasattr(x, "filters")]
        assert bool(looked) == (kind != "mlp")
        error = _error_of_transitions(model, symmetry)
        if kind in ("mlp", "cnn", *models.RELAXED_KINDS):  # whose weights are random
            assert error > 1e-2
        else:
            assert error <= ROUNDING, kind


def test_a_transition_model_of_a_large_picture_is_built_by_index():
    """Of its matrices, two for each of 12,800 numbers, there would be 2.6 GB."""
    symmetry = Symmetry(C2, image_representation(C2, 80, 80, 2), SWAP)
    model = models.transition_model(symmetry, "gcnn-readout", (2,))
    assert model.output_shape == (None, 12_800)
    pictures = pictures_of(symmetry)[:1]
    first, second = np.eye(3, dtype="float32")[:2, None]
    swapped = model([pictures[:, :, ::-1], second])
    expected = np.asarray(model([pictures, first])).reshape(pictures.shape)
    np.testing.assert_allclose(
        np.asarray(swapped).reshape(pictures.shape), expected[:, :, ::-1], atol=1e-4
    )


def test_convolutions_of_transition_models_need_a_picture():
    symmetry = envs.make("CartPole").symmetry
    for options in ({"kind": "cnn"}, {"convolutions": models.Convolutions()}):
        with pytest.raises(ValueError, match="need a symmetry whose state is an image_rep"):
            models.transition_model(symmetry, **options)


@pytest.mark.parametrize("kind", models.ACTOR_KINDS)
def test_channels_that_come_first_are_refused(kind):
    symmetry = SYMMETRIES["C4"]
    if kind == "odd":
        with pytest.raises(ValueError, match="plus or minus"):
            models.actor(symmetry, kind)
        return
    message = r"`observation_shape` must be that of the pictures .*, \(9, 9, 2\): height, width, ch"
    with pytest.raises(ValueError, match=message):
        models.actor(symmetry, kind, observation_shape=(2, 9, 9))
    if kind in models.CRITIC_KINDS:
        with pytest.raises(ValueError, match=message):
            models.critic(symmetry, kind, observation_shape=(2, 9, 9))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"filters": ()}, "`filters` must be a non-empty sequence of positive integers"),
        ({"filters": (0,)}, "`filters` must be a non-empty sequence of positive integers"),
        ({"filters": (2,), "kernel_sizes": (3, 3)}, "`kernel_sizes` must be one for each of 1"),
        ({"filters": (2,), "kernel_sizes": (2.5,)}, "`kernel_sizes`: .* from 1 to 256"),
        ({"filters": (2,), "strides": (0,)}, "`strides`: `stride` must be an integer from 1"),
        ({"filters": (2,), "padding": "full"}, "`padding` must be one of valid, same, circular"),
        ({"filters": (2,), "padding": 1}, "`padding` must be one of valid, same, circular"),
        ({"pooling": "sum"}, "`pooling` must be one of flatten, max, mean"),
        ({"picture_scale": 0}, "`picture_scale` must be a positive number"),
        ({"strides": (2,)}, "`strides` must be None where `filters` is not given"),
        ({"padding": "valid"}, "`padding` must be same where `filters` is not given"),
    ],
)
def test_bad_convolutions_are_named(fields, message):
    with pytest.raises(ValueError, match=message):
        models.Convolutions(**fields)


@pytest.mark.parametrize(
    ("stack", "message"),
    [
        (models.Convolutions((2,), (4,), (2,), "valid"), "height=9, kernel_size=4, strides=2"),
        (models.Convolutions((2,), (4,)), "which adds 1 and 2. Kernel sizes that fit"),
        (models.Convolutions((2, 2), (3, 4), (2, 2), "same"), "height=5, kernel_size=4"),
        (models.Convolutions((2,), (11,), padding="valid"), "at most the height with its padding"),
        (models.Convolutions((2,), ((3, 5),)), "equal where an element makes a quarter turn"),
        ("default", "`convolutions` must be a models.Convolutions or None"),
    ],
)
@pytest.mark.parametrize("kind", ["gcnn", "symmetrizer"])
def test_convolutions_that_break_the_turn_are_named(stack, message, kind):
    symmetry = SYMMETRIES["C4"]
    with pytest.raises(ValueError, match=message):
        models.actor(symmetry, kind, convolutions=stack)
    with pytest.raises(ValueError, match=message):
        models.critic(symmetry, "invariant", convolutions=stack)


@pytest.mark.parametrize(
    ("name", "fits", "breaks", "message"),
    [
        ("left-right", (3, 3), (3, 4), "width=9, kernel_size=4, strides=2"),
        ("up-down", (3, 4), (4, 4), "height=7, kernel_size=4, strides=2"),
    ],
)
def test_only_the_axis_that_is_reversed_asks_for_anything(name, fits, breaks, message):
    """Windows of 3 in 6 rows, or of 4 in 5 columns, leave one over at an end."""
    symmetry = SYMMETRIES[name]
    looks = [models.Convolutions((2,), (size,), (2,), "valid") for size in (fits, breaks)]
    model = with_random_biases(models.actor(symmetry, convolutions=looks[0]))
    assert largest_error(model, symmetry, symmetry.action) <= ROUNDING
    with pytest.raises(ValueError, match=message):
        models.actor(symmetry, convolutions=looks[1])


@pytest.mark.parametrize("basis", ["sampled", "random"])
def test_a_basis_that_would_fill_the_memory_is_named(basis):
    symmetry = Symmetry(D4, image_representation(D4, 99, 99, 3), permutation_representation(D4))
    wide = models.Convolutions((2,), (99,))
    with pytest.raises(ValueError, match='`basis` must be "exact" for maps of 29403 rows to 8: '):
        models.actor(symmetry, f"symmetrizer-{basis}", (2,), convolutions=wide)


def test_an_ordinary_cnn_may_have_any_windows_that_are_in_the_picture():
    symmetry = SYMMETRIES["C4"]
    even = models.Convolutions((2,), (4,), (2,), "valid")
    for padding in ("valid", "same"):
        looks = models.Convolutions((2, 3), (4, (1, 2)), (2, (1, 2)), padding)
        assert models.actor(symmetry, "cnn", convolutions=looks).output_shape == (None, 4)
    with pytest.raises(ValueError, match="need a symmetry whose state is an image_representation"):
        models.actor(envs.make("CartPole").symmetry, "gcnn", convolutions=even)


def test_bytes_are_scaled():
    symmetry = SYMMETRIES["C4"]
    options = {"observation_shape": (9, 9, 2), "kind": "gcnn", "hidden_units": (6,)}
    bytes_ = np.random.default_rng(0).integers(0, 256, (4, 9, 9, 2)).astype(np.uint8)
    with models.seeded(3):
        scaled = models.actor(
            symmetry, convolutions=models.Convolutions(picture_scale=1 / 255), **options
        )
    with models.seeded(3):
        model = models.actor(symmetry, **options)
    expected = model(bytes_.astype(np.float32) / 255).numpy()
    # The scale is rounded to float32 once, and once more the product.
    np.testing.assert_allclose(scaled(bytes_), expected, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_allclose(
        scaled(bytes_.astype("float32")), expected, atol=1e-5 * np.abs(expected).max()
    )
    assert np.abs(model(bytes_) - expected).max() > 1


@pytest.mark.parametrize(
    ("group", "size", "channels", "motions"),
    [(D4, (31, 31), 12, {}), (C2, (80, 80), 4, UPSIDE_DOWN)],
    ids=["Snake", "Pong"],
)
def test_large_pictures_take_megabytes(group, size, channels, motions):
    """Matrices of these pictures would be 8.5 and 10.5 GB, and one expanded kernel 3 GB."""
    tracemalloc.start()
    try:
        state = image_representation(group, *size, channels, **motions)
        action = SWAP if group is C2 else permutation_representation(group)
        symmetry = Symmetry(group, state, action)
        options = {"observation_shape": (*size, channels), "hidden_units": (32,)}
        built = [
            models.actor(symmetry, "gcnn", **options),
            models.critic(symmetry, "invariant", **options),
        ]
        peak = tracemalloc.get_traced_memory()[1]  # NumPy tells it what it takes
    finally:
        tracemalloc.stop()
    assert peak < 100 * 2**20
    assert sum(map(trained_parameters, built)) < 10**7
    # Random numbers of both signs make outputs that differ.
    assert largest_error(built[0], symmetry, action) <= ROUNDING


@pytest.mark.parametrize("kind", KINDS)
def test_files_hold_the_same_model(kind, tmp_path):
    symmetry = SYMMETRIES["D4"]
    model = actor(symmetry, kind, "max")
    looks = convolutions_of(symmetry, "flatten")
    value = with_random_biases(
        models.critic(symmetry, "cnn" if kind == "cnn" else "invariant", (6,), convolutions=looks)
    )
    pictures = pictures_of(symmetry)
    for name, network, x in (
        ("actor", model, pictures),
        ("critic", value, pictures),
    ):
        models.save(network, tmp_path / f"{name}.keras")
        again = keras.models.load_model(tmp_path / f"{name}.keras", safe_mode=True)
        np.testing.assert_array_equal(again(x), network(x))
