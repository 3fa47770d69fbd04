import bisect
import functools
from types import SimpleNamespace

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
from tf_equirl.models import widths
from tf_equirl.testing import equivariance_error

ACTORS = [kind for kind in models.ACTOR_KINDS if kind != "cnn"]  # of vectors
CRITICS = [kind for kind in models.CRITIC_KINDS if kind != "cnn"]


def _plane(n):
    """The rotations and the reflection of a regular n-gon on its vertices and on the plane."""
    group = dihedral_group(n)
    angle = 2 * np.pi / n
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    powers = [np.linalg.matrix_power(rotation, k) for k in range(n)]
    mirror = np.diag([1.0, -1.0])
    return Representation(group, np.array(powers + [p @ mirror for p in powers]))


def _symmetries():
    c4, s3, q8 = cyclic_group(4), symmetric_group(3), quaternion_group()
    plane = _plane(4)
    d4 = plane.group
    return {
        "CartPole": envs.make("CartPole").symmetry,
        "C4": Symmetry(c4, regular_representation(c4), permutation_representation(c4)),
        "S3": Symmetry(s3, permutation_representation(s3), regular_representation(s3)),
        "D4": Symmetry(d4, plane + plane, permutation_representation(d4)),
        "D4, matrix actions": Symmetry(d4, plane, plane),
        "Q8": Symmetry(q8, Representation(q8, q8.matrices), regular_representation(q8)),
    }


# Of float32, with outputs of any size that these weights give; a broken law is off by far more.
ROUNDING = 1e-4
SYMMETRIES = _symmetries()


def _states(symmetry, count=64):
    states = np.random.default_rng(0).normal(size=(count, symmetry.state.dim))
    return states.astype("float32")


def _with_random_biases(model):
    """Zero biases would hide one that breaks the law."""
    rng = np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign_add(0.1 * rng.normal(size=variable.shape))
    return model


@pytest.mark.parametrize("kind", ["gcnn", "symmetrizer", "symmetrizer-sampled"])
@pytest.mark.parametrize("name", SYMMETRIES)
def test_the_actor_is_equivariant_under_every_element(name, kind):
    symmetry = SYMMETRIES[name]
    actor = _with_random_biases(models.actor(symmetry, kind, (16, 16)))
    error = equivariance_error(actor, _states(symmetry), symmetry.state, symmetry.action)
    assert len(error.per_element) == symmetry.group.order
    assert error.max <= ROUNDING


@pytest.mark.parametrize("activation", ["tanh", "elu", "gelu", "leaky_relu"])
@pytest.mark.parametrize("name", ["D4, matrix actions", "Q8"])
def test_any_pointwise_activation_commutes_with_the_group(name, activation):
    symmetry = SYMMETRIES[name]
    value = trivial_representation(symmetry.group)
    for kind in ("gcnn", "symmetrizer"):
        actor = models.actor(symmetry, kind, (8, 8), activation=activation)
        used = [x.activation.__name__ for x in actor.layers if hasattr(x, "activation")]
        assert used[:2] == [activation] * 2 and set(used[2:]) <= {"linear"}
        actor = _with_random_biases(actor)
        error = equivariance_error(actor, _states(symmetry), symmetry.state, symmetry.action)
        assert error.max <= ROUNDING
        copy = keras.models.model_from_json(actor.to_json())
        assert [x.activation.__name__ for x in copy.layers if hasattr(x, "activation")] == used
    critic = models.critic(symmetry, "invariant", (8, 8), activation=activation)
    critic = _with_random_biases(critic)
    assert equivariance_error(critic, _states(symmetry), symmetry.state, value).max <= ROUNDING


def test_activations_that_are_not_given_are_those_of_the_kind():
    symmetry = SYMMETRIES["CartPole"]
    for kind in ACTORS:
        used = {
            x.activation.__name__
            for x in models.actor(symmetry, kind, (4,)).layers
            if hasattr(x, "activation")
        }
        assert used - {"linear"} == {"tanh" if kind == "odd" else "relu"}
    odd = _with_random_biases(models.actor(symmetry, "odd", (4,), activation="softsign"))
    error = equivariance_error(odd, _states(symmetry), symmetry.state, symmetry.action)
    assert error.max <= ROUNDING
    with pytest.raises(ValueError, match="odd function.* Received: activation='elu'"):
        models.actor(symmetry, "odd", activation="elu")


@pytest.mark.parametrize("name", SYMMETRIES)
def test_the_invariant_critic_is_invariant_under_every_element(name):
    symmetry = SYMMETRIES[name]
    critic = _with_random_biases(models.critic(symmetry, "invariant", (16, 16)))
    value = trivial_representation(symmetry.group)
    assert equivariance_error(critic, _states(symmetry), symmetry.state, value).max <= ROUNDING


def test_the_odd_actor_is_equivariant_and_has_the_thesis_size():
    symmetry = SYMMETRIES["CartPole"]
    actor = models.actor(symmetry, "odd")
    error = equivariance_error(actor, _states(symmetry), symmetry.state, symmetry.action)
    assert error.max <= ROUNDING
    # 4 * 64 + 64 * 64 + 64; with the critic 8,961 as in the thesis' table 5.4.
    assert actor.count_params() == 4416
    assert actor.count_params() + models.critic(symmetry).count_params() == 8961
    hidden = keras.Model(actor.input, actor.layers[-4].output)
    states = _states(symmetry)
    logits = actor(states).numpy()
    kernel = actor.get_weights()[-1].reshape(-1)
    np.testing.assert_allclose(logits[:, 0], hidden(states).numpy() @ kernel, atol=1e-5)
    np.testing.assert_allclose(logits[:, 1], -logits[:, 0], atol=1e-6)


def test_the_mlp_is_not_equivariant_and_has_the_thesis_size():
    symmetry = SYMMETRIES["CartPole"]
    actor, critic = models.actor(symmetry, "mlp"), models.critic(symmetry, "mlp")
    assert actor.count_params() + critic.count_params() == 9155
    error = equivariance_error(actor, _states(symmetry), symmetry.state, symmetry.action)
    assert error.max > 0.1


def test_the_odd_actor_is_refused_where_it_would_not_be_equivariant():
    with pytest.raises(ValueError, match="plus or minus the identity.*element 1 of"):
        models.actor(SYMMETRIES["C4"], "odd")
    c2 = cyclic_group(2)
    sign = Representation(c2, np.array([np.eye(2), -np.eye(2)]))
    with pytest.raises(ValueError, match="permutation representation of the actions"):
        models.actor(Symmetry(c2, sign, sign), "odd")


def _units(model):
    """Width of the first hidden layer."""
    layers = [getattr(layer, "layer", layer) for layer in model.layers]  # that of a pathway
    return next(layer.units for layer in layers if hasattr(layer, "units"))


def _trained(model):
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables)


@pytest.mark.parametrize(
    ("kind", "budget"),
    [*((kind, 4610) for kind in ACTORS), ("gcnn", 200), ("mlp", 9155)],
)
def test_widths_match_a_parameter_budget_and_the_choice_is_printed(kind, budget, capsys):
    symmetry = SYMMETRIES["CartPole"]
    widths._print_once.cache_clear()  # another test may have had the same line
    actor = models.actor(symmetry, kind, match_parameters=budget)
    count = _trained(actor)
    units = _units(actor)
    assert f"hidden_units=({units}, {units}), {count:,} parameters" in capsys.readouterr().out
    for other in (units - 1, units + 1):
        neighbour = _trained(models.actor(symmetry, kind, (other, other)))
        assert abs(count - budget) <= abs(neighbour - budget)
    assert budget < 1000 or abs(count / budget - 1) < 0.03


class Sizes:
    """Stands for a dense network, of which nothing but the number of parameters is asked."""

    name = "sizes"

    def __init__(self, inputs, outputs, units):
        layers = [inputs, *units, outputs]
        self.units = units
        shapes = [(a + 1, b) for a, b in zip(layers[:-1], layers[1:], strict=True)]
        self.trainable_variables = [SimpleNamespace(shape=shape) for shape in shapes]


@pytest.mark.filterwarnings("ignore:sizes misses its budget")
def test_of_two_neighbours_of_a_budget_the_nearer_is_found_with_few_models(capsys):
    random = np.random.default_rng(0)
    counts = []
    for _ in range(300):
        hidden = tuple(random.choice([1, 2, 3, 16, 64, 100, 500], random.integers(1, 5)).tolist())
        build = functools.partial(Sizes, *random.integers(1, 60, 2).tolist())

        def size(scale, build=build, hidden=hidden):
            units = tuple(max(1, round(u * scale / hidden[0])) for u in hidden)
            return widths.trained_parameters(build(units)), units

        budget = int(size(1)[0] * 10 ** random.uniform(0, 3))
        built = []
        found = widths.build_with_widths(
            lambda units, build=build, built=built: built.append(units) or build(units),
            hidden,
            budget,
        )
        high = bisect.bisect_right(range(10**6), budget, lo=2, key=lambda scale: size(scale)[0])
        assert found.units == min(size(high - 1), size(high), key=lambda x: abs(x[0] - budget))[1]
        counts.append(len(built))
    assert np.mean(counts) < 6 and max(counts) < 40


@pytest.mark.parametrize("kind", ["symmetrizer", "symmetrizer-sampled"])
@pytest.mark.parametrize("name", SYMMETRIES)
def test_the_symmetrizer_has_the_size_of_the_gcnn_and_the_papers_weights(name, kind):
    symmetry, widths = SYMMETRIES[name], (40, 30)
    actor = models.actor(symmetry, kind, widths)
    assert _trained(actor) == models.actor(symmetry, "gcnn", widths).count_params()
    n = symmetry.group.order
    kernel = actor.trainable_variables[2].numpy()  # of the second layer: r = d_out = n
    assert kernel.shape == (n, 40, 30)
    # The variance of 2,400 numbers and more is off by up to 3 % (one standard deviation).
    assert abs(np.mean(kernel**2) * n * 30 * n / 2 - 1) < 0.12
    he = models.actor(symmetry, kind, widths, kernel_initializer="he_normal")
    kernel = he.trainable_variables[2].numpy()
    assert abs(np.mean(kernel**2) * 40 / 2 - 1) < 0.12


@pytest.mark.parametrize("kind", ACTORS)
@pytest.mark.parametrize("shape", [(4,), (2, 2), (1, 4, 1)])
def test_observations_need_not_be_flat(kind, shape):
    symmetry = SYMMETRIES["CartPole"]
    with models.seeded(1):
        actor = models.actor(symmetry, kind, (8,), observation_shape=shape)
    with models.seeded(1):
        flat = models.actor(symmetry, kind, (8,))
    assert actor.input_shape == (None, *shape)
    states = _states(symmetry)
    np.testing.assert_array_equal(actor(states.reshape(-1, *shape)), flat(states))


@pytest.mark.parametrize("kind", CRITICS)
def test_observations_of_the_critic_need_not_be_flat(kind):
    symmetry = SYMMETRIES["CartPole"]
    with models.seeded(1):
        critic = models.critic(symmetry, kind, (8,), observation_shape=[2, 2])
    with models.seeded(1):
        flat = models.critic(symmetry, kind, (8,))
    states = _states(symmetry)
    np.testing.assert_array_equal(critic(states.reshape(-1, 2, 2)), flat(states))


def test_a_budget_keeps_the_proportions_of_the_widths():
    actor = models.actor(SYMMETRIES["D4"], "gcnn", (30, 10), match_parameters=3000)
    first, second = actor.layers[1].units, actor.layers[2].units
    assert abs(first / second - 3) < 0.5


@pytest.mark.parametrize("kind", ACTORS)
def test_it_is_an_ordinary_keras_model(kind, tmp_path, capsys):
    actor = models.actor(SYMMETRIES["CartPole"], kind, (8, 8))
    actor.summary()
    assert "Total params" in capsys.readouterr().out
    actor.save(tmp_path / "actor.keras")
    reloaded = keras.models.load_model(tmp_path / "actor.keras", safe_mode=True)
    states = _states(SYMMETRIES["CartPole"])
    np.testing.assert_array_equal(reloaded(states), actor(states))
    assert actor.name == f"{kind.replace('-', '_')}_actor" and actor.input_shape == (None, 4)


@pytest.mark.parametrize("kind", ["gcnn", "symmetrizer", "symmetrizer-sampled"])
def test_a_seed_fixes_the_weights_and_leaves_pythons_random_alone(kind):
    import random

    symmetry = SYMMETRIES["S3"]
    random.seed(0)
    expected = random.random()
    random.seed(0)
    with models.seeded(7):
        one = models.actor(symmetry, kind, (4, 4))
    assert random.random() == expected
    with models.seeded(7):
        two = models.actor(symmetry, kind, (4, 4))
    with models.seeded(8):
        three = models.actor(symmetry, kind, (4, 4))
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.abs(one.get_weights()[0] - three.get_weights()[0]).max() > 0.01
    # Layers of a model differ from each other, too.
    kernels = [v.numpy() for v in one.trainable_variables if v.name == "kernel"]
    assert len({float(w.flat[0]) for w in kernels}) == len(kernels) == 3
    fresh = models.fresh_weights([three], 7)
    assert np.abs(fresh[0] - three.get_weights()[0]).max() > 0.01
    for a, b in zip(fresh, models.fresh_weights([one], 7), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "rnn"}, "`kind` must be one of mlp, cnn, .*. Received: kind='rnn'"),
        ({"kind": "cnn"}, "need a symmetry whose state is an image_representation. Received: "),
        ({"hidden_units": ()}, "`hidden_units` must be a non-empty sequence"),
        ({"hidden_units": 64}, "`hidden_units` must be a non-empty sequence"),
        ({"hidden_units": (64, 0)}, "`hidden_units` must be .* positive integers"),
        ({"match_parameters": -5}, "`match_parameters` must be a positive integer"),
        ({"match_parameters": 3}, "`match_parameters` must be at least"),
        ({"observation_shape": (2, 3)}, r"`observation_shape` must be .* 4. Received: .*\(2, 3\)"),
        ({"activation": "softmax"}, "pointwise Keras activation.*Received: activation='softmax'"),
        ({"activation": "glu"}, "`activation` must be the name of a pointwise Keras activation"),
        ({"activation": "rulu"}, "`activation` must be the name of a pointwise Keras activation"),
        ({"activation": 3}, "`activation` must be the name of a pointwise Keras activation"),
        ({"symmetry": "C2"}, "`symmetry` must be a tf_equirl.groups.Symmetry"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    arguments = {"symmetry": SYMMETRIES["CartPole"], **arguments}
    with pytest.raises(ValueError, match=message):
        models.actor(**arguments)
    with pytest.raises(ValueError, match=message):
        models.critic(**{"kind": "mlp", **arguments})
