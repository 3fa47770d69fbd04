from __future__ import annotations

import itertools
import json
import tracemalloc
import zipfile

import keras
import numpy as np
import pytest

from tf_equirl.groups import (
    Representation,
    cyclic_group,
    dihedral_group,
    direct_product,
    image_representation,
    permutation_representation,
    quaternion_group,
    regular_representation,
    signed_permutation_representation,
    symmetric_group,
    trivial_representation,
)
from tf_equirl.layers import LiftingDense

C2, C4, D4 = cyclic_group(2), cyclic_group(4), dihedral_group(4)
C4xC2 = direct_product(C4, C2)

# (group, turns, flips), None for the default: what the elements do is in `motions`.
CASES = {
    "C2": (C2, None, None),
    "C2 half turn": (C2, [0, 2], None),
    "C4": (C4, None, None),
    "C4 the other way round": (C4, [0, -1, -2, -3], None),
    "C4 mirror": (C4, None, [False, True, False, True]),  # two elements for each motion
    "D2": (dihedral_group(2), [0, 2, 0, 2], [False, False, True, True]),
    "D4": (D4, None, None),
    "D4 another mirror": (D4, [0, 1, 2, 3, 1, 2, 3, 0], [0, 0, 0, 0, 1, 1, 1, 1]),
    "C4xC2": (C4xC2, [0, 0, 2, 2, 0, 0, 2, 2], [0, 1, 0, 1, 0, 1, 0, 1]),
    "S3": (symmetric_group(3), None, [0, 1, 1, 0, 0, 1]),  # the sign of a permutation
}
QUARTER_TURNS = ("C4", "C4 the other way round", "D4", "D4 another mirror")
SHAPES = [(1, 1, 1), (5, 5, 3), (6, 6, 1), (4, 7, 2), (3, 1, 4)]
SIZED = [
    pytest.param(name, shape, id=f"{name}-{'x'.join(map(str, shape))}")
    for name, shape in itertools.product(CASES, SHAPES)
    if shape[0] == shape[1] or name not in QUARTER_TURNS
]


def motions(name):
    """For every element of the group of a case the function of pictures that it should be."""
    group, turns, flips = CASES[name]
    if turns is None and flips is None:
        if name == "C2":
            return [lambda x: x, np.fliplr]
        turns = [0, 1, 2, 3] * (group.order // 4)
        flips = [0] * 4 + [1] * (group.order - 4)
    turns = [0] * group.order if turns is None else turns
    flips = [False] * group.order if flips is None else flips
    return [
        lambda x, t=t, f=f: np.rot90(np.fliplr(x) if f else x, t)
        for t, f in zip(turns, flips, strict=True)
    ]


def image(name, shape):
    group, turns, flips = CASES[name]
    return image_representation(group, *shape, turns=turns, flips=flips)


@pytest.mark.parametrize(("name", "shape"), SIZED)
def test_every_element_moves_pictures_as_numpy_does(name, shape):
    rho = image(name, shape)
    assert rho.dim == np.prod(shape)
    picture = np.random.default_rng(0).integers(0, 256, size=shape).astype(np.uint8)
    for element, motion in enumerate(motions(name)):
        moved = rho.act(element, picture.reshape(-1))
        assert moved.dtype == np.uint8
        np.testing.assert_array_equal(moved.reshape(shape), motion(picture))
        np.testing.assert_array_equal(rho.matrices[element] @ picture.reshape(-1), moved)


@pytest.mark.parametrize(("name", "shape"), SIZED)
def test_law_for_all_pairs_of_elements(name, shape):
    rho = image(name, shape)
    pictures = np.random.default_rng(0).normal(size=(2, 3, rho.dim))
    for g, h in itertools.product(rho.group.elements, repeat=2):
        together = rho.act(rho.group.multiply(g, h), pictures)
        np.testing.assert_array_equal(rho.act(g, rho.act(h, pictures)), together)


@pytest.mark.parametrize(("name", "shape"), SIZED)
def test_equals_the_same_permutations(name, shape):
    rho = image(name, shape)
    places = np.arange(rho.dim)
    comes_from = [motion(places.reshape(shape)).reshape(-1) for motion in motions(name)]
    same = permutation_representation(rho.group, [np.argsort(row) for row in comes_from])
    assert rho == same and same == rho
    assert hash(rho) == hash(same)
    assert rho.name == "image"


def test_the_mirror_of_a_column_is_trivial_but_its_half_turn_is_not():
    assert image_representation(C2, 3, 1, 4) == trivial_representation(C2, 12)
    assert image_representation(C2, 3, 1, turns=[0, 2]).permutations[1].tolist() == [2, 1, 0]


def test_channels_that_turn_with_the_picture():
    # A flow field: two numbers a pixel, a vector to the right and one downwards. Counter-clockwise,
    # "right" turns to "up" and "down" to "right".
    arrows = signed_permutation_representation(
        C4, [[0, 1], [1, 0], [0, 1], [1, 0]], [[1, 1], [-1, 1], [-1, -1], [1, -1]]
    )
    rho = image_representation(C4, 3, 3, arrows)
    assert rho.signs is not None and rho.permutations is None
    field = np.random.default_rng(0).normal(size=(3, 3, 2)).astype(np.float32)
    for k in C4.elements:
        moved = rho.act(k, field.reshape(-1))
        assert moved.dtype == np.float32
        expected = np.rot90(field, k) @ arrows.matrices[k].T
        np.testing.assert_array_equal(moved.reshape(3, 3, 2), expected.astype(np.float32))
    # A bright pixel in the upper right corner that flows to the right ...
    corner = np.zeros((3, 3, 2))
    corner[0, 2, 0] = 1
    turned = rho.act(1, corner.reshape(-1)).reshape(3, 3, 2)
    assert turned[0, 0].tolist() == [0, -1] and np.abs(turned).sum() == 1  # ... flows upwards


def test_channels_of_any_matrices(cases):
    square = cases["D4"]["turned"]
    rho = image_representation(D4, 2, 2, square)
    assert rho.signs is None
    assert rho == image_representation(D4, 2, 2) * square
    picture = np.random.default_rng(0).normal(size=(2, 2, 2))
    for g, motion in enumerate(motions("D4")):
        expected = motion(picture) @ square.matrices[g].T
        # Products of two 8x8 matrices with entries of order 1, in float64.
        np.testing.assert_allclose(
            rho.act(g, picture.reshape(-1)).reshape(2, 2, 2), expected, atol=1e-12
        )
    with pytest.raises(ValueError, match=r"`channels` must be a permutation.*30 x 30.*16777216"):
        image_representation(D4, 30, 30, square)


@pytest.mark.parametrize("channels", [4, regular_representation(D4)], ids=["number", "regular"])
def test_an_84_x_84_x_4_picture_is_small(channels):
    """Its matrices would take 51 GB (204 GB for eight channels)."""
    tracemalloc.start()
    try:
        rho = image_representation(D4, 84, 84, channels)
        assert rho.character[0] == rho.dim == 84 * 84 * (4 if channels == 4 else 8)
        assert Representation.from_config(rho.get_config()) == rho
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100e6
    rows = np.arange(rho.dim)
    for g, h in itertools.product(D4.elements, repeat=2):
        together = rho.act(D4.multiply(g, h), rows)
        np.testing.assert_array_equal(rho.act(g, rho.act(h, rows)), together)


@pytest.mark.parametrize(("name", "shape"), SIZED)
def test_config_holds_the_arguments(name, shape):
    rho = image(name, shape)
    config = json.loads(json.dumps(rho.get_config()))
    assert config.keys() == {"name", "group", "image"}
    height, width, channels = shape
    sizes = {"height": height, "width": width, "channels": channels}
    assert {key: config["image"][key] for key in sizes} == sizes
    assert config["image"].keys() == {*sizes, "turns", "flips"}
    copy = Representation.from_config(config)
    assert copy == rho and copy.name == "image" and copy.group.name == rho.group.name
    assert copy.get_config() == config
    config["image"]["turns"][0] = 1
    copy.get_config()["image"]["turns"][0] = 1
    assert copy.get_config() == rho.get_config()


@pytest.mark.parametrize("kind", ["regular", "square", "turned"])
def test_config_with_a_representation_of_the_channels(cases, kind):
    channels = cases["D4"][kind]
    rho = image_representation(D4, 3, 3, channels)
    config = json.loads(json.dumps(rho.get_config()))
    assert config["image"]["channels"] == channels.get_config()
    copy = Representation.from_config(config)
    assert copy == rho and copy.get_config() == rho.get_config()


def test_config_keeps_a_name():
    config = image_representation(C2, 2, 2).get_config()
    config["name"] = "camera"
    assert Representation.from_config(config).name == "camera"


def test_a_saved_layer_holds_the_arguments(tmp_path):
    rho = image_representation(D4, 12, 12, 2)
    layer = LiftingDense(3, rho, bias_initializer="random_normal")
    inputs = keras.Input((rho.dim,))
    model = keras.Model(inputs, layer(inputs))
    path = tmp_path / "picture.keras"
    model.save(path)
    with zipfile.ZipFile(path) as file:
        written = json.loads(file.read("config.json"))
    (config,) = (
        part["config"]["representation"]
        for part in written["config"]["layers"]
        if part["class_name"] == "LiftingDense"
    )
    assert config == rho.get_config()
    assert len(json.dumps(config["image"])) < 300
    loaded = keras.models.load_model(path)
    assert loaded.layers[-1].representation == rho
    pictures = np.random.default_rng(0).normal(size=(4, rho.dim)).astype("float32")
    outputs = [keras.ops.convert_to_numpy(network(pictures)) for network in (loaded, model)]
    np.testing.assert_array_equal(*outputs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None, 2, 2), r"`group` must be a FiniteGroup. Received: group=None$"),
        ((C2, 0, 2), r"`height` must be a positive integer. Received: height=0$"),
        ((C2, 2, 2.5), r"`width` must be a positive integer. Received: width=2.5$"),
        ((C2, 2, 2, 0), r"`channels` must be a positive integer or a Rep.*: channels=0$"),
        ((C2, 2, 2, [1]), r"`channels` must be a positive integer or a Rep.*: channels=\[1\]$"),
        ((C2, 2, 2, trivial_representation(C4)), "`channels` must be a representation of C2.*C4"),
        ((C4, 2, 3), r"`height` and `width` must be equal.*element 1 does.*height=2, width=3"),
        ((D4, 3, 2), r"`height` and `width` must be equal.*turns=\[0, 1, 2, 3, 0, 1, 2, 3\]$"),
        ((quaternion_group(), 2, 2), r"`turns` or `flips` must be given.*Q8.*flips=None$"),
        ((dihedral_group(2), 2, 2), "`turns` or `flips` must be given"),
        ((C2, 2, 2, 1, [0]), r"`turns` must have one entry per group element.*\(1,\)$"),
        ((C2, 2, 2, 1, None, [0, 1, 0]), r"`flips` must have one entry per group element.*\(3,\)$"),
        ((C2, 2, 2, 1, [0, 0.5]), r"`turns` must hold integers.*float64$"),
        ((C2, 2, 2, 1, [[0, 2]]), "`turns` must have 1 dimensions, not 2"),
        ((C2, 2, 2, 1, None, [0, 2]), r"`flips` must hold True or False. Received: flips=\[0, 2\]"),
        ((C2, 2, 2, 1, None, [0, 1.0]), "`flips` must hold integers"),
        ((C2, 2, 2, 1, [2, 0]), r"identity, element 0. Received: turns\[0\]=2, flips\[0\]=False$"),
        ((C2, 2, 2, 1, None, [True, True]), r"identity.*turns\[0\]=0, flips\[0\]=True$"),
        ((C2, 2, 2, 1, [0, 1]), r"not a homomorphism.*\(1, 1\) fails. Received: turns=\[0, 1\]"),
        ((C4, 2, 2, 1, [0, 1, 2, 1]), r"not a homomorphism.*pair \(1, 2\) fails"),
        ((C4, 2, 2, 1, None, [0, 1, 1, 0]), r"not a homomorphism.*flips=\[False, True, True, Fal"),
        # Turns of D4 that would do if a mirror did not reverse those made before it.
        ((D4, 2, 2, 1, [0, 1, 2, 3, 0, 3, 2, 1], [0] * 4 + [1] * 4), "not a homomorphism"),
        ((D4, 2, 2, 1, [0, 1, 2, 3] * 2), "not a homomorphism"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        image_representation(*arguments)


def test_from_config_validates_again():
    def config(**changes):
        whole = image_representation(C4, 3, 3, 2).get_config()
        whole["image"].update(changes)
        return whole

    for changes, message in [
        ({"width": 4}, "must be equal where an element makes a quarter turn"),
        ({"turns": [0, 1, 2, 2]}, "not a homomorphism"),
        ({"flips": [False]}, "one entry per group element"),
        ({"channels": "2"}, "`channels` must be a positive integer or a Representation"),
        ({"channels": {}}, "`config` of FiniteGroup|`config` of Representation.*'group'"),
        ({"crop": 4}, r"no other keys.*Received: config=\['channels', 'crop', 'flips'"),
    ]:
        with pytest.raises(ValueError, match=message):
            Representation.from_config(config(**changes))
    for key in ("height", "width", "channels", "turns", "flips"):
        incomplete = config()
        del incomplete["image"][key]
        with pytest.raises(ValueError, match=f"image_representation must be .*'{key}'.*Received"):
            Representation.from_config(incomplete)
    with pytest.raises(ValueError, match="image_representation must be a dict.*config=7$"):
        Representation.from_config({**config(), "image": 7})


def test_a_form_that_is_not_known_is_refused():
    config = image_representation(C2, 2, 2).get_config()
    config["hexagons"] = config.pop("image")
    with pytest.raises(ValueError, match="`config` of Representation must be .* key 'matrices'"):
        Representation.from_config(config)
