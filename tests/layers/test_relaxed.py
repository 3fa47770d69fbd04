"""Relaxed layers: what they compute, by the equations, and how far they can be from their law."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from layer_cases import GROUPS, field, motions, signed, skew

from tf_equirl.groups import regular_representation
from tf_equirl.layers import (
    EquivariantReadout,
    GroupConv2D,
    GroupDense,
    LiftingConv2D,
    LiftingDense,
    RelaxedGroupConv2D,
    RelaxedGroupDense,
    RelaxedLiftingConv2D,
    RelaxedLiftingDense,
    RelaxedReadout,
    RelaxedSteerableConv2D,
    ResidualPathway,
)

GROUP = GROUPS["S3"]  # which is not abelian: it tells an element from its inverse
ORDER = GROUP.order
# Of orthogonal ones: a skew representation moves a certificate by its norm, which is tested apart.
RANDOM = {"kernel_initializer": keras.initializers.GlorotNormal(seed=2)}
OF_PICTURES = {**motions(GROUP), **RANDOM}


def array(x) -> np.ndarray:
    return keras.ops.convert_to_numpy(x).astype(np.float64)


def normal(*shape, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def moved(features: np.ndarray, element: int) -> np.ndarray:
    """(L_a h)[g] = h[a^-1 g], of features [..., n, C]."""
    rows = GROUP.table[GROUP.inverses[element]]
    return features[..., rows, :]


def relaxed_group(banks, side="output", weights=None, channels=3, units=4, **options):
    layer = RelaxedGroupDense(units, GROUP, banks=banks, side=side, **RANDOM, **options)
    layer.build((None, ORDER, channels))
    if weights is not None:
        scale = 1 / np.sqrt(banks)
        layer.relaxation.assign((weights / scale - 1) / layer.rate)
    return layer


def strict_outputs(layer, x):
    """(Psi_l x)[g] of every bank, by `GroupDense`."""
    found = []
    for bank in array(layer.kernel):
        strict = GroupDense(layer.units, GROUP, use_bias=False, algorithm="dense")
        strict.build(x.shape)
        strict.kernel.assign(bank)
        found.append(array(strict(x)))
    return np.stack(found)


# Several banks are one matrix.
FORMS = [(1, "dense"), (1, "fourier"), (2, "dense"), (ORDER, "dense")]


@pytest.mark.parametrize(("banks", "algorithm"), FORMS)
def test_it_is_the_equation(banks, algorithm):
    weights = normal(banks, ORDER, seed=1)
    x = normal(5, ORDER, 3)
    layer = relaxed_group(banks, weights=weights, rate=2.5, algorithm=algorithm)
    layer.bias.assign(normal(4, seed=3))
    expected = np.einsum("lg,lbgu->bgu", weights, strict_outputs(layer, x)) + array(layer.bias)
    np.testing.assert_allclose(array(layer(x)), expected, atol=1e-5)
    np.testing.assert_allclose(array(layer.relaxation_weights()), weights, atol=1e-6)


@pytest.mark.parametrize(("banks", "algorithm"), FORMS[:3])
def test_weights_on_the_side_of_the_input_are_those_of_what_is_read(banks, algorithm):
    weights = normal(banks, ORDER, seed=1)
    x = normal(5, ORDER, 3)
    layer = relaxed_group(banks, "input", weights, algorithm=algorithm)
    expected = sum(strict_outputs(layer, x * weights[bank][:, None])[bank] for bank in range(banks))
    np.testing.assert_allclose(array(layer(x)), expected, atol=1e-5)


PICTURES, OF_FEATURES = field(5, signed)(GROUP), (5, 5, ORDER, 3)
OTHERS = [
    (RelaxedLiftingDense, LiftingDense, (4, skew(GROUP)), {}, (skew(GROUP).dim,)),
    (RelaxedReadout, EquivariantReadout, (skew(GROUP),), {}, (ORDER, 3)),
    (RelaxedLiftingConv2D, LiftingConv2D, (4, 3, PICTURES), {}, (5, 5, signed(GROUP).dim)),
    (RelaxedGroupConv2D, GroupConv2D, (4, 3, GROUP), OF_PICTURES, OF_FEATURES),
]


@pytest.mark.parametrize(
    ("relaxed", "strict", "arguments", "options", "shape", "side"),
    [(*case, side) for case in OTHERS for side in case[0].sides],
)
def test_others_weigh_the_outputs_or_the_inputs_of_strict_ones(
    relaxed, strict, arguments, options, shape, side
):
    layer = relaxed(*arguments, banks=2, side=side, use_bias=False, **{**RANDOM, **options})
    layer.build((None, *shape))
    layer.relaxation.assign(normal(2, ORDER, seed=1))
    weights, x = array(layer.relaxation_weights()), normal(5, *shape)
    expected = 0.0
    for bank, kernel in zip(weights, array(layer.kernel), strict=True):
        exact = strict(*arguments, use_bias=False, **options)
        exact.build((None, *shape))
        exact.kernel.assign(kernel)
        if side == "input":
            expected += array(exact((x * bank[:, None]).astype("float32")))
        else:
            expected += array(exact(x)) * bank[:, None]
    np.testing.assert_allclose(array(layer(x)), expected, atol=1e-5)


@pytest.mark.parametrize("element", GROUP.elements)
def test_the_error_at_an_element_is_that_of_its_weights(element):
    """(f(L_a x) - L_a f(x))[g] = sum_l (w_l(g) - w_l(a^-1 g)) (Psi_l x)[a^-1 g]."""
    weights = normal(2, ORDER, seed=1)
    layer, x = relaxed_group(2, weights=weights), normal(5, ORDER, 3)
    error = array(layer(moved(x, element))) - moved(array(layer(x)), element)
    difference = weights - weights[:, GROUP.table[GROUP.inverses[element]]]
    outputs = np.stack([moved(y, element) for y in strict_outputs(layer, x)])
    expected = np.einsum("lg,lbgu->bgu", difference, outputs)
    np.testing.assert_allclose(error, expected, atol=1e-5)
    assert element == 0 or np.abs(error).max() > 0.1


def gradient_of_weights(layer, x, target):
    """By the relaxation's weights, of the squared error."""
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(layer(x) - target))
    return array(tape.gradient(loss, layer.relaxation.value))


def test_on_a_batch_with_all_images_constant_weights_have_a_constant_gradient():
    layer = relaxed_group(2)
    x, target = normal(5, ORDER, 3), normal(5, ORDER, 4, seed=4)
    alone = gradient_of_weights(layer, x, target)
    closed = [np.concatenate([moved(y, g) for g in GROUP.elements]) for y in (x, target)]
    together = gradient_of_weights(layer, *closed)
    scale = np.abs(alone).max()
    assert np.ptp(together, axis=1).max() < 1e-5 * scale
    assert np.ptp(alone, axis=1).min() > 0.1 * scale  # not so of what was seen alone


@pytest.mark.parametrize("side", ["output", "input"])
def test_as_many_banks_as_elements_are_any_matrix(side):
    """Each of which has the rows, or columns, of one element."""
    channels, units = 2, 3
    matrix = normal(ORDER * channels, ORDER * units).reshape(ORDER, channels, ORDER, units)
    layer = relaxed_group(ORDER, side, np.eye(ORDER), channels, units)
    kernel = np.zeros(layer.kernel.shape, "float32")
    for bank in GROUP.elements:
        for other in GROUP.elements:
            g, h = (bank, other) if side == "output" else (other, bank)
            kernel[bank, GROUP.table[GROUP.inverses[g], h]] = matrix[h, :, g]
    layer.kernel.assign(kernel)
    found = array(layer.expanded_kernel()).reshape(matrix.shape)
    np.testing.assert_allclose(found, matrix, atol=1e-5)


def test_a_readout_of_as_many_banks_is_any_matrix():
    channels, outputs = 2, skew(GROUP)
    matrix = normal(ORDER, channels, outputs.dim)
    layer = RelaxedReadout(outputs, banks=ORDER)
    layer.build((None, ORDER, channels))
    weights = np.sqrt(ORDER) * np.eye(ORDER)
    layer.relaxation.assign(weights - 1)  # w is the identity: bank g is read at g alone
    inverse = np.stack([np.linalg.inv(outputs.matrices[g]) for g in GROUP.elements])
    layer.kernel.assign(np.einsum("gij,gcj->gci", inverse, matrix).reshape(layer.kernel.shape))
    found = array(layer.expanded_kernel()).reshape(matrix.shape)
    np.testing.assert_allclose(found, matrix, atol=1e-5)


def test_fewer_banks_are_not():
    """Of the rows of every element one matrix is a multiple: so many numbers less."""
    layer = relaxed_group(2, channels=1, units=1)
    random = np.random.default_rng(0)

    def expanded(numbers):
        layer.kernel.assign(numbers[: 2 * ORDER].reshape(layer.kernel.shape))
        layer.relaxation.assign(numbers[2 * ORDER :].reshape(2, ORDER))
        return array(layer.expanded_kernel()).ravel()

    numbers = random.normal(size=4 * ORDER)
    steps = [
        (expanded(numbers + 1e-2 * e) - expanded(numbers - 1e-2 * e)) / 2e-2
        for e in np.eye(4 * ORDER)
    ]
    # 2 banks of 6 numbers and 2 of weights at 6 elements, but for 2 x 2 mixtures of the banks.
    assert np.linalg.matrix_rank(np.array(steps), tol=1e-3) == 4 * ORDER - 4 < ORDER**2


def layers_of_every_kind():
    return {
        "lift": (RelaxedLiftingDense(4, signed(GROUP), banks=2, **RANDOM), signed(GROUP)),
        "group": (relaxed_group(2), None),
        "input": (relaxed_group(3, "input"), None),
        "readout": (RelaxedReadout(signed(GROUP), banks=2, **RANDOM), None),
        "skew readout": (RelaxedReadout(skew(GROUP), banks=2, **RANDOM), None),
        "pathway": (ResidualPathway(LiftingDense(4, signed(GROUP)), 0.5), signed(GROUP)),
        "skew pathway": (ResidualPathway(LiftingDense(4, skew(GROUP)), 0.5), skew(GROUP)),
        "readout pathway": (ResidualPathway(EquivariantReadout(skew(GROUP)), 0.5), None),
    }


@pytest.mark.parametrize("kind", layers_of_every_kind())
def test_no_error_is_larger_than_the_certificate(kind):
    layer, inputs = layers_of_every_kind()[kind]
    shape = (ORDER, 3) if inputs is None else (inputs.dim,)
    if not layer.built:
        layer.build((None, *shape))
    exact = layer.equivariance_certificate()
    if kind.endswith("pathway"):
        layer.bias.assign(normal(*layer.bias.shape, seed=7))
        assert exact.slope > 0 == exact.constant  # the free part begins at half the usual scale
    else:
        assert exact == (0.0, 0.0)
        layer.relaxation.assign(normal(*layer.relaxation.shape, seed=7))
    slope, constant = layer.equivariance_certificate()
    outputs = getattr(layer, "representation", None)
    if kind.endswith("pathway"):
        outputs = getattr(layer.layer, "representation", None)
    largest = 0.0
    x = normal(64, *shape)
    for g in GROUP.elements:
        gx = moved(x, g) if inputs is None else inputs.act(g, x).astype("float32")
        y, gy = array(layer(x)), array(layer(gx))
        moves = outputs is None or "readout" not in kind
        error = gy - (moved(y, g) if moves else outputs.act(g, y))
        lengths = np.linalg.norm(x.reshape(64, -1), axis=1)
        errors = np.linalg.norm(error.reshape(64, -1), axis=1)
        assert np.all(errors <= slope * lengths + constant)
        largest = max(largest, (errors / (slope * lengths + constant)).max())
    assert largest > 0.05  # nor is it far from what happens


@pytest.mark.parametrize("kind", ["lift", "group", "steerable", "pathway"])
def test_certificates_of_convolutions_hold(kind):
    pictures = field(5, signed)(GROUP)
    if kind == "lift":
        layer, inputs = RelaxedLiftingConv2D(4, 3, pictures, banks=2, **RANDOM), pictures
        shape = (5, 5, signed(GROUP).dim)
    elif kind == "steerable":
        layer = RelaxedSteerableConv2D(4, 3, signed(GROUP), padding="same", **OF_PICTURES)
        inputs, shape = pictures, (5, 5, signed(GROUP).dim, 1)
    else:
        strict = {"padding": "circular", "activation": "relu", **OF_PICTURES}
        inputs, shape = field(5, regular_representation, 2)(GROUP), (5, 5, ORDER, 2)
        layer = (
            RelaxedGroupConv2D(4, 3, GROUP, **strict)
            if kind == "group"
            else ResidualPathway(GroupConv2D(4, 3, GROUP, **strict), 0.1)
        )
    layer.build((None, *shape))
    if kind != "pathway":
        assert layer.equivariance_certificate() == (0.0, 0.0)
        layer.relaxation.assign(normal(*layer.relaxation.shape, seed=7))
    slope, constant = layer.equivariance_certificate()
    x = normal(8, inputs.dim)

    def apply(x):
        return array(layer(x.reshape(8, *shape).astype("float32"))).reshape(8, -1)

    size = layer.compute_output_shape((None, *shape))[1]
    outputs = field(size, regular_representation, 4)(GROUP)
    largest = 0.0
    for g in GROUP.elements:
        errors = np.linalg.norm(apply(inputs.act(g, x)) - outputs.act(g, apply(x)), axis=1)
        share = errors / (slope * np.linalg.norm(x, axis=1) + constant)
        assert share.max() <= 1
        largest = max(largest, share.max())
    assert largest > 0.01


def test_a_relaxed_steerable_convolution_has_weights_at_the_pixels_of_a_filter():
    """By the equation, on representations with and without orbits; shifts stay exact."""
    for pixel in (signed, skew):
        layer = RelaxedSteerableConv2D(
            2, 3, pixel(GROUP), padding="circular", relaxation_initializer="normal", **OF_PICTURES
        )
        dim = pixel(GROUP).dim
        layer.build((None, 4, 4, dim, 1))
        assert layer.equivariance_certificate().slope > 0  # as published
        weights, kernel = array(layer.relaxation_weights()), array(layer.kernel)
        assert weights.shape == (kernel.shape[0], 9)
        total = 0.0
        for k, alpha in enumerate(kernel):
            layer.kernel.assign(np.zeros(kernel.shape))
            alone = np.zeros(kernel.shape)
            alone[k] = alpha
            layer.kernel.assign(alone)
            filters = array(layer.expand(keras.ops.convert_to_tensor(layer.kernel)))
            total += filters.reshape(9, dim, -1) * weights[k][:, None, None]
        layer.kernel.assign(kernel)
        np.testing.assert_allclose(
            array(layer.expanded_kernel()).reshape(9, dim, -1), total, atol=1e-5
        )
        x = normal(2, 4, 4, dim, 1)
        shifted = array(layer(np.roll(x, (1, 2), axis=(1, 2))))
        np.testing.assert_allclose(shifted, np.roll(array(layer(x)), (1, 2), (1, 2)), atol=1e-5)


def test_a_pathway_is_the_sum_of_both_parts():
    layer = ResidualPathway(GroupDense(4, GROUP, activation="relu", **RANDOM), 0.25)
    layer.build((None, ORDER, 3))
    layer.bias.assign(normal(ORDER * 4))
    x = normal(5, ORDER, 3)
    strict = GroupDense(4, GROUP)
    strict.build(x.shape)
    strict.set_weights([array(w) for w in layer.layer.weights])
    free = array(x.reshape(5, -1) @ array(layer.free_kernel)) + array(layer.bias)
    expected = np.maximum(array(strict(x)) + free.reshape(5, ORDER, 4), 0)
    np.testing.assert_allclose(array(layer(x)), expected, atol=1e-5)
    deviation = array(layer.free_kernel).std()
    assert abs(deviation / (0.25 * np.sqrt(2 / (ORDER * 3 + ORDER * 4))) - 1) < 0.15  # Glorot's
    assert not np.array_equal(array(layer.free_kernel)[:18, :4].ravel()[:72], 0)


def test_a_pathway_makes_up_for_a_bias_that_the_law_forbids():
    layer = ResidualPathway(EquivariantReadout(signed(GROUP) * signed(GROUP)))
    layer.build((None, ORDER, 2))
    layer.bias.assign(np.ones(layer.bias.shape))
    zeros = array(layer(np.zeros([1, ORDER, 2], "float32")))
    np.testing.assert_array_equal(zeros, np.ones(zeros.shape))


def test_what_the_spread_costs():
    weights = np.array([[1.0, 3.0, 2.0, 2.0, 2.0, 2.0]], "float32")
    layer = relaxed_group(1, weights=weights, spread_penalty=0.5)
    assert abs(float(layer.spread()) ** 2 - 2 / 6) < 1e-6
    (loss,) = layer.losses
    assert abs(float(loss) - 0.5 * 2 / 6) < 1e-6
    assert relaxed_group(1, weights=weights).losses == []


def train(layer, x, target, steps=400):
    """Adam on the squared error and the layer's own losses."""
    optimizer = keras.optimizers.Adam(0.02)

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(layer(x) - target)) + tf.add_n(layer.losses)
        weights = layer.trainable_weights
        optimizer.apply(tape.gradient(loss, [w.value for w in weights]), weights)

    for _ in range(steps):
        step()
    return float(layer.spread()), float(layer.penalty_factor())


@pytest.mark.parametrize("limit", [0.05, 0.1])
def test_dual_ascent_keeps_the_spread_near_its_limit(limit):
    """Of data that are twice as large at one element: without a limit the spread is 0.25."""
    x = normal(64, ORDER, 3)
    target = strict_outputs(relaxed_group(1), x)[0].astype("float32")
    target[:, 2] *= 2
    free, _ = train(relaxed_group(1, spread_penalty=1e-6), x, target)
    assert free > 0.2
    options = {"spread_penalty": 0.01, "spread_limit": limit, "rate": 2.0}
    spread, factor = train(relaxed_group(1, **options), x, target)
    assert spread < 1.2 * limit
    assert factor > 0.02


def test_exact_data_with_all_images_keep_a_layer_exact():
    x = np.concatenate([moved(normal(8, ORDER, 3), g) for g in GROUP.elements])
    target = strict_outputs(relaxed_group(1), x)[0].astype("float32")
    layer = relaxed_group(2, spread_penalty=1e-12)
    layer.kernel.assign(normal(*layer.kernel.shape, seed=9))
    spread, _ = train(layer, x, target)
    assert spread < 1e-4
    assert np.mean((array(layer(x)) - target) ** 2) < 0.1 * np.mean(target**2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"banks": 0}, "`banks` must be an integer from 1 to 6, the order of the group"),
        ({"banks": 7}, "`banks` must be an integer from 1 to 6, the order of the group"),
        ({"side": "both"}, "`side` must be one of output, input"),
        ({"rate": 0.0}, "`rate` must be a positive number"),
        ({"spread_penalty": -1.0}, "`spread_penalty` must be a number of at least 0"),
        ({"spread_limit": 0.1}, "`spread_penalty` must be positive where there is"),
        ({"algorithm": "fourier", "banks": 2}, "`algorithm` must be auto or dense"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        RelaxedGroupDense(4, GROUP, **arguments)


def test_wrong_pathways():
    built = GroupDense(4, GROUP)
    built.build((None, ORDER, 2))
    for layer in (built, keras.layers.Dense(3), None, {"class_name": "Dense"}):
        with pytest.raises(ValueError, match="`layer`|layer:"):
            ResidualPathway(layer)
    with pytest.raises(ValueError, match="`prior_scale` must be a number of at least 0"):
        ResidualPathway(GroupDense(4, GROUP), prior_scale=-1e-3)
    with pytest.raises(ValueError, match='`basis` must be "exact"'):
        RelaxedSteerableConv2D(4, 3, signed(GROUP), basis="sampled", **motions(GROUP))
