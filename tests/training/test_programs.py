"""Compiled programs are kept, and shared by what is equal in everything that they compute."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from training_cases import Walk, WalkConfig, dense_network

from tf_equirl import envs
from tf_equirl.envs.cartpole import CartPole
from tf_equirl.training import programs
from tf_equirl.training.run import train


@pytest.fixture(autouse=True)
def nothing_kept():
    programs.clear()
    yield
    programs.clear()


def test_what_is_kept_is_bounded_and_what_was_not_used_for_longest_goes_first(monkeypatch):
    monkeypatch.setattr(programs, "LIMIT", 3)
    made = []

    def program(key):
        return programs.cached(key, lambda: made.append(key) or f"program {key}")

    for key in "abcabd":  # c was not used for longest
        assert program(key) == f"program {key}"
    assert made == ["a", "b", "c", "d"]
    program("a"), program("b"), program("c")
    assert made == ["a", "b", "c", "d", "c"]
    assert len(programs._kept) == 3
    programs.clear()
    assert not programs._kept
    program("b")
    assert made[-1] == "b"


def test_a_program_that_cannot_be_made_is_not_kept():
    def fails():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        programs.cached("key", fails)
    assert programs.cached("key", lambda: 1) == 1


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux says it")
def test_a_process_without_room_refuses_before_anything_is_made(monkeypatch):
    programs.check_room()
    monkeypatch.setattr(programs, "_RESERVE", 10**9)
    with pytest.raises(programs.ProcessFullError, match=r"maps of memory.* resume the run"):
        programs.cached("key", lambda: pytest.fail("was made"))
    assert not programs._kept


def kept_after(*arguments, **keywords):
    """How many programs are kept after one more run."""
    train(Walk(*arguments, **keywords), [1, 2])
    return len(programs._kept)


def test_an_equal_run_shares_the_program_and_any_other_has_its_own():
    assert kept_after() == 1
    (program,) = programs._kept.values()
    assert program.experimental_get_tracing_count() == 1
    assert kept_after() == 1
    assert program.experimental_get_tracing_count() == 1
    train(Walk(), [3, 4, 5, 6, 7])  # a larger block: traced again, and kept in the same place
    assert (len(programs._kept), program.experimental_get_tracing_count()) == (1, 2)
    assert kept_after(network=dense_network("tanh")) == 2
    assert kept_after(WalkConfig(learning_rate=0.2)) == 3
    assert kept_after(env=CartPole(max_episode_steps=20)) == 4
    assert kept_after(explodes=1000) == 5
    assert kept_after(network=dense_network("tanh")) == 5


def test_a_shared_program_uses_nobody_elses_weights():
    first = train(Walk(), [1, 2])
    train(Walk(), [8, 9])
    again = train(Walk(), [1, 2])
    np.testing.assert_array_equal(again.sizes, first.sizes)
    programs.clear()
    np.testing.assert_array_equal(train(Walk(), [1, 2]).sizes, first.sizes)


def test_environments_that_may_differ_have_keys_of_their_own():
    def subclass(push):
        class CartPole(envs.make("CartPole").__class__):  # of the same name
            def transition(self, state, action, uniforms):
                return super().transition(state, action * push, uniforms)

        return CartPole

    one, other = subclass(1), subclass(0)
    assert one.__qualname__ == other.__qualname__
    keys = [make().program_key() for make in (CartPole, one, other)]
    assert len(set(keys)) == 3
    assert CartPole().program_key() == envs.make("CartPole").program_key()
    assert CartPole(max_episode_steps=20).program_key() != CartPole().program_key()
    assert one().program_key() != one().program_key()  # nothing is known of it but itself


def test_models_have_one_key_if_they_are_of_one_architecture():
    same = [programs.model_key(dense_network()) for _ in range(2)]
    assert same[0] == same[1]
    frozen = dense_network()
    frozen.layers[0].trainable = False
    for other in (dense_network("tanh"), frozen, keras.Sequential(dense_network().layers[:1])):
        assert programs.model_key(other) != same[0]
    assert programs.model_key(None) is None


def test_models_of_other_code_under_the_same_names_have_other_keys():
    def network(factor):
        def scaled(x):
            return factor * x

        class Scale(keras.layers.Layer):
            def call(self, inputs):
                return factor * inputs

        layers = [keras.Input((4,)), keras.layers.Dense(3, scaled), Scale(), keras.layers.Dense(2)]
        return keras.Sequential(layers), keras.Sequential([layers[0], Scale()])

    for one, other in zip(network(1.0), network(2.0), strict=True):
        assert programs.model_key(one) == programs.model_key(one)
        assert programs.model_key(one) != programs.model_key(other)


def test_a_model_that_cannot_be_described_is_equal_to_none_but_itself():
    def network():
        return keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda x: tf.tanh(x))])

    one, other = network(), network()
    assert programs.model_key(one) == programs.model_key(one)
    assert programs.model_key(one) != programs.model_key(other)
    assert hash(programs.model_key(one)) == hash(programs.model_key(one))
