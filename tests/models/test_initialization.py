from functools import partial

import keras
import numpy as np
import pytest

from tf_equirl import envs, models

ACTORS = [kind for kind in models.ACTOR_KINDS if kind != "cnn"]  # of vectors
CRITICS = [kind for kind in models.CRITIC_KINDS if kind != "cnn"]


PICTURES = [kind for kind in models.ACTOR_KINDS if kind not in ("mlp", "odd")]


def _builders():
    """Functions, called when a test runs: every process collects all tests."""
    catch, cartpole = envs.make("Catch"), envs.make("CartPole")
    for kind in models.TRANSITION_KINDS:
        if kind == "cnn":  # of pictures
            continue
        yield partial(
            models.transition_model, catch.symmetry, kind, (4, 4), head=catch.transition_head
        )
    for kind in ACTORS:
        yield partial(models.actor, cartpole.symmetry, kind, (4, 4))
    for kind in CRITICS:
        yield partial(models.critic, cartpole.symmetry, kind, (4, 4))
    board = envs.Snake(height=5, width=5).symmetry
    looks = models.Convolutions((2, 3), pooling="max")
    for kind in PICTURES:
        name = f"{kind}_of_pictures"
        yield partial(models.actor, board, kind, (4,), convolutions=looks, name=name)
    for kind in ("cnn", "invariant"):
        name = f"{kind}_critic_of_pictures"
        yield partial(models.critic, board, kind, (4,), convolutions=looks, name=name)
    yield from (_branching, _attention)


def _branching():
    inputs = keras.Input((4,))
    left = keras.layers.Dense(3)(inputs)
    right = keras.layers.Dense(3, bias_initializer="random_normal")(keras.layers.Dense(2)(inputs))
    fixed = keras.layers.Dense(3, kernel_initializer=keras.initializers.HeNormal(seed=1))(right)
    return keras.Model(inputs, keras.layers.Add()([left, keras.layers.Dropout(0.1)(fixed)]))


def _attention():
    """Its layer makes initialisers while it is built, which only cloning repeats."""
    inputs = keras.Input((5, 4))
    return keras.Model(inputs, keras.layers.MultiHeadAttention(2, 3)(inputs, inputs))


def _name(build):
    if not isinstance(build, partial):
        return build.__name__
    return build.keywords.get("name", f"{build.args[1]}_{build.func.__name__}")


@pytest.mark.parametrize("build", _builders(), ids=_name)
def test_many_fresh_weights_are_those_of_each_seed_number_for_number(build):
    model, seeds = build(), [7, 0, 123456]
    before = model.get_weights()
    stacked = models.stacked_fresh_weights([model, model], seeds)
    for k, seed in enumerate(seeds):
        expected = models.fresh_weights([model, model], seed)
        for found, one in zip(stacked, expected, strict=True):
            np.testing.assert_array_equal(found[k], one)
    assert max(np.abs(variable[0] - variable[1]).max() for variable in stacked) > 0.01
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_many_fresh_weights_need_a_seed():
    with pytest.raises(ValueError, match=r"seeds must hold at least one. Received: seeds=\[\]"):
        models.stacked_fresh_weights([_branching()], [])
